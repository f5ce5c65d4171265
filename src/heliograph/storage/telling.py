"""How others are told: calls are committed together with what they tell of."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber
from heliograph.notices import Subject, WebhookNumber
from heliograph.storage import calls, webhooks
from heliograph.storage.calls import New
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.work import Call


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
