"""
Queries on how work stands, for a queue that hears of it elsewhere than here.

It knows numbers, and asks whether there is still something behind them; and what it has
never heard of, it finds here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, Sort, WorkNumber
from heliograph.storage import turns
from heliograph.storage.tables import lanes as paused_lanes
from heliograph.storage.tables import work


@dataclass(frozen=True, slots=True)
class Standing:
    """How a piece of work stands."""

    free_at: datetime
    """From when on it can be taken: when it is due, and in nobody's hand."""
    is_paused: bool
    """Whether its lane is."""


@dataclass(frozen=True, slots=True)
class Due:
    """Work that could be taken now."""

    number: WorkNumber
    instance: InstanceNumber
    expanded_to: int


async def of(
    connection: AsyncConnection, numbers: Collection[WorkNumber]
) -> dict[WorkNumber, Standing]:
    """How some work stands; nothing of what is done."""
    rows = await connection.execute(
        select(
            work.c.number,
            work.c.due_at,
            work.c.leased_until,
            paused_lanes.c.lane.is_not(None).label("is_paused"),
        )
        .select_from(work.outerjoin(paused_lanes, paused_lanes.c.lane == work.c.lane))
        .where(work.c.number.in_(numbers))
    )
    return {
        WorkNumber(row.number): Standing(
            max(row.due_at, row.leased_until or row.due_at), row.is_paused
        )
        for row in rows
    }


async def due(
    connection: AsyncConnection,
    sort: Sort,
    each: int,
    *,
    now: datetime,
    after: InstanceNumber | None = None,
) -> Sequence[Due]:
    """
    The work of a sort that could be taken now and has waited longest, lane by lane.

    Args:
        connection: The transaction.
        sort: Which sort.
        each: How much of a lane, at most; of all lanes together, some times that.
        now: When.
        after: Instances above this come first.
    """
    numbers = await turns.due(connection, sort, each, now, after=after)
    if not numbers:
        return []
    rows = await connection.execute(
        select(work.c.number, work.c.instance_number, work.c.expanded_to).where(
            work.c.number.in_(numbers)
        )
    )
    found = {row.number: Due(row.number, row.instance_number, row.expanded_to) for row in rows}
    return [found[number] for number in numbers if number in found]
