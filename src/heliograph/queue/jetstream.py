"""
The queue of many machines: tickets on NATS JetStream, for work that the database holds.

Whoever commits work announces it: a ticket for each piece. Whoever draws a ticket claims
the work in the database, under a lease, and keeps both alive; the ticket is acknowledged
when the work is settled, and not before. The truth is in the database alone. So a ticket
that has no counterpart there is thrown away, work that has no ticket is given one by a
*sweep* that every worker makes now and then, and while there is no NATS at all, work is
taken from the database as if there had never been one.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import CallLane, InstanceNumber, Lane, Sort, WorkNumber
from heliograph.queue.broker import NO_RESPONDERS, Broker, status
from heliograph.queue.database import DatabaseQueue
from heliograph.queue.lines import Drawn, Lines
from heliograph.queue.tickets import Names, Ticket, ticket
from heliograph.storage import standings
from heliograph.storage.database import Database
from heliograph.storage.work import Batch, Expansion, Work

_SWEEP_EVERY: Final = timedelta(seconds=2)
_SWEPT: Final = 64
"""How often a worker looks for work without a ticket, and how much of a lane it looks at."""

_LOOKS: Final = 4
"""How often to draw again if tickets were for nothing; no more, for those may come back."""

_LONGEST_NAP: Final = _SWEEP_EVERY

_PATIENCE: Final = timedelta(seconds=1)
"""How long NATS may take to accept tickets; who commits work waits for no longer."""

_SILENCE: Final = timedelta(seconds=5)
"""How long nothing is announced after NATS did not answer: the sweep is there for that."""

_ASIDE: Final = timedelta(seconds=2)
"""How long a ticket rests whose lane has enough of our hands."""


class JetStreamQueue:
    """The work of one database, as one process hears of it through NATS."""

    def __init__(
        self,
        leases: DatabaseQueue,
        database: Database,
        broker: Broker,
        names: Names,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        sweep_every: timedelta | None = _SWEEP_EVERY,
        longest_rest: timedelta = timedelta(hours=1),
    ) -> None:
        """
        Look at a database through a broker, which is not opened yet.

        Args:
            leases: What holds work for us in the database, and the queue while NATS is away.
            database: Where the work is.
            broker: The way to NATS.
            names: What things are called there.
            metrics: Where to count.
            clock: The time.
            monotonic: Seconds from wherever, for what is only between NATS and us.
            sweep_every: How often to look for work without a ticket; None leaves it to ``sweep``.
            longest_rest: For how long a ticket is put aside at most, before it is looked at again.
        """
        self._leases = leases
        self._database = database
        self._broker = broker
        self._names = names
        self._metrics = metrics
        self._lines = Lines(broker, names, monotonic=monotonic)
        self._clock = clock
        self._monotonic = monotonic
        self._sweep_every = sweep_every
        self._longest_rest = longest_rest
        self._held: dict[Ticket, Drawn] = {}
        self._quiet_until = 0.0
        self._swept_at = 0.0
        self._swept_to: dict[Sort, InstanceNumber] = {}
        self._sweeping: asyncio.Task[int] | None = None

    async def open(self) -> None:
        """
        Connect to NATS, declare our streams, and stay connected.

        Raises:
            ConfigurationError: It cannot be reached, or has no JetStream.
        """
        await self._broker.open(self._lines)

    async def close(self) -> None:
        """Let others have what has come for us, and end the connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for sort in Sort:
            await self._lines.give_back(sort)
        await self._broker.close()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is announced for the moment, because NATS was silent."""
        return self._monotonic() < self._quiet_until

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        """Hold up to ``limit`` pieces of work of a sort that are due, in turns by instance."""
        if not self._broker.is_up:
            return await self._leases.take(sort, limit, besides=besides)
        self._sweep_in_time()
        taken = list(await self._leases.take_paused(sort, limit, besides=besides))
        for _ in range(_LOOKS):
            drawn = await self._lines.draw(sort, limit - len(taken))
            taken += await self._claim(drawn, besides) if drawn else []
            if not drawn or len(taken) == limit:
                break
        if len(taken) < limit:
            self._lines.want(sort)
        else:
            await self._lines.enough(sort)
        return taken

    async def extend(self, works: Collection[Work]) -> Collection[Work]:
        """Hold some work for another while; that which has been lost to somebody else."""
        for each in works:
            if (drawn := self._held.get(_ticket(each))) is not None:
                await self._lines.keep(drawn)
        return await self._leases.extend(works)

    async def hand_back(
        self,
        works: Collection[Work],
        *,
        after: timedelta = timedelta(0),
        has_failed: bool = False,
    ) -> None:
        """Let go of work that was not done, if it is still ours; it is due after a while."""
        await self._leases.hand_back(works, after=after, has_failed=has_failed)
        for drawn in self._let_go(works):
            await self._put_aside(drawn, after)

    async def finish(self, works: Collection[Work], *, given_up: bool = False) -> None:
        """Acknowledge the tickets of work that is settled; note what was given up."""
        if given_up:
            await self._broker.bury([_note(each, self._clock()) for each in works])
        for drawn in self._let_go(works):
            await self._lines.acknowledge(drawn)

    async def announce(self, works: Collection[Work]) -> None:
        """
        Hand out tickets for work that was committed just now; of none, for what has come free.

        Whoever calls this has committed, so that nothing that goes wrong here is their
        business: whatever has no ticket in the end gets one from a sweep.
        """
        if not self._broker.is_up or self.is_quiet:
            await self._leases.announce(works)
            return
        if not works:
            self._swept_at = 0.0
            self._sweep_in_time()
            return
        tickets = [_ticket(each) for each in works]
        ids = [{"Nats-Msg-Id": f"{each.number}.{each.step}"} for each in tickets]
        await self._hand_out(tickets, ids)

    async def wait(self) -> Collection[Sort]:
        """Return when a ticket has come, or it is time to look for what has none."""
        if not self._broker.is_up:
            return await self._wait_without()
        return await self._lines.wait(_LONGEST_NAP)

    @property
    def lease(self) -> timedelta:
        """How long work is held without a sign of life."""
        return self._leases.lease

    @property
    def is_there(self) -> bool:
        """Whether there is a NATS, as far as we know."""
        return self._broker.is_up

    async def sweep(self) -> int:
        """Give a ticket to what is due and has none; how many had none."""
        handed_out = 0
        for sort in Sort:
            async with self._database.read() as connection:
                due = await standings.due(
                    connection,
                    sort,
                    _SWEPT,
                    now=self._clock(),
                    after=self._swept_to.get(sort),
                )
            if due:
                self._swept_to[sort] = due[-1].instance
            tickets = [ticket(sort, each.instance, each.number, each.expanded_to) for each in due]
            found = await self._hand_out(tickets, [None] * len(tickets))
            self._metrics.queue_swept.labels(sort).inc(found)
            handed_out += found
        return handed_out

    async def _claim(
        self, drawn: Sequence[Drawn], besides: Collection[Lane | CallLane]
    ) -> Sequence[Work]:
        """Lease what tickets are for, if it is there to be had; what to do with the others."""
        left = await self._without_doubles(drawn)
        try:
            claimed = await self._leases.claim(left, besides=besides)
            for piece in claimed:
                self._held[_ticket(piece)] = left.pop(piece.number)
            if left:
                await self._dispose_of(left)
        except BaseException:
            for each in left.values():
                await self._put_aside(each, _ASIDE)
            raise
        return claimed

    async def _dispose_of(self, left: dict[WorkNumber, Drawn]) -> None:
        """Do what is right with tickets for work that is not to be had now."""
        now = self._clock()
        async with self._database.read() as connection:
            found = await standings.of(connection, left)
        for number, drawn in left.items():
            standing = found.get(number)
            if standing is None or standing.is_paused:
                await self._lines.acknowledge(drawn)  # done; or there will be another ticket
            elif standing.free_at > now:
                await self._put_aside(drawn, standing.free_at - now)
            else:  # its lane has enough of our hands, or somebody else is just taking it
                await self._put_aside(drawn, _ASIDE)

    async def _without_doubles(self, drawn: Sequence[Drawn]) -> dict[WorkNumber, Drawn]:
        """One ticket for each piece of work: of an expansion's steps, the last."""
        kept: dict[WorkNumber, Drawn] = {}
        for each in sorted(drawn, key=lambda one: one.ticket.step):
            self._metrics.queue_redeliveries.labels(each.ticket.sort).inc(each.deliveries > 1)
            if each.ticket.number in kept:
                await self._lines.acknowledge(kept[each.ticket.number])
            kept[each.ticket.number] = each
        return {each.ticket.number: kept[each.ticket.number] for each in drawn}

    async def _put_aside(self, drawn: Drawn, rest: timedelta) -> None:
        await self._lines.refuse(drawn, min(rest, self._longest_rest).total_seconds())

    def _let_go(self, works: Collection[Work]) -> list[Drawn]:
        held = [self._held.pop(_ticket(each), None) for each in works]
        return [drawn for drawn in held if drawn is not None]

    async def _hand_out(
        self, tickets: Sequence[Ticket], headers: Sequence[dict[str, str] | None]
    ) -> int:
        """Publish tickets, all at once; how many NATS had not had yet."""
        messages = [
            (self._names.subject(each), b"", header)
            for each, header in zip(tickets, headers, strict=True)
        ]
        answers = await self._broker.ask(messages, _PATIENCE)
        if None in answers:
            self._quiet_until = self._monotonic() + _SILENCE.total_seconds()
            log().warning(Event.QUEUE_SILENT, unanswered=answers.count(None))
        if any(answer is not None and status(answer) == NO_RESPONDERS for answer in answers):
            self._broker.renew()
        return sum(_is_new(answer.data) for answer in answers if answer is not None)

    async def _wait_without(self) -> Collection[Sort]:
        """Wait as one does without NATS, or until it is back."""
        waits = [
            asyncio.ensure_future(each)
            for each in (self._leases.wait(), self._lines.wait(_LONGEST_NAP))
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return frozenset(Sort)

    def _sweep_in_time(self) -> None:
        """Have a sweep go on beside us if it is time for one."""
        now = self._monotonic()
        if self._sweep_every is None or now - self._swept_at < self._sweep_every.total_seconds():
            return
        if self._sweeping is None or self._sweeping.done():
            self._swept_at = now
            self._sweeping = asyncio.create_task(self._sweep_quietly())

    async def _sweep_quietly(self) -> int:
        try:
            while await self.sweep() >= _SWEPT:  # NATS has lost much: go on
                pass
            await self._measure()
        except Exception as problem:  # noqa: BLE001  (the next one may succeed)
            log().error(Event.WORKER_FAILED, problem=type(problem).__name__, exc_info=True)
        return 0

    async def _measure(self) -> None:
        """Tell how many tickets wait, and how much was given up."""
        waiting = dict.fromkeys(Sort, 0)
        for info in await self._broker.consumers():
            sort = info.name.partition("-")[0]
            if sort not in waiting:
                continue  # a newer version's
            waiting[Sort(sort)] += (info.num_pending or 0) + (info.num_ack_pending or 0)
        for sort, count in waiting.items():
            self._metrics.queue_tickets.labels(sort).set(count)
        count, _ = await self._broker.dead_letters()
        self._metrics.queue_dead_letters.set(count)


def _ticket(piece: Work) -> Ticket:
    step = piece.expanded_to if isinstance(piece, Expansion) else 0
    return ticket(piece.sort, piece.instance, piece.number, step)


def _note(piece: Work, now: datetime) -> bytes:
    """A dead letter: which work it was, and of which publish; nothing of what it said."""
    return msgspec.json.encode(
        {
            "work": piece.number,
            "publish": piece.publish,
            "instance": piece.instance,
            "sort": piece.sort,
            "deliveries": len(piece.devices) if isinstance(piece, Batch) else None,
            "failures": piece.failures + 1,
            "given_up_at": now,
        }
    )


class _Stored(msgspec.Struct):
    """JetStream's answer to a message."""

    seq: int = 0
    duplicate: bool = False
    error: dict[str, object] | None = None


def _is_new(answer: bytes) -> bool:
    """Whether a message was stored, and was not there before."""
    try:
        stored = msgspec.json.decode(answer, type=_Stored)
    except msgspec.DecodeError:
        return False
    return stored.error is None and not stored.duplicate and stored.seq > 0
