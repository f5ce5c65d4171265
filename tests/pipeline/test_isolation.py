"""Lanes and hands at work: who waits for whom, and that nobody waits for what is broken."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import structlog

from builders import (
    EVERYTHING,
    MINUTE,
    NOW,
    SECOND,
    Reply,
    ScriptedClient,
    Workshop,
    add_device,
    add_publish,
    always,
    apns_address,
    apns_error,
    ends,
    fcm_address,
    fcm_credentials,
    rows_of,
    to_users,
)
from heliograph.instances import Instance
from heliograph.model import ApnsMessage, Gateway, Messages, PauseKind, PublishId, Sort
from heliograph.pipeline.cancel import cancel
from heliograph.pipeline.verdict import MOST_FAILURES
from heliograph.storage import lanes, tables, work
from heliograph.storage.lanes import Paused
from heliograph.wire.http import HttpRequest, HttpResponse

OK = HttpResponse(200)
REFUSED = apns_error(403, "InvalidProviderToken")
UNAVAILABLE = apns_error(503, "ServiceUnavailable")
ACCESS = HttpResponse(200, (), b'{"access_token":"t","expires_in":3599,"token_type":"Bearer"}')


def saying(words: str, *, life: timedelta | None = None) -> Messages:
    """Something for Apple's devices alone."""
    payload = msgspec.json.encode({"aps": {"alert": words}})
    expiration = None if life is None else int((NOW + life).timestamp())
    return Messages(apns=ApnsMessage(payload, expiration=expiration))


async def shop(workshop: Workshop, *, devices: int = 1) -> Instance:
    """An instance whose alice has so many Apple devices."""
    instance = await workshop.instance()
    async with workshop.database.write() as connection:
        for _ in range(devices):
            await add_device(connection, instance.number, apns_address(), user="alice")
    return instance


async def to_alice(
    workshop: Workshop, instance: Instance, messages: Messages = EVERYTHING
) -> PublishId:
    return await workshop.publish(instance, to_users("alice"), messages)


async def counts(workshop: Workshop, instance: Instance, publish: PublishId) -> dict[str, int]:
    return ends(await workshop.progress(instance, publish))


async def paused(workshop: Workshop) -> Sequence[Paused]:
    async with workshop.database.read() as connection:
        return await lanes.paused(connection)


class Gateway403:
    """Apple, who refuses us until our credentials are mended."""

    def __init__(self) -> None:
        self.reply: Reply = REFUSED
        self.client = ScriptedClient(lambda _request: self.reply)

    @property
    def asked(self) -> int:
        """How often it was asked since the last time this was looked at."""
        times = len(self.client.sent)
        self.client.sent.clear()
        return times


# --- a lane that is refused ----------------------------------------------------------


async def test_a_refusal_pauses_the_lane(workshop: Workshop) -> None:
    """It is said once, and nothing more is sent until it is time to try again."""
    instance, apple = await shop(workshop, devices=3), Gateway403()
    first = await to_alice(workshop, instance)
    worker = workshop.worker(apple.client)
    with structlog.testing.capture_logs() as logged:
        await worker.run_until_idle()
        asked = apple.asked
        second = await to_alice(workshop, instance)
        workshop.clock.advance(MINUTE - SECOND)
        await worker.run_until_idle()

    (lane,) = await paused(workshop)
    assert (PauseKind.REFUSED, "InvalidProviderToken", NOW, NOW + MINUTE, 0) == (
        lane.kind,
        lane.reason,
        lane.paused_at,
        lane.probe_at,
        lane.probes,
    )
    assert [("lane_paused", "error", "InvalidProviderToken")] == [
        (line["event"], line["log_level"], line["reason"])
        for line in logged
        if line["event"] in ("lane_paused", "credentials_refused")
    ]
    assert (3, 0) == (asked, apple.asked)
    pending = {"targeted": 3, "pending": 3}
    assert [pending, pending] == [
        await counts(workshop, instance, each) for each in (first, second)
    ]


