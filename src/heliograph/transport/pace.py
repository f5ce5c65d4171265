"""
How fast one FCM project may be sent to.

A project has a budget a minute (600,000 unless Google has raised it), Google asks that
traffic grow to it over a minute rather than at once, and an answer may say to wait:
https://firebase.google.com/docs/cloud-messaging/scale-fcm

Where several processes send, each has its share of the budget, and the ramp is the
project's: one that joins the others goes on at their height (``pipeline/fleet.py``).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

RAMP_SECONDS: Final = 60.0
"""From the least rate to the whole budget, and back while there is nothing to send."""

_LEAST: Final = 0.05
"""The part of the budget that may be used without a ramp."""

_STORED_SECONDS: Final = 0.2
"""How much of the current rate may be saved up."""

_BUSY_SECONDS: Final = 1.0
"""After that long without anybody who waits there was nothing to send."""


class Paces:
    """The budgets of all projects, as far as they are this process's."""

    def __init__(self, a_minute: int, monotonic: Callable[[], float]) -> None:
        """
        Begin with none, alone.

        Args:
            a_minute: Messages in a minute that one project may be sent, at most.
            monotonic: Seconds from wherever.
        """
        self._a_minute = a_minute
        self._monotonic = monotonic
        self._sharers = 1
        self._paces: dict[str, Pace] = {}
        self._strange: set[str] = set()

    def of(self, project: str) -> "Pace":
        """The budget of a project; it begins at the least rate."""
        if project not in self._paces:
            self._paces[project] = Pace(self._a_minute, self._monotonic, sharers=self._sharers)
            self._strange.add(project)
        return self._paces[project]

    def share(self, sharers: int) -> None:
        """Have from now on one part of so many of each budget."""
        if sharers != self._sharers:
            self._sharers = sharers
            for pace in self._paces.values():
                pace.share(sharers)

    @property
    def strange(self) -> frozenset[str]:
        """Projects of which it was not asked yet how warm others have made them."""
        return frozenset(self._strange)

    def welcome(self, warmth: Mapping[str, float]) -> None:
        """Go on with strange projects as far up the ramp as others are."""
        for project, height in warmth.items():
            self._paces[project].warm(height)
        self._strange -= set(warmth)

    def used(self) -> dict[str, float]:
        """The projects that were sent to since this was last asked, and how warm they are."""
        return {name: pace.warmth for name, pace in self._paces.items() if pace.was_used()}


class Pace:
    """The budget of one project."""

    def __init__(self, a_minute: int, monotonic: Callable[[], float], *, sharers: int = 1) -> None:
        """
        Begin at the least rate.

        Args:
            a_minute: Messages in a minute, at most.
            monotonic: Seconds from wherever.
            sharers: How many have an equal part of that.
        """
        self._a_minute = a_minute
        self._monotonic = monotonic
        self._most = a_minute / 60 / sharers
        self._least = self._most * _LEAST
        self._rate = self._least
        self._was_used = False
        self._stored = self._most_stored
        self._seen_at = monotonic()
        self._is_awaited = False
        self._held_until: datetime | None = None

    def grant(self, wanted: int) -> int:
        """How many messages may go out now, of those wanted; they are taken off the budget."""
        self._pass_time()
        granted = min(wanted, int(self._stored))
        self._stored -= granted
        self._was_used = self._was_used or granted > 0
        return granted

    def wait(self, wanted: int) -> float:
        """In how many seconds it is worth asking again: for all, or for half of what is saved."""
        self._is_awaited = True
        worth = min(wanted, max(1.0, self._most_stored / 2))
        return max((worth - self._stored) / self._rate, 0.0)

    def hold(self, *, until: datetime) -> None:
        """The project was told to wait; afterwards it goes on at half the rate."""
        if self._held_until is None or until > self._held_until:
            if self._held_until is None:  # once for all that were told so together
                self._rate = max(self._rate / 2, self._least)
            self._held_until = until

    def held_until(self, now: datetime) -> datetime | None:
        """Until when nothing may be sent; None if something may."""
        if self._held_until is not None and self._held_until <= now:
            self._held_until = None
        return self._held_until

    def share(self, sharers: int) -> None:
        """Have one part of so many; as far up the ramp as before."""
        self._pass_time()
        before, self._most = self._most, self._a_minute / 60 / sharers
        self._least = self._most * _LEAST
        self._rate *= self._most / before
        self._stored = min(self._stored, self._most_stored)

    @property
    def warmth(self) -> float:
        """How far the ramp is climbed, from 0 to 1."""
        return (self._rate - self._least) / (self._most - self._least)

    def warm(self, warmth: float) -> None:
        """Begin no lower than that far up the ramp, unless the project was told to wait."""
        if self._held_until is None:
            self._rate = max(self._rate, self._least + (self._most - self._least) * warmth)

    def was_used(self) -> bool:
        """Whether anything was granted since this was last asked."""
        used, self._was_used = self._was_used, False
        return used

    @property
    def _most_stored(self) -> float:
        return max(1.0, self._rate * _STORED_SECONDS)

    def _pass_time(self) -> None:
        now = self._monotonic()
        passed, self._seen_at = now - self._seen_at, now
        growth = (self._most - self._least) / RAMP_SECONDS
        busy = passed if self._is_awaited else min(passed, _BUSY_SECONDS)
        self._is_awaited = False
        grown = min(self._rate + growth * busy, self._most)
        self._rate = max(grown - growth * (passed - busy), self._least)
        self._stored = min(self._stored + self._rate * passed, self._most_stored)
