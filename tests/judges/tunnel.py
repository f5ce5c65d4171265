"""A forward proxy that leads the vendors' host names to the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE_SECONDS = 10
"""How long a client may take to say where it wants to go."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """
    Where it listens.

    Some clients have their vendor's host name built in. All of them can be told of a proxy, and
    to a client, a proxy that knows where the sandbox listens is the network.
    """

    host: str
    port: int

    @property
    def url(self) -> str:
        """The proxy as environment variables want it."""
        return f"http://{self.host}:{self.port}"

    @classmethod
    @asynccontextmanager
    async def to(cls, addresses: Mapping[str, str]) -> AsyncIterator["Tunnel"]:
        """
        Lead connections for these hosts to these URLs, and refuse every other host.

        The refusal keeps a client that goes astray on this machine.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async with _closing(writer):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    request = await reader.readuntil(b"\r\n\r\n")
                host = request.split()[1].decode().rpartition(":")[0]
                if host in addresses:
                    await _join(reader, writer, addresses[host])
                else:
                    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        tasks: set[asyncio.Task[None]] = set()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(serve(reader, writer)))

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        try:
            yield cls(host, port)
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
    """Connect, say so, and pass bytes both ways until one side ends."""
    address = urlsplit(url)
    far_reader, far_writer = await asyncio.open_connection(address.hostname, address.port)
    async with _closing(far_writer):
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [
            asyncio.create_task(_pass_on(reader, far_writer)),
            asyncio.create_task(_pass_on(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
