"""What is particular to the queue on NATS: tickets, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import msgspec
import nats as client
import pytest

import jetstream
from builders import Clock
from heliograph.metrics import Metrics
from heliograph.model import Sort
from heliograph.queue.contract import Queue
from heliograph.queue.database import LEASE
from heliograph.queue.jetstream import JetStreamQueue
from heliograph.queue.tickets import Names
from heliograph.storage import work
from heliograph.storage.database import Database
from heliograph.storage.work import Work
from jetstream import Nats, until
from queues import Stage, jetstream_queue

NAMES = Names("heliograph")


@pytest.fixture
def server() -> Iterator[Nats]:
    """A server that a test may kill, empty in the beginning."""
    with jetstream.running() as server:
        yield server


@pytest.fixture
async def stage(shared_database: Database, server: Nats) -> AsyncIterator[Stage]:
    """Queues on a server of their own."""
    clock, metrics = Clock(), Metrics()
    async with AsyncExitStack() as stack:

        async def another() -> JetStreamQueue:
            opened = jetstream_queue(shared_database, clock, server, NAMES.name, metrics=metrics)
            return await stack.enter_async_context(opened)

        yield Stage(shared_database, clock, another, await another(), metrics=metrics)


async def tickets(server: Nats) -> int:
    """How many NATS has."""
    connection = await client.connect(server.url)
    info = await connection.jetstream().stream_info(NAMES.stream)
    await connection.close()
    return info.state.messages


def own(stage: Stage) -> JetStreamQueue:
    assert isinstance(stage.queue, JetStreamQueue)
    return stage.queue


async def test_a_ticket_lives_as_long_as_its_work(stage: Stage, server: Nats) -> None:
    """It is there while the work is in hand, and gone when that is settled."""
    await stage.put()
    waiting = await tickets(server)
    held = await stage.take(at_least=1)
    in_hand = await tickets(server)
    await stage.settle(*held)

    async def are_gone() -> bool:
        return await tickets(server) == 0

    await until(are_gone)
    assert (1, 1) == (waiting, in_hand)


async def test_work_has_one_ticket(stage: Stage, server: Nats) -> None:
    """However often it is announced, and however often somebody looks for what has none."""
    made = await stage.put()
    await stage.queue.announce([made])
    await own(stage).sweep()

    assert (0, 1) == (await own(stage).sweep(), await tickets(server))


async def test_work_that_has_lost_its_ticket_gets_another(stage: Stage, server: Nats) -> None:
    """A sweep counts what it found."""
    await stage.put()
    connection = await client.connect(server.url)
    await connection.jetstream().purge_stream(NAMES.stream)
    await connection.close()

    found = await own(stage).sweep()

    assert (1, 1.0) == (found, stage.sample("heliograph_queue_swept_total", sort="small"))
    assert [1] == await stage.taken(at_least=1)


async def test_a_sweep_leaves_what_is_in_hand_or_not_due(stage: Stage) -> None:
    """There is nothing to be heard of."""
    await stage.put(after=LEASE * 2)
    await stage.put()
    await stage.take(at_least=1)

    assert 0 == await own(stage).sweep()


async def test_a_ticket_for_nothing_is_thrown_away(stage: Stage, server: Nats) -> None:
    """The work may have been cancelled, or done by somebody who could not say so."""
    made = await stage.put()
    async with stage.database.write() as connection:
        await work.remove(connection, made.number)

    nothing = await stage.taken()

    async def are_gone() -> bool:
        return await tickets(server) == 0

    await until(are_gone)
    assert [] == nothing


async def test_a_ticket_is_handed_out_again_when_its_holder_is_silent(stage: Stage) -> None:
    """Without a word from the holder NATS thinks of others; that is counted."""
    await stage.put()
    await stage.take(at_least=1)
    stage.clock.advance(LEASE)

    again = await stage.taken(queue=await stage.another(), at_least=1)

    redeliveries = stage.sample("heliograph_queue_redeliveries_total", sort="small")
    assert ([1], True) == (again, redeliveries >= 1)


async def test_who_is_at_it_is_left_alone(stage: Stage) -> None:
    """Signs of life keep the ticket as they keep the lease: others are not offered it."""
    await stage.put()
    held = await stage.take(at_least=1)
    other = await stage.another()
    for _ in range(10):
        await stage.queue.extend(held)
        await asyncio.sleep(0.1)  # the patience of this NATS is half a second
        await other.take(Sort.SMALL, 1)

    assert 0 == stage.sample("heliograph_queue_redeliveries_total", sort="small")


async def test_what_was_given_up_is_noted(stage: Stage, server: Nats) -> None:
    """The note names the work and its publish, and nothing of what it said."""
    await stage.put()
    held = await stage.take(at_least=1)
    await stage.queue.finish(held, given_up=True)
    connection = await client.connect(server.url)

    async def is_there() -> bool:
        return (await connection.jetstream().stream_info(NAMES.dead_stream)).state.messages == 1

    await until(is_there)
    note = await connection.jetstream().get_last_msg(NAMES.dead_stream, NAMES.dead)
    await connection.close()
    assert {
        "work": 1,
        "publish": 1,
        "instance": 1,
        "sort": "small",
        "deliveries": 1,
        "failures": 1,
        "given_up_at": "2026-01-02T03:04:05Z",
    } == msgspec.json.decode(note.data or b"")


async def test_work_is_accepted_and_done_without_nats(stage: Stage, server: Nats) -> None:
    """What is committed while NATS is away is announced to nobody, and found all the same."""
    server.stop()
    await until(lambda: is_there(stage, there=False))

    await asyncio.wait_for(stage.put(), 10)

    assert [1] == [each.number for each in await stage.queue.take(Sort.SMALL, 10)]


async def test_a_silent_nats_holds_nobody_up_for_long(stage: Stage, server: Nats) -> None:
    """One that neither answers nor ends is waited for once, and then not for a while."""
    server.pause()
    made = await stage.put()
    quiet = own(stage).is_quiet
    for _ in range(100):
        await asyncio.wait_for(stage.queue.announce([made]), 10)
    server.resume()

    assert quiet
    assert [1] == await stage.taken(at_least=1)


async def test_what_nats_has_lost_is_found_in_the_database(stage: Stage, server: Nats) -> None:
    """It returns with an empty disk: work that waited, and work that was in hand, gets done."""
    for _ in range(5):
        await stage.put()
    held = await stage.take(limit=2, at_least=2)
    server.stop()
    server.wipe()
    await until(lambda: is_there(stage, there=False))
    server.start()
    await until(lambda: is_there(stage, there=True))

    rest = await stage.take(at_least=3)
    await stage.settle(*held, *rest)

    assert (5, []) == (len({each.number for each in [*held, *rest]}), await stage.taken())


async def test_waiting_ends_when_nats_goes_and_comes(stage: Stage, server: Nats) -> None:
    """Both are reasons to look again."""
    await stage.take()
    waiting = asyncio.create_task(stage.queue.wait())
    server.stop()
    gone = await asyncio.wait_for(waiting, 10)
    waiting = asyncio.create_task(stage.queue.wait())
    server.start()

    assert (set(Sort), set(Sort)) == (set(gone), set(await asyncio.wait_for(waiting, 20)))


async def test_one_of_those_who_wait_hears_of_a_ticket(stage: Stage) -> None:
    """Who has hands free waits for tickets, and each is given to one."""
    other = await stage.another()
    both = [stage.queue, other]
    for queue in both:
        await queue.take(Sort.SMALL, 1)
    waits = [asyncio.create_task(queue.wait()) for queue in both]
    await stage.put()
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    taken: list[Work] = []
    for queue in both:
        taken += await queue.take(Sort.SMALL, 1)

    assert 1 == len(taken)
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_what_comes_for_hands_that_are_full_goes_to_others(
    shared_database: Database, server: Nats
) -> None:
    """A request that stood for longer than a hand was free holds nothing up."""
    clock, hour = Clock(), timedelta(hours=1)
    async with (
        jetstream_queue(shared_database, clock, server, NAMES.name, ack_wait=hour) as full,
        jetstream_queue(shared_database, clock, server, NAMES.name, ack_wait=hour) as other,
    ):
        stage = Stage(shared_database, clock, nobody, full)
        await full.take(Sort.SMALL, 1)
        waiting = asyncio.create_task(full.wait())
        await stage.put(instance=1)
        await asyncio.wait_for(waiting, 10)  # so that requests stood, and stand at other lines
        await stage.taken(limit=1, at_least=1)
        for number in range(2, 9):
            await stage.put(instance=number)

        assert 7 == len(await stage.take(queue=other, at_least=7))


async def test_the_metrics_tell_how_much_waits(shared_database: Database, server: Nats) -> None:
    """A worker looks now and then, and tells what it saw."""
    metrics = Metrics()
    async with jetstream_queue(
        shared_database,
        Clock(),
        server,
        NAMES.name,
        metrics=metrics,
        sweep_every=timedelta(0),
    ) as queue:
        stage = Stage(shared_database, Clock(), nobody, queue, metrics=metrics)
        for _ in range(3):
            await stage.put(sort=Sort.LARGE)

        async def is_told() -> bool:
            await queue.take(Sort.SMALL, 1)
            return stage.sample("heliograph_queue_tickets", sort="large") == 3

        await until(is_told)

    assert 0 == stage.sample("heliograph_queue_dead_letters")


async def nobody() -> Queue:
    raise NotImplementedError


async def is_there(stage: Stage, *, there: bool) -> bool:
    return stage.queue.is_there is there
