import json
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from heliograph.sandbox.devices import Device, Devices
from heliograph.sandbox.firefox import (
    MAX_WAITING,
    Browsers,
    Frame,
    Link,
    ProtocolViolationError,
)
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.webpush import SealedMessage
from sandbox.senders import NOW, VapidSender, base64url


class Desk:
    """Browsers, their inbox, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW
        self.devices = Devices(webpush_origin="https://push.example")
        self.inbox = Inbox()
        self.browsers = Browsers(self.devices, self.inbox, self.time)

    def time(self) -> datetime:
        return self.now

    def post(
        self,
        device: Device,
        message_id: str,
        *,
        ttl_seconds: int = 60,
        topic: str | None = None,
        body: bytes = b"sealed",
    ) -> None:
        encoding = "aes128gcm" if body else None
        ttl = timedelta(seconds=ttl_seconds)
        message = SealedMessage(message_id, body, encoding, {"ttl": "x"}, ttl, topic, self.now)
        self.browsers.post(device, message)


class Firefox:
    """One profile of the browser, with its connection."""

    def __init__(self, desk: Desk, uaid: str | None = None) -> None:
        self.desk = desk
        self.heard: list[Frame] = []
        self.hung_up = False
        self.link: Link = desk.browsers.connect(self.heard.append, self.hang_up)
        self.say(messageType="hello", use_webpush=True, uaid=uaid, broadcasts={})
        self.uaid = str(self.heard[0]["uaid"])

    def hang_up(self) -> None:
        self.hung_up = True

    def say(self, **frame: object) -> None:
        self.link.receive(json.dumps(frame))

    def subscribe(self, **more: object) -> Device:
        self.say(messageType="register", channelID=str(uuid4()), **more)
        device = self.desk.devices.find(str(self.heard.pop()["pushEndpoint"]))
        assert device is not None
        return device

    def versions(self) -> list[object]:
        """The messages heard so far, by id."""
        return [
            frame["version"] for frame in self.heard if frame.get("messageType") == "notification"
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_hello(desk: Desk) -> None:
    """A browser is given an id of its own."""
    (answer,) = Firefox(desk).heard

    assert ("hello", 200, True) == (
        answer["messageType"],
        answer["status"],
        answer["use_webpush"],
    )
    assert 32 == len(str(answer["uaid"]))


def test_known_browser_keeps_its_id(desk: Desk) -> None:
    """A browser that comes back is recognised; a made-up id is replaced."""
    first = Firefox(desk)

    assert first.uaid == Firefox(desk, first.uaid).uaid
    assert "0" * 32 != Firefox(desk, "0" * 32).uaid


def test_newer_connection_replaces_the_older(desk: Desk) -> None:
    """A browser has one connection: an older one is hung up and hears nothing more."""
    first = Firefox(desk)
    device = first.subscribe()
    second = Firefox(desk, first.uaid)
    first.link.closed()
    desk.post(device, "m1")

    assert first.hung_up
    assert [] == first.versions()
    assert ["m1"] == second.versions()


@pytest.mark.parametrize("text", ["{}", '{"messageType": "ping"}'])
def test_ping(desk: Desk, text: str) -> None:
    """A ping is answered with a ping."""
    firefox = Firefox(desk)
    firefox.link.receive(text)

    assert {} == firefox.heard[-1]


def test_register(desk: Desk) -> None:
    """A subscription has an endpoint, the same when it is asked for again."""
    firefox = Firefox(desk)
    channel_id = str(uuid4())
    for _ in range(2):
        firefox.say(messageType="register", channelID=channel_id)
    first, second = firefox.heard[1:]

    assert first == second
    assert ("register", channel_id, 200) == (
        first["messageType"],
        first["channelID"],
        first["status"],
    )
    assert str(first["pushEndpoint"]).startswith("https://push.example/push/")


def test_subscription_for_one_sender(desk: Desk) -> None:
    """A subscription made with an application server key is bound to that key."""
    key = VapidSender("https://push.example").public_key
    device = Firefox(desk).subscribe(key=base64url(key))

    assert key == device.server_key


@pytest.mark.parametrize(
    "frame",
    [
        {"channelID": "x"},
        {},
        {"channelID": str(uuid4()).upper()},
        {"channelID": str(uuid4()), "key": "AAAA"},
        {"channelID": str(uuid4()), "key": "é"},
    ],
)
def test_bad_register(desk: Desk, frame: dict[str, object]) -> None:
    """A channel id that is no UUID and a key that is no point get status 400."""
    firefox = Firefox(desk)
    firefox.say(messageType="register", **frame)

    assert 400 == firefox.heard[-1]["status"]
    assert "pushEndpoint" not in firefox.heard[-1]


def test_unregister(desk: Desk) -> None:
    """A subscription ends once; ending an unknown one is no mistake."""
    firefox = Firefox(desk)
    channel_id = str(uuid4())
    firefox.say(messageType="register", channelID=channel_id)
    for _ in range(2):
        firefox.say(messageType="unregister", channelID=channel_id, code=200)

    assert {"messageType": "unregister", "channelID": channel_id, "status": 200} == (
        firefox.heard[-1]
    )
    (device,) = desk.devices.newest(1)
    assert NOW == device.gone_since


def test_notification(desk: Desk) -> None:
    """A connected browser gets a message at once, sealed, in base64url."""
    firefox = Firefox(desk)
    device = firefox.subscribe()
    desk.post(device, "m1", body=b"\xfb\xff")
    frame = firefox.heard[-1]

    assert ("notification", "m1", "-_8", {"encoding": "aes128gcm"}) == (
        frame["messageType"],
        frame["version"],
        frame["data"],
        frame["headers"],
    )


def test_notification_without_a_body(desk: Desk) -> None:
    """A mere knock has no data."""
    firefox = Firefox(desk)
    desk.post(firefox.subscribe(), "m1", body=b"")

    assert not {"data", "headers"} & set(firefox.heard[-1])


def test_delivered_message_is_in_the_inbox_once(desk: Desk) -> None:
    """What a browser was sent is kept once, however often it was sent."""
    firefox = Firefox(desk)
    device = firefox.subscribe()
    desk.post(device, "m1")
    Firefox(desk, firefox.uaid)

    (entry,) = desk.inbox.entries(device)
    assert entry.read()["payload"] is None
    assert "only it can read" in str(entry.read()["note"])


def test_unacknowledged_message_is_sent_again(desk: Desk) -> None:
    """Until it is acknowledged a message is sent on every connection."""
    first = Firefox(desk)
    device = first.subscribe()
    desk.post(device, "m1")
    desk.post(device, "m2")
    first.say(messageType="ack", updates=[{"channelID": "x", "version": "m1", "code": 100}])

    assert ["m1", "m2"] == first.versions()
    assert ["m2"] == Firefox(desk, first.uaid).versions()


def test_refused_message_is_not_sent_again(desk: Desk) -> None:
    """A message that the browser could not use is done with."""
    first = Firefox(desk)
    desk.post(first.subscribe(), "m1")
    first.say(messageType="nack", version="m1", code=302)

    assert [] == Firefox(desk, first.uaid).versions()


class TestAbsentBrowser:
    """Messages for a browser that is not connected."""

    @pytest.fixture
    def firefox(self, desk: Desk) -> Firefox:
        return Firefox(desk)

    @pytest.fixture
    def device(self, firefox: Firefox) -> Device:
        device = firefox.subscribe()
        firefox.link.closed()
        return device

    def test_message_waits(self, desk: Desk, firefox: Firefox, device: Device) -> None:
        """What comes meanwhile is delivered at the next hello, oldest first."""
        desk.post(device, "m1")
        desk.post(device, "m2")

        assert [] == desk.inbox.entries()
        assert ["m1", "m2"] == Firefox(desk, firefox.uaid).versions()
        assert 2 == len(desk.inbox)

    def test_ttl_zero_does_not_wait(self, desk: Desk, firefox: Firefox, device: Device) -> None:
        """A message with TTL 0 is for now or never (RFC 8030 §5.2)."""
        desk.post(device, "m1", ttl_seconds=0)

        assert [] == Firefox(desk, firefox.uaid).versions()

    def test_message_expires(self, desk: Desk, firefox: Firefox, device: Device) -> None:
        """A message is not delivered after its TTL."""
        desk.post(device, "m1", ttl_seconds=60)
        desk.post(device, "m2", ttl_seconds=61)
        desk.now += timedelta(seconds=60)

        assert ["m2"] == Firefox(desk, firefox.uaid).versions()

    def test_topic_replaces(self, desk: Desk, firefox: Firefox, device: Device) -> None:
        """A waiting message gives way to a newer one of its topic (RFC 8030 §5.4)."""
        for message_id, topic in [("m1", "a"), ("m2", "b"), ("m3", "a"), ("m4", None)]:
            desk.post(device, message_id, topic=topic)

        assert ["m2", "m3", "m4"] == Firefox(desk, firefox.uaid).versions()

    def test_waiting_is_bounded(self, desk: Desk, firefox: Firefox, device: Device) -> None:
        """Of too many messages the oldest are dropped."""
        for number in range(MAX_WAITING + 2):
            desk.post(device, str(number))
        waiting = Firefox(desk, firefox.uaid).versions()

        assert (MAX_WAITING, "2") == (len(waiting), waiting[0])


def test_virtual_device_has_no_post(desk: Desk) -> None:
    """A message for a subscription of no browser goes nowhere."""
    device = desk.devices.add_browser(now=NOW, name="", server_key=None)
    desk.post(device, "m1")

    assert [] == desk.inbox.entries()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '{"messageType": "hello"}', '{"messageType": "shout"}'],
)
def test_violations(desk: Desk, text: str) -> None:
    """What is not of the protocol ends the connection; so does a second hello."""
    with pytest.raises(ProtocolViolationError):
        Firefox(desk).link.receive(text)


def test_hello_comes_first(desk: Desk) -> None:
    """Nothing but a ping may come before hello."""
    link = desk.browsers.connect(lambda _frame: None, lambda: None)
    link.receive("{}")

    with pytest.raises(ProtocolViolationError, match="before hello"):
        link.receive('{"messageType": "register"}')


@pytest.mark.parametrize(
    "frame",
    [
        {"messageType": "broadcast_subscribe", "broadcasts": {}},
        {"messageType": "ack"},
        {"messageType": "ack", "updates": ["x", {}]},
        {"messageType": "nack"},
    ],
)
def test_frames_without_an_answer(desk: Desk, frame: dict[str, object]) -> None:
    """Some frames are heard and not answered."""
    firefox = Firefox(desk)
    firefox.say(**frame)

    assert 1 == len(firefox.heard)
