"""
SQLite: one file, one process, one writer at a time.

A transaction that reads first and writes later can be refused half-way, however long
it waits, so a write transaction takes the lock at its beginning (``BEGIN IMMEDIATE``)
and comes from a pool of one; readers have their own connections and, in WAL mode,
never wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Final

import aiosqlite
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from heliograph.config import variable
from heliograph.errors import ConfigurationError

_READERS: Final = 4
_BUSY_TIMEOUT_SECONDS: Final = 30
_LAST_WORDS_SECONDS: Final = 5


class Sqlite:
    """Connections to a file."""

    is_shared: Final = False

    def __init__(self, address: str) -> None:
        """
        Prepare engines; nothing is opened yet, but the file's folder is made.

        Raises:
            ConfigurationError: The address names no file: a database in memory would be
                another one for each connection.
        """
        url = make_url(address).set(drivername="sqlite+aiosqlite")
        if not url.database or ":memory:" in url.database:
            raise ConfigurationError(
                f"{variable('database_url')}: SQLite needs a file: sqlite:///path"
            )
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self._threads: set[Thread] = set()
        self.writer = self._engine(url, begin="BEGIN IMMEDIATE", connections=1)
        self.reader = self._engine(
            url, begin="BEGIN", connections=_READERS, pragmas=("query_only=ON",)
        )

    async def reach(self) -> None:
        """Nothing: a file that cannot be opened says so itself."""

    def stop_others(self, connection: Connection) -> None:
        """Nothing: a write transaction is alone from its beginning."""

    async def close(self) -> None:
        """Close every connection, and wait for those that were cut off in the middle."""
        await self.reader.dispose()
        await self.writer.dispose()
        for thread in self._threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, _LAST_WORDS_SECONDS)

    def _engine(
        self, url: URL, *, begin: str, connections: int, pragmas: Sequence[str] = ()
    ) -> AsyncEngine:
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

        return _engine(url, connect, begin=begin, connections=connections, pragmas=pragmas)


def _engine(
    url: URL,
    connect: Callable[[], Awaitable[aiosqlite.Connection]],
    *,
    begin: str,
    connections: int,
    pragmas: Sequence[str],
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
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
