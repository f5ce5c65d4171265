"""What SQLite promises: a lock from the beginning, and commits that survive a power cut."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import add_instance, database_in
from heliograph.errors import ConfigurationError
from heliograph.storage import instances, migrations
from heliograph.storage.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_in(tmp_path) as opened:
        yield opened


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


@pytest.mark.parametrize(
    "url", ["sqlite:///:memory:", "sqlite://", "sqlite:///", "sqlite:///file::memory:?uri=true"]
)
async def test_a_database_without_a_file_is_refused(url: str) -> None:
    """In memory each connection would have a database of its own: the setting is named."""
    with pytest.raises(ConfigurationError, match="HELIOGRAPH_DATABASE_URL: SQLite needs a file"):
        async with Database.opened(url):
            pass


async def test_a_reader_cannot_write(database: Database) -> None:
    """What is only to read is kept from writing by SQLite itself."""
    with pytest.raises(OperationalError, match="readonly"):
        async with database.read() as connection:
            await add_instance(connection)


async def test_only_what_must_be_on_the_disk_waits_for_it(database: Database) -> None:
    """A commit that may wait for a later one syncs nothing; the next that may not, does."""
    levels = []
    for durable in (False, True, False):
        async with database.write(durable=durable) as connection:
            levels.append(
                [await pragma(connection, each) for each in ("synchronous", "wal_autocheckpoint")]
            )

    assert [[1, 0], [2, 1000], [1, 0]] == levels


async def test_what_was_committed_without_a_sync_is_there(database: Database) -> None:
    """Whoever reads afterwards finds what a transaction wrote, on the disk or not."""
    async with database.write(durable=False) as connection:
        await add_instance(connection)

    async with database.read() as connection:
        assert 1 == len(await instances.every(connection))


async def test_a_lock_of_another_process_is_waited_for_aside(
    database: Database, tmp_path: Path
) -> None:
    """While somebody else writes to the file, the event loop goes on, and then we write."""
    other = sqlite3.connect(tmp_path / "heliograph.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.write() as connection:
            await add_instance(connection)

    writing = asyncio.create_task(write())
    for _ in range(100):
        await asyncio.sleep(0)
    has_waited = not writing.done()
    other.execute("ROLLBACK")
    other.close()
    await writing

    assert has_waited
    async with database.read() as connection:
        assert 1 == len(await instances.every(connection))


@pytest.mark.parametrize("long", [False, True])
async def test_only_what_is_long_leaves_the_thread_of_the_event_loop(
    database: Database, *, long: bool
) -> None:
    """A statement runs where it is called; in a long transaction, where nobody waits for it."""
    async with database.write(long=long) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.create_function("thread", 0, threading.get_ident)

        found = await connection.scalar(text("SELECT thread()"))

    assert long is (found != threading.get_ident())
