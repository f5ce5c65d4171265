"""Acknowledge: what devices say is kept once, counted by gateway, and told to who listens."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Workshop, apns_address, fcm_address, in_one_database, to_users
from heliograph.instances import Instance
from heliograph.model import DeviceId, Gateway, Interest, PublishId, ToInterests, UserId
from heliograph.notices import Delivered, Opened, Subject
from heliograph.pipeline.acknowledge import Acknowledge, Heard, Report
from heliograph.storage import calls
from heliograph.storage.publishes import Echo
from heliograph.storage.receipts import What


def ear(workshop: Workshop) -> Acknowledge:
    return Acknowledge(workshop.database, workshop.queue, workshop.metrics, clock=workshop.clock)


async def listening(workshop: Workshop) -> Instance:
    made = await workshop.instance()
    await workshop.webhooks.create(
        made, "beams", "https://hooks.example.com/", subjects={Subject.DELIVERED, Subject.OPENED}
    )
    found = await workshop.instances.find(made.id)
    assert found is not None
    return found


async def echo(workshop: Workshop, instance: Instance, publish: PublishId) -> dict[Gateway, Echo]:
    return dict((await workshop.progress(instance, publish)).gateways)


async def test_what_is_said_is_counted_once(workshop: Workshop) -> None:
    """Delivered and opened are two things, each once for each device, however often said."""
    instance = await workshop.instance()
    phone = await workshop.log_in(instance, "alice", apns_address())
    tablet = await workshop.log_in(instance, "alice", fcm_address())
    publish = await workshop.publish(instance, to_users("alice"))
    acknowledge = ear(workshop)

    words: list[tuple[What, DeviceId]] = [
        ("delivered", phone),
        ("opened", phone),
        ("delivered", tablet),
        ("delivered", phone),
        ("opened", phone),
    ]

    heard = [
        await acknowledge.hear(instance, Report(what, publish, device, None))
        for what, device in words
    ]

    assert ["counted", "counted", "counted", "repeated", "repeated"] == heard
    assert {Gateway.APNS: Echo(0, 1, 1), Gateway.FCM: Echo(0, 1, 0)} == await echo(
        workshop, instance, publish
    )


async def test_those_who_speak_together_are_counted_as_well(workshop: Workshop) -> None:
    """Many reports share a commit, and the same one twice in it counts once."""
    instance = await workshop.instance()
    devices = [await workshop.log_in(instance, "alice", apns_address()) for _ in range(5)]
    publish = await workshop.publish(instance, to_users("alice"))
    acknowledge = ear(workshop)

    heard = await asyncio.gather(
        *[
            acknowledge.hear(instance, Report("delivered", publish, device, None))
            for device in devices * 3
        ]
    )

    assert (5, 10) == (heard.count("counted"), heard.count("repeated"))
    assert {Gateway.APNS: Echo(0, 5, 0)} == await echo(workshop, instance, publish)


@pytest.mark.parametrize("stranger", ["publish", "device", "instance"])
async def test_what_is_unknown_changes_nothing(workshop: Workshop, stranger: str) -> None:
    """No such publish, no such device, or those of another instance."""
    instance, other = await workshop.instance(), await workshop.instance()
    device = await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice"))
    report = Report(
        "opened",
        PublishId("pubid-none") if stranger == "publish" else publish,
        DeviceId("apns-none") if stranger == "device" else device,
        None,
    )

    heard = await ear(workshop).hear(other if stranger == "instance" else instance, report)

    assert "unknown" == heard
    assert {} == await echo(workshop, instance, publish)


async def told(workshop: Workshop, instance: Instance) -> list[object]:
    async with workshop.database.read() as connection:
        found = await calls.page(connection, instance.number, limit=100)
    return [each.notice for each in reversed(found)]


async def test_who_listens_is_told_of_people(workshop: Workshop) -> None:
    """§8: one event for each device that says so, with the person's id; repeats tell nothing."""
    instance = await listening(workshop)
    device = await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice", "bob"))
    acknowledge = ear(workshop)

    words: list[What] = ["delivered", "opened", "opened"]
    for what in words:
        await acknowledge.hear(instance, Report(what, publish, device, UserId("alice")))

    alice = UserId("alice")
    assert [Delivered(alice), Opened(alice)] == await told(workshop, instance)


@pytest.mark.parametrize("claimed, users", [(None, 1), ("alice", 1), ("bob", 0)])
async def test_a_device_cannot_speak_for_another_person(
    workshop: Workshop, claimed: str | None, users: int
) -> None:
    """§7: the user in a report is the device's own word; it must be who is logged in on it."""
    instance = await listening(workshop)
    device = await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice", "bob"))
    user = None if claimed is None else UserId(claimed)

    heard = await ear(workshop).hear(instance, Report("opened", publish, device, user))

    assert "counted" == heard
    assert users == len(await told(workshop, instance))


async def test_of_publishes_to_interests_nobody_is_told(workshop: Workshop) -> None:
    """§8: they are counted, and have no events."""
    instance = await listening(workshop)
    device = await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, ToInterests((Interest("a"),)))

    await ear(workshop).hear(instance, Report("delivered", publish, device, UserId("alice")))

    assert [] == await told(workshop, instance)
    assert {Gateway.APNS: Echo(0, 1, 0)} == await echo(workshop, instance, publish)


said = st.lists(st.tuples(st.sampled_from(["delivered", "opened"]), st.integers(0, 2)), max_size=12)


@in_one_database
@given(said=said)
async def test_counts_are_those_of_different_words(
    workshop: Workshop, said: Sequence[tuple[What, int]]
) -> None:
    """In whatever order and company: each device is counted once for each thing."""
    instance = await workshop.instance()
    devices = [await workshop.log_in(instance, "alice", fcm_address()) for _ in range(3)]
    publish = await workshop.publish(instance, to_users("alice"))
    acknowledge = ear(workshop)

    heard: list[Heard] = await asyncio.gather(
        *[
            acknowledge.hear(instance, Report(what, publish, devices[place], None))
            for what, place in said
        ]
    )

    different = set(said)
    assert len(different) == heard.count("counted")
    counts = (await echo(workshop, instance, publish)).get(Gateway.FCM, Echo(0, 0, 0))
    assert (counts.delivered, counts.opened) == (
        sum(what == "delivered" for what, _ in different),
        sum(what == "opened" for what, _ in different),
    )
