"""Notify, device by device: how each delivery ended, told once, to those who listen."""

from collections.abc import Set as AbstractSet
from datetime import timedelta

from builders import (
    Reply,
    ScriptedClient,
    Workshop,
    apns_address,
    apns_error,
    fcm_address,
    fcm_credentials,
    rows_of,
    to_users,
    web_address,
)
from heliograph.instances import Instance
from heliograph.model import Platform
from heliograph.notices import Failed, Progressed, Subject
from heliograph.pipeline.acknowledge import Acknowledge, Report
from heliograph.pipeline.cancel import cancel
from heliograph.pipeline.expand import expand
from heliograph.storage import calls, devices
from heliograph.storage.calls import CallRow
from heliograph.storage.receipts import What
from heliograph.storage.work import Expansion
from heliograph.wire.http import HttpRequest, HttpResponse

OK = HttpResponse(200)
BAD = apns_error(413, "PayloadTooLarge")
AWAY = apns_error(503, "ServiceUnavailable")
BOTH = frozenset({Subject.PROGRESSED, Subject.FAILED})
GOOD, WRONG = "a" * 64, "b" * 64


async def shop(workshop: Workshop, subjects: AbstractSet[Subject] = BOTH) -> Instance:
    """An instance of which a back end is told in IBM's words."""
    made = await workshop.instance(fcm=fcm_credentials())
    await workshop.webhooks.create(made, "ibm", "https://hooks.example.com/", subjects=subjects)
    found = await workshop.instances.find(made.id)
    assert found is not None
    return found


async def told(workshop: Workshop, instance: Instance) -> list[CallRow]:
    async with workshop.database.read() as connection:
        return list(reversed(await calls.page(connection, instance.number, limit=100)))


async def said(workshop: Workshop, instance: Instance) -> list[tuple[str, str, list[str]]]:
    """Of each notice its state or reason, its platform, and its devices."""
    found = []
    for each in await told(workshop, instance):
        assert isinstance(each.notice, Progressed | Failed)
        what = each.notice.state if isinstance(each.notice, Progressed) else each.notice.reason
        found.append((what, str(each.notice.platform), sorted(each.notice.devices)))
    return sorted(found)


def answering(**replies: Reply) -> ScriptedClient:
    """Each token its answer; whoever is not named is taken, and so are calls."""

    def answer(request: HttpRequest) -> Reply:
        if request.url.endswith("token"):
            return HttpResponse(200, (), b'{"access_token":"ya29","expires_in":3600}')
        return next((reply for token, reply in replies.items() if token in request.url), OK)

    return ScriptedClient(answer)


async def test_each_device_is_told_of_once(workshop: Workshop) -> None:
    """By platform and state, and those that failed again by reason; in the dialect's words."""
    instance = await shop(workshop)
    good = await workshop.log_in(instance, "alice", apns_address(GOOD))
    wrong = await workshop.log_in(instance, "alice", apns_address(WRONG))
    phone = await workshop.log_in(instance, "alice", fcm_address())
    browser = await workshop.log_in(instance, "alice", web_address())
    client = answering(**{WRONG: BAD})
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(client).run_until_idle()
    await workshop.worker(client).run_until_idle()

    assert sorted(
        [
            ("sent", "ios", [good]),
            ("failed", "ios", [wrong]),
            ("PayloadTooLarge", "ios", [wrong]),
            ("sent", "android", [phone]),
            ("sent", "chrome", [browser]),
        ]
    ) == await said(workshop, instance)
    assert {"delivered"} == {str(each.state) for each in await told(workshop, instance)}


async def test_what_is_tried_again_is_told_when_it_is_over(workshop: Workshop) -> None:
    """Not before; the others of its batch are not told of a second time."""
    instance = await shop(workshop)
    good = await workshop.log_in(instance, "alice", apns_address(GOOD))
    late = await workshop.log_in(instance, "alice", apns_address(WRONG))
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(answering(**{WRONG: AWAY})).run_until_idle()
    before = await said(workshop, instance)
    workshop.clock.advance(timedelta(minutes=5))
    await workshop.worker(answering()).run_until_idle()

    assert [("sent", "ios", [good])] == before
    assert sorted([("sent", "ios", [good]), ("sent", "ios", [late])]) == await said(
        workshop, instance
    )


async def test_what_expires_has_failed_and_what_is_cancelled_is_not_told(
    workshop: Workshop,
) -> None:
    """Nobody was refused who was not sent to because its caller thought better of it."""
    instance = await shop(workshop)
    device = await workshop.log_in(instance, "alice", apns_address(GOOD))
    for is_cancelled in (False, True):
        publish = await workshop.publish(instance, to_users("alice"))
        await workshop.worker(answering(**{GOOD: AWAY})).run_until_idle()
        if is_cancelled:
            await cancel(
                workshop.database,
                instance.number,
                publish,
                metrics=workshop.metrics,
                now=workshop.clock(),
            )
        workshop.clock.advance(timedelta(days=60))
        await workshop.worker(answering()).run_until_idle()

    assert sorted([("failed", "ios", [device]), ("expired", "ios", [device])]) == await said(
        workshop, instance
    )


async def test_whose_batch_is_given_up_has_failed(workshop: Workshop) -> None:
    """For a reason of our own, which is told as well as a gateway's."""
    instance = await shop(workshop)
    device = await workshop.log_in(instance, "alice", apns_address(GOOD))
    await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await expand(workshop.database, expansion, page_size=10, now=workshop.clock())
    for _ in range(12):  # each time it is found in a dead worker's hand
        await workshop.take(10)
        await workshop.leases.reclaim()

    await workshop.worker(answering()).run_until_idle()

    assert sorted([("failed", "ios", [device]), ("InternalError", "ios", [device])]) == await said(
        workshop, instance
    )


async def test_a_device_is_called_by_its_name(workshop: Workshop) -> None:
    """And by what it said that it is."""
    instance = await shop(workshop, {Subject.PROGRESSED})
    await workshop.log_in(instance, "alice", web_address())
    async with workshop.database.write() as connection:
        (browser,) = await devices.page(connection, instance.number, limit=2)
        await devices.change(connection, browser.number, name="D", platform=str(Platform.FIREFOX))
    publish = await workshop.publish(instance, to_users("alice"))
    await workshop.worker(answering()).run_until_idle()
    ears = Acknowledge(workshop.database, workshop.queue, workshop.metrics, clock=workshop.clock)
    states: list[What] = ["delivered", "opened", "opened"]
    for what in states:
        await ears.hear(instance, Report(what, publish, browser.id, None))

    assert sorted(
        [(state, "firefox", ["D"]) for state in ("sent", "delivered", "opened")]
    ) == await said(workshop, instance)


async def test_nobody_is_told_who_listens_for_something_else(workshop: Workshop) -> None:
    """Nothing is kept of deliveries then."""
    instance = await shop(workshop, {Subject.REGISTERED})
    await workshop.log_in(instance, "alice", apns_address(WRONG))
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(answering(**{WRONG: BAD})).run_until_idle()

    assert 0 == await rows_of(workshop.database, "calls")
