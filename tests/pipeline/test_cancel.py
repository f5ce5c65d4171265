"""Cancel: what waits is over at once, what is in hand comes to its own end."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    MINUTE,
    NOW,
    SECOND,
    ScriptedClient,
    Workshop,
    always,
    apns_address,
    apns_error,
    ends,
    in_one_database,
    rows_of,
    to_users,
)
from heliograph.instances import Instance
from heliograph.model import DeviceNumber, PublishId
from heliograph.pipeline.cancel import PUBLISH_CANCELLED, cancel
from heliograph.pipeline.expand import expand
from heliograph.pipeline.settle import settle
from heliograph.pipeline.verdict import Again, Over, Verdict
from heliograph.queue.database import LEASE
from heliograph.storage import devices, outcomes, publishes
from heliograph.storage.outcomes import Attempt
from heliograph.storage.publishes import Progress
from heliograph.storage.work import Batch, Expansion
from heliograph.wire.http import HttpResponse

OK = always(HttpResponse(200))
UNAVAILABLE = apns_error(503, "ServiceUnavailable")


async def published(workshop: Workshop, *, size: int = 3) -> tuple[Instance, PublishId]:
    """A publish to so many devices of alice."""
    instance = await workshop.instance()
    for _ in range(size):
        await workshop.log_in(instance, "alice", apns_address())
    return instance, await workshop.publish(instance, to_users("alice"))


async def expanded(workshop: Workshop, *, page_size: int = 1000) -> None:
    """Every page of every publish has its batch."""
    while steps := [x for x in await workshop.take(100) if isinstance(x, Expansion)]:
        for each in steps:
            await expand(workshop.database, each, page_size=page_size, now=workshop.clock())
    await workshop.queue.reclaim()


async def in_hand(workshop: Workshop) -> Batch:
    """The one batch there is, taken."""
    (batch,) = await workshop.take(1)
    assert isinstance(batch, Batch)
    return batch


async def cancelled(workshop: Workshop, instance: Instance, publish: PublishId) -> Progress:
    progress = await cancel(workshop.database, instance.number, publish, now=workshop.clock())
    assert progress is not None
    assert_conserved(progress)
    return progress


def assert_conserved(it: Progress) -> None:
    assert it.targeted == it.sent + it.failed + it.expired + it.cancelled + it.pending


async def traces(workshop: Workshop, instance: Instance, publish: PublishId) -> list[list[Attempt]]:
    """The attempts of each device of an instance, oldest device first."""
    async with workshop.database.read() as connection:
        number = await publishes.find_id(connection, instance.number, publish)
        assert number is not None
        return [
            list(await outcomes.of_device(connection, number, each.number))
            for each in await devices.page(connection, instance.number, limit=1000)
        ]


async def test_what_waits_is_cancelled_at_once(workshop: Workshop) -> None:
    """No work is left, everything is counted, and the trace tells why."""
    instance, publish = await published(workshop)
    await expanded(workshop, page_size=2)
    client = always(HttpResponse(200))

    progress = await cancelled(workshop, instance, publish)
    await workshop.worker(client).run_until_idle()

    assert ({"targeted": 3, "cancelled": 3}, NOW) == (ends(progress), progress.cancelled_at)
    assert [[Attempt(1, NOW, "cancelled", PUBLISH_CANCELLED)]] * 3 == await traces(
        workshop, instance, publish
    )
    assert (0, []) == (await rows_of(workshop.database, "work"), client.sent)


async def test_retries_that_wait_are_cancelled(workshop: Workshop) -> None:
    """What was tried stays true, and will not be tried again."""
    instance, publish = await published(workshop)
    await workshop.worker(always(UNAVAILABLE)).run_until_idle()
    workshop.clock.advance(SECOND)

    progress = await cancelled(workshop, instance, publish)
    workshop.clock.advance(60 * MINUTE)
    await workshop.worker(OK).run_until_idle()

    assert {"targeted": 3, "cancelled": 3} == ends(progress)
    assert progress == await workshop.progress(instance, publish)
    assert [
        [
            Attempt(1, NOW, "again", "ServiceUnavailable"),
            Attempt(2, NOW + SECOND, "cancelled", PUBLISH_CANCELLED),
        ]
    ] * 3 == await traces(workshop, instance, publish)


async def test_a_batch_in_hand_comes_to_its_own_end(workshop: Workshop) -> None:
    """What was sent is sent; what would be tried again is cancelled instead."""
    instance, publish = await published(workshop)
    await expanded(workshop)
    batch = await in_hand(workshop)
    one, two, three = map(DeviceNumber, batch.devices)
    verdicts: dict[DeviceNumber, Verdict] = {
        one: Over("sent"),
        two: Over("failed", "BadTopic"),
        three: Again(NOW + MINUTE, "ServiceUnavailable", 2),
    }

    at_once = await cancelled(workshop, instance, publish)
    settlement = await settle(workshop.database, batch, verdicts, now=NOW + SECOND)

    assert settlement is not None
    assert ({"targeted": 3, "pending": 3}, {"sent": 1, "failed": 1, "cancelled": 1}, 0) == (
        ends(at_once),
        dict(settlement.ends),
        settlement.again,
    )
    assert {"targeted": 3, "sent": 1, "failed": 1, "cancelled": 1} == ends(
        await workshop.progress(instance, publish)
    )
    assert [
        Attempt(1, NOW + SECOND, "again", "ServiceUnavailable"),
        Attempt(2, NOW + SECOND, "cancelled", PUBLISH_CANCELLED),
    ] == (await traces(workshop, instance, publish))[-1]
    assert 0 == await rows_of(workshop.database, "work")


@pytest.mark.parametrize("comes_back", ["lapsed", "handed back"])
async def test_a_batch_that_comes_back_is_not_sent(workshop: Workshop, comes_back: str) -> None:
    """Whoever takes up what a worker let go of, or died with, cancels it."""
    instance, publish = await published(workshop)
    await expanded(workshop)
    batch = await in_hand(workshop)
    await cancelled(workshop, instance, publish)
    if comes_back == "lapsed":
        workshop.clock.advance(LEASE)
    else:
        await workshop.queue.hand_back([batch])
    client = always(HttpResponse(200))

    await workshop.worker(client).run_until_idle()

    assert ([], {"targeted": 3, "cancelled": 3}) == (
        client.sent,
        ends(await workshop.progress(instance, publish)),
    )


async def test_an_expansion_that_waits_stops(workshop: Workshop) -> None:
    """Devices that it had not come to are not targeted."""
    instance, publish = await published(workshop)
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await expand(workshop.database, expansion, page_size=2, now=NOW)

    progress = await cancelled(workshop, instance, publish)

    assert ({"targeted": 2, "cancelled": 2}, NOW) == (ends(progress), progress.expanded_at)
    assert 0 == await rows_of(workshop.database, "work")


async def test_an_expansion_in_hand_stops_at_its_next_step(workshop: Workshop) -> None:
    """The step finds the publish cancelled, makes no batch, and is the last."""
    instance, publish = await published(workshop)
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)

    at_once = await cancelled(workshop, instance, publish)
    await expand(workshop.database, expansion, page_size=2, now=NOW + SECOND)

    progress = await workshop.progress(instance, publish)
    assert (None, NOW + SECOND, {}) == (at_once.expanded_at, progress.expanded_at, ends(progress))
    assert 0 == await rows_of(workshop.database, "work")


async def test_a_publish_that_is_over_stays_as_it_is(workshop: Workshop) -> None:
    """There is nothing to cancel, and it is not said to have been."""
    instance, publish = await published(workshop)
    await workshop.worker(OK).run_until_idle()
    before = await workshop.progress(instance, publish)

    assert before == await cancelled(workshop, instance, publish)
    assert None is before.cancelled_at


async def test_cancelling_twice_is_cancelling_once(workshop: Workshop) -> None:
    """The second time changes nothing, not even the instant."""
    instance, publish = await published(workshop)
    await expanded(workshop)
    first = await cancelled(workshop, instance, publish)
    workshop.clock.advance(MINUTE)

    assert first == await cancelled(workshop, instance, publish)


async def test_only_an_instances_own_publish_is_cancelled(workshop: Workshop) -> None:
    """Another instance's is not there, and goes on."""
    instance, publish = await published(workshop)
    other = await workshop.instance()

    found = await cancel(workshop.database, other.number, publish, now=NOW)

    await workshop.worker(OK).run_until_idle()
    assert (None, {"targeted": 3, "sent": 3}) == (
        found,
        ends(await workshop.progress(instance, publish)),
    )


