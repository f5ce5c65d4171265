"""
What the pipeline asks of a queue.

The database holds the work, and the lease of whoever is at it, whichever queue there
is: what a queue decides is who hears of it, when, and in which order. Losing a queue
therefore loses nothing but time.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from heliograph.model import Lane
from heliograph.storage.work import Work


class Sort(StrEnum):
    """What is taken by different hands, so that none of it waits for the other."""

    SMALL = "small"
    """Fresh work of a publish to few: nobody waits behind a broadcast."""
    LARGE = "large"
    """Fresh work of a publish to many."""
    AGAIN = "again"
    """What is tried again: never ahead of what is fresh."""


class Queue(Protocol):
    """The work that is due, as one process sees it."""

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane] = ()
    ) -> Sequence[Work]:
        """
        Hold up to ``limit`` pieces of work of a sort that are due, in turns by instance.

        Nothing of a paused lane is taken, but for one probe when its time has come and for
        what is no longer worth sending; nothing at all of the lanes ``besides``.
        """

    async def extend(self, works: Collection[Work]) -> None:
        """Hold some work for another while."""

    async def hand_back(self, works: Collection[Work], *, after: timedelta = timedelta(0)) -> None:
        """Let go of work that was not done; it is due again after a while."""

    async def finish(self, works: Collection[Work]) -> None:
        """Forget work that is settled: its outcomes are stored, and it is gone."""

    async def announce(self, works: Collection[Work]) -> None:
        """Say that work was committed just now; never raises, for whoever missed it looks."""

    async def wait(self) -> None:
        """Return when there may be something to take."""
