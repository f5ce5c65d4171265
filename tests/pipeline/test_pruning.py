"""Pruning: what is gone goes, what is suspected waits, and a wrong setting empties nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
import structlog

from builders import (
    MINUTE,
    NOW,
    SECOND,
    Workshop,
    add_device,
    always,
    apns_address,
    apns_error,
    batch,
    ends,
    fcm_address,
    in_turn,
    rows_of,
    to_users,
)
from heliograph.errors import EgressDenied
from heliograph.gateways.contract import Gone
from heliograph.instances import Instance
from heliograph.model import DeviceId, DeviceNumber, InstanceNumber, Lane, UserId
from heliograph.pipeline.breaker import FREE, TRUST, Tally
from heliograph.pipeline.pruning import Pruning, prune
from heliograph.pipeline.verdict import Over, Verdict
from heliograph.storage import devices, suspicions, users, watches
from heliograph.storage.devices import Device, Prune
from heliograph.wire.http import HttpResponse

OK = HttpResponse(200)
SENT = Over("sent")
SUSPECT = Over("failed", "BadTopic", suspicion="BadTopic")
DAY = timedelta(days=1)
WRONG_TOPIC = apns_error(400, "DeviceTokenNotForTopic")


def gone(since: datetime | None = NOW + SECOND) -> Over:
    return Over("failed", "Unregistered", prune=Gone("Unregistered", since))


async def a_device(workshop: Workshop, *, now: datetime = NOW) -> tuple[Instance, DeviceNumber]:
    instance = await workshop.instance()
    async with workshop.database.write() as connection:
        return instance, await add_device(connection, instance.number, now=now)


async def settled(
    workshop: Workshop,
    instance: Instance,
    verdicts: Mapping[DeviceNumber, Verdict],
    *,
    publish: int = 1,
    now: datetime = NOW,
    began_at: datetime | None = None,
    tally: Tally | None = None,
) -> Pruning:
    """What is pruned with these verdicts on one batch of a publish."""
    async with workshop.database.write() as connection:
        return await prune(
            connection,
            batch(*verdicts, publish=publish, instance=instance.number),
            verdicts,
            cleared_by=verdicts,
            attempted=len(verdicts),
            tally=tally or Tally(),
            began_at=began_at,
            now=now,
        )


async def pruned(workshop: Workshop, instance: InstanceNumber) -> list[Device]:
    async with workshop.database.read() as connection:
        return list(await devices.page(connection, instance, pruned=True, limit=2000))


async def refused(
    workshop: Workshop, instance: Instance, device: DeviceNumber, *, publish: int, now: datetime
) -> Pruning:
    return await settled(workshop, instance, {device: SUSPECT}, publish=publish, now=now)


async def test_the_providers_word_is_kept(workshop: Workshop) -> None:
    """A pruned device tells why it is, and since when its gateway says it is gone."""
    instance, device = await a_device(workshop)

    result = await settled(workshop, instance, {device: gone()}, now=NOW + MINUTE)

    (found,) = await pruned(workshop, instance.number)
    told = Prune(NOW + MINUTE, "Unregistered", gone_since=NOW + SECOND, is_quarantine=False)
    assert ({device: "Unregistered"}, told) == (result.pruned, found.prune)


@pytest.mark.parametrize(
    "since,began_at,is_pruned",
    [
        (NOW - SECOND, None, False),
        (NOW, None, True),
        (None, NOW - SECOND, False),
        (None, NOW, True),
        (NOW, NOW - SECOND, True),
    ],
)
async def test_who_registered_since_is_alive(
    workshop: Workshop, since: datetime | None, began_at: datetime | None, *, is_pruned: bool
) -> None:
    """Since its death, if the gateway told it; else since we looked the device up."""
    instance, device = await a_device(workshop, now=NOW)

    result = await settled(workshop, instance, {device: gone(since)}, began_at=began_at)

    assert is_pruned == (device in result.pruned)


async def test_a_suspect_is_quarantined_after_three_publishes_in_a_day(workshop: Workshop) -> None:
    """The third publish that is refused, a day or more after the first, is the last."""
    instance, device = await a_device(workshop)

    results = [
        await refused(workshop, instance, device, publish=number, now=NOW + after)
        for number, after in enumerate((MINUTE, 2 * MINUTE, 3 * MINUTE, DAY + MINUTE))
    ]

    (found,) = await pruned(workshop, instance.number)
    assert [{}, {}, {}, {device: "BadTopic"}] == [each.pruned for each in results]
    assert (frozenset({device}), True, 0) == (
        results[-1].quarantined,
        found.prune is not None and found.prune.is_quarantine,
        await rows_of(workshop.database, "suspicions"),
    )


async def test_two_publishes_are_not_enough(workshop: Workshop) -> None:
    """However long a device has been suspected, it takes three, and each counts once."""
    instance, device = await a_device(workshop)

    results = [
        await refused(workshop, instance, device, publish=number, now=NOW + after)
        for number, after in ((1, MINUTE), (2, DAY), (2, 3 * DAY), (2, 9 * DAY))
    ]

    assert [{}] * 4 == [each.pruned for each in results]


async def test_a_success_clears_suspicion(workshop: Workshop) -> None:
    """Who was sent to is counted from the beginning, and nobody else is."""
    instance, device = await a_device(workshop)
    async with workshop.database.write() as connection:
        other = await add_device(connection, instance.number)
    both: dict[DeviceNumber, Verdict] = {device: SUSPECT, other: SUSPECT}
    for number, after in enumerate((MINUTE, 2 * MINUTE)):
        await settled(workshop, instance, both, publish=number, now=NOW + after)
    await settled(workshop, instance, {device: SENT}, publish=3, now=NOW + 3 * MINUTE)

    result = await settled(workshop, instance, both, publish=4, now=NOW + 2 * DAY)

    assert {other: "BadTopic"} == result.pruned


async def test_a_registration_clears_suspicion(workshop: Workshop) -> None:
    """An app that has just given us its token is alive, whatever was thought of it."""
    instance, device = await a_device(workshop)
    for number, after in enumerate((MINUTE, 2 * MINUTE)):
        await refused(workshop, instance, device, publish=number, now=NOW + after)
    async with workshop.database.write() as connection:
        await devices.change(connection, device, registered_at=NOW + DAY)

    result = await refused(workshop, instance, device, publish=3, now=NOW + 2 * DAY)

    assert {} == result.pruned


async def test_what_goes_well_writes_nothing(workshop: Workshop) -> None:
    """A batch without anything gone or suspected leaves no row, and is tallied."""
    instance, device = await a_device(workshop)
    tally = Tally()

    result = await settled(workshop, instance, {device: SENT}, tally=tally)

    lane = Lane(instance.number, batch(1).gateway, None)
    assert (Pruning(), 0, 0, 1) == (
        result,
        await rows_of(workshop.database, "suspicions"),
        await rows_of(workshop.database, "watches"),
        tally.take(lane, now=NOW),
    )


async def crowd(workshop: Workshop, size: int) -> tuple[Instance, list[DeviceNumber]]:
    """So many Apple devices of alice."""
    instance = await workshop.instance()
    async with workshop.database.write() as connection:
        owner = await users.obtain(connection, instance.number, UserId("alice"), now=NOW)
        numbers = [await add_device(connection, instance.number) for _ in range(size)]
        for number in numbers:
            await devices.change(connection, number, user_number=owner)
    return instance, numbers


@pytest.mark.parametrize("batch_size", [1000, 60])
async def test_a_wrong_setting_does_not_empty_a_registry(
    workshop: Workshop, batch_size: int
) -> None:
    """
    Of a thousand devices that are all said to be gone at most a hundred go.

    Their deliveries fail with the gateway's reason all the same, and the next publish
    reaches those who were spared; it is logged and counted once.
    """
    instance, numbers = await crowd(workshop, 1000)
    workshop.clock.advance(MINUTE)
    dead = apns_error(410, "Unregistered", timestamp=int((NOW + SECOND).timestamp() * 1000))
    first = await workshop.publish(instance, to_users("alice"))
    worker = workshop.worker(always(dead), batch_size=batch_size)

    with structlog.testing.capture_logs() as logged:
        await worker.run_until_idle()

    left = len(numbers) - len(await pruned(workshop, instance.number))
    second = await workshop.publish(instance, to_users("alice"))
    await workshop.worker(always(OK), batch_size=batch_size).run_until_idle()
    assert 1000 - FREE <= left
    assert ({"targeted": 1000, "failed": 1000}, {"targeted": left, "sent": left}) == (
        ends(await workshop.progress(instance, first)),
        ends(await workshop.progress(instance, second)),
    )
    assert (["pruning_stopped"], 1) == (
        [each["event"] for each in logged if each["log_level"] == "error"],
        workshop.metrics.pruning_stopped.labels("apns")._value.get(),  # noqa: SLF001
    )


async def stopped(workshop: Workshop, size: int) -> tuple[Instance, list[DeviceNumber]]:
    """A lane whose pruning has just been stopped, by devices all of which are still there."""
    instance, numbers = await crowd(workshop, size)
    result = await settled(workshop, instance, dict.fromkeys(numbers, gone()))
    assert "stopped" == result.turn
    return instance, numbers


async def test_pruning_goes_on_by_itself(workshop: Workshop) -> None:
    """When most of what is attempted is sent again, what is gone goes again."""
    instance, (dead, *others) = await stopped(workshop, 101)
    mended: dict[DeviceNumber, Verdict] = {dead: gone(), **dict.fromkeys(others, SENT)}

    result = await settled(workshop, instance, mended, now=NOW + MINUTE)

    assert ("resumed", {dead: "Unregistered"}) == (result.turn, result.pruned)


async def test_pruning_stays_stopped_while_the_rate_is_high(workshop: Workshop) -> None:
    """Neither time nor another worker's tally prunes anything; it is told only once."""
    instance, numbers = await stopped(workshop, 101)

    results = [
        await settled(workshop, instance, dict.fromkeys(numbers, gone()), now=NOW + after)
        for after in (MINUTE, DAY, 2 * DAY)
    ]

    assert [Pruning()] * 3 == results


