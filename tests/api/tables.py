"""Everything that a product keeps, as a value: equal before and after means nothing changed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

Dump = dict[str, list[tuple[object, ...]]]
"""The rows of each table, in the order in which they were kept."""


class Tables:
    """A look at a database from outside; it reads again only what somebody has changed."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "heliograph.db")
        self._version = -1
        self._dump: Dump = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def dump(self) -> Dump:
        """What is committed now."""
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        if version != self._version:  # another connection has committed since
            self._dump = _read(self._database)
            self._version = version
        return self._dump


def dump(folder: Path) -> Dump:
    """What is committed in the database of a data directory."""
    with closing(sqlite3.connect(folder / "heliograph.db")) as database:
        return _read(database)


def _read(database: sqlite3.Connection) -> Dump:
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return {
        name: database.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608  (its own name)
        for (name,) in tables.fetchall()
    }