async def test_one_message_tries_a_paused_lane(workshop: Workshop) -> None:
    """After 1, 2, 4 … minutes one device is asked, and the others wait on, untouched."""
    instance, apple = await shop(workshop, devices=5), Gateway403()
    publish = await to_alice(workshop, instance)
    worker = workshop.worker(apple.client)
    await worker.run_until_idle()
    asked = [apple.asked]
    for minutes in (1, 2, 4, 8, 15, 15):
        workshop.clock.advance(minutes * MINUTE - SECOND)
        await worker.run_until_idle()
        asked.append(apple.asked)
        workshop.clock.advance(SECOND)
        await worker.run_until_idle()
        asked.append(apple.asked)

    assert [5] + [0, 1] * 6 == asked
    assert {"targeted": 5, "pending": 5} == await counts(workshop, instance, publish)
    assert {1} == {each.attempt for each in await everything(workshop)}


async def everything(workshop: Workshop) -> Sequence[work.Batch]:
    """All batches that wait, paused or not."""
    async with workshop.database.write() as connection:
        for each in await lanes.paused(connection):
            await lanes.resume(connection, each.lane)
    workshop.clock.advance(24 * 60 * MINUTE)
    return [each for each in await workshop.take(100) if isinstance(each, work.Batch)]


async def test_a_lane_that_is_mended_goes_on_at_once(workshop: Workshop) -> None:
    """The one message that goes through lets everything go that waited."""
    instance, apple = await shop(workshop, devices=3), Gateway403()
    held = [await to_alice(workshop, instance) for _ in range(3)]
    worker = workshop.worker(apple.client)
    await worker.run_until_idle()
    apple.reply = OK
    workshop.clock.advance(MINUTE)
    with structlog.testing.capture_logs() as logged:
        await worker.run_until_idle()

    sent = {"targeted": 3, "sent": 3}
    assert [sent] * 3 == [await counts(workshop, instance, each) for each in held]
    assert [] == await paused(workshop)
    assert ["lane_resumed"] == [
        line["event"] for line in logged if line["event"].startswith("lane")
    ]


async def test_new_credentials_are_tried_at_once(workshop: Workshop) -> None:
    """Nobody waits for a quarter of an hour after having mended what was wrong."""
    instance, apple = await shop(workshop), Gateway403()
    publish = await to_alice(workshop, instance)
    worker = workshop.worker(apple.client)
    await worker.run_until_idle()
    for _ in range(5):
        workshop.clock.advance(15 * MINUTE)
        await worker.run_until_idle()
    apple.reply = OK
    assert instance.apns is not None
    await workshop.instances.set_apns(instance.id, instance.apns)
    workshop.clock.advance(2 * SECOND)  # by then every process knows them
    await worker.run_until_idle()

    assert {"targeted": 1, "sent": 1} == await counts(workshop, instance, publish)


async def test_what_a_paused_lane_holds_expires(workshop: Workshop) -> None:
    """It has not failed, and whoever asks is told why it was never sent."""
    instance, apple = await shop(workshop, devices=2), Gateway403()
    worker = workshop.worker(apple.client)
    await to_alice(workshop, instance)
    await worker.run_until_idle()
    asked = apple.asked
    short = await to_alice(workshop, instance, saying("soon", life=30 * SECOND))
    await worker.run_until_idle()
    workshop.clock.advance(30 * SECOND)
    await worker.run_until_idle()

    assert (2, 0) == (asked, apple.asked)
    assert {"targeted": 2, "expired": 2} == await counts(workshop, instance, short)
    assert 1 == len(await paused(workshop))


async def test_now_or_never_is_never_in_a_paused_lane(workshop: Workshop) -> None:
    """A message that is to be tried once is not tried later."""
    instance, apple = await shop(workshop), Gateway403()
    worker = workshop.worker(apple.client)
    await to_alice(workshop, instance)
    await worker.run_until_idle()
    once = Messages(apns=ApnsMessage(b'{"aps":{}}', expiration=0))
    publish = await to_alice(workshop, instance, once)
    await worker.run_until_idle()
    workshop.clock.advance(5 * SECOND)
    await worker.run_until_idle()

    assert (1, {"targeted": 1, "expired": 1}) == (
        apple.asked,
        await counts(workshop, instance, publish),
    )


async def test_what_a_paused_lane_holds_can_be_cancelled(workshop: Workshop) -> None:
    """It waits in nobody's hand, so that it is over at once; the lane stays as it is."""
    instance, apple = await shop(workshop, devices=2), Gateway403()
    publish = await to_alice(workshop, instance)
    await workshop.worker(apple.client).run_until_idle()

    await cancel(workshop.database, instance.number, publish, now=NOW)

    assert ({"targeted": 2, "cancelled": 2}, 0, 1) == (
        await counts(workshop, instance, publish),
        await rows_of(workshop.database, "work"),
        len(await paused(workshop)),
    )


