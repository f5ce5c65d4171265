"""Rolling upgrades: old and new programs work in one database for as long as one takes."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog
from alembic import command
from sqlalchemy import Connection, text

from builders import Clock, Workshop, always, apns_address, to_users
from heliograph.errors import ConfigurationError
from heliograph.storage import migrations
from heliograph.storage.database import Database
from heliograph.storage.postgres import Postgres as Engine
from heliograph.wire.http import HttpResponse
from postgres import Postgres

NEWER: Final = "9999"
"""A revision that this program does not know."""


async def run_on(url: str, *statements: str) -> None:
    """Change a database as a newer program would have."""
    async with Database.opened(url) as database, database.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))


def required(revision: str) -> str:
    """What a migration does that must be known of."""
    return f"INSERT INTO required_revisions (revision) VALUES ('{revision}')"  # noqa: S608


async def bring_further(url: str, *statements: str) -> None:
    await run_on(url, *statements, f"UPDATE alembic_version SET version_num = '{NEWER}'")  # noqa: S608


# --- this program, in a newer database -----------------------------------------------


async def test_an_old_program_works_in_a_newer_database(either_url: str) -> None:
    """A newer one has added columns and a table: this one goes on delivering, and says so."""
    await bring_further(
        either_url,
        "ALTER TABLE devices ADD COLUMN mood TEXT",
        "ALTER TABLE work ADD COLUMN weight INTEGER NOT NULL DEFAULT 1",
        "CREATE TABLE moods (name TEXT PRIMARY KEY)",
    )

    with structlog.testing.capture_logs() as logged:
        async with Database.opened(either_url) as database:
            workshop = Workshop(database, Clock())
            instance = await workshop.instance()
            await workshop.log_in(instance, "alice", apns_address())
            publish = await workshop.publish(instance, to_users("alice"))
            await workshop.worker(always(HttpResponse(200))).run_until_idle()
            progress = await workshop.progress(instance, publish)
            assert (1, 0, NEWER) == (progress.sent, progress.pending, await database.revision())

    assert [NEWER] == [each["revision"] for each in logged if each["event"] == "database_is_newer"]


async def test_an_old_program_refuses_what_it_would_not_survive(either_url: str) -> None:
    """A newer one has written down that its migration must be known: the operator is told."""
    await bring_further(either_url, required(NEWER))

    with pytest.raises(ConfigurationError, match=rf"revision {NEWER}.*install the newer one"):
        async with Database.opened(either_url):
            pass


async def test_what_must_be_known_and_is_does_not_matter(either_url: str) -> None:
    """Of the revisions that are required, those that this program brings along are no news."""
    newest = migrations.newest()
    assert newest is not None
    await bring_further(either_url, required(newest))

    async with Database.opened(either_url) as database:
        assert NEWER == await database.revision()


async def test_who_must_not_migrate_does_not(tmp_path: Path) -> None:
    """Where migrating is a step of its own, a server that is too early says which step is due."""
    url = f"sqlite:///{tmp_path}/empty.db"

    with pytest.raises(ConfigurationError, match=r"revision None.*run `heliograph migrate`"):
        async with Database.opened(url, migrate=False):
            pass
    async with Database.opened(url):
        pass

    async with Database.opened(url, migrate=False) as database:
        assert migrations.newest() == await database.revision()


# --- two that start at once ----------------------------------------------------------


async def test_who_comes_while_another_migrates_waits_for_the_lock(postgres: Postgres) -> None:
    """
    The second finds the work done, and does nothing.

    It waits for our lock, not for a row or a table that the first is making: from there it
    would go on with an error.
    """
    async with postgres.empty() as url:
        first, second = Engine(url), Database(Engine(url))

        def begin(connection: Connection) -> None:
            first.stop_others(connection)
            command.upgrade(migrations.configuration(connection), "head")

        async with first.writer.connect() as connection:
            await connection.run_sync(begin)
            migrating = asyncio.create_task(second.migrate())
            waits_for = await _what_is_waited_for(url, migrating)
            await connection.commit()

        assert ("advisory", []) == (waits_for, await migrating)
        assert migrations.newest() == await second.revision()
        await first.close()
        await second.close()


async def _what_is_waited_for(url: str, task: "asyncio.Task[list[str]]") -> str | None:
    """What sort of lock the only one who waits is waiting for; None if it did not wait."""
    query = text(
        "SELECT wait_event FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    engine = Engine(url)
    found: str | None = None
    while found is None and not task.done():
        async with engine.reader.begin() as connection:
            found = await connection.scalar(query)
    await engine.close()
    return found


# --- what a migration may do ---------------------------------------------------------

VERSIONS: Final = Path(migrations.__file__).parent / "versions"
RULED: Final = [path for path in sorted(VERSIONS.glob("*.py")) if path.name >= "0004"]
"""Migrations since there may be several processes."""

ADDING: Final = {"f", "create_table", "create_index", "add_column"}
"""What an old program survives; ``f`` only marks a name as final."""


def strains(source: str) -> Iterator[str]:
    """What an ``upgrade`` does that an old program may not survive."""
    upgrade = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    for node in ast.walk(upgrade):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="op"), attr=name)):
                if name == "add_column" and not _may_be_left_out(node):
                    yield "add_column that must be given"
                elif name == "create_index" and _is_true(_keyword(node, "unique")):
                    yield "create_index that forbids"
                elif name not in ADDING and not (name == "execute" and _only_writes(node)):
                    yield name
            case ast.Call(func=ast.Name(id=name)):
                yield f"a call of {name}, which this check does not follow"


def _may_be_left_out(call: ast.Call) -> bool:
    """Whether an insert that does not know the new column still works."""
    column = call.args[1]
    assert isinstance(column, ast.Call)
    nullable = _keyword(column, "nullable")
    is_nullable = nullable is None or _is_true(nullable)
    return is_nullable or _keyword(column, "server_default") is not None


def _only_writes(call: ast.Call) -> bool:
    """Whether it writes rows, in so many words, and leaves the tables as they are."""
    statement = call.args[0]
    if isinstance(statement, ast.Call) and statement.args:  # sa.text(…)
        statement = statement.args[0]
    return isinstance(statement, ast.Constant) and str(statement.value).lstrip().startswith(
        ("INSERT ", "UPDATE ")
    )


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def narrows(source: str) -> str:
    """Why a migration may do more than add; empty if it does not say."""
    for node in ast.parse(source).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id="narrows"), value=ast.Constant(value=str(why))):
                return why.strip()
    return ""


@pytest.mark.parametrize("path", RULED, ids=lambda path: path.stem)
def test_a_migration_only_adds_unless_it_says_why(path: Path) -> None:
    """An old program goes on working beside it: see CONTRIBUTING.md, *Migrations*."""
    source = path.read_text()

    assert narrows(source) or [] == list(strains(source))


@pytest.mark.parametrize(
    "line, found",
    [
        ("op.add_column('t', sa.Column('c', sa.Text()))", []),
        ("op.add_column('t', sa.Column('c', sa.Text(), nullable=True))", []),
        ("op.add_column('t', sa.Column('c', sa.Text(), nullable=False, server_default='x'))", []),
        ("op.create_index(op.f('ix'), 't', ['c'])", []),
        ("op.execute('UPDATE t SET c = 1')", []),
        ("op.execute(sa.text('INSERT INTO t (c) VALUES (1)'))", []),
        (
            "op.add_column('t', sa.Column('c', sa.Text(), nullable=False))",
            ["add_column that must be given"],
        ),
        ("op.create_index('ix', 't', ['c'], unique=True)", ["create_index that forbids"]),
        ("op.drop_column('t', 'c')", ["drop_column"]),
        ("op.rename_table('t', 'u')", ["rename_table"]),
        ("op.alter_column('t', 'c', nullable=False)", ["alter_column"]),
        ("op.create_unique_constraint('uq', 't', ['c'])", ["create_unique_constraint"]),
        ("op.execute('DROP TABLE t')", ["execute"]),
        ("op.execute(statement)", ["execute"]),
        (
            "with op.batch_alter_table('t') as batch:\n        batch.drop_column('c')",
            ["batch_alter_table"],
        ),
        ("_drop_all()", ["a call of _drop_all, which this check does not follow"]),
    ],
)
def test_the_check_of_migrations_tells_adding_from_changing(line: str, found: list[str]) -> None:
    """A rule that nothing can break would not be one."""
    assert found == list(strains(f"def upgrade():\n    {line}\n"))


def test_a_migration_that_narrows_says_why_in_so_many_words() -> None:
    """An empty reason is none."""
    assert ("No release reads it.", "", "") == (
        narrows('narrows: str = "No release reads it."'),
        narrows('narrows: str = " "'),
        narrows("x = 1"),
    )
