"""
The rules that every dialect shares: which device is whose, and what it subscribes to.

A device is known by its address: registering an address again finds the device that
was there, with its interests and its user. A person keeps at most so many devices,
and a device belongs to at most one person, until it is cleared.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS
from heliograph.errors import InvalidInput, TooManyDevices, UserTaken
from heliograph.instances import Randomness
from heliograph.model import (
    Address,
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    UserId,
    WebAddress,
    gateway_of,
    time_ordered_uuid,
)
from heliograph.storage import devices, instances, interests, users, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.devices import Device
from heliograph.storage.grouped import Grouped

_MOST_TOGETHER: Final = 32
"""Writes in one transaction: some 20 ms, for which a publish may have to wait."""

_MOST_WAITING: Final = 1_000_000
"""More than can be connected: it is for the door to say that there are too many."""

Result = TypeVar("Result")
Write = Callable[[AsyncConnection], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Registration:
    """What a device is told when it registers."""

    id: DeviceId
    interests: Sequence[Interest]
    """Those it had already; a device that is new has none."""


class Registry:
    """The devices, users and interests of one database. Every method is one transaction."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
        max_devices_per_user: int,
    ) -> None:
        """Look at a database; nothing is read yet."""
        self._database = database
        self._clock = clock
        self._randomness = randomness
        self._max_devices_per_user = max_devices_per_user
        self._together: Grouped[Write, Any] = Grouped(
            self._write_all, most_together=_MOST_TOGETHER, most_waiting=_MOST_WAITING
        )

    async def register(
        self, instance: InstanceNumber, address: Address, metadata: dict[str, Any]
    ) -> Registration:
        """
        Make a device reachable at an address; a known address keeps its device.

        A new subscription of a browser is bound to the VAPID pair that is current now.
        """
        now = self._clock()

        async def write(connection: AsyncConnection) -> Registration:
            bound = await _bound(connection, instance, address)
            number = await devices.find_address(connection, instance, bound)
            if number is None:
                device = self._new_device_id(bound, now)
                await devices.add(connection, instance, device, bound, metadata, now=now)
                return Registration(device, [])
            await devices.renew(connection, number, bound, metadata, now=now)
            known = await devices.id_of(connection, number)
            return Registration(known, await interests.of_device(connection, number))

        return await self._write(write)

    async def find(self, instance: InstanceNumber, device: DeviceId) -> Device | None:
        """A device; None if there is none with this id."""
        async with self._database.read() as connection:
            return await devices.find(connection, instance, device)

    async def page(
        self,
        instance: InstanceNumber,
        *,
        user: UserId | None,
        pruned: bool = False,
        after: DeviceNumber,
        limit: int,
    ) -> Sequence[Device]:
        """Devices of an instance, or of one user, living or pruned, in the order they were made."""
        async with self._database.read() as connection:
            return await devices.page(
                connection, instance, user=user, pruned=pruned, after=after, limit=limit
            )

    async def unregister(self, instance: InstanceNumber, device: DeviceId) -> bool:
        """Forget a device with its interests and its user; False if there was none."""

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            await devices.remove(connection, found.number)
            return True

        return await self._write(write)

    async def restore(self, instance: InstanceNumber, device: DeviceId) -> Device | None:
        """Undo a prune; the device as it is then, without its user; None if there is none."""

        async def write(connection: AsyncConnection) -> Device | None:
            return await devices.restore(connection, instance, device)

        return await self._write(write)

    async def set_metadata(
        self, instance: InstanceNumber, device: DeviceId, metadata: dict[str, Any]
    ) -> bool:
        """Keep what a device says about itself; False if there is no such device."""

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            await devices.change(connection, found.number, metadata=metadata)
            return True

        return await self._write(write)

    async def move(self, instance: InstanceNumber, device: DeviceId, address: Address) -> bool:
        """
        Give a device another address, and keep everything else.

        A device that held the address before gives way: an address is one device.

        Returns:
            False if there is no such device.
        """

        async def write(connection: AsyncConnection) -> bool:
            await devices.hold_address(connection, instance, address)
            # Both at once, in the order of their numbers: of two devices that swap
            # addresses at one instant each would otherwise wait for the other.
            await devices.hold_either(connection, instance, device, address)
            found = await devices.find(connection, instance, device)
            if found is None:
                return False
            holder = await devices.find_address(connection, instance, address)
            if holder is not None and holder != found.number:
                await devices.remove(connection, holder)
            bound = await _bound(connection, instance, address)
            await devices.move(connection, found.number, bound, now=self._clock())
            return True

        return await self._write(write)

    async def bind_user(self, instance: InstanceNumber, device: DeviceId, user: UserId) -> bool:
        """
        Log a person in on a device; the same person again changes nothing.

        Returns:
            False if there is no such device.

        Raises:
            UserTaken: Somebody else is logged in on it.
            TooManyDevices: The person has as many devices as allowed.
        """

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            if found.user == user:
                return True
            if found.user is not None:
                raise UserTaken("another user is logged in on this device")
            number = await users.obtain(connection, instance, user, now=self._clock())
            if await users.devices_of(connection, number) >= self._max_devices_per_user:
                raise TooManyDevices(self._max_devices_per_user)
            await devices.change(connection, found.number, user_number=number)
            return True

        return await self._write(write)

    async def delete_user(self, instance: InstanceNumber, user: UserId) -> int:
        """Forget a person and all of their devices; how many devices that were."""
        async with self._database.write() as connection:
            return await users.remove(connection, instance, user)

    async def interests_page(
        self, instance: InstanceNumber, device: DeviceId, *, after: str, limit: int
    ) -> Sequence[Interest] | None:
        """Some of a device's interests in ascending order; None if there is no such device."""
        async with self._database.read() as connection:
            found = await devices.find(connection, instance, device)
            if found is None:
                return None
            return await interests.of_device(connection, found.number, after=after, limit=limit)

    async def set_interests(
        self, instance: InstanceNumber, device: DeviceId, names: Collection[Interest]
    ) -> bool:
        """
        Make these a device's interests, and no others; False if there is no such device.

        Raises:
            InvalidInput: More than 5,000.
        """
        wanted = set(names)
        if len(wanted) > MOST_INTERESTS:
            raise InvalidInput("interests", f"a device can have at most {MOST_INTERESTS}")

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            present = set(await interests.of_device(connection, found.number))
            await interests.remove(connection, found.number, present - wanted)
            await interests.add(connection, instance, found.number, wanted - present)
            return True

        return await self._write(write)

    async def add_interest(
        self, instance: InstanceNumber, device: DeviceId, name: Interest
    ) -> bool:
        """
        Subscribe a device to an interest; False if there is no such device.

        Raises:
            InvalidInput: It would be the 5,001st.
        """

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            if await interests.has(connection, found.number, name):
                return True
            if await interests.count(connection, found.number) >= MOST_INTERESTS:
                raise InvalidInput("interests", f"a device can have at most {MOST_INTERESTS}")
            await interests.add(connection, instance, found.number, [name])
            return True

        return await self._write(write)

    async def remove_interest(
        self, instance: InstanceNumber, device: DeviceId, name: Interest
    ) -> bool:
        """Unsubscribe a device from an interest; False if there is no such device."""

        async def write(connection: AsyncConnection) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            await interests.remove(connection, found.number, [name])
            return True

        return await self._write(write)

    async def _write(self, write: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """
        One transaction; where only one can be at a time, with others that wait for it.

        A write has changed nothing when it raises an error of ours.
        """
        if self._database.is_shared:
            async with self._database.write() as connection:
                return await write(connection)
        result: Result = await self._together.add(write)
        return result

    async def _write_all(self, writes: Sequence[Write]) -> Sequence[Any]:
        results: list[Any] = []
        async with self._database.write() as connection:
            for write in writes:
                try:
                    results.append(await write(connection))
                except (InvalidInput, TooManyDevices, UserTaken) as problem:
                    results.append(problem)
        return results

    def _new_device_id(self, address: Address, now: datetime) -> DeviceId:
        unique = time_ordered_uuid(now, self._randomness(10))
        return DeviceId(f"{gateway_of(address)}-{unique}")


async def _bound(
    connection: AsyncConnection, instance: InstanceNumber, address: Address
) -> Address:
    """A browser's address with the VAPID pair it was made with; any other as it is."""
    if not isinstance(address, WebAddress) or address.vapid_key is not None:
        return address
    await instances.keep(connection, instance)  # its older pairs go while its keys rotate
    return replace(address, vapid_key=await vapid_keys.current(connection, instance))
