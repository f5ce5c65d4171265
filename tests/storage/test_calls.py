"""Queries on calls: pages of them, what is sent again, and what is forgotten in time."""

from datetime import timedelta

import pytest

from builders import NOW, SECOND, add_instance, add_publish, leased, rows_of
from heliograph.model import (
    DeviceId,
    InstanceNumber,
    Platform,
    PublishNumber,
    Sort,
    UserId,
)
from heliograph.notices import Opened, Party, Registered, Subject, WebhookId, WebhookNumber
from heliograph.storage import calls, instances, lanes, webhooks
from heliograph.storage.calls import KEPT, Attempt, New, State
from heliograph.storage.database import Database
from heliograph.storage.work import Call


@pytest.fixture
async def publish(database: Database) -> tuple[InstanceNumber, PublishNumber]:
    async with database.write() as connection:
        instance = await add_instance(connection)
        return instance, await add_publish(connection, instance)


async def add_webhook(database: Database, instance: InstanceNumber, name: str) -> WebhookNumber:
    async with database.write() as connection:
        values = {
            "id": WebhookId(name),
            "dialect": "beams",
            "subjects": {Subject.OPENED},
            "url": b"",
            "secret": b"",
            "custom_data": {},
            "created_at": NOW,
        }
        assert await webhooks.add(connection, instance, values, most=9)
        return (await webhooks.of_instance(connection, instance))[-1].number


async def add_calls(
    database: Database,
    publish: tuple[InstanceNumber, PublishNumber],
    count: int,
    *,
    webhook: WebhookNumber | None = None,
    prefix: str = "event",
) -> list[Call]:
    new = [
        New(*publish, webhook, Opened(UserId("u")), f"{prefix}-{number}") for number in range(count)
    ]
    async with database.write() as connection:
        return sorted(await calls.add_all(connection, new, now=NOW), key=lambda each: each.call)


async def end(database: Database, call: Call, state: State, *, after: timedelta = SECOND) -> None:
    async with database.write() as connection:
        await calls.settle(
            connection,
            call,
            Attempt(NOW, 5, 500, None),
            state=state,
            again_at=None,
            now=NOW + after,
        )


Publish = tuple[InstanceNumber, PublishNumber]


async def test_a_call_is_work_of_its_own_sort(database: Database, publish: Publish) -> None:
    """It is leased as what it is, with the lane of its webhook."""
    webhook = await add_webhook(database, publish[0], "one")
    (made,) = await add_calls(database, publish, 1, webhook=webhook)

    async with database.write() as connection:
        (taken,) = await leased(connection, 5)

    assert isinstance(taken, Call)
    assert (made, Sort.CALL) == (taken, taken.sort)
    assert lanes.key(taken.lane) == lanes.key(lanes.call_lane(lanes.key(taken.lane)))
    assert lanes.key(taken.lane) // lanes.LANES == publish[0]


async def test_calls_are_paged_from_the_latest(database: Database, publish: Publish) -> None:
    """Each page goes on where the one before has ended."""
    made = await add_calls(database, publish, 5)

    async with database.read() as connection:
        first = await calls.page(connection, publish[0], limit=2)
        rest = await calls.page(connection, publish[0], before=first[-1].number, limit=9)

    latest = [each.call for each in reversed(made)]
    assert (latest[:2], latest[2:]) == (
        [each.number for each in first],
        [each.number for each in rest],
    )


async def test_calls_are_chosen(database: Database, publish: Publish) -> None:
    """By webhook, by publish and by state; all must hold."""
    one, two = [await add_webhook(database, publish[0], name) for name in ("one", "two")]
    (first,) = await add_calls(database, publish, 1, webhook=one)
    await add_calls(database, publish, 2, webhook=two)
    await end(database, first, State.DEAD)
    async with database.read() as connection:

        async def count(**chosen: object) -> int:
            return len(await calls.page(connection, publish[0], limit=9, **chosen))  # type: ignore[arg-type]  # a table's

        counts = [
            await count(webhook=one),
            await count(webhook=two),
            await count(state=State.DEAD),
            await count(webhook=two, state=State.DEAD),
            await count(publish=publish[1]),
            await count(publish=PublishNumber(999)),
        ]

    assert [1, 2, 1, 0, 3, 0] == counts


async def test_only_what_is_over_is_sent_again(database: Database, publish: Publish) -> None:
    """Of a webhook the dead ones, as many as are asked for; a call under way stays as it is."""
    one = await add_webhook(database, publish[0], "one")
    made = await add_calls(database, publish, 4, webhook=one)
    for call, state in zip(made, (State.DEAD, State.DELIVERED, State.DEAD), strict=False):
        await end(database, call, state)

    async with database.write() as connection:
        first = await calls.resend_dead(connection, one, limit=1, now=NOW)
        rest = await calls.resend_dead(connection, one, limit=9, now=NOW)
        pending = await calls.find(connection, made[3].call)
        assert pending is not None
        nothing = await calls.resend(connection, publish[0], pending.id, now=NOW)

    assert ([made[0].call], [made[2].call], []) == (
        [each.call for each in first],
        [each.call for each in rest],
        list(nothing),
    )


