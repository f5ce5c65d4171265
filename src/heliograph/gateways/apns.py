"""
Apple Push Notification service.

What to send:
https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
What the replies mean:
https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from heliograph.gateways import apple_certificate
from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.gateways.reply import read_object, read_words
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    ApnsMessage,
    Environment,
)
from heliograph.wire import http2, jws
from heliograph.wire.http import HttpResponse, retry_after
from heliograph.wire.http2 import Template, Values

HOSTS: Final = {
    Environment.PRODUCTION: "https://api.push.apple.com",
    Environment.SANDBOX: "https://api.sandbox.push.apple.com",
}

MIN_TOKEN_AGE: Final = timedelta(minutes=20)
"""A provider token made anew sooner than this is answered 429 TooManyProviderTokenUpdates."""

TOKEN_LIFETIME: Final = timedelta(minutes=50)
"""When to make a new one."""

TOKEN_VALIDITY: Final = timedelta(hours=1)
"""Apple refuses those that are older (ExpiredProviderToken)."""

MAX_PAYLOAD_BYTES: Final = 4096
"""Largest JSON body, but for VoIP."""

MAX_VOIP_PAYLOAD_BYTES: Final = 5120

MAX_COLLAPSE_ID_BYTES: Final = 64

TOPIC_SUFFIXES: Final = {
    "alert": "",
    "background": "",
    "location": ".location-query",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "mdm": "",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "widgets": ".push-type.widgets",
    "controls": ".push-type.controls",
}
"""What a push type adds to the bundle id to make the topic; the keys are all push types."""

WRONG_ENVIRONMENT: Final = "BadDeviceToken"
"""The ``Suspect`` reason that a token of Apple's other environment gets: try it there, once."""

OTHER: Final = {
    Environment.PRODUCTION: Environment.SANDBOX,
    Environment.SANDBOX: Environment.PRODUCTION,
}

OUR_FAULTS: Final = frozenset(
    {"BadMessageId", "BadPath", "DuplicateHeaders", "MethodNotAllowed", "MissingDeviceToken"}
)
"""``Rejected`` reasons that no publish can bring about, only a fault of this program."""

_MAX_EXPIRATION: Final = 2**31 - 1
_PRIORITIES: Final = (1, 5, 10)
_BACKGROUND_PRIORITY: Final = 5
_TOO_MANY_REQUESTS_DELAY: Final = timedelta(minutes=1)
"""The limit is per device, and Apple does not say for how long."""


def provider_token(credentials: ApnsCredentials, *, now: datetime) -> str:
    """
    The token that one team's requests carry, good for an hour from ``now``.

    Keep it for ``TOKEN_LIFETIME``, and share it among everything that uses this key.

    Raises:
        ValueError: The credentials' key is not a P-256 private key.
    """
    return jws.sign_es256(
        {"kid": credentials.key_id},
        {"iss": credentials.team_id, "iat": int(now.timestamp())},
        jws.load_p256_private_key(credentials.key),
    )


def problems(message: ApnsMessage) -> list[str]:
    """Why Apple would refuse this message whatever the device; empty if nothing is wrong."""
    limit = MAX_VOIP_PAYLOAD_BYTES if message.push_type == "voip" else MAX_PAYLOAD_BYTES
    size = len(message.payload)
    collapse_id = message.collapse_id
    expiration = message.expiration
    claims = (
        (size == 0, "payload: is empty"),
        (size > limit, f"payload: {size} bytes is more than the {limit} that APNs takes"),
        (message.push_type not in TOPIC_SUFFIXES, "push_type: is not one of APNs's push types"),
        (message.priority not in _PRIORITIES, "priority: must be 1, 5 or 10"),
        (
            message.push_type == "background" and message.priority != _BACKGROUND_PRIORITY,
            "priority: a background push must have priority 5",
        ),
        (
            message.push_type == "pushtotalk" and (message.priority, expiration) != (10, 0),
            "push_type: a push-to-talk push must have priority 10 and expiration 0",
        ),
        (
            collapse_id is not None and not _is_collapse_id(collapse_id),
            f"collapse_id: must be 1 to {MAX_COLLAPSE_ID_BYTES} bytes without control characters",
        ),
        (
            expiration is not None and not 0 <= expiration <= _MAX_EXPIRATION,
            "expiration: must be seconds since the epoch",
        ),
    )
    return [problem for is_wrong, problem in claims if is_wrong]


