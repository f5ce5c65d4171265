"""Queries on interests: which device subscribes to what."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, InstanceNumber, Interest
from heliograph.storage.tables import interests


async def of_device(
    connection: AsyncConnection,
    device: DeviceNumber,
    *,
    after: str = "",
    limit: int | None = None,
) -> Sequence[Interest]:
    """A device's interests in ascending order, those after a name, at most ``limit``."""
    query = (
        select(interests.c.name)
        .where(interests.c.device_number == device, interests.c.name > after)
        .order_by(interests.c.name)
        .limit(limit)
    )
    return [Interest(name) for name in await connection.scalars(query)]


async def count(connection: AsyncConnection, device: DeviceNumber) -> int:
    """How many interests a device has."""
    query = select(func.count()).where(interests.c.device_number == device)
    return int(await connection.scalar(query) or 0)


async def has(connection: AsyncConnection, device: DeviceNumber, interest: Interest) -> bool:
    """Whether a device subscribes to an interest."""
    query = select(interests.c.name).where(
        interests.c.device_number == device, interests.c.name == interest
    )
    return await connection.scalar(query) is not None


async def add(
    connection: AsyncConnection,
    instance: InstanceNumber,
    device: DeviceNumber,
    names: Collection[Interest],
) -> None:
    """Subscribe a device to interests that it does not have yet."""
    if names:
        await connection.execute(
            insert(interests),
            [
                {"instance_number": instance, "name": name, "device_number": device}
                for name in sorted(names)
            ],
        )


async def remove(
    connection: AsyncConnection, device: DeviceNumber, names: Collection[Interest]
) -> None:
    """Unsubscribe a device from interests; those it does not have are no matter."""
    ordered = sorted(names)
    for start in range(0, len(ordered), _NAMES_PER_STATEMENT):
        some = ordered[start : start + _NAMES_PER_STATEMENT]
        await connection.execute(
            delete(interests).where(interests.c.device_number == device, interests.c.name.in_(some))
        )


_NAMES_PER_STATEMENT = 500
"""Databases limit the parameters of one statement."""
