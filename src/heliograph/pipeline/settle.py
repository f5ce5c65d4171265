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
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, End, Environment, Sort, UserId
from heliograph.notices import Subject
from heliograph.pipeline import notify
from heliograph.pipeline.alike import different
from heliograph.pipeline.breaker import Tally
from heliograph.pipeline.cancel import PUBLISH_CANCELLED
from heliograph.pipeline.lanes import Ask, Change, Resume, Stop, wait
from heliograph.pipeline.pruning import Pruning, prune
from heliograph.pipeline.replies import Replies
from heliograph.pipeline.verdict import Again, Over, Verdict
from heliograph.storage import devices, lanes, outcomes, publishes, reached, work
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Result
from heliograph.storage.work import Batch, Call, Errand

_Waiting = dict[tuple[datetime, int], list[DeviceNumber]]
"""Devices by when, and as which attempt, they are to be tried again."""

_PLAIN: Final = Over("sent")
"""The verdict from which nothing follows but a count."""


_OF_EACH_DEVICE: Final = frozenset({Subject.PROGRESSED, Subject.FAILED})


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a settled batch amounted to."""

    ends: Mapping[End, int]
    again: int
    pruning: Pruning = field(default_factory=Pruning)
    """What was taken out of service."""
    made: Sequence[Batch] = ()
    """The batches of those to be tried again."""
    told: Sequence[Call] = ()
    """Calls to whoever waited for the end of the publish."""
    lane: Literal["paused", "resumed"] | None = None
    """What has become of its lane, if that is news."""


async def settle(
    database: Database,
    batch: Batch,
    verdicts: Mapping[DeviceNumber, Verdict],
    *,
    replies: Replies | None = None,
    tally: Tally | None = None,
    now: datetime,
    change: Change | None = None,
    dice: float = 0.5,
    users: Mapping[DeviceNumber, UserId] | None = None,
    subjects: frozenset[Subject] = frozenset(),
) -> Settlement | None:
    """
    Store what came of a batch, in one transaction.

    Args:
        database: Where.
        batch: The work, which is gone afterwards.
        verdicts: One for each of its devices.
        replies: When gateways answered, and with which status.
        tally: What was attempted while nothing was doomed; it is added to, or taken from.
        now: When.
        change: What it told of its lane; None if that goes on as it did.
        dice: A random number from 0 up to 1, for when a lane that is paused is tried.
        users: Whose devices they were when they were sent to, if the publish is watched.
        subjects: What the webhooks of its instance are told of.

    Returns:
        None, and nothing is stored, if somebody else has settled it already.
    """
    ends, results, special = _summed_up(batch, verdicts)
    replies, tally = replies or Replies(), tally or Tally()
    async with database.write() as connection:
        if not await work.remove(connection, batch.number):
            return None
        answers = replies.answers(batch.devices)
        is_any_suspected = await outcomes.add(
            connection, batch, results, _reasons(special), answers=answers, now=now
        )
        again = _to_try_again(special)
        if again and await publishes.is_cancelled(connection, batch.publish):
            ends["cancelled"] += await _cancel(connection, batch, again, now)
            again = {}
        made = await _repeat(connection, batch, again)
        is_watched = await publishes.add_ends(connection, batch.publish, ends, batch.gateway)
        told: list[Call] = []
        if subjects & _OF_EACH_DEVICE:
            told += await notify.progressed(
                connection,
                batch.publish,
                batch.instance,
                subjects,
                {number: each.end for number, each in verdicts.items() if isinstance(each, Over)},
                _reasons(special),
                now=now,
            )
        if is_watched:
            await reached.note(connection, batch.publish, _reached(users or {}, verdicts))
            told += await notify.if_over(connection, batch.publish, now=now)
        pruning = await prune(
            connection,
            batch,
            special,
            cleared_by=verdicts if is_any_suspected else {},
            attempted=ends["sent"] + ends["failed"],
            tally=tally,
            began_at=replies.began_at,
            now=now,
        )
        for environment, found in _found(special).items():
            await devices.remember_environment(connection, found, environment)
        news = None if change is None else await _change(connection, batch, change, now, dice)
    return Settlement(ends, len(results) - ends.total(), pruning, made, told, news)


def _reached(
    users: Mapping[DeviceNumber, UserId], verdicts: Mapping[DeviceNumber, Verdict]
) -> dict[UserId, bool]:
    """Of each person whose device came to an end, whether it was taken for one of them."""
    found: dict[UserId, bool] = {}
    for number, each in verdicts.items():
        user = users.get(number)
        if user is not None and isinstance(each, Over) and each.end != "cancelled":
            found[user] = found.get(user, False) or each.end == "sent"
    return found


def _summed_up(
    batch: Batch, verdicts: Mapping[DeviceNumber, Verdict]
) -> tuple["Counter[End]", Sequence[Result], dict[DeviceNumber, Verdict]]:
    """
    What a batch comes to, without a look at each device where all of them fared alike.

    Returns:
        How many ended how, a result for each device, and the verdicts from which more
        follows than that, in the order of the devices.
    """
    kinds = different(verdicts.values())
    plain = {key for key, each in kinds.items() if each == _PLAIN}
    results = {key: _result(each) for key, each in kinds.items()}
    count = len(batch.devices)
    if len(kinds) == len(plain) == 1 and len(verdicts) == count:
        return Counter({_PLAIN.end: count}), ["sent"] * count, {}
    ordered = [(number, verdicts[number]) for number in map(DeviceNumber, batch.devices)]
    ends = Counter(each.end for _, each in ordered if isinstance(each, Over))
    special = {number: each for number, each in ordered if id(each) not in plain}
    return ends, [results[id(each)] for _, each in ordered], special


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


def _to_try_again(verdicts: Mapping[DeviceNumber, Verdict]) -> _Waiting:
    """Those who wait for the same instant and attempt wait together, in ascending order."""
    waiting: _Waiting = defaultdict(list)
    for number, verdict in verdicts.items():
        if isinstance(verdict, Again):
            waiting[verdict.at, verdict.attempt].append(number)
    return waiting
