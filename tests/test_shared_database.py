"""Several processes over one PostgreSQL."""

import asyncio
from pathlib import Path

from sqlalchemy import select, text

from builders import MASTER_KEY, Clock, Workshop, fcm_address, to_users
from heliograph.app import product
from heliograph.notices import Subject
from heliograph.pipeline.acknowledge import Acknowledge, Report
from heliograph.storage import publishes, tables
from heliograph.storage.database import Database
from heliograph.storage.telling import told_of
from support import ADMIN, in_process, settings_in


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


async def test_a_webhook_that_is_to_be_told_is_not_deleted_before(
    shared_database: Database,
) -> None:
    """Or what is to be told, and a settlement with it, would fail over a call to nobody."""
    workshop = Workshop(shared_database, Clock())
    instance = await workshop.instance()
    await workshop.webhooks.create(
        instance, "beams", "https://hooks.example.com/", subjects={Subject.ENDED}
    )
    to_be_had = select(tables.webhooks.c.number).with_for_update(skip_locked=True)

    async with shared_database.write() as theirs:
        before = (await theirs.scalars(to_be_had)).all()
    async with shared_database.write() as ours, shared_database.write() as theirs:
        told = await told_of(ours, instance.number, Subject.ENDED)
        after = (await theirs.scalars(to_be_had)).all()

    assert (told, []) == (before, after)


async def test_who_makes_a_webhook_is_answered_that_one(shared_database: Database) -> None:
    """However many are made at one instant: the secret that is shown is that of the address."""
    workshop = Workshop(shared_database, Clock())
    instance = await workshop.instance()
    urls = [f"https://hooks.example.com/{number}" for number in range(16)]

    made = await asyncio.gather(
        *[
            workshop.webhooks.create(instance, "beams", url, subjects={Subject.OPENED})
            for url in urls
        ]
    )

    assert urls == [each.url for each in made]


async def test_who_hears_of_many_publishes_takes_them_in_order(shared_database: Database) -> None:
    """Whoever waits for the first holds no other: of two such, none waits for the other."""
    workshop = Workshop(shared_database, Clock())
    instance = await workshop.instance()
    device = await workshop.log_in(instance, "alice", fcm_address())
    first, second = [await workshop.publish(instance, to_users("alice")) for _ in range(2)]
    acknowledge = Acknowledge(
        shared_database, workshop.queue, workshop.metrics, clock=workshop.clock
    )

    async with shared_database.write() as connection:
        await publishes.find_id(connection, instance.number, first, lock=True)
        reports = [
            Report("delivered", second, device, None),
            Report("opened", first, device, None),
        ]
        hearing = asyncio.gather(*[acknowledge.hear(instance, each) for each in reports])
        while not await _is_anybody_waiting(shared_database):
            pass
        free = select(tables.publishes.c.id).with_for_update(key_share=True, skip_locked=True)
        to_be_had = (await connection.scalars(free)).all()

    assert {first, second} == set(to_be_had)
    assert ["counted", "counted"] == await hearing


async def test_an_id_that_postgresql_objects_to_is_not_found(
    tmp_path: Path, shared_url: str
) -> None:
    """A NUL is in no id: 404 in the usual shape, as on the other engine."""
    async with in_process(tmp_path, database_url=shared_url) as served:
        one = f"/admin/v1/instances/{served.instance.id}"
        paths = ["/calls/%00", "/calls?publish=%00", "/publishes/%00", "/devices/%00"]
        answers = [await served.http.get(one + path, headers=ADMIN) for path in paths]

    assert [404] * 4 == [each.status_code for each in answers]
    assert {"Not found"} == {each.json()["error"] for each in answers}


async def _is_anybody_waiting(database: Database) -> bool:
    async with database.read() as connection:
        waiting = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
    return bool(waiting)
