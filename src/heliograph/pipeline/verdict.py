"""
What we do about an outcome. Pure: the clock and the dice are arguments.

==============  ====================================================================
outcome         verdict
==============  ====================================================================
Sent            over: sent; if it was taken where it was not thought to be, that is remembered
Gone            over: failed, and the device is pruned
Suspect         over: failed; the device stays for a while, for a wrong setting looks the same
Rejected        over: failed; the message is at fault
Refused         again, until it expires: our credentials are at fault, and may be mended;
                the attempt does not count, and a lane that is paused keeps it
Unavailable     again, after the longer of our back-off and what the gateway asked for
Interrupted     again, soon: the connection was at fault
==============  ====================================================================

Whatever would be tried again after it is no longer worth anything has expired.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.model import ApnsMessage, DeviceNumber, End, Environment, FcmMessage, WebMessage
from heliograph.pipeline.alike import different

FIRST_WAIT: Final = timedelta(seconds=10)
"""The longest first wait: what Google asks for before a first retry."""

LONGEST_WAIT: Final = timedelta(minutes=15)
"""What Apple asks for after a 5xx."""

LONGEST_ASKED: Final = timedelta(days=1)
"""The longest wait that a gateway may ask for: anybody's endpoint can ask for a century."""

REFUSED_WAIT: Final = timedelta(minutes=1)
"""How often refused credentials are tried again."""

MOST_ATTEMPTS: Final = 40
"""About eight hours of an unavailable gateway; refused credentials do not count."""

MOST_FAILURES: Final = 10
"""How often work is begun that we cannot do for a reason of our own: for about an hour."""

_AFTER_FAILURE: Final = timedelta(seconds=10)
"""How long it rests the first time."""

DEFAULT_LIFETIME: Final = timedelta(days=28)
"""How long a message is worth sending if nobody says: FCM's and Beams' own default."""


@dataclass(frozen=True, slots=True)
class Over:
    """A delivery has come to its end."""

    end: End
    reason: str | None = None
    prune: Gone | None = None
    """What the gateway said, if the device is to be taken out of service."""
    suspicion: str | None = None
    """The gateway's word, if the device is to be suspected."""
    environment: Environment | None = None
    """Where the device was found to be, if that is to be remembered."""


@dataclass(frozen=True, slots=True)
class Again:
    """A delivery is to be tried again."""

    at: datetime
    reason: str
    attempt: int
    """Which attempt that will be."""


Verdict = Over | Again


def verdict(
    outcome: Outcome,
    *,
    attempt: int,
    expires_at: datetime,
    now: datetime,
    dice: float,
    is_held: bool = False,
) -> Verdict:
    """
    Decide.

    Args:
        outcome: What the gateway answered.
        attempt: Which attempt that was; 1 is the first.
        expires_at: From when on the message is worth nothing.
        now: The time.
        dice: A random number from 0 up to 1, for the jitter.
        is_held: Whether its lane is paused because of it, and keeps what is refused.
    """
    match outcome:
        case Sent(environment=environment):
            return Over("sent", environment=environment)
        case Gone(reason=reason):
            return Over("failed", reason, prune=outcome)
        case Suspect(reason=reason):
            return Over("failed", reason, suspicion=reason)
        case Rejected(reason=reason):
            return Over("failed", reason)
        case Refused(reason=reason) if is_held:
            return _again(now, reason, expires_at, attempt=attempt)
        case Refused(reason=reason):
            # Never a first attempt, for fresh work goes first; but it does not count up.
            return _again(now + REFUSED_WAIT, reason, expires_at, attempt=max(attempt, 2))
        case Unavailable() | Interrupted() if attempt >= MOST_ATTEMPTS:
            return Over("failed", f"{outcome.reason}; gave up after {attempt} attempts")
        case Unavailable(reason=reason, retry_after=asked):
            wait = max(backoff(attempt, dice=dice), min(asked or timedelta(0), LONGEST_ASKED))
            return _again(now + wait, reason, expires_at, attempt=attempt + 1)
        case Interrupted(reason=reason):
            wait = backoff(attempt, dice=dice)
            return _again(now + wait, reason, expires_at, attempt=attempt + 1)
        case _:
            assert_never(outcome)


def verdicts(
    outcomes: Mapping[DeviceNumber, Outcome],
    *,
    attempt: int,
    expires_at: datetime,
    now: datetime,
    dice: float,
    is_held: bool = False,
) -> dict[DeviceNumber, Verdict]:
    """
    Decide for each of many; arguments as for ``verdict``.

    Devices that share an outcome share the verdict, as all do that were simply sent.
    """
    decided = {
        key: verdict(
            outcome,
            attempt=attempt,
            expires_at=expires_at,
            now=now,
            dice=dice,
            is_held=is_held,
        )
        for key, outcome in different(outcomes.values()).items()
    }
    if len(decided) == 1:
        return dict.fromkeys(outcomes, *decided.values())
    return {number: decided[id(outcome)] for number, outcome in outcomes.items()}


def backoff(attempt: int, *, dice: float) -> timedelta:
    """
    How long to wait before the next attempt: exponential, with full jitter.

    Full jitter (anything from nothing to the whole wait) spreads a crowd that failed
    together the best.
    """
    doublings: int = min(attempt - 1, 16)
    longest = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return longest * dice


def after_failure(failures: int) -> timedelta:
    """How long work rests that has failed so often for a reason of our own."""
    return min(_AFTER_FAILURE * (1 << failures - 1), LONGEST_WAIT)


CALL_WAITS: Final = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 300))
"""How long a call rests after each attempt that failed; then it is dead."""


def call_again_at(attempt: int, *, now: datetime) -> datetime | None:
    """When a call is tried again that was not taken at an attempt; None: it is dead."""
    return now + CALL_WAITS[attempt - 1] if attempt <= len(CALL_WAITS) else None


def expires_at(
    message: ApnsMessage | FcmMessage | WebMessage, *, accepted_at: datetime
) -> datetime:
    """
    From when on a message is worth nothing.

    A lifetime of zero means one try, which ``is_expired`` honours.
    """
    match message:
        case ApnsMessage(expiration=None):
            return accepted_at + DEFAULT_LIFETIME
        case ApnsMessage(expiration=0):
            return accepted_at
        case ApnsMessage(expiration=int(seconds)):
            return min(
                datetime.fromtimestamp(min(seconds, _YEAR_9999), UTC),
                accepted_at + DEFAULT_LIFETIME,
            )
        case FcmMessage(ttl_seconds=None):
            return accepted_at + DEFAULT_LIFETIME
        case FcmMessage(ttl_seconds=int(seconds)) | WebMessage(ttl_seconds=seconds):
            return accepted_at + timedelta(seconds=seconds)
    raise AssertionError("an expiration or a time to live is an int or None")


_YEAR_9999: Final = 253_402_300_799


def is_expired(expires_at: datetime, *, accepted_at: datetime, attempt: int, now: datetime) -> bool:
    """Whether a delivery is past its time; a lifetime of zero allows the first attempt."""
    one_try = expires_at <= accepted_at
    return attempt > 1 if one_try else now >= expires_at


def _again(at: datetime, reason: str, expires_at: datetime, *, attempt: int) -> Verdict:
    return Over("expired", reason) if at >= expires_at else Again(at, reason, attempt)
