"""The two kinds of transaction, and what every engine promises in each."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from builders import add_device, add_instance, rows_of
from heliograph.model import InstanceNumber
from heliograph.storage import instances
from heliograph.storage.database import Database


async def test_a_write_is_there_for_those_who_read_afterwards(database: Database) -> None:
    """What a transaction wrote is seen as soon as it has ended."""
    async with database.write() as connection:
        await add_instance(connection)

    assert 1 == await rows_of(database, "instances")


async def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    """An exception undoes all that its transaction did, and the next one is not hindered."""

    async def begin_and_fail() -> None:
        async with database.write() as connection:
            await add_instance(connection, 1)
            await add_instance(connection, 2)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await begin_and_fail()
    async with database.write() as connection:
        await add_instance(connection, 3)
    assert 1 == await rows_of(database, "instances")


async def test_a_reader_sees_one_moment(database: Database) -> None:
    """What is committed during a read is not seen by it, nor does it make the writer wait."""
    async with database.write() as connection:
        await add_instance(connection, 1)

    async with database.read() as reader:
        before = len(await instances.every(reader))
        async with database.write() as writer:
            await add_instance(writer, 2)
        after = len(await instances.every(reader))

    assert (1, 1, 2) == (before, after, await rows_of(database, "instances"))


async def test_a_reader_does_not_see_what_is_not_committed(database: Database) -> None:
    """A write under way is nobody else's business."""
    async with database.write() as writer:
        await add_instance(writer, 1)
        seen = await rows_of(database, "instances")

    assert 0 == seen


async def test_many_readers_and_writers_get_along(database: Database) -> None:
    """More transactions at once than connections only wait for each other."""

    async def write(number: int) -> None:
        async with database.write() as connection:
            await add_instance(connection, number)

    async def read(_: int) -> None:
        async with database.read() as connection:
            await instances.every(connection)

    await asyncio.gather(*[work(number) for number in range(1, 21) for work in (write, read)])

    assert 20 == await rows_of(database, "instances")


async def test_a_row_without_its_owner_is_refused(database: Database) -> None:
    """Foreign keys hold: a device of no instance cannot be kept."""
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        async with database.write() as connection:
            await add_device(connection, InstanceNumber(99))


async def test_errors_hold_no_values(database: Database) -> None:
    """The text of a database's error, which may be logged, repeats no value that was given."""
    with pytest.raises(DBAPIError) as caught:
        async with database.write() as connection:
            await connection.execute(
                text("INSERT INTO nowhere VALUES (:token)"), {"token": "do-not-show-this"}
            )

    assert "do-not-show-this" not in str(caught.value)


async def test_what_was_written_outlives_the_process(either_url: str) -> None:
    """A database that is opened again holds what was committed before."""
    async with Database.opened(either_url) as database, database.write() as connection:
        await add_instance(connection)

    async with Database.opened(either_url) as again:
        assert 1 == await rows_of(again, "instances")
