"""
Lines of tickets: how one process draws from them, each in its turn.

Each line is a durable consumer of the stream. A line is asked for as many tickets as there
are free hands and answers at once. While hands are free and there is nothing to draw, one
request for one ticket stands at each line: who waits is served when a ticket comes, and
only one of those who wait.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
from nats.aio.msg import Msg

from heliograph.model import Sort
from heliograph.queue.broker import NO_RESPONDERS, Broker, status
from heliograph.queue.tickets import BUCKETS, Names, Ticket

_STAND_SECONDS: Final = 15.0
"""How long one request stands; longer than a process has nothing else to do."""

_STALE_SECONDS: Final = 0.1
"""How old the news may be that a line is empty, while other lines fill our hands."""

_PATIENCE_SECONDS: Final = 2.0
"""How long a line may take to answer."""

_ACKNOWLEDGED: Final = b"+ACK"
_IN_PROGRESS: Final = b"+WPI"
_REFUSED: Final = b"-NAK"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A ticket in our hand, until we say what became of it."""

    ticket: Ticket
    reply: str
    """Where to say it."""
    deliveries: int
    """1 the first time that it is handed out."""


class Line:
    """One line, as this process sees it."""

    def __init__(self, broker: Broker, request: str, place: str) -> None:
        """
        See nothing yet.

        Args:
            broker: The way to NATS.
            request: The subject under which tickets are asked for.
            place: A name for it among the lines of this process.
        """
        self._broker = broker
        self._request = request
        self._place = place
        self._alone = asyncio.Lock()
        self._answer: asyncio.Future[None] | None = None
        self._missing = 0
        self._serial = self._pulled = self._stood = 0
        self._stands_until = -math.inf
        self._asked_at = -math.inf
        self.drawn: deque[Drawn] = deque()
        """Tickets that have come, and are nobody's yet."""
        self.is_spent = False
        """Whether there was less than was asked for, the last time."""

    def is_watched(self, now: float) -> bool:
        """Whether a request stands, so that the line is known to be empty."""
        return now < self._stands_until

    def is_worth_a_look(self, now: float) -> bool:
        """Whether there may be something in it, as far as we remember."""
        return not self.is_spent or now - self._asked_at > _STALE_SECONDS

    async def pull(self, count: int, now: float) -> None:
        """Ask for up to so many tickets, and wait until they are here or there are no more."""
        async with self._alone:
            self._answer, self._missing = asyncio.get_running_loop().create_future(), count
            self._asked_at, self.is_spent = now, False
            self._pulled = self._serial = self._serial + 1
            await self._ask({"batch": count, "no_wait": True})
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._answer
            except TimeoutError:
                self.is_spent = True
                self._broker.renew()  # it is there, but it does not answer
            finally:
                self._answer = None

    async def watch(self, now: float) -> None:
        """Have a request stand, for one ticket."""
        async with self._alone:
            self._stands_until = now + _STAND_SECONDS
            self._stood = self._serial = self._serial + 1
            await self._ask({"batch": 1, "expires": int(_STAND_SECONDS * 1e9)})

    def hear_ticket(self, drawn: Drawn) -> bool:
        """A ticket has come; whether somebody waits for it who has just asked."""
        self.drawn.append(drawn)
        if self._answer is None:
            self._stands_until, self.is_spent = -math.inf, False
            return False
        self._missing -= 1
        if self._missing <= 0:
            self._over()
        return True

    def hear_status(self, serial: int) -> None:
        """No more tickets come for a request."""
        if serial == self._stood:
            self._stands_until = -math.inf
        if serial == self._pulled:
            self.is_spent = True
            self._over()

    def forget(self) -> None:
        """The connection is another one, and every request is lost."""
        self._stands_until, self.is_spent = -math.inf, False
        self._over()

    def _over(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    async def _ask(self, request: dict[str, object]) -> None:
        reply = f"{self._broker.inbox}.{self._place}.{self._serial}"
        await self._broker.say(self._request, msgspec.json.encode(request), reply=reply)


class Lines:
    """Every line of every sort, and what comes from them."""

    def __init__(
        self,
        broker: Broker,
        names: Names,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know the lines of an installation."""
        self._broker = broker
        self._names = names
        self._monotonic = monotonic
        self._turn = 0
        self._lines = {
            sort: [self._line(sort, bucket) for bucket in range(BUCKETS)] for sort in Sort
        }
        self._wanted: set[Sort] = set()
        """The sorts for which hands are free."""
        self._heard: set[Sort] = set()
        """Those of which something has come since."""
        self._stirred = asyncio.Event()

    async def draw(self, sort: Sort, limit: int) -> list[Drawn]:
        """Up to so many tickets, from each line in its turn; none if the lines are empty."""
        drawn = self._collect(sort, limit)
        for lines in self._first_and_rest(sort):
            left = lines
            while left and (missing := limit - len(drawn)) > 0:
                share, now = max(1, missing // len(left)), self._monotonic()
                asked = left[:missing]
                await asyncio.gather(*[line.pull(share, now) for line in asked])
                drawn += self._collect(sort, missing)
                left = [line for line in left if line not in asked or not line.is_spent]
        return drawn

    def want(self, sort: Sort) -> None:
        """Have hands free for more of a sort than there was."""
        self._wanted.add(sort)
        self._stirred.set()

    async def enough(self, sort: Sort) -> None:
        """Have no hands free for a sort."""
        self._wanted.discard(sort)
        await self.give_back(sort)

    async def wait(self, patience: timedelta) -> Collection[Sort]:
        """
        Return when something has come that is wanted: of which sorts.

        After a while without, or when the connection is another one, it is all of them.
        """
        try:
            async with asyncio.timeout(patience.total_seconds()):
                while not self._heard:
                    self._stirred.clear()
                    await self._watch()
                    await self._stirred.wait()
        except TimeoutError:
            return frozenset(Sort)
        heard = frozenset(self._heard)
        self._heard.clear()
        return heard

    async def give_back(self, sort: Sort) -> None:
        """Let others have what has come for hands that are no longer free."""
        for drawn in self._collect(sort, None):
            await self.refuse(drawn)

    async def acknowledge(self, drawn: Drawn) -> None:
        """Be rid of a ticket for ever."""
        await self._broker.say(drawn.reply, _ACKNOWLEDGED)

    async def keep(self, drawn: Drawn) -> None:
        """Keep a ticket for another while."""
        await self._broker.say(drawn.reply, _IN_PROGRESS)

    async def refuse(self, drawn: Drawn, seconds: float = 0.0) -> None:
        """Have a ticket handed out again, to whomever, after a while."""
        delay = msgspec.json.encode({"delay": int(seconds * 1e9)})
        await self._broker.say(drawn.reply, _REFUSED + b" " + delay if seconds else _REFUSED)

    async def hear(self, message: Msg) -> None:
        """A ticket has come, or a word about a request for tickets."""
        word = status(message)
        if word is None:
            await self._hear_ticket(message)
            return
        sort, bucket, serial = message.subject.rsplit(".", 3)[1:]
        self._lines[Sort(sort)][int(bucket)].hear_status(int(serial))
        if word == NO_RESPONDERS:
            self._broker.renew()

    def hear_link(self) -> None:
        """The connection has come up or gone down."""
        for lines in self._lines.values():
            for line in lines:
                line.forget()
        self._heard |= set(Sort)
        self._stirred.set()

    async def _hear_ticket(self, message: Msg) -> None:
        ticket = self._names.read(message.subject)
        if ticket is None or ticket.bucket >= BUCKETS:
            return
        drawn = Drawn(ticket, message.reply, message.metadata.num_delivered)
        if not self._lines[ticket.sort][ticket.bucket].hear_ticket(drawn):
            await self._receive(ticket.sort)

    async def _receive(self, sort: Sort) -> None:
        """Tell of a ticket that came of itself, or pass it on if no hand is free any more."""
        if sort not in self._wanted:
            await self.give_back(sort)
        self._heard.add(sort)
        self._stirred.set()

    async def _watch(self) -> None:
        """Have a request stand at each line of the sorts that are wanted."""
        now = self._monotonic()
        for line in [line for sort in self._wanted for line in self._lines[sort]]:
            if not line.is_watched(now):
                await line.watch(now)

    def _line(self, sort: Sort, bucket: int) -> Line:
        consumer = self._names.consumer(sort, bucket)
        request = f"$JS.API.CONSUMER.MSG.NEXT.{self._names.stream}.{consumer}"
        return Line(self._broker, request, f"{sort}.{bucket}")

    def _first_and_rest(self, sort: Sort) -> tuple[Sequence[Line], Sequence[Line]]:
        """The lines that may hold something, and then those that we believe to be empty."""
        self._turn += 1
        now, start = self._monotonic(), self._turn % BUCKETS
        lines = self._lines[sort]
        open_ = [each for each in lines[start:] + lines[:start] if not each.is_watched(now)]
        first = [line for line in open_ if line.is_worth_a_look(now)]
        return first, [line for line in open_ if line not in first]

    def _collect(self, sort: Sort, limit: int | None) -> list[Drawn]:
        """Tickets that have come, one from each line and round again."""
        collected: list[Drawn] = []
        lines = self._lines[sort]
        while any(line.drawn for line in lines):
            for line in lines:
                if len(collected) == limit:
                    return collected
                if line.drawn:
                    collected.append(line.drawn.popleft())
        return collected
