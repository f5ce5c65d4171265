"""Migrations make exactly the tables that the queries expect, and can be taken back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from heliograph.storage import migrations, tables


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """An empty database."""
    engine = create_engine(f"sqlite:///{tmp_path}/empty.db")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def tables_of(connection: Connection) -> dict[str, str]:
    """Each table, and the statement that would make it again."""
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    )
    return {name: sql for name, sql in rows if name != "alembic_version"}


def test_migrations_make_the_tables_of_the_queries(connection: Connection) -> None:
    """Between a migrated database and ``tables.py`` there is no difference."""
    migrations.upgrade(connection)

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    differences: list[Any] = compare_metadata(context, tables.metadata)
    assert ([], set(tables.metadata.tables)) == (differences, set(tables_of(connection)))


def test_migrations_keep_what_alembic_does_not_compare(connection: Connection) -> None:
    """Which tables count for ever, and which is without row ids, is the same on both ways."""
    migrations.upgrade(connection)
    migrated = tables_of(connection)
    other = create_engine("sqlite://")
    with other.begin() as made:
        tables.metadata.create_all(made)
        declared = tables_of(made)
    other.dispose()

    def traits(sql: str) -> tuple[bool, bool]:
        return "AUTOINCREMENT" in sql, "WITHOUT ROWID" in sql

    assert {name: traits(sql) for name, sql in declared.items()} == {
        name: traits(sql) for name, sql in migrated.items()
    }


def test_an_upgrade_says_what_it_did(connection: Connection) -> None:
    """The first upgrade applies every revision, in order, up to the newest."""
    assert None is migrations.current(connection)

    applied = migrations.upgrade(connection)

    assert (migrations.newest(), migrations.newest()) == (
        applied[-1],
        migrations.current(connection),
    )


def test_an_upgrade_of_what_is_new_does_nothing(connection: Connection) -> None:
    """Every start upgrades; where there is nothing to do, nothing is done."""
    migrations.upgrade(connection)
    before = tables_of(connection)

    applied = migrations.upgrade(connection)

    assert ([], before) == (applied, tables_of(connection))


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
