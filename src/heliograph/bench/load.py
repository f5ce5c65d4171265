"""
A load generator for HTTP/1.1: cheap enough not to be what is measured.

Requests are bytes that were made before, and a reply is read no further than to its
end. One connection has one request under way, as a back end's connection pool does.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = 200

Answered = Callable[["_Caller", int], None]


@dataclass(slots=True)
class Answers:
    """What came of some requests."""

    seconds: list[float] = field(default_factory=list)
    """How long each took that was answered 200, from the instant at which it was due."""
    refused: int = 0
    """Those that were answered anything else, or by nobody."""
    lost: bool = False
    """Whether a connection was lost."""

    def count(self, caller: "_Caller", status: int) -> None:
        """Add the answer that a caller has had just now; status 0 is none."""
        if status == _OK:
            self.seconds.append(time.monotonic() - caller.due_at)
            return
        self.refused += 1
        self.lost = self.lost or status == 0

    def quantile(self, share: float) -> float:
        """The time that this share of all answers did not exceed; 0 if there are none."""
        if not self.seconds:
            return 0.0
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Load:
    """What to send to one server."""

    def __init__(self, host: str, port: int, request: Callable[[int], bytes]) -> None:
        """Send to a server; ``request`` makes the bytes of the request with a number."""
        self._host, self._port = host, port
        self._request = request
        self._number = 0

    async def as_fast_as_it_goes(self, connections: int, seconds: float) -> Answers:
        """Keep so many connections busy for a while (a closed loop)."""
        answers, until = Answers(), time.monotonic() + seconds
        over, left = asyncio.Event(), connections

        def answered(caller: "_Caller", status: int) -> None:
            nonlocal left
            answers.count(caller, status)
            if status and time.monotonic() < until:
                self._send(caller, answered, time.monotonic())
                return
            left -= 1
            if left == 0:
                over.set()

        async with self._callers(connections) as callers:
            for caller in callers:
                self._send(caller, answered, time.monotonic())
            await over.wait()
        return answers

    async def at_a_rate(self, per_second: float, connections: int, seconds: float) -> Answers:
        """
        Send at a steady rate, whatever the server does (an open loop).

        A request that finds no free connection waits for one, and that time counts: it is
        measured from when it was due, so that a pause of the server is not left out.
        """
        answers, waiting = Answers(), deque[float]()
        under_way = due = 0

        def answered(caller: "_Caller", status: int) -> None:
            nonlocal under_way
            under_way -= 1
            answers.count(caller, status)
            if status:
                free.append(caller)
            send()

        def send() -> None:
            nonlocal under_way
            while waiting and free:
                under_way += 1
                self._send(free.popleft(), answered, waiting.popleft())

        async with self._callers(connections) as callers:
            free, began_at = deque(callers), time.monotonic()
            while due < int(per_second * seconds) or ((waiting or under_way) and not answers.lost):
                now = time.monotonic()
                while due < int(per_second * seconds) and began_at + due / per_second <= now:
                    waiting.append(began_at + due / per_second)
                    due += 1
                send()
                await asyncio.sleep(_TICK_SECONDS)
        return answers

    @asynccontextmanager
    async def _callers(self, number: int) -> AsyncIterator[list["_Caller"]]:
        loop = asyncio.get_running_loop()
        callers = [
            (await loop.create_connection(_Caller, self._host, self._port))[1]
            for _ in range(number)
        ]
        try:
            yield callers
        finally:
            for caller in callers:
                caller.hang_up()

    def _send(self, caller: "_Caller", answered: Answered, due_at: float) -> None:
        self._number += 1
        caller.send(self._request(self._number), answered, due_at)


_TICK_SECONDS: Final = 0.0005


class _Caller(asyncio.Protocol):
    """One connection, with one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answered: Answered | None = None
        self.due_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def send(self, request: bytes, answered: Answered, due_at: float) -> None:
        """Send a request that was due at an instant; its status is told when it is answered."""
        assert self._transport is not None  # noqa: S101  (it is connected before it is used)
        self._answered, self.due_at = answered, due_at
        if self._transport.is_closing():
            asyncio.get_running_loop().call_soon(self._tell, 0)
            return
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        self._tell(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """A request that is under way is answered by nobody."""
        del exc
        self._tell(0)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def _tell(self, status: int) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(self, status)
