"""
A push service for browsers (RFC 8030), with Mozilla's error bodies.

Messages for a virtual browser are decrypted on the spot and count as received. Messages for a
real Firefox stay sealed and are handed to `heliograph.sandbox.firefox`.
"""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import msgspec

from heliograph.sandbox.devices import Device, Devices, Platform
from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted, Connection, Refused, Verdict, plain_fault
from heliograph.sandbox.vapid import BadProofError, Doorkeeper
from heliograph.wire.ece import decrypt
from heliograph.wire.http import HttpResponse

MAX_BODY_BYTES: Final = 4096
"""RFC 8030 §7.2: a service must take a body of 4096 bytes; this one takes no more."""

MAX_TTL_SECONDS: Final = 2_592_000
"""Thirty days, Mozilla's cap; a longer TTL is shortened and the answer says so."""

STREAMS: Final = 128

URGENCIES: Final = frozenset({"very-low", "low", "normal", "high"})

_CHANNEL_PATH: Final = re.compile(r"/push/([A-Za-z0-9_-]+)")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TTL: Final = re.compile(r"[0-9]{1,20}")
_MORE_INFO: Final = "http://autopush.readthedocs.io/en/latest/http.html#error-codes"

Errno = Literal[102, 103, 104, 106, 109, 110, 111, 112, 113, 201, 999]

_ERROR_NAME: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_FAULTS: Final[dict[FaultName, tuple[int, Errno, str]]] = {
    FaultName.UNREGISTERED: (410, 103, "Expired URL endpoint"),
    FaultName.BAD_TOKEN: (404, 102, "Invalid URL endpoint"),
    FaultName.WRONG_SENDER: (401, 109, "VAPID public key mismatch"),
    FaultName.TOO_MANY_REQUESTS: (429, 201, "Too many requests"),
    FaultName.UNAVAILABLE: (503, 201, "Use exponential back-off for retries"),
    FaultName.INTERNAL_ERROR: (500, 999, "Unknown error"),
    FaultName.EXPIRED_CREDENTIALS: (401, 109, "VAPID: exp is missing or past"),
    FaultName.INVALID_CREDENTIALS: (401, 109, "VAPID: the signature does not match"),
    FaultName.PAYLOAD_TOO_LARGE: (413, 104, "Data payload too large"),
}


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message on its way to a browser that keeps its own keys."""

    id: str
    body: bytes
    encoding: str | None
    """None if there is no body."""
    headers: dict[str, str]
    ttl: timedelta
    topic: str | None
    received_at: datetime

    @property
    def expires_at(self) -> datetime:
        """After this instant it must not be shown any more."""
        return self.received_at + self.ttl


class Postman(Protocol):
    """Brings messages to real browsers."""

    def post(self, device: Device, message: SealedMessage) -> None:
        """Take a message for this subscription."""
        ...


class _RefusedPushError(Exception):
    def __init__(self, status: int, errno: Errno, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.errno = errno
        self.message = message


@dataclass(slots=True)
class WebPush:
    """The service: its channels are the web devices of the sandbox."""

    origin: str
    devices: Devices
    inbox: Inbox
    postman: Postman
    gateway: Literal[Gateway.WEB] = Gateway.WEB
    _doorkeeper: Doorkeeper = field(init=False)

    def __post_init__(self) -> None:
        self._doorkeeper = Doorkeeper(self.origin)

    def opening_streams(self, _connection: Connection) -> int:
        """Always `STREAMS`."""
        return STREAMS

    def earned_streams(self, _connection: Connection) -> int:
        """Always `STREAMS`."""
        return STREAMS

    def check(self, request: Request, _connection: Connection, now: datetime) -> Verdict:
        """Judge a push: the endpoint, its headers, the body, then who sends it."""
        try:
            device = self._subscription(request)
            message = _message(request, now)
            sender = self._sender(request, device, now)
        except _RefusedPushError as refusal:
            response = _error(refusal.status, refusal.errno, refusal.message)
            return Refused(self.gateway, response, f"{refusal.status} errno {refusal.errno}")
        return self._acceptance(device, message, sender)

    def fault_response(
        self, _gateway: Gateway, fault: Fault, _request: Request, _now: datetime
    ) -> HttpResponse:
        """Mozilla's answer when this goes wrong."""
        if plain := plain_fault(fault):
            return plain
        if fault.fault is FaultName.ANSWER:
            return _error(fault.status or 500, 999, fault.reason or "Unknown error")
        status, errno, message = _FAULTS[fault.fault]
        return _error(status, errno, fault.reason or message)

    def _subscription(self, request: Request) -> Device:
        path = _CHANNEL_PATH.fullmatch(request.path)
        device = self.devices.get(Platform.WEB, path[1]) if path else None
        if device is None:
            raise _RefusedPushError(404, 102, "Invalid URL endpoint")
        if request.method != "POST":
            raise _RefusedPushError(405, 999, "Method not allowed")
        if device.gone_since is not None:
            raise _RefusedPushError(410, 106, "Invalid subscription")
        return device

    def _sender(self, request: Request, device: Device, now: datetime) -> bytes:
        """RFC 8292 §4.2: a subscription takes messages of one key only."""
        try:
            sender = self._doorkeeper.sender(request.header("authorization"), now)
        except BadProofError as error:
            raise _RefusedPushError(401, 109, str(error)) from error
        if device.server_key not in {None, sender}:
            raise _RefusedPushError(401, 109, "VAPID public key mismatch")
        return sender

    def _acceptance(self, device: Device, message: SealedMessage, sender: bytes) -> Accepted:
        def deliver() -> None:
            device.server_key = sender
            if device.browser_keys is None:
                self.postman.post(device, message)
            else:
                self._open(device, message)

        location = f"{self.origin}/message/{message.id}"
        ttl = str(int(message.ttl.total_seconds()))
        response = HttpResponse(201, (("location", location), ("ttl", ttl)))
        return Accepted(self.gateway, response, deliver, device.names)

    def _open(self, device: Device, message: SealedMessage) -> None:
        """A virtual browser reads the message."""
        payload, note = _unsealed(device, message)
        self.inbox.record(
            device, headers=message.headers, payload=payload, now=message.received_at, note=note
        )


