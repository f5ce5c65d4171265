"""
Accept: the publish is committed, and only then answered.

From the commit on it survives whatever happens to this process.
"""

from collections.abc import Callable
from datetime import datetime

from heliograph.instances import Instance, Randomness
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import Messages, PublishId, Target, ToUsers, time_ordered_uuid
from heliograph.queue.contract import Queue
from heliograph.storage import idempotency, publishes, work
from heliograph.storage.database import Database
from heliograph.storage.idempotency import Once


class Accept:
    """The beginning of every publish, whatever dialect it was asked for in."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """Put publishes into a database and tell its queue."""
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._randomness = randomness

    def new_id(self) -> PublishId:
        """An id for a publish; its messages carry it, so it comes before them."""
        return PublishId(f"pubid-{time_ordered_uuid(self._clock(), self._randomness(10))}")

    async def accept(
        self,
        instance: Instance,
        publish: PublishId,
        target: Target,
        messages: Messages,
        *,
        once: Once | None = None,
    ) -> PublishId:
        """
        Commit a publish and the work of expanding it, in one transaction.

        Args:
            instance: Whose publish.
            publish: Its id.
            target: Whom it addresses.
            messages: What they are shown.
            once: The caller's key for it, if it may be asked for more than once.

        Returns:
            Its id; or, with nothing done, that of the publish which its key has made before.

        Raises:
            KeyReused: Its key belongs to another request.
        """
        now = self._clock()
        async with self._database.write() as connection:
            if once is not None:
                holder = await idempotency.claim(
                    connection, instance.number, once, publish, now=now
                )
                if holder != publish:
                    return holder
            number = await publishes.add(
                connection, instance.number, publish, target, messages, now=now
            )
            expansion = await work.add_expansion(connection, number, instance.number, now=now)
        await self._queue.announce([expansion])
        kind = "users" if isinstance(target, ToUsers) else "interests"
        self._metrics.publishes.labels(kind).inc()
        log().debug(Event.PUBLISH_ACCEPTED, instance=instance.id, publish=publish, target=kind)
        return publish
