"""Workers that hear of work through NATS: publishes arrive, whatever becomes of it."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest

import jetstream
from builders import (
    MASTER_KEY,
    Clock,
    Gateways,
    ScriptedClient,
    Workshop,
    always,
    apns_address,
    apns_error,
    ends,
    gateways_running,
    in_turn,
    rows_of,
    to_users,
)
from heliograph.app import product
from heliograph.errors import ConfigurationError
from heliograph.instances import Instance
from heliograph.model import Gateway, PublishId, Sort
from heliograph.pipeline.worker import Worker
from heliograph.queue.database import LEASE
from heliograph.storage.database import Database
from heliograph.transport.client import Client
from heliograph.wire.http import HttpResponse
from jetstream import Nats, until
from queues import jetstream_queue
from support import settings_in

OK: Final = HttpResponse(200)
OFTEN: Final = timedelta(seconds=0.1)
"""How often these workers look for what has no ticket."""


@pytest.fixture
def server() -> Iterator[Nats]:
    """A server that a test may kill."""
    with jetstream.running() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def is_settled(database: Database) -> bool:
    """Whether what came of the first batch is stored, and so when it is tried again."""
    return await rows_of(database, "outcomes") == 1


class Site:
    """Processes over one PostgreSQL and one NATS."""

    def __init__(
        self, database: Database, server: Nats, clock: Clock, stack: AsyncExitStack
    ) -> None:
        self.database, self.server, self.clock, self.stack = database, server, clock, stack

    async def process(self) -> Workshop:
        """One more of them."""
        queue = await self.stack.enter_async_context(
            jetstream_queue(self.database, self.clock, self.server, "heliograph", sweep_every=OFTEN)
        )
        return Workshop(self.database, self.clock, another_queue=queue)

    @asynccontextmanager
    async def working(self, worker: Worker) -> AsyncIterator[None]:
        """A worker at work, until it is told to stop."""
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def published(
        self, workshop: Workshop, *, devices: int = 1
    ) -> tuple[Instance, PublishId]:
        """A publish to alice, who has so many Apple devices."""
        instance = await workshop.instance()
        for _ in range(devices):
            await workshop.log_in(instance, "alice", apns_address())
        return instance, await workshop.publish(instance, to_users("alice"))

    async def is_over(self, workshop: Workshop, of: tuple[Instance, PublishId]) -> dict[str, int]:
        """The counts of a publish when nothing of it is pending."""

        async def nothing_is_left() -> bool:
            progress = await workshop.progress(*of)
            return progress.expanded_at is not None and progress.pending == 0

        await until(nothing_is_left)
        return ends(await workshop.progress(*of))


@pytest.fixture
async def site(shared_database: Database, server: Nats, clock: Clock) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(shared_database, server, clock, stack)


async def test_a_publish_finds_the_person(site: Site) -> None:
    """Accepted in one process, delivered by another, through real gateways."""
    front, back = await site.process(), await site.process()
    async with gateways_running(site.clock) as gateways:
        instance = await front.instance(apns=gateways.apns, fcm=gateways.fcm)
        for gateway in Gateway:
            await front.log_in(instance, "alice", await gateways.mint(gateway))
        client = Client(allowed=[ipaddress.ip_network("127.0.0.0/8")], extra_ca=gateways.ca)
        async with site.working(back.worker(client)):
            publish = await front.publish(instance, to_users("alice"))
            counts = await site.is_over(front, (instance, publish))
        await client.close()

        assert {"targeted": 3, "sent": 3} == counts
        assert ["apns", "fcm", "web"] == sorted(await shown(gateways))


async def test_two_workers_share_a_broadcast(site: Site) -> None:
    """Every device is sent to, and none twice."""
    front, *backs = [await site.process() for _ in range(3)]
    clients = [always(OK), always(OK)]
    async with AsyncExitStack() as stack:
        for back, client in zip(backs, clients, strict=True):
            worker = back.worker(client, batch_size=3, concurrency=2)
            await stack.enter_async_context(site.working(worker))
        published = await site.published(front, devices=60)
        counts = await site.is_over(front, published)

    sent = Counter(path for client in clients for path in paths(client))
    assert ({"targeted": 60, "sent": 60}, 60, {1}) == (counts, len(sent), set(sent.values()))


async def test_what_was_published_while_nats_was_away_is_delivered(site: Site) -> None:
    """Nobody could be told of it; when NATS is back, or before, it is found."""
    front, back = await site.process(), await site.process()
    site.server.stop()
    published = await asyncio.wait_for(site.published(front), 20)
    site.server.start()

    async with site.working(back.worker(always(OK))):
        assert {"targeted": 1, "sent": 1} == await site.is_over(front, published)


async def test_nats_may_restart_under_a_broadcast(site: Site) -> None:
    """It loses all that it had on the way, and no device goes without."""
    front, back = await site.process(), await site.process()
    client = always(OK)
    async with site.working(back.worker(client, batch_size=2, concurrency=1)):
        published = await site.published(front, devices=60)
        await until(lambda: has_sent(client, 6))
        site.server.stop()
        site.server.wipe()
        await until(lambda: has_sent(client, 20))
        site.server.start()
        counts = await site.is_over(front, published)

    assert ({"targeted": 60, "sent": 60}, 60) == (counts, len(client.sent))


async def test_another_takes_over_from_a_worker_that_died(site: Site) -> None:
    """Its lease ends, its ticket is handed out again, and the device has its message."""
    front, back = await site.process(), await site.process()
    published = await site.published(front)
    held = await front.queue.take(Sort.SMALL, 1)  # and is never heard of again
    async with site.working(back.worker(always(OK))):
        site.clock.advance(LEASE)
        counts = await site.is_over(front, published)

    assert (1, {"targeted": 1, "sent": 1}) == (len(held), counts)


async def test_a_retry_is_delivered_when_it_is_due(site: Site) -> None:
    """What a gateway could not take waits its time, and is heard of then."""
    front, back = await site.process(), await site.process()
    client = in_turn(apns_error(503, "ServiceUnavailable"), OK)
    async with site.working(back.worker(client)):
        published = await site.published(front)
        await until(lambda: is_settled(site.database))
        site.clock.advance(timedelta(hours=1))
        counts = await site.is_over(front, published)

    assert ({"targeted": 1, "sent": 1}, 2) == (counts, len(client.sent))


async def test_the_product_is_ready_without_nats(
    tmp_path: Path, shared_url: str, server: Nats
) -> None:
    """It accepts and delivers all the same, and says that something is missing."""
    settings = settings_in(
        tmp_path, database_url=shared_url, master_key=MASTER_KEY, queue_url=server.url
    )
    async with product(settings) as built:
        transport = httpx.ASGITransport(app=built.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://product") as http:
            with_nats = await http.get("/readyz")
            server.stop()

            async def is_told() -> bool:
                return bool((await http.get("/readyz")).json() != with_nats.json())

            await until(is_told)
            without = await http.get("/readyz")

    assert (200, {"status": "ready"}) == (with_nats.status_code, with_nats.json())
    assert (200, {"status": "ready", "queue": "disconnected"}) == (
        without.status_code,
        without.json(),
    )


async def test_the_product_does_not_start_without_nats(tmp_path: Path, shared_url: str) -> None:
    """At the start it is a mistake, and the setting is named."""
    settings = settings_in(
        tmp_path, database_url=shared_url, master_key=MASTER_KEY, queue_url="nats://127.0.0.1:1"
    )

    with pytest.raises(ConfigurationError, match="HELIOGRAPH_QUEUE_URL"):
        async with product(settings):
            pass


async def has_sent(client: ScriptedClient, count: int) -> bool:
    return len(client.sent) >= count


async def shown(gateways: Gateways) -> list[str]:
    return [entry["gateway"] for entry in await gateways.inbox()]


def paths(client: ScriptedClient) -> list[str]:
    return [each.url for each in client.sent]
