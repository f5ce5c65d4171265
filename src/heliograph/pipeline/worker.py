"""
The worker: takes work from the queue and walks it through the pipeline.

It holds a lease on what it has in hand and extends it while it is alive. Asked to
stop, it finishes what is under way and hands the rest back.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from heliograph.gateways import apns
from heliograph.gateways.contract import Outcome, Refused, Rejected
from heliograph.instances import Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import DeviceNumber, WorkNumber
from heliograph.pipeline.breaker import Tally
from heliograph.pipeline.cancel import PUBLISH_CANCELLED
from heliograph.pipeline.deliver import Deliver
from heliograph.pipeline.expand import expand
from heliograph.pipeline.pruning import report
from heliograph.pipeline.replies import Replies
from heliograph.pipeline.settle import Settlement, settle
from heliograph.pipeline.verdict import Over, Verdict, expires_at, is_expired, verdict
from heliograph.queue.database import LEASE, DatabaseQueue
from heliograph.storage import devices, publishes
from heliograph.storage.database import Database
from heliograph.storage.publishes import Publish
from heliograph.storage.work import Batch, Expansion, Work

_HEARTBEAT: Final = LEASE / 4

_AFTER_FAILURE: Final = timedelta(seconds=10)
"""How long work rests that we could not do for a reason of our own."""

TIME_TO_FINISH: Final = timedelta(seconds=8)
"""How long a stop waits for what is under way; the process has 15 seconds in all."""


class Worker:
    """One worker of one process."""

    def __init__(
        self,
        database: Database,
        queue: DatabaseQueue,
        instances: Instances,
        deliver: Deliver,
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
            metrics: Where to count.
            concurrency: Pieces of work in hand at once.
            batch_size: Devices in one batch, at most.
            clock: The time.
            dice: Numbers from 0 up to 1, for the jitter of retries.
            sleep: Lets so many seconds pass.
        """
        self._database = database
        self._queue = queue
        self._instances = instances
        self._deliver = deliver
        self._metrics = metrics
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._clock = clock
        self._dice = dice
        self._sleep = sleep
        self._in_hand: dict[asyncio.Task[None], WorkNumber] = {}
        self._tally = Tally()

    async def run(self, *, time_to_finish: timedelta = TIME_TO_FINISH) -> None:
        """Work until cancelled; then finish what is under way, and hand the rest back."""
        heartbeat = asyncio.create_task(self._keep_leases())
        try:
            while True:
                try:
                    await self._take()
                except Exception as problem:  # noqa: BLE001  (a full disk may be emptied)
                    log().error(Event.WORKER_FAILED, problem=type(problem).__name__, exc_info=True)
                    await self._sleep(_AFTER_FAILURE.total_seconds())
        finally:
            heartbeat.cancel()
            await self._put_down(time_to_finish)

    async def run_until_idle(self) -> None:
        """Do everything that is due now, then return."""
        while work := await self._queue.take(self._concurrency):
            await asyncio.gather(*[self._do(each) for each in work])

    async def _take(self) -> None:
        """Fill our hands; return when there is reason to look again."""
        free = self._concurrency - len(self._in_hand)
        taken = await self._queue.take(free) if free else []
        for work in taken:
            task = asyncio.create_task(self._do(work))
            self._in_hand[task] = work.number
            task.add_done_callback(self._let_go)
        if len(taken) < free:
            await self._queue.wait()
        else:
            await asyncio.wait(self._in_hand, return_when=asyncio.FIRST_COMPLETED)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        del self._in_hand[task]
        self._metrics.batches_in_hand.set(len(self._in_hand))

    async def _keep_leases(self) -> None:
        while True:
            await self._sleep(_HEARTBEAT.total_seconds())
            if not self._in_hand:
                continue
            try:
                await self._queue.extend(list(self._in_hand.values()))
            except Exception as problem:  # noqa: BLE001  (the next beat may be in time)
                log().error(Event.WORKER_FAILED, problem=type(problem).__name__, exc_info=True)

    async def _put_down(self, time_to_finish: timedelta) -> None:
        if not self._in_hand:
            return
        seconds = time_to_finish.total_seconds()
        _, unfinished = await asyncio.wait(list(self._in_hand), timeout=seconds)
        numbers = [self._in_hand[task] for task in unfinished]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if numbers:
            await self._queue.hand_back(numbers)

    async def _do(self, work: Work) -> None:
        self._metrics.batches_in_hand.set(len(self._in_hand))
        try:
            if isinstance(work, Expansion):
                await expand(self._database, work, page_size=self._batch_size, now=self._clock())
                self._queue.announce()
            else:
                await self._do_batch(work)
        except Exception as problem:  # noqa: BLE001  (whatever it is, the work must not be lost)
            log().error(
                Event.WORKER_FAILED, work=work.number, problem=type(problem).__name__, exc_info=True
            )
            await self._queue.hand_back([work.number], after=_AFTER_FAILURE)

    async def _do_batch(self, batch: Batch) -> None:
        with self._metrics.batch_seconds.labels(batch.gateway).time():
            async with self._database.read() as connection:
                publish = await publishes.find(connection, batch.publish)
            if publish is None:
                log().info(Event.BATCH_ABANDONED, work=batch.number)
                return  # its instance was deleted, and the work with it
            replies = Replies(began_at=self._clock())
            verdicts, outcomes = await self._verdicts(batch, publish, replies)
            settlement = await settle(
                self._database,
                batch,
                verdicts,
                replies=replies,
                tally=self._tally,
                now=self._clock(),
            )
        if settlement is not None:
            self._report(batch, publish, settlement, outcomes)
        self._queue.announce()

    async def _verdicts(
        self, batch: Batch, publish: Publish, replies: Replies
    ) -> tuple[dict[DeviceNumber, Verdict], dict[DeviceNumber, Outcome]]:
        """Deliver what is still worth delivering; a verdict for each device of the batch."""
        numbers = [DeviceNumber(number) for number in batch.devices]
        if publish.cancelled_at is not None:
            return dict.fromkeys(numbers, Over("cancelled", PUBLISH_CANCELLED)), {}
        message = getattr(publish.messages, batch.gateway)
        deadline = expires_at(message, accepted_at=publish.accepted_at)
        if is_expired(
            deadline,
            accepted_at=publish.accepted_at,
            attempt=batch.attempt,
            now=self._clock(),
        ):
            return dict.fromkeys(numbers, Over("expired")), {}
        instance = await self._instances.find_numbered(batch.instance)
        if instance is None:
            return dict.fromkeys(numbers, Over("cancelled", "InstanceDeleted")), {}
        async with self._database.read() as connection:
            present = await devices.still_addressed(
                connection, batch.instance, publish.target, batch.gateway, batch.devices
            )
        outcomes = await self._deliver.deliver(publish, instance, batch.gateway, present, replies)
        now, dice = self._clock(), self._dice()
        verdicts: dict[DeviceNumber, Verdict] = dict.fromkeys(
            numbers, Over("cancelled", "NoLongerAddressed")
        )
        for number, outcome in outcomes.items():
            verdicts[number] = verdict(
                outcome, attempt=batch.attempt, expires_at=deadline, now=now, dice=dice
            )
        return verdicts, outcomes

    def _report(
        self,
        batch: Batch,
        publish: Publish,
        settlement: Settlement,
        outcomes: dict[DeviceNumber, Outcome],
    ) -> None:
        for end, count in settlement.ends.items():
            self._metrics.deliveries.labels(batch.gateway, end).inc(count)
        for kind, count in Counter(type(each).__name__ for each in outcomes.values()).items():
            self._metrics.attempts.labels(batch.gateway, kind.lower()).inc(count)
        report(batch, settlement.pruning, self._metrics)
        refused = {each.reason for each in outcomes.values() if isinstance(each, Refused)}
        for reason in sorted(refused):
            log().error(
                Event.CREDENTIALS_REFUSED,
                instance_number=batch.instance,
                gateway=batch.gateway,
                reason=reason,
            )
        rejected = {each.reason for each in outcomes.values() if isinstance(each, Rejected)}
        for reason in sorted(rejected & apns.OUR_FAULTS):
            log().error(Event.REQUEST_MALFORMED, gateway=batch.gateway, reason=reason)
        log().debug(
            Event.BATCH_SETTLED,
            publish=publish.id,
            gateway=batch.gateway,
            attempt=batch.attempt,
            again=settlement.again,
            ends=dict(settlement.ends),
        )
