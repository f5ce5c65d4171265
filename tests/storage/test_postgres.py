"""What PostgreSQL adds: others write at the same time, and a server may be away."""

import asyncio
import traceback
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from builders import (
    NOW,
    Clock,
    Workshop,
    add_device,
    add_instance,
    add_publish,
    apns_address,
    batch,
    leased,
    randomness,
    rows_of,
    to_users,
    web_address,
)
from heliograph.config import variable
from heliograph.errors import ConfigurationError, TooManyDevices, UserTaken
from heliograph.gateways.contract import Gone
from heliograph.model import Address, DeviceNumber, Environment, UserId
from heliograph.pipeline.expand import expand
from heliograph.pipeline.settle import settle
from heliograph.pipeline.verdict import Over, Verdict
from heliograph.registry import Registry
from heliograph.storage import devices, migrations, tables, users, work
from heliograph.storage.database import Database
from heliograph.storage.work import Expansion
from heliograph.writes import Writes
from postgres import Postgres

CROWD = 8
"""How many do the same at once."""


@pytest.fixture
async def database(shared_database: Database) -> Database:
    """With its connections made, so that what begins at once runs at once."""
    await asyncio.gather(*[shared_database.ping() for _ in range(CROWD)])
    return shared_database


@pytest.fixture
def workshop(database: Database) -> Workshop:
    return Workshop(database, Clock())


async def at_once(*doings: Awaitable[object]) -> list[object]:
    """What each came to; an error is a result, too."""
    return await asyncio.gather(*doings, return_exceptions=True)


def kinds(results: Iterable[object]) -> set[type]:
    return {type(each) for each in results}


# --- the rules, while others write ---------------------------------------------------


@pytest.mark.parametrize("address", [apns_address(), web_address()], ids=["apns", "web"])
async def test_an_address_that_registers_often_at_once_is_one_device(
    workshop: Workshop, address: Address
) -> None:
    """All are told the same id, whoever came first."""
    instance = await workshop.instance()

    made = await asyncio.gather(
        *[workshop.registry.register(instance.number, address, {}) for _ in range(CROWD)]
    )

    assert (1, 1) == (len({each.id for each in made}), await rows_of(workshop.database, "devices"))


async def test_two_devices_that_move_to_one_address_become_one(workshop: Workshop) -> None:
    """Who moves last has the address, also while it is being registered."""
    instance = await workshop.instance()
    registry, address = workshop.registry, apns_address()
    first, second = [
        (await registry.register(instance.number, apns_address(), {})).id for _ in range(2)
    ]

    results = await at_once(
        registry.move(instance.number, first, address),
        registry.register(instance.number, address, {}),
        registry.move(instance.number, second, address),
    )

    assert [] == [each for each in results if isinstance(each, Exception)]
    async with workshop.database.read() as connection:
        held = await connection.scalar(
            select(func.count()).where(tables.devices.c.token == address.token)
        )
    assert 1 == held


async def test_a_person_who_logs_in_often_at_once_has_no_more_than_allowed(
    workshop: Workshop,
) -> None:
    """The limit holds, and a person who is new is made once."""
    instance = await workshop.instance()
    writes = Writes(workshop.database, clock=workshop.clock, randomness=randomness())
    registry = Registry(writes, max_devices_per_user=3)
    made = [await registry.register(instance.number, apns_address(), {}) for _ in range(CROWD)]

    results = await at_once(
        *[registry.bind_user(instance.number, each.id, UserId("alice")) for each in made]
    )

    assert ({bool, TooManyDevices}, 3, 1) == (
        kinds(results),
        results.count(True),
        await rows_of(workshop.database, "users"),
    )


async def test_of_many_who_log_in_on_one_device_one_does(workshop: Workshop) -> None:
    """The others are told that it is taken, and nobody takes it from the first."""
    instance = await workshop.instance()
    made = await workshop.registry.register(instance.number, apns_address(), {})

    results = await at_once(
        *[
            workshop.registry.bind_user(instance.number, made.id, UserId(f"user-{number}"))
            for number in range(CROWD)
        ]
    )

    found = await workshop.registry.find(instance.number, made.id)
    assert found is not None
    assert ({bool, UserTaken}, [True], UserId(f"user-{results.index(True)}")) == (
        kinds(results),
        [each for each in results if each is True],
        found.user,
    )


