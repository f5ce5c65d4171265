"""Queries on what is worth knowing of many: by day, by publish, and who is reached."""

from datetime import UTC, date, datetime, timedelta

import pytest

from builders import (
    NOW,
    add_device,
    add_instance,
    add_publish,
    apns_address,
    fcm_address,
)
from heliograph.model import Gateway, InstanceNumber, Platform
from heliograph.storage import devices, insights, publishes
from heliograph.storage.database import Database
from heliograph.storage.insights import Reach
from heliograph.storage.publishes import Echo

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def instance(database: Database) -> InstanceNumber:
    async with database.write() as connection:
        return await add_instance(connection)


async def test_a_day_begins_at_midnight_in_utc(
    database: Database, instance: InstanceNumber
) -> None:
    """What was accepted a moment before counts for the day before, whenever it was opened."""
    async with database.write() as connection:
        for at in (MIDNIGHT - timedelta(microseconds=1), MIDNIGHT, MIDNIGHT + timedelta(hours=23)):
            number = await add_publish(connection, instance, now=at)
            await publishes.add_targeted(connection, number, 3)
            await publishes.add_ends(
                connection, number, {"sent": 1, "failed": 1, "expired": 1}, Gateway.WEB
            )
            await publishes.add_echoes(
                connection,
                {(number, Gateway.WEB, "delivered"): 1, (number, Gateway.FCM, "opened"): 2},
            )
        found = await insights.days(connection, instance, since=date(2026, 1, 1))
        later = await insights.days(connection, instance, since=date(2026, 1, 2))

    assert [(date(2026, 1, 2), 2, 6, 4), (date(2026, 1, 1), 1, 3, 2)] == [
        (each.date, each.publishes, each.targeted, each.failed) for each in found
    ]
    assert {Gateway.WEB: Echo(2, 2, 0), Gateway.FCM: Echo(0, 0, 4)} == found[0].gateways
    assert found[:1] == later


async def test_the_latest_publishes_come_first(
    database: Database, instance: InstanceNumber
) -> None:
    """Page by page, and only the instance's own."""
    async with database.write() as connection:
        made = [await add_publish(connection, instance) for _ in range(3)]
        other = await add_instance(connection, 2)
        await add_publish(connection, other)
        first = await insights.latest(connection, instance, limit=2)
        rest = await insights.latest(connection, instance, before=first[-1].number, limit=9)

    assert [*reversed(made)] == [each.number for each in (*first, *rest)]


async def test_who_is_reached(database: Database, instance: InstanceNumber) -> None:
    """Devices that are not pruned, by gateway; each person once, however many devices."""
    async with database.write() as connection:
        nobody = await insights.reach(connection, instance)
        for user in ("alice", "alice", "bob", None):
            await add_device(connection, instance, apns_address(), user=user)
        pruned = await add_device(connection, instance, fcm_address(), user="carol")
        await devices.prune(
            connection, pruned, reason="Unregistered", unless_registered_after=None, now=NOW
        )
        reach = await insights.reach(connection, instance)

    assert Reach({}, 0) == nobody
    assert Reach({Gateway.APNS: 4}, 2) == reach


async def test_registrations_are_counted_by_day_and_platform(
    database: Database, instance: InstanceNumber
) -> None:
    """The latest day first; one that did not say is a usual one, and one that is pruned counts."""
    async with database.write() as connection:
        other = await add_instance(connection, 2)
        await add_device(connection, other, now=MIDNIGHT)
        *_, last = [
            await add_device(connection, instance, apns_address(), platform=platform, now=at)
            for at, platform in (
                (MIDNIGHT - timedelta(microseconds=1), None),
                (MIDNIGHT, None),
                (MIDNIGHT, Platform.IOS),
                (MIDNIGHT + timedelta(hours=23), Platform.SAFARI),
            )
        ]
        await devices.prune(
            connection, last, reason="x", unless_registered_after=None, now=MIDNIGHT
        )
        every = await insights.registrations(connection, instance, since=date(2026, 1, 1))
        later = await insights.registrations(connection, instance, since=date(2026, 1, 2))

    today = {Platform.IOS: 2, Platform.SAFARI: 1}
    assert [(date(2026, 1, 2), today), (date(2026, 1, 1), {Platform.IOS: 1})] == list(every.items())
    assert {date(2026, 1, 2): today} == later
