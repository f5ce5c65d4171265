"""Queries on interests: which device subscribes to what."""

from sqlalchemy import text

from builders import add_device, add_instance
from heliograph.model import Interest
from heliograph.storage import devices, interests
from heliograph.storage.database import Database


def names(*values: str) -> list[Interest]:
    return [Interest(value) for value in values]


async def test_a_devices_interests_are_listed_in_order(database: Database) -> None:
    """Interests come in ascending order, after a name and so many at most if asked."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        device = await add_device(connection, instance, subscribed=["b", "a", "C", "d"])
        await add_device(connection, instance, subscribed=["z"])
        every = await interests.of_device(connection, device)
        some = await interests.of_device(connection, device, after="C", limit=2)

    assert (["C", "a", "b", "d"], ["a", "b"]) == (every, some)


async def test_a_device_knows_what_it_has(database: Database) -> None:
    """One interest is looked up, and all are counted, without reading the rest."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        device = await add_device(connection, instance, subscribed=["a", "b"])
        answers = (
            await interests.has(connection, device, Interest("a")),
            await interests.has(connection, device, Interest("A")),
            await interests.count(connection, device),
        )

    assert (True, False, 2) == answers


async def test_unsubscribing_from_what_one_does_not_have_is_no_matter(database: Database) -> None:
    """Only what is named is dropped, of the device that is named."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        device = await add_device(connection, instance, subscribed=["a", "b"])
        other = await add_device(connection, instance, subscribed=["a"])
        await interests.remove(connection, device, names("a", "never"))
        left = [await interests.of_device(connection, each) for each in (device, other)]

    assert [["b"], ["a"]] == left


async def test_many_interests_come_and_go_at_once(database: Database) -> None:
    """Five thousand interests are more than a statement's parameters, and go all the same."""
    many = names(*(f"i{number}" for number in range(5000)))
    async with database.write() as connection:
        instance = await add_instance(connection)
        device = await add_device(connection, instance)
        await interests.add(connection, instance, device, many)
        before = await interests.count(connection, device)
        await interests.remove(connection, device, many[1:])
        left = await interests.of_device(connection, device)

    assert (5000, ["i0"]) == (before, left)


async def test_a_devices_interests_go_with_it(database: Database) -> None:
    """Of a device that is removed no subscription is left."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        device = await add_device(connection, instance, subscribed=["a", "b"])
        await devices.remove(connection, device)
        left = await connection.scalar(text("SELECT count(*) FROM interests"))

    assert 0 == left
