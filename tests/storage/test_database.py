"""The two kinds of transaction, and what SQLite promises in each."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import add_device, add_instance, database_in, rows_of
from heliograph.model import InstanceNumber
from heliograph.storage import instances, migrations
from heliograph.storage.database import Database


async def pragma(connection: AsyncConnection, name: str) -> Any:
    return await connection.scalar(text(f"PRAGMA {name}"))


@pytest.mark.parametrize(
    "name, value",
    [
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("synchronous", 2),  # FULL: a commit survives a power cut
        ("busy_timeout", 30_000),
    ],
)
async def test_both_kinds_of_connection_keep_the_promises(
    database: Database, name: str, value: object
) -> None:
    """Readers and the writer alike run with what durability and integrity need."""
    async with database.read() as reader, database.write() as writer:
        found = (await pragma(reader, name), await pragma(writer, name))

    assert (value, value) == found


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


async def test_writers_take_turns(database: Database) -> None:
    """Of two writers the second begins when the first has ended, and sees what it did."""
    story: list[str] = []
    is_inside = asyncio.Event()

    async def first() -> None:
        async with database.write() as connection:
            story.append("first begins")
            is_inside.set()
            await add_instance(connection, 1)
            story.append("first ends")

    async def second() -> None:
        await is_inside.wait()
        async with database.write() as connection:
            story.append(f"second finds {len(await instances.every(connection))}")

    await asyncio.gather(second(), first())

    assert ["first begins", "first ends", "second finds 1"] == story


async def test_a_writer_locks_out_other_processes_from_its_beginning(
    database: Database, tmp_path: Path
) -> None:
    """A write transaction holds the lock before its first statement, so it cannot fail half-way."""
    stranger = sqlite3.connect(tmp_path / "heliograph.db", timeout=0, isolation_level=None)
    try:
        async with database.write():
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                stranger.execute("BEGIN IMMEDIATE")
    finally:
        stranger.close()


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
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        async with database.write() as connection:
            await add_device(connection, InstanceNumber(99))


async def test_errors_hold_no_values(database: Database) -> None:
    """The text of a database's error, which may be logged, repeats no value that was given."""
    with pytest.raises(OperationalError) as caught:
        async with database.write() as connection:
            await connection.execute(
                text("INSERT INTO nowhere VALUES (:token)"), {"token": "do-not-show-this"}
            )

    assert "do-not-show-this" not in str(caught.value)


async def test_what_was_written_outlives_the_process(tmp_path: Path) -> None:
    """A database that is opened again holds what was committed before."""
    async with database_in(tmp_path) as database, database.write() as connection:
        await add_instance(connection)

    async with Database.opened(f"sqlite:///{tmp_path}/heliograph.db") as again:
        assert 1 == await rows_of(again, "instances")


async def test_a_folder_is_made_for_a_new_database(tmp_path: Path) -> None:
    """A database in a folder that is not there yet is made with the folder."""
    path = tmp_path / "a" / "b" / "new.db"

    async with Database.opened(f"sqlite:///{path}") as database:
        await database.ping()
        revision = await database.revision()

    assert (True, migrations.newest()) == (path.exists(), revision)


async def test_a_closed_database_does_not_answer(tmp_path: Path) -> None:
    """Asking a database whose file cannot be opened raises, and does not answer wrongly."""
    path = tmp_path / "folder"
    path.mkdir()

    with pytest.raises(OperationalError):
        async with Database.opened(f"sqlite:///{path}"):
            pass
