"""Devices by the names that their apps give them, on every engine."""

import asyncio
from collections.abc import Sequence

import pytest

from builders import (
    SECOND,
    Clock,
    Workshop,
    apns_address,
    fcm_address,
    randomness,
    rows_of,
    web_address,
)
from heliograph.catalogue import Catalogue
from heliograph.errors import TooManyDevices
from heliograph.instances import Instance
from heliograph.model import Address, DeviceNumber, Interest, Platform, Sort, UserId
from heliograph.notices import Subject, subject_of
from heliograph.registry import Registry
from heliograph.roster import Entry, Roster
from heliograph.storage import calls, devices
from heliograph.storage.database import Database
from heliograph.storage.devices import Device
from heliograph.writes import Writes

ALICE, BOB = UserId("alice"), UserId("bob")
NEWS, SPORT = Interest("news"), Interest("sport")
CROWD = 12


class Desk:
    """A roster of one instance, with all that stands around it."""

    def __init__(self, workshop: Workshop, instance: Instance, limit: int = 100) -> None:
        self.workshop = workshop
        self.instance = instance
        self.writes = Writes(
            workshop.database,
            clock=workshop.clock,
            randomness=randomness(),
            instances=workshop.instances,
            queue=workshop.queue,
        )
        self.registry = Registry(self.writes, max_devices_per_user=limit)
        self.roster = Roster(self.writes, self.registry)
        self.catalogue = Catalogue(self.writes)

    async def enter(
        self, name: str, address: Address | None = None, user: UserId | None = None
    ) -> Device:
        """Have a device in the roster."""
        address = address or apns_address()
        platform = {"ApnsAddress": Platform.IOS, "FcmAddress": Platform.ANDROID}.get(
            type(address).__name__, Platform.CHROME
        )
        entry = Entry(name, address, platform, user, {})
        return (await self.roster.enter(self.instance.number, entry))[0]

    async def find(self, name: str) -> Device | None:
        return await self.roster.find(self.instance.number, name)

    async def subscribe(self, name: str, *interests: Interest) -> None:
        for each in interests:
            await self.catalogue.declare(self.instance.number, each, "")
        await self.roster.subscribe(self.instance.number, name, interests)

    async def interests_of(self, device: Device) -> Sequence[Interest]:
        found = await self.registry.interests_page(
            self.instance.number, device.id, after="", limit=10
        )
        return found or []

    async def prune(self, device: Device) -> None:
        """Have its gateway say that it is gone."""
        async with self.workshop.database.write() as connection:
            assert await devices.prune(
                connection,
                device.number,
                reason="Gone",
                unless_registered_after=None,
                now=self.workshop.clock(),
            )

    async def told(self) -> list[Subject]:
        """What webhooks are told of, in order."""
        async with self.workshop.database.read() as connection:
            page = await calls.page(connection, self.instance.number, limit=100)
        return [subject_of(each.notice) for each in reversed(page)]


@pytest.fixture
async def desk(either_database: Database) -> Desk:
    workshop = Workshop(either_database, Clock())
    return Desk(workshop, await workshop.instance())


# --- names and addresses -------------------------------------------------------------


async def test_a_new_device_has_its_name_and_an_id_of_ours(desk: Desk) -> None:
    """Both find it; the name does so where the id was meant to."""
    made = await desk.enter("D", user=ALICE)

    assert (made, "D") == (await desk.find("D"), made.own_name)
    assert made == await desk.registry.find(desk.instance.number, made.id)
    assert made.id.startswith("apns-")


async def test_a_device_without_a_name_is_known_by_its_id(desk: Desk) -> None:
    """Registered elsewhere; entered under its own id it stays the row it is."""
    address = fcm_address()
    made = await desk.registry.register(desk.instance.number, address, {})
    found = await desk.find(made.id)
    entered = await desk.enter(made.id, address, ALICE)

    assert found is not None
    assert (found.number, made.id) == (entered.number, found.own_name)


async def test_a_known_name_moves_to_a_new_address(desk: Desk) -> None:
    """The id and the interests stay; what a gateway told of the old address goes."""
    made = await desk.enter("D", user=ALICE)
    await desk.subscribe("D", NEWS)

    moved = await desk.enter("D", user=BOB)

    assert (made.id, BOB) == (moved.id, moved.user)
    assert made.address != moved.address
    assert [NEWS] == await desk.interests_of(moved)


