import json
from datetime import timedelta
from typing import Any  # parametrized keyword arguments of different types

import pytest

from heliograph.sandbox.devices import Device, Devices, Platform
from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted, Connection
from heliograph.sandbox.webpush import SealedMessage, WebPush
from heliograph.wire.http import HttpResponse
from sandbox.senders import NOW, VapidSender, sealed

ORIGIN = "https://push.example:8443"


class Postbag:
    """A postman that keeps what it is given."""

    def __init__(self) -> None:
        self.posted: list[tuple[Device, SealedMessage]] = []

    def post(self, device: Device, message: SealedMessage) -> None:
        self.posted.append((device, message))


class PushService:
    """The service with one virtual browser and one sender."""

    def __init__(self) -> None:
        self.devices = Devices(webpush_origin=ORIGIN)
        self.inbox = Inbox()
        self.postbag = Postbag()
        self.device = self.devices.mint(Platform.WEB, now=NOW)
        self.sender = VapidSender(ORIGIN)
        self.service = WebPush(ORIGIN, self.devices, self.inbox, self.postbag)

    def request(
        self,
        *,
        device: Device | None = None,
        method: str = "POST",
        path: str | None = None,
        body: bytes | None = None,
        extra: tuple[tuple[str, str], ...] = (),
        **headers: str | None,
    ) -> Request:
        target = device or self.device
        good: dict[str, str | None] = {**self.sender.headers()}
        good.update({name.replace("_", "-"): value for name, value in headers.items()})
        given = tuple((name, value) for name, value in good.items() if value is not None)
        content = body if body is not None else sealed(self.device, {"title": "Hello"})
        return Request(method, path or f"/push/{target.key}", given + extra, content)

    def answer(self, request: Request) -> HttpResponse:
        verdict = self.service.check(request, Connection(), NOW)
        if isinstance(verdict, Accepted):
            verdict.deliver()
        return verdict.response


@pytest.fixture
def push_service() -> PushService:
    return PushService()


def error_of(response: HttpResponse) -> tuple[int, int]:
    body = json.loads(response.body)
    assert {"code", "errno", "error", "message", "more_info"} == set(body)
    assert response.status == body["code"]
    return response.status, body["errno"]


def test_accepted_push_has_a_location(push_service: PushService) -> None:
    """A push is answered 201, with a place for the message and the TTL that holds."""
    response = push_service.answer(push_service.request())

    assert (201, b"") == (response.status, response.body)
    assert (response.header("location") or "").startswith(f"{ORIGIN}/message/")
    assert "60" == response.header("ttl")


def test_long_ttl_is_shortened(push_service: PushService) -> None:
    """More than thirty days are cut to thirty days, and the answer says so."""
    response = push_service.answer(push_service.request(ttl="9999999999999"))

    assert (201, "2592000") == (response.status, response.header("ttl"))


def test_virtual_browser_reads_the_message(push_service: PushService) -> None:
    """The payload is decrypted with the browser's key and shown as JSON."""
    push_service.answer(push_service.request())

    (entry,) = push_service.inbox.entries(push_service.device)
    shown = entry.read()
    assert {"title": "Hello"} == shown["payload"]
    assert push_service.device.token == shown["token"]
    assert {"ttl": "60", "content-encoding": "aes128gcm", "authorization": "vapid"} == shown[
        "headers"
    ]


def test_text_that_is_no_json_stays_text(push_service: PushService) -> None:
    """A payload need not be JSON."""
    body = sealed(push_service.device, b"just words")
    push_service.answer(push_service.request(body=body))

    (entry,) = push_service.inbox.entries()
    assert "just words" == entry.read()["payload"]


def test_unreadable_message_is_accepted_and_noted(push_service: PushService) -> None:
    """A service cannot see that a message is for another key; its browser finds out."""
    other = push_service.devices.mint(Platform.WEB, now=NOW)
    response = push_service.answer(push_service.request(body=sealed(other, {})))

    (entry,) = push_service.inbox.entries()
    shown = entry.read()
    assert 201 == response.status
    assert shown["payload"] is None
    assert "could not be decrypted" in str(shown["note"])


def test_push_without_a_body(push_service: PushService) -> None:
    """A push may be a mere knock on the door, which needs no encoding."""
    request = push_service.request(body=b"", content_encoding=None)

    assert 201 == push_service.answer(request).status


