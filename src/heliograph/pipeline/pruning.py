"""
Pruning: devices that are gone are taken out of service, in the commit that says so.

* What a gateway says is gone is pruned, unless it registered since it died; if nobody
  says when that was, since we looked it up.
* What is only suspected (``gateways/contract.py``: a wrong setting would look the same)
  is counted, once for each publish, and quarantined when it was refused in three of
  them over a day, with no success and no registration in between.
* Where too much of a lane would go, nothing goes (``breaker.py``).

Both are the same to everybody else: out of service, with the reason, until the device
registers again or an operator restores it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.gateways.contract import Gone
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import DeviceNumber, Lane, PublishNumber
from heliograph.pipeline.breaker import Tally, watched
from heliograph.pipeline.verdict import Over, Verdict
from heliograph.storage import devices, suspicions, watches
from heliograph.storage.suspicions import Suspicion
from heliograph.storage.work import Batch

MOST_REFUSALS: Final = 3
"""Publishes in a row that a suspected device is sent."""

SHORTEST_SUSPICION: Final = timedelta(hours=24)
"""How long it is suspected at least: an operator's mistake is seen within a day."""


@dataclass(frozen=True, slots=True)
class Doom:
    """Why a device would go."""

    reason: str
    unless_registered_after: datetime | None
    gone_since: datetime | None = None
    is_quarantine: bool = False


@dataclass(frozen=True, slots=True)
class Pruning:
    """What was pruned with a batch."""

    pruned: Mapping[DeviceNumber, str] = field(default_factory=dict)
    """The devices taken out of service, and the gateway's word for why."""
    quarantined: frozenset[DeviceNumber] = frozenset()
    """Those among them that were only suspected."""
    turn: Literal["stopped", "resumed"] | None = None
    """Whether this was the batch that stopped the pruning of its lane, or let it go on."""


async def prune(
    connection: AsyncConnection,
    batch: Batch,
    verdicts: Mapping[DeviceNumber, Verdict],
    *,
    cleared_by: Mapping[DeviceNumber, Verdict],
    attempted: int,
    tally: Tally,
    began_at: datetime | None,
    now: datetime,
) -> Pruning:
    """
    Take devices of a batch out of service that are gone, or suspected for too long.

    Args:
        connection: The transaction that settles the batch, which holds no device yet.
        batch: Which.
        verdicts: One for each of its devices that was not simply sent to.
        cleared_by: One for each of its devices, if any of them may be under suspicion.
        attempted: How many of them came to an answer.
        tally: What was attempted of the lane before, while nothing was doomed.
        began_at: When its devices were looked up; None if nobody knows.
        now: When.
    """
    gone, suspects, found = _marked(verdicts)
    cleared = await _cleared(connection, batch, cleared_by) if cleared_by else []
    await devices.hold(connection, {*gone, *suspects, *found, *cleared})
    await suspicions.clear(connection, cleared)
    doomed: dict[DeviceNumber, Doom] = {}
    if gone or suspects:
        registered = await devices.registered(connection, [*gone, *suspects])
        weighed = await _weigh(connection, batch, suspects, registered, now)
        doomed = _gone(gone, registered, began_at) | _ripe(weighed, began_at, now)
    lane = Lane(batch.instance, batch.gateway, batch.environment)
    if not doomed:
        tally.add(lane, attempted, now=now)
        return Pruning()
    attempted += tally.take(lane, now=now)
    return await _prune(connection, lane, doomed, attempted=attempted, now=now)


def report(batch: Batch, pruning: Pruning, metrics: Metrics) -> None:
    """Count and log what was pruned with a batch, after its commit."""
    for number, reason in pruning.pruned.items():
        metrics.pruned.labels(batch.gateway).inc()
        event = Event.DEVICE_PRUNED
        if number in pruning.quarantined:
            event = Event.DEVICE_QUARANTINED
        log().info(event, device_number=number, reason=reason)
    lane = {
        "instance_number": batch.instance,
        "gateway": batch.gateway,
        "environment": batch.environment,
    }
    if pruning.turn == "stopped":
        metrics.pruning_stopped.labels(batch.gateway).inc()
        log().error(Event.PRUNING_STOPPED, **lane)
    elif pruning.turn == "resumed":
        log().info(Event.PRUNING_RESUMED, **lane)


