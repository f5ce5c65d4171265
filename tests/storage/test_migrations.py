"""Migrations make exactly the tables that the queries expect, and can be taken back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from heliograph.model import Environment, Gateway, InstanceNumber, Lane
from heliograph.storage import lanes, migrations, tables
from postgres import ENGINES, Postgres


@pytest.fixture(params=ENGINES)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    """An empty database, through the drivers of production."""
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
        else:
            server: Postgres = request.getfixturevalue("postgres")
            url = make_url(await stack.enter_async_context(server.empty()))
            engine = create_async_engine(url.set(drivername="postgresql+asyncpg"))
        stack.push_async_callback(engine.dispose)
        yield await stack.enter_async_context(engine.connect())


def in_database(test: Callable[[Connection], None]) -> Callable[..., Awaitable[None]]:
    """Let a test have the connection as migrations do, which await nothing."""

    async def run(empty: AsyncConnection) -> None:
        await empty.run_sync(test)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def tables_of(connection: Connection) -> dict[str, str]:
    """Each table, and what it is made of."""
    if not is_sqlite(connection):
        found = inspect(connection)
        return {
            name: f"{found.get_columns(name)} {found.get_indexes(name)}"
            for name in found.get_table_names()
            if name != "alembic_version"
        }
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    )
    return {name: sql for name, sql in rows if name != "alembic_version"}


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


@in_database
def test_migrations_make_the_tables_of_the_queries(connection: Connection) -> None:
    """Between a migrated database and ``tables.py`` there is no difference."""
    migrations.upgrade(connection)

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    differences: list[Any] = compare_metadata(context, tables.metadata)
    assert ([], set(tables.metadata.tables)) == (differences, set(tables_of(connection)))


def test_migrations_keep_what_alembic_does_not_compare() -> None:
    """Which tables count for ever, and which is without row ids, is the same on both ways."""
    made: list[dict[str, str]] = []
    for make in (migrations.upgrade, tables.metadata.create_all):
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            make(connection)
        with engine.connect() as connection:
            made.append(tables_of(connection))
        engine.dispose()
    migrated, declared = made

    def traits(sql: str) -> tuple[bool, bool]:
        return "AUTOINCREMENT" in sql, "WITHOUT ROWID" in sql

    assert {name: traits(sql) for name, sql in declared.items()} == {
        name: traits(sql) for name, sql in migrated.items()
    }


@in_database
def test_an_upgrade_says_what_it_did(connection: Connection) -> None:
    """The first upgrade applies every revision, in order, up to the newest."""
    assert None is migrations.current(connection)

    applied = migrations.upgrade(connection)

    assert (migrations.newest(), migrations.newest()) == (
        applied[-1],
        migrations.current(connection),
    )


@in_database
def test_an_upgrade_of_what_is_new_does_nothing(connection: Connection) -> None:
    """Every start upgrades; where there is nothing to do, nothing is done."""
    migrations.upgrade(connection)
    before = tables_of(connection)

    applied = migrations.upgrade(connection)

    assert ([], before) == (applied, tables_of(connection))


@in_database
def test_migrations_can_be_taken_back(connection: Connection) -> None:
    """Down to the beginning nothing is left, and from there the way up is open again."""
    migrations.upgrade(connection)
    made = tables_of(connection)

    command.downgrade(migrations.configuration(connection), "base")
    connection.commit()
    left = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]

    assert ([], None) == (left, migrations.current(connection))
    migrations.upgrade(connection)
    assert made == tables_of(connection)


# --- 0002: VAPID keys that rotate ----------------------------------------------------

FIRST_ROWS = """
INSERT INTO instances (id, name, created_at, secret_key, client_secret, app_secret,
    vapid_private_key, vapid_public_key, verify_client_secret)
VALUES ('a', 'one', 11, 'k', 'c', 'p', 'sealed-1', 'public-1', TRUE),
       ('b', 'two', 22, 'k', 'c', 'p', 'sealed-2', 'public-2', TRUE);
INSERT INTO users (instance_number, id, created_at) VALUES (1, 'alice', 5);
INSERT INTO devices (instance_number, id, gateway, address_digest, token, metadata,
    user_number, created_at, registered_at, pruned_at)
VALUES (2, 'web-1', 'web', 'd1', 't1', '', NULL, 1, 1, NULL),
       (1, 'web-2', 'web', 'd2', 't2', '', 1, 1, 1, NULL),
       (1, 'web-3', 'web', 'd3', 't3', '', NULL, 1, 1, 9),
       (1, 'apns-4', 'apns', 'd4', 't4', '', 1, 1, 1, NULL);
INSERT INTO interests (instance_number, name, device_number) VALUES (1, 'news', 2);
INSERT INTO publishes (id, instance_number, target, messages, accepted_at,
    targeted, sent, failed, expired, cancelled)
