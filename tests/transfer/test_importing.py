"""Moving in: what is new is added, what is known is added to, what contradicts is rejected."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from builders import (
    MINUTE,
    NOW,
    Clock,
    Workshop,
    apns_address,
    fcm_address,
    in_one_database,
    rows_of,
    web_address,
)
from heliograph.instances import Instance
from heliograph.model import Address, DeviceId, DeviceNumber, Interest, Platform, UserId
from heliograph.storage import devices, users
from heliograph.storage.database import Database
from heliograph.transfer import exporting
from heliograph.transfer.commits import Outcome
from heliograph.transfer.importing import Import
from heliograph.transfer.records import Record, Reject
from heliograph.wire.jws import base64url

NOBODY: Final = DeviceNumber(0)


def mover(workshop: Workshop, instance: Instance, **options: Any) -> Import:
    return Import(
        workshop.database,
        instance,
        clock=workshop.clock,
        randomness=workshop.random,
        **{"max_devices_per_user": 100} | options,
    )


async def take(
    workshop: Workshop, instance: Instance, *records: Record | Reject, **options: Any
) -> Outcome:
    return await mover(workshop, instance, **options).take(list(enumerate(records, start=1)))


async def everything(workshop: Workshop, instance: Instance) -> list[Record]:
    """What moving out finds."""
    return [each async for page in exporting.pages(workshop.database, instance) for each in page]


def a_record(
    address: Address | None = None, user: str | None = None, *interests: str, **more: Any
) -> Record:
    return Record(
        address=address or apns_address(),
        user=None if user is None else UserId(user),
        interests=tuple(map(Interest, interests)),
        **more,
    )


async def test_what_moves_in_is_as_it_was(workshop: Workshop) -> None:
    """With its id, its person, its interests, its data, and when it was last heard of."""
    instance = await workshop.instance()
    phone = a_record(
        apns_address("ab", topic="com.example.app"),
        "alice",
        "news",
        "sports",
        id=DeviceId("apns-1"),
        metadata={"sdkVersion": "4.0.0"},
        registered_at=NOW - MINUTE,
        name="D-1",
        platform=Platform.SAFARI,
    )
    tablet = a_record(fcm_address(), "alice", id=DeviceId("fcm-1"))

    outcome = await take(workshop, instance, phone, tablet)

    assert Outcome(2, 0, []) == outcome
    assert [phone, replace(tablet, registered_at=NOW)] == await everything(workshop, instance)
    found = await workshop.registry.find(instance.number, DeviceId("apns-1"))
    assert found is not None
    assert ("alice", ["news", "sports"]) == (
        found.user,
        await workshop.registry.interests_page(instance.number, found.id, after="", limit=9),
    )


async def test_an_id_is_made_up(workshop: Workshop) -> None:
    """As a registration would: by gateway."""
    instance = await workshop.instance()

    await take(workshop, instance, a_record(fcm_address()))

    (made,) = await everything(workshop, instance)
    assert made.id is not None
    assert made.id.startswith("fcm-")


async def test_to_move_in_twice_changes_nothing(workshop: Workshop) -> None:
    """An import that was killed is repeated: what it had done is known."""
    instance = await workshop.instance()
    records = [
        a_record(None, f"user-{each}", "a", id=DeviceId(f"apns-{each}")) for each in range(3)
    ]

    first = await take(workshop, instance, *records)
    before = await everything(workshop, instance)
    second = await take(workshop, instance, *records)

    assert [(3, 0), (0, 3)] == [(each.added, each.known) for each in (first, second)]
    assert before == await everything(workshop, instance)


async def test_what_is_known_is_added_to(workshop: Workshop) -> None:
    """Interests are joined; a person is logged in where nobody is; the rest stays."""
    instance = await workshop.instance()
    address = apns_address()
    registered = await workshop.registry.register(instance.number, address, {"a": 1})
    await workshop.registry.set_interests(instance.number, registered.id, [Interest("old")])

    outcome = await take(workshop, instance, a_record(address, "alice", "new"))

    (found,) = await everything(workshop, instance)
    assert (0, 1) == (outcome.added, outcome.known)
    assert (registered.id, "alice", ("new", "old"), {"a": 1}) == (
        found.id,
        found.user,
        found.interests,
        found.metadata,
    )


async def test_a_device_that_is_known_gets_its_name(workshop: Workshop) -> None:
    """And its platform, where it had none; one that has them keeps them."""
    instance = await workshop.instance()
    address = apns_address()
    device = await workshop.log_in(instance, "alice", address)

    first = await take(workshop, instance, a_record(address, name="D-1", platform=Platform.SAFARI))
    second = await take(workshop, instance, a_record(address, platform=Platform.IOS))

    (found,) = await everything(workshop, instance)
    assert (1, 1) == (first.known, second.known)
    assert (device, "alice", "D-1", Platform.SAFARI) == (
        found.id,
        found.user,
        found.name,
        found.platform,
    )


async def test_what_has_no_date_gets_the_one_that_is_given(workshop: Workshop) -> None:
    """A file may be old: what gateways have said since then counts."""
    instance = await workshop.instance()
    dated = a_record(registered_at=NOW - 2 * MINUTE)

    await take(workshop, instance, dated, a_record(), registered_at=NOW - MINUTE)

    assert [NOW - 2 * MINUTE, NOW - MINUTE] == [
        each.registered_at for each in await everything(workshop, instance)
    ]


@pytest.mark.parametrize("user", ["alice", None])
async def test_a_pruned_device_comes_back(workshop: Workshop, user: str | None) -> None:
    """As one that registers again does, without who was logged in."""
    instance = await workshop.instance()
    address = apns_address()
    device = await workshop.log_in(instance, "bob", address)
    async with workshop.database.write() as connection:
        number = await devices.number_of(connection, instance.number, device)
        assert number is not None
        await devices.prune(
            connection, number, reason="Unregistered", unless_registered_after=None, now=NOW
        )

    await take(workshop, instance, a_record(address, user))

    (found,) = await everything(workshop, instance)
    assert (device, user) == (found.id, found.user)


@pytest.mark.parametrize("case", ["address", "id", "user", "limit", "called", "name"])
async def test_what_contradicts_is_rejected(workshop: Workshop, case: str) -> None:
    """And changes nothing, while the others of its page move in."""
    instance = await workshop.instance()
    address = apns_address()
    device = await workshop.log_in(instance, "alice", address)
    await take(workshop, instance, a_record(address, name="D-1"))
    before = await everything(workshop, instance)
    record, reason = {
        "address": (
            a_record(address, id=DeviceId("apns-other")),
            f"its address belongs to the device {device}",
        ),
        "id": (a_record(id=device), "its id belongs to a device with another address"),
        "user": (a_record(address, "bob"), "somebody else is logged in on this device"),
        "limit": (a_record(None, "alice"), "its user has 1 devices already"),
        "called": (a_record(address, name="D-2"), "its address belongs to the device D-1"),
        "name": (a_record(name="D-1"), "its name belongs to a device with another address"),
    }[case]
    good = a_record(fcm_address(), id=DeviceId("fcm-good"))

    outcome = await take(workshop, instance, record, good, max_devices_per_user=1)

    assert Outcome(1, 0, [Reject(1, record.id or record.name or "", reason)]) == outcome
    assert [*before, replace(good, registered_at=NOW)] == await everything(workshop, instance)


async def test_nobody_is_made_of_whom_nothing_is_kept(workshop: Workshop) -> None:
    """A person whose only record is rejected is not known afterwards."""
    instance = await workshop.instance()
    address = apns_address()
    await workshop.log_in(instance, "alice", address)

    outcome = await take(workshop, instance, a_record(address, "bob"))

    assert (1, 1) == (len(outcome.rejects), await rows_of(workshop.database, "users"))


async def test_nothing_has_registered_in_the_future(workshop: Workshop) -> None:
    """It would not be pruned until then."""
    instance = await workshop.instance()

    await take(workshop, instance, a_record(registered_at=NOW + MINUTE))

    assert [NOW] == [each.registered_at for each in await everything(workshop, instance)]


async def test_who_logs_in_meanwhile_stays_logged_in(shared_database: Database) -> None:
    """On PostgreSQL an import waits for who changes a device, and then sees what has become."""
    workshop = Workshop(shared_database, Clock())
    instance = await workshop.instance()
    address = apns_address()
    await workshop.registry.register(instance.number, address, {})
    async with shared_database.write() as connection:
        (device,) = await devices.walk(connection, instance.number, after=NOBODY, limit=1)
        alice = await users.obtain(connection, instance.number, UserId("alice"), now=NOW)
        await devices.change(connection, device.number, user_number=alice)
        importing = asyncio.create_task(take(workshop, instance, a_record(address, "bob")))
        await somebody_waits(shared_database)

    outcome = await importing

    assert ["somebody else is logged in on this device"] == [e.reason for e in outcome.rejects]
    assert ["alice"] == [each.user for each in await everything(workshop, instance)]


async def somebody_waits(database: Database) -> None:
    """Until a transaction of this database waits for a lock of another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while True:
            async with database.read() as connection:
                if await connection.scalar(waiting):
                    return
            await asyncio.sleep(0.01)


