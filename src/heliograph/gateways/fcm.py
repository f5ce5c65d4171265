"""
Firebase Cloud Messaging, HTTP v1.

What to send: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
What the replies mean: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
Access tokens: https://developers.google.com/identity/protocols/oauth2/service-account
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

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
from heliograph.model import FcmCredentials, FcmMessage, ServiceAccount
from heliograph.wire import http2, jws
from heliograph.wire.http import HttpRequest, HttpResponse, retry_after
from heliograph.wire.http2 import Template, Values

ENDPOINT: Final = "https://fcm.googleapis.com"

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"

ASSERTION_LIFETIME: Final = timedelta(hours=1)
"""The longest that Google takes; it is exchanged at once."""

MAX_PAYLOAD_BYTES: Final = 4096
"""Largest sum of the keys and values of ``data``."""

MAX_TTL_SECONDS: Final = 2_419_200
"""Four weeks, which is also what FCM assumes when not told."""

_QUOTA_DELAY: Final = timedelta(seconds=60)
_SERVER_ERROR_DELAY: Final = timedelta(seconds=10)
_BAD_GATEWAY_DELAY: Final = timedelta(seconds=30)
"""
Waits when the reply names none:
https://firebase.google.com/docs/cloud-messaging/scale-fcm#handling-retries
"""

_ASSUMED_LIFETIME: Final = timedelta(minutes=5)
"""For an access token that does not say when it expires; Google's last an hour."""

_MAX_LIFETIME_SECONDS: Final = 86_400

_OK: Final = 200
_SENT: Final = Sent()
"""As constants: there is one for every device."""

_TARGETS: Final = ("token", "topic", "condition")
_RESERVED_DATA_KEYS: Final = re.compile(r"from|message_type|gcm.*|google.*", re.DOTALL)
_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a bearer token is made of (RFC 6750 §2.1)."""


# --- access tokens -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What Google gave for an assertion."""

    value: str = field(repr=False)
    expires_at: datetime


def assertion(account: ServiceAccount, *, now: datetime) -> str:
    """
    The signed claim that is exchanged for an access token, good for an hour.

    Raises:
        ValueError: The account's key is not an RSA private key.
    """
    return jws.sign_rs256(
        {"typ": "JWT", "kid": account.private_key_id},
        {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LIFETIME).timestamp()),
        },
        jws.load_rsa_private_key(account.private_key),
    )


def token_request(account: ServiceAccount, *, now: datetime) -> HttpRequest:
    """
    The request for an access token (RFC 7523 §2.1).

    Raises:
        ValueError: The account's key is not an RSA private key.
    """
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion(account, now=now),
    }
    headers = (("content-type", "application/x-www-form-urlencoded"),)
    return HttpRequest("POST", account.token_uri, headers, urlencode(form).encode())


def read_token(response: HttpResponse, *, now: datetime) -> AccessToken | Outcome:
    """
    The access token in a reply, or why there is none.

    Returns:
        An outcome is ``Refused`` (a wrong key, account, address or clock) or
        ``Unavailable``. Never raises.
    """
    body = read_object(response.body)
    if response.status == HTTPStatus.OK:
        value = body.get("access_token")
        if isinstance(value, str) and _BEARER.fullmatch(value):
            return AccessToken(value, now + _lifetime(body.get("expires_in")))
        return Unavailable("unreadable token reply")
    reason = f"token endpoint: {read_words(body.get('error')) or f'HTTP {response.status}'}"
    if _is_passing(response.status):
        return Unavailable(reason, retry_after(response, now=now))
    return Refused(reason)


def _lifetime(seconds: object) -> timedelta:
    if isinstance(seconds, int) and 0 < seconds <= _MAX_LIFETIME_SECONDS:
        return timedelta(seconds=seconds)
    return _ASSUMED_LIFETIME


# --- messages ------------------------------------------------------------------------


