"""Alembic migrations, run by the product itself: there is no alembic.ini to keep."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection) -> list[str]:
    """Bring the database to the newest revision; the revisions that were applied, in order."""
    before = current(connection)
    if before == newest():
        return []
    config = configuration(connection)
    command.upgrade(config, "head")
    connection.commit()
    steps = ScriptDirectory.from_config(config).iterate_revisions("head", before or "base")
    return [step.revision for step in steps][::-1]


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


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
