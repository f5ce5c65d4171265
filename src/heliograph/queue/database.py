"""
Leased work in the database: the queue of the embedded default.

What is put here was put in the transaction that made it necessary, so there is
nothing to keep in step. A worker takes work for a while and extends that while it
is at it; if it dies, the lease runs out and somebody else takes over. A lease need not
survive a power cut: whoever held it does not either.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from heliograph.model import CallLane, InstanceNumber, Lane, Sort, WorkNumber
from heliograph.queue.news import LocalNews, News
from heliograph.storage import lanes, turns, work
from heliograph.storage.database import Database
from heliograph.storage.turns import Terms
from heliograph.storage.work import Batch, Errand, Work

LEASE: Final = timedelta(seconds=60)
"""How long work is held without a sign of life, unless told."""

_LONGEST_NAP: Final = timedelta(seconds=5)
"""How long to sleep at most: another process may have added work without our knowing."""

_ATTEND_EVERY: Final = timedelta(seconds=1)
"""How often to look at paused lanes apart from what goes on."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class DatabaseQueue:
    """The work of one database, as one process sees it."""

    is_there: Final = True

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        lease: timedelta = LEASE,
        holder: str | None = None,
        news: News | None = None,
    ) -> None:
        """
        Look at a database; nothing is read yet.

        Args:
            database: Where the work is.
            clock: The time.
            lease: How long work is held without a sign of life.
            holder: The name on our leases; None makes one up.
            news: How processes hear of work; None means that there is only this one.
        """
        self._database = database
        self._clock = clock
        self.lease = lease
        self._holder = holder or secrets.token_hex(8)
        self._served: dict[Sort, InstanceNumber] = {}
        self._expired_at: dict[Sort, datetime] = {}
        self._attended_at: dict[Sort, datetime] = {}
        self._looked_at = _LONG_AGO
        self._news: News = news or LocalNews()

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        """Hold up to ``limit`` pieces of work of a sort that are due, in turns by instance."""
        if limit < 1:
            return []
        now = self._clock()
        with_expired = now >= self._expired_at.get(sort, _LONG_AGO)
        async with self._database.write(durable=False) as connection:
            taken = await turns.lease(
                connection,
                sort,
                limit,
                Terms(self._holder, now, now + self.lease),
                besides=besides,
                after=self._served.get(sort),
                with_expired=with_expired,
            )
        if taken:
            self._served[sort] = taken[-1].instance
        if with_expired and len(taken) < limit:
            self._expired_at[sort] = now + _LONGEST_NAP
        return taken

    async def take_paused(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        """Hold only what can be taken of paused lanes; we look now and then."""
        now = self._clock()
        if limit < 1 or now < self._attended_at.get(sort, _LONG_AGO):
            return []
        self._attended_at[sort] = now + _ATTEND_EVERY
        terms = Terms(self._holder, now, now + self.lease)
        async with self._database.write(durable=False) as connection:
            return await turns.of_paused(connection, sort, limit, terms, besides=besides)

    async def claim(
        self, numbers: Collection[WorkNumber], *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        """Hold those of some work that are due, in nobody's hand and of lanes that go on."""
        now = self._clock()
        async with self._database.write(durable=False) as connection:
            return await work.claim_open(
                connection,
                numbers,
                holder=self._holder,
                now=now,
                until=now + self.lease,
                besides=besides,
            )

    async def extend(self, works: Collection[Work]) -> Collection[Work]:
        """Hold some work for another while; that which has been lost to somebody else."""
        until = self._clock() + self.lease
        async with self._database.write(durable=False) as connection:
            numbers = [each.number for each in works]
            ours = await work.extend(connection, numbers, holder=self._holder, until=until)
            for each in works:
                if isinstance(each, Batch) and each.errand is Errand.PROBE and each.number in ours:
                    await lanes.set_probe(connection, each.lane, at=until)
        return [each for each in works if each.number not in ours]

    async def hand_back(
        self,
        works: Collection[Work],
        *,
        after: timedelta = timedelta(0),
        has_failed: bool = False,
    ) -> None:
        """Let go of work that was not done, if it is still ours; it is due after a while."""
        async with self._database.write() as connection:
            await work.hand_back(
                connection,
                [each.number for each in works],
                holder=self._holder,
                due_at=self._clock() + after,
                has_failed=has_failed,
            )

    async def finish(self, works: Collection[Work], *, given_up: bool = False) -> None:
        """Nothing: settled work is gone from the database."""

    async def reclaim(self) -> int:
        """
        End every lease; how many there were.

        Only for a process that knows itself to be the only one: whoever held them is
        dead, and waiting for their leases to run out would be waiting for nothing.
        """
        async with self._database.write() as connection:
            return await work.release_all(connection)

    async def announce(self, works: Collection[Work]) -> None:
        """Say that work was committed just now; of none, that a lane goes on."""
        self._news.tell({each.sort for each in works} or Sort)

    async def wait(self) -> Collection[Sort]:
        """Return when there may be work: after an announcement, or when some falls due."""
        nap = _LONGEST_NAP.total_seconds() if self._news.is_new else await self._nap()
        try:
            # Not ``wait_for``: up to Python 3.11 it forgets a cancellation that comes with news.
            async with asyncio.timeout(nap):
                sorts = await self._news.heard()
        except TimeoutError:
            sorts = frozenset(Sort)
        self._looked_at = self._clock()
        return sorts

    async def _nap(self) -> float:
        """Seconds until something falls due that had not when we last looked."""
        async with self._database.read() as connection:
            due_at = await turns.next_due(connection, after=self._looked_at)
        nap = _LONGEST_NAP
        if due_at is not None:
            nap = min(nap, max(due_at - self._clock(), timedelta(0)))
        return nap.total_seconds()
