"""Call: a notice goes out signed, is made again in time, and is dead in the end."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook as Judge

from builders import EVERYTHING, Reply, ScriptedClient, Workshop, always, to_users
from heliograph.api.beams.events import BeamsEvents
from heliograph.errors import EgressDenied, NotProcessed
from heliograph.instances import Instance
from heliograph.model import Sort
from heliograph.notices import OwnHook, Subject, Webhook
from heliograph.pipeline.call import Caller
from heliograph.storage import calls
from heliograph.storage.calls import Attempt, CallRow, State
from heliograph.storage.work import Call, add_calls
from heliograph.transport.client import Client
from heliograph.wire.http import HttpRequest, HttpResponse

URL = "https://hooks.example.com/x"
TAKEN, REFUSED = HttpResponse(204), HttpResponse(500)


async def a_call(workshop: Workshop, *, url: str = URL) -> tuple[Instance, Webhook]:
    """An instance with one webhook, and one call to be made to it."""
    made = await workshop.instance()
    webhook = await workshop.webhooks.create(made, "beams", url, subjects={Subject.ENDED})
    instance = await workshop.instances.find(made.id)
    assert instance is not None
    await workshop.publish(instance, to_users("nobody"))
    await workshop.worker(always(TAKEN)).run_until_idle()
    await send_again(workshop, instance)
    return instance, webhook


async def send_again(workshop: Workshop, instance: Instance) -> None:
    """Ask for the one call once more."""
    async with workshop.database.write() as connection:
        (call,) = await calls.page(connection, instance.number, limit=2)
        await calls.resend(connection, instance.number, call.id, now=workshop.clock())


async def state(workshop: Workshop, instance: Instance) -> tuple[CallRow, list[Attempt]]:
    """The call, and its attempts without the first, which was only to have it."""
    async with workshop.database.read() as connection:
        (call,) = await calls.page(connection, instance.number, limit=2)
        tries = await calls.attempts(connection, [call.number])
    return call, list(tries[call.number])[1:]


async def make(workshop: Workshop, client: Client, **options: Any) -> None:
    """Do what is due, with a caller that has this way out."""
    caller = Caller(
        workshop.database,
        workshop.instances,
        workshop.webhooks,
        client,
        [BeamsEvents()],
        workshop.metrics,
        clock=workshop.clock,
        **options,
    )
    for work in await workshop.queue.take(Sort.CALL, 10):
        assert isinstance(work, Call)
        await caller.make(work)


async def test_a_call_is_signed_in_both_forms(workshop: Workshop) -> None:
    """The dialect's own signature, and one that Standard Webhooks' library takes."""
    _, webhook = await a_call(workshop)
    workshop.clock.now = workshop.clock.now.now(workshop.clock.now.tzinfo)  # the judge's clock
    client = always(TAKEN)

    await make(workshop, client)

    (request,) = client.sent
    fields = dict(request.headers)
    Judge(webhook.secret).verify(
        request.body, fields | {"webhook-signature": fields["webhook-signature-256"]}
    )
    assert ("POST", URL, 40) == (request.method, request.url, len(fields["webhook-signature"]))
    assert [(None, True)] == client.trusted, "a stranger's address is guarded, and has no trust"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_taken(workshop: Workshop, status: int) -> None:
    """§8: then nothing more is sent, and the attempt is logged."""
    instance, _ = await a_call(workshop)

    await make(workshop, always(HttpResponse(status)))

    call, tries = await state(workshop, instance)
    assert (State.DELIVERED, workshop.clock()) == (call.state, call.ended_at)
    assert [(status, None)] == [(each.status, each.problem) for each in tries]


@pytest.mark.parametrize(
    "reply, problem",
    [
        (HttpResponse(301, (("location", "http://127.0.0.1/"),)), None),
        (HttpResponse(404), None),
        (HttpResponse(503), None),
        (NotProcessed("ConnectError"), "ConnectError"),
        (
            EgressDenied("the endpoint's address is not public"),
            "the endpoint's address is not public",
        ),
    ],
)
async def test_anything_else_is_made_again(
    workshop: Workshop, reply: Reply, problem: str | None
) -> None:
    """A redirection is not followed; ten seconds later the same call is made again."""
    instance, _ = await a_call(workshop)
    client = always(reply)

    await make(workshop, client)
    await make(workshop, client)
    early = len(client.sent)
    workshop.clock.advance(timedelta(seconds=10))
    await make(workshop, client)

    call, tries = await state(workshop, instance)
    assert (1, 2, State.PENDING) == (early, len(client.sent), call.state)
    assert {problem} == {each.problem for each in tries}
    assert 1 == len(set(client.headers("webhook-request-id-uuid")))


async def test_after_five_times_it_is_dead_until_it_is_sent_again(workshop: Workshop) -> None:
    """§8: 10, 30, 120 and 300 seconds; whoever sends it again has five more."""
    instance, _ = await a_call(workshop)
    client, began, times = always(REFUSED), workshop.clock(), list[float]()

    for _second in range(600):
        before = len(client.sent)
        await make(workshop, client)
        if len(client.sent) > before:
            times.append((workshop.clock() - began).total_seconds())
        workshop.clock.advance(timedelta(seconds=1))

    dead, tries = await state(workshop, instance)
    assert [0, 10, 40, 160, 460] == times
    assert (State.DEAD, 5) == (dead.state, len(tries))
    async with workshop.database.write() as connection:
        await calls.resend(connection, instance.number, dead.id, now=workshop.clock())
    await make(workshop, always(TAKEN))
    alive, tries = await state(workshop, instance)
    assert (State.DELIVERED, 6) == (alive.state, len(tries))


async def test_who_does_not_answer_in_time_has_not(workshop: Workshop) -> None:
    """However long a server keeps us waiting, we wait so long and no longer."""
    instance, _ = await a_call(workshop)

    async def never(_request: HttpRequest) -> HttpResponse:
        await asyncio.Event().wait()
        return TAKEN

    await make(workshop, ScriptedClient(never), seconds=0.01)

    call, (attempt,) = await state(workshop, instance)
    assert (State.PENDING, None, "no answer within 0.01 seconds") == (
        call.state,
        attempt.status,
        attempt.problem,
    )


async def test_a_name_and_a_password_are_sent_as_such(workshop: Workshop) -> None:
    """RFC 7617: never as part of the address, which ends in the logs of others."""
    await a_call(workshop, url="https://me%40home:p%3Aw@hooks.example.com:8443/x?y=1")
    client = always(TAKEN)

    await make(workshop, client)

    (request,) = client.sent
    credentials = base64.b64encode(b"me@home:p:w").decode()
    assert "https://hooks.example.com:8443/x?y=1" == request.url
    assert f"Basic {credentials}" == dict(request.headers)["authorization"]


async def test_a_deleted_webhook_is_not_called(workshop: Workshop) -> None:
    """What it was still to be told is gone with it."""
    _, webhook = await a_call(workshop)
    client = always(TAKEN)

    await workshop.webhooks.remove(webhook)
    await make(workshop, client)

    assert [] == client.sent
    assert [] == await workshop.queue.take(Sort.CALL, 10)


async def test_work_that_outlived_its_webhook_is_gone(workshop: Workshop) -> None:
    """A call may be asked for again at the instant at which somebody deletes its webhook."""
    instance, webhook = await a_call(workshop)
    call, _ = await state(workshop, instance)
    (work,) = await workshop.queue.take(Sort.CALL, 1)
    assert isinstance(work, Call)
    await workshop.webhooks.remove(webhook)
    async with workshop.database.write() as connection:
        await add_calls(connection, [work], due_at=workshop.clock())
    client = always(TAKEN)

    await make(workshop, client)
    await workshop.leases.reclaim()

    assert call.number == work.call
    assert ([], []) == (client.sent, list(await workshop.queue.take(Sort.CALL, 10)))


async def test_who_dies_over_a_call_makes_it_again_under_its_ids(workshop: Workshop) -> None:
    """Between the answer and the settlement: the other side can tell."""
    instance, _ = await a_call(workshop)
    client = always(TAKEN)
    await workshop.queue.take(Sort.CALL, 1)  # and dies
    await workshop.leases.reclaim()

    await make(workshop, client)
    first = client.sent[-1]
    async with workshop.database.write() as connection:
        call, *_ = await calls.page(connection, instance.number, limit=1)
        await calls.resend(connection, instance.number, call.id, now=workshop.clock())
    await make(workshop, client)

    names = ("webhook-request-id-uuid", "webhook-id")
    assert [dict(first.headers)[each] for each in names] == [
        dict(client.sent[-1].headers)[each] for each in names
    ]
    assert first.body == client.sent[-1].body


async def test_a_call_that_is_settled_twice_counts_once(workshop: Workshop) -> None:
    """Whoever was too slow, and lost the lease, adds nothing."""
    instance, _ = await a_call(workshop)
    (work,) = await workshop.queue.take(Sort.CALL, 1)
    assert isinstance(work, Call)
    attempt = Attempt(workshop.clock(), 1, 200, None)

    settled = []
    for _ in range(2):
        async with workshop.database.write() as connection:
            settled.append(
                await calls.settle(
                    connection,
                    work,
                    attempt,
                    state=State.DELIVERED,
                    again_at=None,
                    now=workshop.clock(),
                )
            )

    assert [[], None] == settled
    assert 1 == len((await state(workshop, instance))[1])


async def test_a_call_that_fails_us_is_given_up_dead(workshop: Workshop) -> None:
    """A fault of our own ends as other dead calls do: it can be sent again."""
    instance, _ = await a_call(workshop)
    for _ in range(12):
        await workshop.take(10)
        await workshop.leases.reclaim()

    await workshop.worker(always(TAKEN)).run_until_idle()

    call, _tries = await state(workshop, instance)
    assert State.DEAD == call.state


async def test_what_somebody_else_has_settled_is_not_given_up(workshop: Workshop) -> None:
    """Whoever was too slow does not take away that it has arrived."""
    instance, _ = await a_call(workshop)
    (work,) = await workshop.queue.take(Sort.CALL, 1)
    assert isinstance(work, Call)
    await workshop.leases.reclaim()
    await make(workshop, always(TAKEN))

    async with workshop.database.write() as connection:
        await calls.end(connection, work, State.DEAD, now=workshop.clock())

    assert State.DELIVERED == (await state(workshop, instance))[0].state


async def test_a_hook_that_hangs_holds_up_no_other_instance(workshop: Workshop) -> None:
    """Its lane has half of the hands at most, and deliveries have hands of their own."""
    hanging, _ = await a_call(workshop)
    other, _ = await a_call(workshop, url="https://other.example.com/")  # makes the first one's
    await send_again(workshop, hanging)
    release = asyncio.Event()
    made: list[str] = []

    async def answer(request: HttpRequest) -> HttpResponse:
        if request.url == URL:
            await release.wait()
        made.append(request.url)
        return TAKEN

    stop = asyncio.Event()
    worker = asyncio.create_task(workshop.worker(ScriptedClient(answer)).run(stop))
    async with asyncio.timeout(30):
        while (await state(workshop, other))[0].state is not State.DELIVERED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    release.set()
    stop.set()
    await worker

    assert ["https://other.example.com/", URL] == made
    assert State.DELIVERED == (await state(workshop, hanging))[0].state


async def test_nothing_that_is_secret_is_in_the_database_as_it_is(workshop: Workshop) -> None:
    """Address, password, secret and the request of a publish are sealed."""
    instance, webhook = await a_call(workshop, url="https://me:pass-word@hooks.example.com/x")
    publish = workshop.accept.new_id()
    own = OwnHook("beams", "https://own.example.com/own", b'{"words":"lighthouse"}')
    await workshop.accept.accept(
        instance,
        publish,
        to_users("alice"),
        EVERYTHING,
        hook=workshop.webhooks.own(instance, publish, own),
    )

    async with workshop.database.read() as connection:
        rows = [
            (await connection.exec_driver_sql(f"SELECT * FROM {table}")).all()  # noqa: S608
            for table in ("webhooks", "own_hooks", "calls")
        ]

    kept = repr(rows)
    assert not [
        each
        for each in ("pass-word", "own.example", "hooks.example", "lighthouse", webhook.secret)
        if each in kept
    ]
    assert "lighthouse" not in repr(own)
    assert msgspec.json.encode({"words": "lighthouse"}) == own.request
