"""
What may go wrong between a device and the product, on real connections.

``Faulty`` stands before the product's application and spoils the answers that its plan
says. Time is a value: it passes while a device waits, and faults end by it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client.fakes import Enough

Manner = Literal["whole", "empty", "cut", "held"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request meets instead of the product, or after it."""

    status: int = 200
    acts: bool = False
    """Whether the product has done what was asked."""
    manner: Manner = "whole"
    """``empty``: no body. ``cut``: the connection ends amid it. ``held``: nothing comes."""

    def __str__(self) -> str:
        if self.manner == "whole":
            return str(self.status)
        return f"{self.manner} {'after' if self.acts else 'instead of'} acting"


STATUSES: Final = (400, 401, 403, 404, 409, 410, 422, 429, 500, 503)
FAULTS: Final = (
    *[Fault(status) for status in STATUSES],
    Fault(manner="cut"),
    Fault(acts=True, manner="cut"),
    Fault(acts=True, manner="empty"),
    Fault(503, manner="empty"),
    Fault(acts=True, manner="held"),
)

_CALLS: Final = (
    ("register", re.compile(r"POST .*/devices/\w+")),
    ("delete", re.compile(r"DELETE .*/devices/\w+/[^/]+")),
    ("user", re.compile(r"PUT .*/user")),
    ("metadata", re.compile(r"PUT .*/metadata")),
    ("token", re.compile(r"PUT .*/token")),
    ("interests", re.compile(r"\w+ .*/interests(/.*)?")),
    ("report", re.compile(r"POST .*/events")),
    ("key", re.compile(r"GET .*/web-vapid-public-key")),
    ("auth", re.compile(r"GET /pusher/beams-auth")),
)


@dataclass
class Clock:
    """Time that passes while somebody sleeps; who never does is found out."""

    seconds: float = 0.0
    pauses: int = 0
    most_pauses: int = 4
    """In a row without any time, before it is a hot loop."""
    ends_at: float = float("inf")
    at_the_end: Callable[[], Awaitable[object]] | None = None
    """What happens then, once."""

    async def sleep(self, seconds: float) -> None:
        self.pauses = 0 if seconds else self.pauses + 1
        if self.pauses > self.most_pauses:
            self.pauses = 0
            raise Enough
        self.seconds += seconds
        if self.at_the_end is not None and self.seconds >= self.ends_at:
            happens, self.at_the_end = self.at_the_end, None
            await happens()


@dataclass
class Faulty:
    """The product behind faults, and its customer's back end beside it."""

    app: ASGIApp | None = None
    sign: Callable[[str], str] = str
    """Makes the Beams token of a user."""
    plan: Callable[[str], Fault | None] = lambda _call: None
    """What the next request of a call meets."""
    calls: list[str] = field(default_factory=list)
    """What was asked."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """A device waits for an answer that will not come."""

    def before(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application."""
        self.app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        if scope["type"] != "http" or scope["path"].startswith("/admin"):
            await self.app(scope, receive, send)
            return
        call = call_of(scope["method"], scope["path"])
        self.calls.append(call)
        fault = self.plan(call)
        app = self._back_end if call == "auth" else self.app
        if fault is None:
            await app(scope, receive, send)
            return
        if fault.acts:
            await app(scope, receive, _nowhere)
        else:
            await _read(receive)
        await self._spoil(fault, receive, send)

    async def _spoil(self, fault: Fault, receive: Receive, send: Send) -> None:
        match fault.manner:
            case "whole":
                await _answer(send, fault.status, {"error": "Fault", "description": "on purpose"})
            case "empty":
                await _answer(send, fault.status, None)
            case "cut":
                headers = [(b"content-length", b"100")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": b"{", "more_body": True})
            case "held":
                self.held.set()
                while (await receive())["type"] != "http.disconnect":
                    pass

    async def _back_end(self, scope: Scope, _receive: Receive, send: Send) -> None:
        user = httpx.QueryParams(scope["query_string"].decode())["user_id"]
        await _answer(send, 200, {"token": self.sign(user)})


class Impatient(httpx.AsyncHTTPTransport):
    """Gives an answer up as soon as it is held back, as others do when time is over."""

    def __init__(self, faulty: Faulty) -> None:
        super().__init__(verify=False)  # it speaks http only, and reads no certificates
        self._faulty = faulty

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = asyncio.ensure_future(super().handle_async_request(request))
        held = asyncio.ensure_future(self._faulty.held.wait())
        await asyncio.wait({answer, held}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        if answer.done():
            return answer.result()
        self._faulty.held.clear()
        answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer
        raise httpx.ReadTimeout("nothing came", request=request)


def call_of(method: str, path: str) -> str:
    """Which call a request is."""
    line = f"{method} {path}"
    return next((name for name, pattern in _CALLS if pattern.fullmatch(line)), line)


async def _answer(send: Send, status: int, body: dict[str, Any] | None) -> None:
    content = b"" if body is None else msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _read(receive: Receive) -> None:
    """Take in a request's body, as a server does that refuses it."""
    while (await receive()).get("more_body"):
        pass


async def _nowhere(_message: Message) -> None:
    """An answer that nobody gets."""
