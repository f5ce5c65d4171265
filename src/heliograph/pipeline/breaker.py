"""
The breaker of mass pruning. Pure: the time and the counts are arguments.

A wrong bundle id, key or endpoint makes a gateway say of every device that it is gone.
So of what a lane attempts in ten minutes at most a tenth is pruned, or a hundred where
that is more. When more would be, pruning stops: deliveries fail with their reason as
before, but their devices stay. It goes on by itself when of a hundred attempts or more
since then no more than a tenth was doomed, or at once when an operator vouches for what
the gateway says.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from heliograph.model import Lane
from heliograph.storage.watches import Watch

WINDOW: Final = timedelta(minutes=10)

FREE: Final = 100
"""Devices that a lane may lose in a window, however few were attempted."""

SHARE: Final = 0.1
"""Of what was attempted in a window, how much may be pruned."""

ENOUGH: Final = 100
"""Attempts from which on a share says something."""

TRUST: Final = timedelta(days=1)
"""How long an operator's word holds."""


def watched(watch: Watch | None, *, attempted: int, doomed: int, now: datetime) -> Watch:
    """
    A watch after some more deliveries; if it is not stopped, what is doomed may be pruned.

    Args:
        watch: What there was; None if nothing.
        attempted: Deliveries that came to an answer.
        doomed: Devices among them that would be pruned.
        now: When.
    """
    watch = _current(watch or Watch(now), now)
    watch = replace(watch, attempted=watch.attempted + attempted, doomed=watch.doomed + doomed)
    if watch.stopped_at is not None:
        has_fallen = watch.attempted >= ENOUGH and watch.doomed <= SHARE * watch.attempted
        return replace(watch, stopped_at=None) if has_fallen else watch
    is_trusted = watch.trusted_until is not None and now < watch.trusted_until
    if is_trusted or watch.doomed <= max(FREE, SHARE * watch.attempted):
        return watch
    return Watch(now, stopped_at=now)  # what comes next is judged by itself


def _current(watch: Watch, now: datetime) -> Watch:
    """The same, in a new window if the old one is over."""
    if now < watch.began_at + WINDOW:
        return watch
    if watch.stopped_at is not None and watch.attempted < ENOUGH:
        return watch  # a lane with little traffic needs longer to show anything
    return replace(watch, began_at=now, attempted=0, doomed=0)


class Tally:
    """
    What this process has attempted of each lane, where nothing was doomed.

    Kept in memory, so that a batch that goes well writes nothing. What is lost with the
    process makes the breaker more careful, not less.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts: dict[Lane, tuple[datetime, int]] = {}

    def add(self, lane: Lane, attempted: int, *, now: datetime) -> None:
        """Count attempts; those before this window are forgotten."""
        began_at, count = self._counts.get(lane, (now, 0))
        if now >= began_at + WINDOW:
            began_at, count = now, 0
        self._counts[lane] = began_at, count + attempted

    def take(self, lane: Lane, *, now: datetime) -> int:
        """What was counted in this window, which begins anew."""
        began_at, count = self._counts.pop(lane, (now, 0))
        return count if now < began_at + WINDOW else 0
