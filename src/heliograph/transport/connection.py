"""
An HTTP/2 connection on the network: bytes and time for the rules in ``wire/http2``.

There is one timer per connection, whatever the number of requests: streams are
numbered in the order in which they were sent, so "everything up to this number was
sent by then" is all there is to remember of their deadlines.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from heliograph.gateways.reply import read_object, read_words
from heliograph.wire import http2
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import End, Key, Template

_WRITE_BUFFER_BYTES: Final = 1024 * 1024
"""Above it the peer reads too slowly to be sent more: several batches of requests."""

_MARKS: Final = 30
"""Into how many parts a deadline is divided; a request may wait by one part too long."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for what, in seconds."""

    connect: float = 10.0
    """For name, connection and handshake together."""
    reply: float = 30.0
    """For the reply to a request. Google asks for at least ten."""
    queue: float = 60.0
    """For a place on a connection."""
    idle: float = 3600.0
    """Without traffic before we ask for a sign of life: Apple's advice is an hour."""
    unused: float = 300.0
    """Without a request before a connection is closed that is not made to last."""
    forgotten: float = 86_400.0
    """Without a request before any other is: its key may be out of use."""
    stall: float = 10.0
    """Without any byte while replies are due before we ask for a sign of life."""
    pong: float = 10.0
    """For the sign of life. Then the connection is dead."""
    close: float = 1.0
    """For a peer to say goodbye."""