def _message(request: Request, now: datetime) -> SealedMessage:
    ttl = _ttl_seconds(request)
    _check_urgency(request)
    topic = _topic(request)
    if len(request.body) > MAX_BODY_BYTES:
        raise _RefusedPushError(413, 104, "Data payload too large")
    return SealedMessage(
        id=secrets.token_urlsafe(18),
        body=request.body,
        encoding=_encoding(request),
        headers=request.headers_without_secrets(),
        ttl=timedelta(seconds=ttl),
        topic=topic,
        received_at=now,
    )


def _ttl_seconds(request: Request) -> int:
    """RFC 8030 §5.2."""
    ttl = request.header("ttl")
    if ttl is None:
        raise _RefusedPushError(400, 111, "Missing TTL Header")
    if not _TTL.fullmatch(ttl):
        raise _RefusedPushError(400, 112, "Invalid TTL header value")
    return min(int(ttl), MAX_TTL_SECONDS)


def _check_urgency(request: Request) -> None:
    """RFC 8030 §5.3: at most one, and one of four."""
    urgency = request.headers_named("urgency")
    if len(urgency) > 1 or not URGENCIES.issuperset(urgency):
        raise _RefusedPushError(400, 111, "Invalid Urgency header value")


def _topic(request: Request) -> str | None:
    """RFC 8030 §5.4."""
    topic = request.headers_named("topic")
    if len(topic) > 1 or not all(_TOPIC.fullmatch(each) for each in topic):
        raise _RefusedPushError(400, 113, "Invalid Topic header value")
    return topic[0] if topic else None


def _encoding(request: Request) -> str | None:
    """RFC 8291 §4; a push without a body needs none."""
    if not request.body:
        return None
    encoding = request.header("content-encoding")
    if encoding is None:
        raise _RefusedPushError(400, 111, "Missing Crypto Headers: Content-Encoding")
    if encoding != "aes128gcm":
        raise _RefusedPushError(400, 110, "Content-Encoding must be aes128gcm")
    return encoding


def _unsealed(device: Device, message: SealedMessage) -> tuple[object, str | None]:
    """The payload, and why there is none if it could not be read."""
    keys = device.browser_keys
    if keys is None or not message.body:
        return None, None
    try:
        text = decrypt(message.body, private_key=keys.private_key, auth=keys.auth)
    except ValueError as error:
        return None, f"could not be decrypted: {error}"
    try:
        return msgspec.json.decode(text), None
    except msgspec.DecodeError:
        return text.decode("utf-8", "replace"), None


def _error(status: int, errno: int, message: str) -> HttpResponse:
    body = {
        "code": status,
        "errno": errno,
        "error": _ERROR_NAME.get(status, "Error"),
        "message": message,
        "more_info": _MORE_INFO,
    }
    headers = (("content-type", "application/json"),)
    return HttpResponse(status, headers, msgspec.json.encode(body))
