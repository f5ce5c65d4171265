"""Queries on devices: who is addressed, who still is, who is gone and who came back."""

from array import array
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import (
    NOW,
    SECOND,
    add_device,
    add_instance,
    apns_address,
    fcm_address,
    in_one_database,
    to_users,
    web_address,
)
from heliograph.model import (
    Address,
    ApnsAddress,
    DeviceId,
    DeviceNumber,
    Environment,
    Gateway,
    InstanceNumber,
    Interest,
    Target,
    ToInterests,
    UserId,
    VapidKeyNumber,
)
from heliograph.storage import devices, interests, users, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.devices import WebRecipient

EVERY = tuple(Gateway)
_instances = count(1)


def to_interests(*names: str) -> ToInterests:
    return ToInterests(tuple(Interest(name) for name in names))


async def walk(
    connection: AsyncConnection,
    instance: InstanceNumber,
    target: Target,
    *,
    gateways: Sequence[Gateway] = EVERY,
    page_size: int = 100,
) -> list[DeviceNumber]:
    """Every device of a target, page by page."""
    found: list[DeviceNumber] = []
    while True:
        page = await devices.addressed(
            connection,
            instance,
            target,
            gateways,
            after=found[-1] if found else 0,
            limit=page_size,
        )
        found += [each.number for each in page]
        if len(page) < page_size:
            return found


async def still(
    connection: AsyncConnection,
    instance: InstanceNumber,
    target: Target,
    numbers: Sequence[int],
) -> list[int]:
    """Those of any gateway that are still addressed."""
    batch = array("q", numbers)
    found = [
        each
        for gateway in Gateway
        for each in await devices.still_addressed(connection, instance, target, gateway, batch)
    ]
    return sorted(each.number for each in found)


# --- whom a publish addresses --------------------------------------------------------

people = st.sampled_from(["alice", "bob", "carol", None])
topics = st.sets(st.sampled_from(["news", "sport", "weather"]))
populations = st.lists(st.tuples(people, topics, st.sampled_from(EVERY)), max_size=12)

_ADDRESS: dict[Gateway, Callable[[], Address]] = {
    Gateway.APNS: apns_address,
    Gateway.FCM: fcm_address,
    Gateway.WEB: web_address,
}


@in_one_database
@given(
    population=populations,
    addressed=st.sets(st.sampled_from(["alice", "bob", "carol", "nobody"]), min_size=1),
    page_size=st.integers(1, 5),
)
async def test_each_device_of_some_users_is_found_once_and_in_order(
    database: Database,
    population: list[tuple[str | None, set[str], Gateway]],
    addressed: set[str],
    page_size: int,
) -> None:
    """Pages of any size hold each living device of the users once, in ascending order."""
    async with database.write() as connection:
        instance = await add_instance(connection, next(_instances))
        numbers = {
            await add_device(connection, instance, _ADDRESS[gateway](), user=user): user
            for user, _, gateway in population
        }
        found = await walk(connection, instance, to_users(*addressed), page_size=page_size)

    assert sorted(number for number, user in numbers.items() if user in addressed) == found


@in_one_database
@given(
    population=populations,
    addressed=st.sets(st.sampled_from(["news", "sport", "weather", "nothing"]), min_size=1),
    gateways=st.sets(st.sampled_from(EVERY)),
    page_size=st.integers(1, 5),
)
async def test_each_device_of_some_interests_is_found_once_and_in_order(
    database: Database,
    population: list[tuple[str | None, set[str], Gateway]],
    addressed: set[str],
    gateways: set[Gateway],
    page_size: int,
) -> None:
    """A device with several of the interests is found once, and only at the gateways asked for."""
    async with database.write() as connection:
        instance = await add_instance(connection, next(_instances))
        numbers = {
            await add_device(
                connection, instance, _ADDRESS[gateway](), subscribed=sorted(subscribed)
            ): (subscribed, gateway)
            for _, subscribed, gateway in population
        }
        found = await walk(
            connection,
            instance,
            to_interests(*addressed),
            gateways=tuple(gateways),
            page_size=page_size,
        )

    expected = [n for n, (own, at) in numbers.items() if own & addressed and at in gateways]
    assert sorted(expected) == found