async def test_an_operator_lets_pruning_go_on(workshop: Workshop) -> None:
    """By their word everything that is gone goes, for a day."""
    instance, numbers = await stopped(workshop, 101)
    async with workshop.database.write() as connection:
        count = await watches.trust(connection, instance.number, until=NOW + TRUST, now=NOW)

    result = await settled(workshop, instance, dict.fromkeys(numbers, gone()), now=NOW + MINUTE)

    async with workshop.database.read() as connection:
        still = await watches.stopped(connection, instance.number)
    assert (1, 101, []) == (count, len(result.pruned), still)


async def test_a_lane_stops_alone(workshop: Workshop) -> None:
    """What stops one lane's pruning is nothing to another instance's."""
    await stopped(workshop, 101)
    instance, device = await a_device(workshop)

    result = await settled(workshop, instance, {device: gone()})

    assert {device: "Unregistered"} == result.pruned


async def test_a_crowd_of_suspects_is_not_quarantined(workshop: Workshop) -> None:
    """A wrong bundle id refuses every device for days: all of them stay."""
    instance, numbers = await crowd(workshop, 101)

    results = [
        await settled(
            workshop, instance, dict.fromkeys(numbers, SUSPECT), publish=day, now=NOW + day * DAY
        )
        for day in range(4)
    ]

    assert ([None, None, "stopped", None], []) == (
        [each.turn for each in results],
        await pruned(workshop, instance.number),
    )