async def test_a_person_has_so_many_devices_in_one_page_too(workshop: Workshop) -> None:
    """The first ones move in."""
    instance = await workshop.instance()

    outcome = await take(
        workshop, instance, *[a_record(None, "alice") for _ in range(4)], max_devices_per_user=3
    )

    assert (3, [4]) == (outcome.added, [each.line for each in outcome.rejects])


async def test_a_device_that_stands_in_a_file_twice(workshop: Workshop) -> None:
    """The second adds to the first, or contradicts it, in the order of the file."""
    instance = await workshop.instance()
    address = apns_address()

    outcome = await take(
        workshop,
        instance,
        a_record(address, "alice", "a", id=DeviceId("apns-1")),
        a_record(address, "alice", "b"),
        a_record(address, "bob"),
        a_record(id=DeviceId("apns-1")),
        a_record(address, name="D-1"),
        a_record(name="D-1"),
    )

    (found,) = await everything(workshop, instance)
    assert (1, 2, [3, 4, 6]) == (
        outcome.added,
        outcome.known,
        [each.line for each in outcome.rejects],
    )
    assert ("a", "b") == found.interests


async def test_a_browser_needs_the_key_that_it_subscribed_with(workshop: Workshop) -> None:
    """In its line, or named for all; another key is not this instance's."""
    instance = await workshop.instance()
    own = base64url(instance.vapid.public_key)
    named, unnamed, strange = (
        a_record(web_address(), vapid_public_key=key) for key in (own, None, "BAAA")
    )

    without = await take(workshop, instance, named, unnamed, strange)
    given = await take(workshop, instance, unnamed, vapid_public_key=own)

    assert (1, 1) == (without.added, given.added)
    assert [
        (2, "it subscribes again at its next visit"),
        (3, "this instance has no such VAPID key"),
    ] == [
        (each.line, each.reason[-len(text) :])
        for each, text in zip(
            without.rejects,
            ("it subscribes again at its next visit", "this instance has no such VAPID key"),
            strict=True,
        )
    ]
    assert {own} == {each.vapid_public_key for each in await everything(workshop, instance)}


