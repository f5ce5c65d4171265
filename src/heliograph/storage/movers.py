"""Queries on many devices at once, for those who move in or out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    Address,
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    Platform,
    UserId,
    address_digest,
    gateway_of,
)
from heliograph.storage import declared, devices, locks
from heliograph.storage.columns import Instant, Json
from heliograph.storage.declared import Declared
from heliograph.storage.devices import Device
from heliograph.storage.insertion import INSERTS, MOST_ROWS, Insertion
from heliograph.storage.tables import declared_interests, interests, users
from heliograph.storage.tables import devices as table


@dataclass(frozen=True, slots=True)
class Mover:
    """A device that moves in, with an id of its own."""

    id: DeviceId
    address: Address
    user_number: int | None
    interests: Sequence[Interest]
    metadata: Mapping[str, Any]
    registered_at: datetime
    name: str | None = None
    platform: Platform | None = None


class Resident(NamedTuple):
    """A device that is there already."""

    number: DeviceNumber
    id: DeviceId
    digest: bytes
    user: UserId | None
    is_pruned: bool
    name: str | None
    platform: Platform | None


class Owner(NamedTuple):
    """A person, and how many living devices they have."""

    number: int
    devices: int


async def residents(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    digests: Collection[bytes] = (),
    ids: Collection[DeviceId] = (),
    names: Collection[str] = (),
) -> Sequence[Resident]:
    """
    Devices of an instance that have one of some addresses, one of some ids, or one of some names.

    Nobody else changes them until the transaction ends.
    """
    wanted = ((table.c.address_digest, digests), (table.c.id, ids), (table.c.name, names))
    is_one = or_(*(column.in_(values) for column, values in wanted))
    rows = select(table.c.number).where(table.c.instance_number == instance, is_one)
    await locks.hold_rows(connection, rows.order_by(table.c.number))
    query = (
        select(*_RESIDENT)
        .outerjoin(users, users.c.number == table.c.user_number)
        .where(table.c.instance_number == instance)
    )
    found: dict[int, Resident] = {}
    for column, values in wanted:
        for row in await connection.execute(query.where(column.in_(values))) if values else ():
            resident = _resident(tuple(row))
            found[resident.number] = resident
    return list(found.values())


_RESIDENT: Final = (
    table.c.number,
    table.c.id,
    table.c.address_digest,
    users.c.id,
    table.c.pruned_at,
    table.c.name,
    table.c.platform,
)


def _resident(row: Sequence[Any]) -> Resident:
    number, identity, digest, user, pruned_at, name, platform = row
    return Resident(
        number=DeviceNumber(number),
        id=DeviceId(identity),
        digest=bytes(digest),
        user=None if user is None else UserId(user),
        is_pruned=pruned_at is not None,
        name=name,
        platform=None if platform is None else Platform(platform),
    )


async def interests_of(
    connection: AsyncConnection, numbers: Collection[DeviceNumber]
) -> dict[DeviceNumber, list[Interest]]:
    """What some devices subscribe to, in ascending order."""
    found: dict[DeviceNumber, list[Interest]] = {number: [] for number in numbers}
    query = select(interests.c.device_number, interests.c.name).where(
        interests.c.device_number.in_(numbers)
    )
    for number, name in await connection.execute(query.order_by(interests.c.name)):
        found[DeviceNumber(number)].append(Interest(name))
    return found


async def owners(
    connection: AsyncConnection,
    instance: InstanceNumber,
    names: Collection[UserId],
    *,
    now: datetime,
) -> dict[UserId, Owner]:
    """Some people, made if they are new; nobody else logs in as them until this is committed."""
    if not names:
        return {}
    insertion = INSERTS[connection.dialect.name](users)
    await connection.execute(
        insertion.on_conflict_do_nothing(index_elements=["instance_number", "id"]),
        [
            {"instance_number": instance, "id": name, "created_at": now}
            for name in sorted(names)  # so that no two transactions wait for each other
        ],
    )
    chosen = select(users.c.number, users.c.id).where(
        users.c.instance_number == instance, users.c.id.in_(names)
    )
    rows = await connection.execute(chosen.order_by(users.c.number).with_for_update())
    numbers = {int(number): UserId(name) for number, name in rows}
    count = (
        select(table.c.user_number, func.count())
        .where(table.c.user_number.in_(numbers), table.c.pruned_at.is_(None))
        .group_by(table.c.user_number)
    )
    counts: dict[int, int] = {
        int(number): int(many) for number, many in await connection.execute(count)
    }
    return {name: Owner(number, counts.get(number, 0)) for number, name in numbers.items()}


async def add(
    connection: AsyncConnection, instance: InstanceNumber, movers: Sequence[Mover]
) -> None:
    """Keep devices that are new, with their interests."""
    subscribed: list[dict[str, Any]] = []
    for start in range(0, len(movers), MOST_ROWS):
        some = movers[start : start + MOST_ROWS]
        added = await _INSERTION.add(connection, [_row(instance, each) for each in some])
        numbers = {identity: number for number, identity in added}
        subscribed += [
            {"instance_number": instance, "name": name, "device_number": numbers[each.id]}
            for each in some
            for name in each.interests
        ]
    if subscribed:
        await connection.execute(insert(interests), subscribed)


async def subscribe(
    connection: AsyncConnection,
    instance: InstanceNumber,
    subscriptions: Collection[tuple[DeviceNumber, Interest]],
) -> None:
    """Subscribe devices to interests; those that are there already are no matter."""
    if not subscriptions:
        return
    insertion = INSERTS[connection.dialect.name](interests).on_conflict_do_nothing()
    rows = [
        {"instance_number": instance, "name": name, "device_number": device}
        for device, name in sorted(subscriptions)
    ]
    await connection.execute(insertion, rows)


async def declare(
    connection: AsyncConnection, instance: InstanceNumber, wanted: Collection[Declared]
) -> int:
    """Declare interests that are not declared yet; how many those were."""
    known = await declared.known(connection, instance, [each.name for each in wanted])
    rows = [
        {
            "instance_number": instance,
            "name": each.name,
            "description": each.description,
            "created_at": each.created_at,
            "changed_at": each.changed_at,
        }
        for each in sorted(wanted, key=lambda each: each.name)
        if each.name not in known
    ]
    if rows:
        insertion = INSERTS[connection.dialect.name](declared_interests).on_conflict_do_nothing()
        await connection.execute(insertion, rows)
    return len(rows)


async def page(
    connection: AsyncConnection, instance: InstanceNumber, *, after: DeviceNumber, limit: int
) -> Sequence[tuple[Device, Sequence[Interest]]]:
    """Living devices with their interests, in the order they were made, those after a number."""
    found = await devices.walk(connection, instance, after=after, limit=limit)
    named = await interests_of(connection, [each.number for each in found])
    return [(each, named[each.number]) for each in found]


_COLUMNS: Final = (
    "instance_number",
    "id",
    "gateway",
    "address_digest",
    "token",
    "topic",
    "environment",
    "p256dh",
    "auth",
    "vapid_key_number",
    "metadata",
    "user_number",
    "created_at",
    "registered_at",
    "name",
    "platform",
)
_INSERTION: Final = Insertion(table.name, _COLUMNS, constant={}, returning=("number", "id"))


def _row(instance: InstanceNumber, mover: Mover) -> tuple[Any, ...]:
    own = {
        **devices.columns(mover.address),
        "instance_number": instance,
        "id": mover.id,
        "gateway": str(gateway_of(mover.address)),
        "address_digest": address_digest(mover.address),
        "metadata": Json.written(dict(mover.metadata)),
        "user_number": mover.user_number,
        "created_at": Instant.written(mover.registered_at),
        "registered_at": Instant.written(mover.registered_at),
        "name": mover.name,
        "platform": mover.platform,
    }
    return tuple(own[name] for name in _COLUMNS)