async def test_a_probe_whose_device_is_gone_leaves_the_lane_to_the_next(
    workshop: Workshop,
) -> None:
    """Nothing was learnt, so another device is asked, and not a quarter of an hour later."""
    instance, apple = await shop(workshop), Gateway403()
    device = await workshop.log_in(instance, "bob", apns_address())
    worker = workshop.worker(apple.client)
    gone = await workshop.publish(instance, to_users("bob"))
    await worker.run_until_idle()
    stays = await to_alice(workshop, instance)
    await worker.run_until_idle()
    await workshop.registry.unregister(instance.number, device)
    apple.reply = OK
    workshop.clock.advance(MINUTE)
    await worker.run_until_idle()

    assert [{"targeted": 1, "cancelled": 1}, {"targeted": 1, "sent": 1}] == [
        await counts(workshop, instance, each) for each in (gone, stays)
    ]


async def test_a_lane_of_two_workers_is_tried_by_one(workshop: Workshop) -> None:
    """They share what they know: one of them asks, one device."""
    instance, apple = await shop(workshop, devices=4), Gateway403()
    await to_alice(workshop, instance)
    workers = [workshop.worker(apple.client, batch_size=2) for _ in range(2)]
    await workers[0].run_until_idle()
    asked = apple.asked
    workshop.clock.advance(MINUTE)
    await asyncio.gather(*[each.run_until_idle() for each in workers])

    assert (2, 1) == (asked, apple.asked)


async def test_paused_lanes_are_counted(workshop: Workshop) -> None:
    """The gauge tells of all that are paused, by gateway and kind, and of none afterwards."""
    instance, apple = await shop(workshop), Gateway403()
    worker = workshop.worker(apple.client)

    def gauge() -> float | None:
        labels = {"gateway": "apns", "kind": "refused"}
        return workshop.metrics.registry.get_sample_value("heliograph_lanes_paused", labels)

    await to_alice(workshop, instance)
    await worker.run_until_idle()
    during = gauge()
    apple.reply = OK
    workshop.clock.advance(MINUTE)
    await worker.run_until_idle()

    assert (1, 0) == (during, gauge())


# --- a lane that is silent, or asks to wait ------------------------------------------


async def test_a_gateway_that_is_down_is_left_alone(workshop: Workshop) -> None:
    """After five batches without an answer only one message at a time finds out how it is."""
    instance, apple = await shop(workshop), Gateway403()
    apple.reply = UNAVAILABLE
    worker = workshop.worker(apple.client)
    for _ in range(5):
        await to_alice(workshop, instance)
        await worker.run_until_idle()
    asked = [apple.asked]
    held = await to_alice(workshop, instance)
    await worker.run_until_idle()
    asked.append(apple.asked)
    workshop.clock.advance(5 * SECOND)
    await worker.run_until_idle()
    asked.append(apple.asked)
    apple.reply = OK
    workshop.clock.advance(10 * SECOND)
    await worker.run_until_idle()

    assert ([5, 0, 1], []) == (asked, await paused(workshop))
    assert {"targeted": 1, "sent": 1} == await counts(workshop, instance, held)


async def test_a_project_that_is_told_to_wait_waits(workshop: Workshop) -> None:
    """All of its messages do, for as long as Google asked, and then one goes first."""
    instance = await workshop.instance(fcm=fcm_credentials())
    for _ in range(2):
        await workshop.log_in(instance, "alice", fcm_address())
    replies: list[HttpResponse] = [_quota(90)]

    def answer(request: HttpRequest) -> Reply:
        if "oauth" in request.url:
            return ACCESS
        return replies.pop() if replies else OK

    client = ScriptedClient(answer)
    worker = workshop.worker(client)
    first = await to_alice(workshop, instance)
    await worker.run_until_idle()
    (lane,) = await paused(workshop)
    second = await to_alice(workshop, instance)
    workshop.clock.advance(89 * SECOND)
    await worker.run_until_idle()
    early = await counts(workshop, instance, second)
    workshop.clock.advance(10 * MINUTE)
    await worker.run_until_idle()

    assert (PauseKind.ASKED, NOW + 90 * SECOND) == (lane.kind, lane.probe_at)
    assert {"targeted": 2, "pending": 2} == early
    assert [{"targeted": 2, "sent": 2}] * 2 == [
        await counts(workshop, instance, each) for each in (first, second)
    ]


