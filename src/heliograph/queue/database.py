"""
Leased work in the database: the queue of the embedded default.

What is put here was put in the transaction that made it necessary, so there is
nothing to keep in step. A worker takes work for a while and extends that while it
is at it; if it dies, the lease runs out and somebody else takes over.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from heliograph.model import WorkNumber
from heliograph.queue.news import News
from heliograph.storage import work
from heliograph.storage.database import Database
from heliograph.storage.work import Work

LEASE: Final = timedelta(seconds=60)
"""How long work is held without a sign of life."""

_LONGEST_NAP: Final = timedelta(seconds=5)
"""How long to sleep at most: another process may have added work without our knowing."""


class DatabaseQueue:
    """The work of one database, as one process sees it."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], *, news: News | None = None
    ) -> None:
        """
        Look at a database; nothing is read yet.

        Args:
            database: Where the work is.
            clock: The time.
            news: How other processes hear of work; None means that there are none.
        """
        self._database = database
        self._clock = clock
        self._news: News = news or asyncio.Event()

    async def take(self, limit: int) -> Sequence[Work]:
        """Hold up to ``limit`` pieces of work that are due."""
        now = self._clock()
        async with self._database.write() as connection:
            return await work.lease(connection, limit=limit, now=now, until=now + LEASE)

    async def extend(self, numbers: Sequence[WorkNumber]) -> None:
        """Hold some work for another while."""
        async with self._database.write() as connection:
            await work.extend(connection, numbers, until=self._clock() + LEASE)

    async def hand_back(
        self, numbers: Sequence[WorkNumber], *, after: timedelta = timedelta(0)
    ) -> None:
        """Let go of work that was not done; it is due again after a while."""
        async with self._database.write() as connection:
            await work.hand_back(connection, numbers, due_at=self._clock() + after)

    async def reclaim(self) -> int:
        """
        End every lease; how many there were.

        Only for a process that knows itself to be the only one: whoever held them is
        dead, and waiting for their leases to run out would be waiting for nothing.
        """
        async with self._database.write() as connection:
            return await work.release_all(connection)

    def announce(self) -> None:
        """Say that work was committed just now."""
        self._news.set()

    async def wait(self) -> None:
        """Return when there may be work: after an announcement, or when some is due."""
        self._news.clear()
        async with self._database.read() as connection:
            due_at = await work.next_due(connection)
        nap = _LONGEST_NAP
        if due_at is not None:
            nap = min(nap, max(due_at - self._clock(), timedelta(0)))
        # Not ``wait_for``: up to Python 3.11 it forgets a cancellation that comes with the news.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(nap.total_seconds()):
                await self._news.wait()
