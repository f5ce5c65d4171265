"""
The roster: devices by the names that their apps give them.

It is the same registry, and the same rows: a name is how an app asks for a device whose id
it does not know. An address is one device, whoever registers it; so an address that comes
with a new name takes it, and keeps its interests.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS
from heliograph.errors import InvalidInput
from heliograph.model import (
    Address,
    DeviceId,
    DeviceNumber,
    InstanceNumber,
    Interest,
    Platform,
    UserId,
    address_digest,
    gateway_of,
)
from heliograph.notices import (
    Changed,
    Registered,
    Subscribed,
    Unregistered,
    Unsubscribed,
)
from heliograph.registry import Registry
from heliograph.storage import declared, devices, interests, named, users
from heliograph.storage.devices import Device
from heliograph.storage.filters import Filter
from heliograph.storage.named import Subscription
from heliograph.writes import Tidings, Writes, bound, party


@dataclass(frozen=True, slots=True)
class Entry:
    """What an app says of its device."""

    name: str
    address: Address
    platform: Platform
    user: UserId | None
    """Who is logged in; None: nobody, whoever was before."""
    metadata: dict[str, Any] | None
    """None keeps what it said before."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of interests that a device was to have, or not to have any more."""

    changed: Sequence[Interest]
    unchanged: Sequence[Interest]
    """It had those already, or did not have them."""
    undeclared: Sequence[Interest]
    """There are no such interests."""


