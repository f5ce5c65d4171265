"""
The database, whichever it is, and the two kinds of transaction.

How each kind is kept is told by the engine: ``sqlite.py`` or ``postgres.py``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import migrations
from heliograph.storage.postgres import Postgres
from heliograph.storage.sqlite import Sqlite

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")


class Database:
    """A migrated database."""

    def __init__(self, engine: Sqlite | Postgres) -> None:
        """Look at a database; nothing is opened yet."""
        self._engine = engine
        self.is_shared = engine.is_shared
        """Whether other processes may be working in it."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator["Database"]:
        """
        A database with every migration applied; closed on exit.

        Args:
            url: ``sqlite:///path``, whose folder is made if it is missing, or
                ``postgresql://user:password@host/name``.

        Raises:
            ConfigurationError: PostgreSQL cannot be reached, or SQLite is given no file.
        """
        engine = Postgres(url) if url.startswith(POSTGRES) else Sqlite(url)
        database = cls(engine)
        try:
            await engine.reach()
            await database.migrate()
            yield database
        finally:
            await database.close()

    async def migrate(self) -> list[str]:
        """Apply what is missing; the revisions that were applied, in order."""

        def upgrade(connection: Connection) -> list[str]:
            self._engine.stop_others(connection)
            return migrations.upgrade(connection)

        async with self._engine.writer.connect() as connection:
            return await connection.run_sync(upgrade)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """
        One transaction that may write; committed on exit, undone by an exception.

        In a database that is shared it sees what others commit meanwhile: a row that is
        read in order to be changed is locked first (``locks.py``).
        """
        async with self._engine.writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of what is committed."""
        async with self._engine.reader.begin() as connection:
            yield connection

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
