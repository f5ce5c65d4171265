"""Queries on lanes: paused once for all workers, tried by one, forgotten with their instance."""

from datetime import datetime

import pytest

from builders import MINUTE, NOW, SECOND, add_instance
from heliograph.model import Environment, Gateway, InstanceId, InstanceNumber, Lane, PauseKind
from heliograph.storage import instances, lanes
from heliograph.storage.database import Database
from heliograph.storage.lanes import Paused

ONE = InstanceNumber(1)
ID = InstanceId("00000000-0000-4000-8000-000000000001")
APNS = Lane(ONE, Gateway.APNS, Environment.SANDBOX)
FCM = Lane(ONE, Gateway.FCM, None)


@pytest.fixture(autouse=True)
async def instance(database: Database) -> None:
    async with database.write() as connection:
        assert ONE == await add_instance(connection)


async def pause(
    database: Database,
    lane: Lane = APNS,
    kind: PauseKind = PauseKind.REFUSED,
    reason: str = "No",
    *,
    now: datetime = NOW,
) -> bool:
    async with database.write() as connection:
        return await lanes.pause(connection, lane, kind, reason, now=now, probe_at=now + MINUTE)


async def all_paused(database: Database) -> list[Paused]:
    async with database.read() as connection:
        return list(await lanes.paused(connection))


async def test_a_lane_is_paused_once(database: Database) -> None:
    """The second to find out is told that it is no news, and changes nothing."""
    answers = [await pause(database), await pause(database, reason="Other", now=NOW + SECOND)]

    assert [True, False] == answers
    expected = Paused(APNS, PauseKind.REFUSED, "No", NOW, NOW + MINUTE, 0)
    assert [expected] == await all_paused(database)


@pytest.mark.parametrize("kind", [PauseKind.UNAVAILABLE, PauseKind.ASKED])
async def test_a_refusal_is_graver_than_silence(database: Database, kind: PauseKind) -> None:
    """It takes the place of another reason, and no other takes its."""
    answers = [await pause(database, kind=each) for each in (kind, kind, PauseKind.REFUSED, kind)]

    (lane,) = await all_paused(database)
    assert ([True, False, True, False], PauseKind.REFUSED) == (answers, lane.kind)


async def test_every_lane_has_a_key_of_its_own() -> None:
    """Those of an instance stand together, apart from every other's."""
    every = [
        Lane(InstanceNumber(number), gateway, environment)
        for number in (1, 2)
        for gateway in Gateway
        for environment in [None, *Environment]
        if gateway is Gateway.APNS or environment is None
    ]

    keys = [lanes.key(each) for each in every]

    assert (10, {1, 2}) == (len(set(keys)), {key // lanes.LANES for key in keys})
    assert [each // lanes.LANES for each in keys] == [each.instance for each in every]


async def test_a_probe_is_begun_once(database: Database) -> None:
    """Not before its time, and not by two; afterwards it is somebody else's turn."""
    await pause(database)
    begun = []
    for now in (NOW, NOW + MINUTE, NOW + MINUTE, NOW + 2 * MINUTE):
        async with database.write() as connection:
            begun.append(await lanes.begin_probe(connection, APNS, now=now, until=now + MINUTE))

    assert [False, True, False, True] == begun


async def test_a_probe_that_fails_is_counted(database: Database) -> None:
    """The lane stays paused since when it was, and is tried later."""
    await pause(database)
    async with database.write() as connection:
        await lanes.probe_failed(connection, APNS, probe_at=NOW + 9 * MINUTE)

    expected = Paused(APNS, PauseKind.REFUSED, "No", NOW, NOW + 9 * MINUTE, 1)
    assert [expected] == await all_paused(database)


async def test_what_has_changed_is_tried_soon(database: Database) -> None:
    """The lanes of that gateway are, and no others."""
    await pause(database)
    await pause(database, FCM)
    async with database.write() as connection:
        await lanes.probe_failed(connection, APNS, probe_at=NOW + 9 * MINUTE)
        await lanes.probe_soon(connection, ID, Gateway.APNS, at=NOW + SECOND)

    assert [(APNS, NOW + SECOND, 0), (FCM, NOW + MINUTE, 0)] == [
        (each.lane, each.probe_at, each.probes) for each in await all_paused(database)
    ]


async def test_a_lane_goes_on_once(database: Database) -> None:
    """The second to say so is told that it is no news."""
    await pause(database)
    async with database.write() as connection:
        answers = [await lanes.resume(connection, APNS) for _ in range(2)]
        found = await lanes.find(connection, APNS)

    assert ([True, False], None) == (answers, found)


async def test_only_an_instances_own_lanes_are_listed(database: Database) -> None:
    """Another's are its own business."""
    await pause(database)
    async with database.write() as connection:
        other = await add_instance(connection, 2)
    await pause(database, Lane(other, Gateway.WEB, None))

    async with database.read() as connection:
        found = await lanes.paused(connection, other)

    assert [Gateway.WEB] == [each.lane.gateway for each in found]


async def test_lanes_go_with_their_instance(database: Database) -> None:
    """What is deleted is not paused."""
    await pause(database)
    async with database.write() as connection:
        await instances.remove(connection, ID)

    assert [] == await all_paused(database)
