"""What we do about an outcome: the table, and what holds whatever the outcome."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MINUTE, NOW, SECOND
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
from heliograph.model import ApnsMessage, FcmMessage, WebMessage
from heliograph.pipeline.verdict import (
    DEFAULT_LIFETIME,
    FIRST_WAIT,
    LONGEST_ASKED,
    LONGEST_WAIT,
    MOST_ATTEMPTS,
    MOST_FAILURES,
    REFUSED_WAIT,
    Again,
    Over,
    Verdict,
    after_failure,
    backoff,
    expires_at,
    is_expired,
    verdict,
)

LATER = NOW + timedelta(days=28)
HOUR = 60 * MINUTE


def decided(
    outcome: Outcome, *, attempt: int = 1, expires: datetime = LATER, dice: float = 0.5
) -> Verdict:
    return verdict(outcome, attempt=attempt, expires_at=expires, now=NOW, dice=dice)


# --- the table -----------------------------------------------------------------------

GONE = Gone("Unregistered", NOW - HOUR)


@pytest.mark.parametrize(
    "outcome, over",
    [
        (Sent(), Over("sent")),
        (GONE, Over("failed", "Unregistered", prune=GONE)),
        (Suspect("BadDeviceToken"), Over("failed", "BadDeviceToken")),
        (Rejected("PayloadTooLarge"), Over("failed", "PayloadTooLarge")),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("attempt", [1, 2, MOST_ATTEMPTS, MOST_ATTEMPTS + 1])
@pytest.mark.parametrize("expires", [LATER, NOW, NOW - HOUR])
def test_some_answers_are_the_last_word(
    outcome: Outcome, over: Over, attempt: int, expires: datetime
) -> None:
    """Taken, dead, suspect or rejected is over, whatever the attempt and the hour."""
    assert over == decided(outcome, attempt=attempt, expires=expires)


@pytest.mark.parametrize(
    "outcome, attempt, dice, wait",
    [
        # our own back-off: half of 10 s, 20 s, 40 s, … up to 15 min
        (Unavailable("x"), 1, 0.5, 5 * SECOND),
        (Unavailable("x"), 2, 0.5, 10 * SECOND),
        (Unavailable("x"), 3, 0.25, 10 * SECOND),
        (Unavailable("x"), 8, 0.5, 7.5 * MINUTE),
        (Unavailable("x"), 39, 0.5, 7.5 * MINUTE),
        (Interrupted("x"), 1, 0.5, 5 * SECOND),
        (Interrupted("x", renew_token=True), 2, 0.5, 10 * SECOND),
        # or what was asked for, if that is longer, within reason
        (Unavailable("x", retry_after=timedelta(0)), 1, 0.5, 5 * SECOND),
        (Unavailable("x", retry_after=6 * SECOND), 1, 0.5, 6 * SECOND),
        (Unavailable("x", retry_after=HOUR), 39, 0.5, HOUR),
        (Unavailable("x", retry_after=timedelta(days=9)), 1, 0.5, timedelta(days=1)),
        # a setting may be mended any minute
        (Refused("x"), 1, 0.5, MINUTE),
        (Refused("x"), 1000, 0.5, MINUTE),
    ],
    ids=str,
)
def test_some_answers_are_worth_another_try(
    outcome: Outcome, attempt: int, dice: float, wait: timedelta
) -> None:
    """Unavailable, interrupted or refused is tried again, after the wait that the table says."""
    decision = decided(outcome, attempt=attempt, dice=dice)

    assert isinstance(decision, Again)
    assert (NOW + wait, "x") == (decision.at, decision.reason)


@pytest.mark.parametrize("outcome", [Unavailable("x"), Interrupted("x")], ids=str)
@pytest.mark.parametrize("attempt, is_over", [(MOST_ATTEMPTS - 1, False), (MOST_ATTEMPTS, True)])
def test_some_attempts_are_enough(outcome: Outcome, attempt: int, is_over: bool) -> None:
    """After forty attempts at a gateway that does not work we give up, and say so."""
    decision = decided(outcome, attempt=attempt)

    assert is_over == (decision == Over("failed", f"x; gave up after {attempt} attempts"))


@pytest.mark.parametrize(
    "outcome, attempt, following",
    [
        (Unavailable("x"), 1, 2),
        (Unavailable("x"), 7, 8),
        (Interrupted("x"), 1, 2),
        (Interrupted("x"), 7, 8),
        (Refused("x"), 1, 2),
        (Refused("x"), 2, 2),
        (Refused("x"), 7, 7),
    ],
    ids=str,
)
def test_refusals_do_not_use_attempts_up(outcome: Outcome, attempt: int, following: int) -> None:
    """
    Each try counts but those that our own credentials failed.

    Else credentials that are mended after an hour would find messages that the first
    hiccup of the gateway ends. A repeat is no first attempt all the same: those go first.
    """
    decision = decided(outcome, attempt=attempt)

    assert isinstance(decision, Again)
    assert following == decision.attempt


@pytest.mark.parametrize(
    "outcome, wait",
    [
        (Unavailable("x"), 5 * SECOND),
        (Unavailable("x", retry_after=HOUR), HOUR),
        (Interrupted("x"), 5 * SECOND),
        (Refused("x"), REFUSED_WAIT),
    ],
    ids=str,
)
def test_what_would_come_too_late_has_expired(outcome: Outcome, wait: timedelta) -> None:
    """A try that would come at the end of the message's life, or after it, is not made."""
    microsecond = timedelta(microseconds=1)

    assert (Over("expired", "x"), True) == (
        decided(outcome, expires=NOW + wait),
        isinstance(decided(outcome, expires=NOW + wait + microsecond), Again),
    )


