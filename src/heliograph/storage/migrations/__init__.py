"""Alembic migrations, run by the product itself: there is no alembic.ini to keep."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

from heliograph.storage.tables import required_revisions


def upgrade(connection: Connection) -> list[str]:
    """
    Bring the database to the newest revision; the revisions that were applied, in order.

    One that a newer program has brought further is left as it is (``is_ahead``).
    """
    before = current(connection)
    if before == newest() or is_ahead(connection):
        return []
    config = configuration(connection)
    command.upgrade(config, "head")
    connection.commit()
    steps = ScriptDirectory.from_config(config).iterate_revisions("head", before or "base")
    return [step.revision for step in steps][::-1]


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def is_ahead(connection: Connection) -> bool:
    """Whether the database is at a revision that this program does not know: a newer one."""
    revision = current(connection)
    return revision is not None and revision not in known()


def beyond_us(connection: Connection) -> list[str]:
    """
    Revisions that one must know of to work in this database, and we do not.

    A migration that an old program would not survive writes itself down
    (``required_revisions``); all others are made to be survived (CONTRIBUTING.md).
    """
    required = connection.execute(select(required_revisions.c.revision)).scalars()
    return sorted(set(required) - known())


def known() -> set[str]:
    """Every revision that this program brings along."""
    return {step.revision for step in ScriptDirectory.from_config(configuration()).walk_revisions()}


def newest() -> str | None:
    """The revision that this program expects."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def configuration(connection: Connection | None = None) -> Config:
    """What an Alembic command needs to know: where the migrations are, and the database."""
    config = Config()
    config.attributes["connection"] = connection
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config
