"""Column types: what goes into a database comes out the same."""

import json
from array import array
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from heliograph.storage.columns import Instant, Json, Milliseconds, Numbers

DIALECT = sqlite.dialect()
TABLE = Table(
    "things",
    MetaData(),
    Column("instant", Instant),
    Column("json", Json),
    Column("numbers", Numbers),
    Column("took", Milliseconds),
)

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001  (the strategy wants naive bounds)
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=zones,
)
objects = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


def round_trip(**values: object) -> dict[str, Any]:
    """What a real database gives back."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        connection.execute(insert(TABLE).values(values))
        row = connection.execute(select(TABLE)).one()
    engine.dispose()
    return {name: getattr(row, name) for name in values}


@given(instants)
def test_an_instant_comes_back_to_the_microsecond(instant: datetime) -> None:
    """An instant of any year and zone comes back the same, in UTC."""
    column = Instant()

    read = column.process_result_value(column.process_bind_param(instant, DIALECT), DIALECT)

    assert (instant, UTC) == (read, read and read.tzinfo)


@given(instants, instants)
def test_instants_compare_in_the_database_as_they_do_outside(
    one: datetime, other: datetime
) -> None:
    """What is kept of two instants is in the order of the instants."""
    column = Instant()

    kept = [column.process_bind_param(each, DIALECT) or 0 for each in (one, other)]

    assert (one < other, one == other) == (kept[0] < kept[1], kept[0] == kept[1])


def test_a_naive_instant_is_refused() -> None:
    """A datetime without a zone could mean any instant, so none is kept of it."""
    with pytest.raises(StatementError, match="must be aware"):
        round_trip(instant=datetime(2026, 1, 1))  # noqa: DTZ001  (the point of the test)


@given(objects)
def test_a_json_object_comes_back(value: dict[str, Any]) -> None:
    """Any JSON object comes back the same: half characters, NUL and emoji included."""
    column = Json()

    kept = column.process_bind_param(value, DIALECT)

    assert (value, True) == (column.process_result_value(kept, DIALECT), (kept or "").isascii())


@pytest.mark.parametrize(
    "values",
    [
        {"instant": datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)},
        {"json": {"\ud800": "\x00 😀 \u2028 é", "n": [1, None, {"a": 1.5}]}},
        {"numbers": array("q", [1, 2**62, -1])},
        {"numbers": array("q")},
        {"took": array("H", [0, 7, Milliseconds.LONGEST, Milliseconds.UNKNOWN])},
        {"instant": None, "json": None, "numbers": None, "took": None},
    ],
    ids=ascii,
)
def test_a_real_database_gives_back_what_it_was_given(values: dict[str, object]) -> None:
    """SQLite keeps each of our values as it was, and nothing stays nothing."""
    assert values == round_trip(**values)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_come_back_in_order(numbers: list[int]) -> None:
    """Many numbers in one value come back as they were, at eight bytes each."""
    column = Numbers()

    kept = column.process_bind_param(array("q", numbers), DIALECT)

    assert (array("q", numbers), 8 * len(numbers)) == (
        column.process_result_value(kept, DIALECT),
        len(kept or b""),
    )


def test_numbers_are_kept_in_one_byte_order() -> None:
    """The lowest byte comes first on every machine, so that a database can be moved."""
    kept = Numbers().process_bind_param(array("q", [1, 256]), DIALECT)

    assert b"\x01" + bytes(7) + b"\x00\x01" + bytes(6) == kept


def test_json_is_compact() -> None:
    """JSON is kept without a space."""
    assert '{"a":[1,2]}' == Json().process_bind_param(json.loads('{"a": [1, 2]}'), DIALECT)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_times_come_back_as_far_as_they_fit(times: list[int]) -> None:
    """Two bytes each: what is longer than can be told is the longest there is."""
    column = Milliseconds()
    bound = [min(each, 0xFFFE) if each != 0xFFFF else each for each in times]

    kept = column.process_bind_param(array("I", times), DIALECT) or b""

    read = column.process_result_value(kept, DIALECT)
    assert (array("H", bound), 2 * len(times)) == (read, len(kept))
