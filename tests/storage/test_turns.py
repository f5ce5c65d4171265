"""Whose turn it is: instances and their lanes in turns, batches first, and of paused lanes one."""

from collections.abc import Collection, Sequence
from datetime import datetime

import pytest
from sqlalchemy import update

from builders import HOLDER, MINUTE, NOW, SECOND, add_instance, add_publish, to_users
from heliograph.model import (
    CallLane,
    DeviceNumber,
    Gateway,
    InstanceNumber,
    Lane,
    PauseKind,
    PublishNumber,
    Sort,
    WorkNumber,
)
from heliograph.storage import lanes, tables, turns, work
from heliograph.storage.database import Database
from heliograph.storage.turns import Terms, in_turns
from heliograph.storage.work import Batch, Errand, Work

ONE, TWO, THREE = (InstanceNumber(number) for number in (1, 2, 3))
APNS = Lane(ONE, Gateway.APNS, None)
FCM = Lane(ONE, Gateway.FCM, None)


@pytest.fixture(autouse=True)
async def publishes(database: Database) -> None:
    """Three instances, each with a publish of the same number."""
    async with database.write() as connection:
        for number in (1, 2, 3):
            assert number == await add_instance(connection, number)
            assert number == await add_publish(connection, InstanceNumber(number), to_users("a"))


async def put(
    database: Database,
    lane: Lane = APNS,
    *devices: int,
    due_at: datetime = NOW,
    sort: Sort = Sort.SMALL,
    expires_at: datetime | None = None,
) -> WorkNumber:
    """Add a batch; its number."""
    async with database.write() as connection:
        batch = await work.add_batch(
            connection,
            PublishNumber(lane.instance),
            *lane,
            [DeviceNumber(each) for each in devices or (1,)],
            attempt=1,
            due_at=due_at,
            sort=sort,
            expires_at=expires_at,
        )
    return batch.number


async def put_expansion(database: Database, instance: InstanceNumber = ONE) -> WorkNumber:
    async with database.write() as connection:
        publish = PublishNumber(instance)
        return (await work.add_expansion(connection, publish, instance, now=NOW)).number


async def take(
    database: Database,
    limit: int = 100,
    *,
    now: datetime = NOW,
    sort: Sort = Sort.SMALL,
    besides: Collection[Lane | CallLane] = (),
    after: InstanceNumber | None = None,
) -> Sequence[Work]:
    terms = Terms(HOLDER, now, now + MINUTE)
    async with database.write() as connection:
        return await turns.lease(connection, sort, limit, terms, besides=besides, after=after)


async def order(
    database: Database,
    limit: int = 100,
    *,
    now: datetime = NOW,
    after: InstanceNumber | None = None,
) -> list[WorkNumber]:
    return [each.number for each in await take(database, limit, now=now, after=after)]


async def pause(database: Database, lane: Lane, *, probe_at: datetime = NOW + MINUTE) -> None:
    async with database.write() as connection:
        await lanes.pause(connection, lane, PauseKind.REFUSED, "No", now=NOW, probe_at=probe_at)


async def test_instances_take_turns(database: Database) -> None:
    """Of each the oldest, then of each the next, however much one has."""
    busy = [await put(database) for _ in range(4)]
    quiet = await put(database, Lane(TWO, Gateway.APNS, None))

    assert [busy[0], quiet, *busy[1:]] == await order(database)


async def test_the_next_turn_is_the_next_instances(database: Database) -> None:
    """Whoever comes with one hand free goes around, from the one that had the last turn on."""
    first = [await put(database) for _ in range(2)]
    second = [await put(database, Lane(TWO, Gateway.WEB, None)) for _ in range(2)]
    third = await put(database, Lane(THREE, Gateway.FCM, None))

    turns_of = [await order(database, 1, after=InstanceNumber(each)) for each in (0, 1, 2, 3, 1)]

    assert [[first[0]], [second[0]], [third], [first[1]], [second[1]]] == turns_of


async def test_lanes_of_an_instance_take_turns(database: Database) -> None:
    """A gateway with much to do does not keep another's waiting."""
    apple = [await put(database) for _ in range(3)]
    google = await put(database, FCM)

    assert [apple[0], google, *apple[1:]] == await order(database)


async def test_within_a_lane_the_order_is_that_of_the_due_times(database: Database) -> None:
    """What has waited for longer goes first."""
    younger = await put(database, due_at=NOW)
    older = await put(database, due_at=NOW - SECOND)

    assert [older, younger] == await order(database)


