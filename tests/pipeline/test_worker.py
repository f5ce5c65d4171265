"""The worker: a publish's whole life, through good days, outages, crashes and stops."""

import asyncio
import ipaddress
from array import array
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import (
    EVERYTHING,
    MINUTE,
    NOW,
    SECOND,
    TOOK_MS,
    Clock,
    Gateways,
    Reply,
    ScriptedClient,
    Workshop,
    always,
    apns_address,
    apns_credentials,
    apns_error,
    database_in,
    ends,
    in_one_database,
    in_turn,
    rows_of,
    to_users,
)
from heliograph.errors import Ambiguous, NotProcessed, TransportError
from heliograph.instances import Instance
from heliograph.model import (
    ApnsMessage,
    CallLane,
    DeviceId,
    Gateway,
    Interest,
    Lane,
    Messages,
    PublishId,
    Sort,
    ToInterests,
)
from heliograph.pipeline.verdict import MOST_FAILURES
from heliograph.pipeline.worker import Worker
from heliograph.queue.database import LEASE, DatabaseQueue
from heliograph.storage import devices, outcomes, publishes, tables
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Attempt
from heliograph.storage.postgres import Postgres
from heliograph.storage.sqlite import Sqlite
from heliograph.storage.work import LARGE_PUBLISH, Work
from heliograph.transport.client import Client, Destination
from heliograph.wire.http import HttpRequest, HttpResponse
from heliograph.wire.http2 import Template

OK = HttpResponse(200)
UNAVAILABLE = apns_error(503, "ServiceUnavailable")
HOUR = 60 * MINUTE


async def counts(workshop: Workshop, instance: Instance, publish: PublishId) -> dict[str, int]:
    return ends(await workshop.progress(instance, publish))


async def trace(
    workshop: Workshop, instance: Instance, publish: PublishId, device: DeviceId
) -> list[Attempt]:
    async with workshop.database.read() as connection:
        number = await publishes.find_id(connection, instance.number, publish)
        target = await devices.number_of(connection, instance.number, device)
        assert number is not None
        assert target is not None
        return list(await outcomes.of_device(connection, number, target))


async def published(
    workshop: Workshop,
    *,
    size: int = 1,
    messages: Messages = EVERYTHING,
    instance: Instance | None = None,
) -> tuple[Instance, PublishId]:
    """A publish to alice, who has so many Apple devices."""
    instance = instance or await workshop.instance()
    for _ in range(size):
        await workshop.log_in(instance, "alice", apns_address())
    return instance, await workshop.publish(instance, to_users("alice"), messages)


# --- with real gateways --------------------------------------------------------------


@asynccontextmanager
async def connected(workshop: Workshop, gateways: Gateways) -> AsyncIterator[Worker]:
    """A worker on the real network, as far as it is loopback."""
    client = Client(allowed=[ipaddress.ip_network("127.0.0.0/8")], extra_ca=gateways.ca)
    yield workshop.worker(client)
    await client.close()


async def shop(workshop: Workshop, gateways: Gateways) -> Instance:
    return await workshop.instance(apns=gateways.apns, fcm=gateways.fcm)


async def received(gateways: Gateways) -> list[tuple[str, object]]:
    """What was shown: at which gateway, and which words."""
    shown = []
    for entry in await gateways.inbox():
        payload = entry["payload"]
        words = payload.get("aps", {}).get("alert") or payload["notification"]["title"]
        shown.append((entry["gateway"], words))
    return sorted(shown)


async def test_a_publish_finds_the_person_on_every_device(
    workshop: Workshop, gateways: Gateways
) -> None:
    """Apple's, Google's and browsers' devices of the person show it, and nobody else's."""
    instance = await shop(workshop, gateways)
    for gateway in Gateway:
        await workshop.log_in(instance, "alice", await gateways.mint(gateway))
        await workshop.log_in(instance, "bob", await gateways.mint(gateway))
    publish = await workshop.publish(instance, to_users("alice"))

    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()

    assert [("apns", "Hello"), ("fcm", "Hello"), ("web", "Hello")] == await received(gateways)
    assert {"targeted": 3, "sent": 3} == await counts(workshop, instance, publish)


