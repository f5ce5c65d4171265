"""Queries on instances: found, changed, and gone with all they own."""

from builders import NOW, add_device, add_instance, add_publish, rows_of, web_address
from heliograph.model import InstanceId, InstanceNumber, VapidKeyNumber
from heliograph.storage import instances, tables, work
from heliograph.storage.database import Database

FIRST = InstanceId("00000000-0000-4000-8000-000000000001")
NONE = InstanceId("00000000-0000-4000-8000-000000000099")


async def test_an_instance_is_found_by_id_and_by_number(database: Database) -> None:
    """Both names lead to the same row; what is not there is None."""
    async with database.write() as connection:
        number = await add_instance(connection, 1)
        found = await instances.find(connection, FIRST)
        numbered = await instances.find_numbered(connection, number)
        missing = (
            await instances.find(connection, NONE),
            await instances.find_numbered(connection, InstanceNumber(99)),
        )

    assert found is not None
    assert (found, "instance 1", NOW, (None, None)) == (
        numbered,
        found.name,
        found.created_at,
        missing,
    )


async def test_instances_are_listed_oldest_first(database: Database) -> None:
    """All instances, in the order they were made."""
    async with database.write() as connection:
        for number in (3, 1, 2):
            await add_instance(connection, number)
        names = [each.name for each in await instances.every(connection)]

    assert ["instance 3", "instance 1", "instance 2"] == names


async def test_a_change_says_whether_there_was_something_to_change(database: Database) -> None:
    """Only the columns that are named change, of the instance that is named."""
    async with database.write() as connection:
        await add_instance(connection, 1)
        await add_instance(connection, 2)
        answers = [
            await instances.change(connection, each, {"name": "new"}) for each in (FIRST, NONE)
        ]
        names = [each.name for each in await instances.every(connection)]

    assert ([True, False], ["new", "instance 2"]) == (answers, names)


async def test_an_instance_goes_with_all_it_owns(database: Database) -> None:
    """Of an instance that is deleted no row is left in any table."""
    async with database.write() as connection:
        instance = await add_instance(connection, 1)
        await add_device(connection, instance, user="alice", subscribed=["news"])
        await add_device(connection, instance, web_address(vapid_key=VapidKeyNumber(1)))
        publish = await add_publish(connection, instance)
        await work.add_expansion(connection, publish, instance, now=NOW)
        answers = [await instances.remove(connection, each) for each in (FIRST, FIRST)]

    left = {table: await rows_of(database, table) for table in tables.metadata.tables}
    assert ([True, False], dict.fromkeys(left, 0)) == (answers, left)
