"""The queue in the database: it wakes when there is work, and lends it for a while."""

import asyncio
from datetime import datetime, timedelta

import pytest

from builders import NOW, SECOND, Clock, add_instance, add_publish
from heliograph.model import DeviceNumber, Gateway, Lane, PauseKind, Sort, WorkNumber
from heliograph.queue.database import LEASE, DatabaseQueue
from heliograph.storage import lanes, work
from heliograph.storage.database import Database
from heliograph.storage.work import Expansion


@pytest.fixture
def database(either_database: Database) -> Database:
    return either_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> DatabaseQueue:
    return DatabaseQueue(database, clock)


async def put(database: Database, *, after: timedelta = timedelta(0)) -> None:
    """An expansion that is due after a while."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        publish = await add_publish(connection, instance)
        await work.add_expansion(connection, publish, instance, now=NOW + after)


async def taken(queue: DatabaseQueue) -> list[WorkNumber]:
    return [each.number for each in await queue.take(Sort.SMALL, 10)]


async def test_what_is_taken_is_held_for_a_lease(
    database: Database, queue: DatabaseQueue, clock: Clock
) -> None:
    """Nobody else takes it before the lease has run out without a sign of life."""
    await put(database)
    first = await taken(queue)
    clock.advance(LEASE - SECOND)
    during = await taken(queue)
    clock.advance(SECOND)

    assert ([1], [], [1]) == (first, during, await taken(queue))


async def test_no_more_is_taken_than_asked_for(database: Database, queue: DatabaseQueue) -> None:
    """Who has no hand free takes nothing."""
    await put(database)

    assert ([], [1]) == (list(await queue.take(Sort.SMALL, 0)), await taken(queue))


async def test_a_sign_of_life_holds_work_for_another_lease(
    database: Database, queue: DatabaseQueue, clock: Clock
) -> None:
    """An extended lease counts from the sign of life on."""
    await put(database)
    works = await queue.take(Sort.SMALL, 10)
    clock.advance(LEASE - SECOND)
    await queue.extend(works)
    clock.advance(LEASE - SECOND)
    during = await taken(queue)
    clock.advance(SECOND)

    assert ([], [1]) == (during, await taken(queue))


async def test_a_sign_of_life_takes_back_nothing_that_was_let_go(
    database: Database, queue: DatabaseQueue
) -> None:
    """An expansion's next step is everybody's, even if a beat for the last one comes late."""
    await put(database)
    (step,) = await queue.take(Sort.SMALL, 10)
    assert isinstance(step, Expansion)
    async with database.write() as connection:
        await work.move_on(connection, step, expanded_to=1, sort=Sort.SMALL)
    lost = await queue.extend([step])

    assert ([step], [step.number]) == (lost, await taken(queue))


@pytest.mark.parametrize("rest", [timedelta(0), 10 * SECOND])
async def test_what_is_handed_back_is_due_after_its_rest(
    database: Database, queue: DatabaseQueue, clock: Clock, rest: timedelta
) -> None:
    """Work that was not done is free again at once, or when it has rested."""
    await put(database)
    works = await queue.take(Sort.SMALL, 10)
    await queue.hand_back(works, after=rest)
    clock.advance(rest - timedelta(microseconds=1))
    early = await taken(queue)
    clock.advance(timedelta(microseconds=1))

    assert ([], [1]) == (early, await taken(queue))


async def test_a_process_that_is_alone_takes_over_at_once(
    database: Database, queue: DatabaseQueue
) -> None:
    """What a dead process held is free as soon as the next one knows itself alone."""
    await put(database)
    await taken(queue)
    reborn = DatabaseQueue(database, Clock())

    ended = await reborn.reclaim()

    assert (1, [1]) == (ended, await taken(reborn))


async def test_waiting_ends_at_once_when_work_is_due(
    database: Database, queue: DatabaseQueue, clock: Clock
) -> None:
    """Work that became due before anybody looked is reason enough to look."""
    await put(database, after=SECOND)
    clock.advance(SECOND)

    await asyncio.wait_for(queue.wait(), 1)

    assert [1] == await taken(queue)


async def test_waiting_ends_with_an_announcement(queue: DatabaseQueue) -> None:
    """Whoever commits work wakes who waits for it."""
    waiting = asyncio.create_task(queue.wait())
    while not waiting.done():
        await asyncio.sleep(0)
        await queue.announce([])

    assert waiting.done()


@pytest.mark.parametrize("later", range(6))
async def test_waiting_can_be_given_up_at_the_instant_of_an_announcement(
    database: Database, clock: Clock, later: int
) -> None:
    """Whoever stops a worker is heard, even if there is news just then."""
    await put(database, after=SECOND)
    looked = asyncio.Event()

    def looking() -> datetime:
        looked.set()
        return clock()

    queue = DatabaseQueue(database, looking)
    waiting = asyncio.create_task(queue.wait())
    await looked.wait()
    await queue.announce([])
    for _ in range(later):  # turns of the event loop
        await asyncio.sleep(0)

    is_heard = waiting.cancel()
    await asyncio.wait([waiting])

    assert is_heard == waiting.cancelled()


async def test_work_announced_before_the_wait_is_not_slept_through(
    database: Database, queue: DatabaseQueue
) -> None:
    """An announcement between looking and waiting is not lost, for the work is in the database."""
    nothing = await taken(queue)
    await put(database)
    await queue.announce([])

    await asyncio.wait_for(queue.wait(), 1)

    assert ([], [1]) == (nothing, await taken(queue))


async def test_waiting_goes_on_while_there_is_no_reason_to_look(
    database: Database, queue: DatabaseQueue
) -> None:
    """Work that is due later, or that is held, wakes nobody now."""
    await put(database)
    await taken(queue)
    waiting = asyncio.create_task(queue.wait())
    for _ in range(100):
        await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_announcement_tells_of_which_sorts(
    database: Database, queue: DatabaseQueue
) -> None:
    """Whoever waits need not look for what there is nothing new of."""
    await put(database)
    (expansion,) = await queue.take(Sort.SMALL, 10)
    await queue.announce([expansion])
    some = await asyncio.wait_for(queue.wait(), 1)
    await queue.announce([])
    every = await asyncio.wait_for(queue.wait(), 1)

    assert ({Sort.SMALL}, set(Sort)) == (some, every)


async def test_work_that_somebody_else_has_taken_is_lost(
    database: Database, queue: DatabaseQueue, clock: Clock
) -> None:
    """Who was away for longer than a lease is told, and cannot hand it back any more."""
    await put(database)
    works = await queue.take(Sort.SMALL, 10)
    clock.advance(LEASE)
    other = DatabaseQueue(database, clock)
    theirs = await other.take(Sort.SMALL, 10)
    lost = await queue.extend(works)
    await queue.hand_back(works)

    assert (works, [], []) == (lost, await other.extend(theirs), await taken(queue))


async def test_instances_have_their_turn_take_by_take(
    database: Database, queue: DatabaseQueue
) -> None:
    """One hand at a time, each instance's comes around."""
    async with database.write() as connection:
        for number in (1, 2):
            instance = await add_instance(connection, number)
            for _ in range(2):
                publish = await add_publish(connection, instance)
                await work.add_expansion(connection, publish, instance, now=NOW)

    order = [(await queue.take(Sort.SMALL, 1))[0].instance for _ in range(4)]

    assert [1, 2, 1, 2] == order


async def test_a_probe_that_takes_long_is_not_taken_by_another(
    database: Database, queue: DatabaseQueue, clock: Clock
) -> None:
    """With each sign of life the lane is left alone for another while."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        publish = await add_publish(connection, instance)
        lane = Lane(instance, Gateway.APNS, None)
        for device in (1, 2):
            await work.add_batch(
                connection, publish, *lane, [DeviceNumber(device)], attempt=1, due_at=NOW
            )
        await lanes.pause(connection, lane, PauseKind.REFUSED, "No", now=NOW, probe_at=NOW)
    probes = await queue.take(Sort.SMALL, 10)
    clock.advance(LEASE - SECOND)
    lost = await queue.extend(probes)
    clock.advance(LEASE - SECOND)

    assert (1, [], []) == (len(probes), lost, await taken(queue))
