"""Both queues: in the database of either kind, and on JetStream over PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from builders import NOW, Clock, add_instance, add_publish, migrated_in
from heliograph.metrics import Metrics
from heliograph.model import (
    CallLane,
    DeviceNumber,
    Gateway,
    InstanceNumber,
    Lane,
    PauseKind,
    Sort,
    WorkNumber,
)
from heliograph.queue.broker import Address, Broker
from heliograph.queue.contract import Queue
from heliograph.queue.database import DatabaseQueue
from heliograph.queue.jetstream import JetStreamQueue
from heliograph.queue.tickets import Names
from heliograph.storage import lanes, work
from heliograph.storage.database import Database
from heliograph.storage.work import Batch, Work
from jetstream import PATIENCE_SECONDS, Nats
from postgres import Postgres

QUEUES: Final = ("sqlite", "postgresql", "jetstream")
"""Where the product can have its queue."""

ACK_WAIT: Final = timedelta(seconds=0.5)
REST: Final = timedelta(seconds=0.05)
"""How long NATS waits in these tests: no longer than a test may take."""


@dataclass
class Stage:
    """A queue, the database behind it, and the time, which passes when told to."""

    database: Database
    clock: Clock
    another: Callable[[], Awaitable[Queue]]
    """Another process's queue over the same work."""
    queue: Queue
    instances: dict[int, InstanceNumber] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)

    def sample(self, name: str, **labels: str) -> float:
        """What a metric says."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def instance(self, number: int = 1) -> InstanceNumber:
        if number not in self.instances:
            async with self.database.write() as connection:
                self.instances[number] = await add_instance(connection, number)
        return self.instances[number]

    async def put(
        self,
        *,
        instance: int = 1,
        sort: Sort = Sort.SMALL,
        gateway: Gateway = Gateway.APNS,
        after: timedelta = timedelta(0),
        **more: Any,
    ) -> Batch:
        """A batch for one device, committed and announced."""
        owner = await self.instance(instance)
        async with self.database.write() as connection:
            publish = await add_publish(connection, owner)
            made = await work.add_batch(
                connection,
                publish,
                owner,
                gateway,
                None,
                [DeviceNumber(1)],
                attempt=1,
                due_at=NOW + after,
                sort=sort,
                **more,
            )
        await self.queue.announce([made])
        return made

    async def take(
        self,
        sort: Sort = Sort.SMALL,
        limit: int = 10,
        *,
        at_least: int = 0,
        besides: Collection[Lane | CallLane] = (),
        queue: Queue | None = None,
    ) -> list[Work]:
        """
        Take once; or, if we are sure of so many, until we have them.

        NATS has a clock of its own: what has rested in ours may rest a little longer there.
        """
        taken: list[Work] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await sweep(queue or self.queue)
                left = limit - len(taken)
                taken += await (queue or self.queue).take(sort, left, besides=besides)
                if len(taken) >= at_least:
                    return taken
                await asyncio.sleep(0.01)

    async def taken(self, *more: Any, **how: Any) -> list[WorkNumber]:
        return [each.number for each in await self.take(*more, **how)]

    async def settle(self, *pieces: Work) -> None:
        """What settling leaves of work: nothing."""
        async with self.database.write() as connection:
            for each in pieces:
                await work.remove(connection, each.number)
        await self.queue.finish(pieces)

    async def pause(self, lane: Lane, *, probe_in: timedelta) -> None:
        async with self.database.write() as connection:
            await lanes.pause(
                connection,
                lane,
                PauseKind.REFUSED,
                "ExpiredProviderToken",
                now=self.clock(),
                probe_at=self.clock() + probe_in,
            )


async def sweep(queue: Queue) -> None:
    """What a worker's queue does by itself, now and then."""
    if isinstance(queue, JetStreamQueue):
        await queue.sweep()


@asynccontextmanager
async def jetstream_queue(
    database: Database,
    clock: Clock,
    server: Nats,
    name: str,
    *,
    ack_wait: timedelta = ACK_WAIT,
    **more: Any,
) -> AsyncIterator[JetStreamQueue]:
    names = Names(name)
    settings: dict[str, Any] = {"sweep_every": None, "longest_rest": REST}
    queue = JetStreamQueue(
        DatabaseQueue(database, clock),
        database,
        Broker(Address.parse(server.url), names, ack_wait=ack_wait),
        names,
        more.pop("metrics", Metrics()),
        clock=clock,
        **(settings | more),
    )
    await queue.open()
    await queue.wait()  # a new connection is a reason to look, once
    try:
        yield queue
    finally:
        await queue.close()


@asynccontextmanager
async def stage_of(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Stage]:
    """The queue that a test asks for by its parameter."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = await migrated_in(folder)
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            url = await stack.enter_async_context(postgres.migrated())
        database = await stack.enter_async_context(Database.opened(url))

        async def another() -> Queue:
            if request.param != "jetstream":
                return DatabaseQueue(database, clock)
            server: Nats = request.getfixturevalue("nats")
            return await stack.enter_async_context(jetstream_queue(database, clock, server, name))

        name = next(request.getfixturevalue("nats").names) if request.param == "jetstream" else ""
        yield Stage(database, clock, another, await another())
