"""Queries on outcomes: the trace of one device in one publish, found by its range."""

from array import array

import pytest
from sqlalchemy import update

from builders import NOW, SECOND, add_device, add_instance, add_publish, batch, rows_of
from heliograph.model import DeviceNumber, Gateway, InstanceNumber, PublishNumber
from heliograph.storage import outcomes, suspicions, tables
from heliograph.storage.columns import Milliseconds
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Answers, Attempt, Result
from heliograph.storage.suspicions import Suspicion

ONE, OTHER = PublishNumber(1), PublishNumber(2)


@pytest.fixture(autouse=True)
async def publishes(database: Database) -> None:
    """Two publishes of one instance."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        assert [ONE, OTHER] == [await add_publish(connection, instance) for _ in range(2)]


async def trace(database: Database, publish: PublishNumber, device: int) -> list[Attempt]:
    async with database.read() as connection:
        return list(await outcomes.of_device(connection, publish, DeviceNumber(device)))


async def test_a_delivery_is_traced_through_its_attempts(database: Database) -> None:
    """Each attempt is told in order, with what it came to and the gateway's word for it."""
    async with database.write() as connection:
        await outcomes.add(
            connection,
            batch(3, 5, 9),
            ["sent", "again", "failed"],
            {DeviceNumber(5): "ServiceUnavailable", DeviceNumber(9): "BadTopic"},
            now=NOW,
        )
        await outcomes.add(connection, batch(5, attempt=2), ["sent"], {}, now=NOW + SECOND)

    assert [
        [Attempt(1, NOW, "sent", None)],
        [
            Attempt(1, NOW, "again", "ServiceUnavailable"),
            Attempt(2, NOW + SECOND, "sent", None),
        ],
        [Attempt(1, NOW, "failed", "BadTopic")],
    ] == [await trace(database, ONE, device) for device in (3, 5, 9)]


@pytest.mark.parametrize("device", [1, 2, 4, 6])
async def test_who_was_not_in_a_batch_has_no_trace(database: Database, device: int) -> None:
    """A device before, between and after those of a batch was not in it."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(3, 5), ["sent", "sent"], {}, now=NOW)

    assert [] == await trace(database, ONE, device)


async def test_another_publishs_attempts_are_not_told(database: Database) -> None:
    """The same device in two publishes has two traces."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(3), ["sent"], {}, now=NOW)
        await outcomes.add(connection, batch(3, publish=OTHER), ["expired"], {}, now=NOW)

    assert [Attempt(1, NOW, "expired", None)] == await trace(database, OTHER, 3)


@pytest.mark.parametrize("result", ["sent", "failed", "expired", "cancelled", "again"])
async def test_every_result_comes_back(database: Database, result: Result) -> None:
    """What an attempt came to is read as it was written."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(3), [result], {}, now=NOW)

    assert [result] == [each.result for each in await trace(database, ONE, 3)]


async def test_a_result_that_all_share_is_each_ones(database: Database) -> None:
    """A batch whose devices fared alike is kept shorter, and read the same."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(3, 5, 9), ["expired"] * 3, {}, now=NOW)

    assert [[Attempt(1, NOW, "expired", None)]] * 3 == [
        await trace(database, ONE, device) for device in (3, 5, 9)
    ]


async def test_a_batch_is_one_row(database: Database) -> None:
    """The happy path costs no row per device."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(*range(1, 1001)), ["sent"] * 1000, {}, now=NOW)

    assert 1 == await rows_of(database, "outcomes")


async def test_one_reason_may_be_every_devices(database: Database) -> None:
    """A batch that is cancelled as a whole tells each of its devices why."""
    async with database.write() as connection:
        await outcomes.add_cancelled(connection, batch(3, 5), "PublishCancelled", now=NOW)

    assert [[Attempt(1, NOW, "cancelled", "PublishCancelled")]] * 2 + [[]] == [
        await trace(database, ONE, device) for device in (3, 5, 4)
    ]


@pytest.mark.parametrize("gateway,usual", [("apns", 200), ("fcm", 200), ("web", 201)])
async def test_an_attempt_tells_status_and_time(
    database: Database, gateway: str, usual: int
) -> None:
    """What was taken has its gateway's usual status unless noted, and no answer has neither."""
    took = array("I", [12, 34, 56, Milliseconds.UNKNOWN, Milliseconds.UNKNOWN])
    statuses = {DeviceNumber(2): 202, DeviceNumber(3): 503}
    results: list[Result] = ["sent", "sent", "again", "again", "cancelled"]
    async with database.write() as connection:
        await outcomes.add(
            connection,
            batch(1, 2, 3, 4, 5, gateway=Gateway(gateway)),
            results,
            {DeviceNumber(3): "busy", DeviceNumber(4): "reset"},
            answers=Answers(took, statuses),
            now=NOW,
        )

    assert [
        ("sent", usual, 12),
        ("sent", 202, 34),
        ("again", 503, 56),
        ("again", None, None),
        ("cancelled", None, None),
    ] == [
        (attempt.result, attempt.status, attempt.latency_ms)
        for device in (1, 2, 3, 4, 5)
        for attempt in await trace(database, ONE, device)
    ]


async def test_rows_of_releases_before_tell_neither_status_nor_time(database: Database) -> None:
    """What nobody noted is unknown, and not guessed."""
    async with database.write() as connection:
        await outcomes.add(connection, batch(1), ["sent"], {}, now=NOW)
        await connection.execute(update(tables.outcomes).values(took=None, statuses=None))

    assert [Attempt(1, NOW, "sent", None, None, None)] == await trace(database, ONE, 1)


async def test_who_keeps_a_batch_is_told_of_suspicions_in_its_range(database: Database) -> None:
    """Asked with the same statement: of devices from the first to the last, and no others."""
    async with database.write() as connection:
        numbers = [await add_device(connection, InstanceNumber(1)) for _ in range(3)]
        held = Suspicion(1, NOW, ONE, "BadTopic")
        await suspicions.keep(connection, {numbers[1]: held})

        told = [
            await outcomes.add(connection, batch(*some), ["sent"] * len(some), {}, now=NOW)
            for some in (numbers[:1], numbers[1:2], [numbers[0], numbers[2]], numbers[2:])
        ]

    assert [False, True, True, False] == told
