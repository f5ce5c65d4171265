"""Queries on receipts: what devices say of a publish, each thing once."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, PublishNumber, UserId
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import receipts

What = Literal["delivered", "opened"]
"""What a device can say: that it has a publish, and that somebody opened it there."""


class Receipt(NamedTuple):
    """One device's word about one publish."""

    publish: PublishNumber
    device: DeviceNumber
    user: UserId | None
    """Who was logged in, if that is known."""


class Heard(NamedTuple):
    """When a device said what of a publish."""

    delivered_at: datetime | None
    opened_at: datetime | None


async def of_devices(
    connection: AsyncConnection, publish: PublishNumber, numbers: Collection[DeviceNumber]
) -> dict[DeviceNumber, Heard]:
    """What some devices, up to 1,000, have said of a publish; nothing of those that have not."""
    query = select(receipts.c.device_number, receipts.c.delivered_at, receipts.c.opened_at).where(
        receipts.c.publish_number == publish, receipts.c.device_number.in_(numbers)
    )
    return {
        DeviceNumber(row.device_number): Heard(row.delivered_at, row.opened_at)
        for row in await connection.execute(query)
    }


async def add(
    connection: AsyncConnection, what: What, said: Collection[Receipt], *, now: datetime
) -> set[tuple[PublishNumber, DeviceNumber]]:
    """
    Keep what some devices say, unless they have said it before.

    Returns:
        By publish and device, what is news.
    """
    if not said:
        return set()
    insert = INSERTS[connection.dialect.name](receipts)
    column = f"{what}_at"
    added = await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["publish_number", "device_number"],
            set_={column: insert.excluded[column]},
            where=receipts.c[column].is_(None),
        ).returning(receipts.c.publish_number, receipts.c.device_number),
        [
            {
                "publish_number": each.publish,
                "device_number": each.device,
                "user_id": each.user,
                column: now,
            }
            for each in sorted(
                said, key=lambda each: each[:2]
            )  # so that no two transactions wait for each other
        ],
    )
    return {(PublishNumber(publish), DeviceNumber(device)) for publish, device in added}
