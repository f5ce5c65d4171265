"""Moving in subscriptions and declared interests: what is new is added, what is known stays."""

from typing import Any

import pytest

from builders import MINUTE, NOW, Workshop, fcm_address, rows_of
from heliograph.addresses import MOST_INTERESTS
from heliograph.instances import Instance
from heliograph.model import Interest
from heliograph.transfer import exporting
from heliograph.transfer.commits import Outcome
from heliograph.transfer.declared import Declaration
from heliograph.transfer.ibm import Subscription
from heliograph.transfer.importing import Import
from heliograph.transfer.records import Record, Reject
from heliograph.transfer.subscribing import Declaring, Subscribing


async def add_devices(workshop: Workshop, instance: Instance, *records: Record) -> None:
    mover = Import(
        workshop.database,
        instance,
        clock=workshop.clock,
        randomness=workshop.random,
        max_devices_per_user=100,
    )
    outcome = await mover.take(list(enumerate(records, start=1)))
    assert len(records) == outcome.added


async def subscribe(
    workshop: Workshop, instance: Instance, *lines: tuple[str, str] | Reject, **options: Any
) -> Outcome:
    """Take a page of pairs of device and interest."""
    page = [
        each if isinstance(each, Reject) else Subscription(each[0], Interest(each[1]))
        for each in lines
    ]
    mover = Subscribing(workshop.database, instance, clock=workshop.clock, **options)
    return await mover.take(list(enumerate(page, start=1)))


async def interests(workshop: Workshop, instance: Instance) -> dict[str | None, tuple[str, ...]]:
    """What each device subscribes to, by its name."""
    return {
        each.name: each.interests
        async for page in exporting.pages(workshop.database, instance)
        for each in page
    }


async def declared(workshop: Workshop, instance: Instance) -> list[str]:
    return [each.name for each in await exporting.declarations(workshop.database, instance)]


async def test_devices_are_subscribed(workshop: Workshop) -> None:
    """By their names; the interests are declared, without a description."""
    instance = await workshop.instance()
    await add_devices(
        workshop, instance, Record(fcm_address(), name="D-1"), Record(fcm_address(), name="D-2")
    )

    outcome = await subscribe(
        workshop, instance, ("D-1", "news"), ("D-2", "news"), ("D-1", "two words")
    )

    assert Outcome(3, 0, []) == outcome
    assert {"D-1": ("news", "two words"), "D-2": ("news",)} == await interests(workshop, instance)
    assert [
        Declaration(Interest("news"), "", NOW, NOW),
        Declaration(Interest("two words"), "", NOW, NOW),
    ] == await exporting.declarations(workshop.database, instance)


async def test_twice_changes_nothing(workshop: Workshop) -> None:
    """Within a page, or with the next import: it is known."""
    instance = await workshop.instance()
    await add_devices(workshop, instance, Record(fcm_address(), name="D-1"))

    first = await subscribe(workshop, instance, ("D-1", "news"), ("D-1", "news"))
    workshop.clock.advance(MINUTE)
    second = await subscribe(workshop, instance, ("D-1", "news"))

    assert [(1, 1), (0, 1)] == [(each.added, each.known) for each in (first, second)]
    assert {"D-1": ("news",)} == await interests(workshop, instance)
    (found,) = await exporting.declarations(workshop.database, instance)
    assert (NOW, NOW) == (found.created_at, found.changed_at)


async def test_a_device_without_a_name_is_known_by_its_id(workshop: Workshop) -> None:
    """As IBM's API knows it; a device that has a name is not known by its id any more."""
    instance = await workshop.instance()
    device = (await workshop.registry.register(instance.number, fcm_address(), {})).id
    await add_devices(workshop, instance, Record(fcm_address(), name="D-1"))
    (named,) = [
        each.id
        async for page in exporting.pages(workshop.database, instance)
        for each in page
        if each.name == "D-1"
    ]

    outcome = await subscribe(workshop, instance, (device, "news"), (str(named), "news"))

    assert (1, [2]) == (outcome.added, [each.line for each in outcome.rejects])
    assert {None: ("news",), "D-1": ()} == await interests(workshop, instance)


async def test_devices_that_are_not_there_are_told(workshop: Workshop) -> None:
    """Each with its line and its name, among those whose lines were broken."""
    instance = await workshop.instance()
    await add_devices(workshop, instance, Record(fcm_address(), name="D-1"))
    broken = Reject(2, "", "has 1 columns")

    outcome = await subscribe(
        workshop, instance, ("D-9", "news"), broken, ("D-1", "news"), ("D-8", "other")
    )

    assert (
        Outcome(
            1,
            0,
            [
                Reject(1, "D-9", "there is no such device"),
                broken,
                Reject(4, "D-8", "there is no such device"),
            ],
        )
        == outcome
    )
    assert ["news", "other"] == await declared(workshop, instance)


async def test_a_device_has_so_many_interests(workshop: Workshop) -> None:
    """One more is rejected; those that it has are known."""
    instance = await workshop.instance()
    names = tuple(Interest(f"{number:04}") for number in range(MOST_INTERESTS - 1))
    await add_devices(workshop, instance, Record(fcm_address(), name="D-1", interests=names))

    outcome = await subscribe(workshop, instance, ("D-1", "a"), ("D-1", "b"), ("D-1", "0001"))

    assert (1, 1, [(2, "a device has at most 5000 interests")]) == (
        outcome.added,
        outcome.known,
        [(each.line, each.reason) for each in outcome.rejects],
    )


async def test_other_instances_are_left_alone(workshop: Workshop) -> None:
    """A name belongs to one instance's device."""
    first, second = await workshop.instance(), await workshop.instance()
    await add_devices(workshop, first, Record(fcm_address(), name="D-1"))

    outcome = await subscribe(workshop, second, ("D-1", "news"))

    assert ([1], {"D-1": ()}) == (
        [each.line for each in outcome.rejects],
        await interests(workshop, first),
    )


async def test_a_rehearsal_keeps_nothing(workshop: Workshop) -> None:
    """Neither subscriptions nor declared interests."""
    instance = await workshop.instance()
    await add_devices(workshop, instance, Record(fcm_address(), name="D-1"))

    outcome = await subscribe(workshop, instance, ("D-1", "news"), is_rehearsal=True)

    assert 1 == outcome.added
    assert (0, 0) == (
        await rows_of(workshop.database, "interests"),
        await rows_of(workshop.database, "declared_interests"),
    )


@pytest.mark.parametrize("is_rehearsal", [False, True])
async def test_declared_interests_move_in(workshop: Workshop, *, is_rehearsal: bool) -> None:
    """The first of a name stays, and so does what is there; nothing is dated to come."""
    instance = await workshop.instance()
    news, other = Interest("news"), Interest("other")
    lines: list[Declaration | Reject] = [
        Declaration(news, "All of it", NOW - 2 * MINUTE, NOW - MINUTE),
        Declaration(news, "Something else"),
        Declaration(other, created_at=NOW + MINUTE),
        Reject(4, "", "is no JSON object"),
    ]
    mover = Declaring(workshop.database, instance, clock=workshop.clock, is_rehearsal=is_rehearsal)

    outcomes = [await mover.take(list(enumerate(lines, start=1))) for _ in range(2)]

    again = 2 if is_rehearsal else 0
    assert [(2, 1, 1), (again, 3 - again, 1)] == [
        (each.added, each.known, len(each.rejects)) for each in outcomes
    ]
    found = await exporting.declarations(workshop.database, instance)
    kept = [lines[0], Declaration(other, "", NOW, NOW)]
    assert ([] if is_rehearsal else kept) == list(found)