class Roster:
    """The named devices of one database. Every method is one transaction."""

    def __init__(self, writes: Writes, registry: Registry) -> None:
        """Look at the database of those writes; nothing is read yet."""
        self._writes = writes
        self._registry = registry
        self._database = writes.database
        self._clock = writes.clock

    async def enter(self, instance: InstanceNumber, entry: Entry) -> tuple[Device, bool]:
        """
        Make a device reachable, and say who is logged in on it.

        Returns:
            The device, and whether it is new.

        Raises:
            TooManyDevices: The person has as many devices as allowed.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> tuple[Device, bool]:
            await named.hold(connection, instance, entry.name)
            return await self._enter(connection, tidings, instance, entry)

        return await self._writes.tell_of(instance, write)

    async def change(
        self,
        instance: InstanceNumber,
        name: str,
        *,
        address: Address | None,
        platform: Platform | None,
        user: UserId | None,
        metadata: dict[str, Any] | None,
    ) -> Device | None:
        """
        Say anew where a device is reached and who is logged in; what is None stays.

        But ``user``: None means nobody.

        Returns:
            The device; None if there is none with this name.

        Raises:
            TooManyDevices: The person has as many devices as allowed.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> Device | None:
            await named.hold(connection, instance, name)
            known = await named.find_named(connection, instance, name)
            if known is None:
                return None
            entry = Entry(
                name,
                known.address if address is None else address,
                known.platform if platform is None else platform,
                user,
                metadata,
            )
            return (await self._enter(connection, tidings, instance, entry))[0]

        return await self._writes.tell_of(instance, write)

    async def find(self, instance: InstanceNumber, name: str) -> Device | None:
        """A device by its name, or by its id if it has none; None if there is no such."""
        async with self._database.read() as connection:
            return await named.find_named(connection, instance, name)

    async def numbers(
        self, instance: InstanceNumber, names: Collection[str]
    ) -> Sequence[DeviceNumber]:
        """The devices among some names, up to 1,000, that there are."""
        async with self._database.read() as connection:
            return await named.numbers(connection, instance, names)

    async def strike(self, instance: InstanceNumber, name: str) -> bool:
        """Forget a device with its interests and its user; False if there was none."""

        async def write(connection: AsyncConnection, tidings: Tidings) -> bool:
            found = await self._held(connection, instance, name)
            if found is None:
                return False
            await devices.remove(connection, found.number)
            tidings.note(Unregistered(party(found)))
            return True

        return await self._writes.tell_of(instance, write)

    async def page(
        self,
        instance: InstanceNumber,
        *,
        user: UserId | None,
        has_no_user: bool,
        wanted: Filter,
        after: DeviceNumber,
        offset: int,
        limit: int,
    ) -> tuple[Sequence[Device], int]:
        """Living devices, and how many there are; arguments as for ``named.page``."""
        async with self._database.read(long=True) as connection:
            return await named.page(
                connection,
                instance,
                user=user,
                has_no_user=has_no_user,
                wanted=wanted,
                after=after,
                offset=offset,
                limit=limit,
            )

    async def is_any(self, instance: InstanceNumber) -> bool:
        """Whether an instance has a living device."""
        async with self._database.read() as connection:
            return bool(await devices.page(connection, instance, limit=1))

    async def declared(
        self, instance: InstanceNumber, names: Collection[Interest]
    ) -> set[Interest]:
        """Which of some interests, up to 1,000, are declared."""
        async with self._database.read() as connection:
            return await declared.known(connection, instance, names, hold=False)

    # --- interests -------------------------------------------------------------------

    async def subscribe(
        self, instance: InstanceNumber, name: str, wished: Sequence[Interest]
    ) -> Choice | None:
        """
        Subscribe a device to declared interests; None if there is no such device.

        Raises:
            InvalidInput: It would have more than 5,000.
        """

        async def write(connection: AsyncConnection, tidings: Tidings) -> Choice | None:
            found = await self._held(connection, instance, name)
            if found is None:
                return None
            known = await declared.known(connection, instance, wished)
            present = set(await interests.of_device(connection, found.number))
            choice = _chosen(wished, known, present)
            if len(present) + len(choice.changed) > MOST_INTERESTS:
                raise InvalidInput("interests", f"a device can have at most {MOST_INTERESTS}")
            await interests.add(connection, instance, found.number, choice.changed)
            them = party(found)
            tidings.note(*[Subscribed(them, each) for each in choice.changed])
            return choice

        return await self._writes.tell_of(instance, write)

    async def unsubscribe(
        self, instance: InstanceNumber, name: str, wished: Sequence[Interest]
    ) -> Choice | None:
        """Unsubscribe a device from interests; None if there is no such device."""

        async def write(connection: AsyncConnection, tidings: Tidings) -> Choice | None:
            found = await self._held(connection, instance, name)
            if found is None:
                return None
            present = set(await interests.of_device(connection, found.number))
            known = await declared.known(connection, instance, wished) | present
            absent = known - present
            choice = _chosen(wished, known, absent)
            await interests.remove(connection, found.number, choice.changed)
            them = party(found)
            tidings.note(*[Unsubscribed(them, each) for each in choice.changed])
            return choice

        return await self._writes.tell_of(instance, write)

    async def subscriptions(
        self,
        instance: InstanceNumber,
        *,
        device: str | None,
        interest: Interest | None,
        user: UserId | None,
        has_no_user: bool,
        wanted: Filter,
        offset: int,
        limit: int,
    ) -> tuple[Sequence[Subscription], int]:
        """Subscriptions, and how many there are; arguments as for ``named.subscriptions``."""
        async with self._database.read(long=True) as connection:
            return await named.subscriptions(
                connection,
                instance,
                device=device,
                interest=interest,
                user=user,
                has_no_user=has_no_user,
                wanted=wanted,
                offset=offset,
                limit=limit,
            )

    # --- parts of a transaction ------------------------------------------------------

    async def _held(
        self, connection: AsyncConnection, instance: InstanceNumber, name: str
    ) -> Device | None:
        row = await named.lookup(connection, instance, name)
        if row is None:
            return None
        return await devices.find(connection, instance, row.id, lock=True)

    async def _enter(
        self,
        connection: AsyncConnection,
        tidings: Tidings,
        instance: InstanceNumber,
        entry: Entry,
    ) -> tuple[Device, bool]:
        address = await bound(connection, instance, entry.address)
        await devices.hold_address(connection, instance, address)
        own, holder = await self._found(connection, instance, entry.name, address)
        known = own or holder
        owner = await self._owner(connection, instance, known, entry.user)
        # Nothing was changed until here: a write that fails must not have begun.
        for each in (own, holder):
            if each is not None and known is not None and each.number != known.number:
                await devices.remove(connection, each.number)
        if known is not None and not known.id.startswith(f"{gateway_of(address)}-"):
            await devices.remove(connection, known.number)  # its id says how it was reached
            known = None
        identity = await self._reach(connection, instance, known, address, entry)
        number = await devices.number_of(connection, instance, identity)
        assert number is not None  # noqa: S101  (this transaction holds it)
        await devices.change(
            connection,
            number,
            name=entry.name,
            platform=str(entry.platform),
            user_number=owner,
        )
        device = await devices.find(connection, instance, identity)
        assert device is not None  # noqa: S101  (it lives by now)
        is_new = known is None or known.prune is not None
        if known is None or is_new:
            tidings.note(Registered(party(device)))
        elif party(known) != party(device):
            tidings.note(Changed(party(device)))
        return device, is_new

    async def _found(
        self, connection: AsyncConnection, instance: InstanceNumber, name: str, address: Address
    ) -> tuple[Device | None, Device | None]:
        """The device with a name, and the one at an address, living or pruned; both held."""
        row = await named.lookup(connection, instance, name)
        holder = await devices.find_address(connection, instance, address)
        held = {row.number} if row else set[DeviceNumber]()
        if holder is not None:
            held.add(holder)
        await devices.hold(connection, held)
        return (
            None if row is None else await devices.find_numbered(connection, row.number),
            None if holder is None else await devices.find_numbered(connection, holder),
        )

    async def _owner(
        self,
        connection: AsyncConnection,
        instance: InstanceNumber,
        known: Device | None,
        user: UserId | None,
    ) -> int | None:
        """The number of who is to be logged in, if there is room for one device more."""
        if user is None:
            return None
        if known is not None and known.prune is None and known.user == user:
            return await users.obtain(connection, instance, user, now=self._clock())
        return await self._registry.place_for(connection, instance, user)

    async def _reach(
        self,
        connection: AsyncConnection,
        instance: InstanceNumber,
        known: Device | None,
        address: Address,
        entry: Entry,
    ) -> DeviceId:
        """Have a device at an address, a new one if none is known; its id."""
        now = self._clock()
        if known is None:
            identity = DeviceId(f"{gateway_of(address)}-{self._writes.new_id()}")
            said = entry.metadata or {}
            await devices.add(connection, instance, identity, address, said, now=now)
            return identity
        if address_digest(known.address) != address_digest(address):
            # What a gateway told us of the address before goes with that.
            await devices.move(connection, known.number, address, now=now)
        said = known.metadata if entry.metadata is None else entry.metadata
        await devices.renew(connection, known.number, address, said, now=now)
        return known.id


def _chosen(
    wished: Sequence[Interest], known: Collection[Interest], settled: Collection[Interest]
) -> Choice:
    """Sort wishes, each once, by whether there is anything to do."""
    ordered = list(dict.fromkeys(wished))
    return Choice(
        changed=[each for each in ordered if each in known and each not in settled],
        unchanged=[each for each in ordered if each in known and each in settled],
        undeclared=[each for each in ordered if each not in known],
    )
