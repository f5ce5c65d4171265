"""Several processes over one PostgreSQL."""

from pathlib import Path

from builders import MASTER_KEY, Clock, Workshop, to_users
from heliograph.app import product
from heliograph.storage.database import Database
from support import settings_in


async def test_a_process_that_starts_leaves_others_their_work(
    tmp_path: Path, shared_url: str
) -> None:
    """Two serve one database from one folder; what the first holds the second does not take."""
    settings = settings_in(tmp_path, database_url=shared_url, master_key=MASTER_KEY)
    async with Database.opened(shared_url) as database, product(settings):
        workshop = Workshop(database, Clock())
        instance = await workshop.instance()
        await workshop.publish(instance, to_users("alice"))
        held = await workshop.take(1)

        async with product(settings):
            assert (1, []) == (len(held), await workshop.take(1))
