"""Queries on instances. Their secrets come and go sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceId, InstanceNumber
from heliograph.storage import locks
from heliograph.storage.tables import instances


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance as it is kept; bytes are sealed unless they are public."""

    number: InstanceNumber
    id: InstanceId
    name: str
    created_at: datetime
    secret_key: bytes
    previous_secret_key: bytes | None
    client_secret: bytes
    app_secret: bytes
    apns_credentials: bytes | None
    fcm_credentials: bytes | None
    verify_client_secret: bool
    website_credentials: bytes | None


async def add(connection: AsyncConnection, values: dict[str, Any]) -> InstanceNumber:
    """Keep a new instance; ``values`` are its columns but the number, which is returned."""
    number = await connection.scalar(insert(instances).values(values).returning(instances.c.number))
    return InstanceNumber(int(number or 0))


async def find(
    connection: AsyncConnection, instance: InstanceId, *, lock: bool = False
) -> InstanceRow | None:
    """
    The instance with this id; None if there is none.

    Args:
        connection: The transaction.
        instance: Its id.
        lock: Let no other transaction change it, or what it owns be added to, until this one ends.
    """
    if lock:
        await locks.hold_rows(
            connection, select(instances.c.number).where(instances.c.id == instance)
        )
    row = (await connection.execute(select(instances).where(instances.c.id == instance))).first()
    return None if row is None else _read(row)


async def find_numbered(connection: AsyncConnection, number: InstanceNumber) -> InstanceRow | None:
    """The instance with this number; None if it has been deleted."""
    query = select(instances).where(instances.c.number == number)
    row = (await connection.execute(query)).first()
    return None if row is None else _read(row)


async def keep(connection: AsyncConnection, number: InstanceNumber) -> None:
    """Let no other transaction lock or delete an instance until this one ends."""
    await locks.keep_rows(
        connection, select(instances.c.number).where(instances.c.number == number)
    )


async def every(connection: AsyncConnection) -> Sequence[InstanceRow]:
    """All instances, oldest first."""
    rows = await connection.execute(select(instances).order_by(instances.c.number))
    return [_read(row) for row in rows]


async def change(connection: AsyncConnection, instance: InstanceId, values: dict[str, Any]) -> bool:
    """Set some columns; False if there is no such instance."""
    changed = await connection.execute(
        update(instances).where(instances.c.id == instance).values(values)
    )
    return changed.rowcount == 1


async def remove(connection: AsyncConnection, instance: InstanceId) -> bool:
    """Delete an instance and everything it owns; False if there is no such instance."""
    removed = await connection.execute(delete(instances).where(instances.c.id == instance))
    return removed.rowcount == 1


def _read(row: Row[Any]) -> InstanceRow:
    return InstanceRow(**row._mapping)  # noqa: SLF001  (the documented way to a row's columns)
