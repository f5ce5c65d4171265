"""
Apple's push service, as far as a server can decide by itself.

Source: "Sending notification requests to APNs" and "Handling notification responses from APNs".
Apple does not document in which order it looks; the checks run in the order of Pushy's mock server.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, NewType
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.sandbox.devices import AppleEnvironment, Device, Devices, Platform
from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.provider_certificate import Provider, read
from heliograph.sandbox.scenario import Fault, FaultName, Scenario
from heliograph.sandbox.session import (
    Accepted,
    Connection,
    Refused,
    Verdict,
    milliseconds,
    plain_fault,
)
from heliograph.sandbox.signed_token import BadTokenError, SignedToken
from heliograph.wire.http import HttpResponse

Reason = NewType("Reason", str)
"""Apple's word for why a request was refused."""

STATUS_OF: Final[dict[str, int]] = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "ExpiredProviderToken": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
}
"""The reasons this service finds by itself; a scenario may name any other."""

MAX_PAYLOAD_BYTES: Final = 4096
MAX_VOIP_PAYLOAD_BYTES: Final = 5120
MAX_COLLAPSE_ID_BYTES: Final = 64
MAX_TOKEN_AGE: Final = timedelta(hours=1)
MIN_TOKEN_LIFE: Final = timedelta(minutes=20)
CLOCK_LEEWAY: Final = timedelta(minutes=1)
"""How far ahead a sender's clock may run. Apple does not say; a minute is kind."""

STREAMS: Final = 1000
"""Streams per connection once a valid provider token was seen."""

TOPIC_SUFFIX: Final = {
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
"""What a push type adds to the app's bundle id to make the topic."""

_FAULT_REASONS: Final[dict[FaultName, tuple[int, str]]] = {
    FaultName.BAD_TOKEN: (400, "BadDeviceToken"),
    FaultName.WRONG_SENDER: (400, "DeviceTokenNotForTopic"),
    FaultName.TOO_MANY_REQUESTS: (429, "TooManyRequests"),
    FaultName.UNAVAILABLE: (503, "ServiceUnavailable"),
    FaultName.INTERNAL_ERROR: (500, "InternalServerError"),
    FaultName.EXPIRED_CREDENTIALS: (403, "ExpiredProviderToken"),
    FaultName.INVALID_CREDENTIALS: (403, "InvalidProviderToken"),
    FaultName.PAYLOAD_TOO_LARGE: (413, "PayloadTooLarge"),
}

_ONCE_ONLY: Final = frozenset(
    {
        "authorization",
        "apns-id",
        "apns-topic",
        "apns-collapse-id",
        "apns-priority",
        "apns-push-type",
        "apns-expiration",
    }
)
_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BUNDLE_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,255}")
_DEVICE_TOKEN: Final = re.compile(r"([0-9a-f]{2})+")
_DEVICE_PATH: Final = "/3/device/"
_MAX_EXPIRATION_DIGITS: Final = 12
_KNOWN_TOKENS_KEPT: Final = 256


