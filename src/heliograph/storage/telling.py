"""How others are told: calls are committed together with what they tell of."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, PublishNumber
from heliograph.notices import Notice, Subject, WebhookNumber, subject_of
from heliograph.storage import calls, webhooks
from heliograph.storage.calls import New
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.work import Call


class News(NamedTuple):
    """A notice, for every webhook of its instance that wants to know."""

    instance: InstanceNumber
    publish: PublishNumber | None
    """None: it is about a device."""
    notice: Notice
    event: str
    """A UUID that all calls about it share."""


async def told_of(
    connection: AsyncConnection, instance: InstanceNumber, subject: Subject
) -> list[WebhookNumber]:
    """The webhooks of an instance that are told of a subject; none goes before they are."""
    await webhooks.keep(connection, instance)
    every = await webhooks.of_instance(connection, instance)
    return [each.number for each in every if subject in each.subjects]


async def tell_news(
    connection: AsyncConnection, news: Sequence[News], *, now: datetime
) -> Sequence[Call]:
    """Have webhooks told of any number of things, which are asked for once; the work that it is."""
    wanted = await _wanted(connection, {(each.instance, subject_of(each.notice)) for each in news})
    new = [
        New(each.instance, each.publish, webhook, each.notice, each.event)
        for each in news
        for webhook in wanted[each.instance, subject_of(each.notice)]
    ]
    return await tell(connection, new, now=now)


async def _wanted(
    connection: AsyncConnection, subjects: Iterable[tuple[InstanceNumber, Subject]]
) -> dict[tuple[InstanceNumber, Subject], list[WebhookNumber]]:
    return {key: await told_of(connection, *key) for key in sorted(subjects)}


async def tell(connection: AsyncConnection, new: Sequence[New], *, now: datetime) -> Sequence[Call]:
    """Have calls made, any number of them; the work that they are."""
    made: list[Call] = []
    for start in range(0, len(new), MOST_ROWS):
        made += await calls.add_all(connection, new[start : start + MOST_ROWS], now=now)
    return made
