"""Expand: a target becomes batches, each device once, however often we die in between."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import (
    EVERYTHING,
    HOLDER,
    MINUTE,
    NOW,
    Workshop,
    add_device,
    apns_address,
    ends,
    fcm_address,
    in_one_database,
    leased,
    rows_of,
    to_users,
    web_address,
)
from heliograph.instances import Instance
from heliograph.model import (
    Address,
    ApnsMessage,
    DeviceNumber,
    Environment,
    Gateway,
    Messages,
    Sort,
    WebMessage,
)
from heliograph.pipeline.expand import expand, lanes
from heliograph.storage import devices, tables, work
from heliograph.storage.database import Database
from heliograph.storage.devices import Addressed
from heliograph.storage.work import LARGE_PUBLISH, Batch, Expansion


async def step(workshop: Workshop, *, page_size: int) -> bool:
    """Take one step of whatever expansion there is; False if there is none."""
    async with workshop.database.write() as connection:
        taken = await leased(connection, 100, now=workshop.clock())
        await work.hand_back(
            connection,
            [each.number for each in taken if isinstance(each, Batch)],
            holder=HOLDER,
            due_at=workshop.clock(),
        )
    expansions = [each for each in taken if isinstance(each, Expansion)]
    for expansion in expansions:
        await expand(workshop.database, expansion, page_size=page_size, now=workshop.clock())
    return bool(expansions)


async def batches(workshop: Workshop) -> list[Batch]:
    """Every batch there is, in the order they were made."""
    async with workshop.database.write() as connection:
        taken = await leased(connection, 1000, now=workshop.clock(), until=workshop.clock())
    return [each for each in sorted(taken, key=lambda each: each.number) if isinstance(each, Batch)]


async def crowd(workshop: Workshop, instance: Instance, *addresses: Address) -> list[DeviceNumber]:
    """Devices of alice."""
    async with workshop.database.write() as connection:
        return [
            await add_device(connection, instance.number, address, user="alice")
            for address in addresses
        ]


async def test_a_page_becomes_a_batch_for_each_lane(workshop: Workshop) -> None:
    """Devices that are reached in the same way are sent to together, in order."""
    instance = await workshop.instance()
    sandbox = apns_address(environment=Environment.SANDBOX)
    one, two, three, four, five = await crowd(
        workshop, instance, apns_address(), fcm_address(), apns_address(), sandbox, web_address()
    )
    publish = await workshop.publish(instance, to_users("alice"))

    await step(workshop, page_size=100)

    assert {
        (Gateway.APNS, None): [one, three],
        (Gateway.FCM, None): [two],
        (Gateway.APNS, Environment.SANDBOX): [four],
        (Gateway.WEB, None): [five],
    } == {(each.gateway, each.environment): list(each.devices) for each in await batches(workshop)}
    progress = await workshop.progress(instance, publish)
    assert ({"targeted": 5, "pending": 5}, NOW) == (ends(progress), progress.expanded_at)


async def test_a_gateway_without_a_message_is_left_out(workshop: Workshop) -> None:
    """Devices for which the publish has nothing are not targeted."""
    instance = await workshop.instance()
    (one, _) = await crowd(workshop, instance, apns_address(), web_address())
    publish = await workshop.publish(instance, to_users("alice"), Messages(apns=EVERYTHING.apns))

    await step(workshop, page_size=100)

    assert ([[one]], {"targeted": 1, "pending": 1}) == (
        [list(each.devices) for each in await batches(workshop)],
        ends(await workshop.progress(instance, publish)),
    )


@in_one_database
@given(
    size=st.integers(0, 8),
    page_size=st.integers(1, 4),
    deaths=st.lists(st.booleans(), max_size=10),
)
async def test_each_device_has_its_batch_once_however_often_we_die(
    workshop: Workshop, size: int, page_size: int, deaths: list[bool]
) -> None:
    """
    A step either happens with all that belongs to it, or not at all.

    A death comes before the commit; then somebody else takes over.
    """
    instance = await workshop.instance()
    numbers = await crowd(workshop, instance, *[apns_address() for _ in range(size)])
    publish = await workshop.publish(instance, to_users("alice"))
    fate = iter(deaths)
    while True:
        if next(fate, False):
            await die_in_a_step(workshop, page_size=page_size)
        elif not await step(workshop, page_size=page_size):
            break
        progress = await workshop.progress(instance, publish)
        assert progress.targeted == progress.pending

    own = [each for each in await batches(workshop) if each.instance == instance.number]
    assert (numbers, True) == (
        [number for each in own for number in each.devices],
        all(len(each.devices) <= page_size for each in own),
    )
    assert (size, NOW) == (
        progress.targeted,
        (await workshop.progress(instance, publish)).expanded_at,
    )
    await sweep(workshop)


class Mortal(Database):
    """A database whose process dies just before it commits."""

    def __init__(self, database: Database) -> None:
        self._alive = database

    @asynccontextmanager
    async def write(
        self, *, durable: bool = True, long: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        async with self._alive.write(durable=durable, long=long) as connection:
            yield connection
            raise InterruptedError


async def die_in_a_step(workshop: Workshop, *, page_size: int) -> None:
    """Walk a page, make its batches, and be gone before the commit; then the lease runs out."""
    for each in await workshop.take(100):
        if isinstance(each, Expansion):
            with pytest.raises(InterruptedError):
                await expand(Mortal(workshop.database), each, page_size=page_size, now=NOW)
    await workshop.leases.reclaim()


async def sweep(workshop: Workshop) -> None:
    """Take all work away, so that the next example begins with none."""
    async with workshop.database.write() as connection:
        await connection.execute(delete(tables.work))


async def test_a_device_that_comes_between_two_pages_is_taken_along(workshop: Workshop) -> None:
    """A device that goes is not missed, and one that comes is found if it is not too late."""
    instance = await workshop.instance()
    first, second = await crowd(workshop, instance, apns_address(), apns_address())
    await workshop.publish(instance, to_users("alice"))
    await step(workshop, page_size=1)
    async with workshop.database.write() as connection:
        await devices.remove(connection, first)
    (third,) = await crowd(workshop, instance, apns_address())

    while await step(workshop, page_size=1):
        pass

    assert [[first], [second], [third]] == [list(each.devices) for each in await batches(workshop)]


async def test_between_pages_others_get_their_turn(workshop: Workshop) -> None:
    """A publish to a crowd lets go of its work after each page."""
    instance = await workshop.instance()
    await crowd(workshop, instance, *[apns_address() for _ in range(3)])
    await workshop.publish(instance, to_users("alice"))
    await step(workshop, page_size=1)

    leased = await workshop.take(10)

    assert {"Expansion": 1, "Batch": 1} == Counter(type(each).__name__ for each in leased)


async def test_a_publish_whose_instance_is_gone_is_not_expanded(workshop: Workshop) -> None:
    """An expansion that outlived its publish in a worker's hands does nothing."""
    instance = await workshop.instance()
    await crowd(workshop, instance, apns_address())
    await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await workshop.instances.delete(instance.id)

    await expand(workshop.database, expansion, page_size=10, now=NOW)

    assert 0 == await rows_of(workshop.database, "work")


