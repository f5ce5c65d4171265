"""Queries on devices by the names that their apps give them, and on what these subscribe to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    Platform,
    UserId,
)
from heliograph.storage import filters, locks
from heliograph.storage.devices import Device, find, is_of_platform
from heliograph.storage.devices import page as devices_page
from heliograph.storage.filters import Columns, Filter
from heliograph.storage.tables import devices, interests, users


@dataclass(frozen=True, slots=True)
class Row:
    """Where a name leads."""

    number: DeviceNumber
    id: DeviceId
    is_alive: bool


async def hold(connection: AsyncConnection, instance: InstanceNumber, name: str) -> None:
    """Let nobody else give a device this name until the transaction ends."""
    await locks.hold_name(connection, "device", int(instance), name)


async def lookup(connection: AsyncConnection, instance: InstanceNumber, name: str) -> Row | None:
    """The device with this name, or with this id and no name; pruned or not."""
    query = (
        select(devices.c.number, devices.c.id, devices.c.pruned_at)
        .where(devices.c.instance_number == instance, _is_called(name))
        # One that has the name goes before one that has it for an id.
        .order_by(devices.c.name.is_(None))
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return None if row is None else Row(DeviceNumber(row[0]), DeviceId(row[1]), row[2] is None)


async def find_named(
    connection: AsyncConnection, instance: InstanceNumber, name: str
) -> Device | None:
    """The living device with this name, or with this id and no name; None if there is none."""
    row = await lookup(connection, instance, name)
    return None if row is None else await find(connection, instance, row.id)


async def numbers(
    connection: AsyncConnection, instance: InstanceNumber, names: Collection[str]
) -> list[DeviceNumber]:
    """The living devices among some names, up to 1,000, in ascending order."""
    living = select(devices.c.name, devices.c.id, devices.c.number).where(
        devices.c.instance_number == instance, devices.c.pruned_at.is_(None)
    )
    # One query for both would walk through all that the instance has.
    called = {
        row.name: row.number
        for row in await connection.execute(living.where(devices.c.name.in_(names)))
    }
    rest = set(names) - called.keys()
    nameless = await connection.execute(
        living.where(devices.c.name.is_(None), devices.c.id.in_(rest))
    )
    return sorted(
        {DeviceNumber(each) for each in (*called.values(), *[r.number for r in nameless])}
    )


# --- lists ---------------------------------------------------------------------------


async def page(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    user: UserId | None,
    has_no_user: bool,
    wanted: Filter,
    after: DeviceNumber,
    offset: int,
    limit: int,
) -> tuple[Sequence[Device], int]:
    """
    Living devices in the order they were made, and how many there are.

    Args:
        connection: The transaction.
        instance: Whose.
        user: Only those on which this person is logged in.
        has_no_user: Only those on which nobody is.
        wanted: What else they must be; the one field is ``platform``.
        after: Only those after this one; the count is of all.
        offset: How many of those to leave out.
        limit: How many at most.
    """
    conditions = filters.where(connection, wanted, {"platform": _is_of})
    if has_no_user:
        conditions.append(devices.c.user_number.is_(None))
    rows = await devices_page(
        connection,
        instance,
        user=user,
        after=after,
        offset=offset,
        limit=limit,
        wanted=conditions,
    )
    count = _living(select(func.count()).select_from(devices), instance, *conditions)
    if user is not None:
        count = count.join(users, users.c.number == devices.c.user_number).where(users.c.id == user)
    return rows, int(await connection.scalar(count) or 0)


class Subscription(NamedTuple):
    """That a device has an interest."""

    device: str
    """What its app calls it."""
    interest: Interest
    user: UserId | None


async def subscriptions(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    device: str | None,
    interest: Interest | None,
    user: UserId | None,
    has_no_user: bool,
    wanted: Filter,
    offset: int,
    limit: int,
) -> tuple[Sequence[Subscription], int]:
    """
    Subscriptions of living devices, by interest and then by device, and how many there are.

    Args:
        connection: The transaction.
        instance: Whose.
        device: Only this device's, by its name.
        interest: Only to this.
        user: Only of this person's devices.
        has_no_user: Only of nobody's devices.
        wanted: What else they must be; fields are ``interest``, ``device``, ``platform``.
        offset: How many to leave out.
        limit: How many at most.
    """
    query = (
        select(devices.c.name, devices.c.id, interests.c.name, users.c.id)
        .select_from(interests)
        .join(devices, devices.c.number == interests.c.device_number)
        .outerjoin(users, users.c.number == devices.c.user_number)
        .where(interests.c.instance_number == instance, devices.c.pruned_at.is_(None))
        .where(*filters.where(connection, wanted, _SUBSCRIPTION))
    )
    if device is not None:
        row = await lookup(connection, instance, device)
        query = query.where(interests.c.device_number == (row.number if row else -1))
    if interest is not None:
        query = query.where(interests.c.name == interest)
    if user is not None:
        query = query.where(users.c.id == user)
    if has_no_user:
        query = query.where(devices.c.user_number.is_(None))
    count = await connection.scalar(select(func.count()).select_from(query.subquery()))
    query = query.order_by(interests.c.name, interests.c.device_number)
    rows = await connection.execute(query.offset(offset).limit(limit))
    found = [
        Subscription(name or identity, Interest(topic), None if who is None else UserId(who))
        for name, identity, topic, who in rows
    ]
    return found, int(count or 0)


def _is_called(name: str) -> ColumnElement[bool]:
    return or_(devices.c.name == name, and_(devices.c.name.is_(None), devices.c.id == name))


def _is_of(platform: str) -> ColumnElement[bool]:
    return is_of_platform([Platform(platform)])


def _living(
    query: Select[Any], instance: InstanceNumber, *conditions: ColumnElement[bool]
) -> Select[Any]:
    return query.where(
        devices.c.instance_number == instance, devices.c.pruned_at.is_(None), *conditions
    )


_SUBSCRIPTION: Final[Columns] = {
    "interest": interests.c.name,
    "device": func.coalesce(devices.c.name, devices.c.id),
    "platform": _is_of,
}
