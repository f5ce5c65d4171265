"""Queries on idempotency keys: a key is one publish's, for a day."""

from datetime import timedelta

import pytest

from builders import NOW, SECOND, add_instance, rows_of
from heliograph.errors import KeyReused
from heliograph.model import InstanceNumber, PublishId
from heliograph.storage import idempotency
from heliograph.storage.database import Database
from heliograph.storage.idempotency import KEPT, Once

ONCE = Once("order-17", b"digest")
FIRST, SECOND_ID = PublishId("pubid-1"), PublishId("pubid-2")


@pytest.fixture
async def instance(database: Database) -> InstanceNumber:
    async with database.write() as connection:
        return await add_instance(connection)


async def claim(
    database: Database,
    instance: InstanceNumber,
    publish: PublishId,
    once: Once = ONCE,
    *,
    after: timedelta = timedelta(0),
) -> PublishId:
    async with database.write() as connection:
        return await idempotency.claim(connection, instance, once, publish, now=NOW + after)


async def test_a_key_is_the_first_ones(database: Database, instance: InstanceNumber) -> None:
    """Whoever comes second with the same request learns who was first."""
    claimed = [await claim(database, instance, each) for each in (FIRST, SECOND_ID)]

    assert [FIRST, FIRST] == claimed


async def test_a_key_for_another_request_is_refused(
    database: Database, instance: InstanceNumber
) -> None:
    """A key stands for what it was first given to."""
    await claim(database, instance, FIRST)

    with pytest.raises(KeyReused):
        await claim(database, instance, SECOND_ID, Once("order-17", b"other"))

    assert FIRST == await claim(database, instance, SECOND_ID)


async def test_instances_do_not_share_keys(database: Database, instance: InstanceNumber) -> None:
    """Two instances may use the same word."""
    async with database.write() as connection:
        other = await add_instance(connection, 2)
    await claim(database, instance, FIRST)

    assert SECOND_ID == await claim(database, other, SECOND_ID)


@pytest.mark.parametrize(
    "after,once,holder",
    [(KEPT - SECOND, ONCE, FIRST), (KEPT, Once("order-17", b"other"), SECOND_ID)],
    ids=["within", "after"],
)
async def test_a_key_is_kept_for_a_day(
    database: Database,
    instance: InstanceNumber,
    after: timedelta,
    once: Once,
    holder: PublishId,
) -> None:
    """After 24 hours it may stand for something else."""
    await claim(database, instance, FIRST)

    assert holder == await claim(database, instance, SECOND_ID, once, after=after)
    assert holder == await claim(database, instance, PublishId("pubid-3"), once, after=after)


async def test_old_keys_are_removed_in_passing(
    database: Database, instance: InstanceNumber
) -> None:
    """A new key takes old ones with it, a hundred at most, and none that still counts."""
    for number in range(102):
        await claim(database, instance, FIRST, Once(f"old-{number}", b""))
    await claim(database, instance, FIRST, Once("young", b""), after=SECOND)

    await claim(database, instance, FIRST, Once("new", b""), after=KEPT)

    assert 4 == await rows_of(database, "idempotency_keys")
    assert FIRST == await claim(database, instance, SECOND_ID, Once("young", b""), after=KEPT)
