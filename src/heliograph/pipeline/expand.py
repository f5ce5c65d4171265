"""
Expand: a target becomes batches of deliveries, one page of devices at a time.

A step walks one page of the target's devices in the order of their numbers and
commits the batches it makes together with how far it has come. Wherever it is
interrupted, the next step goes on from there: each device is taken once, however
rows move meanwhile. After a power cut, which may undo what no settlement has followed,
so may a delivery that was on its way: it is a repeat like any other.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import DeviceNumber, Environment, Gateway, Sort
from heliograph.pipeline import notify
from heliograph.pipeline.verdict import expires_at
from heliograph.storage import devices, publishes, work
from heliograph.storage.database import Database
from heliograph.storage.devices import Addressed
from heliograph.storage.work import LARGE_PUBLISH, Expansion, Work

Lane = tuple[Gateway, Environment | None]
"""What is sent together, within one instance."""


async def expand(
    database: Database, expansion: Expansion, *, page_size: int, now: datetime, keep: bool = False
) -> Sequence[Work]:
    """
    Take one step; the work that it makes, and what is left of the expansion itself.

    Args:
        database: Where the target, and the work, are kept.
        expansion: The work, on which we hold a lease.
        page_size: How many devices one step walks; a batch has no more.
        now: When its batches are due.
        keep: Whether we go on to hold the lease on what is left, to take the next step.
    """
    async with database.write(durable=False) as connection:
        publish = await publishes.find(connection, expansion.publish, lock=True)
        if publish is None:
            await work.remove(connection, expansion.number)
            return []
        if not await work.hold(connection, expansion):
            return []
        if publish.cancelled_at is not None:
            return await finish(connection, expansion, now=now)
        page = await devices.addressed(
            connection,
            publish.instance,
            publish.target,
            publish.messages.gateways(),
            after=expansion.expanded_to,
            limit=page_size,
        )
        targeted = await publishes.add_targeted(connection, publish.number, len(page))
        sort = Sort.LARGE if targeted >= LARGE_PUBLISH else Sort.SMALL
        made: list[Work] = [
            await work.add_batch(
                connection,
                publish.number,
                publish.instance,
                gateway,
                environment,
                numbers,
                attempt=1,
                due_at=now,
                sort=sort,
                expires_at=max(
                    expires_at(each, accepted_at=publish.accepted_at)
                    for each in publish.messages.all_of(gateway)
                ),
            )
            for (gateway, environment), numbers in lanes(page).items()
        ]
        if len(page) == page_size:
            last = page[-1].number
            left = await work.move_on(connection, expansion, expanded_to=last, sort=sort, keep=keep)
            return [*made, left]
        made += await finish(connection, expansion, now=now)
    log().debug(Event.PUBLISH_EXPANDED, publish=publish.id)
    return made


async def finish(
    connection: AsyncConnection, expansion: Expansion, *, now: datetime
) -> Sequence[Work]:
    """
    Let an expansion end as it stands: no further device is targeted.

    Returns:
        The work that follows if nothing is left of the publish: whoever watches is told.
    """
    await work.remove(connection, expansion.number)
    if await publishes.mark_expanded(connection, expansion.publish, now=now):
        return await notify.if_over(connection, expansion.publish, now=now)
    return []


def lanes(page: Sequence[Addressed]) -> dict[Lane, list[DeviceNumber]]:
    """Sort devices into lanes; each keeps their order."""
    sorted_out: dict[tuple[str, str | None], list[DeviceNumber]] = defaultdict(list)
    if len(kinds := set(map(itemgetter(1, 2), page))) == 1:  # as most pages are
        sorted_out[kinds.pop()] = list(map(itemgetter(0), page))
    else:
        for number, gateway, environment in page:
            sorted_out[gateway, environment].append(number)
    return {
        (Gateway(gateway), None if environment is None else Environment(environment)): numbers
        for (gateway, environment), numbers in sorted_out.items()
    }