@pytest.mark.parametrize("target", [to_users("alice"), to_interests("news")])
async def test_a_pruned_device_is_not_addressed(database: Database, target: Target) -> None:
    """Whoever is gone is neither expanded to nor delivered to."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        living, gone = [
            await add_device(connection, instance, user="alice", subscribed=["news"])
            for _ in range(2)
        ]
        await devices.prune(
            connection, gone, reason="Unregistered", unless_registered_after=None, now=NOW
        )
        found = await walk(connection, instance, target)
        left = await still(connection, instance, target, [living, gone])

    assert ([living], [living]) == (found, left)


@pytest.mark.parametrize("target", [to_users("alice"), to_interests("news")])
async def test_another_instances_device_is_not_addressed(
    database: Database, target: Target
) -> None:
    """A user or interest of the same name in another instance is another one."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        own = await add_device(connection, ours, user="alice", subscribed=["news"])
        other = await add_device(connection, theirs, user="alice", subscribed=["news"])
        found = await walk(connection, ours, target)
        left = await still(connection, ours, target, [own, other])

    assert ([own], [own]) == (found, left)


async def test_expansion_knows_the_lane_of_each_device(database: Database) -> None:
    """A device is addressed together with its gateway and, if known, its environment."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        address = apns_address(environment=Environment.SANDBOX)
        await add_device(connection, instance, address, user="alice")
        await add_device(connection, instance, web_address(), user="alice")
        page = await devices.addressed(
            connection, instance, to_users("alice"), EVERY, after=0, limit=10
        )

    assert [(Gateway.APNS, Environment.SANDBOX), (Gateway.WEB, None)] == [
        (each.gateway, each.environment) for each in page
    ]


async def test_rows_that_move_while_a_target_is_walked_are_no_matter(database: Database) -> None:
    """Devices that come and go between two pages neither hide others nor show them twice."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        target = to_users("alice")
        first, second, third = [
            await add_device(connection, instance, user="alice") for _ in range(3)
        ]
        page = await devices.addressed(connection, instance, target, EVERY, after=0, limit=2)
        await devices.remove(connection, first)
        late = await add_device(connection, instance, user="alice")
        rest = await devices.addressed(
            connection, instance, target, EVERY, after=page[-1].number, limit=2
        )

    assert [first, second, third, late] == [each.number for each in [*page, *rest]]


# --- whom it still addresses ---------------------------------------------------------


async def test_who_logged_out_is_no_longer_addressed(database: Database) -> None:
    """Between expansion and delivery people log out, others in: neither is shown the message."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        stays, leaves, changes = [
            await add_device(connection, instance, user="alice") for _ in range(3)
        ]
        bob = await users.obtain(connection, instance, UserId("bob"), now=NOW)
        await devices.change(connection, leaves, user_number=None)
        await devices.change(connection, changes, user_number=bob)
        left = await still(connection, instance, to_users("alice"), [stays, leaves, changes])

    assert [stays] == left


async def test_who_unsubscribed_is_no_longer_addressed(database: Database) -> None:
    """A device that dropped the interest is not shown what was sent to it."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        stays, leaves = [
            await add_device(connection, instance, subscribed=["news", "sport"]) for _ in range(2)
        ]
        await interests.remove(connection, leaves, [Interest("news")])
        left = await still(connection, instance, to_interests("news"), [stays, leaves])

    assert [stays] == left


async def test_only_those_of_the_batch_are_still_addressed(database: Database) -> None:
    """Devices that came to the target after its expansion are not in the batch."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        one, two, late = [await add_device(connection, instance, user="alice") for _ in range(3)]
        left = await still(connection, instance, to_users("alice"), [one, two])

    assert ([one, two], True) == (left, late > two)


@pytest.mark.parametrize("target", [to_users("alice"), to_interests("news", "sport")], ids=str)
async def test_a_batch_is_looked_up_however_its_numbers_lie(
    database: Database, target: Target
) -> None:
    """Close together or far apart: those of the batch are found, and nobody between them."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        numbers = [
            await add_device(connection, instance, user="alice", subscribed=["news", "sport"])
            for _ in range(30)
        ]
        close = await still(connection, instance, target, numbers[::2])
        far = await still(connection, instance, target, [numbers[0], numbers[17], numbers[29]])

    assert (numbers[::2], [numbers[0], numbers[17], numbers[29]]) == (close, far)