VALUES ('p', 1, '', '', 1, 1, 1, 0, 0, 0);
"""
"""What the first release may have left: two instances, devices of both, and what hangs on them."""


def at_the_first_revision(connection: Connection) -> None:
    """A database as the first release left it, with foreign keys enforced as in production."""
    if is_sqlite(connection):
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
    command.upgrade(migrations.configuration(connection), "0001")
    for statement in FIRST_ROWS.strip().removesuffix(";").split(";"):
        connection.execute(text(statement))
    connection.commit()


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """What a query finds; bytes as text, which is what SQLite makes of the rows above."""
    return [
        tuple(value.decode() if isinstance(value, bytes) else value for value in row)
        for row in connection.execute(text(query))
    ]


@in_database
def test_vapid_keys_move_to_a_table_of_their_own(connection: Connection) -> None:
    """Each instance keeps its pair, as it was sealed, and each browser is bound to it."""
    at_the_first_revision(connection)

    migrations.upgrade(connection)

    keys = "SELECT instance_number, public_key, private_key, created_at FROM vapid_keys"
    bound = (
        "SELECT d.id, k.public_key FROM devices d "
        "LEFT JOIN vapid_keys k ON k.number = d.vapid_key_number ORDER BY d.number"
    )
    assert [(1, "public-1", "sealed-1", 11), (2, "public-2", "sealed-2", 22)] == rows(
        connection, keys
    )
    assert [
        ("web-1", "public-2"),
        ("web-2", "public-1"),
        ("web-3", "public-1"),
        ("apns-4", None),
    ] == rows(connection, bound)


@in_database
def test_nothing_is_lost_when_vapid_keys_move(connection: Connection) -> None:
    """Rows that hang on instances and devices stay, and all of them still hang together."""
    at_the_first_revision(connection)
    names = ("instances", "users", "devices", "interests", "publishes")
    before = {name: rows(connection, f"SELECT count(*) FROM {name}") for name in names}  # noqa: S608

    migrations.upgrade(connection)

    after = {name: rows(connection, f"SELECT count(*) FROM {name}") for name in names}  # noqa: S608
    broken = rows(connection, "PRAGMA foreign_key_check") if is_sqlite(connection) else []
    assert (before, []) == (after, broken)


@in_database
def test_vapid_keys_move_back(connection: Connection) -> None:
    """Of several pairs the current one is kept, where the release before looks for it."""
    at_the_first_revision(connection)
    migrations.upgrade(connection)
    connection.execute(
        text(
            "INSERT INTO vapid_keys (instance_number, public_key, private_key, created_at) "
            "VALUES (1, 'public-3', 'sealed-3', 33)"
        )
    )

    command.downgrade(migrations.configuration(connection), "0001")

    query = "SELECT id, vapid_public_key, vapid_private_key FROM instances ORDER BY number"
    assert [("a", "public-3", "sealed-3"), ("b", "public-2", "sealed-2")] == rows(connection, query)
    assert [(4,)] == rows(connection, "SELECT count(*) FROM devices")


# --- 0003: keys of publishes, and cancels --------------------------------------------


@in_database
def test_publishes_are_kept_when_they_can_be_cancelled(connection: Connection) -> None:
    """Those of before are not cancelled, there and back."""
    at_the_first_revision(connection)
    migrations.upgrade(connection)

    upgraded = rows(connection, "SELECT id, targeted, sent, cancelled_at FROM publishes")
    command.downgrade(migrations.configuration(connection), "0002")

    assert [("p", 1, 1, None)] == upgraded
    assert [("p", 1, 1)] == rows(connection, "SELECT id, targeted, sent FROM publishes")


# --- 0004: lanes ---------------------------------------------------------------------

WORK = """
INSERT INTO work (publish_number, instance_number, gateway, environment, expanded_to, devices,
    pending, attempt, due_at)
VALUES (1, 1, NULL, NULL, 0, '', 0, 1, 5),
       (1, 1, 'apns', NULL, 0, '', 1, 1, 5),
       (1, 1, 'apns', 'sandbox', 0, '', 1, 3, 5),
       (1, 2, 'web', NULL, 0, '', 1, 1, 5)
