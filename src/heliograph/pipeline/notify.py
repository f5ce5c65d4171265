"""
Notify: whoever wants to know is told, by calls that are committed with what they tell of.

What is told is a notice, to webhooks of the instance and to the publish's own hook; each
call is a piece of work like any other (``call.py`` makes it). A publish that nobody
watches costs nothing here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    DeviceNumber,
    End,
    InstanceNumber,
    Platform,
    PublishNumber,
    ToUsers,
    UserId,
    derived_uuid,
)
from heliograph.notices import (
    Count,
    Ended,
    Failed,
    Progressed,
    Started,
    Subject,
    WebhookNumber,
    subject_of,
)
from heliograph.storage import calls, occupants, outcomes, publishes, reached, webhooks, work
from heliograph.storage.calls import New
from heliograph.storage.publishes import Publish
from heliograph.storage.telling import News, tell, tell_news, told_of
from heliograph.storage.work import Call

State = Literal["sent", "failed", "delivered", "opened"]


async def started(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    *,
    now: datetime,
) -> Sequence[Call]:
    """Tell a publish's own hook that it was accepted; the work that this is."""
    event = derived_uuid(Subject.STARTED, int(publish))
    new = New(instance, publish, None, Started(), event)
    return await calls.add_all(connection, [new], now=now)


async def if_over(
    connection: AsyncConnection, number: PublishNumber, *, now: datetime
) -> Sequence[Call]:
    """
    Tell whoever watches a publish that it is over, if it is, and has not been told of.

    The publish must be locked by this transaction: of two that finish its last work at the
    same time, the second sees what the first has done.

    Returns:
        The work that this is.
    """
    publish = await publishes.find(connection, number)
    if publish is None or not publish.is_watched or publish.expanded_at is None:
        return []
    if await work.is_any_left(connection, number):
        return []
    notice = await _ended(connection, publish)
    told: list[WebhookNumber | None] = []
    if isinstance(publish.target, ToUsers):
        told += await told_of(connection, publish.instance, Subject.ENDED)
    if await webhooks.own_of(connection, number) is not None:
        told.append(None)
    await publishes.unwatch(connection, number)
    await reached.forget(connection, number)
    event = derived_uuid(Subject.ENDED, int(number))
    return await tell(
        connection,
        [New(publish.instance, number, webhook, notice, event) for webhook in told],
        now=now,
    )


async def progressed(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    subjects: frozenset[Subject],
    ends: Mapping[DeviceNumber, End],
    reasons: Mapping[DeviceNumber, str],
    *,
    now: datetime,
) -> Sequence[Call]:
    """
    Tell webhooks how deliveries have ended, device by device; the work that this is.

    Args:
        connection: The transaction.
        publish: What was delivered.
        instance: Whose.
        subjects: What its webhooks are told of, all of them together.
        ends: How it ended for some devices, none of them twice.
        reasons: Why, for those who were not sent it.
        now: When.
    """
    known = await occupants.named(connection, list(ends))
    of_states: dict[tuple[State, Platform], list[str]] = defaultdict(list)
    of_reasons: dict[tuple[str, Platform], list[str]] = defaultdict(list)
    for number, end in ends.items():
        if number not in known or end == "cancelled":
            continue
        name, platform = known[number]
        of_states["sent" if end == "sent" else "failed", platform].append(name)
        if end != "sent":
            of_reasons[reasons.get(number, end), platform].append(name)
    notices: list[Progressed | Failed] = []
    if Subject.PROGRESSED in subjects:
        notices += [Progressed(*key, tuple(names)) for key, names in of_states.items()]
    if Subject.FAILED in subjects:
        notices += [Failed(*key, tuple(names)) for key, names in of_reasons.items()]
    news = [news_of(instance, publish, each) for each in notices]
    return await tell_news(connection, news, now=now)


def news_of(instance: InstanceNumber, publish: PublishNumber, notice: Progressed | Failed) -> News:
    """What there is to tell; the same for the same devices: none is made twice of one batch."""
    what = notice.state if isinstance(notice, Progressed) else notice.reason
    event = derived_uuid(subject_of(notice), int(publish), what, notice.platform, notice.devices)
    return News(instance, publish, notice, event)


async def _ended(connection: AsyncConnection, publish: Publish) -> Ended:
    is_sent = await reached.of_publish(connection, publish.number)
    users: Sequence[UserId] = ()
    if isinstance(publish.target, ToUsers):
        users = publish.target.users
    counts = await outcomes.counts(connection, publish.number)
    return Ended(
        reached=tuple(user for user in users if is_sent.get(user) is True),
        without_devices=tuple(user for user in users if user not in is_sent),
        failed=tuple(user for user in users if is_sent.get(user) is False),
        gateways={
            gateway: Count(
                counts[gateway, "sent"], counts[gateway, "failed"] + counts[gateway, "expired"]
            )
            for gateway in publish.messages.gateways()
        },
    )
