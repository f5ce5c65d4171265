"""
News of work: who waits for some is woken, also by what another process has committed.

PostgreSQL carries them (``LISTEN``, ``NOTIFY``) on a connection of their own. They are
only news: whoever misses one looks by himself a few seconds later. That is so, too, where
a pooler in front of the database passes none on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import timedelta
from typing import Any, Final, Protocol

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import Sort
from heliograph.storage.database import Database

CHANNEL: Final = "heliograph_work"

_REST: Final = timedelta(milliseconds=20)
"""Between two tidings to others: ``NOTIFY`` takes a lock of the whole server."""

_ABSENCE: Final = timedelta(seconds=5)
"""How long after a connection was lost the next one is tried."""


class News(Protocol):
    """What a process hears, and tells, of work that was committed."""

    @property
    def is_new(self) -> bool:
        """Whether ``heard`` would return at once."""

    def tell(self, sorts: Iterable[Sort]) -> None:
        """Say that there is work of some sorts."""

    async def heard(self) -> Collection[Sort]:
        """Return when anybody has said so since the last call: of which sorts."""


@contextlib.asynccontextmanager
async def news_of(database: Database) -> AsyncIterator[News]:
    """News among all processes of a database."""
    if not database.is_shared:
        yield LocalNews()
        return
    news = PostgresNews(database.connect_apart)
    async with news.listening():
        yield news


class LocalNews:
    """News within one process."""

    def __init__(self) -> None:
        """Have heard nothing yet."""
        self._sorts: set[Sort] = set()
        self._told = asyncio.Event()

    @property
    def is_new(self) -> bool:
        """See ``News``."""
        return self._told.is_set()

    def tell(self, sorts: Iterable[Sort]) -> None:
        """See ``News``."""
        self._sorts.update(sorts)
        self._told.set()

    async def heard(self) -> Collection[Sort]:
        """See ``News``."""
        await self._told.wait()
        sorts = frozenset(self._sorts)
        self._sorts.clear()
        self._told.clear()
        return sorts


class PostgresNews:
    """News among the processes of a PostgreSQL database."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Hear and tell nobody yet.

        Args:
            connect: Opens a connection of asyncpg.
            sleep: Lets so many seconds pass.
        """
        self._connect = connect
        self._sleep = sleep
        self._ours = LocalNews()
        self._for_others = LocalNews()

    @property
    def is_new(self) -> bool:
        """See ``News``."""
        return self._ours.is_new

    def tell(self, sorts: Iterable[Sort]) -> None:
        """See ``News``; others hear of it in a moment."""
        told = frozenset(sorts)
        self._ours.tell(told)
        self._for_others.tell(told)

    async def heard(self) -> Collection[Sort]:
        """See ``News``."""
        return await self._ours.heard()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear others and tell them; a connection that is lost is made anew."""
        task = asyncio.create_task(self._keep_listening())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_listening(self) -> None:
        is_known_to_be_lost = False
        while True:
            try:
                async with self._connected() as connection:
                    is_known_to_be_lost = False
                    self._ours.tell(Sort)  # whatever was said while we could not hear
                    await self._tell(connection)
            except Exception as problem:  # noqa: BLE001  (whatever it is, we look ourselves)
                if not is_known_to_be_lost:
                    log().warning(Event.NEWS_LOST, problem=type(problem).__name__)
                is_known_to_be_lost = True
            await self._sleep(_ABSENCE.total_seconds())

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        connection = await self._connect()
        ours = connection.get_server_pid()

        def hear(_connection: object, pid: int, _channel: str, payload: str) -> None:
            if pid != ours:
                self._ours.tell(sort for sort in Sort if sort in payload.split())

        try:
            connection.add_termination_listener(lambda _connection: self._for_others.tell(()))
            await connection.add_listener(CHANNEL, hear)
            yield connection
        finally:
            connection.terminate()

    async def _tell(self, connection: Any) -> None:
        """Tell others whatever is new, until the connection is lost; then raise."""
        while True:
            sorts = await self._for_others.heard()
            await connection.execute(f"NOTIFY {CHANNEL}, '{' '.join(sorted(sorts))}'")
            await self._sleep(_REST.total_seconds())