async def test_a_certificate_sends_as_well_as_a_key(workshop: Workshop, gateways: Gateways) -> None:
    """Who shows a certificate in the handshake needs no token."""
    instance = await workshop.instance(apns=gateways.apns_certificate)
    await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    publish = await workshop.publish(instance, to_users("alice"))

    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()

    (entry,) = await gateways.inbox()
    assert ({"targeted": 1, "sent": 1}, False) == (
        await counts(workshop, instance, publish),
        "authorization" in entry["headers"],
    )


async def test_a_device_is_found_in_apples_other_environment(
    workshop: Workshop, gateways: Gateways
) -> None:
    """An app in development is reached like any other, and from then on at the first try."""
    instance = await shop(workshop, gateways)
    address = await gateways.mint(Gateway.APNS, environment="sandbox")
    await workshop.log_in(instance, "alice", address)

    async with connected(workshop, gateways) as worker:
        await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()
        publish = await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()

    stats = (await gateways.management.get("/stats")).json()["apns"]
    assert ({"targeted": 1, "sent": 1}, 2, {"BadDeviceToken": 1}) == (
        await counts(workshop, instance, publish),
        stats["accepted"],
        stats["refusals"],
    )


async def test_each_browser_is_sent_to_with_the_key_it_knows(
    workshop: Workshop, gateways: Gateways
) -> None:
    """Keys rotate by overlap: who subscribed before is still reached with the older one."""
    instance = await shop(workshop, gateways)
    async with connected(workshop, gateways) as worker:
        await workshop.log_in(instance, "alice", await gateways.mint(Gateway.WEB))
        await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()  # the sandbox binds the subscription to the first key
        await workshop.instances.rotate_vapid(instance.id)
        await workshop.log_in(instance, "alice", await gateways.mint(Gateway.WEB))
        publish = await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()

    assert {"targeted": 2, "sent": 2} == await counts(workshop, instance, publish)


async def test_a_publish_to_interests_reaches_each_subscriber_once(
    workshop: Workshop, gateways: Gateways
) -> None:
    """A device with both interests shows the message once."""
    instance = await shop(workshop, gateways)
    registration = await workshop.registry.register(
        instance.number, await gateways.mint(Gateway.APNS), {}
    )
    both = [Interest("news"), Interest("sport")]
    await workshop.registry.set_interests(instance.number, registration.id, both)
    publish = await workshop.publish(instance, ToInterests(tuple(both)))

    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()

    assert ([("apns", "Hello")], {"targeted": 1, "sent": 1}) == (
        await received(gateways),
        await counts(workshop, instance, publish),
    )


@pytest.mark.parametrize("gateway", Gateway)
async def test_a_device_that_is_gone_is_pruned(
    workshop: Workshop, gateways: Gateways, gateway: Gateway
) -> None:
    """After the app was removed, the gateway says so once and is not asked again."""
    instance = await shop(workshop, gateways)
    address = await gateways.mint(gateway)
    device = await workshop.log_in(instance, "alice", address)
    workshop.clock.advance(SECOND)
    await gateways.go_wrong({"fault": "unregistered", "times": 1})
    first = await workshop.publish(instance, to_users("alice"))
    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()
        second = await workshop.publish(instance, to_users("alice"))
        await worker.run_until_idle()

    assert ({"targeted": 1, "failed": 1}, {}, None) == (
        await counts(workshop, instance, first),
        await counts(workshop, instance, second),
        await workshop.registry.find(instance.number, device),
    )


async def test_a_device_that_came_back_before_apple_knew_is_kept(
    workshop: Workshop, gateways: Gateways
) -> None:
    """A 410 about the time before the last registration is news of yesterday."""
    instance = await shop(workshop, gateways)
    device = await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    await gateways.go_wrong({"fault": "unregistered", "age_seconds": 60, "times": 1})
    publish = await workshop.publish(instance, to_users("alice"))

    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()

    assert ({"targeted": 1, "failed": 1}, True) == (
        await counts(workshop, instance, publish),
        await workshop.registry.find(instance.number, device) is not None,
    )


