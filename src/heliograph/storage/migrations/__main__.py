"""``python -m heliograph.storage.migrations "what changes"`` drafts the next migration."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from heliograph.storage import migrations


def draft(message: str) -> None:
    """Compare the tables with an up-to-date database, and write what is missing to a file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'draft.db'}")
        with engine.connect() as connection:
            migrations.upgrade(connection)
            config = migrations.configuration(connection)
            number = int(migrations.newest() or "0") + 1
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        engine.dispose()


if __name__ == "__main__":
    draft(" ".join(sys.argv[1:]))
