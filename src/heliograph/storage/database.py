"""
The database, whichever it is, and the two kinds of transaction.

How each kind is kept is told by the engine: ``sqlite.py`` or ``postgres.py``.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.errors import ConfigurationError
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.storage import migrations
from heliograph.storage.postgres import Postgres
from heliograph.storage.sqlite import Sqlite

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")


def is_away(problem: Exception) -> bool:
    """Whether the trouble is that the database does not answer, and not what it was asked."""
    if isinstance(problem, DBAPIError):
        is_lost: bool = problem.connection_invalidated
        # SQLite says so, too, of a statement that makes no sense.
        is_nonsense = getattr(problem.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR
        is_about_us = isinstance(problem, OperationalError | InterfaceError) and not is_nonsense
        return is_lost or is_about_us
    return isinstance(problem, _AWAY)


_AWAY: Final = (
    OSError,
    TimeoutError,
    PoolTimeoutError,
    sqlite3.OperationalError,  # from the beginning of a transaction
    # as they come from an attempt to connect
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
)


class Database:
    """A migrated database."""

    def __init__(self, engine: Sqlite | Postgres) -> None:
        """Look at a database; nothing is opened yet."""
        self._engine = engine
        self.is_shared = engine.is_shared
        """Whether other processes may be working in it."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, *, migrate: bool = True) -> AsyncIterator["Database"]:
        """
        A database whose tables we can work with; closed on exit.

        Args:
            url: ``sqlite:///path``, whose folder is made if it is missing, or
                ``postgresql://user:password@host/name``.
            migrate: Whether to apply what migrations are missing; else it is an error
                that they are.

        Raises:
            ConfigurationError: PostgreSQL cannot be reached, SQLite is given no file, migrations
                are missing, or a newer program has changed the tables in a way that this one
                does not survive.
        """
        engine = Postgres(url) if url.startswith(POSTGRES) else Sqlite(url)
        database = cls(engine)
        try:
            await engine.reach()
            if migrate:
                await database.migrate()
            await database.check_tables()
            yield database
        finally:
            await database.close()

    async def migrate(self) -> list[str]:
        """Apply what is missing; the revisions that were applied, in order."""

        def upgrade(connection: Connection) -> list[str]:
            self._engine.stop_others(connection)
            return migrations.upgrade(connection)

        async with self._engine.writer.connect() as connection:
            await self._engine.prepare(connection, durable=True, long=True)
            return await connection.run_sync(upgrade)

    async def check_tables(self) -> None:
        """
        See whether we can work with the tables; a newer program may have added some.

        Raises:
            ConfigurationError: They are too old or too new.
        """
        async with self._engine.reader.connect() as connection:
            await connection.run_sync(_check_tables)

    @asynccontextmanager
    async def write(
        self, *, durable: bool = True, long: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """
        One transaction that may write; committed on exit, undone by an exception.

        In a database that is shared it sees what others commit meanwhile: a row that is
        read in order to be changed is locked first (``locks.py``).

        Args:
            durable: Whether it must survive a power cut from then on. Otherwise it may take
                until the next one that must; a crash of this process it survives anyway.
            long: Whether it touches so many rows that nobody should wait for it.
        """
        async with self._engine.writer.connect() as connection:
            await self._engine.prepare(connection, durable=durable, long=long)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def read(self, *, long: bool = False) -> AsyncIterator[AsyncConnection]:
        """One consistent view of what is committed; ``long`` as for ``write``."""
        async with self._engine.reader.connect() as connection:
            await self._engine.prepare(connection, durable=False, long=long)
            async with connection.begin():
                yield connection

    async def connect_apart(self) -> Any:
        """A connection of asyncpg's, outside of the pool; where the database is shared."""
        assert isinstance(self._engine, Postgres)  # noqa: S101  (no other is shared)
        return await self._engine.connect()

    async def revision(self) -> str | None:
        """The migration that the database is at."""
        async with self._engine.reader.connect() as connection:
            return await connection.run_sync(migrations.current)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.close()


def _check_tables(connection: Connection) -> None:
    revision, newest = migrations.current(connection), migrations.newest()
    if revision == newest:
        return
    if not migrations.is_ahead(connection):
        raise ConfigurationError(
            f"the database is at revision {revision}, and this version needs {newest}: "
            "run `heliograph migrate`"
        )
    if beyond := migrations.beyond_us(connection):
        raise ConfigurationError(
            f"a newer version has changed the database (revision {', '.join(beyond)}) in a way "
            "that this version cannot work with: install the newer one"
        )
    log().warning(Event.DATABASE_IS_NEWER, revision=revision, known=newest)