"""
"""What the release before writes, whether it is still running or not."""


@in_database
def test_work_of_before_is_sorted_and_put_into_its_lane(connection: Connection) -> None:
    """Nobody who waits is forgotten, and what was tried before is not taken for fresh."""
    at_the_first_revision(connection)
    command.upgrade(migrations.configuration(connection), "0003")
    connection.execute(text(WORK))

    migrations.upgrade(connection)

    kept = rows(connection, "SELECT sort, lane, failures FROM work ORDER BY number")
    apns, sandbox = (
        lanes.key(Lane(InstanceNumber(1), Gateway.APNS, each))
        for each in (None, Environment.SANDBOX)
    )
    web = lanes.key(Lane(InstanceNumber(2), Gateway.WEB, None))
    assert [("small", 16, 0), ("small", apns, 0), ("again", sandbox, 0), ("small", web, 0)] == kept


@in_database
def test_the_release_before_goes_on_writing_work(connection: Connection) -> None:
    """What it does not know has a default."""
    at_the_first_revision(connection)
    migrations.upgrade(connection)

    connection.execute(text(WORK))

    assert [("small", 0, 0)] * 4 == rows(connection, "SELECT sort, lane, failures FROM work")


# --- 0005: suspicions, watches and answers -------------------------------------------


@in_database
def test_what_was_pruned_before_stays_as_it_was(connection: Connection) -> None:
    """Nobody knows since when, and it was not a quarantine; there and back."""
    at_the_first_revision(connection)
    pruned = "SELECT id, pruned_at{} FROM devices WHERE pruned_at IS NOT NULL"
    migrations.upgrade(connection)

    upgraded = rows(connection, pruned.format(", gone_since, is_quarantined"))
    command.downgrade(migrations.configuration(connection), "0003")

    assert [("web-3", 9, None, None)] == upgraded
    assert [("web-3", 9)] == rows(connection, pruned.format(""))


@in_database
def test_a_release_before_can_go_on_writing(connection: Connection) -> None:
    """Rows without the new columns are still taken, for old and new may run side by side."""
    at_the_first_revision(connection)
    migrations.upgrade(connection)

    connection.execute(
        text(
            "INSERT INTO outcomes (publish_number, gateway, attempt, settled_at, devices, "
            "first_device, last_device, ends) VALUES (1, 'web', 1, 1, '', 1, 1, 'S')"
        )
    )

    assert [(None, None)] == rows(connection, "SELECT took, statuses FROM outcomes")


# --- 0008: calls about devices -------------------------------------------------------

TOLD = """
INSERT INTO webhooks (id, instance_number, dialect, url, secret, custom_data, subjects, created_at)
VALUES ('w', 1, 'beams', '', '', '', '', 1);
INSERT INTO calls (id, instance_number, publish_number, webhook_number, notice, event_id, made_at,
    state)
VALUES ('c1', 1, 1, 1, '', 'e1', 1, 'pending'), ('c2', 1, 1, 1, '', 'e2', 1, 'pending');
INSERT INTO work (publish_number, instance_number, call_number, expanded_to, devices, pending,
    attempt, due_at, sort)
VALUES (1, 1, 1, 0, '', 0, 1, 5, 'call'), (1, 1, 2, 0, '', 0, 1, 5, 'call');
DELETE FROM calls WHERE id = 'c2';
"""
"""Calls that the release before left, one of which is over, and its number with it."""

ABOUT_A_DEVICE = """
INSERT INTO calls (id, instance_number, webhook_number, notice, event_id, made_at, state)
VALUES ('c3', 1, 1, '', 'e3', 1, 'pending');
INSERT INTO work (instance_number, call_number, expanded_to, devices, pending, attempt, due_at,
    sort)
VALUES (1, 3, 0, '', 0, 1, 5, 'call');
"""


def run(connection: Connection, statements: str) -> None:
    for statement in statements.strip().removesuffix(";").split(";"):
        connection.execute(text(statement))
    connection.commit()


def faults(connection: Connection) -> list[tuple[Any, ...]]:
    """What SQLite finds wrong with its file; elsewhere the server sees to that."""
    if not is_sqlite(connection):
        return []
    found = [*rows(connection, "PRAGMA foreign_key_check")]
    return found + [each for each in rows(connection, "PRAGMA integrity_check") if each != ("ok",)]


@in_database
def test_calls_are_kept_when_they_may_be_of_no_publish(connection: Connection) -> None:
    """There and back, with their work; those of no publish go, and no number comes again."""
    at_the_first_revision(connection)
    command.upgrade(migrations.configuration(connection), "0007")
    run(connection, TOLD)
    left = "SELECT calls.id, work.number FROM calls JOIN work ON call_number = calls.number"

    migrations.upgrade(connection)
    connection.commit()
    run(connection, ABOUT_A_DEVICE)
    upgraded = rows(connection, f"{left} ORDER BY calls.number"), faults(connection)
    command.downgrade(migrations.configuration(connection), "0007")
    connection.commit()
    back = rows(connection, left), faults(connection)
    run(
        connection,
        ABOUT_A_DEVICE.replace("(id,", "(publish_number, id,")
        .replace("('c3'", "(1, 'c4'")
        .split(";")[0],
    )

    assert ([("c1", 1), ("c3", 3)], []) == upgraded
    assert ([("c1", 1)], []) == back
    assert [(1,), (4,)] == rows(connection, "SELECT number FROM calls ORDER BY number")


@in_database
def test_what_hangs_on_a_publish_goes_with_it_still(connection: Connection) -> None:
    """The column that may be empty now is a reference all the same."""
    at_the_first_revision(connection)
    command.upgrade(migrations.configuration(connection), "0007")
    run(connection, TOLD)
    migrations.upgrade(connection)
    connection.commit()
    run(connection, ABOUT_A_DEVICE)

    run(connection, "DELETE FROM publishes")

    assert [("c3",)] == rows(connection, "SELECT id FROM calls")
    assert [(3,)] == rows(connection, "SELECT call_number FROM work")
