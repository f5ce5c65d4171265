"""
What the pipeline asks of a queue.

The database holds the work, and the lease of whoever is at it, whichever queue there
is: what a queue decides is who hears of it, when, and in which order. Losing a queue
therefore loses nothing but time.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from heliograph.model import CallLane, Lane, Sort
from heliograph.storage.work import Work


class Queue(Protocol):
    """The work that is due, as one process sees it."""

    @property
    def lease(self) -> timedelta:
        """How long work is held without a sign of life."""

    @property
    def is_there(self) -> bool:
        """Whether what hands work out answers; without it, work is found a little later."""

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        """
        Hold up to ``limit`` pieces of work of a sort that are due, in turns by instance.

        Nothing of a paused lane is taken, but for one probe when its time has come and for
        what is no longer worth sending; nothing at all of the lanes ``besides``.
        """

    async def extend(self, works: Collection[Work]) -> Collection[Work]:
        """Hold some work for another while; that which has been lost to somebody else."""

    async def hand_back(
        self,
        works: Collection[Work],
        *,
        after: timedelta = timedelta(0),
        has_failed: bool = False,
    ) -> None:
        """Let go of work that was not done, if it is still ours; it is due after a while."""

    async def finish(self, works: Collection[Work], *, given_up: bool = False) -> None:
        """
        Forget work that is settled: its outcomes are stored, and it is gone.

        Of an expansion it is one step that is settled; what is left of it is announced.
        What was given up is worth a note, where a queue has a place for that.
        """

    async def announce(self, works: Collection[Work]) -> None:
        """
        Say that work was committed just now; never raises, for whoever missed it looks.

        Of none: that work of any sort may have come free, because a lane goes on.
        """

    async def wait(self) -> Collection[Sort]:
        """Return when there may be something to take: of which sorts."""
