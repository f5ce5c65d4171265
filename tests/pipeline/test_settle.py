"""Settle: everything that follows from a batch in one commit, once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from builders import (
    MINUTE,
    NOW,
    SECOND,
    Workshop,
    add_device,
    apns_address,
    ends,
    fcm_address,
    in_one_database,
    rows_of,
    to_users,
)
from heliograph.gateways.contract import Gone
from heliograph.instances import Instance
from heliograph.model import (
    Address,
    ApnsAddress,
    DeviceNumber,
    Environment,
    PublishId,
    PublishNumber,
)
from heliograph.pipeline.expand import expand
from heliograph.pipeline.settle import settle
from heliograph.pipeline.verdict import Again, Over, Verdict
from heliograph.storage import devices, outcomes, tables
from heliograph.storage.outcomes import Attempt, Result
from heliograph.storage.work import Batch, Expansion

SENT = Over("sent")
LATER = NOW + MINUTE


async def under_way(
    workshop: Workshop, *, size: int = 3, others: Sequence[Address] = ()
) -> tuple[Instance, PublishId, Batch, list[DeviceNumber]]:
    """A publish to so many devices of alice, whose batch is in our hands, after any others'."""
    instance = await workshop.instance()
    async with workshop.database.write() as connection:
        every = [
            await add_device(connection, instance.number, address, user="alice")
            for address in (*others, *(apns_address() for _ in range(size)))
        ]
    publish = await workshop.publish(instance, to_users("alice"))
    for each in await workshop.take(100):
        assert isinstance(each, Expansion)
        await expand(workshop.database, each, page_size=1000, now=workshop.clock())
    *_, batch = await workshop.take(100)
    assert isinstance(batch, Batch)
    return instance, publish, batch, every[len(others) :]


async def trace(workshop: Workshop, batch: Batch, device: DeviceNumber) -> list[Attempt]:
    async with workshop.database.read() as connection:
        return list(await outcomes.of_device(connection, PublishNumber(batch.publish), device))


async def living(workshop: Workshop, instance: Instance) -> list[DeviceNumber]:
    async with workshop.database.read() as connection:
        return [each.number for each in await devices.page(connection, instance.number, limit=1000)]


async def waiting(workshop: Workshop, at: datetime) -> list[tuple[list[int], int]]:
    """The batches that are due at a time: their devices, and which attempt it will be."""
    workshop.clock.now = at
    return [
        (list(each.devices), each.attempt)
        for each in await workshop.take(100)
        if isinstance(each, Batch)
    ]


async def test_each_end_is_counted_and_can_be_traced(workshop: Workshop) -> None:
    """After the commit the counts, the trace and the work tell the same story."""
    instance, publish, batch, numbers = await under_way(workshop, size=5)
    one, two, three, four, five = numbers
    verdicts: dict[DeviceNumber, Verdict] = {
        one: SENT,
        two: Over("failed", "BadTopic"),
        three: Over("expired", "ServiceUnavailable"),
        four: Over("cancelled", "NoLongerAddressed"),
        five: Again(LATER, "ServiceUnavailable", 2),
    }

    settlement = await settle(workshop.database, batch, verdicts, now=NOW + SECOND)

    assert settlement is not None
    assert ({"sent": 1, "failed": 1, "expired": 1, "cancelled": 1}, 1, {}) == (
        dict(settlement.ends),
        settlement.again,
        settlement.pruned,
    )
    assert {
        "targeted": 5,
        "sent": 1,
        "failed": 1,
        "expired": 1,
        "cancelled": 1,
        "pending": 1,
    } == ends(await workshop.progress(instance, publish))
    assert [
        ("sent", None),
        ("failed", "BadTopic"),
        ("expired", "ServiceUnavailable"),
        ("cancelled", "NoLongerAddressed"),
        ("again", "ServiceUnavailable"),
    ] == [
        (attempt.result, attempt.reason)
        for number in numbers
        for attempt in await trace(workshop, batch, number)
    ]


async def test_those_who_wait_together_are_one_batch(workshop: Workshop) -> None:
    """One batch for each instant and attempt, its devices in order."""
    _, _, batch, (one, two, three, four, five) = await under_way(workshop, size=5)
    verdicts: dict[DeviceNumber, Verdict] = {
        five: Again(LATER, "x", 2),
        one: Again(LATER, "y", 2),
        two: Again(LATER + SECOND, "x", 2),
        three: Again(LATER, "x", 3),
        four: SENT,
    }

    await settle(workshop.database, batch, verdicts, now=NOW)

    assert [[], [([one, five], 2), ([three], 3)], [([two], 2)]] == [
        sorted(await waiting(workshop, at), key=lambda each: each[1])
        for at in (LATER - SECOND, LATER, LATER + SECOND)
    ]


async def test_a_settled_batch_is_settled(workshop: Workshop) -> None:
    """Who comes second, with whatever verdicts, stores nothing."""
    instance, publish, batch, numbers = await under_way(workshop)
    await settle(workshop.database, batch, dict.fromkeys(numbers, SENT), now=NOW)
    before = (await rows_of(workshop.database, "outcomes"), await living(workshop, instance))

    gone = Over("failed", "Gone", prune=Gone("Gone"))
    second = await settle(workshop.database, batch, dict.fromkeys(numbers, gone), now=NOW)

    assert (None, before, {"targeted": 3, "sent": 3}) == (
        second,
        (await rows_of(workshop.database, "outcomes"), await living(workshop, instance)),
        ends(await workshop.progress(instance, publish)),
    )