async def test_a_person_who_is_deleted_while_logging_in_is_gone_afterwards(
    workshop: Workshop,
) -> None:
    """The deletion waits for the log-in, and takes the device along that it added."""
    instance = await workshop.instance()
    await workshop.log_in(instance, "alice", apns_address())
    async with workshop.database.write() as connection:
        device = await add_device(connection, instance.number)

    async with workshop.database.write() as connection:
        alice = await users.obtain(connection, instance.number, UserId("alice"), now=NOW)
        await devices.change(connection, device, user_number=alice)
        deletion = asyncio.create_task(
            workshop.registry.delete_user(instance.number, UserId("alice"))
        )
        await someone_waits(workshop.database)

    assert (2, 0) == (await deletion, await rows_of(workshop.database, "devices"))


async def test_a_person_who_is_deleted_leaves_the_way_to_who_logs_in(workshop: Workshop) -> None:
    """Who has one of their devices, and waits for them, is not waited for in turn."""
    instance = await workshop.instance()
    identity = await workshop.log_in(instance, "alice", apns_address())

    async with workshop.database.write() as connection:
        assert await devices.find(connection, instance.number, identity, lock=True)
        deletion = asyncio.create_task(
            workshop.registry.delete_user(instance.number, UserId("alice"))
        )
        await someone_waits(workshop.database)
        await users.obtain(connection, instance.number, UserId("alice"), now=NOW)

    assert (1, 0) == (await deletion, await rows_of(workshop.database, "devices"))


