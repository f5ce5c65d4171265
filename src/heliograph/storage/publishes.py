"""
Queries on publishes: what was asked for, and how far it has come.

A publish is locked with ``FOR NO KEY UPDATE``: others may go on adding rows that refer
to it, which would otherwise wait for us while we wait for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    End,
    InstanceNumber,
    Interest,
    Messages,
    PublishId,
    PublishNumber,
    Target,
    ToInterests,
    ToUsers,
    UserId,
)
from heliograph.storage.tables import publishes, work


@dataclass(frozen=True, slots=True)
class Publish:
    """What a caller asked for."""

    number: PublishNumber
    id: PublishId
    instance: InstanceNumber
    target: Target
    messages: Messages
    accepted_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a publish has come, counted in deliveries.

    ``targeted = sent + failed + expired + cancelled + pending`` at every commit;
    ``pending`` is counted from the work that is left, not derived from the rest.
    """

    id: PublishId
    target: Target
    accepted_at: datetime
    expanded_at: datetime | None
    """When all of its deliveries were known; None while its target is being walked."""
    cancelled_at: datetime | None
    """When an operator cancelled what was left of it; None if nobody did."""
    targeted: int
    sent: int
    failed: int
    expired: int
    cancelled: int
    pending: int


async def add(
    connection: AsyncConnection,
    instance: InstanceNumber,
    publish: PublishId,
    target: Target,
    messages: Messages,
    *,
    now: datetime,
) -> PublishNumber:
    """Keep a publish; its number."""
    number = await connection.scalar(
        insert(publishes)
        .values(
            id=publish,
            instance_number=instance,
            target=_write_target(target),
            messages=msgspec.msgpack.encode(messages),
            accepted_at=now,
            targeted=0,
            sent=0,
            failed=0,
            expired=0,
            cancelled=0,
        )
        .returning(publishes.c.number)
    )
    return PublishNumber(int(number or 0))


async def find(
    connection: AsyncConnection, number: PublishNumber, *, lock: bool = False
) -> Publish | None:
    """
    A publish by its number; None if it is gone.

    Args:
        connection: The transaction.
        number: Which.
        lock: Let nobody cancel it until this transaction ends.
    """
    query = select(publishes).where(publishes.c.number == number)
    if lock:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Publish(
        number=PublishNumber(row.number),
        id=PublishId(row.id),
        instance=InstanceNumber(row.instance_number),
        target=_read_target(row.target),
        messages=msgspec.msgpack.decode(row.messages, type=Messages),
        accepted_at=row.accepted_at,
        expanded_at=row.expanded_at,
        cancelled_at=row.cancelled_at,
    )


async def find_id(
    connection: AsyncConnection,
    instance: InstanceNumber,
    publish: PublishId,
    *,
    lock: bool = False,
) -> PublishNumber | None:
    """
    The number of a publish; None if the instance has none with this id.

    With ``lock`` its deliveries stay as they are until this transaction ends.
    """
    query = select(publishes.c.number).where(
        publishes.c.instance_number == instance, publishes.c.id == publish
    )
    if lock:
        query = query.with_for_update(key_share=True)
    number = await connection.scalar(query)
    return None if number is None else PublishNumber(number)


async def progress(
    connection: AsyncConnection, instance: InstanceNumber, publish: PublishId
) -> Progress | None:
    """How far a publish has come, in one consistent view; None if there is no such publish."""
    pending = (
        select(func.coalesce(func.sum(work.c.pending), 0))
        .where(work.c.publish_number == publishes.c.number)
        .scalar_subquery()
    )
    query = select(publishes, pending.label("pending")).where(
        publishes.c.instance_number == instance, publishes.c.id == publish
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Progress(
        id=PublishId(row.id),
        target=_read_target(row.target),
        accepted_at=row.accepted_at,
        expanded_at=row.expanded_at,
        cancelled_at=row.cancelled_at,
        targeted=row.targeted,
        sent=row.sent,
        failed=row.failed,
        expired=row.expired,
        cancelled=row.cancelled,
        pending=int(row.pending),
    )


async def add_targeted(connection: AsyncConnection, number: PublishNumber, more: int) -> int:
    """Count deliveries that expansion has just made; how many there are now."""
    targeted = await connection.scalar(
        update(publishes)
        .where(publishes.c.number == number)
        .values(targeted=publishes.c.targeted + more)
        .returning(publishes.c.targeted)
    )
    return int(targeted or 0)


async def mark_expanded(
    connection: AsyncConnection, number: PublishNumber, *, now: datetime
) -> None:
    """Note that every delivery of a publish is known."""
    await connection.execute(
        update(publishes).where(publishes.c.number == number).values(expanded_at=now)
    )


async def mark_cancelled(
    connection: AsyncConnection, number: PublishNumber, *, now: datetime
) -> bool:
    """Note that a publish is cancelled; False if it was already, or is over."""
    is_left = exists().where(work.c.publish_number == publishes.c.number)
    marked = await connection.execute(
        update(publishes)
        .where(publishes.c.number == number, publishes.c.cancelled_at.is_(None), is_left)
        .values(cancelled_at=now)
    )
    return marked.rowcount == 1


async def is_cancelled(connection: AsyncConnection, number: PublishNumber) -> bool:
    """Whether a publish is cancelled; if not, it stays so until this transaction ends."""
    query = select(publishes.c.cancelled_at).where(publishes.c.number == number)
    return await connection.scalar(query.with_for_update(key_share=True)) is not None


async def add_ends(
    connection: AsyncConnection, number: PublishNumber, ends: Mapping[End, int]
) -> None:
    """Count deliveries that have come to an end."""
    if ends:
        await connection.execute(
            update(publishes)
            .where(publishes.c.number == number)
            .values({end: publishes.c[end] + more for end, more in ends.items()})
        )


def _write_target(target: Target) -> dict[str, Any]:
    match target:
        case ToUsers(users=names):
            return {"users": list(names)}
        case ToInterests(interests=names):
            return {"interests": list(names)}


def _read_target(value: dict[str, Any]) -> Target:
    if "users" in value:
        return ToUsers(tuple(UserId(name) for name in value["users"]))
    return ToInterests(tuple(Interest(name) for name in value["interests"]))
