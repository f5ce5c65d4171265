"""The rules of devices, users and interests that every dialect shares."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from builders import (
    NOW,
    SECOND,
    Clock,
    add_instance,
    apns_address,
    database_in,
    fcm_address,
    randomness,
    rows_of,
    web_address,
)
from heliograph.addresses import MOST_INTERESTS
from heliograph.errors import InvalidInput, TooManyDevices, UserTaken
from heliograph.model import (
    Address,
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    UserId,
    VapidKeyNumber,
    WebAddress,
)
from heliograph.registry import Registry
from heliograph.storage import devices, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.devices import Device
from heliograph.writes import Writes

OURS, THEIRS = InstanceNumber(1), InstanceNumber(2)
ALICE, BOB = UserId("alice"), UserId("bob")
NEWS, SPORT = Interest("news"), Interest("sport")
NOBODY = DeviceId("apns-00000000-0000-7000-8000-000000000000")
FIRST_KEY = VapidKeyNumber(1)
"""Our only VAPID pair; theirs is the second."""
LIMIT = 3


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_in(tmp_path) as opened:
        async with opened.write() as connection:
            assert [OURS, THEIRS] == [await add_instance(connection, each) for each in (1, 2)]
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(database: Database, clock: Clock) -> Registry:
    return Registry(
        Writes(database, clock=clock, randomness=randomness()), max_devices_per_user=LIMIT
    )


async def new_device(
    registry: Registry, address: Address | None = None, *, instance: InstanceNumber = OURS
) -> DeviceId:
    return (await registry.register(instance, address or apns_address(), {})).id


async def found(registry: Registry, device: DeviceId) -> Device:
    read = await registry.find(OURS, device)
    assert read is not None
    return read


async def owner(registry: Registry, device: DeviceId) -> str | None:
    return (await found(registry, device)).user


async def subscribed(registry: Registry, device: DeviceId) -> list[str]:
    names = await registry.interests_page(OURS, device, after="", limit=10_000)
    assert names is not None
    return list(names)


# --- registering ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "address, gateway",
    [(apns_address(), "apns"), (fcm_address(), "fcm"), (web_address(vapid_key=FIRST_KEY), "web")],
    ids=["apns", "fcm", "web"],
)
async def test_a_new_address_is_a_new_device(
    registry: Registry, address: Address, gateway: str
) -> None:
    """It has an id that names its gateway, no interests, and nobody logged in."""
    registration = await registry.register(OURS, address, {"sdkVersion": "1"})

    device = await found(registry, registration.id)
    prefix, _, unique = registration.id.partition("-")
    assert (gateway, 7, []) == (prefix, UUID(unique).version, registration.interests)
    assert (address, None, {"sdkVersion": "1"}) == (device.address, device.user, device.metadata)


async def test_a_known_address_keeps_its_device(registry: Registry, clock: Clock) -> None:
    """Registering again finds the device that was there, with its interests and its user."""
    address = apns_address()
    first = await registry.register(OURS, address, {"a": 1})
    await registry.set_interests(OURS, first.id, [NEWS, SPORT])
    await registry.bind_user(OURS, first.id, ALICE)
    clock.advance(SECOND)

    again = await registry.register(OURS, address, {"b": 2})

    device = await found(registry, again.id)
    assert (first.id, [NEWS, SPORT]) == (again.id, again.interests)
    assert (ALICE, {"b": 2}, NOW, NOW + SECOND) == (
        device.user,
        device.metadata,
        device.created_at,
        device.registered_at,
    )


async def test_a_browser_may_come_back_with_other_keys(registry: Registry) -> None:
    """A known endpoint keeps its device, and is reached with the keys it has now."""
    first = await new_device(registry, WebAddress("https://push.example.com/1", b"p", b"a"))
    address = WebAddress("https://push.example.com/1", b"q", b"b")

    again = await new_device(registry, address)

    bound = replace(address, vapid_key=FIRST_KEY)
    assert (first, bound) == (again, (await found(registry, again)).address)


async def new_key(database: Database) -> VapidKeyNumber:
    """Another VAPID pair of ours, which is the current one from now on."""
    async with database.write() as connection:
        return await vapid_keys.add(connection, OURS, public_key=b"", private_key=b"", now=NOW)


async def key_of(registry: Registry, device: DeviceId) -> VapidKeyNumber | None:
    address = (await found(registry, device)).address
    assert isinstance(address, WebAddress)
    return address.vapid_key


async def test_a_browser_is_bound_to_the_current_key(
    registry: Registry, database: Database
) -> None:
    """Each subscription belongs to the VAPID pair that was the newest when it registered."""
    before = await new_device(registry, web_address())
    second = await new_key(database)
    after = await new_device(registry, web_address())

    assert (FIRST_KEY, second) == (await key_of(registry, before), await key_of(registry, after))


@pytest.mark.parametrize(
    "keys, is_new",
    [((b"p", b"a"), False), ((b"q", b"a"), True), ((b"p", b"b"), True)],
    ids=["same", "p256dh", "auth"],
)
async def test_a_subscription_keeps_its_key_while_it_is_the_same(
    registry: Registry, database: Database, keys: tuple[bytes, bytes], is_new: bool
) -> None:
    """Registering again after a rotation rebinds only what was subscribed anew: other keys."""
    endpoint = "https://push.example.com/1"
    device = await new_device(registry, WebAddress(endpoint, b"p", b"a"))
    second = await new_key(database)

    again = await new_device(registry, WebAddress(endpoint, *keys))

    expected = second if is_new else FIRST_KEY
    assert (device, expected) == (again, await key_of(registry, again))


async def test_a_pruned_browser_comes_back_with_its_key(
    registry: Registry, database: Database
) -> None:
    """A subscription that was thought dead is still bound as it always was."""
    address = web_address()
    device = await new_device(registry, address)
    number = (await found(registry, device)).number
    await new_key(database)
    async with database.write() as connection:
        await devices.prune(
            connection, number, reason="Gone", unless_registered_after=None, now=NOW
        )

    await new_device(registry, address)

    assert FIRST_KEY == await key_of(registry, device)


@pytest.mark.parametrize("is_same", [True, False])
async def test_a_moved_browser_is_bound_to_the_current_key(
    registry: Registry, database: Database, is_same: bool
) -> None:
    """Another endpoint is another subscription; the same one given again is not."""
    address = web_address()
    device = await new_device(registry, address)
    second = await new_key(database)

    await registry.move(OURS, device, address if is_same else web_address())

    assert (FIRST_KEY if is_same else second) == await key_of(registry, device)


async def test_one_address_in_two_instances_is_two_devices(registry: Registry) -> None:
    """Instances know nothing of each other."""
    address = apns_address()
    ours = await new_device(registry, address)
    theirs = await new_device(registry, address, instance=THEIRS)

    assert (False, None) == (ours == theirs, await registry.find(OURS, theirs))


async def test_a_pruned_device_comes_back_without_its_user(
    registry: Registry, database: Database
) -> None:
    """Its id and interests are as they were; who is logged in has to be said again."""
    address = apns_address()
    device = await new_device(registry, address)
    await registry.add_interest(OURS, device, NEWS)
    await registry.bind_user(OURS, device, ALICE)
    number = (await found(registry, device)).number
    async with database.write() as connection:
        await devices.prune(
            connection, number, reason="Gone", unless_registered_after=None, now=NOW
        )
    gone = await registry.find(OURS, device)

    again = await registry.register(OURS, address, {})

    assert (None, device, [NEWS], None) == (
        gone,
        again.id,
        again.interests,
        await owner(registry, device),
    )


async def test_an_unregistered_device_is_forgotten(registry: Registry, database: Database) -> None:
    """With it go its interests; its address is then a new device."""
    address = apns_address()
    device = await new_device(registry, address)
    await registry.add_interest(OURS, device, NEWS)

    answers = [await registry.unregister(OURS, device) for _ in range(2)]

    assert ([True, False], None, 0) == (
        answers,
        await registry.find(OURS, device),
        await rows_of(database, "interests"),
    )
    assert device != await new_device(registry, address)


async def test_metadata_is_replaced(registry: Registry) -> None:
    """What a device says about itself last is what is kept."""
    device = await new_device(registry)
    await registry.set_metadata(OURS, device, {"a": 1, "b": 2})
    await registry.set_metadata(OURS, device, {"b": 3})

    assert {"b": 3} == (await found(registry, device)).metadata


# --- moving --------------------------------------------------------------------------


async def test_a_device_takes_everything_along_to_its_new_address(
    registry: Registry, clock: Clock
) -> None:
    """A device that was handed a new token keeps its id, its user and its interests."""
    device = await new_device(registry, fcm_address("old"))
    await registry.bind_user(OURS, device, ALICE)
    await registry.add_interest(OURS, device, NEWS)
    clock.advance(SECOND)

    moved = await registry.move(OURS, device, fcm_address("new"))

    again = await registry.register(OURS, fcm_address("new"), {})
    assert (True, device, [NEWS], ALICE) == (
        moved,
        again.id,
        again.interests,
        await owner(registry, device),
    )


async def test_who_held_the_address_before_gives_way(registry: Registry) -> None:
    """An address is one device: of two that claim it, the one that has it now is left."""
    device = await new_device(registry, fcm_address("old"))
    holder = await new_device(registry, fcm_address("new"))

    await registry.move(OURS, device, fcm_address("new"))

    assert (None, device) == (
        await registry.find(OURS, holder),
        await new_device(registry, fcm_address("new")),
    )


async def test_a_device_that_stays_where_it_is_stays(registry: Registry) -> None:
    """Moving to the address one has already changes nothing."""
    device = await new_device(registry, fcm_address("same"))

    assert (True, device) == (
        await registry.move(OURS, device, fcm_address("same")),
        await new_device(registry, fcm_address("same")),
    )


# --- users ---------------------------------------------------------------------------


async def test_a_person_logs_in(registry: Registry) -> None:
    """The device is theirs then, and saying so again changes nothing."""
    device = await new_device(registry)

    answers = [await registry.bind_user(OURS, device, ALICE) for _ in range(2)]

    assert ([True, True], ALICE) == (answers, await owner(registry, device))


async def test_nobody_takes_over_anothers_device(registry: Registry) -> None:
    """Whoever is logged in stays so until the device is cleared."""
    device = await new_device(registry)
    await registry.bind_user(OURS, device, ALICE)

    with pytest.raises(UserTaken):
        await registry.bind_user(OURS, device, BOB)
    assert ALICE == await owner(registry, device)


async def test_a_person_has_so_many_devices_at_most(registry: Registry, database: Database) -> None:
    """One more is refused and leaves no trace; the ones there are go on working."""
    several = [await new_device(registry) for _ in range(LIMIT)]
    for device in several:
        await registry.bind_user(OURS, device, ALICE)
    one_more = await new_device(registry)

    with pytest.raises(TooManyDevices) as caught:
        await registry.bind_user(OURS, one_more, ALICE)

    assert (LIMIT, None, 1) == (
        caught.value.limit,
        await owner(registry, one_more),
        await rows_of(database, "users"),
    )
    assert await registry.bind_user(OURS, several[0], ALICE)


async def test_a_device_that_is_gone_makes_room(registry: Registry) -> None:
    """The limit counts the devices that a person has now."""
    several = [await new_device(registry) for _ in range(LIMIT + 1)]
    for device in several[:-1]:
        await registry.bind_user(OURS, device, ALICE)
    await registry.unregister(OURS, several[0])

    assert await registry.bind_user(OURS, several[-1], ALICE)


async def test_the_limit_is_each_persons_own(registry: Registry) -> None:
    """Neither another person nor the same name in another instance fills it."""
    for _ in range(LIMIT):
        await registry.bind_user(OURS, await new_device(registry), ALICE)
    bobs = await new_device(registry)
    theirs = await new_device(registry, instance=THEIRS)

    assert (True, True) == (
        await registry.bind_user(OURS, bobs, BOB),
        await registry.bind_user(THEIRS, theirs, ALICE),
    )


async def test_forgetting_a_person_forgets_their_devices(registry: Registry) -> None:
    """All of them, once, and nobody else's."""
    alices = [await new_device(registry) for _ in range(2)]
    bobs, nobodys = await new_device(registry), await new_device(registry)
    for device, user in ((alices[0], ALICE), (alices[1], ALICE), (bobs, BOB)):
        await registry.bind_user(OURS, device, user)

    removed = [await registry.delete_user(OURS, ALICE) for _ in range(2)]

    left = await registry.page(OURS, user=None, after=DeviceNumber(0), limit=10)
    assert ([2, 0], [bobs, nobodys]) == (removed, [device.id for device in left])


