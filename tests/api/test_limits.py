"""How often somebody may ask."""

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.limits import Rate

NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)


def asked(rate: Rate, times: int, *, key: str = "a", at: datetime = NOW) -> list[bool]:
    return [rate.allows(key, now=at) for _ in range(times)]


def test_a_burst_is_one_seconds_worth() -> None:
    """Whoever has been silent may ask as often at once as in a second."""
    assert [True, True, True, False, False] == asked(Rate(3), 5)


def test_the_rate_comes_back_with_time() -> None:
    """After a third of a second one more of three a second is allowed."""
    rate = Rate(3)
    asked(rate, 3)

    assert [True, False] == asked(rate, 2, at=NOW + timedelta(seconds=0.34))


def test_time_saves_up_no_more_than_a_second() -> None:
    """A long silence does not earn a larger burst."""
    rate = Rate(3)
    asked(rate, 3)

    assert [True, True, True, False] == asked(rate, 4, at=NOW + timedelta(days=1))


def test_each_key_has_a_bucket_of_its_own() -> None:
    """What one has used up is still there for another."""
    rate = Rate(1)
    asked(rate, 2, key="a")

    assert [True] == asked(rate, 1, key="b")


def test_a_refusal_costs_nothing() -> None:
    """Who keeps asking is allowed again as soon as who waits."""
    rate = Rate(1)
    asked(rate, 100)

    assert [True] == asked(rate, 1, at=NOW + timedelta(seconds=1))


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    """Time that runs backwards is no time."""
    rate = Rate(2)
    asked(rate, 1)

    assert [True, False] == asked(rate, 2, at=NOW - timedelta(hours=1))


def test_keys_beyond_ten_thousand_are_forgotten_oldest_first() -> None:
    """Memory is bounded; who is forgotten begins with a full bucket."""
    rate = Rate(1)
    for number in range(10_001):
        rate.allows(number, now=NOW)

    assert (True, False) == (rate.allows(0, now=NOW), rate.allows(10_000, now=NOW))


@given(
    st.integers(min_value=1, max_value=50),
    st.lists(st.floats(min_value=0, max_value=0.5), max_size=200),
)
def test_no_pattern_of_asking_beats_the_rate(per_second: int, gaps: list[float]) -> None:
    """In any stretch of time no more is allowed than a burst and the rate together."""
    rate, now, allowed = Rate(per_second), NOW, 0
    for gap in gaps:
        now += timedelta(seconds=gap)
        allowed += rate.allows("a", now=now)

    assert allowed <= per_second + (now - NOW).total_seconds() * per_second + 1e-6
