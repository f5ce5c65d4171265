"""
How fast one FCM project may be sent to.

A project has a budget a minute (600,000 unless Google has raised it), Google asks that
traffic grow to it over a minute rather than at once, and an answer may say to wait:
https://firebase.google.com/docs/cloud-messaging/scale-fcm
"""

from collections.abc import Callable
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


class Pace:
    """The budget of one project."""

    def __init__(self, a_minute: int, monotonic: Callable[[], float]) -> None:
        """
        Begin at the least rate.

        Args:
            a_minute: Messages in a minute, at most.
            monotonic: Seconds from wherever.
        """
        self._monotonic = monotonic
        self._most = a_minute / 60
        self._least = self._most * _LEAST
        self._rate = self._least
        self._stored = self._most_stored
        self._seen_at = monotonic()
        self._is_awaited = False
        self._held_until: datetime | None = None

    def grant(self, wanted: int) -> int:
        """How many messages may go out now, of those wanted; they are taken off the budget."""
        self._pass_time()
        granted = min(wanted, int(self._stored))
        self._stored -= granted
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