async def test_devices_are_paged_and_of_one_user_if_asked(registry: Registry) -> None:
    """A page holds so many devices at most, in the order they were made."""
    made = [await new_device(registry) for _ in range(3)]
    await registry.bind_user(OURS, made[1], ALICE)
    first = await registry.page(OURS, user=None, after=DeviceNumber(0), limit=2)
    rest = await registry.page(OURS, user=None, after=first[-1].number, limit=2)
    alices = await registry.page(OURS, user=ALICE, after=DeviceNumber(0), limit=2)

    assert (made[:2], made[2:], [made[1]]) == tuple(
        [device.id for device in page] for page in (first, rest, alices)
    )


# --- interests -----------------------------------------------------------------------


async def test_a_devices_interests_are_replaced(registry: Registry) -> None:
    """The set that a device wants is the set it has: no more, no fewer, each once."""
    device = await new_device(registry)
    await registry.set_interests(OURS, device, [NEWS, SPORT])

    answer = await registry.set_interests(OURS, device, [SPORT, SPORT, Interest("a")])

    assert (True, ["a", "sport"]) == (answer, await subscribed(registry, device))


async def test_interests_come_and_go_one_by_one(registry: Registry) -> None:
    """Having one already, or not having it, is no matter."""
    device = await new_device(registry)
    for name in (NEWS, SPORT, NEWS):
        await registry.add_interest(OURS, device, name)
    for name in (SPORT, SPORT):
        await registry.remove_interest(OURS, device, name)

    assert [NEWS] == await subscribed(registry, device)