async def test_a_batch_of_any_size_is_looked_up(database: Database) -> None:
    """A batch may have more devices than a statement takes parameters."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        numbers = [await add_device(connection, instance, user="alice") for _ in range(5)]
        asked = [*numbers, *range(numbers[-1] + 1, numbers[-1] + 2_500)]
        left = await still(connection, instance, to_users("alice"), asked)

    assert numbers == left


# --- one device ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        apns_address(),
        apns_address(topic="com.example.other", environment=Environment.SANDBOX),
        fcm_address(),
        web_address(),
        web_address(vapid_key=VapidKeyNumber(1)),
    ],
    ids=lambda address: type(address).__name__,
)
async def test_a_device_is_read_as_it_was_written(database: Database, address: Address) -> None:
    """Each kind of address comes back from the database as it went in."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        await devices.add(
            connection, instance, DeviceId("web-1"), address, {"sdkVersion": "1"}, now=NOW
        )
        found = await devices.find(connection, instance, DeviceId("web-1"))

    assert found is not None
    assert (address, None, {"sdkVersion": "1"}, NOW, NOW) == (
        found.address,
        found.user,
        found.metadata,
        found.created_at,
        found.registered_at,
    )


async def test_a_device_that_is_not_there_is_none(database: Database) -> None:
    """Not found is a value: for an id, for an address, and in another instance."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        await devices.add(connection, ours, DeviceId("apns-1"), apns_address("aa"), {}, now=NOW)
        found = (
            await devices.find(connection, ours, DeviceId("apns-2")),
            await devices.find(connection, theirs, DeviceId("apns-1")),
            await devices.find_address(connection, theirs, apns_address("aa")),
            await devices.number_of(connection, theirs, DeviceId("apns-1")),
        )

    assert (None, None, None, None) == found


async def test_devices_are_paged_in_the_order_they_were_made(database: Database) -> None:
    """A page begins after a number and has so many living devices at most, of one user if asked."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        numbers = [
            await add_device(connection, instance, user=user)
            for user in ("alice", "bob", None, "alice", "alice")
        ]
        await devices.prune(
            connection, numbers[3], reason="Gone", unless_registered_after=None, now=NOW
        )
        everyone = await devices.page(connection, instance, after=numbers[0], limit=2)
        alices = await devices.page(connection, instance, user=UserId("alice"), limit=10)
        counted = await devices.count(connection, instance)

    assert (numbers[1:3], [numbers[0], numbers[4]], 4) == (
        [each.number for each in everyone],
        [each.number for each in alices],
        counted,
    )


async def test_a_devices_number_is_never_given_again(database: Database) -> None:
    """What a worker learned of a device that is gone, say its death, cannot befall another."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        removed = await add_device(connection, instance)
        await devices.remove(connection, removed)
        added = await add_device(connection, instance)

    assert added > removed


# --- gone, and back ------------------------------------------------------------------


@pytest.mark.parametrize(
    "died, is_pruned",
    [
        (None, True),
        (timedelta(0), True),
        (SECOND, True),
        (-timedelta(microseconds=1), False),
        (-SECOND, False),
    ],
)
async def test_a_device_that_registered_after_its_death_lives(
    database: Database, died: timedelta | None, is_pruned: bool
) -> None:
    """A gateway's word that a token died before it was registered last is out of date."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(connection, instance, now=NOW)
        pruned = await devices.prune(
            connection,
            number,
            reason="Unregistered",
            unless_registered_after=None if died is None else NOW + died,
            now=NOW,
        )

    assert is_pruned == pruned


async def test_a_device_is_pruned_once(database: Database) -> None:
    """Pruning what is pruned, or was never there, does nothing and says so."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(connection, instance)
        answers = [
            await devices.prune(
                connection, each, reason="Gone", unless_registered_after=None, now=NOW
            )
            for each in (number, number, DeviceNumber(number + 1))
        ]

    assert [True, False, False] == answers


async def test_a_pruned_device_comes_back_when_it_registers(database: Database) -> None:
    """It has its interests again, but not its user: the device may have changed hands."""
    address = apns_address()
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(
            connection, instance, address, user="alice", subscribed=["news", "sport"]
        )
        await devices.prune(
            connection, number, reason="Gone", unless_registered_after=None, now=NOW
        )
        gone = await devices.page(connection, instance, limit=10)
        await devices.renew(connection, number, address, {"a": 1}, now=NOW + SECOND)
        (found,) = await devices.page(connection, instance, limit=10)
        kept = await interests.of_device(connection, number)

    assert ([], None, ["news", "sport"], {"a": 1}, NOW + SECOND) == (
        gone,
        found.user,
        kept,
        found.metadata,
        found.registered_at,
    )


async def test_a_living_device_keeps_its_user_when_it_registers_again(database: Database) -> None:
    """Registering at every launch does not log anybody out."""
    address = apns_address()
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(connection, instance, address, user="alice")
        await devices.renew(connection, number, address, {}, now=NOW + SECOND)
        (found,) = await devices.page(connection, instance, limit=10)

    assert ("alice", NOW, NOW + SECOND) == (found.user, found.created_at, found.registered_at)


async def test_what_a_gateway_taught_us_outlives_a_registration(database: Database) -> None:
    """A registration cannot tell Apple's environment, so it does not forget it either."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(
            connection, instance, apns_address("aa", environment=Environment.SANDBOX)
        )
        await devices.renew(connection, number, apns_address("aa"), {}, now=NOW)
        (found,) = await devices.page(connection, instance, limit=10)

    assert ApnsAddress("aa", None, Environment.SANDBOX) == found.address


