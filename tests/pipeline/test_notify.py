"""Notify: whoever wants to know what came of a publish is told, once and with the truth."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from builders import (
    EVERYTHING,
    ScriptedClient,
    Workshop,
    always,
    apns_address,
    apns_error,
    ends,
    fcm_address,
    to_users,
)
from heliograph.instances import Instance
from heliograph.model import DeviceNumber, Interest, Target, ToInterests, UserId
from heliograph.notices import Count, Ended, OwnHook, Started, Subject
from heliograph.pipeline.cancel import cancel
from heliograph.pipeline.expand import expand
from heliograph.pipeline.settle import settle
from heliograph.pipeline.verdict import Over
from heliograph.storage import calls
from heliograph.storage.calls import CallRow, State
from heliograph.storage.work import Batch, Call, Expansion
from heliograph.wire.http import HttpResponse

GONE = apns_error(410, "Unregistered", timestamp=4_000_000_000_000)
OWN = OwnHook("beams", "https://hooks.example.com/own", b"{}")


async def shop_with_hook(workshop: Workshop) -> Instance:
    """An instance that is told of everything."""
    made = await workshop.instance()
    await workshop.webhooks.create(
        made, "beams", "https://hooks.example.com/", subjects={Subject.STARTED, Subject.ENDED}
    )
    found = await workshop.instances.find(made.id)
    assert found is not None
    return found


async def told(workshop: Workshop, instance: Instance) -> list[CallRow]:
    """Every call there is, oldest first."""
    async with workshop.database.read() as connection:
        return list(reversed(await calls.page(connection, instance.number, limit=100)))


async def the_end(workshop: Workshop, instance: Instance) -> Ended:
    """What the one call about an end says."""
    notices = [each.notice for each in await told(workshop, instance)]
    (ended,) = [each for each in notices if isinstance(each, Ended)]
    return ended


def gateway(*dead: str) -> ScriptedClient:
    """Everything is taken, but for devices with these tokens."""
    return ScriptedClient(
        lambda request: GONE if any(each in request.url for each in dead) else HttpResponse(200)
    )


async def test_the_end_of_a_publish_to_users_is_told(workshop: Workshop) -> None:
    """Who was reached, who has no device, and whose devices all failed; each person once."""
    instance = await shop_with_hook(workshop)
    good, dead, spare = (apns_address(letter * 64) for letter in "abc")
    await workshop.log_in(instance, "reached", good)
    await workshop.log_in(instance, "reached", apns_address("d" * 64))
    await workshop.log_in(instance, "failed", dead)
    await workshop.log_in(instance, "failed", spare)
    await workshop.publish(instance, to_users("reached", "nobody", "failed"))

    await workshop.worker(gateway("b" * 64, "c" * 64, "d" * 64)).run_until_idle()

    ended = await the_end(workshop, instance)
    assert (("reached",), ("nobody",), ("failed",)) == (
        ended.reached,
        ended.without_devices,
        ended.failed,
    )
    assert Count(1, 3) == next(iter(ended.gateways.values()))


async def test_a_publish_to_interests_tells_no_webhook(workshop: Workshop) -> None:
    """§8: there are no events for them; nor is anything noted while it goes on."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, ToInterests((Interest("a"),)))

    await workshop.worker(gateway()).run_until_idle()

    assert [] == await told(workshop, instance)


async def test_who_has_no_webhook_is_told_nothing(workshop: Workshop) -> None:
    """A publish that nobody watches leaves no trace of notices."""
    instance = await workshop.instance()
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(gateway()).run_until_idle()

    assert [] == await told(workshop, instance)


async def test_nobody_to_reach_is_an_end_as_well(workshop: Workshop) -> None:
    """A publish that is over with its expansion is told of by the expansion."""
    instance = await shop_with_hook(workshop)
    await workshop.publish(instance, to_users("alice", "bob"))

    await workshop.worker(gateway()).run_until_idle()

    assert ("alice", "bob") == (await the_end(workshop, instance)).without_devices


@pytest.mark.parametrize("target", [to_users("alice"), ToInterests((Interest("a"),))])
async def test_a_publishs_own_hook_is_told_of_begin_and_end(
    workshop: Workshop, target: Target
) -> None:
    """Whatever it addresses, and without any webhook."""
    instance = await workshop.instance()
    identity = workshop.accept.new_id()
    await workshop.accept.accept(
        instance,
        identity,
        target,
        EVERYTHING,
        hook=workshop.webhooks.own(instance, identity, OWN),
    )

    await workshop.worker(gateway()).run_until_idle()

    found = await told(workshop, instance)
    assert [Started, Ended] == [type(each.notice) for each in found]
    assert {None} == {each.webhook for each in found}


async def test_a_retried_batch_is_no_end(workshop: Workshop) -> None:
    """Nothing is told while something is left; a person who is reached later was reached."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(always(apns_error(503, "ServiceUnavailable"))).run_until_idle()
    before = await told(workshop, instance)
    workshop.clock.advance(timedelta(minutes=20))
    await workshop.worker(gateway()).run_until_idle()

    assert [] == before
    assert ("alice",) == (await the_end(workshop, instance)).reached


async def test_a_cancelled_publish_is_told_of(workshop: Workshop) -> None:
    """What an operator cancels is over; whom it had not reached is told as without a device."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice"))

    await cancel(workshop.database, instance.number, publish, now=workshop.clock())

    assert ("alice",) == (await the_end(workshop, instance)).without_devices


