"""Queries on outcomes: the trace of one device in one publish, found by its range."""

import pytest

from builders import NOW, SECOND, add_instance, add_publish, batch, rows_of
from heliograph.model import DeviceNumber, PublishNumber
from heliograph.storage import outcomes
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Attempt, Result

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