async def test_an_outage_is_waited_out_as_long_as_the_gateway_asks(
    workshop: Workshop, gateways: Gateways
) -> None:
    """A 503 with a time is tried again at that time, not before, and then goes through."""
    instance = await shop(workshop, gateways)
    device = await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    await gateways.go_wrong({"fault": "unavailable", "retry_after": 120, "times": 1})
    publish = await workshop.publish(instance, to_users("alice"))
    story = []
    async with connected(workshop, gateways) as worker:
        for wait in (timedelta(0), 120 * SECOND - timedelta(microseconds=1), SECOND):
            workshop.clock.advance(wait)
            await worker.run_until_idle()
            story.append((await counts(workshop, instance, publish), len(await gateways.inbox())))

    pending, sent = {"targeted": 1, "pending": 1}, {"targeted": 1, "sent": 1}
    assert [(pending, 0), (pending, 0), (sent, 1)] == story
    assert [(1, "again", "ServiceUnavailable"), (2, "sent", None)] == [
        (each.attempt, each.result, each.reason)
        for each in await trace(workshop, instance, publish, device)
    ]


async def test_refused_credentials_hold_messages_until_they_are_mended(
    workshop: Workshop, gateways: Gateways
) -> None:
    """Nothing fails and no device is pruned; with the right key the messages go out."""
    wrong = apns_credentials(
        endpoint=gateways.apns.endpoint, ca=gateways.ca, key_id=gateways.apns.key_id
    )
    instance = await workshop.instance(apns=wrong)
    await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    publish = await workshop.publish(instance, to_users("alice"))
    async with connected(workshop, gateways) as worker:
        with structlog.testing.capture_logs() as logged:
            for _ in range(45):
                await worker.run_until_idle()
                workshop.clock.advance(MINUTE)
        held = await counts(workshop, instance, publish)
        await workshop.instances.set_apns(instance.id, gateways.apns)
        workshop.clock.advance(2 * SECOND)  # by then every process knows them
        await worker.run_until_idle()

    complaints = [line["reason"] for line in logged if line["log_level"] == "error"]
    assert ({"targeted": 1, "pending": 1}, {"targeted": 1, "sent": 1}) == (
        held,
        await counts(workshop, instance, publish),
    )
    assert ["InvalidProviderToken"] == complaints


async def test_who_logged_out_in_time_is_not_shown_it(
    workshop: Workshop, gateways: Gateways
) -> None:
    """Between the answer and the delivery somebody else took the device over."""
    instance = await shop(workshop, gateways)
    address = await gateways.mint(Gateway.APNS)
    device = await workshop.log_in(instance, "alice", address)
    await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    await gateways.go_wrong({"fault": "unavailable"})
    publish = await workshop.publish(instance, to_users("alice"))
    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()
        await workshop.registry.unregister(instance.number, device)
        await workshop.log_in(instance, "bob", address)
        await gateways.go_wrong()
        workshop.clock.advance(HOUR)
        await worker.run_until_idle()

    assert ({"targeted": 2, "sent": 1, "cancelled": 1}, 1) == (
        await counts(workshop, instance, publish),
        len(await gateways.inbox()),
    )


async def test_a_message_that_was_to_be_tried_once_is_tried_once(
    workshop: Workshop, gateways: Gateways
) -> None:
    """An expiration of zero means now or never, and an outage means never."""
    instance = await shop(workshop, gateways)
    await workshop.log_in(instance, "alice", await gateways.mint(Gateway.APNS))
    await gateways.go_wrong({"fault": "unavailable", "times": 1})
    once = Messages(apns=ApnsMessage(b'{"aps":{"alert":"now"}}', expiration=0))
    first = await workshop.publish(instance, to_users("alice"), once)
    async with connected(workshop, gateways) as worker:
        await worker.run_until_idle()
        second = await workshop.publish(instance, to_users("alice"), once)
        await worker.run_until_idle()

    assert ({"targeted": 1, "expired": 1}, {"targeted": 1, "sent": 1}) == (
        await counts(workshop, instance, first),
        await counts(workshop, instance, second),
    )