async def test_interests_are_paged(registry: Registry) -> None:
    """A page begins after a name and holds so many at most, in ascending order."""
    device = await new_device(registry)
    await registry.set_interests(OURS, device, [Interest(name) for name in "dbca"])

    assert ["c", "d"] == await registry.interests_page(OURS, device, after="b", limit=2)


async def test_a_device_has_so_many_interests_at_most(registry: Registry) -> None:
    """One more is refused, however it comes, and what was there stays."""
    device = await new_device(registry)
    most = [Interest(f"i{number}") for number in range(MOST_INTERESTS)]
    await registry.set_interests(OURS, device, most)

    with pytest.raises(InvalidInput, match="at most 5000") as added:
        await registry.add_interest(OURS, device, NEWS)
    with pytest.raises(InvalidInput, match="at most 5000"):
        await registry.set_interests(OURS, device, [*most, NEWS])

    assert ("interests", MOST_INTERESTS) == (
        added.value.field,
        len(await subscribed(registry, device)),
    )
    assert await registry.add_interest(OURS, device, most[0])


# --- what is not there ---------------------------------------------------------------


async def test_of_a_device_that_is_not_there_nothing_is_done(registry: Registry) -> None:
    """Not found is an answer, for every verb, and for another instance's device too."""
    theirs = await new_device(registry, instance=THEIRS)
    answers = [
        answer
        for device in (NOBODY, theirs)
        for answer in (
            await registry.unregister(OURS, device),
            await registry.set_metadata(OURS, device, {}),
            await registry.move(OURS, device, fcm_address()),
            await registry.bind_user(OURS, device, ALICE),
            await registry.set_interests(OURS, device, [NEWS]),
            await registry.add_interest(OURS, device, NEWS),
            await registry.remove_interest(OURS, device, NEWS),
            await registry.interests_page(OURS, device, after="", limit=1) is not None,
        )
    ]

    assert ({False}, True) == (set(answers), await registry.unregister(THEIRS, theirs))


