"""
Queries on publishes: what was asked for, and how far it has come.

A publish is locked with ``FOR NO KEY UPDATE``: others may go on adding rows that refer
to it, which would otherwise wait for us while we wait for them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    End,
    Gateway,
    InstanceNumber,
    Interest,
    Messages,
    PublishId,
    PublishNumber,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    UserId,
)
from heliograph.storage.columns import Instant, Json
from heliograph.storage.insertion import Insertion
from heliograph.storage.tables import publishes, work
from heliograph.storage.work import IS_FOR_DEVICES


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
    is_watched: bool = False
    """Whether somebody is to be told when it is over."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What became of a publish through one gateway, as far as we were told."""

    sent: int
    """The gateway took it."""
    delivered: int
    """The device said that it has it."""
    opened: int
    """Somebody opened it there."""


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
    gateways: Mapping[Gateway, Echo] = field(default_factory=dict)
    """Of those through which anything was sent."""


@dataclass(frozen=True, slots=True)
class New:
    """A publish that is about to be kept."""

    id: PublishId
    instance: InstanceNumber
    target: Target
    messages: Messages
    accepted_at: datetime
    is_watched: bool = False
    """Whether somebody is to be told when it is over."""


async def add_all(
    connection: AsyncConnection, new: Sequence[New]
) -> Mapping[PublishId, PublishNumber]:
    """Keep some publishes, 1 to 256; their numbers."""
    added = await _INSERTION.add(
        connection,
        [
            (
                each.id,
                each.instance,
                Json.written(_write_target(each.target)),
                _messages.encode(each.messages),
                Instant.written(each.accepted_at),
                each.is_watched,
            )
            for each in new
        ],
    )
    return {PublishId(identity): PublishNumber(number) for identity, number in added}


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
    numbers = await add_all(connection, [New(publish, instance, target, messages, now)])
    return numbers[publish]


async def remove(connection: AsyncConnection, number: PublishNumber) -> None:
    """Forget a publish with all that is still to be done for it, and all that was."""
    await connection.execute(delete(publishes).where(publishes.c.number == number))


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
        is_watched=bool(row.is_watched),
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
        gateways=echoes(row),
    )


def echoes(row: Any) -> dict[Gateway, Echo]:
    """What a row of publishes, or a sum of such rows, says of each gateway."""
    every = {
        gateway: Echo(*[int(getattr(row, f"{gateway}_{count}")) for count in ECHO_COUNTS])
        for gateway in Gateway
    }
    return {gateway: each for gateway, each in every.items() if each != _SILENCE}


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
) -> bool:
    """Note that every delivery of a publish is known; whether somebody waits for its end."""
    is_watched = await connection.scalar(
        update(publishes)
        .where(publishes.c.number == number)
        .values(expanded_at=now)
        .returning(publishes.c.is_watched)
    )
    return bool(is_watched)


async def mark_cancelled(
    connection: AsyncConnection, number: PublishNumber, *, now: datetime
) -> bool:
    """Note that a publish is cancelled; False if it was already, or is over."""
    is_left = exists().where(work.c.publish_number == publishes.c.number, IS_FOR_DEVICES)
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
    connection: AsyncConnection, number: PublishNumber, ends: Mapping[End, int], gateway: Gateway
) -> bool:
    """
    Count deliveries through a gateway that have come to an end.

    Returns:
        Whether somebody is to be told when the publish is over, which it may be now: nobody
        else finds that out before this transaction ends.
    """
    if not ends:
        return False
    counts: dict[str, Any] = {end: publishes.c[end] + more for end, more in ends.items()}
    if sent := ends.get("sent"):
        column = f"{gateway}_sent"
        counts[column] = publishes.c[column] + sent
    is_watched = await connection.scalar(
        update(publishes)
        .where(publishes.c.number == number)
        .values(counts)
        .returning(publishes.c.is_watched)
    )
    return bool(is_watched)


async def add_cancelled(connection: AsyncConnection, number: PublishNumber, more: int) -> None:
    """Count deliveries, through whichever gateways, that an operator has cancelled."""
    await connection.execute(
        update(publishes)
        .where(publishes.c.number == number)
        .values(cancelled=publishes.c.cancelled + more)
    )


async def unwatch(connection: AsyncConnection, number: PublishNumber) -> None:
    """Have nobody told any more when a publish is over: they have been."""
    await connection.execute(
        update(publishes).where(publishes.c.number == number).values(is_watched=False)
    )


@dataclass(frozen=True, slots=True)
class Sketch:
    """Of a publish, what concerns those who say something of it."""

    number: PublishNumber
    instance: InstanceNumber
    target: Target


async def sketches(
    connection: AsyncConnection, ids: Collection[PublishId]
) -> Mapping[PublishId, Sketch]:
    """Those of some publishes that there are; locked, in the order of their numbers."""
    columns = (publishes.c.id, publishes.c.number, publishes.c.instance_number, publishes.c.target)
    query = select(*columns).where(publishes.c.id.in_(ids)).order_by(publishes.c.number)
    rows = await connection.execute(query.with_for_update(key_share=True))
    return {
        PublishId(identity): Sketch(
            PublishNumber(number), InstanceNumber(instance), _read_target(target)
        )
        for identity, number, instance, target in rows
    }


async def add_echoes(
    connection: AsyncConnection,
    counts: Mapping[tuple[PublishNumber, Gateway, Literal["delivered", "opened"]], int],
) -> None:
    """Count what devices said of publishes."""
    changes: dict[PublishNumber, dict[str, Any]] = defaultdict(dict)
    for (number, gateway, what), more in counts.items():
        column = f"{gateway}_{what}"
        changes[number][column] = publishes.c[column] + more
    for number in sorted(changes):  # in order, as everybody does who holds several
        await connection.execute(
            update(publishes).where(publishes.c.number == number).values(changes[number])
        )


ECHO_COUNTS: Final = ("sent", "delivered", "opened")
_SILENCE: Final = Echo(0, 0, 0)
_messages: Final = msgspec.msgpack.Encoder()
_INSERTION: Final = Insertion(
    publishes.name,
    ("id", "instance_number", "target", "messages", "accepted_at", "is_watched"),
    constant=dict.fromkeys(("targeted", "sent", "failed", "expired", "cancelled"), "0"),
    returning=("id", "number"),
)


def _write_target(target: Target) -> dict[str, Any]:
    match target:
        case ToUsers(users=names):
            return {"users": list(names)}
        case ToInterests(interests=names):
            return {"interests": list(names)}
        case ToMatching():
            return {
                "matching": {kind: names for kind, names in _kinds(target) if names is not None}
            }


def _kinds(target: ToMatching) -> Iterator[tuple[str, Sequence[Any] | None]]:
    for each in fields(target):
        yield each.name, getattr(target, each.name)


def _read_target(value: dict[str, Any]) -> Target:
    if "matching" in value:
        return msgspec.convert(value["matching"], ToMatching)
    if "users" in value:
        return ToUsers(tuple(UserId(name) for name in value["users"]))
    return ToInterests(tuple(Interest(name) for name in value["interests"]))