async def test_a_quarantined_device_comes_back_when_it_registers(workshop: Workshop) -> None:
    """From worker to registry: out of service after a day of refusals, back by a registration."""
    instance = await workshop.instance()
    address = apns_address()
    device = await workshop.log_in(instance, "alice", address)
    worker = workshop.worker(always(WRONG_TOPIC))
    for _ in range(3):
        workshop.clock.advance(DAY)
        await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()
    (out,) = await pruned(workshop, instance.number)

    await workshop.registry.register(instance.number, address, {})

    back = await workshop.registry.find(instance.number, device)
    assert (device, "DeviceTokenNotForTopic", True) == (
        out.id,
        out.prune and out.prune.reason,
        back is not None and back.prune is None,
    )


async def test_an_endpoint_that_is_not_public_is_suspect(workshop: Workshop) -> None:
    """Where we refuse to send, the device is suspected under our own word for it."""
    instance = await workshop.instance()
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(in_turn(EgressDenied("not public"))).run_until_idle()

    async with workshop.database.read() as connection:
        (found,) = (await suspicions.of(connection, [DeviceNumber(1)])).values()
    assert (1, "EndpointNotPublic") == (found.refusals, found.reason)


async def test_a_token_that_google_does_not_know_any_more(workshop: Workshop) -> None:
    """A device whose gateway names no time is pruned if it did not register meanwhile."""
    instance = await workshop.instance()
    device: DeviceId = await workshop.log_in(instance, "alice", fcm_address())
    async with workshop.database.read() as connection:
        number = await devices.number_of(connection, instance.number, device)
    assert number is not None

    result = await settled(
        workshop, instance, {number: gone(None)}, began_at=workshop.clock(), now=NOW + SECOND
    )

    (found,) = await pruned(workshop, instance.number)
    assert ([number], None) == (list(result.pruned), found.prune and found.prune.gone_since)


async def test_a_delivery_that_is_taken_clears_suspicion(workshop: Workshop) -> None:
    """From worker to database: refused once, then taken, and nothing is left of it."""
    instance = await workshop.instance()
    await workshop.log_in(instance, "alice", apns_address())
    worker = workshop.worker(in_turn(WRONG_TOPIC, OK))
    rows = []
    for _ in range(2):
        await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()
        rows.append(await rows_of(workshop.database, "suspicions"))

    assert [1, 0] == rows