# --- restoring -----------------------------------------------------------------------


async def prune(database: Database, device: DeviceId) -> None:
    async with database.write() as connection:
        number = await devices.number_of(connection, OURS, device)
        assert number is not None
        assert await devices.prune(
            connection, number, reason="Unregistered", unless_registered_after=None, now=NOW
        )


async def test_a_pruned_device_is_restored_without_its_user(
    registry: Registry, database: Database
) -> None:
    """It is found again with its interests, and anybody may log in on it."""
    device = await new_device(registry)
    await registry.bind_user(OURS, device, ALICE)
    await registry.set_interests(OURS, device, [NEWS, SPORT])
    before = await found(registry, device)
    await prune(database, device)

    restored = await registry.restore(OURS, device)

    assert replace(before, user=None) == restored == await found(registry, device)
    assert [NEWS, SPORT] == await registry.interests_page(OURS, device, after="", limit=10)
    assert await registry.bind_user(OURS, device, BOB)


async def test_a_living_device_is_restored_already(registry: Registry) -> None:
    """Nothing changes: its user stays logged in."""
    device = await new_device(registry)
    await registry.bind_user(OURS, device, ALICE)
    before = await found(registry, device)

    assert before == await registry.restore(OURS, device)
    assert before == await found(registry, device)


async def test_what_is_not_there_is_not_restored(registry: Registry, database: Database) -> None:
    """Neither an unknown device nor another instance's, which stays pruned."""
    device = await new_device(registry)
    await prune(database, device)

    restored = [await registry.restore(THEIRS, device), await registry.restore(OURS, NOBODY)]

    assert [None, None] == restored
    assert None is await registry.find(OURS, device)


