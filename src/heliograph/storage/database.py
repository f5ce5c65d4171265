"""
The connection to the database, and the two kinds of transaction.

SQLite has one writer at a time. A transaction that reads first and writes later can
be refused half-way, however long it waits, so a write transaction takes the lock at
its beginning (``BEGIN IMMEDIATE``) and comes from a pool of one; readers have
their own connections and, in WAL mode, never wait.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final

import aiosqlite
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from heliograph.storage import migrations

_READERS: Final = 4
_BUSY_TIMEOUT_SECONDS: Final = 30
_LAST_WORDS_SECONDS: Final = 5


class Database:
    """A migrated database."""

    def __init__(self, url: URL) -> None:
        """Prepare engines; nothing is opened yet."""
        self._threads: set[Thread] = set()
        self._writer = self._engine(url, begin="BEGIN IMMEDIATE", connections=1)
        self._reader = self._engine(url, begin="BEGIN", connections=_READERS)

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator["Database"]:
        """
        A database with every migration applied; closed on exit.

        Args:
            url: ``sqlite:///path``; its folder is made if it is missing.
        """
        parsed = make_url(url).set(drivername="sqlite+aiosqlite")
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        database = cls(parsed)
        try:
            await database.migrate()
            yield database
        finally:
            await database.close()

    async def migrate(self) -> list[str]:
        """Apply what is missing; the revisions that were applied, in order."""
        async with self._writer.connect() as connection:
            return await connection.run_sync(migrations.upgrade)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that may write; committed on exit, undone by an exception."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of what is committed."""
        async with self._reader.begin() as connection:
            yield connection

    async def revision(self) -> str | None:
        """The migration that the database is at."""
        async with self._reader.connect() as connection:
            return await connection.run_sync(migrations.current)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection, and wait for those that were cut off in the middle."""
        await self._reader.dispose()
        await self._writer.dispose()
        for thread in self._threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, _LAST_WORDS_SECONDS)

    def _engine(self, url: URL, *, begin: str, connections: int) -> AsyncEngine:
        async def connect() -> aiosqlite.Connection:
            # The driver would begin transactions of its own; we do that.
            connection = aiosqlite.connect(
                url.database or "", isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS
            )
            # Each connection is a thread. One whose caller was cancelled, or that could
            # not be opened, ends by itself, but must not outlive the event loop to which
            # it reports.
            thread = connection._thread  # noqa: SLF001  (there is no other way to it)
            thread.daemon = True
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
            return await connection

        return _sqlite_engine(url, connect, begin=begin, connections=connections)


def _sqlite_engine(
    url: URL,
    connect: Callable[[], Awaitable[aiosqlite.Connection]],
    *,
    begin: str,
    connections: int,
) -> AsyncEngine:
    engine = create_async_engine(
        url,
        async_creator=connect,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # every transaction here is ended by its own block
        hide_parameters=True,  # an error's text may be logged; tokens and payloads may not
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # FULL: a commit survives a power cut, not only a crash of the process.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