def _quota(seconds: int) -> HttpResponse:
    """What Google says when a project has used up its messages."""
    detail = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": "project:tests"}],
    }
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [detail]}
    headers = (("retry-after", str(seconds)),)
    return HttpResponse(429, headers, msgspec.json.encode({"error": error}))


# --- nobody waits for another --------------------------------------------------------


async def test_an_outage_of_one_lane_costs_the_others_nothing(workshop: Workshop) -> None:
    """Behind a paused lane's backlog, another gateway's and another instance's go at once."""
    broken = await workshop.instance(fcm=fcm_credentials())
    await workshop.log_in(broken, "alice", apns_address())
    other = await shop(workshop)

    def answer(request: HttpRequest) -> Reply:
        if "oauth" in request.url:
            return ACCESS
        return REFUSED if b"broken" in request.body else OK

    worker = workshop.worker(ScriptedClient(answer))
    backlog = [await to_alice(workshop, broken, saying("broken")) for _ in range(30)]
    await worker.run_until_idle()
    await workshop.log_in(broken, "bob", fcm_address())
    android = await workshop.publish(broken, to_users("bob"))
    elsewhere = await to_alice(workshop, other)
    await worker.run_until_idle()

    assert [{"targeted": 1, "sent": 1}] * 2 == [
        await counts(workshop, broken, android),
        await counts(workshop, other, elsewhere),
    ]
    assert [{"targeted": 1, "pending": 1}] * 30 == [
        await counts(workshop, broken, each) for each in backlog
    ]


class Choosy:
    """A gateway that does not answer some until it has heard of others."""

    def __init__(self, hangs: bytes, goes: bytes, *, after: int = 1) -> None:
        self._hangs, self._goes, self._after = hangs, goes, after
        self.heard = 0
        self.is_hung, self.is_heard = asyncio.Event(), asyncio.Event()
        self.client = ScriptedClient(self._answer)

    async def _answer(self, request: HttpRequest) -> Reply:
        if self._goes in request.body:
            self.heard += 1
            if self.heard == self._after:
                self.is_heard.set()
        if self._hangs in request.body:
            self.is_hung.set()
            await self.is_heard.wait()
        return OK


async def run_until_heard(workshop: Workshop, gateway: Choosy) -> None:
    """Work until the gateway has heard what it waits for, and everything is settled."""
    stop = asyncio.Event()
    running = asyncio.create_task(workshop.worker(gateway.client, concurrency=1).run(stop))
    try:
        await asyncio.wait_for(gateway.is_heard.wait(), 30)
    finally:
        stop.set()
        await running


async def test_a_gateway_that_hangs_leaves_hands_to_the_others(workshop: Workshop) -> None:
    """However much waits for it, it has half of the hands at most."""
    hung, other = await shop(workshop), await shop(workshop)
    for _ in range(20):
        await to_alice(workshop, hung, saying("hangs"))
    gateway = Choosy(b"hangs", b"goes")
    stop = asyncio.Event()
    running = asyncio.create_task(workshop.worker(gateway.client, concurrency=1).run(stop))
    await gateway.is_hung.wait()
    publish = await to_alice(workshop, other, saying("goes"))
    await asyncio.wait_for(gateway.is_heard.wait(), 30)
    stop.set()
    await running

    assert {"targeted": 1, "sent": 1} == await counts(workshop, other, publish)


async def broadcast(workshop: Workshop, instance: Instance, words: str, *, batches: int) -> None:
    """A large publish that has been expanded: so many batches of one device each."""
    async with workshop.database.write() as connection:
        publish = await add_publish(
            connection, instance.number, to_users("alice"), saying(words), now=workshop.clock()
        )
        for _ in range(batches):
            device = await add_device(connection, instance.number, apns_address(), user="alice")
            await work.add_batch(
                connection,
                publish,
                instance.number,
                Gateway.APNS,
                None,
                [device],
                attempt=1,
                due_at=workshop.clock(),
                sort=Sort.LARGE,
            )


async def test_a_message_to_one_person_overtakes_a_broadcast(workshop: Workshop) -> None:
    """It is sent while the first batch of many is still under way, in the same lane."""
    instance = await shop(workshop)
    await broadcast(workshop, instance, "to all", batches=20)
    await workshop.log_in(instance, "bob", apns_address())
    await workshop.publish(instance, to_users("bob"), saying("to bob"))
    gateway = Choosy(b"to all", b"to bob")

    await run_until_heard(workshop, gateway)

    assert 1 == gateway.heard


