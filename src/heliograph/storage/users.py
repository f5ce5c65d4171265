"""Queries on users: a user is a name that several devices share."""

from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, UserId
from heliograph.storage import locks
from heliograph.storage.tables import devices, users


async def obtain(
    connection: AsyncConnection, instance: InstanceNumber, user: UserId, *, now: datetime
) -> int:
    """
    The number of a user, made if new.

    Its row stays locked until the transaction ends, so that two devices cannot both
    become the last one that is allowed.
    """
    await locks.hold_name(connection, "user", int(instance), str(user))
    query = select(users.c.number).where(users.c.instance_number == instance, users.c.id == user)
    found = await connection.scalar(query.with_for_update())
    if found is not None:
        return int(found)
    made = await connection.scalar(
        insert(users)
        .values(instance_number=instance, id=user, created_at=now)
        .returning(users.c.number)
    )
    assert made is not None  # noqa: S101  (an insert that returns, returns)
    return int(made)


async def devices_of(connection: AsyncConnection, user_number: int) -> int:
    """How many living devices a user has."""
    query = select(func.count()).where(
        devices.c.user_number == user_number, devices.c.pruned_at.is_(None)
    )
    return int(await connection.scalar(query) or 0)


async def remove(connection: AsyncConnection, instance: InstanceNumber, user: UserId) -> int:
    """Delete a user and all of their devices; how many devices that were."""
    named = select(users.c.number).where(users.c.instance_number == instance, users.c.id == user)
    number = await connection.scalar(named)
    if number is None:
        return 0
    # Devices in order, and then the user, as everybody does who holds several: whoever logs
    # in has the device already, and waits for the user.
    own = select(devices.c.number).where(devices.c.user_number == number)
    await locks.hold_rows(connection, own.order_by(devices.c.number))
    await locks.hold_rows(connection, named)  # nobody logs in while their devices go
    removed = await connection.execute(delete(devices).where(devices.c.user_number == number))
    await connection.execute(delete(users).where(users.c.number == number))
    return int(removed.rowcount)
