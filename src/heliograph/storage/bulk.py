"""
Many rows at once: read as the driver has them, and asked for without a parameter each.

A broadcast reads every device twice. SQLAlchemy's rows, and a statement that names a
thousand numbers one by one, would take longer than sending to them.
"""

import json
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Executable, Select, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

Line = TypeVar("Line", bound=NamedTuple)

Among = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""Whether the number in a column may be one of some; says yes to each of them."""

_DENSE: Final = 4
"""A number in so many is enough for a range to be walked rather than each looked up."""


async def read(connection: AsyncConnection, query: Executable, kind: type[Line]) -> list[Line]:
    """
    Every row, as a named tuple whose fields stand in the order of the columns.

    Values are as the driver gives them: no column may need a type of ours.
    """
    cursor = (await connection.execute(query)).cursor
    assert cursor is not None  # noqa: S101  (a query has rows)
    return list(map(partial(tuple.__new__, kind), cursor.fetchall()))


def among(connection: AsyncConnection, numbers: "array[int]") -> Among:
    """
    How to ask for rows with these numbers, which are in ascending order.

    Where they stand close together it is their range that is asked for, and rows come
    that are none of theirs.
    """
    first, last = numbers[0], numbers[-1]
    if last - first < _DENSE * len(numbers):
        return lambda column: column.between(first, last)
    listed = _listed(connection, numbers)
    return lambda column: column.in_(listed)


def _listed(connection: AsyncConnection, numbers: "array[int]") -> Select[Any]:
    """Numbers as rows: one parameter, however many they are."""
    if connection.dialect.name == "postgresql":
        return select(func.unnest(literal(numbers.tolist(), ARRAY(BigInteger))))
    return select(func.json_each(json.dumps(numbers.tolist())).table_valued("value").c.value)
