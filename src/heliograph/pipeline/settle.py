"""
Settle: what came of a batch is stored in one commit, and only then is the work gone.

The commit holds everything that follows from it: a row of outcomes, the publish's
counts, the devices that are pruned, what was learnt of others and of the lane, and a
batch for those to be tried again, unless the publish has been cancelled. Either all of
it happens or, after a crash, the batch is delivered again.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, End, Environment, Sort
from heliograph.pipeline.cancel import PUBLISH_CANCELLED
from heliograph.pipeline.lanes import Ask, Change, Resume, Stop, wait
from heliograph.pipeline.verdict import Again, Over, Verdict
from heliograph.storage import devices, lanes, outcomes, publishes, work
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Result
from heliograph.storage.work import Batch, Errand

_Waiting = dict[tuple[datetime, int], list[DeviceNumber]]
"""Devices by when, and as which attempt, they are to be tried again."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a settled batch amounted to."""

    ends: Mapping[End, int]
    again: int
    pruned: Mapping[DeviceNumber, str] = field(default_factory=dict)
    """The devices taken out of service, and the gateway's word for why."""
    made: Sequence[Batch] = ()
    """The batches of those to be tried again."""
    lane: Literal["paused", "resumed"] | None = None
    """What has become of its lane, if that is news."""


async def settle(
    database: Database,
    batch: Batch,
    verdicts: Mapping[DeviceNumber, Verdict],
    *,
    now: datetime,
    change: Change | None = None,
    dice: float = 0.5,
) -> Settlement | None:
    """
    Store what came of a batch, in one transaction.

    Args:
        database: Where.
        batch: The work, which is gone afterwards.
        verdicts: One for each of its devices.
        now: When.
        change: What it told of its lane; None if that goes on as it did.
        dice: A random number from 0 up to 1, for when a lane that is paused is tried.

    Returns:
        None, and nothing is stored, if somebody else has settled it already.
    """
    ordered = [verdicts[DeviceNumber(number)] for number in batch.devices]
    ends: Counter[End] = Counter(each.end for each in ordered if isinstance(each, Over))
    async with database.write() as connection:
        if not await work.remove(connection, batch.number):
            return None
        results = [_result(each) for each in ordered]
        await outcomes.add(connection, batch, results, _reasons(verdicts), now=now)
        again = _to_try_again(batch, verdicts)
        if again and await publishes.is_cancelled(connection, batch.publish):
            ends["cancelled"] += await _cancel(connection, batch, again, now)
            again = {}
        made = await _repeat(connection, batch, again)
        await publishes.add_ends(connection, batch.publish, ends)
        await devices.hold(connection, _changed(verdicts))
        for environment, found in _found(verdicts).items():
            await devices.remember_environment(connection, found, environment)
        pruned = await _prune(connection, verdicts, now)
        news = None if change is None else await _change(connection, batch, change, now, dice)
    return Settlement(ends, len(ordered) - ends.total(), pruned, made, news)


async def _repeat(connection: AsyncConnection, batch: Batch, again: _Waiting) -> list[Batch]:
    return [
        await work.add_batch(
            connection,
            batch.publish,
            batch.instance,
            batch.gateway,
            batch.environment,
            numbers,
            attempt=attempt,
            due_at=due_at,
            sort=batch.sort if attempt == batch.attempt else Sort.AGAIN,
            expires_at=batch.expires_at,
        )
        for (due_at, attempt), numbers in again.items()
    ]


async def _cancel(connection: AsyncConnection, batch: Batch, again: _Waiting, now: datetime) -> int:
    """Store that attempts which would have been repeated will not be; how many."""
    for (_, attempt), numbers in again.items():
        never = replace(batch, devices=array("q", numbers), attempt=attempt)
        await outcomes.add_cancelled(connection, never, PUBLISH_CANCELLED, now=now)
    return sum(map(len, again.values()))


async def _change(
    connection: AsyncConnection, batch: Batch, change: Change, now: datetime, dice: float
) -> Literal["paused", "resumed"] | None:
    """Pause a lane, let it go on, or say when it is tried next; whether that is news."""
    lane = batch.lane
    match change:
        case Resume():
            return "resumed" if await lanes.resume(connection, lane) else None
        case Ask():
            await lanes.set_probe(connection, lane, at=now)
        case Stop(kind=kind, reason=reason, asked=asked):
            first = now + wait(kind, 0, asked=asked, dice=dice)
            if await lanes.pause(connection, lane, kind, reason, now=now, probe_at=first):
                return "paused"
            if batch.errand is Errand.PROBE and (known := await lanes.find(connection, lane)):
                later = now + wait(known.kind, known.probes + 1, asked=asked, dice=dice)
                await lanes.probe_failed(connection, lane, probe_at=later)
    return None


async def _prune(
    connection: AsyncConnection, verdicts: Mapping[DeviceNumber, Verdict], now: datetime
) -> dict[DeviceNumber, str]:
    """Take devices out of service that are gone; those that were, and why."""
    pruned = {}
    for number, verdict in verdicts.items():
        if isinstance(verdict, Over) and verdict.prune is not None:
            gone = verdict.prune
            if await devices.prune(
                connection,
                number,
                reason=gone.reason,
                unless_registered_after=gone.since,
                now=now,
            ):
                pruned[number] = gone.reason
    return pruned


def _changed(verdicts: Mapping[DeviceNumber, Verdict]) -> list[DeviceNumber]:
    """The devices that verdicts change."""
    return [
        number
        for number, verdict in verdicts.items()
        if isinstance(verdict, Over) and (verdict.prune or verdict.environment)
    ]


def _found(verdicts: Mapping[DeviceNumber, Verdict]) -> dict[Environment, list[DeviceNumber]]:
    """Devices by the environment that they were found in, if that is news."""
    found: dict[Environment, list[DeviceNumber]] = defaultdict(list)
    for number, verdict in verdicts.items():
        if isinstance(verdict, Over) and verdict.environment is not None:
            found[verdict.environment].append(number)
    return found


def _result(verdict: Verdict) -> Result:
    return "again" if isinstance(verdict, Again) else verdict.end


def _reasons(verdicts: Mapping[DeviceNumber, Verdict]) -> dict[DeviceNumber, str]:
    return {
        number: verdict.reason for number, verdict in verdicts.items() if verdict.reason is not None
    }


def _to_try_again(batch: Batch, verdicts: Mapping[DeviceNumber, Verdict]) -> _Waiting:
    """Those who wait for the same instant and attempt wait together, in ascending order."""
    waiting: _Waiting = defaultdict(list)
    for number in map(DeviceNumber, batch.devices):
        verdict = verdicts[number]
        if isinstance(verdict, Again):
            waiting[verdict.at, verdict.attempt].append(number)
    return waiting
