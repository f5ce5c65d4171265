"""A server on real TLS whose every reply is the test's decision."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, PingReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from heliograph.sandbox import Authority

AUTHORITY: Final = Authority()
"""Whom the tests of the transport trust."""

PATIENCE_SECONDS: Final = 10
"""How long a test waits for what never comes before it fails."""


@dataclass(slots=True)
class Asked:
    """A whole request, and the connection to answer it on."""

    connection: "Connection"
    stream_id: int
    path: str
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)

    def answer(self, status: int = 200, body: bytes = b"") -> None:
        """Reply."""
        h2 = self.connection.h2
        h2.send_headers(self.stream_id, [(":status", str(status))], end_stream=not body)
        if body:
            h2.send_data(self.stream_id, body, end_stream=True)
        self.connection.flush()

    def reset(self, code: ErrorCodes) -> None:
        """RST_STREAM."""
        self.connection.h2.reset_stream(self.stream_id, code)
        self.connection.flush()


class Connection(asyncio.Protocol):
    """One connection, which does what a script says to each request."""

    def __init__(self, server: "ScriptedServer") -> None:
        self.server = server
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings.acknowledge()
        self.is_deaf = False
        self._streams: dict[int, Asked] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.append(self)
        self.h2.initiate_connection()
        self.set(max_concurrent_streams=self.server.streams)

    def data_received(self, data: bytes) -> None:
        if self.is_deaf:
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.transport.close()
            return
        for event in events:
            match event:
                case RequestReceived():
                    headers = dict(cast("list[tuple[str, str]]", event.headers))
                    self._streams[event.stream_id] = Asked(
                        self, event.stream_id, headers[":path"], headers
                    )
                case DataReceived():
                    self._streams[event.stream_id].body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    self.server.react(self._streams.pop(event.stream_id))
                case PingReceived():
                    self.server.pings += 1
                    self.server.arrived()
                case _:
                    pass
        self.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.server.left += 1
        self.server.arrived()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def set(self, **settings: int) -> None:
        """Change settings, named as in the RFC."""
        self.h2.update_settings({SettingCodes[n.upper()]: value for n, value in settings.items()})
        self.flush()

    def go_away(self, last_stream_id: int) -> None:
        """GOAWAY, and nothing more."""
        self.h2.close_connection(last_stream_id=last_stream_id)
        self.flush()
        self.transport.close()


class ScriptedServer:
    """What all connections share: the script, and what was asked."""

    def __init__(self, script: Callable[[Asked], None], *, streams: int) -> None:
        self.script = script
        self.streams = streams
        self.connections: list[Connection] = []
        self.asked: list[Asked] = []
        self.origin = ""
        self.pings = 0
        self.left = 0
        self._arrival = asyncio.Event()

    def react(self, asked: Asked) -> None:
        self.asked.append(asked)
        self.script(asked)
        self.arrived()

    def arrived(self) -> None:
        """Let whoever waits look again."""
        self._arrival.set()

    async def until_pinged(self) -> None:
        """Wait for a PING."""
        await self.until(lambda: self.pings > 0)

    async def until_left(self) -> None:
        """Wait for a connection to end."""
        await self.until(lambda: self.left > 0)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is true that requests make true."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                self._arrival.clear()
                await self._arrival.wait()

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@asynccontextmanager
async def scripted(
    authority: Authority,
    script: Callable[[Asked], None] = Asked.answer,
    *,
    streams: int = 100,
    alpn: str = "h2",
) -> AsyncIterator[ScriptedServer]:
    """A server that answers 200 to everything unless told otherwise."""
    server = ScriptedServer(script, streams=streams)
    context = authority.server_context(alpn=[alpn])
    async with listening(lambda: Connection(server), context) as port:
        server.origin = f"https://127.0.0.1:{port}"
        yield server


@asynccontextmanager
async def listening(
    make: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """A port on which each connection gets a protocol of its own."""
    loop = asyncio.get_running_loop()
    shutdown = None if context is None else 0.3
    listener = await loop.create_server(
        make, "127.0.0.1", 0, ssl=context, ssl_shutdown_timeout=shutdown
    )
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await _quietly(listener.wait_closed())


async def _quietly(awaitable: Awaitable[object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await awaitable