async def test_cancelling_leaves_calls_alone(workshop: Workshop) -> None:
    """Only what is for devices is cancelled; who was to be told, still is."""
    instance = await workshop.instance()
    publish = workshop.accept.new_id()
    await workshop.accept.accept(
        instance,
        publish,
        to_users("alice"),
        EVERYTHING,
        hook=workshop.webhooks.own(instance, publish, OWN),
    )

    await cancel(workshop.database, instance.number, publish, now=workshop.clock())

    taken = await workshop.take(10)
    assert [Call, Call] == [type(each) for each in taken]
    assert {} == ends(await workshop.progress(instance, publish))


async def test_who_logged_out_meanwhile_is_not_said_to_be_reached(workshop: Workshop) -> None:
    """Between expansion and delivery a person may leave; the device gets nothing, nor does she."""
    instance = await shop_with_hook(workshop)
    device = await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await expand(workshop.database, expansion, page_size=10, now=workshop.clock())
    await workshop.registry.unregister(instance.number, device)

    await workshop.worker(gateway()).run_until_idle()

    assert ("alice",) == (await the_end(workshop, instance)).without_devices


async def test_who_logs_out_after_it_was_reached(workshop: Workshop) -> None:
    """What was true when it was sent is told, although the device is gone by the end."""
    instance = await shop_with_hook(workshop)
    quick = await workshop.log_in(instance, "alice", apns_address("a" * 64))
    await workshop.log_in(instance, "bob", apns_address("b" * 64))
    await workshop.publish(instance, to_users("alice", "bob"))
    slow = ScriptedClient(
        lambda request: (
            apns_error(503, "ServiceUnavailable") if "b" * 64 in request.url else HttpResponse(200)
        )
    )

    await workshop.worker(slow).run_until_idle()
    await workshop.registry.unregister(instance.number, quick)
    workshop.clock.advance(timedelta(minutes=20))
    await workshop.worker(gateway()).run_until_idle()

    assert ("alice", "bob") == (await the_end(workshop, instance)).reached


async def test_of_two_that_finish_it_together_one_tells(workshop: Workshop) -> None:
    """The last two batches are settled at one time, each by another worker."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.log_in(instance, "bob", fcm_address())
    await workshop.publish(instance, to_users("alice", "bob"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await expand(workshop.database, expansion, page_size=10, now=workshop.clock())
    batches = [each for each in await workshop.take(10) if isinstance(each, Batch)]

    settlements = await asyncio.gather(
        *[
            settle(
                workshop.database,
                batch,
                {DeviceNumber(batch.devices[0]): Over("sent")},
                users={DeviceNumber(batch.devices[0]): UserId(user)},
                now=workshop.clock(),
            )
            for batch, user in zip(batches, ("alice", "bob"), strict=True)
        ]
    )

    assert [1] == [len(each.told) for each in settlements if each is not None and each.told]
    assert ("alice", "bob") == (await the_end(workshop, instance)).reached


async def test_work_that_is_given_up_ends_a_publish(workshop: Workshop) -> None:
    """Those of whom we do not know are not said to be reached; somebody is told all the same."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))
    broken = ScriptedClient(lambda _: HttpResponse(200))
    worker = workshop.worker(broken)
    for _ in range(12):  # each time it is found in a dead worker's hand
        await workshop.take(10)
        await workshop.leases.reclaim()

    await worker.run_until_idle()

    assert () == (await the_end(workshop, instance)).reached


async def test_whose_batch_is_given_up_is_not_without_a_device(workshop: Workshop) -> None:
    """What we could not deliver has failed, for a reason of our own."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))
    (expansion,) = await workshop.take(1)
    assert isinstance(expansion, Expansion)
    await expand(workshop.database, expansion, page_size=10, now=workshop.clock())
    for _ in range(12):
        await workshop.take(10)
        await workshop.leases.reclaim()

    await workshop.worker(gateway()).run_until_idle()

    ended = await the_end(workshop, instance)
    assert ((), (), ("alice",)) == (ended.reached, ended.without_devices, ended.failed)


async def test_who_was_not_sent_to_in_time_is_not_without_a_device(workshop: Workshop) -> None:
    """What expires before it is tried, or tried again, has failed for whoever it was for."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    await workshop.publish(instance, to_users("alice"))

    await workshop.worker(always(apns_error(503, "ServiceUnavailable"))).run_until_idle()
    workshop.clock.advance(timedelta(days=60))
    await workshop.worker(gateway()).run_until_idle()

    ended = await the_end(workshop, instance)
    assert ((), (), ("alice",)) == (ended.reached, ended.without_devices, ended.failed)


async def test_a_call_is_made_and_gone(workshop: Workshop) -> None:
    """Two requests leave: one to Apple, and one that tells of it; nothing is left to do."""
    instance = await shop_with_hook(workshop)
    await workshop.log_in(instance, "alice", apns_address())
    publish = await workshop.publish(instance, to_users("alice"))
    client = gateway()

    await workshop.worker(client).run_until_idle()

    (call,) = [each for each in client.sent if "hooks.example.com" in each.url]
    assert publish == msgspec.json.decode(call.body)["payload"]["publish_id"]
    assert [State.DELIVERED] == [each.state for each in await told(workshop, instance)]
    assert [] == await workshop.take(10)