def problems(message: FcmMessage) -> list[str]:
    """Why FCM would refuse this message whatever the device; empty if nothing is wrong."""
    try:
        content = msgspec.json.decode(message.message, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ["message: is not a JSON object"]
    found = [f"message: already has a {target}" for target in _TARGETS if target in content]
    if message.ttl_seconds is not None and not 0 <= message.ttl_seconds <= MAX_TTL_SECONDS:
        found.append(f"ttl_seconds: must be 0 to {MAX_TTL_SECONDS}")
    found += _data_problems(content.get("data", {}))
    size = sum(len(text.encode()) for part in _counted(content) for text in _strings(part))
    if size > MAX_PAYLOAD_BYTES:
        found.append(f"message: {size} bytes is more than the {MAX_PAYLOAD_BYTES} FCM takes")
    return found


def template(message: FcmMessage, *, credentials: FcmCredentials, token: str) -> Template:
    """
    What the requests of one publish have in common; nothing of the message is parsed.

    Args:
        message: One without ``problems``.
        credentials: Their ``endpoint``, if set, stands for Google's.
        token: An access token's value.
    """
    origin, path = http2.split((credentials.endpoint or ENDPOINT).rstrip("/"))
    project = quote(credentials.service_account.project_id, safe="")
    headers = (("authorization", f"Bearer {token}"), ("content-type", "application/json"))
    members = message.message.strip()[1:].lstrip()
    comma = b"" if members == b"}" else b","
    return http2.template(
        "POST",
        origin,
        f"{path.rstrip('/')}/v1/projects/{project}/messages:send",
        headers,
        (b'{"message":{"token":', b"%b%b}" % (comma, members)),
    )


def values(tokens: Sequence[str]) -> list[Values]:
    """
    What deliveries put into the template: the target, in front of the first member.

    Raises:
        ValueError: A token is no text that JSON can have.
    """
    quoted = msgspec.json.encode(tokens)[1:-1].split(b",")
    if len(quoted) != len(tokens):  # a comma in one of them
        quoted = [msgspec.json.encode(token) for token in tokens]
    return [(each,) for each in quoted]


def aged(message: FcmMessage, age: timedelta) -> FcmMessage:
    """The message as it is to be sent later: FCM is to keep it for what is left of its TTL."""
    seconds = int(age.total_seconds())
    if message.ttl_seconds is None or seconds <= 0:
        return message
    left = max(message.ttl_seconds - seconds, 0)
    content = msgspec.json.decode(message.message, type=dict[str, Any])
    content["android"] = {**content.get("android", {}), "ttl": f"{left}s"}
    return FcmMessage(msgspec.json.encode(content), left)


def outcome(response: HttpResponse, *, now: datetime) -> Outcome:
    """
    Say what a reply means for one delivery.

    The detail of type ``FcmError`` decides, then ``status``, then HTTP's own status:
    one HTTP status stands for faults as different as a dead device and a bad message.

    Args:
        response: The whole reply. A failure's body is a ``google.rpc.Status``.
        now: When it came, for a ``retry-after`` that is a date.

    Returns:
        Exactly one outcome; never raises. ``Gone`` only for a failure of the
        caller's kind (4xx) with a detail that we know.
    """
    if response.status == _OK:
        return _SENT  # the message's name in the body is good for nothing that Google offers
    error = _Error.read(read_object(response.body))
    if _is_callers_fault(response.status) and (decided := _outcome_of_detail(error)):
        return decided
    return _outcome_of_status(response, error, now=now)


def _data_problems(data: object) -> list[str]:
    if not isinstance(data, dict):
        return ["message.data: is not an object"]
    found = [
        f"message.data: the key {key!r} is reserved by FCM"
        for key in data
        if _RESERVED_DATA_KEYS.fullmatch(key)
    ]
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) < len(data):
        found.append("message.data: every value must be a string")
    return found


def _counted(content: Mapping[str, object]) -> Iterator[object]:
    """The parts of a message whose bytes Google counts: data and notifications."""
    yield content.get("data")
    yield content.get("notification")
    android = content.get("android")
    if isinstance(android, dict):
        yield android.get("data")
        yield android.get("notification")