# --- with gateways that we script ----------------------------------------------------


async def test_after_a_crash_the_repeat_is_recognisable(workshop: Workshop) -> None:
    """
    Who died between sending and settling is taken over, and the message keeps its id.

    The first worker's process is gone as soon as the gateway has taken the message.
    """
    instance, publish = await published(workshop)
    client = always(OK)

    class Dying(ScriptedClient):
        async def exchange(
            self,
            destination: Destination,
            template: Template,
            values: Sequence[Sequence[bytes]],
            *,
            took: "array[int] | None" = None,
        ) -> list[HttpResponse | TransportError]:
            await client.exchange(destination, template, values, took=took)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await workshop.worker(Dying(lambda _: OK)).run_until_idle()
    before = await counts(workshop, instance, publish)
    survivor = workshop.worker(client)
    await survivor.run_until_idle()
    during = await counts(workshop, instance, publish)
    workshop.clock.advance(LEASE)
    await survivor.run_until_idle()

    first, second = client.headers("apns-id")
    pending = {"targeted": 1, "pending": 1}
    assert (first, pending, pending, {"targeted": 1, "sent": 1}) == (
        second,
        before,
        during,
        await counts(workshop, instance, publish),
    )


async def test_a_message_that_waited_too_long_expires_unsent(workshop: Workshop) -> None:
    """A backlog does not deliver what is no longer worth anything."""
    short = Messages(apns=ApnsMessage(b'{"aps":{}}', expiration=int((NOW + MINUTE).timestamp())))
    instance, publish = await published(workshop, messages=short)
    workshop.clock.advance(MINUTE)
    client = always(OK)

    await workshop.worker(client).run_until_idle()

    assert ([], {"targeted": 1, "expired": 1}) == (
        client.sent,
        await counts(workshop, instance, publish),
    )


async def test_an_instance_that_goes_takes_its_work_along(workshop: Workshop) -> None:
    """A batch whose instance is deleted while it is under way leaves nothing behind."""
    instance, _ = await published(workshop)

    async def delete_it(_request: HttpRequest) -> Reply:
        assert await workshop.instances.delete(instance.id)
        return OK

    client = ScriptedClient(delete_it)
    await workshop.worker(client).run_until_idle()

    assert (1, 0, 0) == (
        len(client.sent),
        await rows_of(workshop.database, "work"),
        await rows_of(workshop.database, "outcomes"),
    )


async def test_those_who_failed_together_are_tried_together(workshop: Workshop) -> None:
    """A thousand devices of an unavailable gateway wait as one batch, not as a thousand."""
    await published(workshop, size=5)

    await workshop.worker(always(UNAVAILABLE)).run_until_idle()

    assert 1 == await rows_of(workshop.database, "work")


async def test_a_batch_is_no_larger_than_told(workshop: Workshop) -> None:
    """A target is walked and sent to in pieces of the size that the operator set."""
    instance, publish = await published(workshop, size=5)

    await workshop.worker(always(OK), batch_size=2).run_until_idle()

    assert (3, {"targeted": 5, "sent": 5}) == (
        await rows_of(workshop.database, "outcomes"),
        await counts(workshop, instance, publish),
    )


async def test_what_happened_is_counted(workshop: Workshop) -> None:
    """Ends, attempts and prunings are told by the metrics, by gateway."""
    await published(workshop, size=2)
    gone = apns_error(410, "Unregistered", timestamp=int(NOW.timestamp() * 1000) + 1)
    await workshop.worker(in_turn(UNAVAILABLE, gone, OK)).run_until_idle()
    workshop.clock.advance(HOUR)
    await workshop.worker(always(OK)).run_until_idle()

    def value(name: str, **labels: str) -> float | None:
        return workshop.metrics.registry.get_sample_value(name, {"gateway": "apns"} | labels)

    assert [1, 1, 1, 1, 1] == [
        value("heliograph_deliveries_total", end="sent"),
        value("heliograph_deliveries_total", end="failed"),
        value("heliograph_attempts_total", outcome="unavailable"),
        value("heliograph_attempts_total", outcome="gone"),
        value("heliograph_devices_pruned_total"),
    ]


