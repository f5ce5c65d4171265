"""
Queries on what is worth knowing of many: publishes by the day, and who is reached at all.

A publish counts for the day, in UTC, on which it was accepted, with all that came of it
later: so a day's rates are those of its own messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import Gateway, InstanceNumber, Platform, PublishId, PublishNumber
from heliograph.storage.devices import platform_of
from heliograph.storage.publishes import ECHO_COUNTS, Echo, echoes
from heliograph.storage.tables import devices, publishes

_DAY: Final = timedelta(days=1)
_DAY_AS_WRITTEN: Final = _DAY // timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Day:
    """What became of the publishes of one day."""

    date: date
    """In UTC."""
    publishes: int
    targeted: int
    failed: int
    """Those that expired among them; not those that were cancelled."""
    gateways: Mapping[Gateway, Echo]
    """Of those through which anything was sent."""


@dataclass(frozen=True, slots=True)
class PublishSummary:
    """What became of one publish."""

    number: PublishNumber
    id: PublishId
    accepted_at: datetime
    targeted: int
    failed: int
    """As for a day."""
    gateways: Mapping[Gateway, Echo]


@dataclass(frozen=True, slots=True)
class Reach:
    """Who is reached: devices that are registered and not pruned, and the people on them."""

    devices: Mapping[Gateway, int]
    users: int


async def days(
    connection: AsyncConnection, instance: InstanceNumber, *, since: date
) -> Sequence[Day]:
    """The days from one on that have publishes, the latest first."""
    written = type_coerce(publishes.c.accepted_at, BigInteger)
    day = (written // _DAY_AS_WRITTEN).label("day")
    query = (
        select(
            day,
            func.count().label("publishes"),
            *[_sum(name) for name in ("targeted", "failed", "expired")],
            *[_sum(f"{gateway}_{count}") for gateway in Gateway for count in ECHO_COUNTS],
        )
        .where(publishes.c.instance_number == instance)
        .where(publishes.c.accepted_at >= datetime(since.year, since.month, since.day, tzinfo=UTC))
        .group_by(day)
        .order_by(day.desc())
    )
    return [
        Day(
            date=(_EPOCH + row.day * _DAY).date(),
            publishes=row.publishes,
            targeted=int(row.targeted),
            failed=int(row.failed + row.expired),
            gateways=echoes(row),
        )
        for row in await connection.execute(query)
    ]


async def registrations(
    connection: AsyncConnection, instance: InstanceNumber, *, since: date
) -> dict[date, dict[Platform, int]]:
    """How many devices of each platform, living or pruned, were made on each day, latest first."""
    written = type_coerce(devices.c.created_at, BigInteger)
    day = (written // _DAY_AS_WRITTEN).label("day")
    query = (
        select(day, devices.c.gateway, devices.c.platform, func.count().label("made"))
        .where(devices.c.instance_number == instance)
        .where(devices.c.created_at >= datetime(since.year, since.month, since.day, tzinfo=UTC))
        .group_by(day, devices.c.gateway, devices.c.platform)
        .order_by(day.desc(), devices.c.gateway, devices.c.platform)
    )
    found: dict[date, dict[Platform, int]] = {}
    for row in await connection.execute(query):
        platforms = found.setdefault((_EPOCH + row.day * _DAY).date(), {})
        platform = platform_of(row.gateway, row.platform)
        platforms[platform] = platforms.get(platform, 0) + row.made
    return found


async def latest(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    before: PublishNumber | None = None,
    limit: int,
) -> Sequence[PublishSummary]:
    """An instance's publishes, the latest first; those before one, if told."""
    query = select(publishes).where(publishes.c.instance_number == instance)
    if before is not None:
        query = query.where(publishes.c.number < before)
    rows = await connection.execute(query.order_by(publishes.c.number.desc()).limit(limit))
    return [
        PublishSummary(
            number=PublishNumber(row.number),
            id=PublishId(row.id),
            accepted_at=row.accepted_at,
            targeted=row.targeted,
            failed=row.failed + row.expired,
            gateways=echoes(row),
        )
        for row in rows
    ]


async def reach(connection: AsyncConnection, instance: InstanceNumber) -> Reach:
    """Who is reached now."""
    living = (devices.c.instance_number == instance, devices.c.pruned_at.is_(None))
    by_gateway = select(devices.c.gateway, func.count()).where(*living)
    counts = {
        Gateway(gateway): int(count)
        for gateway, count in await connection.execute(by_gateway.group_by(devices.c.gateway))
    }
    people = select(func.count(func.distinct(devices.c.user_number))).where(*living)
    return Reach(counts, int(await connection.scalar(people) or 0))


def _sum(name: str) -> ColumnElement[int]:
    return func.sum(publishes.c[name]).label(name)
