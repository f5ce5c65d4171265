"""
Queries on suspicions: devices that may be dead, or whose instance may be set wrongly.

Whoever changes a device's suspicion holds the device (``devices.hold``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, PublishNumber
from heliograph.storage.tables import suspicions

_NUMBERS_PER_STATEMENT: Final = 1000


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A device's address was refused, and neither taken nor registered since."""

    refusals: int
    """In how many publishes."""
    since: datetime
    """When it was refused first."""
    publish: PublishNumber
    """The last publish that was counted."""
    reason: str
    """The gateway's last word for it."""


async def of(
    connection: AsyncConnection, numbers: Collection[DeviceNumber]
) -> dict[DeviceNumber, Suspicion]:
    """The suspicions of these devices; nothing for those that are above it."""
    found: dict[DeviceNumber, Suspicion] = {}
    for some in _portions(numbers):
        query = select(suspicions).where(suspicions.c.device_number.in_(some))
        for row in await connection.execute(query):
            found[DeviceNumber(row.device_number)] = _read(row)
    return found


async def between(
    connection: AsyncConnection, first: DeviceNumber, last: DeviceNumber
) -> Sequence[DeviceNumber]:
    """The devices under suspicion from one number to another, both included."""
    number = suspicions.c.device_number
    query = select(number).where(number >= first, number <= last)
    return [DeviceNumber(each) for each in await connection.scalars(query)]


async def keep(connection: AsyncConnection, changed: Mapping[DeviceNumber, Suspicion]) -> None:
    """Keep suspicions instead of those that there were of the same devices."""
    await clear(connection, changed)
    if changed:
        await connection.execute(
            insert(suspicions),
            [
                {
                    "device_number": number,
                    "refusals": each.refusals,
                    "since": each.since,
                    "publish_number": each.publish,
                    "reason": each.reason,
                }
                for number, each in changed.items()
            ],
        )


async def clear(connection: AsyncConnection, numbers: Collection[DeviceNumber]) -> None:
    """Put these devices above suspicion."""
    for some in _portions(numbers):
        await connection.execute(delete(suspicions).where(suspicions.c.device_number.in_(some)))


def _portions(numbers: Collection[DeviceNumber]) -> list[list[DeviceNumber]]:
    ordered = sorted(numbers)
    starts = range(0, len(ordered), _NUMBERS_PER_STATEMENT)
    return [ordered[start : start + _NUMBERS_PER_STATEMENT] for start in starts]


def _read(row: Row[Any]) -> Suspicion:
    return Suspicion(row.refusals, row.since, PublishNumber(row.publish_number), row.reason)