@pytest.mark.parametrize(
    "last, event",
    [
        (apns_error(403, "InvalidProviderToken"), "lane_paused"),
        (LookupError("a bug"), "worker_failed"),
    ],
)
async def test_logs_hold_no_token_and_no_payload(
    workshop: Workshop, last: Reply, event: str
) -> None:
    """Of a publish's life the log tells ids and reasons only."""
    gone = apns_error(410, "Unregistered", timestamp=int(NOW.timestamp() * 1000) + 1)
    client = in_turn(gone, NotProcessed("ConnectError"), last)
    await published(workshop, size=2)
    await workshop.worker(client).run_until_idle()
    await published(workshop, size=1)

    with structlog.testing.capture_logs() as logged:
        await workshop.worker(client).run_until_idle()

    told = str(logged)
    tokens = [request.url.rpartition("/")[2] for request in client.sent]
    assert (True, [], False) == (
        event in told,
        [token for token in tokens if token in told],
        "Hello" in told,
    )


async def test_what_apple_cannot_read_is_our_fault(workshop: Workshop) -> None:
    """A reply that no publish can bring about is told to the operator as what it is."""
    await published(workshop)

    with structlog.testing.capture_logs() as logged:
        await workshop.worker(always(apns_error(400, "BadMessageId"))).run_until_idle()

    assert [("error", "BadMessageId")] == [
        (line["log_level"], line["reason"])
        for line in logged
        if line["event"] == "request_malformed"
    ]


scripted = st.sampled_from(
    [
        OK,
        UNAVAILABLE,
        apns_error(503, "Shutdown"),
        apns_error(400, "BadDeviceToken"),
        apns_error(403, "InvalidProviderToken"),
        apns_error(403, "ExpiredProviderToken"),
        apns_error(410, "Unregistered", timestamp=int(NOW.timestamp() * 1000)),
        apns_error(413, "PayloadTooLarge"),
        HttpResponse(500),
        NotProcessed("ConnectError"),
        Ambiguous("ReadTimeout"),
        LookupError("a bug"),
    ]
)


@in_one_database
@given(
    size=st.integers(0, 5),
    batch_size=st.integers(1, 3),
    replies=st.lists(scripted, max_size=25),
    waits=st.lists(st.sampled_from([SECOND, MINUTE, HOUR]), max_size=4),
    life=st.sampled_from([timedelta(0), MINUTE, 28 * 24 * HOUR]),
)
async def test_nothing_is_lost_whatever_gateways_do(
    workshop: Workshop,
    size: int,
    batch_size: int,
    replies: Sequence[Reply],
    waits: Sequence[timedelta],
    life: timedelta,
) -> None:
    """Targeted is the sum of all ends and what is pending at every step, and pending reaches 0."""
    workshop.clock.now = NOW
    message = ApnsMessage(b"{}", expiration=int((NOW + life).timestamp()) if life else 0)
    instance, publish = await published(workshop, size=size, messages=Messages(apns=message))
    left = list(replies)
    sums: list[tuple[int, int]] = []

    async def answer(_request: HttpRequest) -> Reply:
        await look()
        return left.pop() if left else OK

    async def look() -> None:
        progress = await workshop.progress(instance, publish)
        done = progress.sent + progress.failed + progress.expired + progress.cancelled
        sums.append((progress.targeted, done + progress.pending))

    worker = workshop.worker(ScriptedClient(answer), batch_size=batch_size)
    with structlog.testing.capture_logs():
        for wait in waits:
            await worker.run_until_idle()
            await look()
            workshop.clock.advance(wait)
        while await rows_of(workshop.database, "work"):
            await worker.run_until_idle()
            await look()
            workshop.clock.advance(HOUR)

    progress = await workshop.progress(instance, publish)
    assert ([], size, 0) == (
        [each for each in sums if each[0] != each[1]],
        progress.targeted,
        progress.pending,
    )


