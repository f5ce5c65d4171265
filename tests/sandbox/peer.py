"""An HTTP/2 client that shows every event, for what a well-behaved client would hide."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event
from hyperframe.frame import Frame

from heliograph.sandbox import Authority

EventT = TypeVar("EventT", bound=Event)

PATIENCE_SECONDS = 10
"""How long a test waits for what never comes before it fails."""


class Peer:
    """One connection; events are kept in the order they came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = H2Connection(H2Configuration(client_side=True))
        self.events: list[Event] = []
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, authority: Authority, *, alpn: Sequence[str] = ("h2",)
    ) -> AsyncIterator["Peer"]:
        """A connection on which both sides have said SETTINGS."""
        context = authority.client_context()
        if alpn:
            context.set_alpn_protocols(list(alpn))
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
        peer = cls(reader, writer)
        peer.connection.initiate_connection()
        peer.flush()
        try:
            yield peer
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def flush(self) -> None:
        self._writer.write(self.connection.data_to_send())

    def write(self, data: bytes) -> None:
        """Send bytes of the test's own making."""
        self._writer.write(data)

    def abort(self) -> None:
        """Leave without a word."""
        self._writer.transport.abort()

    def ask(self, path: str, headers: dict[str, str], body: bytes = b"") -> int:
        """Put a request in the buffer; `flush` sends it."""
        stream_id = self.begin(path, headers)
        self.connection.send_data(stream_id, body, end_stream=True)
        return stream_id

    def begin(self, path: str, headers: dict[str, str]) -> int:
        """Put a request without its body in the buffer."""
        stream_id = self.connection.get_next_available_stream_id()
        pseudo = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "127.0.0.1"),
            (":path", path),
        ]
        self.connection.send_headers(stream_id, [*pseudo, *headers.items()])
        return stream_id

    async def until(self, kind: type[EventT], *, stream_id: int | None = None) -> EventT:
        """The first event of this kind, of this stream if one is given."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and stream_id in {
                        None,
                        getattr(event, "stream_id", None),
                    }:
                        self.events.remove(event)
                        return event
                await self._read()

    async def frames_to_the_end(self) -> list[Frame]:
        """Every further frame: the library would not read those behind a GOAWAY."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            data = await self._reader.read()
        return list(_frames(data))

    async def ended(self) -> bool:
        """True once the server has closed the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while await self._reader.read(65_536):
                    pass
            except ConnectionError:
                pass
        return True

    async def _read(self) -> None:
        data = await self._reader.read(65_536)
        if not data:
            raise ConnectionResetError("the server has closed")
        self.events += self.connection.receive_data(data)
        self.flush()


def _frames(data: bytes) -> Iterator[Frame]:
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data)[:9])
        frame.parse_body(memoryview(data)[9 : 9 + length])
        yield frame
        data = data[9 + length :]