async def test_a_target_that_fills_its_pages_exactly_ends(workshop: Workshop) -> None:
    """After a last page that is full, one more step finds nothing and finishes."""
    instance = await workshop.instance()
    await crowd(workshop, instance, apns_address(), apns_address())
    publish = await workshop.publish(instance, to_users("alice"))

    steps = [await step(workshop, page_size=2) for _ in range(3)]

    assert ([True, True, False], 2) == (
        steps,
        (await workshop.progress(instance, publish)).targeted,
    )


def test_lanes_keep_the_order() -> None:
    """Devices are sorted into lanes without being shuffled."""
    page = [
        Addressed(DeviceNumber(1), Gateway.APNS, None),
        Addressed(DeviceNumber(2), Gateway.WEB, None),
        Addressed(DeviceNumber(5), Gateway.APNS, None),
        Addressed(DeviceNumber(7), Gateway.APNS, Environment.PRODUCTION),
    ]

    assert {
        (Gateway.APNS, None): [1, 5],
        (Gateway.WEB, None): [2],
        (Gateway.APNS, Environment.PRODUCTION): [7],
    } == lanes(page)


async def test_a_publish_is_large_from_a_thousand_devices_on(workshop: Workshop) -> None:
    """Its batches are then, and what is left of its target; before that nobody can know."""
    instance = await workshop.instance()
    await crowd(workshop, instance, *[apns_address() for _ in range(3)])
    await workshop.publish(instance, to_users("alice"))
    async with workshop.database.write() as connection:  # as if it had come so far
        await connection.execute(tables.publishes.update().values(targeted=LARGE_PUBLISH - 2))
    made: list[list[tuple[type, Sort]]] = []
    for _ in range(2):
        (expansion,) = [x for x in await workshop.take(100) if isinstance(x, Expansion)]
        works = await expand(workshop.database, expansion, page_size=1, now=workshop.clock())
        made.append([(type(each), each.sort) for each in works])

    assert [
        [(Batch, Sort.SMALL), (Expansion, Sort.SMALL)],
        [(Batch, Sort.LARGE), (Expansion, Sort.LARGE)],
    ] == made


async def test_a_batch_knows_when_its_message_expires(workshop: Workshop) -> None:
    """So that whoever keeps it waiting can tell without reading the message."""
    instance = await workshop.instance()
    await crowd(workshop, instance, apns_address(), web_address())
    life = Messages(
        apns=ApnsMessage(b"{}", expiration=int((NOW + MINUTE).timestamp())),
        web=WebMessage(b"x", ttl_seconds=30),
    )
    await workshop.publish(instance, to_users("alice"), life)

    await step(workshop, page_size=100)

    assert {Gateway.APNS: NOW.replace(microsecond=0) + MINUTE, Gateway.WEB: NOW + MINUTE / 2} == {
        each.gateway: each.expires_at for each in await batches(workshop)
    }


async def test_what_is_kept_is_nobody_elses_until_the_lease_runs_out(workshop: Workshop) -> None:
    """Between two steps in a row others leave an expansion alone; if we die, it goes on there."""
    instance = await workshop.instance()
    await crowd(workshop, instance, *[apns_address() for _ in range(4)])
    await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(100)
    assert isinstance(expansion, Expansion)

    *_, left = await expand(
        workshop.database, expansion, page_size=2, now=workshop.clock(), keep=True
    )

    async with workshop.database.write() as connection:
        meanwhile = await leased(connection, 100, now=workshop.clock())
        afterwards = await leased(connection, 100, now=workshop.clock() + 2 * MINUTE)
    assert isinstance(left, Expansion)
    assert left.number not in {each.number for each in meanwhile}
    assert left.expanded_to in {
        each.expanded_to for each in afterwards if isinstance(each, Expansion)
    }