@dataclass(slots=True)
class Apns:
    """
    The service in one environment.

    It knows one team's key, certificates of the sandbox's authority, and those devices
    whose tokens are of this environment.
    """

    team_id: str
    key_id: str
    public_key: ec.EllipticCurvePublicKey
    devices: Devices
    inbox: Inbox
    scenario: Scenario
    environment: AppleEnvironment = AppleEnvironment.PRODUCTION
    gateway: Literal[Gateway.APNS] = Gateway.APNS
    _issued_at: dict[str, datetime] = field(default_factory=dict)
    """When the provider tokens of which the signature was found good were issued."""
    _newest_token: tuple[str, datetime] | None = None
    """The provider token in use, and when it was first seen."""

    def opening_streams(self, connection: Connection) -> int:
        """One until a valid provider token, unless there is a certificate or a kind scenario."""
        is_unknown = connection.certificate is None
        return 1 if is_unknown and self.scenario.plan.apns_starts_with_one_stream else STREAMS

    def earned_streams(self, connection: Connection) -> int:
        """A thousand, once a valid provider token came over this connection."""
        return STREAMS if connection.key_id is not None else self.opening_streams(connection)

    def check(self, request: Request, connection: Connection, now: datetime) -> Verdict:
        """
        Judge a request, in the order of Pushy's mock server.

        That server knows no device that does not exist. For us such a one comes after
        the provider token, as it does at Apple's: a key can be tried without a device.
        A token of the other environment belongs to none.
        """
        device = self.devices.get(Platform.APNS, _token_in(request.path))
        if device is not None and device.environment is not self.environment:
            device = None
        payload = _json_object(request.body)
        provider = None if connection.certificate is None else read(connection.certificate)
        meant = request if provider is None else _with_topic(request, provider)
        reason = (
            _reason_in_headers(meant)
            or _reason_in_path(meant, device)
            or self._reason_in_provider(meant, provider, connection, now)
            or (Reason("BadDeviceToken") if device is None else None)
            or _reason_in_body(request, payload)
        )
        if reason is not None or device is None:
            return self._refusal(reason or Reason("BadDeviceToken"), request, device)
        return self._acceptance(request, device, payload, now)

    def fault_response(
        self, _gateway: Gateway, fault: Fault, request: Request, now: datetime
    ) -> HttpResponse:
        """Apple's answer when this goes wrong."""
        if plain := plain_fault(fault):
            return plain
        if fault.fault is FaultName.UNREGISTERED:
            since = milliseconds(now, ago_seconds=fault.age_seconds or 0)
            return _error(410, "Unregistered", request, timestamp=since)
        if fault.fault is FaultName.ANSWER:
            return _error(fault.status or 500, fault.reason, request)
        status, reason = _FAULT_REASONS[fault.fault]
        return _error(status, fault.reason or reason, request)

    def _refusal(self, reason: Reason, request: Request, device: Device | None) -> Refused:
        since = device.gone_since if device is not None else None
        timestamp = milliseconds(since) if since and reason == "Unregistered" else None
        response = _error(STATUS_OF[reason], reason, request, timestamp=timestamp)
        return Refused(self.gateway, response, reason)

    def _acceptance(
        self, request: Request, device: Device, payload: object, now: datetime
    ) -> Accepted:
        def deliver() -> None:
            self.inbox.record(
                device, headers=request.headers_without_secrets(), payload=payload, now=now
            )

        headers = (("apns-id", _apns_id(request)), ("apns-unique-id", str(uuid4())))
        return Accepted(self.gateway, HttpResponse(200, headers), deliver, device.names)

    def _reason_in_provider(
        self, request: Request, provider: Provider | None, connection: Connection, now: datetime
    ) -> Reason | None:
        """A certificate is proof enough: the authorization beside it is not even read."""
        if provider is None:
            return self._reason_in_authorization(request, connection, now)
        if not provider.topics:
            return Reason("BadCertificate")
        if self.environment not in provider.environments:
            return Reason("BadCertificateEnvironment")
        is_its_own = request.header("apns-topic") in provider.topics
        return None if is_its_own else Reason("TopicDisallowed")

    def _reason_in_authorization(
        self, request: Request, connection: Connection, now: datetime
    ) -> Reason | None:
        scheme, _, text = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return Reason("MissingProviderToken")
        try:
            issued_at = self._issued_at.get(text) or self._verified(text, connection)
        except _RefusedTokenError as refusal:
            return refusal.reason
        reason = _reason_in_age(now - issued_at)
        if reason is None and self._changes_too_often(text, now):
            reason = Reason("TooManyProviderTokenUpdates")
        if reason is None:
            connection.key_id = self.key_id
        return reason

    def _verified(self, text: str, connection: Connection) -> datetime:
        """When a token that is truly of this team and key was issued; raises otherwise."""
        try:
            token = SignedToken.parse(text)
            if token.header.get("kid") != self.key_id and connection.key_id is not None:
                raise _RefusedTokenError("UnrelatedKeyIdInToken")
            token.verify_es256(self.public_key)
            moment = _EPOCH + timedelta(seconds=token.number("iat") or 0)
        except (BadTokenError, OverflowError):
            raise _RefusedTokenError("InvalidProviderToken") from None
        if (token.header.get("kid"), token.claims.get("iss")) != (self.key_id, self.team_id):
            raise _RefusedTokenError("InvalidProviderToken")
        if len(self._issued_at) >= _KNOWN_TOKENS_KEPT:
            self._issued_at.clear()
        self._issued_at[text] = moment
        return moment

    def _changes_too_often(self, text: str, now: datetime) -> bool:
        newest, first_seen_at = self._newest_token or ("", _EPOCH)
        if newest == text:
            return False
        if self.scenario.plan.apns_limits_token_updates and now - first_seen_at < MIN_TOKEN_LIFE:
            return True
        self._newest_token = (text, now)
        return False


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class _RefusedTokenError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = Reason(reason)


