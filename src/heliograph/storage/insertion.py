"""
Many rows by one statement, as the driver takes them: for what is written most often.

Through SQLAlchemy a row costs several times as much; with RETURNING, SQLite would even
have a statement for each.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_ROWS: Final = 256
"""In one statement: few enough for the number of parameters that every engine takes."""


INSERTS: Final[dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""Both write the same words, but SQLAlchemy has them in its dialects only."""


class Insertion:
    """How rows are put into one table."""

    def __init__(
        self,
        table: str,
        given: Sequence[str],
        *,
        constant: Mapping[str, str],
        returning: Sequence[str],
    ) -> None:
        """
        Prepare the statement.

        Args:
            table: Where rows are put.
            given: The columns that differ from row to row.
            constant: The others, with an SQL expression for each.
            returning: The columns that are wanted back.
        """
        names = ", ".join([*given, *constant])
        self._head = f"INSERT INTO {table} ({names}) VALUES "  # noqa: S608  (our own names)
        self._width = len(given)
        self._constant = list(constant.values())
        self._tail = f" RETURNING {', '.join(returning)}"
        self._statement = cache(self._compose)

    async def add(
        self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]
    ) -> Sequence[Any]:
        """
        Put rows into the table, 1 to 256; what is wanted back, in no order.

        Values are as the driver has them: no column's own type turns them into anything.
        """
        statement = self._statement(connection.dialect.name, len(rows))
        values = tuple(value for row in rows for value in row)
        return (await connection.exec_driver_sql(statement, values)).all()

    def _compose(self, engine: str, rows: int) -> str:
        place = _PLACES[engine]
        lines = []
        for row in range(rows):
            places = [place(row * self._width + column + 1) for column in range(self._width)]
            lines.append(f"({', '.join([*places, *self._constant])})")
        return self._head + ", ".join(lines) + self._tail


_PLACES: Final[dict[str, Callable[[int], str]]] = {
    "sqlite": "?{}".format,
    "postgresql": "${}".format,
}