class Link(asyncio.Protocol):
    """
    One connection.

    Whoever made it is told of ends (``on_ended``), and that there may be room, or that
    the link cannot be used any more (``on_change``).
    """

    def __init__(
        self,
        patience: Patience,
        *,
        on_ended: Callable[[list[tuple[Key, End]]], None],
        on_change: Callable[["Link"], None],
        is_lasting: bool = True,
    ) -> None:
        """
        Make a protocol for one connection.

        Args:
            patience: How long to wait for what.
            on_ended: Told of the requests that have ended.
            on_change: Told that there may be room now, or never again.
            is_lasting: Whether to keep the connection when there is nothing to send.
        """
        self._is_lasting = is_lasting
        self._patience = patience
        self._on_ended = on_ended
        self._on_change = on_change
        self._rules = http2.Connection()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_writable = True
        self._marks: deque[tuple[float, int]] = deque()
        """When to give up which streams: up to a number, in ascending order."""
        self._active_at = self._loop.time()
        """When we last heard of the peer, or asked it something."""
        self._pong_due_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.negotiated: str | None = None
        """What ALPN chose; a link that is not for ``h2`` says nothing."""
        self.has_served = False
        """Whether a request was ever answered here."""
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is gone."""
        self._used_at = self._active_at
        """When the last request went out."""

    # --- what the pool may ask and do ------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether requests may be sent here, now or later."""
        return self._transport is not None and self._rules.is_usable

    @property
    def room(self) -> int:
        """How many requests may be sent now."""
        return self._rules.room if self.is_usable and self._is_writable else 0

    @property
    def capacity(self) -> int:
        """How many requests may be under way at once."""
        return self._rules.max_streams

    @property
    def open_streams(self) -> int:
        """How many requests are under way."""
        return self._rules.open_streams

    @property
    def farewell(self) -> str:
        """Why the connection came to an end: in the peer's words if it said any."""
        if self._rules.goaway is None:
            return self._rules.closed_because
        said = read_words(read_object(self._rules.goaway.debug).get("reason"))
        code = http2.ErrorCode.name_of(self._rules.goaway.code)
        return f"GOAWAY {said or code}"

    def send(self, template: Template, requests: Sequence[tuple[Key, Sequence[bytes]]]) -> int:
        """Take requests as far as there is room; ``flush`` sends them."""
        return self._rules.send(template, requests) if self._is_writable else 0

    def flush(self) -> None:
        """Write what is to be sent, in one go."""
        if self._transport is None or not self._is_writable:
            return
        if data := self._rules.data_to_send():
            self._transport.write(data)
            self._mark()

    def close(self, reason: str) -> None:
        """Say goodbye and close; what is under way ends."""
        ended = self._rules.close(reason)
        self._hang_up()
        self._on_ended(ended)

    def abort(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    # --- what asyncio tells us -------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say SETTINGS, if the peer speaks HTTP/2 at all."""
        self._transport = transport = cast("asyncio.Transport", transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.negotiated = tls.selected_alpn_protocol()
        if self.negotiated != "h2":
            transport.close()
            return
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self.flush()
        self._wake_up_at(self._loop.time() + self._patience.stall)

    def data_received(self, data: bytes) -> None:
        """Hand out what has ended, and see what there is room for."""
        self._active_at = self._loop.time()
        ended = self._rules.receive_data(data)
        if not self._rules.is_ping_unanswered:
            self._pong_due_at = None
        if ended:
            self.has_served = self.has_served or any(type(e) is HttpResponse for _, e in ended)
            self._on_ended(ended)
        self._on_change(self)  # may send, and so carries our own frames as well
        self.flush()
        if self._rules.is_closed or (self._rules.goaway and not self._rules.open_streams):
            self.close("the peer has gone")

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        ended = self._rules.close(f"connection lost: {type(exc).__name__}" if exc else "closed")
        if not self.lost.done():
            self.lost.set_result(None)
        self._on_ended(ended)
        self._on_change(self)

    def pause_writing(self) -> None:
        """Take nothing more: the peer does not read."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._is_writable = True
        self._on_change(self)
        self.flush()

    # --- time ------------------------------------------------------------------------

    def _mark(self) -> None:
        """Remember until when what was sent so far may take."""
        last, part = self._rules.last_stream_id, self._patience.reply / _MARKS
        if not self._rules.open_streams or (self._marks and self._marks[-1][1] >= last):
            return
        self._active_at = self._used_at = now = self._loop.time()
        due_at = now + self._patience.reply + part
        if self._marks and due_at - self._marks[-1][0] < part:
            due_at, _ = self._marks.pop()  # soon after the last: share its mark
        self._marks.append((due_at, last))
        self._wake_up_at(min(self._marks[0][0], now + self._patience.stall))

    def _wake_up_at(self, moment: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._tick)

    def _tick(self) -> None:
        """Look at the clock: give up what is late, ask a silent peer, leave a dead one."""
        self._timer = None
        now, patience = self._loop.time(), self._patience
        if self._pong_due_at is not None and self._pong_due_at <= now:
            self._die("no sign of life")
            return
        self._give_up(now)
        if self._is_unused(now):
            self.close("unused")
            return
        rest = patience.idle if self._is_lasting else patience.unused
        silence = patience.stall if self._rules.open_streams else rest
        if self._pong_due_at is None and self._active_at + silence <= now:
            self._rules.ping()
            self._pong_due_at = now + patience.pong
        self.flush()
        moments = [self._pong_due_at or self._active_at + silence]
        if self._marks:
            moments.append(self._marks[0][0])
        self._wake_up_at(min(moments))

    def _give_up(self, now: float) -> None:
        if not self._rules.open_streams:
            self._marks.clear()
        late = -1
        while self._marks and self._marks[0][0] <= now:
            _, late = self._marks.popleft()
        if late > 0 and (ended := self._rules.give_up(late)):
            self._on_ended(ended)
            self._on_change(self)  # their places are free

    def _is_unused(self, now: float) -> bool:
        kept = self._patience.forgotten if self._is_lasting else self._patience.unused
        return not self._rules.open_streams and self._used_at + kept <= now

    def _die(self, reason: str) -> None:
        """Leave without waiting for a peer that is not there."""
        ended = self._rules.close(reason)
        self.abort()
        self._on_ended(ended)
        self._on_change(self)

    def _hang_up(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if data := self._rules.data_to_send():
                self._transport.write(data)
            self._transport.close()
            self._loop.call_later(self._patience.close, self.abort)