async def test_another_instances_calls_are_not_its_own(
    database: Database, publish: Publish
) -> None:
    """Neither found nor sent again."""
    (made,) = await add_calls(database, publish, 1)
    await end(database, made, State.DEAD)
    async with database.write() as connection:
        other = await add_instance(connection, 2)
        known = await calls.find(connection, made.call)
        assert known is not None

        assert await calls.find_id(connection, other, known.id) is None
        assert [] == await calls.resend(connection, other, known.id, now=NOW)
        assert [] == await calls.page(connection, other, limit=9)


@pytest.mark.parametrize("state", [State.DELIVERED, State.DEAD])
async def test_what_is_long_over_is_forgotten_in_passing(
    database: Database, publish: Publish, state: State
) -> None:
    """With its attempts, when other calls are made; what is a moment younger stays."""
    old, young = await add_calls(database, publish, 2)
    await end(database, old, state, after=-KEPT[state])
    await end(database, young, state, after=-KEPT[state] + SECOND)

    await add_calls(database, publish, 1, prefix="new")

    async with database.read() as connection:
        assert await calls.find(connection, old.call) is None
        assert await calls.find(connection, young.call) is not None
    assert 1 == await rows_of(database, "call_attempts")


async def test_a_webhook_takes_its_calls_along(database: Database, publish: Publish) -> None:
    """And what was still to be done of them; those of others stay."""
    one, two = [await add_webhook(database, publish[0], name) for name in ("one", "two")]
    await add_calls(database, publish, 2, webhook=one)
    await add_calls(database, publish, 1, webhook=two)

    async with database.write() as connection:
        await webhooks.remove(connection, one)

    assert (1, 1, 1) == (
        await rows_of(database, "webhooks"),
        await rows_of(database, "calls"),
        await rows_of(database, "work"),
    )


async def test_an_instance_has_so_many_webhooks_and_no_more(
    database: Database, publish: Publish
) -> None:
    """The one too many is not kept."""
    await add_webhook(database, publish[0], "one")
    async with database.write() as connection:
        assert not await webhooks.add(connection, publish[0], {}, most=1)

    assert 1 == await rows_of(database, "webhooks")


# --- about devices -------------------------------------------------------------------


async def add_call_about_a_device(
    database: Database, instance: InstanceNumber, webhook: WebhookNumber, event: str = "event"
) -> Call:
    party = Party(DeviceId("apns-1"), "D", Platform.IOS, None, "token")
    new = New(instance, None, webhook, Registered(party), event)
    async with database.write() as connection:
        (call,) = await calls.add_all(connection, [new], now=NOW)
    return call


async def test_a_call_about_a_device_is_of_no_publish(database: Database, publish: Publish) -> None:
    """It is read, listed and leased like others, and asked for again."""
    webhook = await add_webhook(database, publish[0], "hook")
    made = await add_call_about_a_device(database, publish[0], webhook)
    async with database.write() as connection:
        (held,) = await leased(connection, 9)
    assert isinstance(held, Call)
    await end(database, held, State.DEAD)
    async with database.write() as connection:
        row = await calls.find(connection, held.call)
        listed = await calls.page(connection, publish[0], limit=9)
        (again,) = await calls.resend_dead(connection, webhook, limit=9, now=NOW)

    assert row is not None
    assert (None, None, None) == (row.publish, row.publish_id, row.publish_name)
    assert isinstance(row.notice, Registered)
    assert ([row], made.lane, None) == (list(listed), again.lane, again.publish)
    assert (made.call, made.lane) == (held.call, held.lane)


async def test_a_call_about_a_device_is_forgotten_in_time(
    database: Database, publish: Publish
) -> None:
    """It hangs on no publish that could take it along; but its webhook and its instance do."""
    webhook = await add_webhook(database, publish[0], "hook")
    old = await add_call_about_a_device(database, publish[0], webhook)
    await end(database, old, State.DELIVERED)
    async with database.write() as connection:
        party = Party(DeviceId("apns-2"), "E", Platform.IOS, None, "token")
        new = New(publish[0], None, webhook, Registered(party), "later")
        later = NOW + max(KEPT.values()) + SECOND * 2
        (fresh,) = await calls.add_all(connection, [new], now=later)
        kept = [each.number for each in await calls.page(connection, publish[0], limit=9)]
        row = await instances.find_numbered(connection, publish[0])
        assert row is not None
        await instances.remove(connection, row.id)

    assert [fresh.call] == kept
    assert 0 == await rows_of(database, "calls")
