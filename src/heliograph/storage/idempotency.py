"""Queries on idempotency keys: which publish a caller's key has made already."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.errors import KeyReused
from heliograph.model import InstanceNumber, PublishId
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import idempotency_keys

KEPT: Final = timedelta(hours=24)
"""How long a key is remembered."""

_REMOVED_AT_ONCE: Final = 100
"""Old keys that go in passing, or two for each that is made: they become fewer."""


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's wish that a request has its effect once, however often it is sent."""

    key: str
    body_digest: bytes
    """What tells this request from another one that was given the same key."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A publish that is about to be kept under a key."""

    instance: InstanceNumber
    once: Once
    publish: PublishId


async def claim(
    connection: AsyncConnection, claims: Sequence[Claim], *, now: datetime
) -> list[PublishId | KeyReused]:
    """
    Give keys to publishes that are about to be kept, unless others have them.

    Of two that claim one key, the first has it; of two transactions that do so at once,
    the second waits for the first.

    Returns:
        For each, in their order, the publish that has its key now: this one, or one that
        was there before; or that the key was used for another request.
    """
    first: dict[_Name, Claim] = {}
    for each in claims:
        first.setdefault(_name(each), each)
    claimed = await _claim(connection, list(first.values()), now)
    if claimed:
        await _remove_old(connection, now, at_most=max(_REMOVED_AT_ONCE, 2 * len(claimed)))
    holders = {name: (first[name].once.body_digest, first[name].publish) for name in claimed}
    holders |= await _holders(connection, first.keys() - claimed)
    return [_answer(each, *holders[_name(each)]) for each in claims]


_Name = tuple[InstanceNumber, str]


def _name(claim: Claim) -> _Name:
    return claim.instance, claim.once.key


def _answer(claim: Claim, body_digest: bytes, publish: PublishId) -> PublishId | KeyReused:
    if body_digest != claim.once.body_digest:
        return KeyReused("the idempotency key was used for another request")
    return publish


async def _claim(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> set[_Name]:
    """The names that were free, and are taken now."""
    insert = INSERTS[connection.dialect.name](idempotency_keys)
    names = ("body_digest", "publish_id", "made_at")
    claimed = await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["instance_number", "key"],
            set_={name: insert.excluded[name] for name in names},
            where=idempotency_keys.c.made_at <= now - KEPT,
        ).returning(idempotency_keys.c.instance_number, idempotency_keys.c.key),
        [
            {
                "instance_number": each.instance,
                "key": each.once.key,
                "body_digest": each.once.body_digest,
                "publish_id": each.publish,
                "made_at": now,
            }
            # In one order everywhere, so that no two transactions wait for each other.
            for each in sorted(claims, key=_name)
        ],
    )
    return {(InstanceNumber(instance), key) for instance, key in claimed}


async def _holders(
    connection: AsyncConnection, names: Collection[_Name]
) -> dict[_Name, tuple[bytes, PublishId]]:
    if not names:
        return {}
    table = idempotency_keys.c
    rows = await connection.execute(
        select(table.instance_number, table.key, table.body_digest, table.publish_id).where(
            tuple_(table.instance_number, table.key).in_(names)
        )
    )
    return {
        (InstanceNumber(instance), key): (digest, PublishId(publish))
        for instance, key, digest, publish in rows
    }


async def _remove_old(connection: AsyncConnection, now: datetime, *, at_most: int) -> None:
    old = (
        select(idempotency_keys.c.number)
        .where(idempotency_keys.c.made_at <= now - KEPT)
        .order_by(idempotency_keys.c.made_at)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.number.in_(old)))