async def test_a_restored_device_can_be_pruned_again(
    registry: Registry, database: Database
) -> None:
    """Restoring proves nothing: when it died is held against its last registration still."""
    device = await new_device(registry)
    await prune(database, device)
    await registry.restore(OURS, device)

    await prune(database, device)

    assert None is await registry.find(OURS, device)


async def test_who_asks_together_is_answered_alone(registry: Registry) -> None:
    """Of many at once, which share a transaction, each gets its own answer."""
    first, second, third = [await new_device(registry, apns_address(f"{n:064x}")) for n in range(3)]
    await registry.bind_user(OURS, first, ALICE)

    answers = await asyncio.gather(
        registry.bind_user(OURS, first, BOB),
        registry.bind_user(OURS, second, BOB),
        registry.bind_user(OURS, NOBODY, BOB),
        registry.set_interests(OURS, third, [NEWS]),
        registry.add_interest(OURS, third, SPORT),
        return_exceptions=True,
    )

    assert isinstance(answers[0], UserTaken)
    assert [True, False, True, True] == list(answers[1:])
    assert ["alice", "bob", None] == [
        await owner(registry, each) for each in (first, second, third)
    ]
    assert [NEWS, SPORT] == await registry.interests_page(OURS, third, after="", limit=9)


async def test_one_fault_among_many_is_one_callers(registry: Registry, database: Database) -> None:
    """What breaks a shared transaction fails alone, and the others are written."""
    unwritable = object()
    answers = await asyncio.gather(
        *[registry.register(OURS, apns_address(), {"n": n}) for n in range(3)],
        registry.register(OURS, apns_address(), {"n": unwritable}),
        *[registry.register(OURS, apns_address(), {"n": n}) for n in range(3)],
        return_exceptions=True,
    )

    assert [3] == [n for n, each in enumerate(answers) if isinstance(each, Exception)]
    async with database.read() as connection:
        assert 6 == await devices.count(connection, OURS)