def home(credentials: ApnsIdentity) -> Environment:
    """The environment that a device is taken to be in until we know better."""
    return next(each for each in Environment if each in environments(credentials))


def environments(credentials: ApnsIdentity) -> frozenset[Environment]:
    """Where these credentials are good; a key of one environment does not tell."""
    if isinstance(credentials, ApnsCertificate):
        return apple_certificate.facts(credentials.certificate).environments
    return frozenset(Environment)


def base(credentials: ApnsIdentity, environment: Environment) -> str:
    """The base URL of one of Apple's two worlds, or what the credentials say stands for it."""
    ours = credentials.endpoint
    if environment is Environment.SANDBOX:
        ours = credentials.sandbox_endpoint or ours
    return (ours or HOSTS[environment]).rstrip("/")


def place(credentials: ApnsIdentity, environment: Environment) -> tuple[str, str]:
    """Origin, and the path up to the device's token, of one of Apple's two worlds."""
    origin, path = http2.split(base(credentials, environment))
    return origin, f"{path.rstrip('/')}/3/device/"


def template(message: ApnsMessage, *, origin: str, topic: str, token: str | None) -> Template:
    """
    What the requests of one publish have in common.

    Args:
        message: One without ``problems``.
        origin: From ``place``.
        topic: From ``topic``.
        token: From ``provider_token``; None if a certificate says who we are.
    """
    headers: list[tuple[str, str | None]] = [
        ("apns-topic", topic),
        ("apns-push-type", message.push_type),
        ("apns-id", None),
        ("apns-priority", str(message.priority)),
    ]
    if token is not None:
        headers.insert(0, ("authorization", f"bearer {token}"))
    if message.expiration is not None:
        headers.append(("apns-expiration", str(message.expiration)))
    if message.collapse_id is not None:
        headers.append(("apns-collapse-id", message.collapse_id))
    return http2.template("POST", origin, None, headers, message.payload)


def values(prefix: str, tokens: Sequence[str], apns_ids: Sequence[bytes]) -> list[Values]:
    """
    What deliveries put into the template.

    Args:
        prefix: From ``place``.
        tokens: The devices'.
        apns_ids: Lower-case UUIDs, the same at every attempt (``model.delivery_ids``).

    Raises:
        ValueError: A token has characters that no path may have.
    """
    # Encoded together: one by one it would take as long as all the rest of sending.
    paths = "\n".join([f"{prefix}{token}" for token in tokens]).encode("ascii").split(b"\n")
    return list(zip(paths, apns_ids, strict=True))


def topic(message: ApnsMessage, bundle_id: str) -> str:
    """The ``apns-topic``: the app's bundle id, and the suffix of the push type."""
    suffix = TOPIC_SUFFIXES.get(message.push_type, "")
    return bundle_id if bundle_id.endswith(suffix) else bundle_id + suffix


def goodbye(said: bytes) -> Outcome | None:
    """
    What the debug data of a GOAWAY means for the requests that Apple did not process.

    Returns:
        ``Refused`` if our credentials or settings are why; None if there is nothing to
        be learnt from it. Never raises.
    """
    reason = read_words(read_object(said).get("reason"))
    known = _OUTCOME_OF.get(reason)
    outcome = None if known is None else known(reason)
    return outcome if isinstance(outcome, Refused) else None