async def test_a_known_address_takes_a_new_name(desk: Desk) -> None:
    """The id and the interests stay; the old name leads nowhere."""
    address = web_address()
    made = await desk.enter("old", address, ALICE)
    await desk.subscribe("old", NEWS)

    renamed = await desk.enter("new", address)

    assert (made.id, None) == (renamed.id, renamed.user)
    assert await desk.find("old") is None
    assert [NEWS] == await desk.interests_of(renamed)


async def test_two_rows_that_become_one(desk: Desk) -> None:
    """The one that was asked for stays; there is one row with the address and one with the name."""
    first = await desk.enter("first")
    second = await desk.enter("second")

    merged = await desk.enter("first", second.address)

    assert first.id == merged.id
    assert await desk.find("second") is None
    assert 1 == await rows_of(desk.workshop.database, "devices")


async def test_a_name_that_comes_to_another_gateway_is_a_new_device(desk: Desk) -> None:
    """An id says how its device is reached; one that is there already goes on instead."""
    first = await desk.enter("D", user=ALICE)
    new = await desk.enter("D", fcm_address(), ALICE)
    browser = await desk.enter("E", web_address())
    again = await desk.enter("D", browser.address)

    assert ("fcm", False) == (new.id[:3], new.id == first.id)
    assert browser.id == again.id
    assert 1 == await rows_of(desk.workshop.database, "devices")


async def test_a_pruned_device_comes_back_as_a_new_one(desk: Desk) -> None:
    """With its interests, and with whoever is logged in now."""
    made = await desk.enter("D", user=ALICE)
    await desk.subscribe("D", NEWS)
    await desk.prune(made)
    missing = await desk.find("D")

    back = await desk.enter("D", made.address, BOB)

    assert missing is None
    assert (made.id, BOB, [NEWS]) == (back.id, back.user, await desk.interests_of(back))


async def test_what_is_not_said_stays(desk: Desk) -> None:
    """But for the user, who is logged out by not being named."""
    made = await desk.enter("D", user=ALICE)

    changed = await desk.roster.change(
        desk.instance.number, "D", address=None, platform=None, user=None, metadata=None
    )

    assert changed is not None
    assert (made.address, None) == (changed.address, changed.user)
    nobody = await desk.roster.change(
        desk.instance.number, "E", address=None, platform=None, user=None, metadata=None
    )
    assert nobody is None


async def test_who_has_too_many_devices_has_changed_nothing(either_database: Database) -> None:
    """Also in a transaction that is shared with others, which go through."""
    workshop = Workshop(either_database, Clock())
    desk = Desk(workshop, await workshop.instance(), limit=1)
    await desk.enter("D1", user=ALICE)
    kept = await desk.enter("D2", user=BOB)

    results = await asyncio.gather(
        desk.enter("D2", user=ALICE),
        desk.enter("D3", user=ALICE),
        desk.enter("D4"),
        return_exceptions=True,
    )

    assert [TooManyDevices, TooManyDevices, Device] == [type(each) for each in results]
    assert kept == await desk.find("D2")
    assert 3 == await rows_of(workshop.database, "devices")


async def test_a_device_that_takes_the_place_of_anothers_needs_no_further(
    either_database: Database,
) -> None:
    """Somebody who has as many as allowed may go on with another gateway, or with two in one."""
    workshop = Workshop(either_database, Clock())
    desk = Desk(workshop, await workshop.instance(), limit=1)
    await desk.enter("D", user=ALICE)

    phone = await desk.enter("D", fcm_address(), ALICE)
    await desk.enter("E", fcm_address(), BOB)
    merged = await desk.enter("E", phone.address, ALICE)

    assert (ALICE, phone.address) == (merged.user, merged.address)
    assert await desk.find("D") is None
    with pytest.raises(TooManyDevices):
        await desk.enter("F", user=ALICE)


async def test_a_device_may_be_named_as_another_is_by_us(desk: Desk) -> None:
    """Who gives the name goes before who has it for an id; the other is found by nothing else."""
    plain = await desk.registry.register(desk.instance.number, fcm_address(), {})
    named = await desk.enter(plain.id)
    found = await desk.find(plain.id)

    assert found is not None
    assert named.number == found.number


