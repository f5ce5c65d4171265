"""
When a lane is paused, and when it goes on. Pure: the clock and the dice are arguments.

===============  =============================  =======================================
why              when                           one message tries it
===============  =============================  =======================================
refused          a gateway refuses our           after 1, 2, 4 … 15 minutes, or as soon as
                 credentials, and took nothing   they are changed
unavailable      5 batches, or 100 devices, in   after 5 seconds, doubling up to 5 minutes,
                 a row had no answer to go by    with jitter
asked            the gateway asked all of us     when it said
                 to wait
===============  =============================  =======================================

The lane goes on as soon as the one message gets an answer, whatever that is; refusals and
silence keep it paused.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeGuard

from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Sent,
    Unavailable,
)
from heliograph.model import Gateway, Lane, PauseKind
from heliograph.pipeline.alike import different

MOST_BATCHES: Final = 5
"""
So many in a row without an answer pause a lane.

Not one of browsers: their push services are of everybody's choosing, and a few people's
dead ones must not stop the others'.
"""

MOST_DEVICES: Final = 100
"""So many in a row without an answer pause any lane."""

_REFUSED_WAITS: Final = (timedelta(minutes=1), timedelta(minutes=15))
_UNAVAILABLE_WAITS: Final = (timedelta(seconds=5), timedelta(minutes=5))
"""The first wait for a probe, and the longest; each is twice the one before."""

_ASKED_WAIT: Final = timedelta(minutes=1)
"""If it did not say for how long."""

_LONGEST_ASKED: Final = timedelta(days=1)

_OF_ONE_DEVICE: Final = frozenset(
    {"TooManyRequests", "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "NewVapidKey"}
)
"""Reasons to wait that are about a device, and say nothing of its lane."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A lane is paused, or stays so."""

    kind: PauseKind
    reason: str
    """The gateway's word for it."""
    asked: timedelta | None = None
    """How long it asked us to wait."""


@dataclass(frozen=True, slots=True)
class Resume:
    """A lane goes on."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Nothing was learnt of a paused lane: another message is to try it at once."""


Change = Stop | Resume | Ask


class Streaks:
    """What each lane has had in a row without an answer, as far as this process knows."""

    def __init__(self) -> None:
        """Begin with nothing held against anybody."""
        self._rows: dict[Lane, tuple[int, int]] = {}

    def judge(self, lane: Lane, outcomes: Collection[Outcome]) -> Stop | None:
        """What a batch tells of its lane, which was going on; None if that is fine."""
        batches, devices = self._rows.pop(lane, (0, 0))
        if all(isinstance(each, Sent) for each in different(outcomes).values()):
            return None
        if (stop := _said_outright(outcomes)) is not None:
            return stop
        if any(not isinstance(each, Unavailable | Interrupted) for each in outcomes):
            return None
        silent = [each for each in outcomes if _is_silence(each)]
        batches, devices = batches + bool(silent), devices + len(silent)
        is_spent = batches >= MOST_BATCHES and lane.gateway is not Gateway.WEB
        if is_spent or devices >= MOST_DEVICES:
            return Stop(PauseKind.UNAVAILABLE, silent[-1].reason)
        if batches:
            self._rows[lane] = (batches, devices)
        return None


def judge_probe(outcomes: Collection[Outcome]) -> Change:
    """What the one message tells of its lane, which is paused."""
    if not outcomes:
        return Ask()
    if (stop := _said_outright(outcomes)) is not None:
        return stop
    silent = [each for each in outcomes if _is_silence(each)]
    return Stop(PauseKind.UNAVAILABLE, silent[-1].reason) if silent else Resume()


def wait(kind: PauseKind, probes: int, *, asked: timedelta | None, dice: float) -> timedelta:
    """
    How long until one message is to try a lane.

    Args:
        kind: Why it is paused.
        probes: How many have tried it before.
        asked: What the gateway asked for, if it did.
        dice: A random number from 0 up to 1, for the jitter.
    """
    match kind:
        case PauseKind.ASKED:
            return min(_ASKED_WAIT if asked is None else asked, _LONGEST_ASKED)
        case PauseKind.REFUSED:
            return _doubled(*_REFUSED_WAITS, probes)
        case PauseKind.UNAVAILABLE:
            whole = _doubled(*_UNAVAILABLE_WAITS, probes)
            return (whole + whole * dice) / 2  # never at once: there may be nobody else to ask


def _doubled(first: timedelta, longest: timedelta, times: int) -> timedelta:
    return min(first * (1 << min(times, 16)), longest)


def _said_outright(outcomes: Collection[Outcome]) -> Stop | None:
    """What a gateway says of all that we send it; None if it says nothing of the kind."""
    waits = [each for each in outcomes if isinstance(each, Unavailable) and each.is_for_all]
    if waits:
        asked = max((each.retry_after or timedelta(0) for each in waits), default=None)
        return Stop(PauseKind.ASKED, waits[-1].reason, asked or None)
    refused = [each for each in outcomes if isinstance(each, Refused)]
    # What it takes of others, or says of their addresses, it says to those whom it knows:
    # then it is a device's topic that is refused, and not we.
    if refused and not any(isinstance(each, Sent | Gone) for each in outcomes):
        return Stop(PauseKind.REFUSED, refused[-1].reason)
    return None


def _is_silence(outcome: Outcome) -> TypeGuard[Unavailable | Interrupted]:
    """Whether no answer came that says anything but "not now"."""
    if isinstance(outcome, Unavailable):
        return outcome.reason not in _OF_ONE_DEVICE
    return isinstance(outcome, Interrupted)
