"""Queries on idempotency keys: a key is one publish's, for a day."""

from datetime import timedelta

import pytest

from builders import NOW, SECOND, add_instance, rows_of
from heliograph.errors import KeyReused
from heliograph.model import InstanceNumber, PublishId
from heliograph.storage import idempotency
from heliograph.storage.database import Database
from heliograph.storage.idempotency import KEPT, Claim, Once

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
) -> PublishId | KeyReused:
    async with database.write() as connection:
        claims = [Claim(instance, once, publish)]
        (holder,) = await idempotency.claim(connection, claims, now=NOW + after)
        return holder


async def test_a_key_is_the_first_ones(database: Database, instance: InstanceNumber) -> None:
    """Whoever comes second with the same request learns who was first."""
    claimed = [await claim(database, instance, each) for each in (FIRST, SECOND_ID)]

    assert [FIRST, FIRST] == claimed


async def test_a_key_for_another_request_is_refused(
    database: Database, instance: InstanceNumber
) -> None:
    """A key stands for what it was first given to."""
    await claim(database, instance, FIRST)

    refused = await claim(database, instance, SECOND_ID, Once("order-17", b"other"))

    assert isinstance(refused, KeyReused)
    assert FIRST == await claim(database, instance, SECOND_ID)


async def test_keys_are_claimed_together(database: Database, instance: InstanceNumber) -> None:
    """Each claim has its own answer, whatever becomes of those beside it."""
    await claim(database, instance, FIRST)
    claims = [
        Claim(instance, ONCE, PublishId("pubid-10")),
        Claim(instance, Once("new", b"one"), PublishId("pubid-11")),
        Claim(instance, Once("order-17", b"other"), PublishId("pubid-12")),
        Claim(instance, Once("new", b"one"), PublishId("pubid-13")),
        Claim(instance, Once("new", b"two"), PublishId("pubid-14")),
        Claim(instance, Once("newer", b"two"), PublishId("pubid-15")),
    ]

    async with database.write() as connection:
        answers = await idempotency.claim(connection, claims, now=NOW)

    refused = KeyReused
    assert [FIRST, "pubid-11", refused, "pubid-11", refused, "pubid-15"] == [
        refused if isinstance(each, KeyReused) else each for each in answers
    ]


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
