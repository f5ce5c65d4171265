"""
The roster: devices by the names that their apps give them.

It is the same registry, and the same rows: a name is how an app asks for a device whose id
it does not know. An address is one device, whoever registers it; so an address that comes
with a new name takes it, and keeps its interests.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

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
from heliograph.storage import declared, devices, interests, named
from heliograph.storage.devices import Device
from heliograph.storage.filters import Filter
from heliograph.storage.named import Subscription
from heliograph.writes import Tidings, Writes, bound, party

_REMEMBERED: Final = timedelta(seconds=5)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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
        self._peopled: dict[InstanceNumber, datetime] = {}

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

        self._peopled.pop(instance, None)
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
        """
        Whether an instance has a living device, or had one a few seconds ago.

        It is asked before every message; who deletes the last device is in no such hurry.
        """
        now = self._clock()
        if now - self._peopled.get(instance, _LONG_AGO) < _REMEMBERED:
            return True
        async with self._database.read() as connection:
            is_any = await devices.is_any(connection, instance)
        if is_any:
            self._peopled[instance] = now
        return is_any

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
        """A device by its name, as it stays until the transaction ends."""
        row = await named.lookup(connection, instance, name)
        if row is None:
            return None
        found = await devices.find(connection, instance, row.id, lock=True)
        # While we waited for it, it may have got another name.
        return found if found is not None and found.own_name == name else None

    async def _enter(
        self,
        connection: AsyncConnection,
        tidings: Tidings,
        instance: InstanceNumber,
        entry: Entry,
    ) -> tuple[Device, bool]:
        address = await bound(connection, instance, entry.address)
        await devices.hold_address(connection, instance, address)
        held = await self._found(connection, instance, entry.name, address)
        # An id says how its device is reached, so one of another gateway cannot go on.
        fit = [each for each in held if each.id.startswith(f"{gateway_of(address)}-")]
        known = fit[0] if fit else None
        is_theirs = known is not None and known.prune is None and known.user == entry.user
        owner: dict[str, int | None] = {}
        if not is_theirs:
            leaving = [each for each in held if each is not known]
            owner["user_number"] = await self._place_for(connection, instance, entry.user, leaving)
        # Nothing was changed until here: a write that fails must not have begun.
        for each in held:
            if each is not known:
                await devices.remove(connection, each.number)
        identity = await self._reach(connection, instance, known, address, entry)
        number = await devices.number_of(connection, instance, identity)
        assert number is not None  # noqa: S101  (this transaction holds it)
        await devices.change(
            connection,
            number,
            name=entry.name,
            platform=str(entry.platform),
            **owner,
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
    ) -> Sequence[Device]:
        """
        The device with a name, and then the one at an address if it is another; both held.

        They are held in the order of their numbers, as everybody does who holds several, and
        looked for once more then: while we waited, they may have become others.
        """
        while True:
            numbers = await self._numbers(connection, instance, name, address)
            await devices.hold(connection, numbers)
            if numbers == await self._numbers(connection, instance, name, address):
                break
        found = [await devices.find_numbered(connection, number) for number in numbers]
        return [each for each in found if each is not None]

    async def _numbers(
        self, connection: AsyncConnection, instance: InstanceNumber, name: str, address: Address
    ) -> Sequence[DeviceNumber]:
        row = await named.lookup(connection, instance, name)
        holder = await devices.number_at(connection, instance, address)
        numbers = [None if row is None else row.number, holder]
        return list(dict.fromkeys(each for each in numbers if each is not None))

    async def _place_for(
        self,
        connection: AsyncConnection,
        instance: InstanceNumber,
        user: UserId | None,
        leaving: Sequence[Device],
    ) -> int | None:
        if user is None:
            return None
        theirs = sum(each.prune is None and each.user == user for each in leaving)
        return await self._registry.place_for(connection, instance, user, leaving=theirs)

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