@in_one_database
@given(
    size=st.integers(0, 7),
    page_size=st.integers(1, 4),
    steps=st.integers(0, 8),
    held=st.integers(0, 3),
    answers=st.lists(st.booleans(), min_size=1),
)
async def test_the_sum_holds_wherever_it_is_cancelled(
    workshop: Workshop, size: int, page_size: int, steps: int, held: int, answers: list[bool]
) -> None:
    """After any steps, with any of the work in hand, everything is accounted for, then over."""
    instance, publish = await published(workshop, size=size)
    client = ScriptedClient(answering(answers))
    worker = workshop.worker(client, concurrency=1, batch_size=page_size)
    for _ in range(steps):
        for each in await workshop.take(1):
            await worker._do(each)  # noqa: SLF001  (one piece of work, and then the next)
            assert_conserved(await workshop.progress(instance, publish))
    await workshop.take(held)

    await cancelled(workshop, instance, publish)
    sent = len(client.sent)
    workshop.clock.advance(LEASE)
    await worker.run_until_idle()

    after = await workshop.progress(instance, publish)
    assert_conserved(after)
    assert (0, True, sent) == (after.pending, after.expanded_at is not None, len(client.sent))


def answering(answers: list[bool]) -> Callable[[object], HttpResponse]:
    """A gateway that takes some, and is too busy for others, in turn."""
    replies = iter(answers * 100)
    return lambda _request: HttpResponse(200) if next(replies) else UNAVAILABLE


async def test_cancelling_amid_the_work_is_taken_by_workers(workshop: Workshop) -> None:
    """While two workers expand and deliver, publishes are cancelled: all end, and add up."""
    instance = await workshop.instance()
    for _ in range(12):
        await workshop.log_in(instance, "alice", apns_address())
    made = [await workshop.publish(instance, to_users("alice")) for _ in range(4)]
    client = ScriptedClient(answering([True, False, True]))
    workers = [workshop.worker(client, concurrency=4, batch_size=2) for _ in range(2)]

    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run_until_idle())
        for publish in made:
            group.create_task(cancelled(workshop, instance, publish))
    await workers[0].run_until_idle()

    for publish in made:
        progress = await workshop.progress(instance, publish)
        assert_conserved(progress)
        assert (0, True) == (progress.pending, progress.expanded_at is not None)
    assert 0 == await rows_of(workshop.database, "work")
