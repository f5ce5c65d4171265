"""A TLS port: accepts connections, gives each the HTTP it negotiated, and closes them all."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

from heliograph.sandbox.exchange import Session
from heliograph.sandbox.http1 import Http1Protocol
from heliograph.sandbox.http2 import Http2Protocol

CLOSE_SECONDS: Final = 0.3
"""How long a peer may take to say goodbye when the port closes."""

BACKLOG: Final = 512


OpenSession = Callable[[bytes | None], Session]
"""Begins a conversation with a client that has shown this certificate (DER), or None."""


class Listener:
    """One port of one service."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        open_session: OpenSession,
        *,
        http1: bool = True,
    ) -> None:
        self._socket = sock
        self._context = context
        self._http1 = http1
        self._open_session = open_session
        self._connections: set[_Conversation] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Conversation(self._open_session, self._connections, http1=self._http1),
            sock=self._socket,
            ssl=self._context,
            backlog=BACKLOG,
            ssl_handshake_timeout=10.0,
            ssl_shutdown_timeout=CLOSE_SECONDS,
        )

    async def stop(self) -> None:
        """Accept no more, and end every connection: politely, then at once."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        for connection in list(self._connections):
            connection.shut_down()
        if not await self._all_closed():
            for connection in list(self._connections):
                connection.abort()
            await self._all_closed()
        await self._server.wait_closed()

    async def _all_closed(self) -> bool:
        """Whether every connection ended within the time allowed."""
        ends = [connection.ended for connection in self._connections]
        if not ends:
            return True
        _, pending = await asyncio.wait(ends, timeout=CLOSE_SECONDS)
        return not pending


class _Conversation(asyncio.Protocol):
    """Passes everything on to the protocol that ALPN chose (RFC 7301)."""

    def __init__(
        self,
        open_session: OpenSession,
        connections: set["_Conversation"],
        *,
        http1: bool,
    ) -> None:
        self._open_session = open_session
        self._http1 = http1
        self._connections = connections
        self._inner: Http1Protocol | Http2Protocol | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Choose by what the handshake negotiated.

        Apple needs no negotiation: a sender without ALPN is taken to speak HTTP/2 (RFC 9113 §3.3
        forbids that, but some of the senders in use do so).
        """
        self._transport = transport = cast("asyncio.Transport", transport)  # TLS: a byte stream
        self._connections.add(self)
        tls = transport.get_extra_info("ssl_object")
        session = self._open_session(tls.getpeercert(binary_form=True))
        if tls.selected_alpn_protocol() == "h2" or not self._http1:
            self._inner = Http2Protocol(session)
        else:
            self._inner = Http1Protocol(session)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._inner is not None:
            self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._connections.discard(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if self._inner is not None:
            self._inner.resume_writing()

    def shut_down(self) -> None:
        """End the connection politely."""
        if self._inner is not None:
            self._inner.shut_down()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()
