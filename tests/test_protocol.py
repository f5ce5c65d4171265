"""HTTP/1.1 with bounds: a client that owes us something does not hold a connection for ever."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from heliograph.protocol import PATIENCE as PATIENCE_OF_OURS
from heliograph.protocol import PROGRESS_BYTES, BoundedProtocol
from heliograph.serving import bind, serving

PATIENCE: Final = timedelta(seconds=0.2)
A_WHILE: Final = 30
"""Seconds that nothing here takes, on however busy a machine."""

HEAD: Final = b"POST / HTTP/1.1\r\nhost: a\r\n"
GET: Final = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Echo:
    """Answers with the length of a body; or at once, or when it is told to."""

    def __init__(self) -> None:
        self.disconnected = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await self.go_on.wait()
        answer = b"at once"
        if scope["path"] == "/":
            try:
                answer = b"%d" % len(await Request(scope, receive).body())
            except ClientDisconnect:
                self.disconnected.set()
                return
        await PlainTextResponse(answer)(scope, receive, send)


class Line:
    """A connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def rest(self) -> bytes:
        """All that the server says until it closes; nothing if it hangs up."""
        async with asyncio.timeout(A_WHILE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def head(self) -> bytes:
        async with asyncio.timeout(A_WHILE):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def connected(app: Echo, said: bytes) -> AsyncIterator[Line]:
    """A connection to a server of little patience that has been told this much."""
    listener = bind("127.0.0.1", 0)
    async with serving(app, listener, patience=PATIENCE):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(said)
        yield Line(reader, writer)
        writer.close()


@pytest.mark.parametrize(
    "said",
    [
        b"G",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: ",
        HEAD + b"content-length: 10\r\n\r\n",
        HEAD + b"content-length: 10\r\n\r\n12345",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ],
)
async def test_who_does_not_finish_a_request_is_told_so(said: bytes) -> None:
    """It is answered 408 in the shape of every error, readable from any origin, and closed."""
    async with connected(Echo(), said) as line:
        head, _, body = (await line.rest()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"access-control-allow-origin: *" in head
    assert b"connection: close" in head
    assert {"error": "Request timeout", "description": "The request took too long"} == json.loads(
        body
    )


async def test_who_says_nothing_is_told_nothing() -> None:
    """A connection on which nothing was asked is closed without an answer."""
    async with connected(Echo(), b"") as line:
        assert b"" == await line.rest()


async def test_a_request_that_is_given_up_is_not_served() -> None:
    """The application learns that its client is gone."""
    app = Echo()
    async with connected(app, HEAD + b"content-length: 10\r\n\r\n"):
        assert await asyncio.wait_for(app.disconnected.wait(), A_WHILE)


async def test_a_body_of_which_nobody_waits_for_the_end() -> None:
    """Whoever was answered before the end of their body is hung up on without another word."""
    said = HEAD.replace(b"/", b"/early", 1) + b"content-length: 10\r\n\r\n1"
    async with connected(Echo(), said) as line:
        assert 1 == (await line.rest()).count(b"HTTP/1.1")


class Hours(asyncio.SelectorEventLoop):
    """A loop whose time is a value that is set, and whose timers fire when it passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now


class Wire(asyncio.Transport):
    """A connection's other side."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return b"408" in self.said

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


async def starve(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a body for ever."""
    del scope, send
    while (await receive())["type"] == "http.request":
        pass


def said_at(patience: timedelta, pieces: Iterable[tuple[float, bytes]]) -> list[float]:
    """The seconds, of those at which something arrives, at which the client has been given up."""
    loop, wire = Hours(), Wire()
    config = Config(starve, ws="none", lifespan="off", log_config=None)
    given_up = []

    async def listen() -> None:
        protocol = BoundedProtocol(
            config=config, server_state=ServerState(), app_state={}, patience=patience
        )
        protocol.connection_made(wire)
        for second, piece in pieces:
            loop.now = second
            await asyncio.sleep(0)  # timers that are due
            await asyncio.sleep(0)
            if wire.is_closing():
                given_up.append(second)
            else:
                protocol.data_received(piece)
        protocol.connection_lost(None)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(listen())
    return given_up


BODY: Final = HEAD + b"content-length: 1000000\r\n\r\n"


def test_byte_by_byte_is_not_progress() -> None:
    """A body that only keeps the connection busy is given up like one that has stopped."""
    pieces = [(0.0, BODY), *[(float(second), b"x") for second in range(1, 40)]]

    assert [float(second) for second in range(30, 40)] == said_at(PATIENCE_OF_OURS, pieces)


def test_a_long_body_may_take_as_long_as_it_moves() -> None:
    """What brings enough in time is listened to, however long all of it takes."""
    enough = [(29.0 * number, b"x" * PROGRESS_BYTES) for number in range(1, 20)]
    a_byte_less = [(29.0 * number, b"x" * (PROGRESS_BYTES - 1)) for number in range(1, 20)]

    assert [] == said_at(PATIENCE_OF_OURS, [(0.0, BODY), *enough])
    assert 58.0 == said_at(PATIENCE_OF_OURS, [(0.0, BODY), *a_byte_less])[0]


def test_a_head_that_comes_byte_by_byte_is_not_waited_for() -> None:
    """A head has as long as we are patient, however busy it keeps the connection."""
    pieces = [(float(second), b"x") for second in range(40)]

    assert 30.0 == said_at(PATIENCE_OF_OURS, [(0.0, b"GET / HTTP/1.1\r\n"), *pieces])[0]


async def test_our_own_time_is_not_the_clients() -> None:
    """A request that we take long to answer is answered, and the next one is served."""
    app = Echo()
    async with connected(app, GET.replace(b"/", b"/slow", 1) + b"GET / HT") as line:
        asyncio.get_running_loop().call_later(PATIENCE.total_seconds() * 2, app.go_on.set)
        first = await line.head()
        line.writer.write(b"TP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        said = first + await line.rest()

    assert 2 == said.count(b"HTTP/1.1 200 OK")