async def test_a_device_without_a_name_that_is_at_the_address(desk: Desk) -> None:
    """It gets the name, and stays what it is to whoever knows its id."""
    address = web_address()
    plain = await desk.registry.register(desk.instance.number, address, {"os": "x"})
    await desk.registry.set_interests(desk.instance.number, plain.id, [NEWS])
    await desk.registry.bind_user(desk.instance.number, plain.id, ALICE)

    named = await desk.enter("D", address, BOB)

    assert (plain.id, BOB, [NEWS]) == (named.id, named.user, await desk.interests_of(named))


async def test_what_is_struck_is_gone_with_its_interests(desk: Desk) -> None:
    """Once; a pruned device is none that could be struck."""
    made = await desk.enter("D", user=ALICE)
    pruned = await desk.enter("P")
    await desk.subscribe("D", NEWS)
    await desk.prune(pruned)

    struck = [await desk.roster.strike(desk.instance.number, each) for each in ("D", "D", "P")]

    assert [True, False, False] == struck
    assert 0 == await rows_of(desk.workshop.database, "interests")
    assert await desk.registry.find(desk.instance.number, made.id) is None


# --- interests -----------------------------------------------------------------------


async def test_interests_are_given_and_taken(desk: Desk) -> None:
    """What there is not is said; what is there already changes nothing."""
    device = await desk.enter("D")
    await desk.subscribe("D", NEWS)
    await desk.catalogue.declare(desk.instance.number, SPORT, "")
    wished = [NEWS, SPORT, SPORT, Interest("none")]

    given = await desk.roster.subscribe(desk.instance.number, "D", wished)
    taken = await desk.roster.unsubscribe(desk.instance.number, "D", [NEWS, Interest("none")])

    assert given is not None
    assert taken is not None
    assert ([SPORT], [NEWS], ["none"]) == (given.changed, given.unchanged, given.undeclared)
    assert ([NEWS], [], ["none"]) == (taken.changed, taken.unchanged, taken.undeclared)
    assert [SPORT] == await desk.interests_of(device)
    assert await desk.roster.subscribe(desk.instance.number, "nobody", [SPORT]) is None


async def test_an_interest_that_is_taken_back(desk: Desk) -> None:
    """Goes with its subscriptions, and can be declared anew."""
    device = await desk.enter("D")
    await desk.subscribe("D", NEWS, SPORT)

    gone = await desk.catalogue.take_back(desk.instance.number, NEWS)
    again = await desk.catalogue.take_back(desk.instance.number, NEWS)

    assert (True, False) == (gone, again)
    assert [SPORT] == await desk.interests_of(device)


async def test_pages_go_on_after_a_device(desk: Desk) -> None:
    """Rows that go meanwhile move nothing; the count is of all that there are."""
    made = [await desk.enter(f"D{number}") for number in range(5)]
    await desk.roster.strike(desk.instance.number, "D1")

    rows, total = await desk.roster.page(
        desk.instance.number,
        user=None,
        has_no_user=False,
        wanted=[],
        after=DeviceNumber(made[1].number),
        offset=0,
        limit=2,
    )

    assert (["D2", "D3"], 4) == ([each.own_name for each in rows], total)


# --- who is told ---------------------------------------------------------------------


async def test_webhooks_are_told_of_devices(desk: Desk) -> None:
    """In the commit in which it happened; of what changes nothing, nothing."""
    subjects = {
        Subject.REGISTERED,
        Subject.CHANGED,
        Subject.UNREGISTERED,
        Subject.SUBSCRIBED,
        Subject.UNSUBSCRIBED,
    }
    await desk.workshop.webhooks.create(
        desk.instance, "ibm", "https://hooks.example.com/", subjects=subjects
    )
    made = await desk.enter("D", user=ALICE)
    await desk.enter("D", made.address, ALICE)
    await desk.enter("D", made.address, BOB)
    await desk.subscribe("D", NEWS)
    await desk.roster.unsubscribe(desk.instance.number, "D", [NEWS, SPORT])
    await desk.roster.strike(desk.instance.number, "D")
    registered = await desk.registry.register(desk.instance.number, fcm_address(), {})
    await desk.registry.bind_user(desk.instance.number, registered.id, ALICE)
    await desk.registry.unregister(desk.instance.number, registered.id)

    assert [
        Subject.REGISTERED,
        Subject.CHANGED,
        Subject.SUBSCRIBED,
        Subject.UNSUBSCRIBED,
        Subject.UNREGISTERED,
        Subject.REGISTERED,
        Subject.CHANGED,
        Subject.UNREGISTERED,
    ] == await desk.told()


