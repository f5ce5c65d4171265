"""Queries on publishes: what was asked for comes back, and its counts add up."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    EVERYTHING,
    NOW,
    SECOND,
    add_instance,
    add_publish,
    in_one_database,
    to_users,
)
from heliograph.model import (
    ApnsMessage,
    DeviceNumber,
    End,
    FcmMessage,
    Gateway,
    Interest,
    Messages,
    PublishId,
    PublishNumber,
    Target,
    ToInterests,
    WebMessage,
    WorkNumber,
)
from heliograph.storage import publishes, work
from heliograph.storage.database import Database

_instances = count(1)

texts = st.text(st.characters(codec="utf-8"), max_size=10)
apns_messages = st.builds(
    ApnsMessage,
    payload=st.binary(max_size=50),
    push_type=texts,
    priority=st.sampled_from([1, 5, 10]),
    collapse_id=st.none() | texts,
    expiration=st.none() | st.integers(0, 2**31 - 1),
)
fcm_messages = st.builds(
    FcmMessage, message=st.binary(max_size=50), ttl_seconds=st.none() | st.integers(0, 2_419_200)
)
web_messages = st.builds(
    WebMessage,
    payload=st.binary(max_size=50),
    ttl_seconds=st.integers(0, 2_419_200),
    urgency=st.none() | texts,
    topic=st.none() | texts,
)


@in_one_database
@given(
    st.builds(
        Messages,
        apns=st.none() | apns_messages,
        fcm=st.none() | fcm_messages,
        web=st.none() | web_messages,
    )
)
async def test_messages_come_back_as_they_were(database: Database, messages: Messages) -> None:
    """What each gateway is to be sent is read as it was written."""
    async with database.write() as connection:
        instance = await add_instance(connection, next(_instances))
        number = await add_publish(connection, instance, messages=messages)
        found = await publishes.find(connection, number)

    assert messages == (found and found.messages)


@pytest.mark.parametrize(
    "target",
    [to_users("alice", "用户", "users"), ToInterests((Interest("a"), Interest("interests")))],
    ids=ascii,
)
async def test_a_publish_comes_back_as_it_was(database: Database, target: Target) -> None:
    """A publish is read by its number with its target, and its number by its id."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_publish(connection, instance, target, identity="pubid-1")
        found = await publishes.find(connection, number)
        by_id = await publishes.find_id(connection, instance, PublishId("pubid-1"))

    assert found is not None
    assert (number, "pubid-1", instance, target, EVERYTHING, NOW, number) == (
        found.number,
        found.id,
        found.instance,
        found.target,
        found.messages,
        found.accepted_at,
        by_id,
    )


async def test_another_instances_publish_is_not_found(database: Database) -> None:
    """A publish is found by its own instance only; what is not there is None."""
    async with database.write() as connection:
        ours, theirs = await add_instance(connection, 1), await add_instance(connection, 2)
        await add_publish(connection, ours, identity="pubid-1")
        found = (
            await publishes.find_id(connection, theirs, PublishId("pubid-1")),
            await publishes.progress(connection, theirs, PublishId("pubid-1")),
            await publishes.progress(connection, ours, PublishId("pubid-2")),
            await publishes.find(connection, PublishNumber(99)),
        )

    assert (None, None, None, None) == found


async def test_a_new_publish_has_come_nowhere(database: Database) -> None:
    """Before its target has been walked nothing is counted, and it is not expanded."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_publish(connection, instance, identity="pubid-1")
        await work.add_expansion(connection, number, instance, now=NOW)
        found = await publishes.progress(connection, instance, PublishId("pubid-1"))

    assert found is not None
    assert (None, 0, 0, 0, 0, 0, 0) == (
        found.expanded_at,
        found.targeted,
        found.sent,
        found.failed,
        found.expired,
        found.cancelled,
        found.pending,
    )


batches = st.lists(
    st.tuples(
        st.integers(1, 5),  # devices
        st.none() | st.sampled_from(["sent", "failed", "expired", "cancelled"]),
    ),
    max_size=8,
)


@in_one_database
@given(batches)
async def test_the_counts_of_a_publish_add_up(
    database: Database, made: list[tuple[int, End | None]]
) -> None:
    """Whatever ends its batches come to, targeted is the sum of the ends and what is pending."""
    expected: Counter[str] = Counter()
    name = PublishId(f"pubid-conserved-{next(_instances)}")
    async with database.write() as connection:
        instance = await add_instance(connection, next(_instances))
        number = await add_publish(connection, instance, identity=name)
        await add_publish(connection, instance)  # somebody else's, which is not counted
        for size, end in made:
            await publishes.add_targeted(connection, number, size)
            if end is None:
                numbers = [DeviceNumber(each) for each in range(1, size + 1)]
                await work.add_batch(
                    connection,
                    number,
                    instance,
                    Gateway.APNS,
                    None,
                    numbers,
                    attempt=1,
                    due_at=NOW,
                )
            else:
                await publishes.add_ends(connection, number, {end: size}, Gateway.APNS)
            expected.update({"targeted": size, end or "pending": size})
        await publishes.mark_expanded(connection, number, now=NOW + SECOND)
        found = await publishes.progress(connection, instance, name)

    assert found is not None
    assert (expected, NOW + SECOND) == (
        Counter(
            targeted=found.targeted,
            sent=found.sent,
            failed=found.failed,
            expired=found.expired,
            cancelled=found.cancelled,
            pending=found.pending,
        ),
        found.expanded_at,
    )


async def test_several_ends_are_counted_at_once(database: Database) -> None:
    """One settlement may bring some of each end; none at all changes nothing."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_publish(connection, instance, identity="pubid-1")
        await publishes.add_ends(connection, number, {"sent": 2, "failed": 1}, Gateway.APNS)
        await publishes.add_ends(connection, number, {"sent": 3}, Gateway.WEB)
        await publishes.add_ends(connection, number, {}, Gateway.WEB)
        found = await publishes.progress(connection, instance, PublishId("pubid-1"))

    assert found is not None
    assert (5, 1, 0) == (found.sent, found.failed, found.cancelled)


async def test_a_publishs_number_leads_to_its_work(database: Database) -> None:
    """Work that is finished no longer counts as pending."""
    async with database.write() as connection:
        instance = await add_instance(connection)
        number = await add_publish(connection, instance, identity="pubid-1")
        await work.add_batch(
            connection,
            number,
            instance,
            Gateway.WEB,
            None,
            [DeviceNumber(1), DeviceNumber(2)],
            attempt=1,
            due_at=NOW,
        )
        before = await publishes.progress(connection, instance, PublishId("pubid-1"))
        await work.remove(connection, WorkNumber(1))
        after = await publishes.progress(connection, instance, PublishId("pubid-1"))

    assert (2, 0) == (before and before.pending, after and after.pending)