# --- what always holds ---------------------------------------------------------------

waits = st.timedeltas(timedelta(0), timedelta(days=36_500))
reasons = st.just("x")
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Sent),
    st.builds(Gone, reasons),
    st.builds(Suspect, reasons),
    st.builds(Rejected, reasons),
    st.builds(Refused, reasons),
    st.builds(Unavailable, reasons, st.none() | waits),
    st.builds(Interrupted, reasons, st.booleans()),
)
attempts = st.integers(1, 10_000)
dices = st.floats(0, 1, exclude_max=True)
lives = st.timedeltas(timedelta(days=-1), timedelta(days=28))


@given(outcomes, attempts, lives, dices)
def test_a_try_is_never_in_the_past_nor_after_the_end(
    outcome: Outcome, attempt: int, life: timedelta, dice: float
) -> None:
    """Whatever is tried again is tried from now on, while the message is worth something."""
    decision = decided(outcome, attempt=attempt, expires=NOW + life, dice=dice)

    if isinstance(decision, Again):
        assert NOW <= decision.at < NOW + life


@given(outcomes, attempts, lives, dices)
def test_only_a_dead_address_is_pruned(
    outcome: Outcome, attempt: int, life: timedelta, dice: float
) -> None:
    """No surprise, suspicion or outage ever takes a device out of service."""
    decision = decided(outcome, attempt=attempt, expires=NOW + life, dice=dice)

    is_pruned = isinstance(decision, Over) and decision.prune is not None
    assert isinstance(outcome, Gone) == is_pruned


@given(attempts, waits, dices)
def test_nobody_makes_us_wait_for_ever(attempt: int, asked: timedelta, dice: float) -> None:
    """However long a gateway asks us to wait, a day is the most."""
    decision = decided(Unavailable("x", asked), attempt=attempt, dice=dice)

    if isinstance(decision, Again):
        assert decision.at - NOW <= LONGEST_ASKED


