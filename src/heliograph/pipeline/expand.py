"""
Expand: a target becomes batches of deliveries, one page of devices at a time.

A step walks one page of the target's devices in the order of their numbers and
commits the batches it makes together with how far it has come. Wherever it is
interrupted, the next step goes on from there: each device is taken once, however
rows move meanwhile.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import DeviceNumber, Environment, Gateway
from heliograph.storage import devices, publishes, work
from heliograph.storage.database import Database
from heliograph.storage.devices import Addressed
from heliograph.storage.work import Expansion

Lane = tuple[Gateway, Environment | None]
"""What is sent together, within one instance."""


async def expand(
    database: Database, expansion: Expansion, *, page_size: int, now: datetime
) -> None:
    """
    Take one step.

    Args:
        database: Where the target, and the work, are kept.
        expansion: The work, on which we hold a lease.
        page_size: How many devices one step walks; a batch has no more.
        now: When its batches are due.
    """
    async with database.write() as connection:
        publish = await publishes.find(connection, expansion.publish, lock=True)
        if publish is None:
            await work.remove(connection, expansion.number)
            return
        if not await work.hold(connection, expansion):
            return
        if publish.cancelled_at is not None:
            await _finish(connection, expansion, now)
            return
        page = await devices.addressed(
            connection,
            publish.instance,
            publish.target,
            publish.messages.gateways(),
            after=expansion.expanded_to,
            limit=page_size,
        )
        for (gateway, environment), numbers in lanes(page).items():
            await work.add_batch(
                connection,
                publish.number,
                publish.instance,
                gateway,
                environment,
                numbers,
                attempt=1,
                due_at=now,
            )
        await publishes.add_targeted(connection, publish.number, len(page))
        if len(page) == page_size:
            await work.move_on(connection, expansion.number, expanded_to=page[-1].number)
            return
        await _finish(connection, expansion, now)
    log().debug(Event.PUBLISH_EXPANDED, publish=publish.id)


async def _finish(connection: AsyncConnection, expansion: Expansion, now: datetime) -> None:
    await work.remove(connection, expansion.number)
    await publishes.mark_expanded(connection, expansion.publish, now=now)


def lanes(page: Sequence[Addressed]) -> dict[Lane, list[DeviceNumber]]:
    """Sort devices into lanes; each keeps their order."""
    sorted_out: dict[tuple[str, str | None], list[DeviceNumber]] = defaultdict(list)
    for number, gateway, environment in page:
        sorted_out[gateway, environment].append(number)
    return {
        (Gateway(gateway), None if environment is None else Environment(environment)): numbers
        for (gateway, environment), numbers in sorted_out.items()
    }
