"""Queries on declared interests: what an instance has said something about."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, Interest
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import declared_interests as table


class Declaration(NamedTuple):
    """An interest that an instance has said something about."""

    name: Interest
    description: str
    created_at: datetime
    changed_at: datetime


async def add(
    connection: AsyncConnection, instance: InstanceNumber, declarations: Collection[Declaration]
) -> int:
    """Declare interests that are not declared yet; how many those were."""
    names = [each.name for each in declarations]
    query = select(table.c.name).where(table.c.instance_number == instance, table.c.name.in_(names))
    known = set(await connection.scalars(query))
    rows = [
        {
            "instance_number": instance,
            "name": each.name,
            "description": each.description,
            "created_at": each.created_at,
            "changed_at": each.changed_at,
        }
        for each in sorted(declarations, key=lambda each: each.name)
        if each.name not in known
    ]
    if rows:
        insertion = INSERTS[connection.dialect.name](table).on_conflict_do_nothing()
        await connection.execute(insertion, rows)
    return len(rows)


async def every(connection: AsyncConnection, instance: InstanceNumber) -> Sequence[Declaration]:
    """What an instance has declared, in ascending order."""
    columns = (
        table.c.name,
        table.c.description,
        table.c.created_at,
        table.c.changed_at,
    )
    query = select(*columns).where(table.c.instance_number == instance)
    rows = await connection.execute(query.order_by(table.c.name))
    return [Declaration(Interest(name), *others) for name, *others in rows]