async def test_what_is_begun_comes_before_what_is_not(database: Database) -> None:
    """An instance's batches are taken before more of its targets are walked."""
    expansion = await put_expansion(database)
    batches = [await put(database), await put(database, FCM)]
    other = await put_expansion(database, TWO)

    assert [batches[0], other, batches[1], expansion] == await order(database)


async def test_sorts_are_taken_apart(database: Database) -> None:
    """Each has hands of its own."""
    numbers = [await put(database, sort=sort) for sort in Sort]

    assert [[number] for number in numbers] == [
        [each.number for each in await take(database, sort=sort)] for sort in Sort
    ]


async def test_lanes_that_have_enough_hands_are_left_out(database: Database) -> None:
    """Their work waits, and that of others does not."""
    waiting = await put(database)
    google = await put(database, FCM)

    others = [each.number for each in await take(database, besides=[APNS])]

    assert ([google], [waiting]) == (others, await order(database))


async def test_nothing_of_a_paused_lane_is_taken(database: Database) -> None:
    """Not until it goes on; other lanes do not notice."""
    held = await put(database)
    google = await put(database, FCM)
    await pause(database, APNS)
    during = await order(database)
    async with database.write() as connection:
        assert await lanes.resume(connection, APNS)

    assert ([google], [held]) == (during, await order(database))


async def test_one_message_tries_a_paused_lane(database: Database) -> None:
    """When it is time one device is taken; the others of its batch wait, as they were."""
    number = await put(database, APNS, 3, 5, 7, expires_at=NOW + 2 * MINUTE)
    await put(database, APNS, 9)
    await pause(database, APNS, probe_at=NOW + SECOND)
    early = await take(database)
    probes = await take(database, now=NOW + SECOND)
    again = await take(database, now=NOW + SECOND)
    async with database.write() as connection:
        await lanes.resume(connection, APNS)
    rest = await take(database, now=NOW + SECOND)

    (probe,) = probes
    assert isinstance(probe, Batch)
    assert ([], (number, [3], Errand.PROBE), []) == (
        early,
        (probe.number, list(probe.devices), probe.errand),
        again,
    )
    assert {(5, 7): NOW + 2 * MINUTE, (9,): None} == {
        tuple(each.devices): each.expires_at for each in rest if isinstance(each, Batch)
    }


async def test_a_probe_whose_worker_died_is_followed_by_another(database: Database) -> None:
    """After its lease somebody else tries the lane."""
    await put(database, APNS, 3, 5)
    await pause(database, APNS, probe_at=NOW)
    await take(database)

    assert 1 == len(await take(database, now=NOW + MINUTE))


async def test_what_has_expired_in_a_paused_lane_is_taken_to_say_so(database: Database) -> None:
    """It is not to be sent; what is still worth something stays."""
    expired = await put(database, expires_at=NOW + SECOND)
    await put(database, expires_at=NOW + MINUTE)
    await put(database)
    await pause(database, APNS)

    taken = await take(database, now=NOW + SECOND)

    assert [(expired, Errand.EXPIRE)] == [
        (each.number, each.errand) for each in taken if isinstance(each, Batch)
    ]


async def test_work_of_the_release_before_is_found(database: Database) -> None:
    """It is in no lane's queue, and is taken all the same, in a turn of its own."""
    ours = [await put(database), await put(database)]
    old = await put(database)
    async with database.write() as connection:
        await connection.execute(
            update(tables.work).where(tables.work.c.number == old).values(lane=0)
        )

    assert {*ours, old} == set(await order(database))


async def test_the_next_thing_that_falls_due_is_found(database: Database) -> None:
    """Work that is due later, or a paused lane that is tried earlier."""

    async def next_due(after: datetime) -> datetime | None:
        async with database.read() as connection:
            return await turns.next_due(connection, after=after)

    await put(database, due_at=NOW + MINUTE)
    work_only = await next_due(NOW)
    await pause(database, FCM, probe_at=NOW + SECOND)

    assert [NOW + MINUTE, NOW + SECOND, NOW + MINUTE, None] == [
        work_only,
        await next_due(NOW),
        await next_due(NOW + SECOND),
        await next_due(NOW + MINUTE),
    ]


def test_turns_are_told_by_the_keys_alone() -> None:
    """Instances by the order in which they come, lanes of each, then expansions."""
    heads = [
        (lane, NOW, WorkNumber(number))
        for number, lane in enumerate([33, 33, 36, 32, 17, 17, 17, 16], start=1)
    ]

    assert [1, 5, 3, 6, 2, 7, 4, 8] == in_turns(heads)