def _with_topic(request: Request, provider: Provider) -> Request:
    """A certificate for one topic says it for the request that does not."""
    if provider.lists_topics or not provider.topics or request.header("apns-topic"):
        return request
    return replace(request, headers=(*request.headers, ("apns-topic", provider.topics[0])))


def _reason_in_headers(request: Request) -> Reason | None:
    if any(len(request.headers_named(name)) > 1 for name in _ONCE_ONLY):
        return Reason("DuplicateHeaders")
    apns_id = request.header("apns-id")
    if apns_id is not None and not _CANONICAL_UUID.fullmatch(apns_id):
        return Reason("BadMessageId")
    if request.method != "POST":
        return Reason("MethodNotAllowed")
    topic = request.header("apns-topic")
    if not topic:
        return Reason("MissingTopic")
    if not _BUNDLE_ID.fullmatch(topic):
        return Reason("BadTopic")
    if len((request.header("apns-collapse-id") or "").encode()) > MAX_COLLAPSE_ID_BYTES:
        return Reason("BadCollapseId")
    expiration = request.header("apns-expiration") or "0"
    if not (expiration.isascii() and expiration.isdigit()):
        return Reason("BadExpirationDate")
    if len(expiration) > _MAX_EXPIRATION_DIGITS:
        return Reason("BadExpirationDate")
    return _reason_in_kind(request)


def _reason_in_kind(request: Request) -> Reason | None:
    priority = request.header("apns-priority")
    push_type = request.header("apns-push-type")
    if priority not in {None, "1", "5", "10"}:
        return Reason("BadPriority")
    if push_type == "background" and priority == "10":
        return Reason("BadPriority")
    if push_type is not None and push_type not in TOPIC_SUFFIX:
        return Reason("InvalidPushType")
    return None


def _reason_in_age(age: timedelta) -> Reason | None:
    """A token without an issue time counts as issued at the epoch."""
    if age > MAX_TOKEN_AGE:
        return Reason("ExpiredProviderToken")
    return Reason("InvalidProviderToken") if -age > CLOCK_LEEWAY else None


def _reason_in_path(request: Request, device: Device | None) -> Reason | None:
    if request.path in {_DEVICE_PATH, _DEVICE_PATH.rstrip("/")}:
        return Reason("MissingDeviceToken")
    if not request.path.startswith(_DEVICE_PATH):
        return Reason("BadPath")
    if not _DEVICE_TOKEN.fullmatch(_token_in(request.path)):
        return Reason("BadDeviceToken")
    if device is None:
        return None
    if device.gone_since is not None:
        return Reason("Unregistered")
    suffix = TOPIC_SUFFIX[request.header("apns-push-type") or "alert"]
    if request.header("apns-topic") != f"{device.topic}{suffix}":
        return Reason("DeviceTokenNotForTopic")
    return None


def _reason_in_body(request: Request, payload: object) -> Reason | None:
    voip = request.header("apns-push-type") == "voip"
    if not request.body:
        return Reason("PayloadEmpty")
    if len(request.body) > (MAX_VOIP_PAYLOAD_BYTES if voip else MAX_PAYLOAD_BYTES):
        return Reason("PayloadTooLarge")
    if payload is None:
        return Reason("PayloadEmpty")
    return None


def _token_in(path: str) -> str:
    return path.removeprefix(_DEVICE_PATH).lower()


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        return None


def _apns_id(request: Request) -> str:
    """The sender's id; else a new one, in upper case as Apple's are."""
    given = request.header("apns-id")
    if given is not None and _CANONICAL_UUID.fullmatch(given):
        return given
    return str(uuid4()).upper()


def _error(
    status: int, reason: str | None, request: Request, *, timestamp: int | None = None
) -> HttpResponse:
    headers = (("apns-id", _apns_id(request)),)
    if reason is None:
        return HttpResponse(status, headers)
    body: dict[str, object] = {"reason": reason}
    if timestamp is not None:
        body["timestamp"] = timestamp
    return HttpResponse(status, headers, msgspec.json.encode(body))
