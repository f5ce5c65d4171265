"""Queries on VAPID keys: the newest is current, older ones stay while a device is bound to them."""

from sqlalchemy.ext.asyncio import AsyncConnection

from builders import NOW, SECOND, add_device, add_instance, web_address
from heliograph.model import InstanceNumber, VapidKeyNumber
from heliograph.storage import devices, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.vapid_keys import VapidKeyRow


async def add_key(connection: AsyncConnection, instance: InstanceNumber) -> VapidKeyNumber:
    return await vapid_keys.add(
        connection, instance, public_key=b"public", private_key=b"sealed", now=NOW + SECOND
    )


async def left(connection: AsyncConnection, instance: InstanceNumber) -> list[int]:
    return [each.number for each in await vapid_keys.of_instance(connection, instance)]


async def test_the_newest_key_is_current(database: Database) -> None:
    """An instance's pairs are read as they were written, oldest first; others' are not seen."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        number = await add_key(connection, ours)
        found = await vapid_keys.of_instance(connection, ours)
        current = [
            await vapid_keys.current(connection, each)
            for each in (ours, theirs, InstanceNumber(99))
        ]

    assert [(1, NOW), (number, NOW + SECOND)] == [(each.number, each.created_at) for each in found]
    assert VapidKeyRow(number, b"public", b"sealed", NOW + SECOND) == found[-1]
    assert [number, VapidKeyNumber(2), None] == current


async def test_living_browsers_are_counted(database: Database) -> None:
    """Only those of the instance, by the pair they are bound to; who is gone does not count."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        first, second = VapidKeyNumber(1), await add_key(connection, ours)
        await add_key(connection, ours)
        for key in (first, first, second):
            await add_device(connection, ours, web_address(vapid_key=key))
        gone = await add_device(connection, ours, web_address(vapid_key=second))
        await devices.prune(connection, gone, reason="Gone", unless_registered_after=None, now=NOW)
        await add_device(connection, ours)
        await add_device(connection, theirs, web_address(vapid_key=VapidKeyNumber(2)))
        counts = await vapid_keys.in_use(connection, ours)

    assert {first: 2, second: 1} == counts


async def test_an_older_key_goes_when_nobody_is_bound_to_it(database: Database) -> None:
    """One with a device stays, even a pruned one, and so does the current one."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        living = VapidKeyNumber(1)
        gone, unused, current = [await add_key(connection, ours) for _ in range(3)]
        await add_device(connection, ours, web_address(vapid_key=living))
        number = await add_device(connection, ours, web_address(vapid_key=gone))
        await devices.prune(
            connection, number, reason="Gone", unless_registered_after=None, now=NOW
        )
        removed = [await vapid_keys.remove_unused(connection, ours) for _ in range(2)]
        keys = (await left(connection, ours), await left(connection, theirs))

    assert ([1, 0], ([living, gone, current], [2])) == (removed, keys)
    assert unused not in keys[0]
