"""
The processes that deliver from one database, and what they share.

Each shows itself every few seconds. From how many there are follows which part of
Google's budgets is whose, so that two do not send twice as fast as one may. How far a
project's ramp is climbed is kept as well: one that joins, or starts anew, goes on where
the others are. It does so at the first beat after it came to the project, not before,
because by then all others have noticed that it is there and send less.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.storage import workers
from heliograph.storage.database import Database
from heliograph.storage.workers import Warmth, WorkerRow
from heliograph.transport.pace import RAMP_SECONDS, Paces

BEAT: Final = timedelta(seconds=5)
"""How often a worker shows itself."""

LIFE: Final = timedelta(seconds=20)
"""How long it counts without showing itself: three beats may be missed."""


_GOODBYE: Final = timedelta(seconds=1)
"""How long leaving may take, of the fifteen seconds that a stop has."""


class Fleet:
    """The workers of a database, as one of them sees them."""

    def __init__(
        self,
        database: Database,
        paces: Paces,
        us: WorkerRow,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Look at the others; nobody sees us yet.

        Args:
            database: Where they meet.
            paces: What is shared.
            us: As others see us.
            clock: The time; machines' clocks may differ by a few seconds.
            sleep: Lets so many seconds pass.
        """
        self._database = database
        self._paces = paces
        self._us = us
        self._clock = clock
        self._sleep = sleep

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Be one of them; on exit the others know at their next beat that we are not."""
        await self.beat()
        beating = asyncio.create_task(self._keep_beating())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            with contextlib.suppress(Exception):  # then our time runs out by itself
                async with asyncio.timeout(_GOODBYE.total_seconds()):
                    await self.leave()

    async def beat(self) -> None:
        """Show ourselves, see who else is there, and share."""
        now, strange, used = self._clock(), self._paces.strange, self._paces.used()
        async with self._database.write() as connection:
            await workers.show(connection, replace(self._us, seen_at=now))
            await workers.remove_silent(connection, since=now - LIFE)
            others = await workers.living(connection, since=now - LIFE)
            known = await workers.warmth(connection, strange) if strange else {}
            kept = {
                project: Warmth(round(warmth * 100), now)
                for project, warmth in used.items()
                if project not in strange
            }
            if kept:
                await workers.keep_warmth(connection, kept)
        self._paces.share(len(others))
        self._paces.welcome({project: _left(known.get(project), now) for project in strange})

    async def leave(self) -> None:
        """Let the others have our part."""
        async with self._database.write() as connection:
            await workers.remove(connection, self._us.id)

    async def _keep_beating(self) -> None:
        while True:
            await self._sleep(BEAT.total_seconds())
            try:
                await self.beat()
            except Exception as problem:  # noqa: BLE001  (the next beat may be in time)
                log().warning(Event.BEAT_MISSED, problem=type(problem).__name__)


async def living(database: Database, *, now: datetime) -> Sequence[WorkerRow]:
    """The workers of a database that is shared, oldest first."""
    async with database.read() as connection:
        return await workers.living(connection, since=now - LIFE)


def _left(warmth: Warmth | None, now: datetime) -> float:
    """What is left of a project's warmth: nothing, when nobody has sent to it for a minute."""
    if warmth is None:
        return 0.0
    idle = max((now - warmth.used_at).total_seconds() - BEAT.total_seconds(), 0.0)
    return max(warmth.percent / 100 - idle / RAMP_SECONDS, 0.0)
