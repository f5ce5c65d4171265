"""
Moving in what devices subscribe to, and what is declared, a page of it in one commit.

Both can be moved in twice: what is there already is known, and changes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS
from heliograph.instances import Instance
from heliograph.model import DeviceId, DeviceNumber, Interest
from heliograph.storage import movers
from heliograph.storage.database import Database
from heliograph.storage.declared import Declared
from heliograph.transfer.commits import Commits, Outcome
from heliograph.transfer.declared import Declaration
from heliograph.transfer.ibm import Subscription
from heliograph.transfer.records import Reject


class Subscribing:
    """One import of subscriptions into one instance."""

    def __init__(
        self,
        database: Database,
        instance: Instance,
        *,
        clock: Callable[[], datetime],
        is_rehearsal: bool = False,
    ) -> None:
        """Import nothing yet; a rehearsal does everything but keep it."""
        self._commits = Commits(database, is_rehearsal=is_rehearsal)
        self._instance = instance
        self._clock = clock

    async def take(self, lines: Sequence[tuple[int, Subscription | Reject]]) -> Outcome:
        """
        Subscribe a page of devices; what became of it.

        A device is known by its name, or by its id if it has none. The interests are declared,
        whether their devices are there or not.
        """

        async def commit(connection: AsyncConnection) -> Outcome:
            page = _Page(connection, self._instance, self._clock())
            return await page.take(lines)

        return await self._commits.of(commit)


class Declaring:
    """One import of declared interests into one instance."""

    def __init__(
        self,
        database: Database,
        instance: Instance,
        *,
        clock: Callable[[], datetime],
        is_rehearsal: bool = False,
    ) -> None:
        """Import nothing yet; a rehearsal does everything but keep it."""
        self._commits = Commits(database, is_rehearsal=is_rehearsal)
        self._instance = instance
        self._clock = clock

    async def take(self, lines: Sequence[tuple[int, Declaration | Reject]]) -> Outcome:
        """Declare a page of interests; what became of it. The first of two of a name stays."""
        rejects = [each for _, each in lines if isinstance(each, Reject)]
        given: dict[Interest, Declared] = {}
        for _, each in lines:
            if isinstance(each, Declaration):
                given.setdefault(each.name, _declared(each, self._clock()))

        async def commit(connection: AsyncConnection) -> Outcome:
            number = self._instance.number
            added = await movers.declare(connection, number, list(given.values()))
            return Outcome(added, len(lines) - len(rejects) - added, rejects)

        return await self._commits.of(commit)


class _Page:
    """One transaction's worth of subscriptions."""

    def __init__(self, connection: AsyncConnection, instance: Instance, now: datetime) -> None:
        self._connection = connection
        self._instance = instance
        self._now = now
        self._devices: dict[str, DeviceNumber] = {}
        self._present: dict[DeviceNumber, set[Interest]] = {}
        self._missing: dict[DeviceNumber, set[Interest]] = defaultdict(set)

    async def take(self, lines: Sequence[tuple[int, Subscription | Reject]]) -> Outcome:
        given = [(line, each) for line, each in lines if isinstance(each, Subscription)]
        rejects = [each for _, each in lines if isinstance(each, Reject)]
        await self._look({each.device for _, each in given})
        for line, each in given:
            if problem := self._note(each):
                rejects.append(Reject(line, each.device, problem))
        await self._keep({each.interest for _, each in given})
        added = sum(map(len, self._missing.values()))
        rejects.sort(key=lambda each: each.line)
        return Outcome(added, len(lines) - len(rejects) - added, rejects)

    async def _look(self, devices: set[str]) -> None:
        """Find the devices, and what they subscribe to already."""
        ids = [DeviceId(each) for each in devices]
        found = await movers.residents(
            self._connection, self._instance.number, ids=ids, names=devices
        )
        self._devices = {each.id: each.number for each in found if each.name is None}
        self._devices |= {each.name: each.number for each in found if each.name is not None}
        present = await movers.interests_of(self._connection, [each.number for each in found])
        self._present = {number: set(names) for number, names in present.items()}

    def _note(self, subscription: Subscription) -> str | None:
        """Note a subscription that is new; why it cannot be kept, or None."""
        number = self._devices.get(subscription.device)
        if number is None:
            return "there is no such device"
        present, missing = self._present[number], self._missing[number]
        if subscription.interest not in present | missing:
            if len(present) + len(missing) >= MOST_INTERESTS:
                return f"a device has at most {MOST_INTERESTS} interests"
            missing.add(subscription.interest)
        return None

    async def _keep(self, interests: set[Interest]) -> None:
        now = self._now
        await movers.declare(
            self._connection,
            self._instance.number,
            [Declared(name, "", now, now) for name in interests],
        )
        await movers.subscribe(
            self._connection,
            self._instance.number,
            [(number, name) for number, names in self._missing.items() for name in names],
        )


def _declared(each: Declaration, now: datetime) -> Declared:
    """What is kept of it; an instant that is to come is taken for now."""
    created_at = min(each.created_at or now, now)
    return Declared(
        each.name, each.description, created_at, min(each.changed_at or created_at, now)
    )
