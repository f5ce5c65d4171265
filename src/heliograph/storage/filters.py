"""What a caller wants of a list: conditions on its columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column must be, or must hold."""

    field: str
    value: str
    is_part: bool = False
    """Whether it is enough if the value stands somewhere in it."""


Filter = Sequence[Sequence[Condition]]
"""All of these must hold, and of each at least one."""

Place = ColumnElement[Any] | Callable[[str], ColumnElement[bool]]
"""A column, or what it means that it has a value."""

Columns = Mapping[str, Place]
"""Of each field."""


def where(
    connection: AsyncConnection, wanted: Filter, columns: Columns
) -> list[ColumnElement[bool]]:
    """What a row must be; every field that is named must have a column."""
    return [
        or_(*[_holds(connection, each, columns[each.field]) for each in some]) for some in wanted
    ]


def _holds(
    connection: AsyncConnection,
    condition: Condition,
    column: Place,
) -> ColumnElement[bool]:
    if not isinstance(column, ColumnElement):
        return column(condition.value)
    if not condition.is_part:
        return column == condition.value
    # Not LIKE, for which SQLite takes capital and small letters for the same.
    place = func.strpos if connection.dialect.name == "postgresql" else func.instr
    return place(column, condition.value) > 0
