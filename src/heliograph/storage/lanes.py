"""
Queries on lanes: which are paused, why, and when one message is to try them.

A lane that has no row here goes on. All workers share these rows: what one has found
out, none has to find out again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    CallLane,
    Environment,
    Gateway,
    InstanceId,
    InstanceNumber,
    Lane,
    PauseKind,
)
from heliograph.storage.locks import hold_name
from heliograph.storage.tables import instances, lanes

LANES: Final = 16
"""How many keys an instance has room for."""

_PLACES: Final[dict[tuple[Gateway, Environment | None], int]] = {
    (Gateway.APNS, None): 1,
    (Gateway.APNS, Environment.PRODUCTION): 2,
    (Gateway.APNS, Environment.SANDBOX): 3,
    (Gateway.FCM, None): 4,
    (Gateway.WEB, None): 5,
}
"""As they are stored: never give a number again. 0 is what has no lane yet: expansions."""

_FIRST_OF_CALLS: Final = 6
"""The place from which on an instance's webhooks have theirs."""

CALL_LANES: Final = LANES - _FIRST_OF_CALLS
"""How many lanes the webhooks of an instance share."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A lane that is paused."""

    lane: Lane
    kind: PauseKind
    reason: str
    """The gateway's word for it."""
    paused_at: datetime
    probe_at: datetime
    """When one message is to find out whether the lane goes on; later while one is at it."""
    probes: int
    """How many have found out that it does not."""


def key(lane: Lane | CallLane) -> int:
    """One number for a lane, by which the lanes of an instance stand together."""
    if isinstance(lane, CallLane):
        return lane.instance * LANES + _FIRST_OF_CALLS + lane.place
    return lane.instance * LANES + _PLACES[lane.gateway, lane.environment]


def call_lane(key: int) -> CallLane:
    """The lane of calls that has this key."""
    return CallLane(InstanceNumber(key // LANES), key % LANES - _FIRST_OF_CALLS)


async def paused(
    connection: AsyncConnection, instance: InstanceNumber | None = None
) -> Sequence[Paused]:
    """The lanes that are paused: all, or those of one instance."""
    query = select(lanes).order_by(lanes.c.lane)
    if instance is not None:
        query = query.where(lanes.c.instance_number == instance)
    return [_read(row) for row in await connection.execute(query)]


async def find(connection: AsyncConnection, lane: Lane) -> Paused | None:
    """How a lane is paused; None if it goes on."""
    row = (await connection.execute(select(lanes).where(lanes.c.lane == key(lane)))).first()
    return None if row is None else _read(row)


async def pause(
    connection: AsyncConnection,
    lane: Lane,
    kind: PauseKind,
    reason: str,
    *,
    now: datetime,
    probe_at: datetime,
) -> bool:
    """
    Pause a lane; False if it is paused already, for this or for a graver reason.

    A refusal takes the place of whatever else it was paused for.
    """
    await hold_name(connection, "lane", key(lane))
    known = await connection.scalar(select(lanes.c.kind).where(lanes.c.lane == key(lane)))
    if known is not None and (known == PauseKind.REFUSED or kind is not PauseKind.REFUSED):
        return False
    await resume(connection, lane)
    await connection.execute(
        insert(lanes).values(
            lane=key(lane),
            instance_number=lane.instance,
            gateway=str(lane.gateway),
            environment=lane.environment,
            kind=str(kind),
            reason=reason,
            paused_at=now,
            probe_at=probe_at,
            probes=0,
        )
    )
    return True


async def begin_probe(
    connection: AsyncConnection, lane: Lane, *, now: datetime, until: datetime
) -> bool:
    """Let nobody else probe a lane until an instant; False if it is not time, or somebody does."""
    begun = await connection.execute(
        update(lanes)
        .where(lanes.c.lane == key(lane), lanes.c.probe_at <= now)
        .values(probe_at=until)
    )
    return begun.rowcount == 1


async def set_probe(connection: AsyncConnection, lane: Lane, *, at: datetime) -> None:
    """Let a lane that is paused be tried at an instant, and not before."""
    await connection.execute(update(lanes).where(lanes.c.lane == key(lane)).values(probe_at=at))


async def probe_failed(connection: AsyncConnection, lane: Lane, *, probe_at: datetime) -> None:
    """Note that a lane does not go on yet, and when to try again."""
    await connection.execute(
        update(lanes)
        .where(lanes.c.lane == key(lane))
        .values(probe_at=probe_at, probes=lanes.c.probes + 1)
    )


async def probe_soon(
    connection: AsyncConnection, instance: InstanceId, gateway: Gateway, *, at: datetime
) -> None:
    """Try the lanes of a gateway at an instant, because what they need has changed."""
    number = select(instances.c.number).where(instances.c.id == instance).scalar_subquery()
    await connection.execute(
        update(lanes)
        .where(lanes.c.instance_number == number, lanes.c.gateway == str(gateway))
        .values(probe_at=at, probes=0)
    )


async def resume(connection: AsyncConnection, lane: Lane) -> bool:
    """Let a lane go on; False if it was not paused."""
    resumed = await connection.execute(delete(lanes).where(lanes.c.lane == key(lane)))
    return resumed.rowcount == 1


def _read(row: Row[Any]) -> Paused:
    return Paused(
        lane=Lane(
            InstanceNumber(row.instance_number),
            Gateway(row.gateway),
            None if row.environment is None else Environment(row.environment),
        ),
        kind=PauseKind(row.kind),
        reason=row.reason,
        paused_at=row.paused_at,
        probe_at=row.probe_at,
        probes=row.probes,
    )