@given(attempts, dices)
def test_a_wait_is_anything_up_to_its_bound(attempt: int, dice: float) -> None:
    """The bound doubles with each attempt and stays at fifteen minutes; no dice exceed it."""
    wait = backoff(attempt, dice=dice)

    bound = min(FIRST_WAIT * 2 ** min(attempt - 1, 20), LONGEST_WAIT)
    assert timedelta(0) <= wait <= bound


def test_a_crowd_that_failed_together_spreads() -> None:
    """The dice decide between nothing and the whole wait."""
    assert [0 * SECOND, 5 * SECOND, 9.9 * SECOND] == [
        backoff(1, dice=dice) for dice in (0, 0.5, 0.99)
    ]


# --- how long a message is worth sending ---------------------------------------------


def at(moment: datetime) -> int:
    return int(moment.timestamp())


@pytest.mark.parametrize(
    "message, life",
    [
        (ApnsMessage(b""), DEFAULT_LIFETIME),
        (ApnsMessage(b"", expiration=0), timedelta(0)),
        (ApnsMessage(b"", expiration=at(NOW + HOUR)), HOUR),
        (ApnsMessage(b"", expiration=at(NOW + timedelta(days=99))), DEFAULT_LIFETIME),
        (ApnsMessage(b"", expiration=10**18), DEFAULT_LIFETIME),
        (FcmMessage(b""), DEFAULT_LIFETIME),
        (FcmMessage(b"", ttl_seconds=0), timedelta(0)),
        (FcmMessage(b"", ttl_seconds=60), MINUTE),
        (WebMessage(b""), timedelta(days=28)),
        (WebMessage(b"", ttl_seconds=0), timedelta(0)),
        (WebMessage(b"", ttl_seconds=60), MINUTE),
    ],
    ids=str,
)
def test_a_message_says_how_long_it_is_worth_sending(
    message: ApnsMessage | FcmMessage | WebMessage, life: timedelta
) -> None:
    """Each gateway's way of saying so becomes an instant, four weeks ahead at most."""
    assert NOW + life == expires_at(message, accepted_at=NOW)


def test_an_expiration_of_long_ago_is_an_instant_too() -> None:
    """Apple's epoch seconds may lie in the past."""
    message = ApnsMessage(b"", expiration=1)

    assert datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) == expires_at(message, accepted_at=NOW)


@pytest.mark.parametrize(
    "life, attempt, age, answer",
    [
        (MINUTE, 1, timedelta(0), False),
        (MINUTE, 9, MINUTE - SECOND, False),
        (MINUTE, 1, MINUTE, True),
        (MINUTE, 2, HOUR, True),
        # a life of zero is one try, however long the queue was
        (timedelta(0), 1, timedelta(0), False),
        (timedelta(0), 1, HOUR, False),
        (timedelta(0), 2, timedelta(0), True),
        (-HOUR, 1, SECOND, False),
        (-HOUR, 2, SECOND, True),
    ],
    ids=str,
)
def test_a_delivery_is_past_its_time(
    life: timedelta, attempt: int, age: timedelta, answer: bool
) -> None:
    """A delivery expires with its message; one that should be tried once is tried once."""
    assert answer == is_expired(NOW + life, accepted_at=NOW, attempt=attempt, now=NOW + age)


def test_what_a_paused_lane_keeps_is_due_when_it_goes_on() -> None:
    """No attempt is counted, and what is fresh stays fresh; unless it is worth nothing by now."""
    held = [
        verdict(Refused("x"), attempt=1, expires_at=end, now=NOW, dice=0.5, is_held=True)
        for end in (LATER, NOW)
    ]

    assert [Again(NOW, "x", 1), Over("expired", "x")] == held


def test_work_that_fails_by_our_fault_rests_longer_each_time() -> None:
    """From ten seconds on, twice as long, up to a quarter of an hour."""
    rests = [after_failure(failures) for failures in range(1, MOST_FAILURES)]

    assert [10, 20, 40, 80, 160, 320, 640, 900, 900] == [each.total_seconds() for each in rests]