def outcome(response: HttpResponse, *, now: datetime) -> Outcome:
    """
    Say what a reply means for one delivery.

    Args:
        response: The whole reply. A failure's body is a JSON object with ``reason``
            and, on 410, ``timestamp`` in milliseconds since the epoch.
        now: When it came.

    Returns:
        Exactly one outcome; never raises. ``Gone`` needs all three of status 410, a
        reason that we know and a time, and always says ``since`` when: a surprise
        from Apple cannot delete a device.
    """
    if response.status == HTTPStatus.OK:
        return Sent()  # its ``apns-id`` is the one that we sent
    body = read_object(response.body)
    reason = read_words(body.get("reason"))
    if response.status == HTTPStatus.GONE and reason in _GONE:
        since = _instant(body.get("timestamp"), now=now)
        return Suspect(reason) if since is None else Gone(reason, since)
    if known := _OUTCOME_OF.get(reason):
        return known(reason)
    return _outcome_of_status(response, reason or f"HTTP {response.status}", now=now)


def _renew(reason: str) -> Outcome:
    return Interrupted(reason, renew_token=True)


_GONE: Final = frozenset({"Unregistered", "ExpiredToken"})
"""410 reasons. Not BadDeviceToken: a wrong environment says that of every device."""

_OUTCOME_OF: Final[dict[str, Callable[[str], Outcome]]] = {
    # The message, or our way of writing requests.
    "BadCollapseId": Rejected,
    "BadExpirationDate": Rejected,
    "BadMessageId": Rejected,
    "BadPath": Rejected,
    "BadPriority": Rejected,
    "DuplicateHeaders": Rejected,
    "InvalidPushType": Rejected,
    "MethodNotAllowed": Rejected,
    "MissingDeviceToken": Rejected,
    "PayloadEmpty": Rejected,
    "PayloadTooLarge": Rejected,
    # The device's token, or the settings under which it is used.
    "BadDeviceToken": Suspect,
    "DeviceTokenNotForTopic": Suspect,
    # The topic or the key. BadEnvironmentKeyIdInToken is the documented spelling,
    # BadEnvironmentKeyInToken the one that Apple's servers send.
    "BadCertificate": Refused,
    "BadCertificateEnvironment": Refused,
    "BadEnvironmentKeyIdInToken": Refused,
    "BadEnvironmentKeyInToken": Refused,
    "BadTopic": Refused,
    "Forbidden": Refused,
    "InvalidProviderToken": Refused,
    "MissingProviderToken": Refused,
    "MissingTopic": Refused,
    "TooManyProviderTokenUpdates": Refused,
    "TopicDisallowed": Refused,
    # The connection, or the provider token that it was used with.
    "ExpiredProviderToken": _renew,
    "IdleTimeout": Interrupted,
    "Shutdown": Interrupted,
    # Connections are not shared between keys, so if it comes again the key is at fault.
    "UnrelatedKeyIdInToken": _renew,
}
"""What each reason means, except those whose status says all."""


def _outcome_of_status(response: HttpResponse, reason: str, *, now: datetime) -> Outcome:
    """What a reply means when its reason is absent, new to us or adds nothing."""
    delay = retry_after(response, now=now)
    match response.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Unavailable(reason, _TOO_MANY_REQUESTS_DELAY if delay is None else delay)
        case HTTPStatus.GONE:
            return Suspect(reason)
        case HTTPStatus.FORBIDDEN:
            # "There was an error with the certificate or with the provider's
            # authentication token": no message is at fault.
            return Refused(reason)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(reason, delay)
        case status if status >= HTTPStatus.BAD_REQUEST:
            return Rejected(reason)
        case _:
            # APNs neither redirects nor has another success than 200: this is not
            # APNs, so the endpoint setting is wrong.
            return Refused(reason)


def _is_collapse_id(value: str) -> bool:
    return value.isprintable() and 1 <= len(value.encode()) <= MAX_COLLAPSE_ID_BYTES


def _instant(milliseconds: object, *, now: datetime) -> datetime | None:
    """
    An instant from milliseconds since the epoch; None if it is not one.

    Never after ``now``: a device may have registered again since the reply.
    """
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        return None
    try:
        instant = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return min(instant, now)
