"""How fast a Google project may be sent to."""

from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, SECOND
from heliograph.transport.pace import RAMP_SECONDS, Pace, Paces

A_MINUTE = 600_000
A_SECOND = A_MINUTE / 60


class Watch:
    """Seconds, which pass when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def sent_within(pace: Pace, watch: Watch, seconds: float) -> int:
    """How many messages go out in a time if there is no end of them."""
    sent, end = 0, watch.seconds + seconds
    while watch.seconds < end:
        sent += pace.grant(10**9)
        watch.seconds += max(pace.wait(10**9), 0.001)
    return sent


def test_traffic_grows_for_a_minute() -> None:
    """Google asks for a ramp of a minute: half of the budget is reached halfway."""
    watch = Watch()
    pace = Pace(A_MINUTE, watch)
    growing = sent_within(pace, watch, RAMP_SECONDS)
    grown = sent_within(pace, watch, RAMP_SECONDS)

    assert 0.45 < growing / A_MINUTE < 0.6
    assert 0.99 < grown / A_MINUTE <= 1.01


def test_a_small_publish_goes_out_at_once() -> None:
    """The least rate needs no ramp."""
    assert 100 == Pace(A_MINUTE, Watch()).grant(100)


def test_after_a_pause_the_ramp_begins_again() -> None:
    """A rate that was not used for a minute is not there any more."""
    watch = Watch()
    pace = Pace(A_MINUTE, watch)
    sent_within(pace, watch, 2 * RAMP_SECONDS)
    pace.grant(0)
    watch.seconds += 2 * RAMP_SECONDS

    assert pace.grant(10**9) < A_SECOND * 0.05


def test_who_is_told_to_wait_goes_on_at_half_the_rate() -> None:
    """However many replies said so at the same time."""
    watch = Watch()
    pace = Pace(A_MINUTE, watch)
    sent_within(pace, watch, 2 * RAMP_SECONDS)
    for _ in range(10):
        pace.hold(until=NOW + SECOND)

    assert (NOW + SECOND, None) == (pace.held_until(NOW), pace.held_until(NOW + SECOND))
    assert 0.45 < sent_within(pace, watch, 1) / A_SECOND < 0.75


@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 100)), max_size=50),
)
def test_the_budget_of_a_minute_is_never_exceeded(
    a_minute: int, wants: list[tuple[int, float]]
) -> None:
    """Whatever is wanted whenever: over any time, at most the rate and what is saved up."""
    watch = Watch()
    pace = Pace(a_minute, watch)
    sent, started = 0, watch.seconds
    for wanted, seconds in wants:
        sent += pace.grant(wanted)
        assert sent <= (a_minute / 60) * (watch.seconds - started + 0.2) + 1
        watch.seconds += min(seconds, pace.wait(wanted)) if wanted else seconds


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_waiting_is_rewarded(a_minute: int, wanted: int) -> None:
    """After the wait that was asked for something may go out."""
    watch = Watch()
    pace = Pace(a_minute, watch)
    while pace.grant(wanted):
        pass
    watch.seconds += pace.wait(wanted) + 0.001

    assert pace.grant(wanted) > 0


# --- several who send ----------------------------------------------------------------


def test_each_of_several_has_its_part() -> None:
    """Grown up, three of them send together what one may."""
    watch = Watch()
    pace = Pace(A_MINUTE, watch, sharers=3)
    sent_within(pace, watch, 2 * RAMP_SECONDS)

    assert 0.99 < 3 * sent_within(pace, watch, RAMP_SECONDS) / A_MINUTE <= 1.01


def test_whoever_has_another_part_is_as_warm_as_before() -> None:
    """One comes and one goes, and the ramp is climbed no second time."""
    watch = Watch()
    pace = Pace(A_MINUTE, watch)
    sent_within(pace, watch, 2 * RAMP_SECONDS)
    pace.share(2)
    halved = sent_within(pace, watch, 10)
    pace.share(1)
    alone = sent_within(pace, watch, 10)

    assert 0.95 < 2 * halved / (10 * A_SECOND) < 1.05
    assert 0.95 < alone / (10 * A_SECOND) < 1.05
    assert 1.0 == pace.warmth


@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10**6), st.floats(0, 10)), max_size=50),
)
def test_who_shares_never_exceeds_the_greatest_part_that_it_had(
    a_minute: int, turns: list[tuple[int, int, float]]
) -> None:
    """However often the parts change."""
    watch = Watch()
    pace = Pace(a_minute, watch, sharers=5)
    allowed, sent = 0.2 * a_minute / 60 / 5 + 1, 0
    for sharers, wanted, seconds in turns:
        pace.share(sharers)
        sent += pace.grant(wanted)
        assert sent <= allowed + 0.2 * a_minute / 60 / sharers + 0.001
        watch.seconds += seconds
        allowed += seconds * a_minute / 60 / sharers


def test_who_joins_goes_on_where_others_are() -> None:
    """A project that others have warmed up is not warmed up again; a cold one is."""
    watch = Watch()
    paces = Paces(A_MINUTE, watch)
    warm, cold = paces.of("warm"), paces.of("cold")
    paces.share(2)
    strange = sorted(paces.strange)
    paces.welcome({"warm": 1.0, "cold": 0.0})

    assert (["cold", "warm"], []) == (strange, sorted(paces.strange))
    assert 0.9 < 2 * sent_within(warm, watch, 1) / A_SECOND < 1.3
    assert 2 * sent_within(cold, watch, 1) / A_SECOND < 0.4


def test_who_was_told_to_wait_is_not_warmed_by_others() -> None:
    """They have not heard yet of what a reply told us."""
    watch = Watch()
    paces = Paces(A_MINUTE, watch)
    pace = paces.of("project")
    pace.hold(until=NOW + SECOND)
    paces.welcome({"project": 1.0})

    assert 0.0 == pace.warmth


def test_only_projects_that_are_sent_to_are_told() -> None:
    """Since the last time: who is idle keeps nothing warm."""
    paces = Paces(A_MINUTE, Watch())
    paces.of("one").grant(1)
    paces.of("idle").grant(0)

    assert [{"one": 0.0}, {}] == [paces.used(), paces.used()]
