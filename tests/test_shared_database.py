"""Several processes over one PostgreSQL."""

import asyncio
from pathlib import Path

from builders import MASTER_KEY, Clock, Workshop, fcm_address, to_users
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


async def test_two_devices_swap_addresses_at_one_instant(shared_database: Database) -> None:
    """Each waits for its turn, neither for the other; one address is one device."""
    workshop = Workshop(shared_database, Clock())
    instance = await workshop.instance()
    for _ in range(20):
        here, there = fcm_address(), fcm_address()
        one, other = [
            (await workshop.registry.register(instance.number, each, {})).id
            for each in (here, there)
        ]

        moved = await asyncio.gather(
            workshop.registry.move(instance.number, one, there),
            workshop.registry.move(instance.number, other, here),
        )

        left = [await workshop.registry.find(instance.number, each) for each in (one, other)]
        assert [each is not None for each in left] == list(moved)
        assert True in moved