def suspected(
    known: Suspicion | None,
    reason: str,
    *,
    publish: PublishNumber,
    registered_at: datetime,
    now: datetime,
) -> Suspicion:
    """A device's suspicion after it was refused; what was before a registration is void."""
    if known is None or registered_at > known.since:
        return Suspicion(1, now, publish, reason)
    if known.publish == publish:
        return known
    return replace(known, refusals=known.refusals + 1, publish=publish, reason=reason)


def is_ripe(suspicion: Suspicion, *, now: datetime) -> bool:
    """Whether a device has been suspected often, and for long enough."""
    is_old = now - suspicion.since >= SHORTEST_SUSPICION
    return is_old and suspicion.refusals >= MOST_REFUSALS


_Marked = tuple[dict[DeviceNumber, Gone], dict[DeviceNumber, str], list[DeviceNumber]]
"""What is gone, what is suspected and why, and what was found elsewhere."""


def _marked(verdicts: Mapping[DeviceNumber, Verdict]) -> _Marked:
    """The devices that verdicts change, which are few."""
    gone: dict[DeviceNumber, Gone] = {}
    suspects: dict[DeviceNumber, str] = {}
    found: list[DeviceNumber] = []
    for number, verdict in verdicts.items():
        if isinstance(verdict, Over):
            if verdict.prune is not None:
                gone[number] = verdict.prune
            elif verdict.suspicion is not None:
                suspects[number] = verdict.suspicion
            elif verdict.environment is not None:
                found.append(number)
    return gone, suspects, found


async def _cleared(
    connection: AsyncConnection, batch: Batch, verdicts: Mapping[DeviceNumber, Verdict]
) -> list[DeviceNumber]:
    """Those who were sent to and had been suspected."""
    first, last = DeviceNumber(batch.devices[0]), DeviceNumber(batch.devices[-1])
    return [
        each
        for each in await suspicions.between(connection, first, last)
        if isinstance(verdict := verdicts.get(each), Over) and verdict.end == "sent"
    ]


async def _weigh(
    connection: AsyncConnection,
    batch: Batch,
    suspects: Mapping[DeviceNumber, str],
    registered: Mapping[DeviceNumber, datetime],
    now: datetime,
) -> dict[DeviceNumber, Suspicion]:
    """The suspicions of those that live, after this refusal; they are kept."""
    known = await suspicions.of(connection, suspects)
    weighed = {
        number: suspected(
            known.get(number),
            reason,
            publish=batch.publish,
            registered_at=registered[number],
            now=now,
        )
        for number, reason in suspects.items()
        if number in registered
    }
    changed = {number: each for number, each in weighed.items() if each != known.get(number)}
    await suspicions.keep(connection, changed)
    return weighed


def _gone(
    gone: Mapping[DeviceNumber, Gone],
    registered: Mapping[DeviceNumber, datetime],
    began_at: datetime | None,
) -> dict[DeviceNumber, Doom]:
    """Those that live, and have not registered since."""
    doomed = {}
    for number, said in gone.items():
        limit = said.since or began_at
        if number in registered and (limit is None or registered[number] <= limit):
            doomed[number] = Doom(said.reason, limit, gone_since=said.since)
    return doomed


def _ripe(
    weighed: Mapping[DeviceNumber, Suspicion], began_at: datetime | None, now: datetime
) -> dict[DeviceNumber, Doom]:
    return {
        number: Doom(each.reason, began_at, is_quarantine=True)
        for number, each in weighed.items()
        if is_ripe(each, now=now)
    }


async def _prune(
    connection: AsyncConnection,
    lane: Lane,
    doomed: Mapping[DeviceNumber, Doom],
    *,
    attempted: int,
    now: datetime,
) -> Pruning:
    """Prune the doomed, all of them or, if that is too many, none."""
    before = await watches.find(connection, lane)
    after = watched(before, attempted=attempted, doomed=len(doomed), now=now)
    await watches.keep(connection, lane, after)
    was_stopped = before is not None and before.stopped_at is not None
    if after.stopped_at is not None:
        return Pruning(turn=None if was_stopped else "stopped")
    pruned = {}
    for number, doom in doomed.items():
        if await devices.prune(
            connection,
            number,
            reason=doom.reason,
            unless_registered_after=doom.unless_registered_after,
            gone_since=doom.gone_since,
            is_quarantine=doom.is_quarantine,
            now=now,
        ):
            pruned[number] = doom.reason
    await suspicions.clear(connection, pruned)
    quarantined = frozenset(number for number in pruned if doomed[number].is_quarantine)
    return Pruning(pruned, quarantined, "resumed" if was_stopped else None)
