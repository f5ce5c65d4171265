"""The ledger: publishes by the names that their callers were given."""

import asyncio

import pytest

from builders import (
    EVERYTHING,
    Workshop,
    always,
    apns_address,
    ends,
    rows_of,
    to_users,
)
from heliograph.errors import NameTaken
from heliograph.instances import Instance
from heliograph.model import DeviceNumber, PublishId, ToMatching, UserId
from heliograph.pipeline.ledger import Ledger
from heliograph.storage.requests import Asked
from heliograph.wire.http import HttpResponse

OK = HttpResponse(200)


def ledger_of(workshop: Workshop) -> Ledger:
    return Ledger(workshop.database, workshop.metrics, clock=workshop.clock)


async def publish(workshop: Workshop, instance: Instance, name: str) -> PublishId:
    """A publish to alice that has a name."""
    return await workshop.accept.accept(
        instance,
        workshop.accept.new_id(),
        to_users("alice"),
        EVERYTHING,
        asked=Asked(name, f'{{"name": "{name}"}}'.encode()),
    )


async def test_a_publish_is_found_by_its_name(workshop: Workshop) -> None:
    """With what was asked for, and how far it has come; in its instance only."""
    instance, other = await workshop.instance(), await workshop.instance()
    await workshop.log_in(instance, "alice", apns_address())
    ledger = ledger_of(workshop)
    identity = await publish(workshop, instance, "one")
    await workshop.worker(always(OK)).run_until_idle()

    found = await ledger.find(instance.number, "one")

    assert found is not None
    assert (identity, b'{"name": "one"}') == (found.request.id, found.request.body)
    assert {"targeted": 1, "sent": 1} == ends(found.progress)
    assert await ledger.find(other.number, "one") is None


async def test_a_name_is_given_once(workshop: Workshop) -> None:
    """Of two that come with one name the second leaves nothing; in another instance it is free."""
    instance, other = await workshop.instance(), await workshop.instance()
    await publish(workshop, instance, "one")

    with pytest.raises(NameTaken):
        await publish(workshop, instance, "one")
    await publish(workshop, other, "one")

    assert (2, 2, 2) == (
        await rows_of(workshop.database, "publishes"),
        await rows_of(workshop.database, "requests"),
        await rows_of(workshop.database, "work"),
    )


async def test_of_many_of_one_name_at_once_one_is_made(workshop: Workshop) -> None:
    """In one commit or in several; those beside them go through."""
    instance = await workshop.instance()

    results = await asyncio.gather(
        *[publish(workshop, instance, "same") for _ in range(8)],
        *[publish(workshop, instance, f"other{number}") for number in range(4)],
        return_exceptions=True,
    )

    taken = [each for each in results if isinstance(each, NameTaken)]
    made = [each for each in results if isinstance(each, str)]
    assert (7, 5) == (len(taken), len(made))
    assert (5, 5, 5) == (
        await rows_of(workshop.database, "publishes"),
        await rows_of(workshop.database, "requests"),
        await rows_of(workshop.database, "work"),
    )


async def test_the_latest_stand_first(workshop: Workshop) -> None:
    """In pages, with a count of all."""
    instance, ledger = await workshop.instance(), ledger_of(workshop)
    for name in ("one", "two", "three"):
        await publish(workshop, instance, name)

    rows, total = await ledger.page(instance.number, offset=1, limit=5)
    some = await ledger.find_all(instance.number, ["three", "none", "one"])

    assert (["two", "one"], 3) == ([each.name for each in rows], total)
    assert ["three", "one"] == [each.name for each in some]


async def test_what_is_struck_is_not_sent_any_more(workshop: Workshop) -> None:
    """The name leads nowhere, and what had not begun is cancelled; its counts stay."""
    instance, ledger = await workshop.instance(), ledger_of(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    identity = await publish(workshop, instance, "one")
    client = always(OK)

    struck = await ledger.strike(instance.number, "one")
    again = await ledger.strike(instance.number, "one")
    await workshop.worker(client).run_until_idle()

    assert (True, False, []) == (struck, again, client.sent)
    assert await ledger.find(instance.number, "one") is None
    assert (await workshop.progress(instance, identity)).cancelled_at is not None


async def test_whether_anybody_is_addressed(workshop: Workshop) -> None:
    """Now, by whatever the target names."""
    instance, ledger = await workshop.instance(), ledger_of(workshop)
    await workshop.log_in(instance, "alice", apns_address())

    assert await ledger.is_anybody(instance.number, ToMatching())
    assert await ledger.is_anybody(instance.number, to_users("alice"))
    assert not await ledger.is_anybody(instance.number, to_users("bob"))
    nobody = ToMatching(devices=(), users=(UserId("alice"),))
    assert not await ledger.is_anybody(instance.number, nobody)


async def test_the_fate_of_a_publish_on_a_device(workshop: Workshop) -> None:
    """What was tried, and what the device said; nothing of one that was not addressed."""
    instance, ledger = await workshop.instance(), ledger_of(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await publish(workshop, instance, "one")
    await workshop.worker(always(OK)).run_until_idle()
    page = await workshop.registry.page(
        instance.number, user=UserId("alice"), after=DeviceNumber(0), limit=1
    )
    numbers = [page[0].number, DeviceNumber(page[0].number + 100)]

    told = await ledger.fates(instance.number, "one", numbers)
    missing = await ledger.fates(instance.number, "two", numbers)

    assert missing is None
    assert told is not None
    assert ["sent"] == [each.result for each in told[1][numbers[0]].attempts]
    assert ([], None) == (
        list(told[1][numbers[1]].attempts),
        told[1][numbers[1]].heard,
    )
