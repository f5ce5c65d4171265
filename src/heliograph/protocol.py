"""
HTTP/1.1 with an end to everything: how much a request may hold, how long it may take.

uvicorn and httptools bound neither. The application refuses what is too large in words;
this is for those who do not stop talking, or hardly talk at all.
"""

import asyncio
from datetime import timedelta
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PATIENCE: Final = timedelta(seconds=30)
"""How long a head may take to arrive, and then a body, or each ``PROGRESS_BYTES`` of it."""

PROGRESS_BYTES: Final = 16_384
"""What a body must bring while we are patient: a long one may take as long as it moves."""

_MOST_UNREAD: Final = 65_536
"""Bytes that bring neither a whole head nor any body, after which a connection is hopeless."""

_GOODBYE_SECONDS: Final = 0.5
"""How long a client may take to answer a goodbye. Over TLS an idle one never does."""

_NOT_HTTP: Final = (b"400 Bad Request", b"Bad request", b"The request is not valid HTTP")
_TOO_SLOW: Final = (b"408 Request Timeout", b"Request timeout", b"The request took too long")


class BoundedProtocol(HttpToolsProtocol):
    """
    One connection, which is given up when it brings too much or too little.

    httptools keeps a header, a trailer or the size of a chunk to itself until it ends, so
    what is counted is what it was fed since it last told us anything. One timer looks at
    each connection now and then, which costs a request nothing.
    """

    def __init__(self, *, patience: timedelta = PATIENCE, **uvicorns: Any) -> None:
        """Serve a connection as uvicorn's arguments say, and wait for so long."""
        super().__init__(**uvicorns)
        self._patience_seconds = patience.total_seconds()
        self._unread_bytes = 0
        self._body_bytes = 0
        self._is_in_body = False
        self._waits_since: float | None = None
        """Since when the client owes us something; None while we owe it an answer."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Wait for a first request."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._look_in(self._patience_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what brings nothing whole for too long is not HTTP."""
        if self._waits_since is None:
            self._waits_since = self.loop.time()
        self._unread_bytes += len(data)
        super().data_received(data)
        if self._unread_bytes > _MOST_UNREAD and not self.transport.is_closing():
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        self._unread_bytes = self._body_bytes = 0
        self._is_in_body = True
        self._waits_since = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Wait for more of the body, with new patience if this was enough."""
        self._unread_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes >= PROGRESS_BYTES:
            self._body_bytes = 0
            self._waits_since = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing until more arrives."""
        self._unread_bytes = 0
        self._is_in_body = False
        self._waits_since = None
        super().on_message_complete()

    def shutdown(self) -> None:
        """Say goodbye; hang up if that is all there was to say and nobody answers it."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)

    def hang_up(self) -> None:
        """End the connection, whatever it is doing."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not even HTTP; in the shape of every other error."""
        self._refuse(*_NOT_HTTP)
        del msg

    def _look_in(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Give up a client that owes us something for too long; else look again in time."""
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._waits_since is not None and (self.flow.read_paused or self._owes_an_answer()):
            self._waits_since = now  # it is we who do not listen, or not yet
        waited = 0.0 if self._waits_since is None else now - self._waits_since
        if waited >= self._patience_seconds:
            self._give_up()
        else:
            self._look_in(self._patience_seconds - waited)

    def _owes_an_answer(self) -> bool:
        """Whether an earlier request than the one that is arriving is still being served."""
        cycle: RequestResponseCycle | None = self.cycle
        is_serving = cycle is not None and not cycle.response_complete
        return bool(self.pipeline) or (is_serving and not self._is_in_body)

    def _give_up(self) -> None:
        has_asked = self._unread_bytes > 0 or self._is_in_body
        is_answered = self._is_in_body and self.cycle.response_started
        if has_asked and not is_answered:
            self._refuse(*_TOO_SLOW)
        self.transport.close()
        self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)

    def _refuse(self, status: bytes, error: bytes, description: bytes) -> None:
        """A last answer, which may be read from any origin: it says nothing of anybody."""
        body = b'{"error":"%b","description":"%b"}\n' % (error, description)
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\naccess-control-allow-origin: *\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
        )
        self.transport.close()
