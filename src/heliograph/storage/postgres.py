"""
PostgreSQL: many processes over one database.

A write transaction runs under READ COMMITTED: each of its statements sees what has been
committed by then, and what must not change in between is locked (``locks.py``). A read
is one snapshot (REPEATABLE READ, read only). Both come from one pool.
"""

from typing import Any, Final

import asyncpg
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from heliograph.config import variable
from heliograph.errors import ConfigurationError

_CONNECTIONS: Final = 10
_CONNECT_TIMEOUT_SECONDS: Final = 10
_MIGRATION_LOCK: Final = 0x48454C494F  # "HELIO"


class Postgres:
    """Connections to a server."""

    is_shared: Final = True

    def __init__(self, address: str) -> None:
        """Prepare an engine for a libpq address; nothing is opened yet."""
        self._address = address
        engine = self._engine()
        self.writer = engine
        self.reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    async def prepare(self, connection: AsyncConnection, *, durable: bool, long: bool) -> None:
        """Nothing: every commit is on the disk, and no statement holds up the event loop."""

    async def reach(self) -> None:
        """
        See whether the server lets us in.

        Raises:
            ConfigurationError: Naming the setting, but not its value: that holds a password.
        """
        try:
            connection = await self.connect()
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            raise ConfigurationError(
                f"{variable('database_url')}: PostgreSQL cannot be reached: "
                f"{problem or type(problem).__name__}"
            ) from None
        await connection.close()

    def stop_others(self, connection: Connection) -> None:
        """Let no other process migrate until this transaction ends."""
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))

    async def close(self) -> None:
        """Close every connection."""
        await self.writer.dispose()

    async def connect(self) -> Any:
        """A connection of the driver's own kind, outside of the pool."""
        # The driver reads the address itself: it knows libpq's parameters (sslmode, several
        # hosts, a password file), of which SQLAlchemy knows few.
        return await asyncpg.connect(self._address, timeout=_CONNECT_TIMEOUT_SECONDS)

    def _engine(self) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            isolation_level="READ COMMITTED",
            hide_parameters=True,  # an error's text may be logged; tokens and payloads may not
        )
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
        event.listen(engine.sync_engine, "handle_error", _hide_values)
        return engine


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """
    Have another connection made for one that the server has closed, and for all of its age.

    The driver notices while a connection is idle, so that a server that was restarted
    costs the transactions that were under way and no others. No ping is needed.
    """
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _hide_values(context: ExceptionContext) -> None:
    """
    Take away what PostgreSQL and its driver quote from the values of a statement.

    The server does so in DETAIL (``Key (id)=(alice) already exists``), the driver in the
    message about a value of the wrong type.
    """
    wrapped = context.original_exception
    told: Any = wrapped.__cause__
    if not isinstance(told, asyncpg.PostgresError | asyncpg.InterfaceError):
        return
    sentence = type(told).__name__
    if getattr(told, "severity", None):  # the server said it
        sentence = f"{sentence}: {told.args[0]}"
    told.args, told.detail = (sentence,), None
    wrapped.args = (sentence,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (sentence,)
