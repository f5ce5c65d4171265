"""
Cancel: what a publish has not begun is over; what is in hand comes to its own end.

The commit that notes the cancelling counts everything that waits as cancelled. A batch
that a worker holds may be on its way, so its outcomes are waited for: whoever settles
it repeats nothing, and whoever takes it up anew sends nothing.
"""

from datetime import datetime
from typing import Final

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import InstanceNumber, PublishId
from heliograph.pipeline import notify
from heliograph.storage import outcomes, publishes, work
from heliograph.storage.database import Database
from heliograph.storage.publishes import Progress
from heliograph.storage.work import Batch

PUBLISH_CANCELLED: Final = "PublishCancelled"
"""Why a delivery was cancelled: an operator said so."""


async def cancel(
    database: Database,
    instance: InstanceNumber,
    publish: PublishId,
    *,
    metrics: Metrics | None = None,
    now: datetime,
) -> Progress | None:
    """
    Cancel a publish; one that is over, or cancelled already, stays as it is.

    Args:
        database: Where.
        instance: Whose.
        publish: Which.
        metrics: Where to count what is over by that; None in a process that nobody asks.
        now: When.

    Returns:
        How far it has come; None if there is no such publish.
    """
    batches: list[Batch] = []
    async with database.write(long=True) as connection:
        number = await publishes.find_id(connection, instance, publish, lock=True)
        if number is None:
            return None
        if await publishes.mark_cancelled(connection, number, now=now):
            waiting = await work.remove_waiting(connection, number)
            batches = [each for each in waiting if isinstance(each, Batch)]
            for batch in batches:
                await outcomes.add_cancelled(connection, batch, PUBLISH_CANCELLED, now=now)
            count = sum(len(batch.devices) for batch in batches)
            await publishes.add_cancelled(connection, number, count)
            if len(batches) < len(waiting):
                await publishes.mark_expanded(connection, number, now=now)
            await notify.if_over(connection, number, now=now)
            log().info(Event.PUBLISH_CANCELLED, publish=publish, cancelled=count)
        progress = await publishes.progress(connection, instance, publish)
    if metrics is not None:
        for batch in batches:
            metrics.deliveries.labels(batch.gateway, "cancelled").inc(len(batch.devices))
    return progress
