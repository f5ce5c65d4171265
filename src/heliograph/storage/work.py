"""
Queries on work: what is still to be done for a publish.

A row is either an *expansion* (no gateway: walk the target on from
``expanded_to``) or a *batch* of deliveries for one lane. Whoever works on a row
holds a lease on it; a lease that has run out belongs to a process that died. A row
goes away in the same transaction that stores what came of it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Row,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    DeviceNumber,
    Environment,
    Gateway,
    InstanceNumber,
    PublishNumber,
    WorkNumber,
)
from heliograph.storage.columns import Instant
from heliograph.storage.insertion import Insertion
from heliograph.storage.tables import work


@dataclass(frozen=True, slots=True)
class Expansion:
    """A target still to be walked."""

    number: WorkNumber
    publish: PublishNumber
    instance: InstanceNumber
    expanded_to: int
    """Every device up to this number has its batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries of one publish through one lane."""

    number: WorkNumber
    publish: PublishNumber
    instance: InstanceNumber
    gateway: Gateway
    environment: Environment | None
    devices: "array[int]"
    """Their numbers, ascending."""
    attempt: int
    """1 the first time."""


Work = Expansion | Batch


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is still to be made."""

    attempt: int
    due_at: datetime
    is_in_hand: bool


async def add_expansion(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    *,
    now: datetime,
) -> Expansion:
    """Ask for a target to be walked; the work that it is."""
    (added,) = await add_expansions(connection, [(publish, instance)], now=now)
    return added


async def add_expansions(
    connection: AsyncConnection,
    publishes: Collection[tuple[PublishNumber, InstanceNumber]],
    *,
    now: datetime,
) -> Sequence[Expansion]:
    """Ask for the targets of some publishes, 1 to 256, to be walked; the work that it is."""
    due_at = Instant.written(now)
    added = await _EXPANSIONS.add(connection, [(*each, due_at, b"") for each in publishes])
    return [
        Expansion(WorkNumber(number), PublishNumber(publish), InstanceNumber(instance), 0)
        for number, publish, instance in added
    ]


async def add_batch(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    gateway: Gateway,
    environment: Environment | None,
    devices: Sequence[DeviceNumber],
    *,
    attempt: int,
    due_at: datetime,
) -> None:
    """Ask for deliveries; ``devices`` are in ascending order."""
    await connection.execute(
        insert(work).values(
            publish_number=publish,
            instance_number=instance,
            gateway=str(gateway),
            environment=environment,
            expanded_to=0,
            devices=array("q", devices),
            pending=len(devices),
            attempt=attempt,
            due_at=due_at,
        )
    )


async def lease(
    connection: AsyncConnection, *, limit: int, now: datetime, until: datetime
) -> Sequence[Work]:
    """
    Take work that is due and that nobody holds, first attempts before repeated ones.

    Args:
        connection: The transaction.
        limit: How many rows at most.
        now: Leases that ended before this instant no longer count.
        until: When the new leases end unless they are extended.
    """
    free = (
        select(work.c.number)
        .where(
            work.c.due_at <= now,
            or_(work.c.leased_until.is_(None), work.c.leased_until <= now),
        )
        .order_by(work.c.attempt, work.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("free")  # looked up once: a planner may repeat a subquery, and lock other rows
    )
    taken = await connection.execute(
        update(work)
        .where(work.c.number.in_(select(free.c.number)))
        .values(leased_until=until)
        .returning(work)
    )
    return sorted((_read(row) for row in taken), key=lambda item: item.number)


async def extend(
    connection: AsyncConnection, numbers: Sequence[WorkNumber], *, until: datetime
) -> None:
    """Hold some work for longer."""
    await connection.execute(
        update(work).where(work.c.number.in_(numbers)).values(leased_until=until)
    )


async def hand_back(
    connection: AsyncConnection, numbers: Sequence[WorkNumber], *, due_at: datetime
) -> None:
    """Let go of work that was not done, to be taken up from an instant on."""
    await connection.execute(
        update(work).where(work.c.number.in_(numbers)).values(leased_until=None, due_at=due_at)
    )


async def release_all(connection: AsyncConnection) -> int:
    """End every lease, because the only process that could hold one has just started."""
    ended = await connection.execute(
        update(work).where(work.c.leased_until.is_not(None)).values(leased_until=None)
    )
    return int(ended.rowcount)


async def next_due(connection: AsyncConnection) -> datetime | None:
    """When the next unheld work is due; None if there is none."""
    query = select(func.min(work.c.due_at)).where(work.c.leased_until.is_(None))
    instant: datetime | None = await connection.scalar(query)
    return instant


async def hold(connection: AsyncConnection, expansion: Expansion) -> bool:
    """
    Let nobody else take this step; False if somebody has.

    Whoever was away for longer than their lease finds that out here.
    """
    query = select(work.c.number).where(
        work.c.number == expansion.number, work.c.expanded_to == expansion.expanded_to
    )
    return await connection.scalar(query.with_for_update()) is not None


async def move_on(connection: AsyncConnection, number: WorkNumber, *, expanded_to: int) -> None:
    """Note how far an expansion has come, and let go of it so that others get their turn."""
    await connection.execute(
        update(work)
        .where(work.c.number == number)
        .values(expanded_to=expanded_to, leased_until=None)
    )


async def remove(connection: AsyncConnection, number: WorkNumber) -> bool:
    """Finish a piece of work; False if somebody else has already finished it."""
    removed = await connection.execute(delete(work).where(work.c.number == number))
    return removed.rowcount == 1


async def waiting(
    connection: AsyncConnection, publish: PublishNumber, devices: Collection[DeviceNumber]
) -> dict[DeviceNumber, Waiting]:
    """What is still to be done for some devices of a publish; nothing for those left out."""
    query = select(work).where(work.c.publish_number == publish, work.c.gateway.is_not(None))
    found: dict[DeviceNumber, Waiting] = {}
    for row in await connection.execute(query):
        item = Waiting(row.attempt, row.due_at, row.leased_until is not None)
        found |= {device: item for device in devices if _has(row.devices, device)}
    return found


async def remove_waiting(connection: AsyncConnection, publish: PublishNumber) -> Sequence[Work]:
    """Remove a publish's work that is in nobody's hand; what it was."""
    removed = await connection.execute(
        delete(work)
        .where(work.c.publish_number == publish, work.c.leased_until.is_(None))
        .returning(work)
    )
    return sorted((_read(row) for row in removed), key=lambda item: item.number)


_EXPANSIONS: Final = Insertion(
    work.name,
    ("publish_number", "instance_number", "due_at", "devices"),
    constant={"expanded_to": "0", "pending": "0", "attempt": "1"},
    returning=("number", "publish_number", "instance_number"),
)


def _has(devices: "array[int]", device: DeviceNumber) -> bool:
    """Whether a device is among those of a batch, which are in ascending order."""
    place = bisect_left(devices, device)
    return place < len(devices) and devices[place] == device


def _read(row: Row[Any]) -> Work:
    number, publish = WorkNumber(row.number), PublishNumber(row.publish_number)
    instance = InstanceNumber(row.instance_number)
    if row.gateway is None:
        return Expansion(number, publish, instance, row.expanded_to)
    return Batch(
        number=number,
        publish=publish,
        instance=instance,
        gateway=Gateway(row.gateway),
        environment=None if row.environment is None else Environment(row.environment),
        devices=row.devices,
        attempt=row.attempt,
    )
