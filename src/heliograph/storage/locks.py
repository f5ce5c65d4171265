"""
Locks, for a database in which others write at the same time.

They hold until the transaction ends. On SQLite they do nothing and cost nothing: there a
write transaction is alone from its beginning.

Deadlocks are avoided by an order: an instance, then an address, then devices by their
number, then a user or the watch over a lane.
"""

from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

_KEY_BYTES: Final = 8


async def hold_name(connection: AsyncConnection, *name: object) -> None:
    """
    Let nobody else hold this name, of which there may be no row yet that could be locked.

    Two names may share a lock by accident; then one waits for the other without need.
    """
    if _is_shared(connection):
        digest = blake2b(repr(name).encode(), digest_size=_KEY_BYTES).digest()
        key = int.from_bytes(digest, "big", signed=True)
        await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def hold_rows(connection: AsyncConnection, rows: Select[Any]) -> None:
    """
    Let nobody else change these rows.

    A statement of its own, before the one that reads: a join that waits for a lock
    reads anew only the row that it waited for, and not what is joined to that.
    """
    if _is_shared(connection):
        await connection.execute(rows.with_for_update())


async def keep_rows(connection: AsyncConnection, rows: Select[Any]) -> None:
    """Let nobody else hold or delete these rows; others may keep them too."""
    if _is_shared(connection):
        await connection.execute(rows.with_for_update(read=True, key_share=True))


def _is_shared(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
