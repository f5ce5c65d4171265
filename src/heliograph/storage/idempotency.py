"""Queries on idempotency keys: which publish a caller's key has made already."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.errors import KeyReused
from heliograph.model import InstanceNumber, PublishId
from heliograph.storage.tables import idempotency_keys

KEPT: Final = timedelta(hours=24)
"""How long a key is remembered."""

_REMOVED_AT_ONCE: Final = 100
"""More than one for each that is made, so that old keys become fewer, and never a long delete."""

_INSERTS: Final[dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""Both write the same words, but SQLAlchemy has them in its dialects only."""


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's wish that a request has its effect once, however often it is sent."""

    key: str
    body_digest: bytes
    """What tells this request from another one that was given the same key."""


async def claim(
    connection: AsyncConnection,
    instance: InstanceNumber,
    once: Once,
    publish: PublishId,
    *,
    now: datetime,
) -> PublishId:
    """
    Give a key to a publish that is about to be kept, unless another has it.

    Of two transactions that claim one key at once, the second waits for the first.

    Returns:
        The publish that has the key now: this one, or the one that was there before.

    Raises:
        KeyReused: The one that was there before was another request's.
    """
    insert = _INSERTS[connection.dialect.name](idempotency_keys).values(
        instance_number=instance,
        key=once.key,
        body_digest=once.body_digest,
        publish_id=publish,
        made_at=now,
    )
    names = ("body_digest", "publish_id", "made_at")
    claimed = await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["instance_number", "key"],
            set_={name: insert.excluded[name] for name in names},
            where=idempotency_keys.c.made_at <= now - KEPT,
        ).returning(idempotency_keys.c.publish_id)
    )
    if claimed.first() is not None:
        await _remove_old(connection, now)
        return publish
    return await _holder(connection, instance, once)


async def _holder(connection: AsyncConnection, instance: InstanceNumber, once: Once) -> PublishId:
    query = select(idempotency_keys.c.body_digest, idempotency_keys.c.publish_id).where(
        idempotency_keys.c.instance_number == instance, idempotency_keys.c.key == once.key
    )
    row = (await connection.execute(query)).one()
    if row.body_digest != once.body_digest:
        raise KeyReused("the idempotency key was used for another request")
    return PublishId(row.publish_id)


async def _remove_old(connection: AsyncConnection, now: datetime) -> None:
    old = (
        select(idempotency_keys.c.number)
        .where(idempotency_keys.c.made_at <= now - KEPT)
        .order_by(idempotency_keys.c.made_at)
        .limit(_REMOVED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.number.in_(old)))
