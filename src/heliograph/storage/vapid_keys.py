"""
Queries on VAPID keys: the pairs that the browsers of an instance have subscribed with.

The newest is the current one: new subscriptions are bound to it. A subscription
cannot change its pair (RFC 8292 §4), so an older one stays for as long as a device is
bound to it, a pruned one included: that may come back. Private keys come and go sealed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, VapidKeyNumber
from heliograph.storage.tables import devices, vapid_keys


@dataclass(frozen=True, slots=True)
class VapidKeyRow:
    """A pair as it is kept."""

    number: VapidKeyNumber
    public_key: bytes
    private_key: bytes
    """Sealed."""
    created_at: datetime


async def add(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    public_key: bytes,
    private_key: bytes,
    now: datetime,
) -> VapidKeyNumber:
    """Keep a new pair, which is the current one from now on; its number."""
    number = await connection.scalar(
        insert(vapid_keys)
        .values(
            instance_number=instance,
            public_key=public_key,
            private_key=private_key,
            created_at=now,
        )
        .returning(vapid_keys.c.number)
    )
    return VapidKeyNumber(int(number or 0))


async def of_instance(
    connection: AsyncConnection, instance: InstanceNumber
) -> Sequence[VapidKeyRow]:
    """An instance's pairs, oldest first; the last one is current."""
    rows = await connection.execute(
        select(vapid_keys)
        .where(vapid_keys.c.instance_number == instance)
        .order_by(vapid_keys.c.number)
    )
    return [_read(row) for row in rows]


async def current(connection: AsyncConnection, instance: InstanceNumber) -> VapidKeyNumber | None:
    """The pair that new subscriptions are bound to; None if there is no such instance."""
    query = select(func.max(vapid_keys.c.number)).where(vapid_keys.c.instance_number == instance)
    number = await connection.scalar(query)
    return None if number is None else VapidKeyNumber(number)


async def in_use(
    connection: AsyncConnection, instance: InstanceNumber
) -> Mapping[VapidKeyNumber, int]:
    """How many living devices each pair reaches; one that reaches none is left out."""
    query = (
        select(devices.c.vapid_key_number, func.count())
        .where(
            devices.c.instance_number == instance,
            devices.c.vapid_key_number.is_not(None),
            devices.c.pruned_at.is_(None),
        )
        .group_by(devices.c.vapid_key_number)
    )
    return {VapidKeyNumber(number): count for number, count in await connection.execute(query)}


async def remove_unused(connection: AsyncConnection, instance: InstanceNumber) -> int:
    """Forget an instance's older pairs that no device is bound to; how many those were."""
    newest = select(func.max(vapid_keys.c.number)).where(vapid_keys.c.instance_number == instance)
    bound = select(devices.c.vapid_key_number).where(
        devices.c.instance_number == instance, devices.c.vapid_key_number.is_not(None)
    )
    removed = await connection.execute(
        delete(vapid_keys).where(
            vapid_keys.c.instance_number == instance,
            vapid_keys.c.number < newest.scalar_subquery(),
            vapid_keys.c.number.not_in(bound),
        )
    )
    return int(removed.rowcount)


def _read(row: Row[Any]) -> VapidKeyRow:
    return VapidKeyRow(
        number=VapidKeyNumber(row.number),
        public_key=row.public_key,
        private_key=row.private_key,
        created_at=row.created_at,
    )
