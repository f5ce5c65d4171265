"""
How what devices ask for is written.

Several wishes share a transaction where only one can be at a time, and whoever wants to be
told of them is, by calls that are committed with them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.errors import InvalidInput, TooManyDevices, UserTaken
from heliograph.instances import Instances, Randomness
from heliograph.model import Address, InstanceNumber, WebAddress, time_ordered_uuid
from heliograph.notices import ABOUT_DEVICES, AboutDevice, Party, Subject, subject_of
from heliograph.queue.contract import Queue
from heliograph.storage import instances, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.devices import Device
from heliograph.storage.grouped import Grouped
from heliograph.storage.telling import News, tell_news
from heliograph.storage.work import Call

_MOST_TOGETHER: Final = 32
"""Writes in one transaction: some 20 ms, for which a publish may have to wait."""

_MOST_WAITING: Final = 1_000_000
"""More than can be connected: it is for the door to say that there are too many."""

Result = TypeVar("Result")
Write = Callable[[AsyncConnection], Awaitable[Any]]


class Writes:
    """What is written of the devices of one database."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
        instances: Instances | None = None,
        queue: Queue | None = None,
    ) -> None:
        """
        Look at a database; nothing is written yet.

        Args:
            database: Where.
            clock: The time.
            randomness: For ids.
            instances: Who knows whether anybody is told; None: nobody is.
            queue: Who hears of calls that are to be made.
        """
        self.database = database
        self.clock = clock
        self._randomness = randomness
        self._instances = instances
        self._queue = queue
        self._together: Grouped[Write, Any] = Grouped(
            self._do_all, most_together=_MOST_TOGETHER, most_waiting=_MOST_WAITING
        )

    async def do(self, write: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """
        One transaction; where only one can be at a time, with others that wait for it.

        A write has changed nothing when it raises an error of ours.
        """
        if self.database.is_shared:
            async with self.database.write() as connection:
                return await write(connection)
        result: Result = await self._together.add(write)
        return result

    async def tell_of(
        self,
        instance: InstanceNumber,
        write: Callable[[AsyncConnection, "Tidings"], Awaitable[Result]],
    ) -> Result:
        """The same, and tell webhooks of what the write has noted meanwhile."""
        subjects = await self._subjects(instance)
        made: list[Call] = []

        async def whole(connection: AsyncConnection) -> Result:
            tidings = Tidings(subjects)
            result = await write(connection, tidings)
            made[:] = await self._tell(connection, instance, tidings.notices)
            return result

        result = await self.do(whole)
        if made and self._queue is not None:
            await self._queue.announce(made)
        return result

    def new_id(self) -> str:
        """A UUID that sorts after earlier ones."""
        return time_ordered_uuid(self.clock(), self._randomness(10))

    async def _subjects(self, number: InstanceNumber) -> frozenset[Subject]:
        if self._instances is None:
            return frozenset()
        instance = await self._instances.find_numbered(number)
        return frozenset() if instance is None else instance.subjects & ABOUT_DEVICES

    async def _tell(
        self, connection: AsyncConnection, instance: InstanceNumber, notices: Sequence[AboutDevice]
    ) -> Sequence[Call]:
        news = [News(instance, None, notice, self.new_id()) for notice in notices]
        return await tell_news(connection, news, now=self.clock())

    async def _do_all(self, writes: Sequence[Write]) -> Sequence[Any]:
        results: list[Any] = []
        async with self.database.write() as connection:
            for write in writes:
                try:
                    results.append(await write(connection))
                except (InvalidInput, TooManyDevices, UserTaken) as problem:
                    results.append(problem)
        return results


class Tidings:
    """What a write has to tell, of those subjects of which somebody wants to hear."""

    def __init__(self, subjects: frozenset[Subject]) -> None:
        """Begin with nothing."""
        self._subjects = subjects
        self.notices: list[AboutDevice] = []

    def are_of(self, *subjects: Subject) -> bool:
        """Whether anybody wants to hear of one of these, so that it is worth looking up."""
        return not self._subjects.isdisjoint(subjects)

    def note(self, *notices: AboutDevice) -> None:
        """Tell of something, if anybody wants to hear of it."""
        self.notices += [each for each in notices if subject_of(each) in self._subjects]


def party(device: Device) -> Party:
    """A device as others are told of it."""
    address = device.address
    them = device.id, device.own_name, device.platform, device.user
    if isinstance(address, WebAddress):
        return Party(*them, address.endpoint, address.p256dh, address.auth)
    return Party(*them, address.token)


async def bound(connection: AsyncConnection, instance: InstanceNumber, address: Address) -> Address:
    """A browser's address with the VAPID pair it was made with; any other as it is."""
    if not isinstance(address, WebAddress) or address.vapid_key is not None:
        return address
    await instances.keep(connection, instance)  # its older pairs go while its keys rotate
    return replace(address, vapid_key=await vapid_keys.current(connection, instance))