async def test_a_batch_carries_the_key_of_each_subscription(database: Database) -> None:
    """Whoever delivers is told which VAPID pair each browser is bound to."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        second = await vapid_keys.add(
            connection, instance, public_key=b"", private_key=b"", now=NOW
        )
        keys = [VapidKeyNumber(1), second]
        numbers = [
            await add_device(connection, instance, web_address(vapid_key=key), user="alice")
            for key in keys
        ]
        left = await devices.still_addressed(
            connection, instance, to_users("alice"), Gateway.WEB, array("q", numbers)
        )

    assert keys == [each.vapid_key for each in left if isinstance(each, WebRecipient)]


async def environments(
    connection: AsyncConnection, instance: InstanceNumber
) -> list[Environment | None]:
    """What we know of each living Apple device, in the order they were made."""
    page = await devices.page(connection, instance, limit=10_000)
    return [each.address.environment for each in page if isinstance(each.address, ApnsAddress)]


async def test_an_environment_that_was_learned_is_remembered(database: Database) -> None:
    """Those that are named get it, over what was known before; the others keep theirs."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        one, two, _other = [
            await add_device(connection, instance, apns_address(environment=known))
            for known in (None, Environment.PRODUCTION, None)
        ]
        await devices.remember_environment(connection, [one, two], Environment.SANDBOX)
        found = await environments(connection, instance)

    assert [Environment.SANDBOX, Environment.SANDBOX, None] == found


async def test_only_living_devices_of_apples_have_an_environment(database: Database) -> None:
    """A pruned device keeps what was known, and other gateways have nothing to remember."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        gone = await add_device(connection, instance)
        others = [await add_device(connection, instance, web_address()), DeviceNumber(999)]
        await devices.prune(connection, gone, reason="Gone", unless_registered_after=None, now=NOW)
        await devices.remember_environment(connection, [gone, *others], Environment.SANDBOX)
        rows = await connection.scalars(text("SELECT environment FROM devices"))

    assert [None, None] == list(rows)


async def test_environments_of_any_number_of_devices_are_remembered(database: Database) -> None:
    """More devices than a statement takes parameters are noted in parts; none is noted too."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        first = await add_device(connection, instance)
        last = await add_device(connection, instance)
        between = [DeviceNumber(each) for each in range(last + 1, last + 2_500)]
        await devices.remember_environment(connection, [], Environment.PRODUCTION)
        await devices.remember_environment(connection, [first, *between, last], Environment.SANDBOX)
        found = await environments(connection, instance)

    assert [Environment.SANDBOX] * 2 == found


async def test_a_moved_device_is_found_at_its_new_address_only(database: Database) -> None:
    """A device that was handed a new token leaves the old one free."""
    old, new = fcm_address(), fcm_address()
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_device(connection, instance, old, user="alice")
        await devices.move(connection, number, new, now=NOW + SECOND)
        found = (
            await devices.find_address(connection, instance, old),
            await devices.find_address(connection, instance, new),
        )

    assert (None, number) == found


async def test_devices_are_known_after_they_are_pruned(database: Database) -> None:
    """A user's, living or pruned, in order; or the one with an id; none of another instance."""
    async with database.write() as connection:
        ours, theirs = [await add_instance(connection, next(_instances)) for _ in range(2)]
        numbers = [
            await add_device(connection, ours, address, user="alice")
            for address in (apns_address(), fcm_address())
        ]
        await add_device(connection, ours, user="bob")
        await add_device(connection, theirs, user="alice")
        await devices.prune(
            connection, numbers[0], reason="Gone", unless_registered_after=None, now=NOW
        )
        identity = await devices.id_of(connection, numbers[0])

    async with database.read() as connection:
        found = await devices.known(connection, ours, user=UserId("alice"))
        one = await devices.known(connection, ours, device=identity)
        other = await devices.known(connection, theirs, device=identity)

    assert [
        (numbers[0], Gateway.APNS, NOW, "Gone"),
        (numbers[1], Gateway.FCM, None, None),
    ] == [(each.number, each.gateway, each.pruned_at, each.prune_reason) for each in found]
    assert (found[:1], []) == (one, other)