# --- a worker that runs --------------------------------------------------------------


class Held:
    """A gateway that says when it was asked so often, and answers when told to."""

    def __init__(self, *, times: int = 1) -> None:
        self._times = times
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.client = ScriptedClient(self._answer)

    async def _answer(self, _request: HttpRequest) -> Reply:
        if len(self.client.sent) >= self._times:
            self.is_asked.set()
        await self.may_answer.wait()
        return OK


class Running:
    """A worker that runs until it is told to stop."""

    def __init__(self, worker: Worker, **how: timedelta) -> None:
        self.stop = asyncio.Event()
        self._task = asyncio.create_task(worker.run(self.stop, **how))

    async def stopped(self) -> None:
        self.stop.set()
        await self._task


async def test_a_running_worker_takes_what_comes(workshop: Workshop) -> None:
    """It hears of a publish, sends it, and goes on waiting."""
    held = Held()
    held.may_answer.set()
    running = Running(workshop.worker(held.client))
    instance, publish = await published(workshop)
    await held.is_asked.wait()
    await running.stopped()

    assert {"targeted": 1, "sent": 1} == await counts(workshop, instance, publish)


async def test_a_stop_waits_for_what_is_under_way(workshop: Workshop) -> None:
    """A message that is on its way when the worker is told to stop is settled, not repeated."""
    held = Held()
    instance, publish = await published(workshop)
    running = Running(workshop.worker(held.client))
    await held.is_asked.wait()
    running.stop.set()
    await asyncio.sleep(0)
    held.may_answer.set()
    await running.stopped()

    assert {"targeted": 1, "sent": 1} == await counts(workshop, instance, publish)


async def test_what_a_stop_cannot_wait_for_is_handed_back(workshop: Workshop) -> None:
    """Work that does not end in time is free for the next worker at once."""
    held = Held()
    instance, publish = await published(workshop)
    running = Running(workshop.worker(held.client), time_to_finish=timedelta(0))
    await held.is_asked.wait()
    await running.stopped()
    left = await counts(workshop, instance, publish)

    await workshop.worker(always(OK)).run_until_idle()

    assert ({"targeted": 1, "pending": 1}, {"targeted": 1, "sent": 1}) == (
        left,
        await counts(workshop, instance, publish),
    )


async def test_no_more_is_taken_in_hand_than_told(workshop: Workshop) -> None:
    """A worker whose hands are full leaves further work to others."""
    held = Held(times=4)
    for _ in range(5):
        await published(workshop)
    worker = workshop.worker(held.client, concurrency=1)
    running = Running(worker, time_to_finish=timedelta(0))
    await held.is_asked.wait()
    free = await workshop.take(10)
    in_hand = workshop.metrics.registry.get_sample_value("heliograph_batches_in_hand")
    await running.stopped()

    assert (1, 4) == (len(free), in_hand)


class Beating:
    """Time that passes for one who sleeps when we say so."""

    def __init__(self, *, sleepers: int = 1) -> None:
        self._sleepers = sleepers
        self.slept: list[float] = []
        self._beats: asyncio.Queue[None] = asyncio.Queue()
        self.is_asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) >= self._sleepers:
            self.is_asleep.set()
        await self._beats.get()

    def beat(self) -> None:
        self.is_asleep.clear()
        self._beats.put_nowait(None)


async def test_a_worker_that_is_at_it_gives_signs_of_life(workshop: Workshop) -> None:
    """However long a gateway takes, nobody else takes the work meanwhile."""
    held, time = Held(), Beating()
    await published(workshop)
    worker = workshop.worker(held.client, sleep=time.sleep)
    running = Running(worker, time_to_finish=timedelta(0))
    await held.is_asked.wait()
    workshop.clock.advance(LEASE - SECOND)
    time.beat()
    await time.is_asleep.wait()
    workshop.clock.advance(LEASE - SECOND)

    taken = await workshop.take(10)
    await running.stopped()

    assert ([], True) == (taken, all(seconds < LEASE.total_seconds() for seconds in time.slept))


