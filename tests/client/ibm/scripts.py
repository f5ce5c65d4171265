"""A server that gives the answers it is told to, and IBM's devices before it."""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx

from heliograph.client.ibm.device import MemoryStore, Push

APP: Final = "app1"
SECRET: Final = "cs"
HOST: Final = "https://push.example"
BASE: Final = f"/imfpush/v1/apps/{APP}"

SUBSCRIPTION: Final = {
    "endpoint": "https://push.example/x",
    "expirationTime": None,
    "keys": {"p256dh": "AQID", "auth": "-_8"},
}
WEB_TOKEN: Final = '{"endpoint":"https://push.example/x","userPublicKey":"AQID","userAuth":"+/8="}'
TOKENS: Final[dict[str, Any]] = {
    "ios": bytes.fromhex("46F5"),
    "android": "T",
    "chrome": SUBSCRIPTION,
    "firefox": SUBSCRIPTION,
    "safari": "AB12",
}
WIRE_TOKENS: Final = {
    "ios": "46f5",
    "android": "T",
    "chrome": WEB_TOKEN,
    "firefox": WEB_TOKEN,
    "safari": "AB12",
}

Reply = httpx.Response | None
"""None: the connection fails."""


class Script:
    """Answers with these replies, one after the other, and notes what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[httpx.Request] = []
        self._replies: Iterator[Reply] = iter(replies)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = next(self._replies)
        if reply is None:
            raise httpx.ConnectError("connection refused", request=request)
        return reply

    @property
    def asked(self) -> list[str]:
        """What was asked, as ``METHOD path`` below the app."""
        paths = [each.url.raw_path.decode().removeprefix(f"{BASE}/") for each in self.requests]
        return [f"{each.method} {path}" for each, path in zip(self.requests, paths, strict=True)]

    @property
    def bodies(self) -> list[str]:
        """The body of each request."""
        return [each.content.decode() for each in self.requests]

    def device(self, profile: str, **settings: Any) -> Push:
        """A device of this profile before this server, called D and initialised."""
        made = self.switched_off(profile)
        made.initialize(APP, SECRET, **({"device_id": "D"} | settings))
        return made

    def switched_off(self, profile: str, store: MemoryStore | None = None) -> Push:
        """A device of this profile before this server, not initialised."""
        http = httpx.Client(transport=httpx.MockTransport(self.handle))
        return Push(HOST, profile=profile, store=store, http_client=http, entropy=counted)


def counted(size: int) -> bytes:
    """Bytes that are not random."""
    return bytes(range(size))


def told(profile: str, user: object = "anonymous", **changes: object) -> dict[str, object]:
    """The device D as a server tells it."""
    return {"deviceId": "D", "token": WIRE_TOKENS[profile], "userId": user} | changes


def ok(body: object, status: int = 200) -> httpx.Response:
    """A reply with JSON."""
    return httpx.Response(status, json=body)


def text(status: int, body: str = "") -> httpx.Response:
    """A reply with text."""
    return httpx.Response(status, text=body)


def unknown() -> httpx.Response:
    """What the server says of a device that it does not have."""
    return ok({"message": "Not Found", "code": "FPWSE0001E"}, 404)


def before(profile: str) -> list[Reply]:
    """The replies that a registration needs before the device is asked for."""
    return [ok({"senderId": "123456789012"})] if profile == "android" else []


def same(expected: object, body: str) -> bool:
    """Whether a body is this JSON."""
    return bool(json.loads(body) == expected)