@pytest.mark.parametrize(
    "headers,error",
    [
        ({"ttl": None}, (400, 111)),
        ({"ttl": "soon"}, (400, 112)),
        ({"ttl": "-1"}, (400, 112)),
        ({"ttl": ""}, (400, 112)),
        ({"urgency": "extreme"}, (400, 111)),
        ({"topic": "x" * 33}, (400, 113)),
        ({"topic": "a b"}, (400, 113)),
        ({"topic": ""}, (400, 113)),
        ({"content_encoding": None}, (400, 111)),
        ({"content_encoding": "aesgcm"}, (400, 110)),
        ({"authorization": None}, (401, 109)),
    ],
)
def test_headers(
    push_service: PushService, headers: dict[str, Any], error: tuple[int, int]
) -> None:
    """A wrong header is refused with Mozilla's number for it."""
    request = push_service.request(method="POST", path=None, body=None, **headers)

    assert error == error_of(push_service.answer(request))


@pytest.mark.parametrize("urgency", ["very-low", "low", "normal", "high"])
def test_urgencies(push_service: PushService, urgency: str) -> None:
    """There are four urgencies."""
    assert 201 == push_service.answer(push_service.request(urgency=urgency)).status


def test_two_urgencies_are_refused(push_service: PushService) -> None:
    """More than one urgency is no urgency (RFC 8030 §5.3)."""
    request = push_service.request(extra=(("urgency", "low"), ("urgency", "high")))

    assert (400, 111) == error_of(push_service.answer(request))


def test_size_limit(push_service: PushService) -> None:
    """A body of 4096 bytes must be taken; a longer one is not."""
    assert 201 == push_service.answer(push_service.request(body=b"x" * 4096)).status
    response = push_service.answer(push_service.request(body=b"x" * 4097))
    assert (413, 104) == error_of(response)


@pytest.mark.parametrize("path", ["/push/unknown", "/push/", "/", "/push/a/b"])
def test_unknown_channel(push_service: PushService, path: str) -> None:
    """An endpoint nobody was given does not exist."""
    assert (404, 102) == error_of(push_service.answer(push_service.request(path=path)))


def test_other_methods(push_service: PushService) -> None:
    """An endpoint takes POST only."""
    assert 405 == push_service.answer(push_service.request(method="GET")).status


def test_ended_subscription(push_service: PushService) -> None:
    """A subscription that ended is gone."""
    push_service.device.gone_since = NOW

    assert (410, 106) == error_of(push_service.answer(push_service.request()))


def test_subscription_is_bound_to_its_first_sender(push_service: PushService) -> None:
    """After one key has sent, another one may not."""
    stranger = VapidSender(ORIGIN)

    assert 201 == push_service.answer(push_service.request()).status
    response = push_service.answer(push_service.request(authorization=stranger.authorization()))
    assert (401, 109) == error_of(response)


def test_subscription_of_a_known_key(push_service: PushService) -> None:
    """A subscription made for a key takes messages of that key from the start."""
    push_service.device.server_key = VapidSender(ORIGIN).public_key

    assert (401, 109) == error_of(push_service.answer(push_service.request()))


def test_real_browser_gets_the_sealed_message(push_service: PushService) -> None:
    """For a browser that keeps its keys the message goes to the postman unopened."""
    firefox = push_service.devices.add_browser(now=NOW, name="Firefox", server_key=None)
    push_service.answer(push_service.request(device=firefox, body=b"sealed", topic="t"))

    ((device, message),) = push_service.postbag.posted
    assert firefox is device
    assert (b"sealed", "aes128gcm", "t") == (message.body, message.encoding, message.topic)
    assert NOW + timedelta(seconds=60) == message.expires_at
    assert [] == push_service.inbox.entries()


@pytest.mark.parametrize(
    "fault,error",
    [
        (Fault(FaultName.UNREGISTERED), (410, 103)),
        (Fault(FaultName.BAD_TOKEN), (404, 102)),
        (Fault(FaultName.WRONG_SENDER), (401, 109)),
        (Fault(FaultName.TOO_MANY_REQUESTS), (429, 201)),
        (Fault(FaultName.UNAVAILABLE), (503, 201)),
        (Fault(FaultName.INTERNAL_ERROR), (500, 999)),
        (Fault(FaultName.EXPIRED_CREDENTIALS), (401, 109)),
        (Fault(FaultName.INVALID_CREDENTIALS), (401, 109)),
        (Fault(FaultName.PAYLOAD_TOO_LARGE), (413, 104)),
        (Fault(FaultName.ANSWER, status=406, reason="throttled"), (406, 999)),
    ],
)
def test_faults(push_service: PushService, fault: Fault, error: tuple[int, int]) -> None:
    """A fault is answered in Mozilla's error shape."""
    request = push_service.request()

    assert error == error_of(push_service.service.fault_response(Gateway.WEB, fault, request, NOW))


def test_redirect_fault(push_service: PushService) -> None:
    """A redirect points where the scenario says, for senders that must not follow it."""
    fault = Fault(FaultName.REDIRECT, location="http://127.0.0.1/")
    response = push_service.service.fault_response(Gateway.WEB, fault, push_service.request(), NOW)

    assert (307, "http://127.0.0.1/") == (response.status, response.header("location"))
