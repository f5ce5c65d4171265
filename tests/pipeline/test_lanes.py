"""When a lane is paused, and when it goes on: a table of answers, and of waits."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MINUTE, SECOND
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
from heliograph.model import Gateway, InstanceNumber, Lane, PauseKind
from heliograph.pipeline.lanes import (
    MOST_BATCHES,
    MOST_DEVICES,
    Ask,
    Change,
    Resume,
    Stop,
    Streaks,
    judge_probe,
    wait,
)

APNS = Lane(InstanceNumber(1), Gateway.APNS, None)
WEB = Lane(InstanceNumber(1), Gateway.WEB, None)
DOWN = Unavailable("ServiceUnavailable")
CUT = Interrupted("Shutdown")
THROTTLED = Unavailable("TooManyRequests")
QUOTA = Unavailable("RESOURCE_EXHAUSTED", timedelta(seconds=90), is_for_all=True)
NO = Refused("InvalidProviderToken")
PAUSED = Stop(PauseKind.UNAVAILABLE, "ServiceUnavailable")


def last_of(batches: Sequence[Sequence[Outcome]], lane: Lane = APNS) -> Stop | None:
    """What the last of some batches does to a lane that went on until then."""
    streaks = Streaks()
    *before, last = batches
    assert all(streaks.judge(lane, each) is None for each in before)
    return streaks.judge(lane, last)


@pytest.mark.parametrize(
    "outcomes, change",
    [
        ([Sent()], None),
        ([Gone("x"), Suspect("x"), Rejected("x")], None),
        ([], None),
        ([NO, NO], Stop(PauseKind.REFUSED, "InvalidProviderToken")),
        ([NO, DOWN, Suspect("x")], Stop(PauseKind.REFUSED, "InvalidProviderToken")),
        ([NO, Sent()], None),
        ([Gone("x"), NO], None),
        ([QUOTA, Sent()], Stop(PauseKind.ASKED, "RESOURCE_EXHAUSTED", timedelta(seconds=90))),
        ([THROTTLED] * MOST_DEVICES, None),
        ([DOWN] * (MOST_DEVICES - 1), None),
        ([DOWN] * MOST_DEVICES, PAUSED),
    ],
)
def test_what_a_batch_tells_of_its_lane(outcomes: Sequence[Outcome], change: Stop | None) -> None:
    """A refusal that nobody got around, a wait for all, or very much silence pauses it."""
    assert change == Streaks().judge(APNS, outcomes)


@pytest.mark.parametrize("silence", [DOWN, CUT])
def test_silence_that_goes_on_pauses_a_lane(silence: Unavailable | Interrupted) -> None:
    """So many batches in a row without an answer are enough, however small."""
    assert Stop(PauseKind.UNAVAILABLE, silence.reason) == last_of([[silence]] * MOST_BATCHES)


@pytest.mark.parametrize("answer", [Sent(), Gone("x"), Suspect("x"), Rejected("x")])
def test_an_answer_in_between_begins_anew(answer: Outcome) -> None:
    """Whatever the answer is, the gateway is there."""
    silent = [[DOWN]] * (MOST_BATCHES - 1)

    assert None is last_of([*silent, [DOWN, answer], *silent])


def test_a_throttled_device_says_nothing_of_its_lane() -> None:
    """It neither adds to a silence nor ends it."""
    silent = [[DOWN]] * (MOST_BATCHES - 1)

    assert PAUSED == last_of([*silent, [THROTTLED], [DOWN]])


def test_a_lane_that_goes_on_again_has_a_clean_slate() -> None:
    """After a pause it takes as much silence as before."""
    streaks = Streaks()
    first = [streaks.judge(APNS, [DOWN]) for _ in range(MOST_BATCHES)]
    second = [streaks.judge(APNS, [DOWN]) for _ in range(MOST_BATCHES)]

    assert [None] * (MOST_BATCHES - 1) + [PAUSED] == first == second


def test_lanes_are_judged_apart() -> None:
    """One lane's silence is not held against another's."""
    streaks = Streaks()
    other = APNS._replace(instance=InstanceNumber(2))

    verdicts = [
        streaks.judge(lane, [DOWN]) for _ in range(MOST_BATCHES - 1) for lane in (APNS, other)
    ]

    assert {None} == set(verdicts)


def test_a_few_dead_push_services_do_not_stop_all_browsers() -> None:
    """Their owners chose them; only silence of very many pauses the lane."""
    assert None is last_of([[DOWN]] * (MOST_DEVICES - 1), WEB)
    assert PAUSED == last_of([[DOWN]] * MOST_DEVICES, WEB)


@pytest.mark.parametrize(
    "outcome, change",
    [
        (Sent(), Resume()),
        (Gone("x"), Resume()),
        (Suspect("x"), Resume()),
        (Rejected("x"), Resume()),
        (THROTTLED, Resume()),
        (NO, Stop(PauseKind.REFUSED, "InvalidProviderToken")),
        (DOWN, PAUSED),
        (CUT, Stop(PauseKind.UNAVAILABLE, "Shutdown")),
        (QUOTA, Stop(PauseKind.ASKED, "RESOURCE_EXHAUSTED", timedelta(seconds=90))),
    ],
)
def test_what_a_probe_tells_of_its_lane(outcome: Outcome, change: Change) -> None:
    """An answer lets it go on; a refusal, or silence, does not."""
    assert change == judge_probe([outcome])


def test_a_probe_that_was_not_sent_is_asked_of_another() -> None:
    """Its device may have logged out: then nothing was learnt."""
    assert Ask() == judge_probe([])


@pytest.mark.parametrize(
    "kind, minutes",
    [
        (PauseKind.REFUSED, [1, 2, 4, 8, 15, 15]),
        (PauseKind.UNAVAILABLE, [5 / 60, 10 / 60, 20 / 60, 40 / 60, 80 / 60, 160 / 60, 5, 5]),
        (PauseKind.ASKED, [1.5, 1.5]),
    ],
)
def test_probes_come_further_and_further_apart(kind: PauseKind, minutes: list[float]) -> None:
    """The longest waits, probe by probe; but what a gateway asked for is what it gets."""
    waits = [
        wait(kind, probes, asked=timedelta(seconds=90), dice=1) for probes in range(len(minutes))
    ]

    assert [timedelta(minutes=each) for each in minutes] == waits


def test_a_gateway_that_does_not_say_for_how_long_is_left_alone_for_a_minute() -> None:
    """Google's documentation says so."""
    assert MINUTE == wait(PauseKind.ASKED, 0, asked=None, dice=0)


@given(
    st.sampled_from(PauseKind), st.integers(0, 10**6), st.floats(0, 1), st.timedeltas(timedelta(0))
)
def test_a_probe_is_never_at_once_and_never_out_of_sight(
    kind: PauseKind, probes: int, dice: float, asked: timedelta
) -> None:
    """However often it was tried, whatever was asked for."""
    longest = timedelta(days=1) if kind is PauseKind.ASKED else timedelta(minutes=15)
    shortest = min(asked, longest) if kind is PauseKind.ASKED else 2 * SECOND

    assert shortest <= wait(kind, probes, asked=asked, dice=dice) <= longest
