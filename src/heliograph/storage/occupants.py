"""Queries on who is logged in on which device, for those who have many devices at once."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceId, DeviceNumber, Gateway, InstanceNumber, Platform, UserId
from heliograph.storage.devices import platform_of
from heliograph.storage.tables import devices, users

_NUMBERS_PER_STATEMENT: Final = 1000


class Occupied(NamedTuple):
    """Of a device, what concerns those who hear from it."""

    number: DeviceNumber
    gateway: Gateway
    user: UserId | None
    name: str
    """What its app calls it."""
    platform: Platform


async def of_devices(
    connection: AsyncConnection, names: Collection[tuple[InstanceNumber, DeviceId]]
) -> dict[tuple[InstanceNumber, DeviceId], Occupied]:
    """Those of some devices, up to 256, that there are, pruned ones too."""
    columns = devices.c
    query = (
        select(
            columns.instance_number,
            columns.id,
            columns.number,
            columns.gateway,
            columns.name,
            columns.platform,
            users.c.id,
        )
        .outerjoin(users, users.c.number == columns.user_number)
        .where(tuple_(columns.instance_number, columns.id).in_(names))
    )
    return {
        (InstanceNumber(instance), DeviceId(identity)): Occupied(
            DeviceNumber(number),
            Gateway(gateway),
            None if user is None else UserId(user),
            name or identity,
            platform_of(gateway, platform),
        )
        for instance, identity, number, gateway, name, platform, user in await connection.execute(
            query
        )
    }


async def named(
    connection: AsyncConnection, numbers: Sequence[DeviceNumber]
) -> dict[DeviceNumber, tuple[str, Platform]]:
    """What their apps call some devices, and what kind of app that is; pruned ones, too."""
    columns = devices.c
    found: dict[DeviceNumber, tuple[str, Platform]] = {}
    for start in range(0, len(numbers), _NUMBERS_PER_STATEMENT):
        query = select(
            columns.number, columns.id, columns.gateway, columns.name, columns.platform
        ).where(columns.number.in_(numbers[start : start + _NUMBERS_PER_STATEMENT]))
        for number, identity, gateway, name, platform in await connection.execute(query):
            found[DeviceNumber(number)] = name or identity, platform_of(gateway, platform)
    return found


async def users_on(
    connection: AsyncConnection, numbers: Sequence[DeviceNumber]
) -> dict[DeviceNumber, UserId]:
    """Who is logged in on some devices; nothing for those on which nobody is."""
    found: dict[DeviceNumber, UserId] = {}
    for start in range(0, len(numbers), _NUMBERS_PER_STATEMENT):
        query = (
            select(devices.c.number, users.c.id)
            .join(users, users.c.number == devices.c.user_number)
            .where(devices.c.number.in_(numbers[start : start + _NUMBERS_PER_STATEMENT]))
        )
        for number, user in await connection.execute(query):
            found[DeviceNumber(number)] = UserId(user)
    return found
