"""
The worker: takes work from the queue and walks it through the pipeline.

What it has in hand at once, and how it is stopped, ``hands.py`` says. Work that fails for
a reason of our own rests, longer each time, until it is given up: nothing waits for ever.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from heliograph.gateways.contract import Outcome
from heliograph.instances import Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import DeviceNumber, Message, Sort, ToUsers, UserId
from heliograph.notices import Subject
from heliograph.pipeline.breaker import Tally
from heliograph.pipeline.call import Caller
from heliograph.pipeline.cancel import PUBLISH_CANCELLED
from heliograph.pipeline.deliver import Deliver
from heliograph.pipeline.editions import editions
from heliograph.pipeline.expand import expand, finish
from heliograph.pipeline.hands import Hands
from heliograph.pipeline.lanes import Ask, Change, Stop, Streaks, judge_probe
from heliograph.pipeline.replies import Replies
from heliograph.pipeline.report import report, report_lanes
from heliograph.pipeline.settle import Settlement, settle
from heliograph.pipeline.turnstile import Turnstile
from heliograph.pipeline.verdict import (
    MOST_FAILURES,
    Over,
    Verdict,
    after_failure,
    expires_at,
    is_expired,
    verdicts,
)
from heliograph.queue.contract import Queue
from heliograph.storage import devices, lanes, occupants, publishes, webhooks
from heliograph.storage.database import Database, is_away
from heliograph.storage.publishes import Publish
from heliograph.storage.work import LARGE_PUBLISH, Batch, Call, Errand, Expansion, Work

SMALL_HANDS: Final = 4
"""How many small pieces we have in hand for each large one."""

_STEPS_IN_A_ROW: Final = 8
"""Steps of a large expansion before others get their turn."""

INTERNAL_ERROR: Final = "InternalError"
"""Why a delivery has failed that we gave up: a fault of ours, which the log tells of."""

LANE_PAUSED: Final = "LanePaused"
"""Why a delivery has expired that was never tried, or not again."""

_SETTLED_AGAIN_AFTER: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 14.0)
"""Seconds, together half of a lease; where that is set shorter, somebody else may be faster."""

TIME_TO_FINISH: Final = timedelta(seconds=8)
"""How long a stop waits for what is under way; the process has 15 seconds in all."""


@dataclass(frozen=True, slots=True)
class _Delivered:
    """What came of a batch, before it is settled."""

    verdicts: Mapping[DeviceNumber, Verdict]
    outcomes: Mapping[DeviceNumber, Outcome] = field(default_factory=dict)
    change: Change | None = None
    """What it tells of its lane."""
    users: Mapping[DeviceNumber, UserId] = field(default_factory=dict)
    """Whose devices they were, if somebody is to be told when the publish is over."""
    subjects: frozenset[Subject] = frozenset()
    """What the webhooks of its instance are told of."""


class Worker:
    """One worker of one process."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        instances: Instances,
        deliver: Deliver,
        caller: Caller,
        metrics: Metrics,
        *,
        concurrency: int,
        batch_size: int,
        clock: Callable[[], datetime],
        dice: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Make a worker; nothing is taken yet.

        Args:
            database: Where everything is kept.
            queue: Where work comes from.
            instances: Whose credentials to use.
            deliver: What takes messages to gateways.
            caller: What tells those who want to be told.
            metrics: Where to count.
            concurrency: Pieces of large publishes in hand at once, and as many that are
                tried again; of small ones and of calls four times as many.
            batch_size: Devices in one batch, at most.
            clock: The time.
            dice: Numbers from 0 up to 1, for the jitter of retries.
            sleep: Lets so many seconds pass.
        """
        self._database = database
        self._queue = queue
        self._instances = instances
        self._deliver = deliver
        self._caller = caller
        self._metrics = metrics
        self._hands = {
            Sort.SMALL: SMALL_HANDS * concurrency,
            Sort.LARGE: concurrency,
            Sort.AGAIN: concurrency,
            Sort.CALL: SMALL_HANDS * concurrency,
        }
        self._batch_size = batch_size
        self._clock = clock
        self._dice = dice
        self._sleep = sleep
        self._streaks = Streaks()
        self._tally = Tally()
        self._turnstile = Turnstile()

    async def run(self, stop: asyncio.Event, *, time_to_finish: timedelta = TIME_TO_FINISH) -> None:
        """Work until told to stop; then finish what is under way, and hand the rest back."""
        hands = Hands(
            self._queue,
            self._do,
            self._hands,
            self._metrics,
            beat=self._report_lanes,
            sleep=self._sleep,
        )
        await hands.work(stop, time_to_finish=time_to_finish)

    async def run_until_idle(self) -> None:
        """Do everything that is due now, then return."""
        while True:
            taken = [await self._queue.take(sort, hands) for sort, hands in self._hands.items()]
            if not any(taken):
                return
            await asyncio.gather(*[self._do(each) for some in taken for each in some])

    async def _do(self, work: Work) -> None:
        """Do a piece of work; if that fails for a reason of our own, it is not lost."""
        try:
            if work.failures >= MOST_FAILURES:  # somebody has died over it each time
                await self._give_up(work)
                return
            made = await self._made_of(work)
            await self._queue.finish([work])
            if made:
                await self._queue.announce(made)
        except Exception as problem:  # noqa: BLE001  (whatever it is, the work must not be lost)
            log().error(
                Event.WORKER_FAILED, work=work.number, problem=type(problem).__name__, exc_info=True
            )
            await self._fail(work)

    async def _fail(self, work: Work) -> None:
        """Let work rest that we could not do, or give it up."""
        failures = work.failures + 1
        try:
            if failures < MOST_FAILURES:
                rest = after_failure(failures)
                await self._queue.hand_back([work], after=rest, has_failed=True)
            else:
                await self._give_up(work)
        except Exception as problem:  # noqa: BLE001  (its lease runs out, and somebody takes it)
            log().error(
                Event.WORKER_FAILED, work=work.number, problem=type(problem).__name__, exc_info=True
            )

    async def _give_up(self, work: Work) -> None:
        """End work that we cannot do, so that its publish comes to an end."""
        now = self._clock()
        told: Sequence[Work] = []
        if isinstance(work, Expansion):
            async with self._database.write() as connection:
                told = await finish(connection, work, now=now)
        elif isinstance(work, Call):
            await self._caller.give_up(work)
        else:
            settlement = await self._fail_all(work, now)
            if settlement is not None:
                self._metrics.deliveries.labels(work.gateway, "failed").inc(len(work.devices))
                told = settlement.told
        await self._queue.finish([work], given_up=True)
        if told:
            await self._queue.announce(told)
        self._metrics.given_up.inc()
        log().error(Event.WORK_GIVEN_UP, work=work.number, failures=work.failures + 1)

    async def _fail_all(self, batch: Batch, now: datetime) -> Settlement | None:
        """Settle a batch that we cannot deliver, for a reason of our own."""
        numbers = cast("list[DeviceNumber]", batch.devices.tolist())
        failed = dict.fromkeys(numbers, Over("failed", INTERNAL_ERROR))
        async with self._database.read() as connection:
            publish = await publishes.find(connection, batch.publish)
        users = {} if publish is None else await self._users_on(publish, numbers)
        subjects = await self._subjects_of(batch)
        return await settle(self._database, batch, failed, now=now, users=users, subjects=subjects)

    async def _subjects_of(self, batch: Batch) -> frozenset[Subject]:
        """
        What the webhooks of a batch's instance are told of, without a look at its secrets.

        Work ends also where those cannot be opened.
        """
        async with self._database.read() as connection:
            every = await webhooks.of_instance(connection, batch.instance)
        return frozenset[Subject]().union(*[each.subjects for each in every])

    async def _made_of(self, work: Work) -> Sequence[Work]:
        """Do a piece of work; what is to be done next."""
        await self._let_small_ones_pass(work)
        match work:
            case Expansion():
                return await self._expand(work)
            case Batch():
                return await self._do_batch(work)
            case Call():
                return await self._caller.make(work)

    async def _expand(self, expansion: Expansion) -> Sequence[Work]:
        """
        Take a step of an expansion; of a large one several in a row.

        To be taken anew for each step takes longer than the step, and no step can begin
        before the one before it: two workers would be no faster than one.
        """
        steps = _STEPS_IN_A_ROW if expansion.sort is Sort.LARGE else 1
        while True:
            steps -= 1
            made = await expand(
                self._database,
                expansion,
                page_size=self._batch_size,
                now=self._clock(),
                keep=steps > 0,
            )
            left = [each for each in made if isinstance(each, Expansion)]
            if not steps or not left:
                return made
            await self._queue.announce([each for each in made if each is not left[0]])
            (expansion,) = left
            await self._let_small_ones_pass(expansion)

    async def _do_batch(self, batch: Batch) -> Sequence[Work]:
        with self._metrics.batch_seconds.labels(batch.gateway).time():
            async with self._database.read() as connection:
                publish = await publishes.find(connection, batch.publish)
            if publish is None:
                log().info(Event.BATCH_ABANDONED, work=batch.number)
                return []  # its instance was deleted, and the work with it
            replies = Replies(began_at=self._clock())
            found = await self._delivered(batch, publish, replies)
            await self._let_small_ones_pass(batch)
            settlement = await self._patiently(
                batch,
                lambda: settle(
                    self._database,
                    batch,
                    found.verdicts,
                    replies=replies,
                    tally=self._tally,
                    now=self._clock(),
                    change=found.change,
                    dice=self._dice(),
                    users=found.users,
                    subjects=found.subjects,
                ),
            )
        if settlement is None:
            return []
        report(self._metrics, batch, publish, settlement, found.outcomes, found.change)
        if settlement.lane is not None:
            await self._report_lanes()
        if settlement.lane == "resumed":
            await self._queue.announce([])  # what it held is due
        return [*settlement.made, *settlement.told]

    async def _let_small_ones_pass(self, work: Work) -> None:
        if _is_large(work):
            await self._turnstile.passed()

    async def _patiently(
        self, batch: Batch, do: Callable[[], Awaitable[Settlement | None]]
    ) -> Settlement | None:
        """Settle a batch; wait for a database that is away, or all of it is sent again."""
        for seconds in _SETTLED_AGAIN_AFTER:
            try:
                return await do()
            except Exception as problem:
                if not is_away(problem):
                    raise
                log().warning(
                    Event.SETTLEMENT_WAITS, work=batch.number, problem=type(problem).__name__
                )
                await self._sleep(seconds)
        return await do()

    async def _delivered(self, batch: Batch, publish: Publish, replies: Replies) -> _Delivered:
        """Deliver what is still worth delivering; a verdict for each device, and on the lane."""
        numbers = cast("list[DeviceNumber]", batch.devices.tolist())
        deadline = max(
            expires_at(each, accepted_at=publish.accepted_at)
            for each in publish.messages.all_of(batch.gateway)
        )
        over = self._over(batch, publish, deadline)
        instance = None if over else await self._instances.find_numbered(batch.instance)
        if instance is None:
            end = over or Over("cancelled", "InstanceDeleted")
            return _Delivered(
                dict.fromkeys(numbers, end),
                change=Ask() if _is_probe(batch) else None,
                users=await self._users_on(publish, numbers),
                subjects=await self._subjects_of(batch),
            )
        async with self._database.read() as connection:
            present = await devices.still_addressed(
                connection, batch.instance, publish.target, batch.gateway, batch.devices
            )
        users = await self._users_on(publish, [each.number for each in present])
        found = editions(publish.messages, batch.gateway, present)
        parts = [(some, self._deadline(publish, message, deadline)) for message, some in found]
        # What goes out by other credentials, or not at all, is no news of the lane.
        aside = {
            each.number
            for message, some in found
            if message is None or (message is publish.messages.safari and instance.website)
            for each in some
        }
        late = [some for some, until in parts if self._is_expired(batch, publish, until)]
        expired = {each.number for some in late for each in some}
        if expired:
            present = [each for each in present if each.number not in expired]
        await self._let_small_ones_pass(batch)
        outcomes = await self._deliver.deliver(publish, instance, batch.gateway, present, replies)
        answers = [each for number, each in outcomes.items() if number not in aside]
        change = (
            judge_probe(answers) if _is_probe(batch) else self._streaks.judge(batch.lane, answers)
        )
        decided: dict[DeviceNumber, Verdict] = dict.fromkeys(expired, Over("expired"))
        for some, until in parts:
            own = outcomes
            if len(parts) > 1:
                own = {each.number: outcomes[each.number] for each in some if each.number in own}
            decided |= verdicts(
                own,
                attempt=batch.attempt,
                expires_at=until,
                now=self._clock(),
                dice=self._dice(),
                is_held=isinstance(change, Stop),
            )
        others: Verdict = Over("cancelled", "NoLongerAddressed")
        told = dict.fromkeys(numbers, others) | decided
        return _Delivered(told, outcomes, change, users, instance.subjects)

    async def _users_on(
        self, publish: Publish, numbers: Sequence[DeviceNumber]
    ) -> Mapping[DeviceNumber, UserId]:
        """Whose devices some are, if somebody is to be told when the publish is over."""
        if not publish.is_watched or not isinstance(publish.target, ToUsers):
            return {}
        async with self._database.read() as connection:
            return await occupants.users_on(connection, numbers)

    def _over(self, batch: Batch, publish: Publish, deadline: datetime) -> Over | None:
        """How a batch ends without being sent; None if it is worth sending."""
        if publish.cancelled_at is not None:
            return Over("cancelled", PUBLISH_CANCELLED)
        if batch.errand is Errand.EXPIRE:
            return Over("expired", LANE_PAUSED)
        return Over("expired") if self._is_expired(batch, publish, deadline) else None

    def _is_expired(self, batch: Batch, publish: Publish, end: datetime) -> bool:
        return is_expired(
            end, accepted_at=publish.accepted_at, attempt=batch.attempt, now=self._clock()
        )

    @staticmethod
    def _deadline(publish: Publish, message: Message | None, latest: datetime) -> datetime:
        """From when on one edition is worth nothing; where there is none, that of the others."""
        return latest if message is None else expires_at(message, accepted_at=publish.accepted_at)

    async def _report_lanes(self) -> None:
        async with self._database.read() as connection:
            report_lanes(self._metrics, await lanes.paused(connection))


def _is_large(work: Work) -> bool:
    """Whether a step of it keeps the event loop for long; of any sort, for a retry may be."""
    if isinstance(work, Batch):
        return len(work.devices) >= LARGE_PUBLISH
    return work.sort is Sort.LARGE


def _is_probe(batch: Batch) -> bool:
    return batch.errand is Errand.PROBE
