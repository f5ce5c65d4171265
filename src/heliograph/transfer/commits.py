"""
Pages of a file, each committed by itself: all of what is kept of one, or nothing.

A page that met what was just made by somebody else is tried again, and finds it there.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.database import Database
from heliograph.transfer.records import Reject

PAGE: Final = 1000
"""Lines in one commit."""


@dataclass(slots=True)
class Tally:
    """What has become of the lines of a file so far."""

    added: int = 0
    known: int = 0
    """Their address was there; what they add was added."""
    rejected: int = 0

    @property
    def lines(self) -> int:
        """All of them."""
        return self.added + self.known + self.rejected

    def add(self, outcome: "Outcome") -> None:
        """Count what became of a page."""
        self.added += outcome.added
        self.known += outcome.known
        self.rejected += len(outcome.rejects)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one page."""

    added: int = 0
    known: int = 0
    rejects: Sequence[Reject] = field(default_factory=list)


class Commits:
    """The transactions of one import."""

    def __init__(self, database: Database, *, is_rehearsal: bool) -> None:
        """Begin none yet; those of a rehearsal are done and taken back."""
        self._database = database
        self._is_rehearsal = is_rehearsal

    async def of(self, take: Callable[[AsyncConnection], Awaitable[Outcome]]) -> Outcome:
        """
        What becomes of a page.

        Args:
            take: Does it in a transaction, and may be called again.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._try(take)
            except IntegrityError:
                if attempt == _TRIES:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _try(self, take: Callable[[AsyncConnection], Awaitable[Outcome]]) -> Outcome:
        outcome = Outcome()
        with contextlib.suppress(_Rehearsed):
            async with self._database.write(long=True) as connection:
                outcome = await take(connection)
                self._take_back_if_rehearsed()
        return outcome

    def _take_back_if_rehearsed(self) -> None:
        if self._is_rehearsal:
            raise _Rehearsed


class _Rehearsed(Exception):  # noqa: N818  (it takes back what was only tried)
    """Nothing is to be kept."""


_TRIES: Final = 3
"""How often a page is tried that met a device which has just registered."""
