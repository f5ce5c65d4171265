"""
Notify: whoever wants to know is told, by calls that are committed with what they tell of.

What is told is a notice, to webhooks of the instance and to the publish's own hook; each
call is a piece of work like any other (``call.py`` makes it). A publish that nobody
watches costs nothing here.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, PublishNumber, ToUsers, UserId, derived_uuid
from heliograph.notices import Count, Ended, Started, Subject, WebhookNumber
from heliograph.storage import calls, outcomes, publishes, reached, webhooks, work
from heliograph.storage.calls import New
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.publishes import Publish
from heliograph.storage.work import Call


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


async def told_of(
    connection: AsyncConnection, instance: InstanceNumber, subject: Subject
) -> list[WebhookNumber]:
    """The webhooks of an instance that are told of a subject; none goes before they are."""
    await webhooks.keep(connection, instance)
    every = await webhooks.of_instance(connection, instance)
    return [each.number for each in every if subject in each.subjects]


async def tell(connection: AsyncConnection, new: Sequence[New], *, now: datetime) -> Sequence[Call]:
    """Have calls made, any number of them; the work that they are."""
    made: list[Call] = []
    for start in range(0, len(new), MOST_ROWS):
        made += await calls.add_all(connection, new[start : start + MOST_ROWS], now=now)
    return made


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
