"""What bodies look like, with the limits that are checked. Pure."""

from typing import Any, Final

from heliograph.addresses import INTEREST_PATTERN, LONGEST_INTEREST, MOST_INTERESTS
from heliograph.api.beams import payloads, schema
from heliograph.api.beams.tokens import LONGEST_USER_ID
from heliograph.gateways.apns import MAX_COLLAPSE_ID_BYTES
from heliograph.wire.http import LONGEST_URL

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
OBJECT: Final[Json] = {"type": "object"}


def _options(**members: Json) -> Json:
    return {"type": "object", "properties": members}


INTEREST: Final[Json] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_INTEREST,
    "pattern": f"^{INTEREST_PATTERN}$",
    "examples": ["hello"],
}
USER: Final[Json] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_USER_ID,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]+$",
    "examples": ["user-001"],
}
_TTL: Final[Json] = {"type": "integer", "minimum": 0, "maximum": payloads.FOUR_WEEKS}

_PAYLOADS: Final[dict[str, Json]] = {
    "apns": {
        "type": "object",
        "description": "For Apple devices: `aps` as Apple reads it, and data of your own.",
        "properties": {
            "aps": OBJECT,
            "data": OBJECT,
            "collapse_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_COLLAPSE_ID_BYTES,
                "description": f"At most {MAX_COLLAPSE_ID_BYTES} bytes, without control "
                "characters.",
            },
            "expiration": {"type": "integer", "minimum": 0, "maximum": payloads.FAR_FUTURE},
            "priority": {"enum": [5, 10]},
            "pusher": _options(disable_delivery_tracking={"type": "boolean"}),
        },
    },
    "fcm": {
        "type": "object",
        "description": "For Android devices, in the legacy form of FCM.",
        "properties": {
            "notification": _options(title=TEXT, body=TEXT, icon=TEXT, click_action=TEXT),
            "data": OBJECT,
            "time_to_live": _TTL,
            "collapse_key": TEXT,
            "priority": {"enum": ["normal", "high"]},
        },
    },
    "web": {
        "type": "object",
        "description": "For browsers.",
        "properties": {
            "notification": _options(
                title=TEXT,
                body=TEXT,
                icon=TEXT,
                deep_link=TEXT,
                hide_notification_if_site_has_focus={"type": "boolean"},
            ),
            "data": OBJECT | {"not": {"required": ["pusher"]}},
            "time_to_live": _TTL,
        },
    },
}


def _publish(names: str, item: Json, most: int) -> Json:
    listed = {"type": "array", "items": item, "minItems": 1, "maxItems": most, "uniqueItems": True}
    hello = {"title": "Hello", "body": "It found you."}
    return {
        "type": "object",
        "required": [names],
        "anyOf": [{"required": [gateway]} for gateway in _PAYLOADS],
        "properties": {
            names: listed,
            **_PAYLOADS,
            "webhookUrl": {"type": "string", "format": "uri", "maxLength": LONGEST_URL},
        },
        "examples": [
            {
                names: item["examples"],
                "apns": {"aps": {"alert": hello}},
                "fcm": {"notification": hello},
                "web": {"notification": hello},
            }
        ],
    }


SCHEMAS: Final[dict[str, Json]] = {
    "Problem": {
        "type": "object",
        "required": ["error", "description"],
        "properties": {
            "error": {"type": "string", "minLength": 1},
            "description": {"type": "string", "minLength": 1},
        },
        "additionalProperties": False,
        "examples": [{"error": "Unauthorized", "description": "Incorrect Secret Key"}],
    },
    "Accepted": {
        "type": "object",
        "required": ["publishId"],
        "properties": {"publishId": {"type": "string", "pattern": "^pubid-"}},
        "additionalProperties": False,
    },
    "PublishToUsers": _publish("users", USER, schema.MOST_USERS_OF_A_PUBLISH),
    "PublishToInterests": _publish("interests", INTEREST, schema.MOST_INTERESTS_OF_A_PUBLISH),
    "Registration": {
        "type": "object",
        "required": ["token"],
        "properties": {
            "token": {
                "type": "string",
                "minLength": 1,
                "description": "APNs: hexadecimal. FCM: the registration token. Browsers: the JSON "
                "of the PushSubscription in base64.",
            },
            "bundleIdentifier": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9.\-]{1,200}$",
                "description": "Apple devices: which app it is.",
            },
            "knownPreviousClientIds": {"type": "array"},
            "metadata": OBJECT,
        },
        "examples": [{"token": "00fa", "metadata": {"sdkVersion": "4.0.0"}}],
    },
    "Registered": {
        "type": "object",
        "required": ["id", "initialInterestSet"],
        "properties": {
            "id": TEXT,
            "initialInterestSet": {"type": "array", "items": INTEREST},
        },
        "additionalProperties": False,
    },
    "Device": {
        "type": "object",
        "required": ["id", "userId", "metadata"],
        "properties": {
            "id": TEXT,
            "userId": {"type": "string", "description": "Empty while nobody is logged in."},
            "metadata": OBJECT,
        },
        "additionalProperties": False,
    },
    "Metadata": OBJECT | {"examples": [{"sdkVersion": "4.0.0"}]},
    "Token": {
        "type": "object",
        "required": ["token"],
        "properties": {"token": {"type": "string", "pattern": "^[!-~]{1,4096}$"}},
        "examples": [{"token": "fcm-token"}],
    },
    "Interests": {
        "type": "object",
        "required": ["interests"],
        "properties": {
            "interests": {"type": "array", "items": INTEREST, "maxItems": MOST_INTERESTS}
        },
        "examples": [{"interests": ["hello", "world"]}],
    },
    "InterestsPage": {
        "type": "object",
        "required": ["interests", "responseMetadata"],
        "properties": {
            "interests": {"type": "array", "items": INTEREST, "maxItems": schema.LONGEST_PAGE},
            "responseMetadata": _options(nextCursor=TEXT),
        },
        "additionalProperties": False,
    },
    "VapidKey": {
        "type": "object",
        "required": ["vapidPublicKey"],
        "properties": {"vapidPublicKey": {"type": "string", "pattern": "^[A-Za-z0-9_-]{87}$"}},
        "additionalProperties": False,
    },
    "Report": {
        "type": "object",
        "required": ["event", "publishId"],
        "properties": {
            "event": {"enum": ["Delivery", "Open", "delivery", "open"]},
            "publishId": TEXT,
            "deviceId": {"type": ["string", "null"]},
            "userId": {"type": ["string", "null"]},
            "timestampSecs": {"type": "integer"},
            "appInBackground": {"type": "boolean"},
            "hasDisplayableContent": {"type": "boolean"},
            "hasData": {"type": "boolean"},
        },
        "examples": [{"event": "Open", "publishId": "pubid-…", "deviceId": "apns-…"}],
    },
}
