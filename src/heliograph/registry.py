"""
The rules that every dialect shares: which device is whose, and what it subscribes to.

A device is known by its address: registering an address again finds the device that
was there, with its interests and its user. A person keeps at most so many devices,
and a device belongs to at most one person, until it is cleared.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS
from heliograph.errors import InvalidInput, TooManyDevices, UserTaken
from heliograph.model import (
    Address,
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    UserId,
    gateway_of,
)
from heliograph.notices import (
    Changed,
    Registered,
    Subject,
    Subscribed,
    Unregistered,
    Unsubscribed,
)
from heliograph.storage import devices, interests, users
from heliograph.storage.devices import Device
from heliograph.writes import Tidings, Writes, bound, party


@dataclass(frozen=True, slots=True)
class Registration:
    """What a device is told when it registers."""

    id: DeviceId
    interests: Sequence[Interest]
    """Those it had already; a device that is new has none."""


class Registry:
    """The devices, users and interests of one database. Every method is one transaction."""

    def __init__(self, writes: Writes, *, max_devices_per_user: int) -> None:
        """Look at the database of those writes; nothing is read yet."""
        self._writes = writes
        self._database = writes.database
        self._clock = writes.clock
        self._max_devices_per_user = max_devices_per_user

    async def register(
        self, instance: InstanceNumber, address: Address, metadata: dict[str, Any]
    ) -> Registration:
        """
        Make a device reachable at an address; a known address keeps its device.

        A new subscription of a browser is bound to the VAPID pair that is current now.
        """
        now = self._clock()

        async def write(connection: AsyncConnection, tidings: Tidings) -> Registration:
            at = await bound(connection, instance, address)
            number = await devices.find_address(connection, instance, at)
            if number is None:
                device = self._new_device_id(at)
                await devices.add(connection, instance, device, at, metadata, now=now)
                if tidings.are_of(Subject.REGISTERED):
                    made = await devices.find(connection, instance, device)
                    tidings.note(*[Registered(party(each)) for each in [made] if each])
                return Registration(device, [])
            await devices.renew(connection, number, at, metadata, now=now)
            known = await devices.id_of(connection, number)
            return Registration(known, await interests.of_device(connection, number))

        return await self._writes.tell_of(instance, write)

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

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            await devices.remove(connection, found.number)
            tidings.note(Unregistered(party(found)))
            return True

        return await self._writes.tell_of(instance, write)

    async def restore(self, instance: InstanceNumber, device: DeviceId) -> Device | None:
        """Undo a prune; the device as it is then, without its user; None if there is none."""

        async def write(connection: AsyncConnection) -> Device | None:
            return await devices.restore(connection, instance, device)

        return await self._writes.do(write)

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

        return await self._writes.do(write)

    async def move(self, instance: InstanceNumber, device: DeviceId, address: Address) -> bool:
        """
        Give a device another address, and keep everything else.

        A device that held the address before gives way: an address is one device.

        Returns:
            False if there is no such device.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
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
            at = await bound(connection, instance, address)
            await devices.move(connection, found.number, at, now=self._clock())
            tidings.note(Changed(party(replace(found, address=at))))
            return True

        return await self._writes.tell_of(instance, write)

    async def bind_user(self, instance: InstanceNumber, device: DeviceId, user: UserId) -> bool:
        """
        Log a person in on a device; the same person again changes nothing.

        Returns:
            False if there is no such device.

        Raises:
            UserTaken: Somebody else is logged in on it.
            TooManyDevices: The person has as many devices as allowed.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            if found.user == user:
                return True
            if found.user is not None:
                raise UserTaken("another user is logged in on this device")
            number = await self.place_for(connection, instance, user)
            await devices.change(connection, found.number, user_number=number)
            tidings.note(Changed(party(replace(found, user=user))))
            return True

        return await self._writes.tell_of(instance, write)

    async def place_for(
        self,
        connection: AsyncConnection,
        instance: InstanceNumber,
        user: UserId,
        *,
        leaving: int = 0,
    ) -> int:
        """
        The number of a person who may have one device more; theirs alone till the end.

        Args:
            connection: The transaction.
            instance: Whose person.
            user: Who.
            leaving: How many of their devices make room for it.

        Raises:
            TooManyDevices: They have as many as allowed; nothing is changed by that.
        """
        number = await users.obtain(connection, instance, user, now=self._clock())
        if await users.devices_of(connection, number) - leaving >= self._max_devices_per_user:
            raise TooManyDevices(self._max_devices_per_user)
        return number

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

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            present = set(await interests.of_device(connection, found.number))
            await interests.remove(connection, found.number, present - wanted)
            await interests.add(connection, instance, found.number, wanted - present)
            them = party(found)
            tidings.note(*[Unsubscribed(them, name) for name in sorted(present - wanted)])
            tidings.note(*[Subscribed(them, name) for name in sorted(wanted - present)])
            return True

        return await self._writes.tell_of(instance, write)

    async def add_interest(
        self, instance: InstanceNumber, device: DeviceId, name: Interest
    ) -> bool:
        """
        Subscribe a device to an interest; False if there is no such device.

        Raises:
            InvalidInput: It would be the 5,001st.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            if await interests.has(connection, found.number, name):
                return True
            if await interests.count(connection, found.number) >= MOST_INTERESTS:
                raise InvalidInput("interests", f"a device can have at most {MOST_INTERESTS}")
            await interests.add(connection, instance, found.number, [name])
            tidings.note(Subscribed(party(found), name))
            return True

        return await self._writes.tell_of(instance, write)

    async def remove_interest(
        self, instance: InstanceNumber, device: DeviceId, name: Interest
    ) -> bool:
        """Unsubscribe a device from an interest; False if there is no such device."""

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await devices.find(connection, instance, device, lock=True)
            if found is None:
                return False
            if tidings.are_of(Subject.UNSUBSCRIBED) and await interests.has(
                connection, found.number, name
            ):
                tidings.note(Unsubscribed(party(found), name))
            await interests.remove(connection, found.number, [name])
            return True

        return await self._writes.tell_of(instance, write)

    def _new_device_id(self, address: Address) -> DeviceId:
        return DeviceId(f"{gateway_of(address)}-{self._writes.new_id()}")