async def test_who_comes_late_does_not_settle_the_next_attempt(workshop: Workshop) -> None:
    """
    A worker that slept through its lease cannot take the retry for the batch it held.

    Two held the same batch; the first settled it, and some are to be tried again.
    """
    instance, publish, batch, (one, two, three) = await under_way(workshop, others=[fcm_address()])
    again = Again(LATER, "x", 2)
    await settle(workshop.database, batch, {one: SENT, two: again, three: again}, now=NOW)

    late = await settle(workshop.database, batch, dict.fromkeys((one, two, three), SENT), now=NOW)

    assert (None, {"targeted": 4, "sent": 1, "pending": 3}) == (
        late,
        ends(await workshop.progress(instance, publish)),
    )


async def test_a_dead_device_is_pruned_with_the_gateways_word(workshop: Workshop) -> None:
    """Its end and its pruning are one commit; the others live on."""
    instance, _, batch, (one, two, three) = await under_way(workshop)
    gone = Gone("Unregistered", NOW + SECOND)

    settlement = await settle(
        workshop.database,
        batch,
        {one: SENT, two: Over("failed", "Unregistered", prune=gone), three: SENT},
        now=NOW + MINUTE,
    )

    assert settlement is not None
    assert ({two: "Unregistered"}, [one, three]) == (
        settlement.pruned,
        await living(workshop, instance),
    )


async def test_a_device_that_registered_since_its_death_is_kept(workshop: Workshop) -> None:
    """The delivery failed all the same, but nothing is pruned, nor said to be."""
    instance, publish, batch, (one,) = await under_way(workshop, size=1)
    gone = Gone("Unregistered", NOW - SECOND)

    settlement = await settle(
        workshop.database, batch, {one: Over("failed", "Unregistered", prune=gone)}, now=NOW
    )

    assert settlement is not None
    assert ({}, [one], {"targeted": 1, "failed": 1}) == (
        settlement.pruned,
        await living(workshop, instance),
        ends(await workshop.progress(instance, publish)),
    )


async def test_a_device_that_was_removed_meanwhile_is_settled(workshop: Workshop) -> None:
    """An end is counted whether or not its device is still there."""
    instance, publish, batch, (one,) = await under_way(workshop, size=1)
    async with workshop.database.write() as connection:
        await devices.remove(connection, one)

    settlement = await settle(
        workshop.database, batch, {one: Over("failed", "Gone", prune=Gone("Gone"))}, now=NOW
    )

    assert settlement is not None
    assert ({}, {"targeted": 1, "failed": 1}) == (
        settlement.pruned,
        ends(await workshop.progress(instance, publish)),
    )


async def test_where_a_device_was_found_is_remembered(workshop: Workshop) -> None:
    """The next publish knows in which of Apple's environments a device is."""
    instance, _, batch, (known, other) = await under_way(workshop, size=2)

    await settle(
        workshop.database,
        batch,
        {known: Over("sent", environment=Environment.SANDBOX), other: SENT},
        now=NOW,
    )

    async with workshop.database.read() as connection:
        addresses = [
            each.address for each in await devices.page(connection, instance.number, limit=9)
        ]
    assert [Environment.SANDBOX, None] == [
        each.environment for each in addresses if isinstance(each, ApnsAddress)
    ]


async def test_what_cannot_be_stored_whole_is_not_stored(workshop: Workshop) -> None:
    """If a part of the commit fails, the work is still there to be done again."""
    instance, publish, batch, numbers = await under_way(workshop)
    orphan = replace(batch, publish=PublishNumber(999))

    with pytest.raises(IntegrityError):
        await settle(workshop.database, orphan, dict.fromkeys(numbers, SENT), now=NOW)

    assert ({"targeted": 3, "pending": 3}, 0) == (
        ends(await workshop.progress(instance, publish)),
        await rows_of(workshop.database, "outcomes"),
    )


every_result = st.sampled_from(get_args(Result))


@in_one_database
@given(st.lists(st.lists(every_result, min_size=4, max_size=4), min_size=1, max_size=5))
async def test_the_counts_add_up_at_every_commit(
    workshop: Workshop, rounds: list[list[Result]]
) -> None:
    """Targeted is the sum of the ends and what is pending, after each round of attempts."""
    instance, publish, batch, _ = await under_way(workshop, size=4)
    in_hand: list[Batch] = [batch]
    story = []
    for number, results in enumerate(rounds, start=2):
        at = NOW + number * timedelta(hours=1)
        for each in in_hand:
            verdicts = {
                DeviceNumber(device): (
                    Again(at, "x", number) if result == "again" else Over(result)
                )
                for device, result in zip(each.devices, results, strict=False)
            }
            await settle(workshop.database, each, verdicts, now=at)
            progress = await workshop.progress(instance, publish)
            story.append(
                progress.targeted
                == progress.sent
                + progress.failed
                + progress.expired
                + progress.cancelled
                + progress.pending
                == 4
            )
        workshop.clock.now = at
        in_hand = [each for each in await workshop.take(100) if isinstance(each, Batch)]

    workshop.clock.now = NOW
    async with workshop.database.write() as connection:
        await connection.execute(delete(tables.work))
    assert all(story)
