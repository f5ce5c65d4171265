"""The breaker of mass pruning: how much of a lane may go, when it stops, and when it goes on."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MINUTE, NOW, SECOND
from heliograph.model import Gateway, InstanceNumber, Lane
from heliograph.pipeline.breaker import FREE, SHARE, TRUST, WINDOW, Tally, watched
from heliograph.storage.watches import Watch

LANE = Lane(InstanceNumber(1), Gateway.FCM, None)
STOPPED = Watch(NOW, stopped_at=NOW)


@pytest.mark.parametrize(
    "attempted,doomed,is_stopped",
    [
        (100, 100, False),
        (101, 101, True),
        (900, 101, True),
        (1010, 101, False),
        (100_000, 10_000, False),
        (100_000, 10_001, True),
    ],
)
def test_a_tenth_or_a_hundred_may_go(attempted: int, doomed: int, *, is_stopped: bool) -> None:
    """Of a window's attempts a tenth is pruned at most, or a hundred if that is more."""
    watch = watched(None, attempted=attempted, doomed=doomed, now=NOW)

    assert is_stopped == (watch.stopped_at is not None)


def test_a_window_counts_together() -> None:
    """What went before in the same ten minutes counts, and what went earlier does not."""
    first = watched(None, attempted=90, doomed=90, now=NOW)

    soon = watched(first, attempted=20, doomed=20, now=NOW + WINDOW - SECOND)
    later = watched(first, attempted=20, doomed=20, now=NOW + WINDOW)

    assert (Watch(NOW + WINDOW - SECOND, stopped_at=NOW + WINDOW - SECOND), 20) == (
        soon,
        later.doomed,
    )


@pytest.mark.parametrize(
    "attempted,doomed,is_stopped",
    [(99, 0, True), (100, 10, False), (100, 11, True), (1000, 100, False)],
)
def test_pruning_goes_on_when_the_rate_has_fallen(
    attempted: int, doomed: int, *, is_stopped: bool
) -> None:
    """After a stop it takes a hundred attempts, of which no more than a tenth is doomed."""
    watch = watched(STOPPED, attempted=attempted, doomed=doomed, now=NOW + MINUTE)

    assert is_stopped == (watch.stopped_at is not None)


def test_silence_does_not_let_pruning_go_on() -> None:
    """A wrong setting that is used once a day must not cost a hundred devices each day."""
    watch = STOPPED
    for day in range(1, 30):
        watch = watched(watch, attempted=1000, doomed=1000, now=NOW + timedelta(days=day))

    assert NOW == watch.stopped_at


def test_a_bad_window_is_forgotten_after_a_stop() -> None:
    """Once the setting is mended, the first good window lets pruning go on."""
    bad = watched(STOPPED, attempted=100_000, doomed=100_000, now=NOW + MINUTE)

    good = watched(bad, attempted=1000, doomed=5, now=NOW + WINDOW)

    assert (None, 1000, 5) == (good.stopped_at, good.attempted, good.doomed)


def test_little_traffic_is_counted_for_as_long_as_it_takes() -> None:
    """A stopped lane with a few attempts in ten minutes comes to a hundred in the end."""
    watch = STOPPED
    for hour in range(1, 11):
        watch = watched(watch, attempted=10, doomed=0, now=NOW + timedelta(hours=hour))

    assert None is watch.stopped_at


def test_an_operators_word_holds_for_a_day() -> None:
    """Who is trusted prunes whatever is doomed; afterwards the limit is what it was."""
    trusted = Watch(NOW, trusted_until=NOW + TRUST)

    during = watched(trusted, attempted=5000, doomed=5000, now=NOW + TRUST - SECOND)
    after = watched(trusted, attempted=5000, doomed=5000, now=NOW + TRUST)

    assert (None, NOW + TRUST) == (during.stopped_at, after.stopped_at)


@given(st.lists(st.tuples(st.integers(0, 2000), st.floats(0, 1), st.integers(0, 400)), min_size=1))
def test_no_window_costs_more_than_the_limit(steps: list[tuple[int, float, int]]) -> None:
    """Whatever comes, what is pruned in one window stays within its limit."""
    watch: Watch | None = None
    now, stops = NOW, 0
    pruned: dict[object, int] = {}
    seen: dict[object, int] = {}
    for attempted, share, wait in steps:
        doomed = int(attempted * share)
        now += wait * SECOND
        before = watch
        watch = watched(before, attempted=attempted, doomed=doomed, now=now)
        stops += watch.stopped_at is not None
        if watch.stopped_at is None:
            window = (stops, watch.began_at)  # one may begin anew in the instant of the stop
            pruned[window] = pruned.get(window, 0) + doomed
            seen[window] = watch.attempted

    assert all(count <= max(FREE, SHARE * seen[began]) for began, count in pruned.items())


def test_what_goes_well_is_tallied_until_it_is_wanted() -> None:
    """Attempts add up, once taken they are gone, and after a window they do not count."""
    tally = Tally()
    tally.add(LANE, 30, now=NOW)
    tally.add(LANE, 12, now=NOW + MINUTE)
    tally.add(LANE._replace(gateway=Gateway.WEB), 5, now=NOW)

    taken = [tally.take(LANE, now=NOW + MINUTE), tally.take(LANE, now=NOW + MINUTE)]
    tally.add(LANE, 7, now=NOW)
    late = tally.take(LANE, now=NOW + WINDOW)
    tally.add(LANE, 7, now=NOW)
    tally.add(LANE, 8, now=NOW + WINDOW)

    assert ([42, 0], 0, 8) == (taken, late, tally.take(LANE, now=NOW + WINDOW))
