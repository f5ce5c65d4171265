"""
News of work: who waits for some is woken, also by what another process has committed.

PostgreSQL carries them (``LISTEN``, ``NOTIFY``) on a connection of their own. They are
only news: whoever misses one looks by himself a few seconds later. That is so, too, where
a pooler in front of the database passes none on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, Protocol

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.storage.database import Database

CHANNEL: Final = "heliograph_work"

_REST: Final = timedelta(milliseconds=20)
"""Between two tidings to others: ``NOTIFY`` takes a lock of the whole server."""

_ABSENCE: Final = timedelta(seconds=5)
"""How long after a connection was lost the next one is tried."""


class News(Protocol):
    """As of ``asyncio.Event``, which is what a process that is alone uses."""

    def set(self) -> None:
        """Say that there is work."""

    def clear(self) -> None:
        """From now on wait for what is new."""

    async def wait(self) -> object:
        """Return when anybody has said so since the last ``clear``."""


@contextlib.asynccontextmanager
async def news_of(database: Database) -> AsyncIterator[News]:
    """News among all processes of a database."""
    if not database.is_shared:
        yield asyncio.Event()
        return
    news = PostgresNews(database.connect_apart)
    async with news.listening():
        yield news


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
        self._heard = asyncio.Event()
        self._to_tell = asyncio.Event()

    def set(self) -> None:
        """See ``News``; others hear of it in a moment."""
        self._heard.set()
        self._to_tell.set()

    def clear(self) -> None:
        """See ``News``."""
        self._heard.clear()

    async def wait(self) -> object:
        """See ``News``."""
        return await self._heard.wait()

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
                    self._heard.set()  # whatever was said while we could not hear
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

        def hear(_connection: object, pid: int, _channel: str, _payload: str) -> None:
            if pid != ours:
                self._heard.set()

        try:
            connection.add_termination_listener(lambda _connection: self._to_tell.set())
            await connection.add_listener(CHANNEL, hear)
            yield connection
        finally:
            connection.terminate()

    async def _tell(self, connection: Any) -> None:
        """Tell others whatever is new, until the connection is lost; then raise."""
        while True:
            await self._to_tell.wait()
            self._to_tell.clear()
            await connection.execute(f"NOTIFY {CHANNEL}")
            await self._sleep(_REST.total_seconds())
