"""
Queries on watches: how much would have been pruned of a lane lately, and whether it may be.

What the numbers mean is decided in ``pipeline/breaker.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import Environment, Gateway, InstanceNumber, Lane
from heliograph.storage import locks
from heliograph.storage.tables import watches


@dataclass(frozen=True, slots=True)
class Watch:
    """What one lane has seen since its window began."""

    began_at: datetime
    attempted: int = 0
    """Deliveries that came to an answer."""
    doomed: int = 0
    """Devices among them that would have been pruned, whether they were or not."""
    stopped_at: datetime | None = None
    """Since when nothing is pruned; None if it is."""
    trusted_until: datetime | None = None
    """Until when everything is pruned, because an operator said so."""


async def find(connection: AsyncConnection, lane: Lane) -> Watch | None:
    """
    The watch over a lane; None if nothing was ever doomed there.

    Nobody else can change it, or keep one, until the transaction ends.
    """
    await locks.hold_name(connection, "watch", *_key(lane).values())
    row = (await connection.execute(select(watches).where(_is(lane)).with_for_update())).first()
    return None if row is None else _read(row)


async def keep(connection: AsyncConnection, lane: Lane, watch: Watch) -> None:
    """Keep the watch over a lane, after ``find`` has held it."""
    values = {
        "began_at": watch.began_at,
        "attempted": watch.attempted,
        "doomed": watch.doomed,
        "stopped_at": watch.stopped_at,
        "trusted_until": watch.trusted_until,
    }
    changed = await connection.execute(update(watches).where(_is(lane)).values(values))
    if not changed.rowcount:
        await connection.execute(insert(watches).values(**_key(lane), **values))


async def stopped(
    connection: AsyncConnection, instance: InstanceNumber
) -> Sequence[tuple[Lane, Watch]]:
    """The lanes of an instance whose pruning is stopped, in a fixed order."""
    query = (
        select(watches)
        .where(watches.c.instance_number == instance, watches.c.stopped_at.is_not(None))
        .order_by(watches.c.gateway, watches.c.environment)
    )
    return [(_lane(row), _read(row)) for row in await connection.execute(query)]


async def trust(
    connection: AsyncConnection, instance: InstanceNumber, *, until: datetime, now: datetime
) -> int:
    """Let the stopped lanes of an instance be pruned again, whatever is doomed; how many."""
    changed = await connection.execute(
        update(watches)
        .where(watches.c.instance_number == instance, watches.c.stopped_at.is_not(None))
        .values(began_at=now, attempted=0, doomed=0, stopped_at=None, trusted_until=until)
    )
    return int(changed.rowcount)


def _key(lane: Lane) -> dict[str, Any]:
    return {
        "instance_number": lane.instance,
        "gateway": str(lane.gateway),
        "environment": str(lane.environment or ""),
    }


def _is(lane: Lane) -> ColumnElement[bool]:
    return and_(*[watches.c[name] == value for name, value in _key(lane).items()])


def _lane(row: Row[Any]) -> Lane:
    environment = Environment(row.environment) if row.environment else None
    return Lane(InstanceNumber(row.instance_number), Gateway(row.gateway), environment)


def _read(row: Row[Any]) -> Watch:
    return Watch(row.began_at, row.attempted, row.doomed, row.stopped_at, row.trusted_until)
