"""Queries on declared interests: those that an instance has said something about."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, Interest
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import declared_interests, interests


@dataclass(frozen=True, slots=True)
class Declared:
    """An interest that an instance has declared."""

    name: Interest
    description: str
    created_at: datetime
    changed_at: datetime


async def add(
    connection: AsyncConnection,
    instance: InstanceNumber,
    name: Interest,
    description: str,
    *,
    now: datetime,
) -> bool:
    """Declare an interest; False if it is declared already, which changes nothing."""
    added = await connection.execute(
        INSERTS[connection.dialect.name](declared_interests)
        .values(
            instance_number=instance,
            name=name,
            description=description,
            created_at=now,
            changed_at=now,
        )
        .on_conflict_do_nothing(index_elements=["instance_number", "name"])
    )
    return added.rowcount == 1


async def find(
    connection: AsyncConnection, instance: InstanceNumber, name: Interest
) -> Declared | None:
    """A declared interest; None if it is not."""
    query = select(declared_interests).where(
        declared_interests.c.instance_number == instance, declared_interests.c.name == name
    )
    row = (await connection.execute(query)).first()
    return None if row is None else _read(row)


async def describe(
    connection: AsyncConnection,
    instance: InstanceNumber,
    name: Interest,
    description: str,
    *,
    now: datetime,
) -> bool:
    """Describe a declared interest anew; False if it is not declared."""
    changed = await connection.execute(
        update(declared_interests)
        .where(declared_interests.c.instance_number == instance, declared_interests.c.name == name)
        .values(description=description, changed_at=now)
    )
    return changed.rowcount == 1


async def remove(connection: AsyncConnection, instance: InstanceNumber, name: Interest) -> bool:
    """Take back a declaration, with every subscription to it; False if there was none."""
    removed = await connection.execute(
        delete(declared_interests).where(
            declared_interests.c.instance_number == instance, declared_interests.c.name == name
        )
    )
    if removed.rowcount != 1:
        return False
    await connection.execute(
        delete(interests).where(interests.c.instance_number == instance, interests.c.name == name)
    )
    return True


async def known(
    connection: AsyncConnection,
    instance: InstanceNumber,
    names: Collection[Interest],
    *,
    hold: bool = True,
) -> set[Interest]:
    """
    Which of some interests, up to 1,000, are declared.

    With ``hold`` none of those is taken back before the transaction ends.
    """
    query = (
        select(declared_interests.c.name)
        .where(
            declared_interests.c.instance_number == instance,
            declared_interests.c.name.in_(names),
        )
        .order_by(declared_interests.c.name)
    )
    if hold:
        query = query.with_for_update(read=True, key_share=True)
    rows = await connection.scalars(query)
    return {Interest(name) for name in rows}


async def page(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *wanted: ColumnElement[bool],
    offset: int = 0,
    limit: int,
) -> Sequence[Declared]:
    """Declared interests in the order of their names, those for which all that is wanted holds."""
    query = select(declared_interests).where(
        declared_interests.c.instance_number == instance, *wanted
    )
    query = query.order_by(declared_interests.c.name).offset(offset).limit(limit)
    return [_read(row) for row in await connection.execute(query)]


async def count(
    connection: AsyncConnection, instance: InstanceNumber, *wanted: ColumnElement[bool]
) -> int:
    """How many there are of which all that is wanted holds."""
    query = select(func.count()).where(declared_interests.c.instance_number == instance, *wanted)
    return int(await connection.scalar(query) or 0)


async def subscribers(
    connection: AsyncConnection, instance: InstanceNumber, names: Collection[Interest]
) -> dict[Interest, int]:
    """How many devices subscribe to each of some interests."""
    query = (
        select(interests.c.name, func.count())
        .where(interests.c.instance_number == instance, interests.c.name.in_(names))
        .group_by(interests.c.name)
    )
    return {Interest(name): number for name, number in await connection.execute(query)}


def _read(row: Row[Any]) -> Declared:
    return Declared(Interest(row.name), row.description, row.created_at, row.changed_at)