class Failing(DatabaseQueue):
    """A queue whose database is full, until it has been emptied."""

    is_full = True

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        if self.is_full:
            raise OSError("disk full")
        return await super().take(sort, limit, besides=besides)

    async def extend(self, works: Collection[Work]) -> Collection[Work]:
        if self.is_full:
            raise OSError("disk full")
        return await super().extend(works)


async def test_a_worker_outlives_a_full_disk(workshop: Workshop) -> None:
    """What cannot be taken now may be taken later: the worker rests, and looks again."""
    time, held = Beating(sleepers=2), Held()  # the worker, and its signs of life
    queue = workshop.queue = Failing(workshop.database, workshop.clock)
    instance, publish = await published(workshop)
    with structlog.testing.capture_logs() as logged:
        running = Running(workshop.worker(held.client, sleep=time.sleep))
        await time.is_asleep.wait()
        queue.is_full = False
        time.beat()
        time.beat()
        await held.is_asked.wait()
        held.may_answer.set()
        await running.stopped()

    assert (["worker_failed"], {"targeted": 1, "sent": 1}) == (
        [line["event"] for line in logged if line["log_level"] == "error"],
        await counts(workshop, instance, publish),
    )


async def test_a_missed_sign_of_life_is_not_the_last(workshop: Workshop) -> None:
    """When a lease cannot be extended, the next beat tries again."""
    held, time = Held(), Beating()
    queue = workshop.queue = Failing(workshop.database, workshop.clock)
    queue.is_full = False
    await published(workshop)
    with structlog.testing.capture_logs():
        worker = workshop.worker(held.client, sleep=time.sleep)
        running = Running(worker, time_to_finish=timedelta(0))
        await held.is_asked.wait()
        queue.is_full = True
        time.beat()
        await time.is_asleep.wait()
        queue.is_full = False
        workshop.clock.advance(LEASE - SECOND)
        time.beat()
        await time.is_asleep.wait()
        workshop.clock.advance(LEASE - SECOND)
        taken = await workshop.take(10)
        await running.stopped()

    assert [] == taken


async def test_work_that_fails_by_our_own_fault_rests(workshop: Workshop) -> None:
    """A fault of ours loses nothing: the work is due again after a while."""
    instance, publish = await published(workshop)
    await workshop.worker(always(UNAVAILABLE)).run_until_idle()
    async with workshop.database.write() as connection:
        await connection.execute(tables.instances.update().values(apns_credentials=b"garbage"))
    workshop.clock.advance(MINUTE)
    client = always(OK)
    with structlog.testing.capture_logs() as logged:
        await workshop.worker(client).run_until_idle()
    failed = await counts(workshop, instance, publish)
    await workshop.instances.set_apns(instance.id, apns_credentials())
    await workshop.worker(client).run_until_idle()
    resting = len(client.sent)
    workshop.clock.advance(10 * SECOND)
    await workshop.worker(client).run_until_idle()

    assert (["worker_failed"], {"targeted": 1, "pending": 1}, 0, {"targeted": 1, "sent": 1}) == (
        [line["event"] for line in logged if line["log_level"] == "error"],
        failed,
        resting,
        await counts(workshop, instance, publish),
    )


async def test_an_attempt_tells_status_and_latency(workshop: Workshop) -> None:
    """What the gateway answered and how long it took; a broken connection has only a reason."""
    instance, publish = await published(workshop)
    (device,) = await ids_of(workshop, instance)
    worker = workshop.worker(in_turn(UNAVAILABLE, Ambiguous("reset"), OK))
    for _ in range(3):
        await worker.run_until_idle()
        workshop.clock.advance(HOUR)

    assert [
        ("again", "ServiceUnavailable", 503, TOOK_MS),
        ("again", "reset", None, None),
        ("sent", None, 200, TOOK_MS),
    ] == [
        (each.result, each.reason, each.status, each.latency_ms)
        for each in await trace(workshop, instance, publish, device)
    ]


