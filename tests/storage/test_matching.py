"""Whom a target of several kinds addresses, against a few lines that say so outright."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import (
    add_device,
    add_instance,
    apns_address,
    database_in,
    fcm_address,
    in_one_database,
    web_address,
)
from heliograph.model import (
    Address,
    DeviceNumber,
    Gateway,
    InstanceNumber,
    Interest,
    Platform,
    Target,
    ToMatching,
    UserId,
)
from heliograph.storage import devices
from heliograph.storage.database import Database

_ADDRESS: dict[Gateway, Callable[[], Address]] = {
    Gateway.APNS: apns_address,
    Gateway.FCM: fcm_address,
    Gateway.WEB: web_address,
}
_instances = count(1_000)


@dataclass(frozen=True)
class Plan:
    """A device that is to be made, or that was."""

    gateway: Gateway
    platform: Platform | None
    user: str | None
    subscribed: frozenset[str]

    @property
    def kind(self) -> Platform:
        return self.platform or devices.platform_of(self.gateway, None)


def _plan(platform: Platform, *, says: bool, user: str | None, subscribed: frozenset[str]) -> Plan:
    return Plan(platform.gateway, platform if says else None, user, subscribed)


plans = st.builds(
    _plan,
    st.sampled_from(Platform),
    says=st.booleans(),
    user=st.sampled_from(["alice", "bob", None]),
    subscribed=st.frozensets(st.sampled_from(["news", "sport"])),
)


@dataclass(frozen=True)
class Wish:
    """A target before there are devices: those that are named are named by their places."""

    places: frozenset[int] | None
    users: frozenset[str] | None
    interests: frozenset[str] | None
    platforms: frozenset[Platform] | None

    def wants(self, place: int, plan: Plan) -> bool:
        """One of each kind that is named."""
        return (
            (self.places is None or place in self.places)
            and (self.users is None or plan.user in self.users)
            and (self.interests is None or bool(self.interests & plan.subscribed))
            and (self.platforms is None or plan.kind in self.platforms)
        )

    def target(self, numbers: Sequence[DeviceNumber]) -> ToMatching:
        """The same of devices that there are by now, and of one that there is not."""
        known = dict(enumerate(numbers))
        places = self.places
        named = None if places is None else [known.get(each, 10**9) for each in sorted(places)]
        return ToMatching(
            devices=None if named is None else tuple(DeviceNumber(each) for each in named),
            users=None if self.users is None else tuple(map(UserId, sorted(self.users))),
            interests=None
            if self.interests is None
            else tuple(map(Interest, sorted(self.interests))),
            platforms=None if self.platforms is None else tuple(sorted(self.platforms)),
        )


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.frozensets(values, max_size=3)


wishes = st.builds(
    Wish,
    _maybe(st.integers(0, 9)),
    _maybe(st.sampled_from(["alice", "bob", "nobody"])),
    _maybe(st.sampled_from(["news", "sport", "nothing"])),
    _maybe(st.sampled_from(Platform)),
)


async def _made(
    connection: AsyncConnection, instance: InstanceNumber, population: Sequence[Plan]
) -> list[DeviceNumber]:
    numbers: list[DeviceNumber] = []
    for plan in population:
        address = _ADDRESS[plan.gateway]()
        number = await add_device(
            connection, instance, address, user=plan.user, subscribed=sorted(plan.subscribed)
        )
        if plan.platform is not None:
            await devices.change(connection, number, platform=str(plan.platform))
        numbers.append(number)
    return numbers


async def _walked(
    connection: AsyncConnection, instance: InstanceNumber, target: Target, page_size: int
) -> list[int]:
    found: list[int] = []
    while True:
        page = await devices.addressed(
            connection,
            instance,
            target,
            list(Gateway),
            after=found[-1] if found else 0,
            limit=page_size,
        )
        found += [each.number for each in page]
        if len(page) < page_size:
            return found


async def _still(
    connection: AsyncConnection, instance: InstanceNumber, target: Target, numbers: Sequence[int]
) -> list[int]:
    batch = array("q", numbers)
    found = [
        each.number
        for gateway in Gateway
        for each in await devices.still_addressed(connection, instance, target, gateway, batch)
    ]
    return sorted(found)


async def _check(database: Database, population: Sequence[Plan], wish: Wish, size: int) -> None:
    async with database.write() as connection:
        instance = await add_instance(connection, next(_instances))
        stranger = await add_instance(connection, next(_instances))
        await _made(connection, stranger, population[:2])
        numbers = await _made(connection, instance, population)
        await _made(connection, stranger, population[:2])
        target = wish.target(numbers)
        walked = await _walked(connection, instance, target, size)
        kept = await _still(connection, instance, target, numbers) if numbers else []
        # Every other device, which lie too far apart to be asked for as a range.
        thin = numbers[::5]
        some = await _still(connection, instance, target, thin) if thin else []

    expected = [
        number
        for place, (number, plan) in enumerate(zip(numbers, population, strict=True))
        if wish.wants(place, plan)
    ]
    assert expected == walked
    assert expected == kept
    assert [each for each in expected if each in thin] == some


@in_one_database
@given(population=st.lists(plans, max_size=10), wish=wishes, size=st.integers(1, 4))
async def test_a_target_of_several_kinds_is_walked_once_and_in_order(
    database: Database, population: list[Plan], wish: Wish, size: int
) -> None:
    """Pages of any size hold each device that is one of each kind; none of another instance."""
    await _check(database, population, wish, size)


# --- what it costs -------------------------------------------------------------------

NEWS, ALICE = Interest("news"), UserId("alice")

TARGETS: dict[str, ToMatching] = {
    "everybody": ToMatching(),
    "a platform": ToMatching(platforms=(Platform.ANDROID,)),
    "an interest": ToMatching(interests=(NEWS,), platforms=(Platform.IOS,)),
    "interests": ToMatching(interests=(NEWS, Interest("sport"))),
    "people": ToMatching(users=(ALICE,), interests=(NEWS,)),
    "devices": ToMatching(devices=(DeviceNumber(7),), users=(ALICE,), interests=(NEWS,)),
}


@pytest.mark.parametrize("name", TARGETS)
async def test_a_step_looks_up_no_more_than_it_needs(tmp_path: Path, name: str) -> None:
    """
    Over SQLite a page leads on from the last one, and a batch looks at its own devices.

    Whoever reads all subscribers, or all devices of an instance, to find the next thousand,
    takes as long for each as all of them are many.
    """
    async with database_in(tmp_path) as database, database.read() as connection:
        asked = await _asked(connection, TARGETS[name])
        steps = [step for each in asked for step in await _steps(connection, *each)]

    assert 3 == len(asked)
    assert [] == [each for each in steps if _is_broad(each)]


async def _asked(connection: AsyncConnection, target: Target) -> list[tuple[str, Any]]:
    """The queries of a page and of two batches, one of them with wide gaps."""
    said: list[tuple[str, Any]] = []

    def note(_: object, __: object, query: str, values: object, *___: object) -> None:
        said.append((query, values))

    raw = connection.sync_connection
    assert raw is not None
    event.listen(raw, "before_cursor_execute", note)
    of, batch = (InstanceNumber(1), target), array("q", range(100, 200))
    await devices.addressed(connection, *of, list(Gateway), after=10, limit=100)
    await devices.still_addressed(connection, *of, Gateway.FCM, batch)
    await devices.still_addressed(connection, *of, Gateway.FCM, batch[::10])
    event.remove(raw, "before_cursor_execute", note)
    return said


async def _steps(connection: AsyncConnection, query: str, values: Any) -> list[str]:
    plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
    return [str(tuple(row)[3]) for row in plan]


def _is_broad(step: str) -> bool:
    """Whether it goes through all devices of an instance, or all subscribers of an interest."""
    if "devices USING" in step:
        leads_on = ("rowid", "user_number", "number>?")
        return not any(each in step for each in leads_on)
    return "interests USING" in step and "device_number" not in step
