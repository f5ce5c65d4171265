"""Where the time of a broadcast goes: its stages one after the other, one batch at a time."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from heliograph import app, logs
from heliograph.bench.crowd import Audience
from heliograph.bench.customer import Customer
from heliograph.bench.work import Task
from heliograph.config import Settings
from heliograph.encryption.bodies import Encryption
from heliograph.encryption.process import Processes
from heliograph.instances import Instance
from heliograph.model import Sort
from heliograph.pipeline.deliver import Deliver
from heliograph.pipeline.expand import expand
from heliograph.pipeline.settle import settle
from heliograph.pipeline.verdict import DEFAULT_LIFETIME, verdicts
from heliograph.queue.database import DatabaseQueue
from heliograph.serving import collect_rarely
from heliograph.storage import devices, publishes
from heliograph.storage.database import Database
from heliograph.storage.work import Batch, Expansion

STAGES: Final = ("take", "expand", "look up", "send", "settle")


async def stages(
    settings: Settings, audience: Audience, task: Task, interest: str, tell: Callable[[int], object]
) -> dict[str, float]:
    """
    Publish to an interest, and walk the work through the pipeline without its worker.

    Returns:
        Microseconds of CPU a device, by stage, and their ``sum``.
    """
    logs.configure(level="warning", style="auto")
    async with (
        app.product(settings) as built,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(built.app), base_url="http://bench"
        ) as http,
    ):
        customer = Customer(http, audience)
        await customer.sends_to(task.origin, task)
        await customer.publish_to_interest(interest)
    async with app.storage(settings) as (database, instances), _deliver(settings) as deliver:
        found = await instances.find(audience.instance)
        assert found is not None  # noqa: S101  (it has just published)
        walk = _Walk(database, found, deliver, settings.batch_size)
        collect_rarely()
        while await walk.step():
            tell(walk.count)
    return walk.costs()


class _Walk:
    """Work on its way, and what each stage has taken."""

    def __init__(
        self, database: Database, instance: Instance, deliver: Deliver, batch_size: int
    ) -> None:
        self._database = database
        self._instance = instance
        self._deliver = deliver
        self._batch_size = batch_size
        self._queue = DatabaseQueue(database, app.now)
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._since = 0.0
        self.count = 0

    async def step(self) -> bool:
        """Do one piece of work; False if there is none left."""
        self._since = time.process_time()
        taken = await self._queue.take(Sort.SMALL, 1) or await self._queue.take(Sort.LARGE, 1)
        self._note("take")
        for work in taken:
            if isinstance(work, Expansion):
                await expand(self._database, work, page_size=self._batch_size, now=app.now())
                self._note("expand")
            elif isinstance(work, Batch):
                await self._do(work)
        return bool(taken)

    async def _do(self, batch: Batch) -> None:
        async with self._database.read() as connection:
            publish = await publishes.find(connection, batch.publish)
        assert publish is not None  # noqa: S101  (nobody deletes it)
        async with self._database.read() as connection:
            present = await devices.still_addressed(
                connection, batch.instance, publish.target, batch.gateway, batch.devices
            )
        self._note("look up")
        outcomes = await self._deliver.deliver(publish, self._instance, batch.gateway, present)
        self._note("send")
        now = app.now()
        decided = verdicts(outcomes, attempt=1, expires_at=now + DEFAULT_LIFETIME, now=now, dice=0)
        await settle(self._database, batch, decided, now=now)
        self._note("settle")
        self.count += len(decided)

    def costs(self) -> dict[str, float]:
        """Microseconds a device, by stage, and in all."""
        each = {name: seconds / self.count * 1e6 for name, seconds in self._seconds.items()}
        return each | {"sum": sum(each.values())}

    def _note(self, stage: str) -> None:
        now = time.process_time()
        self._seconds[stage] += now - self._since
        self._since = now


@asynccontextmanager
async def _deliver(settings: Settings) -> AsyncIterator[Deliver]:
    async with app.outgoing(settings) as client:
        encryption = Encryption(
            processes=Processes(0), share_key=False, randomness=secrets.token_bytes
        )
        yield Deliver(client, encryption, vapid_subject=settings.vapid_subject, clock=app.now)
