"""
The ledger: publishes that can be found again by the short names that their callers were given.

What was asked for is kept as it was asked; how far it has come, and what became of it on a
device, is read from where it is kept for every publish.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from heliograph.metrics import Metrics
from heliograph.model import DeviceNumber, Gateway, InstanceNumber, Target
from heliograph.pipeline.cancel import cancel
from heliograph.storage import devices, outcomes, publishes, receipts, requests, work
from heliograph.storage.database import Database
from heliograph.storage.outcomes import Attempt
from heliograph.storage.publishes import Progress, Publish
from heliograph.storage.receipts import Heard
from heliograph.storage.requests import Request
from heliograph.storage.work import Waiting


@dataclass(frozen=True, slots=True)
class Line:
    """A publish that has a name, and how far it has come."""

    request: Request
    progress: Progress


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a publish on one device."""

    attempts: Sequence[Attempt]
    waiting: Waiting | None
    """What is still to be done; None: nothing."""
    heard: Heard | None
    """What the device said; None: nothing."""


class Ledger:
    """The named publishes of one database."""

    def __init__(
        self, database: Database, metrics: Metrics, *, clock: Callable[[], datetime]
    ) -> None:
        """Look at a database; nothing is read yet."""
        self._database = database
        self._metrics = metrics
        self._clock = clock

    async def find(self, instance: InstanceNumber, name: str) -> Line | None:
        """A publish by its name; None if there is none."""
        async with self._database.read() as connection:
            request = await requests.find(connection, instance, name)
            if request is None:
                return None
            progress = await publishes.progress(connection, instance, request.id)
            return None if progress is None else Line(request, progress)

    async def request(self, instance: InstanceNumber, name: str) -> Request | None:
        """The request that has a name; None if there is none."""
        async with self._database.read() as connection:
            return await requests.find(connection, instance, name)

    async def find_all(self, instance: InstanceNumber, names: Collection[str]) -> Sequence[Request]:
        """Requests by their names, up to 1,000, in the order of the names; those there are."""
        async with self._database.read() as connection:
            found = await requests.find_all(connection, instance, names)
        return [found[name] for name in names if name in found]

    async def page(
        self, instance: InstanceNumber, *, offset: int, limit: int
    ) -> tuple[Sequence[Request], int]:
        """Requests, the latest first, and how many there are."""
        async with self._database.read() as connection:
            rows = await requests.page(connection, instance, offset=offset, limit=limit)
            return rows, await requests.count(connection, instance)

    async def strike(self, instance: InstanceNumber, name: str) -> bool:
        """Forget a name, and send nothing more of its publish; False if there is none."""
        asked = await self.request(instance, name)
        if asked is None:
            return False
        identity = asked.id
        await cancel(self._database, instance, identity, metrics=self._metrics, now=self._clock())
        async with self._database.write() as connection:
            return await requests.remove(connection, instance, name)

    async def is_anybody(self, instance: InstanceNumber, target: Target) -> bool:
        """Whether there is a device that a target addresses now."""
        async with self._database.read(long=True) as connection:
            found = await devices.addressed(
                connection, instance, target, list(Gateway), after=0, limit=1
            )
        return bool(found)

    async def fates(
        self, instance: InstanceNumber, name: str, numbers: Sequence[DeviceNumber]
    ) -> tuple[Publish, dict[DeviceNumber, Fate]] | None:
        """What became of a publish on some devices, up to 1,000; None if there is none."""
        async with self._database.read(long=True) as connection:
            request = await requests.find(connection, instance, name)
            if request is None:
                return None
            publish = await publishes.find(connection, request.publish)
            if publish is None:
                return None
            waiting = await work.waiting(connection, publish.number, numbers)
            heard = await receipts.of_devices(connection, publish.number, numbers)
            return publish, {
                number: Fate(
                    await outcomes.of_device(connection, publish.number, number),
                    waiting.get(number),
                    heard.get(number),
                )
                for number in numbers
            }