async def test_a_browser_that_subscribed_without_a_key(workshop: Workshop) -> None:
    """Mozilla says so in the endpoint: anybody may send, so that the current key will do."""
    instance = await workshop.instance()
    unbound, bound = (
        a_record(web_address(f"https://updates.push.services.mozilla.com/wpush/v{each}/gAAA"))
        for each in (1, 2)
    )

    outcome = await take(workshop, instance, unbound, bound)

    (found,) = await everything(workshop, instance)
    assert (1, [2]) == (outcome.added, [each.line for each in outcome.rejects])
    assert base64url(instance.vapid.public_key) == found.vapid_public_key


async def test_a_rehearsal_keeps_nothing(workshop: Workshop) -> None:
    """It says what would become of each, and there is nothing more than before."""
    instance = await workshop.instance()

    outcome = await take(
        workshop, instance, a_record(None, "alice"), Reject(2, "", "x"), is_rehearsal=True
    )

    assert (1, 1) == (outcome.added, len(outcome.rejects))
    assert (0, 0) == (
        await rows_of(workshop.database, "devices"),
        await rows_of(workshop.database, "users"),
    )


async def test_other_instances_are_left_alone(workshop: Workshop) -> None:
    """The same address and the same id may be there in each."""
    first, second = await workshop.instance(), await workshop.instance()
    record = a_record(None, "alice", "a", id=DeviceId("apns-1"))

    for instance in (first, second):
        assert 1 == (await take(workshop, instance, record)).added

    for instance in (first, second):
        assert [replace(record, registered_at=NOW)] == await everything(workshop, instance)


async def test_what_has_moved_in_is_reached(workshop: Workshop) -> None:
    """A publish to the person addresses the device like any other."""
    instance = await workshop.instance()
    await take(workshop, instance, a_record(None, "alice"))
    await take(workshop, instance, a_record(None, "bob", "news"))

    async with workshop.database.read() as connection:
        counts = await devices.count(connection, instance.number)

    assert 2 == counts


crowd = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 5),
        st.sampled_from(["alice", "bob", None]),
        st.sampled_from(["D-1", "D-2", None]),
    ),
    max_size=12,
)


@in_one_database
@given(crowd=crowd)
async def test_every_line_has_one_end(
    workshop: Workshop, crowd: Sequence[tuple[int, int, str | None, str | None]]
) -> None:
    """However lines contradict each other: added, known or rejected; names and ids stay one's."""
    instance = await workshop.instance()
    records = [
        a_record(fcm_address(f"token-{token}"), user, id=DeviceId(f"fcm-{number}"), name=name)
        for token, number, user, name in crowd
    ]

    outcome = await take(workshop, instance, *records)

    found = await everything(workshop, instance)
    assert len(crowd) == outcome.added + outcome.known + len(outcome.rejects)
    assert outcome.added == len(found)
    assert len(found) == len({each.id for each in found}) == len({each.address for each in found})
