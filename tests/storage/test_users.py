"""Queries on users: a name that several devices share."""

from builders import NOW, add_device, add_instance
from heliograph.model import UserId
from heliograph.storage import devices, users
from heliograph.storage.database import Database

ALICE = UserId("alice")


async def test_a_user_is_made_when_first_needed(database: Database) -> None:
    """A user has one number in an instance, whoever asks first, and another elsewhere."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        first = await users.obtain(connection, ours, ALICE, now=NOW)
        again = await users.obtain(connection, ours, ALICE, now=NOW)
        other = await users.obtain(connection, ours, UserId("Alice"), now=NOW)
        elsewhere = await users.obtain(connection, theirs, ALICE, now=NOW)

    assert (first, 3) == (again, len({first, other, elsewhere}))


async def test_a_users_living_devices_are_counted(database: Database) -> None:
    """A pruned device does not count against what a person may have."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        numbers = [await add_device(connection, instance, user="alice") for _ in range(3)]
        await add_device(connection, instance, user="bob")
        await devices.prune(
            connection, numbers[0], reason="Gone", unless_registered_after=None, now=NOW
        )
        counted = await users.devices_of(
            connection, await users.obtain(connection, instance, ALICE, now=NOW)
        )

    assert 2 == counted


async def test_a_user_goes_with_all_devices(database: Database) -> None:
    """Forgetting a person removes their devices, and nobody else's."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        for instance, user in ((ours, "alice"), (ours, "alice"), (ours, "bob"), (theirs, "alice")):
            await add_device(connection, instance, user=user)
        removed = await users.remove(connection, ours, ALICE)
        left = [
            each.user
            for instance in (ours, theirs)
            for each in await devices.page(connection, instance, limit=10)
        ]

    assert (2, ["bob", "alice"]) == (removed, left)


async def test_an_unknown_user_is_forgotten_already(database: Database) -> None:
    """Forgetting somebody who was never there removes nothing."""
    async with database.write() as connection:
        instance = await add_instance(connection)

        assert 0 == await users.remove(connection, instance, ALICE)
