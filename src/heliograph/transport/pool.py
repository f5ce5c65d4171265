"""
Connections to one origin, and the requests that wait for a place on them.

* A connection more is opened while more waits than those open can carry at once, one
  after the other, up to a few. Each must have served first: until then a peer may allow
  a single request only, as Apple does.
* What the peer has not processed goes out again on another connection, a few times.
* Openings that fail are paced: at first a second apart, then ever longer. Until the
  next one is due, requests fail at once, and whoever sent them can wait elsewhere.
"""

import asyncio
import itertools
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import Gauge

from heliograph.errors import Ambiguous, EgressDenied, NotProcessed, TransportError
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.transport.connection import Link, Patience
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import End, Key, Template, Uncertain, Unprocessed

MAX_LINKS: Final = 4
"""Connections to one origin. APNs lets each carry a thousand requests, FCM a hundred."""

SENDS: Final = 3
"""How often a request goes out at most while the peer does not process it."""

_ENOUGH_ROOM: Final = 64
"""Places to wait for before more is sent: a few large writes cost less than many small ones."""

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds between openings that fail; each is twice the last."""


OLDEST: Final = 0xFFFE
"""The longest time that is told, in milliseconds."""


class SpeaksHttp1(Exception):  # noqa: N818  (it is news rather than an error)
    """The origin has chosen another protocol than HTTP/2."""


class Dial(Protocol):
    """Opens a connection for a protocol; raises ``OSError`` or ``EgressDenied``."""

    def __call__(self, make: Callable[[], Link]) -> Awaitable[object]:
        """Connect."""


Result = HttpResponse | TransportError | SpeaksHttp1

_NOT_YET: Final = NotProcessed("not sent yet")


class Batch:
    """Requests of one template that were sent together; they are numbered from 0."""

    __slots__ = (
        "_began",
        "_went_out",
        "ages",
        "done",
        "left",
        "needs_http1",
        "results",
        "sends",
        "template",
        "values",
    )

    def __init__(self, template: Template, values: Sequence[Sequence[bytes]]) -> None:
        """Wait for as many results as there are values."""
        self.template = template
        self.values = values
        self.results: list[Result] = [_NOT_YET] * len(values)
        self.left = len(values)
        self.needs_http1 = False
        """Whether a result is ``SpeaksHttp1``."""
        self.sends: dict[int, int] = {}
        """How often a request has gone out in vain, if it has."""
        self.ages = array("H", bytes(2 * len(values)))
        """Milliseconds from the beginning to each reply, up to ``OLDEST``."""
        self._went_out: list[tuple[int, int, int]] = []
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.done: asyncio.Future[None] = loop.create_future()

    def age(self, now: float) -> int:
        """Milliseconds since the beginning, at a time of the event loop; up to ``OLDEST``."""
        return min(round((now - self._began) * 1000), OLDEST)

    def went_out(self, first: int, count: int, now: float) -> None:
        """Note when some requests in a row went out, if not at once; the last time counts."""
        if age := self.age(now):
            self._went_out.append((first, count, age))

    def took(self) -> "array[int]":
        """
        Milliseconds from when each request went out to its reply.

        ``OLDEST`` if the reply came later than that after the beginning; if none came, the
        number means nothing.
        """
        if not self._went_out:
            return self.ages
        began = array("H", bytes(2 * len(self.ages)))
        for first, count, age in self._went_out:
            began[first : first + count] = array("H", (age,)) * count
        took = [
            at - out if out < at < OLDEST else (OLDEST if at == OLDEST else 0)
            for at, out in zip(self.ages, began, strict=True)
        ]
        return array("H", took)

    def end(self, number: int, result: Result) -> None:
        """Keep the result of one request; each has one."""
        self.results[number] = result
        self.needs_http1 = self.needs_http1 or isinstance(result, SpeaksHttp1)
        self.left -= 1
        if not self.left:
            self.finish()

    def finish(self) -> None:
        """Let go of whoever waits."""
        if not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class _Group:
    """Requests of one batch that wait."""

    batch: Batch
    requests: list[tuple[Key, Sequence[bytes]]]
    """By batch and number, which is all that is needed to send again."""
    first: int
    """The number of the first; those of the others follow one after another."""
    since: float
    taken: int = 0

    @property
    def left(self) -> int:
        return len(self.requests) - self.taken


class Pool:
    """What there is to one origin."""

    def __init__(
        self,
        dial: Dial,
        patience: Patience,
        *,
        max_links: int,
        is_lasting: bool,
        origin: str,
        opened: Gauge,
    ) -> None:
        """
        Begin without a connection.

        Args:
            dial: How to reach the origin.
            patience: How long to wait for what.
            max_links: How many connections there may be.
            is_lasting: Whether to keep connections while there is nothing to send.
            origin: What log lines call it.
            opened: How many connections are open.
        """
        self._is_lasting = is_lasting
        self._opened = opened
        self._log = log().bind(origin=origin)
        self._dial = dial
        self._patience = patience
        self._max_links = max_links
        self._loop = asyncio.get_running_loop()
        self._links: list[Link] = []
        self._leaving: set[Link] = set()
        """Links that take nothing more but still have replies to come."""
        self._waiting: deque[_Group] = deque()
        self._opening: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._feed_soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether forgetting this pool loses nothing."""
        return not (self._links or self._leaving or self._waiting or self._opening) and (
            self._not_before <= self._loop.time()
        )

    def submit(self, batch: Batch) -> None:
        """Send the requests of a batch as soon as there is room for them."""
        keys = zip(itertools.repeat(batch), itertools.count())
        self._wait(list(zip(keys, batch.values)), batch, 0)  # noqa: B905  (the first is endless)

    def _wait(self, requests: list[tuple[Key, Sequence[bytes]]], batch: Batch, first: int) -> None:
        self._waiting.append(_Group(batch, requests, first, self._loop.time()))
        if self._feed_soon is None:  # once for all that is submitted in one go
            self._feed_soon = self._loop.call_soon(self._feed)

    async def close(self) -> None:
        """Close every connection; what waits was not processed."""
        self._is_closed = True
        self._fail_waiting(NotProcessed("closing"))
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        links = [*self._links, *self._leaving]
        for link in links:
            link.close("closing")
        await asyncio.gather(*[link.lost for link in links])
        if self._timer is not None:
            self._timer.cancel()

    # --- sending ---------------------------------------------------------------------

    def _feed(self) -> None:
        self._feed_soon = None
        for link in list(self._links):  # a link may leave while it is written to
            self._feed_link(link)
        if self._waiting:
            self._want_link()
            self._watch_queue()

    def _feed_link(self, link: Link) -> None:
        if not self._waiting:
            return
        room = link.room
        enough = min(_ENOUGH_ROOM, self._waiting[0].left, (link.capacity + 1) // 2)
        if room < enough and link.open_streams:
            return
        while self._waiting and room > 0:
            group = self._waiting[0]
            if not group.batch.done.cancelled():
                requests = group.requests[group.taken : group.taken + room]
                taken = link.send(group.batch.template, requests)
                group.batch.went_out(group.first + group.taken, taken, self._loop.time())
                group.taken += taken
                room -= taken
                if not taken:
                    break
            if group.batch.done.cancelled() or not group.left:
                self._waiting.popleft()
        link.flush()

    def _ended(self, ended: list[tuple[Key, End]]) -> None:
        now, known, age = self._loop.time(), None, 0
        results: list[Result] = []
        ages = array("H")
        for (batch, number), end in ended:
            if type(end) is HttpResponse:
                if batch is not known:
                    known, age = batch, batch.age(now)
                    results, ages = batch.results, batch.ages
                results[number] = end  # as ``end`` does, for there is one for every device
                ages[number] = age
                batch.left -= 1
                if not batch.left:
                    batch.finish()
            elif isinstance(end, Unprocessed):
                self._send_again(batch, number, end)
            elif isinstance(end, Uncertain):
                batch.end(number, Ambiguous(end.reason))

    def _send_again(self, batch: Batch, number: int, end: Unprocessed) -> None:
        sends = batch.sends[number] = batch.sends.get(number, 0) + 1
        if sends >= SENDS or self._is_closed:
            batch.end(number, NotProcessed(end.reason, said=end.debug))
            return
        self._wait([((batch, number), batch.values[number])], batch, number)

    # --- links -----------------------------------------------------------------------

    def _changed(self, link: Link) -> None:
        if link in self._links and not link.is_usable:
            self._links.remove(link)
            self._leaving.add(link)
        if link.lost.done():
            if link in self._leaving:
                self._leaving.discard(link)
                self._opened.dec()
                self._tell(Event.CONNECTION_LOST, link.farewell)
            if link.has_served:
                self._failures = 0
            elif link.negotiated == "h2":
                self._pause()
        if self._waiting:
            self._feed_link(link)
            self._want_link()

    def _want_link(self) -> None:
        """Open a connection if what waits is more than those open will soon carry."""
        if not self._waiting or self._opening is not None or self._is_closed:
            return
        if self._links and not self._is_overrun():
            return
        if self._loop.time() < self._not_before:
            if not self._links:
                self._fail_waiting(NotProcessed("the peer could not be reached a moment ago"))
            return
        self._opening = self._loop.create_task(self._open())

    def _is_overrun(self) -> bool:
        """Whether the links, all of which have proven themselves, do not suffice."""
        carried = sum(link.capacity for link in self._links)
        return (
            len(self._links) < self._max_links
            and all(link.has_served for link in self._links)
            and sum(group.left for group in self._waiting) > carried
        )

    async def _open(self) -> None:
        link = Link(
            self._patience,
            on_ended=self._ended,
            on_change=self._changed,
            is_lasting=self._is_lasting,
        )
        try:
            await self._connect(link)
        except EgressDenied as denied:
            self._fail_waiting(denied)
        except (OSError, ValueError) as problem:  # of TLS, of time, or of a name that is none
            self._pause()
            reason = "ConnectTimeout" if isinstance(problem, TimeoutError) else "ConnectError"
            self._tell(Event.CONNECTION_FAILED, reason)
            if not self._links:
                self._fail_waiting(NotProcessed(reason))
        else:
            if link.negotiated != "h2":
                self._fail_waiting(SpeaksHttp1())
            elif not link.lost.done():
                self._links.append(link)
                self._opened.inc()
                self._log.debug(Event.CONNECTION_OPENED)
            self._feed()

    async def _connect(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._patience.connect):
                await self._dial(lambda: link)
        finally:
            self._opening = None

    def _tell(self, event: Event, reason: str) -> None:
        """Log what an operator may want to know: not of strangers, nor of our own goodbyes."""
        if self._is_lasting and not self._is_closed:
            self._log.info(event, reason=reason)
        else:
            self._log.debug(event, reason=reason)

    def _pause(self) -> None:
        """Let time pass before the next opening."""
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures += 1
        self._not_before = self._loop.time() + pause

    def _fail_waiting(self, result: Result) -> None:
        waiting, self._waiting = self._waiting, deque()
        for group in waiting:
            self._fail(group, result)

    def _fail(self, group: _Group, result: Result) -> None:
        for (batch, number), _ in group.requests[group.taken :]:
            batch.end(number, result)

    # --- time ------------------------------------------------------------------------

    def _watch_queue(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.call_at(
                self._waiting[0].since + self._patience.queue, self._give_up_waiting
            )

    def _give_up_waiting(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0].since + self._patience.queue <= now:
            self._fail(self._waiting.popleft(), NotProcessed("no place on a connection in time"))
        self._watch_queue()