async def ids_of(workshop: Workshop, instance: Instance) -> list[DeviceId]:
    async with workshop.database.read() as connection:
        return [each.id for each in await devices.page(connection, instance.number, limit=9)]


# --- a database that goes away -------------------------------------------------------


class Fleeting(Database):
    """A database that is away so often, from when it is told to leave."""

    def __init__(self, engine: Sqlite | Postgres) -> None:
        super().__init__(engine)
        self.absences = 0

    @asynccontextmanager
    async def write(
        self, *, durable: bool = True, long: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        if self.absences:
            self.absences -= 1
            raise ConnectionRefusedError("no server there")
        async with super().write(durable=durable, long=long) as connection:
            yield connection


async def test_what_was_sent_is_settled_when_the_database_is_back(either_url: str) -> None:
    """It left while messages were on their way; none of them is sent again."""
    async with Fleeting.opened(either_url) as database:
        assert isinstance(database, Fleeting)
        workshop = Workshop(database, Clock())
        instance, publish = await published(workshop, size=2)

        async def answer(_request: HttpRequest) -> Reply:
            database.absences = 3
            return OK

        rests: list[float] = []

        async def rest(seconds: float) -> None:
            rests.append(seconds)

        client = ScriptedClient(answer)
        with structlog.testing.capture_logs() as logged:
            await workshop.worker(client, sleep=rest).run_until_idle()

        assert {"targeted": 2, "sent": 2} == await counts(workshop, instance, publish)
        assert (2, 3, sorted(rests)) == (len(client.sent), len(rests), rests)
        assert 3 == [each["event"] for each in logged].count("settlement_waits")


async def test_what_every_worker_dies_over_is_given_up(workshop: Workshop) -> None:
    """Nobody says that it failed; but it was taken ten times, and never put down."""
    instance, publish = await published(workshop)
    await workshop.take(1)
    workshop.clock.advance(LEASE)
    client = always(OK)
    with structlog.testing.capture_logs() as logged:
        for _ in range(MOST_FAILURES - 1):
            await workshop.take(1)
            workshop.clock.advance(LEASE)
        await workshop.worker(client).run_until_idle()

    progress = await workshop.progress(instance, publish)
    assert (0, 0, [], "work_given_up") == (
        progress.targeted,
        progress.pending,
        client.sent,
        logged[-1]["event"],
    )


class Listening(DatabaseQueue):
    """Keeps what was announced."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self.announced: list[Sequence[Work]] = []

    async def announce(self, works: Collection[Work]) -> None:
        self.announced.append(list(works))
        await super().announce(works)


async def test_of_a_large_expansion_several_steps_are_taken_in_a_row(tmp_path: Path) -> None:
    """Batches are announced as they are made; what is left, only when others get their turn."""
    clock = Clock()
    async with database_in(tmp_path) as database:
        queue = Listening(database, clock)
        workshop = Workshop(database, clock, another_queue=queue)
        instance = await workshop.instance()
        for _ in range(10):
            await workshop.log_in(instance, "alice", apns_address())
        publish = await workshop.publish(instance, to_users("alice"))
        async with database.write() as connection:
            await connection.execute(update(tables.work).values(sort=str(Sort.LARGE)))
            # as a publish to a crowd is known to be after its first page
            await connection.execute(update(tables.publishes).values(targeted=LARGE_PUBLISH))
        queue.announced.clear()

        await workshop.worker(always(HttpResponse(200)), batch_size=1).run_until_idle()

        kinds = ["".join(type(each).__name__[0] for each in some) for some in queue.announced]
        assert ["B"] * 7 + ["BE"] + ["B"] * 2 == kinds[:10]
        assert 10 == (await workshop.progress(instance, publish)).sent
