"""
SQLite: one file, one process, one writer at a time.

A transaction that reads first and writes later can be refused half-way, however long
it waits, so a write transaction takes the lock at its beginning (``BEGIN IMMEDIATE``)
and comes from a pool of one; readers have their own connections and, in WAL mode,
never wait.

Statements run in the event loop, for nearly all of them are over before a thread would
have heard of them. On the thread of its connection runs what may wait: for the lock, for
the disk, and whatever is said to be long.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Final

import aiosqlite
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from heliograph.config import variable
from heliograph.errors import ConfigurationError

_READERS: Final = 4
_ROWS_AT_ONCE: Final = 64
_TAKE_THE_LOCK: Final = "BEGIN IMMEDIATE"
_LOGGED_PAGES: Final = 1000
"""How long the log may be before its pages go into the file: SQLite's own default."""
_FULL: Final = "FULL"
"""A commit survives a power cut, not only a crash of the process."""
_NORMAL: Final = "NORMAL"
"""It survives a crash of the process, and a power cut once a later one is ``FULL``."""
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
        self.writer = self._engine(url, begin=_TAKE_THE_LOCK, connections=1)
        self.reader = self._engine(
            url, begin="BEGIN", connections=_READERS, pragmas=("query_only=ON",)
        )

    async def reach(self) -> None:
        """Nothing: a file that cannot be opened says so itself."""

    def stop_others(self, connection: Connection) -> None:
        """Nothing: a write transaction is alone from its beginning."""

    @staticmethod
    async def prepare(connection: AsyncConnection, *, durable: bool, long: bool) -> None:
        """Say of the transaction that is about to begin what ``Database.write`` was told."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, _Connection)  # noqa: S101  (we have made it)
        driver.is_durable, driver.is_long = durable, long

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
            connection = _Connection(
                lambda: sqlite3.connect(
                    url.database or "",
                    isolation_level=None,
                    timeout=_BUSY_TIMEOUT_SECONDS,
                    check_same_thread=False,  # one at a time, but not always the same
                )
            )
            # Each connection is a thread. One whose caller was cancelled, or that could
            # not be opened, ends by itself, but must not outlive the event loop to which
            # it reports.
            thread = connection._thread  # noqa: SLF001  (there is no other way to it)
            thread.daemon = True
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
            return await connection

        return _engine(url, connect, begin=begin, connections=connections, pragmas=pragmas)


class _Connection(aiosqlite.Connection):
    """A connection whose statements run where they are called, unless they may wait."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=_ROWS_AT_ONCE)
        self.is_durable = False
        """Whether the next transaction is to be on the disk when its commit returns."""
        self.is_long = False
        """Whether its statements run on the thread, too."""
        self._syncs: bool | None = None

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if args[:1] == (_TAKE_THE_LOCK,):
            return await self._take_the_lock(lambda: fn(*args, **kwargs))
        if self.is_long or not self._running or self._connection is None:
            return await self._aside(fn, *args, **kwargs)
        return fn(*args, **kwargs)

    async def commit(self) -> None:
        """End the transaction; when this returns it is on the disk, if it was to be."""
        if self.is_durable or self.is_long:
            await self._aside(self._conn.commit)
        else:
            self._conn.commit()

    async def _aside(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run it on the thread."""
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]

    async def _take_the_lock(self, begin: Callable[[], Any]) -> Any:
        """Begin a write transaction; wait aside if another process is at one."""
        self._prepare()
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            return begin()
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_SECONDS * 1000}")
        return await self._aside(begin)

    def _prepare(self) -> None:
        """
        Sync at commits, or do not; SQLite takes no such wish in the middle of a transaction.

        Neither are pages moved from the log to the file by a commit for which nobody waits aside.
        """
        if self._syncs == self.is_durable:
            return
        self._conn.execute(f"PRAGMA synchronous={_FULL if self.is_durable else _NORMAL}")
        pages = _LOGGED_PAGES if self.is_durable else 0
        self._conn.execute(f"PRAGMA wal_autocheckpoint={pages}")
        self._syncs = self.is_durable


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
        for pragma in ("journal_mode=WAL", f"synchronous={_FULL}", "foreign_keys=ON", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