async def test_a_broadcast_goes_on_under_a_stream_of_small_ones(workshop: Workshop) -> None:
    """Small messages that take all hands of theirs take none of the broadcast's."""
    instance = await shop(workshop)
    await broadcast(workshop, instance, "to all", batches=5)
    await workshop.log_in(instance, "bob", apns_address())
    for _ in range(30):
        await workshop.publish(instance, to_users("bob"), saying("to bob"))
    gateway = Choosy(b"to bob", b"to all", after=5)

    await run_until_heard(workshop, gateway)

    assert 5 <= gateway.heard


async def test_what_is_tried_again_is_never_ahead_of_what_is_fresh(workshop: Workshop) -> None:
    """A repeat that hangs, and has waited for longer, keeps nothing fresh from going."""
    instance = await shop(workshop)
    for _ in range(3):
        await to_alice(workshop, instance, saying("again"))
    await workshop.worker(always(UNAVAILABLE)).run_until_idle()
    workshop.clock.advance(MINUTE)
    gateway = Choosy(b"again", b"fresh", after=3)
    for _ in range(3):
        await to_alice(workshop, instance, saying("fresh"))

    await run_until_heard(workshop, gateway)

    assert 3 == gateway.heard


async def test_instances_take_turns(workshop: Workshop) -> None:
    """Whoever asks for much does not keep waiting whoever asks for little."""
    busy, quiet = await shop(workshop), await shop(workshop)
    for _ in range(40):
        await to_alice(workshop, busy, saying("busy"))
    await to_alice(workshop, quiet, saying("quiet"))
    order: list[str] = []

    def answer(request: HttpRequest) -> Reply:
        order.append("quiet" if b"quiet" in request.body else "busy")
        return OK

    await workshop.worker(ScriptedClient(answer), concurrency=1).run_until_idle()

    assert (41, True) == (len(order), order.index("quiet") <= 4)


# --- work that we cannot do ----------------------------------------------------------


async def failing(workshop: Workshop, break_it: Callable[[], Awaitable[None]]) -> list[float]:
    """How long work rests that fails for a reason of our own, in seconds, until it is gone."""
    worker, rests = workshop.worker(always(OK)), []
    await break_it()
    with structlog.testing.capture_logs() as logged:
        await worker.run_until_idle()
        while await rows_of(workshop.database, "work"):
            async with workshop.database.read() as connection:
                (due_at,) = (await connection.execute(tables.work.select())).scalars("due_at")
            rests.append((due_at - workshop.clock()).total_seconds())
            workshop.clock.now = due_at
            await worker.run_until_idle()
    assert ["work_given_up"] == [
        line["event"] for line in logged if line["event"] == "work_given_up"
    ]
    return rests


async def test_a_batch_that_we_cannot_send_is_given_up(workshop: Workshop) -> None:
    """It rests longer each time, and fails at last, so that its publish comes to an end."""
    instance = await shop(workshop, devices=2)
    publish = await to_alice(workshop, instance, saying("x"))
    await workshop.worker(always(UNAVAILABLE)).run_until_idle()
    workshop.clock.advance(MINUTE)

    async def break_it() -> None:
        async with workshop.database.write() as connection:
            await connection.execute(tables.instances.update().values(apns_credentials=b"garbage"))

    rests = await failing(workshop, break_it)

    assert [10, 20, 40, 80, 160, 320, 640, 900, 900] == rests
    assert MOST_FAILURES - 1 == len(rests)
    assert {"targeted": 2, "failed": 2} == await counts(workshop, instance, publish)
    given_up = workshop.metrics.registry.get_sample_value("heliograph_work_given_up_total")
    assert 1 == given_up


async def test_a_target_that_we_cannot_walk_is_given_up(workshop: Workshop) -> None:
    """The publish ends with whom it has reached so far."""
    instance = await shop(workshop)
    publish = await to_alice(workshop, instance, saying("x"))

    async def break_it() -> None:
        async with workshop.database.write() as connection:
            await connection.execute(tables.publishes.update().values(messages=b"\xc1"))

    rests = await failing(workshop, break_it)

    progress = await workshop.progress(instance, publish)
    assert (MOST_FAILURES - 1, {}, True) == (
        len(rests),
        ends(progress),
        progress.expanded_at is not None,
    )