async def test_nobody_is_told_who_does_not_listen(desk: Desk) -> None:
    """Nothing is kept of what nobody wants to know."""
    await desk.workshop.webhooks.create(
        desk.instance, "beams", "https://hooks.example.com/", subjects={Subject.ENDED}
    )
    await desk.enter("D", user=ALICE)
    await desk.roster.strike(desk.instance.number, "D")

    assert [] == await desk.told()


async def test_many_interests_are_each_told_of(desk: Desk) -> None:
    """Also of more than one statement can hold."""
    await desk.workshop.webhooks.create(
        desk.instance, "ibm", "https://hooks.example.com/", subjects={Subject.SUBSCRIBED}
    )
    made = await desk.registry.register(desk.instance.number, fcm_address(), {})
    topics = [Interest(f"topic-{number}") for number in range(300)]

    await desk.registry.set_interests(desk.instance.number, made.id, topics)

    assert 300 == await rows_of(desk.workshop.database, "calls")
    assert 300 == await rows_of(desk.workshop.database, "work")


async def test_who_is_told_hears_of_work_at_once(desk: Desk) -> None:
    """A call is announced when it is committed, and not before."""
    await desk.workshop.webhooks.create(
        desk.instance, "ibm", "https://hooks.example.com/", subjects={Subject.REGISTERED}
    )
    waiting = asyncio.create_task(desk.workshop.queue.wait())
    await asyncio.sleep(0)

    await desk.enter("D")

    await asyncio.wait_for(waiting, 4)
    assert [Sort.CALL] == [each.sort for each in await desk.workshop.take(9)]


# --- at once -------------------------------------------------------------------------


@pytest.fixture
async def shared(shared_database: Database) -> Desk:
    workshop = Workshop(shared_database, Clock())
    return Desk(workshop, await workshop.instance())


async def test_a_new_name_that_comes_often_at_once_is_one_device(shared: Desk) -> None:
    """Whatever address it brings: the last one has it, and nobody fails."""
    made = await asyncio.gather(*[shared.enter("D", user=ALICE) for _ in range(CROWD)])

    assert (1, 1) == (
        len({each.id for each in made}),
        await rows_of(shared.workshop.database, "devices"),
    )


async def test_an_address_that_comes_under_many_names_at_once_is_one_device(
    shared: Desk,
) -> None:
    """One of the names has it; the others lead nowhere."""
    address = apns_address()
    names = [f"D{number}" for number in range(CROWD)]

    made = await asyncio.gather(*[shared.enter(name, address) for name in names])

    assert 1 == len({each.id for each in made})
    assert 1 == sum([await shared.find(name) is not None for name in names])


async def test_devices_that_swap_addresses_at_once(shared: Desk) -> None:
    """None waits for the other for ever, and no address is there twice."""
    for _ in range(5):
        first, second = await shared.enter("first"), await shared.enter("second")

        await asyncio.gather(
            shared.enter("first", second.address), shared.enter("second", first.address)
        )

        assert 1 <= await rows_of(shared.workshop.database, "devices") <= 2


async def test_a_device_that_is_entered_while_others_are_at_it(shared: Desk) -> None:
    """Logged in, moved, forgotten and its user deleted through other doors, all at once."""
    for _ in range(5):
        made = await shared.enter("D", fcm_address(), ALICE)
        number, registry = shared.instance.number, shared.registry
        await shared.subscribe("D", NEWS)

        results = await asyncio.gather(
            shared.enter("D", made.address, ALICE),
            shared.enter("E", made.address, BOB),
            registry.unregister(number, made.id),
            registry.move(number, made.id, fcm_address()),
            registry.set_interests(number, made.id, [SPORT]),
            registry.delete_user(number, ALICE),
            shared.roster.subscribe(number, "D", [NEWS]),
            shared.catalogue.take_back(number, NEWS),
            shared.roster.strike(number, "D"),
            return_exceptions=True,
        )

        assert [] == [each for each in results if isinstance(each, BaseException)]
        shared.workshop.clock.advance(SECOND)