async def someone_waits(database: Database) -> None:
    """Return when a transaction waits for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    waiting = 0
    while not waiting:
        async with database.read() as connection:
            waiting = await connection.scalar(query) or 0


async def test_keys_rotate_while_browsers_subscribe(workshop: Workshop) -> None:
    """No subscription is bound to a pair that goes, and all that are made are kept."""
    instance = await workshop.instance()

    results = await at_once(
        *[
            doing
            for _ in range(CROWD // 2)
            for doing in (
                workshop.registry.register(instance.number, web_address(), {}),
                workshop.instances.rotate_vapid(instance.id),
            )
        ]
    )

    assert [] == [each for each in results if isinstance(each, Exception)]
    assert CROWD // 2 == await rows_of(workshop.database, "devices")


async def test_batches_that_change_the_same_devices_are_settled_at_once(
    workshop: Workshop,
) -> None:
    """Settlements wait for each other in one order, whatever they change first."""
    async with workshop.database.write() as connection:
        instance = await add_instance(connection)
        numbers = [await add_device(connection, instance) for _ in range(40)]
        publishes = [await add_publish(connection, instance) for _ in range(CROWD)]
        for publish in publishes:
            await work.add_expansion(connection, publish, instance, now=NOW)
    held = await workshop.take(CROWD)

    def verdicts(ordinal: int) -> dict[DeviceNumber, Verdict]:
        def of(number: DeviceNumber) -> Verdict:
            if (number + ordinal) % 2:
                return Over("failed", "Unregistered", prune=Gone("Unregistered"))
            return Over("sent", environment=Environment.SANDBOX)

        return {number: of(number) for number in sorted(numbers, reverse=bool(ordinal % 2))}

    results = await at_once(
        *[
            settle(
                workshop.database,
                batch(*numbers, number=each.number, publish=of, instance=instance),
                verdicts(ordinal),
                now=NOW,
            )
            for ordinal, each in enumerate(held)
            if (of := each.publish) is not None
        ]
    )

    assert [] == [each for each in results if isinstance(each, Exception)]
    assert (CROWD, 0) == (
        await rows_of(workshop.database, "outcomes"),
        await rows_of(workshop.database, "work"),
    )


# --- work ----------------------------------------------------------------------------


async def test_many_who_take_work_at_once_take_each_piece_once(
    workshop: Workshop, shared_url: str
) -> None:
    """No piece is in two hands, nobody has more than asked for, and none waits for another."""
    async with workshop.database.write() as connection:
        instance = await add_instance(connection)
        for _ in range(20):
            publish = await add_publish(connection, instance)
            await work.add_expansion(connection, publish, instance, now=NOW)

    async with Database.opened(shared_url) as other:
        shops = [workshop, Workshop(other, Clock())]
        taken = await asyncio.gather(*[shops[n % 2].take(5) for n in range(CROWD)])
        taken += [await workshop.take(20)]

    numbers = [each.number for some in taken for each in some]
    assert (20, 20) == (len(numbers), len(set(numbers)))
    assert max(len(some) for some in taken[:-1]) <= 5


async def test_work_that_is_being_taken_is_stepped_over(workshop: Workshop) -> None:
    """Who takes work waits for no transaction of another."""
    async with workshop.database.write() as connection:
        instance = await add_instance(connection)
        for _ in range(2):
            publish = await add_publish(connection, instance)
            await work.add_expansion(connection, publish, instance, now=NOW)

    async with workshop.database.write() as connection:
        ours = await leased(connection, 1)
        theirs = await asyncio.wait_for(workshop.take(2), 10)

    assert ([1], [2]) == ([each.number for each in ours], [each.number for each in theirs])


async def test_a_step_that_two_hold_is_taken_once(workshop: Workshop) -> None:
    """A worker that slept through its lease does not walk again what another has walked."""
    instance = await workshop.instance()
    for _ in range(3):
        await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)

    await asyncio.gather(
        *[expand(workshop.database, expansion, page_size=2, now=NOW) for _ in range(2)]
    )

    progress = await workshop.progress(instance, publish)
    assert (2, 2) == (progress.targeted, progress.pending)


# --- the server ----------------------------------------------------------------------


async def test_many_who_start_at_once_migrate_once(postgres: Postgres) -> None:
    """Of processes that open an empty database together, one makes the tables."""
    async with postgres.empty() as url, AsyncExitStack() as stack:
        opened = await asyncio.gather(
            *[stack.enter_async_context(Database.opened(url)) for _ in range(4)]
        )

        assert {migrations.newest()} == {await each.revision() for each in opened}


async def test_a_server_that_was_restarted_costs_no_transaction_that_comes_after(
    database: Database, postgres: Postgres
) -> None:
    """Connections that the server closed while they were idle are made anew."""
    await postgres.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
    )

    results = [(await at_once(database.ping()))[0] for _ in range(CROWD)]

    assert [None] * CROWD == results


async def test_a_connection_that_breaks_costs_its_transaction_and_no_other(
    database: Database,
) -> None:
    """The transaction under way fails; those after it do not."""
    with pytest.raises(DBAPIError):
        async with database.write() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() ORDER BY pid = pg_backend_pid()"
                )
            )

    assert [None] * CROWD == await at_once(*[database.ping() for _ in range(CROWD)])


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://heliograph:a-password@127.0.0.1:1/heliograph",
        "postgresql://heliograph:a-password@/heliograph?host=/nowhere",
        "postgresql://heliograph:a-password@127.0.0.1:port/heliograph",
        "postgresql://heliograph:a-password@127.0.0.1:1/heliograph?sslmode=perhaps",
    ],
)
async def test_a_server_that_cannot_be_reached_is_answered_with_the_setting(url: str) -> None:
    """The operator is told which setting to look at; its password is not repeated."""
    with pytest.raises(ConfigurationError, match=variable("database_url")) as caught:
        async with Database.opened(url):
            pass

    assert "a-password" not in str(caught.value)


async def test_a_database_that_is_not_there_is_answered_with_the_setting(
    postgres: Postgres,
) -> None:
    """What the server says of it is passed on."""
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL.*does not exist"):
        async with Database.opened(postgres.url("nowhere")):
            pass


async def test_what_postgresql_quotes_is_not_told(database: Database) -> None:
    """Neither the server's DETAIL nor the driver's complaint shows in a traceback."""
    insert = text(
        "INSERT INTO users (instance_number, id, created_at) VALUES (:instance, :id, :at)"
    )
    told = []
    async with database.write() as connection:
        instance = await add_instance(connection)
        await connection.execute(insert, {"instance": instance, "id": "do-not-show", "at": 1})
    for values, kind in (
        ({"instance": instance, "id": "do-not-show", "at": 1}, IntegrityError),
        ({"instance": instance, "id": "a", "at": "do-not-show"}, DBAPIError),
    ):
        with pytest.raises(kind) as caught:
            async with database.write() as connection:
                await connection.execute(insert, values)
        told.append("".join(traceback.format_exception(caught.value)))

    assert "uq_users_instance_number_id" in told[0]
    assert [] == [each for each in told if "do-not-show" in each]


async def test_interests_are_in_the_order_of_their_code_points(database: Database) -> None:
    """Whatever language the database sorts by: a page goes on where the last one ended."""
    query = text(
        "SELECT collation_name FROM information_schema.columns "
        "WHERE table_name = 'interests' AND column_name = 'name'"
    )
    async with database.read() as connection:
        assert "C" == await connection.scalar(query)
