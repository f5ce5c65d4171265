"""
The conversation with a real Firefox: the WebSocket protocol of its push client.

No sockets here: a `Link` is given a callable that sends, is told what arrived, and is told when
the connection ended. A browser (``uaid``) keeps its subscriptions and unread messages across
connections; a message is sent again on each of them until the browser acknowledges it.
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from heliograph.sandbox.devices import Device, Devices
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.session import Clock
from heliograph.sandbox.signed_token import base64url
from heliograph.sandbox.webpush import SealedMessage

MAX_WAITING: Final = 1000
"""Unread messages kept for one browser; the oldest makes room."""

SUBPROTOCOL: Final = "push-notification"

SEALED_NOTE: Final = "encrypted for a real browser: only it can read this"

Frame = dict[str, object]
Send = Callable[[Frame], None]


class ProtocolViolationError(Exception):
    """The browser said something it must not; the connection should be closed."""


@dataclass(slots=True)
class _Waiting:
    """A message the browser has not acknowledged."""

    device: Device
    message: SealedMessage
    recorded: bool = False


@dataclass(slots=True)
class _Browser:
    """One Firefox profile, connected or not."""

    uaid: str
    link: "Link | None" = None
    channels: dict[str, Device] = field(default_factory=dict)
    """Its subscriptions by the channel id that it chose."""
    waiting: dict[str, _Waiting] = field(default_factory=dict)
    """By message id, the oldest first."""

    def channel_of(self, device: Device) -> str | None:
        """The channel id of a subscription; None if it has ended."""
        return next((name for name, each in self.channels.items() if each is device), None)


class Browsers:
    """All Firefoxes that ever connected, and the post for them."""

    def __init__(self, devices: Devices, inbox: Inbox, clock: Clock) -> None:
        self.devices = devices
        self.clock = clock
        self._inbox = inbox
        self._by_uaid: dict[str, _Browser] = {}
        self._owner: dict[str, _Browser] = {}

    def __len__(self) -> int:
        return len(self._by_uaid)

    def connect(self, send: Send, hang_up: Callable[[], None]) -> "Link":
        """
        A new connection.

        Args:
            send: Sends a frame to this browser, without waiting.
            hang_up: Ends the connection, because the browser has opened another.
        """
        return Link(self, send, hang_up)

    def post(self, device: Device, message: SealedMessage) -> None:
        """Bring a message to its browser now, or keep it as long as its TTL says."""
        browser = self._owner.get(device.key)
        if browser is None:
            return
        _drop_replaced(browser, device, message)
        waiting = _Waiting(device, message)
        if message.ttl:
            browser.waiting[message.id] = waiting
            if len(browser.waiting) > MAX_WAITING:
                del browser.waiting[next(iter(browser.waiting))]
        if browser.link is not None:
            self._send(browser, waiting)

    def browser_of(self, uaid: object) -> "_Browser":
        """The browser of that id if it is known; else a new one."""
        browser = self._by_uaid.get(uaid) if isinstance(uaid, str) else None
        if browser is None:
            browser = _Browser(secrets.token_hex(16))
            self._by_uaid[browser.uaid] = browser
        return browser

    def send_waiting(self, browser: "_Browser") -> None:
        """Send all that is unread and has not expired, the oldest first."""
        now = self.clock()
        for message_id, waiting in list(browser.waiting.items()):
            if waiting.message.expires_at <= now:
                del browser.waiting[message_id]
            else:
                self._send(browser, waiting)

    def subscribe(self, browser: "_Browser", channel_id: str, key: bytes | None) -> Device:
        """The subscription with this channel id, new unless the browser has it."""
        device = browser.channels.get(channel_id)
        if device is None:
            device = self.devices.add_browser(now=self.clock(), name="Firefox", server_key=key)
            browser.channels[channel_id] = device
            self._owner[device.key] = browser
            self._inbox.announce()
        return device

    def unsubscribe(self, browser: "_Browser", channel_id: str) -> None:
        """End a subscription; unknown ones have ended already."""
        device = browser.channels.pop(channel_id, None)
        if device is not None:
            device.gone_since = self.clock()

    def _send(self, browser: "_Browser", waiting: _Waiting) -> None:
        channel_id = browser.channel_of(waiting.device)
        if browser.link is None or channel_id is None:
            return
        browser.link.send(_notification(channel_id, waiting.message))
        if not waiting.recorded:
            waiting.recorded = True
            self._record(waiting)

    def _record(self, waiting: _Waiting) -> None:
        self._inbox.record(
            waiting.device,
            headers=waiting.message.headers,
            payload=None,
            now=self.clock(),
            note=SEALED_NOTE if waiting.message.body else None,
        )


class Link:
    """One connection from a Firefox."""

    def __init__(self, browsers: Browsers, send: Send, hang_up: Callable[[], None]) -> None:
        self.send = send
        self.hang_up = hang_up
        self._browsers = browsers
        self._browser: _Browser | None = None

    def receive(self, text: str) -> None:
        """
        Answer a frame from the browser.

        Raises:
            ProtocolViolationError: if it is not a frame of the protocol, or comes before
                ``hello``.
        """
        try:
            frame = msgspec.json.decode(text, type=Frame)
        except msgspec.DecodeError as error:
            raise ProtocolViolationError("not a JSON object") from error
        kind = frame.get("messageType", "ping")
        if kind == "ping":
            self.send({})
        elif kind == "hello":
            self._hello(frame)
        elif self._browser is None:
            raise ProtocolViolationError(f"{kind} before hello")
        else:
            self._act(self._browser, str(kind), frame)

    def closed(self) -> None:
        """The connection has ended; what is unread waits for the next one."""
        if self._browser is not None and self._browser.link is self:
            self._browser.link = None

    def _hello(self, frame: Frame) -> None:
        if self._browser is not None:
            raise ProtocolViolationError("hello twice")
        browser = self._browsers.browser_of(frame.get("uaid"))
        if browser.link is not None:
            browser.link.hang_up()
        browser.link = self
        self._browser = browser
        self.send(
            {
                "messageType": "hello",
                "uaid": browser.uaid,
                "status": 200,
                "use_webpush": True,
                "broadcasts": {},
            }
        )
        self._browsers.send_waiting(browser)

    def _act(self, browser: _Browser, kind: str, frame: Frame) -> None:
        match kind:
            case "register":
                self._register(browser, frame)
            case "unregister":
                channel_id = str(frame.get("channelID"))
                self._browsers.unsubscribe(browser, channel_id)
                self.send({"messageType": kind, "channelID": channel_id, "status": 200})
            case "ack":
                for message_id in _acknowledged(frame):
                    browser.waiting.pop(message_id, None)
            case "nack":
                browser.waiting.pop(str(frame.get("version")), None)
            case "broadcast_subscribe":
                pass  # this sandbox broadcasts nothing
            case _:
                raise ProtocolViolationError(f"unknown messageType {kind}")

    def _register(self, browser: _Browser, frame: Frame) -> None:
        channel_id = str(frame.get("channelID"))
        answer: Frame = {"messageType": "register", "channelID": channel_id}
        try:
            key = _application_server_key(frame.get("key"))
            canonical_id = str(UUID(channel_id))
        except ValueError:
            canonical_id, key = "", None
        if canonical_id != channel_id:
            self.send({**answer, "status": 400})
            return
        device = self._browsers.subscribe(browser, channel_id, key)
        self.send({**answer, "status": 200, "pushEndpoint": device.endpoint})


def _application_server_key(value: object) -> bytes | None:
    if value is None or value == "":
        return None
    key = base64url(str(value))
    if len(key) != 65 or key[0] != 4:  # noqa: PLR2004 - SEC 1 §2.3.3, uncompressed
        raise ValueError("not an uncompressed point of P-256")
    return key


def _acknowledged(frame: Mapping[str, object]) -> list[str]:
    updates = frame.get("updates")
    if not isinstance(updates, list):
        return []
    return [str(update.get("version")) for update in updates if isinstance(update, dict)]


def _drop_replaced(browser: _Browser, device: Device, message: SealedMessage) -> None:
    """RFC 8030 §5.4: a message replaces an unread one of the same topic and subscription."""
    if message.topic is None:
        return
    replaced = [
        message_id
        for message_id, waiting in browser.waiting.items()
        if waiting.device is device and waiting.message.topic == message.topic
    ]
    for message_id in replaced:
        del browser.waiting[message_id]


def _notification(channel_id: str, message: SealedMessage) -> Frame:
    frame: Frame = {
        "messageType": "notification",
        "channelID": channel_id,
        "version": message.id,
        "ttl": int(message.ttl.total_seconds()),
    }
    if message.encoding is not None:
        frame["data"] = urlsafe_b64encode(message.body).rstrip(b"=").decode()
        frame["headers"] = {"encoding": message.encoding}
    return frame