def _strings(value: object) -> Iterator[str]:
    """Every name and every text in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for child in value.values():
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)


# --- failures ------------------------------------------------------------------------

_TYPE: Final = "type.googleapis.com/google."
_FCM_ERROR: Final = _TYPE + "firebase.fcm.v1.FcmError"
_APNS_ERROR: Final = _TYPE + "firebase.fcm.v1.ApnsError"
_BAD_REQUEST: Final = _TYPE + "rpc.BadRequest"
_QUOTA_FAILURE: Final = _TYPE + "rpc.QuotaFailure"

_BAD_TOKEN: Final = "The registration token is not a valid FCM registration token"  # noqa: S105
_FIELD: Final = re.compile(r"message(\.[a-z_]{1,30}|\[\d{1,4}\]){0,8}")
"""The path of a field, in a form that has no room for a token."""

_HTTP_OF: Final = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "QUOTA_EXCEEDED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
"""The HTTP status that a code or ``status`` stands for (google/rpc/code.proto)."""


@dataclass(frozen=True, slots=True)
class _Error:
    """What we use of a ``google.rpc.Status``; what is absent or odd is empty."""

    code: str = ""
    """``errorCode`` of the ``FcmError`` detail."""
    status: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()
    """The fields that ``BadRequest`` complains of."""
    is_apns_unregistered: bool = False
    """Whether APNs itself, behind FCM, has disowned the device."""
    is_of_project: bool = False
    """Whether it is the whole project's quota that is used up, and not one device's."""

    @property
    def reason(self) -> str:
        return self.code or self.status

    @classmethod
    def read(cls, body: dict[str, object]) -> "_Error":
        error = body.get("error")
        if not isinstance(error, dict):
            return cls()
        details = [detail for detail in _items(error.get("details")) if isinstance(detail, dict)]
        message = error.get("message")
        return cls(
            code=next(_texts(details, _FCM_ERROR, "errorCode"), ""),
            status=read_words(error.get("status")),
            message=message if isinstance(message, str) else "",
            fields=tuple(_violations(details, _BAD_REQUEST, "field")),
            is_apns_unregistered=any(
                detail.get("statusCode") == HTTPStatus.GONE
                and detail.get("reason") == "Unregistered"
                for detail in details
                if detail.get("@type") == _APNS_ERROR
            ),
            is_of_project=any(
                subject.startswith("project")  # "project:…" (google/rpc/error_details.proto)
                for subject in _violations(details, _QUOTA_FAILURE, "subject")
            ),
        )


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _texts(details: list[dict[str, object]], kind: str, name: str) -> Iterator[str]:
    for detail in details:
        if detail.get("@type") == kind and (text := read_words(detail.get(name))):
            yield text


def _violations(details: list[dict[str, object]], kind: str, name: str) -> Iterator[str]:
    """What ``BadRequest`` or ``QuotaFailure`` complains of."""
    for detail in details:
        if detail.get("@type") == kind:
            for violation in _items(detail.get("fieldViolations") or detail.get("violations")):
                if isinstance(violation, dict):
                    yield str(violation.get(name, ""))


def _outcome_of_detail(error: _Error) -> Outcome | None:
    """What a 4xx means by its ``FcmError`` code; None if that does not decide it."""
    if error.is_apns_unregistered:
        return Gone("ApnsError Unregistered")
    match error.code:
        case "UNREGISTERED":
            return Gone(error.code)
        case "SENDER_ID_MISMATCH":
            return Suspect(error.code)
        case "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR":
            # Firebase's own key for Apple or for browsers: our access token is fine.
            return Refused(error.code)
        case "INVALID_ARGUMENT" if _blames_the_token(error):
            return Gone(f"{error.code} (message.token)")
        case _:
            return None


def _blames_the_token(error: _Error) -> bool:
    """Whether the device's token, and nothing else, is what FCM cannot read."""
    if error.fields:
        return set(error.fields) == {"message.token"}
    return error.message.startswith(_BAD_TOKEN)


def _outcome_of_status(response: HttpResponse, error: _Error, *, now: datetime) -> Outcome:
    """What a reply means by its class, where no detail told more."""
    reason = error.reason or f"HTTP {response.status}"
    http = _http_class(response, error)
    if _is_passing(http):
        return Unavailable(reason, _delay(response, http, now=now), is_for_all=error.is_of_project)
    match http:
        case 401:
            return Interrupted(reason, renew_token=True)
        case 403 | 404:
            return Refused(reason)
        case _ if _is_callers_fault(http):
            if not error.code and _blames_the_token(error):
                # A detail is missing, so the device is kept; but its siblings may
                # well take the message.
                return Suspect(reason)
            return Rejected(_with_field(reason, error.fields))
        case _:
            # FCM neither redirects nor has another success than 200: this is not
            # FCM, so the endpoint setting is wrong.
            return Refused(reason)


def _is_passing(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _is_callers_fault(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _http_class(response: HttpResponse, error: _Error) -> int:
    """The status to go by: a 4xx's own words may be more exact than its number."""
    if not _is_callers_fault(response.status):
        return response.status
    return _HTTP_OF.get(error.code) or _HTTP_OF.get(error.status) or response.status


def _delay(response: HttpResponse, http: int, *, now: datetime) -> timedelta:
    told = retry_after(response, now=now)
    if told is not None:
        return told
    match http:
        case 429:
            return _QUOTA_DELAY
        case 502 | 504:
            return _BAD_GATEWAY_DELAY
        case _:
            return _SERVER_ERROR_DELAY


def _with_field(reason: str, fields: tuple[str, ...]) -> str:
    named = next((name for name in fields if _FIELD.fullmatch(name)), None)
    return reason if named is None else f"{reason} ({named})"
