"""
A page of records, in one transaction: each is held against what is there, and then kept.

What is there is added to and never taken from. What contradicts it is rejected, and nothing of
that is kept.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS
from heliograph.instances import Instance, Randomness
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    Interest,
    UserId,
    address_digest,
    gateway_of,
    time_ordered_uuid,
)
from heliograph.storage import devices, interests, movers
from heliograph.storage.movers import Mover, Owner, Resident
from heliograph.transfer.commits import Outcome
from heliograph.transfer.records import Record, Reject


class Page:
    """One transaction's worth of records; no two have an address, an id or a name in common."""

    def __init__(
        self,
        connection: AsyncConnection,
        instance: Instance,
        most: int,
        now: datetime,
        randomness: Randomness,
    ) -> None:
        """
        Look at nothing yet.

        Args:
            connection: The transaction.
            instance: Whose the devices will be.
            most: How many devices a person may have.
            now: The time.
            randomness: For the ids of those that have none.
        """
        self._connection = connection
        self._instance = instance
        self._most = most
        self._now = now
        self._randomness = randomness
        self._owners: dict[UserId, Owner] = {}
        self._interests: dict[DeviceNumber, list[Interest]] = {}

    async def take(self, records: Sequence[tuple[int, Record]]) -> Outcome:
        """Keep what can be kept of some records; what became of each."""
        there = await movers.residents(
            self._connection,
            self._instance.number,
            digests={address_digest(each.address) for _, each in records},
            ids=[each.id for _, each in records if each.id is not None],
            names=[each.name for _, each in records if each.name is not None],
        )
        self._interests = await movers.interests_of(
            self._connection, [each.number for each in there]
        )
        good, rejects = self._judged(records, there)
        # Only now, so that nobody is made of whom nothing else is kept.
        self._owners = await movers.owners(
            self._connection,
            self._instance.number,
            {each.user for _, each, resident in good if each.user and _logs_in(each, resident)},
            now=self._now,
        )
        new: list[Mover] = []
        for line, record, resident in good:
            try:
                if resident is None:
                    new.append(self._mover(record, self._owner(record)))
                else:
                    await self._add_to(record, resident)
            except _Contradicted as problem:
                rejects.append(rejected(line, record, str(problem)))
        await movers.add(self._connection, self._instance.number, new)
        return Outcome(len(new), len(records) - len(new) - len(rejects), rejects)

    def _judged(
        self, records: Sequence[tuple[int, Record]], there: Sequence[Resident]
    ) -> tuple[list[tuple[int, Record, Resident | None]], list[Reject]]:
        """Records that are true along with what is there, each with its device, and the others."""
        by_digest = {each.digest: each for each in there}
        by_id = {each.id: each for each in there}
        by_name = {each.name: each for each in there if each.name is not None}
        good: list[tuple[int, Record, Resident | None]] = []
        rejects: list[Reject] = []
        for line, record in records:
            resident = by_digest.get(address_digest(record.address))
            try:
                _check(record, resident)
                _check_namesake(record, None if record.id is None else by_id.get(record.id), "id")
                _check_namesake(
                    record, None if record.name is None else by_name.get(record.name), "name"
                )
                if resident is not None:
                    _check_interests(record, self._interests[resident.number])
            except _Contradicted as problem:
                rejects.append(rejected(line, record, str(problem)))
            else:
                good.append((line, record, resident))
        return good, rejects

    async def _add_to(self, record: Record, resident: Resident) -> None:
        """
        Add to a device that is there; nothing is changed if its person has too many.

        A pruned one is restored, as one that registers again is.
        """
        owner = self._owner(record) if _logs_in(record, resident) else None
        if resident.is_pruned:
            await devices.renew(
                self._connection,
                resident.number,
                record.address,
                dict(record.metadata),
                now=self._now,
            )
        if added := _added(record, resident, owner):
            await devices.change(self._connection, resident.number, **added)
        missing = set(record.interests) - set(self._interests[resident.number])
        await interests.add(self._connection, self._instance.number, resident.number, missing)

    def _owner(self, record: Record) -> int | None:
        """The number of a record's person, who has a device more now; None for nobody."""
        if record.user is None:
            return None
        owner = self._owners[record.user]
        if owner.devices >= self._most:
            raise _Contradicted(f"its user has {self._most} devices already")
        self._owners[record.user] = owner._replace(devices=owner.devices + 1)
        return owner.number

    def _mover(self, record: Record, owner: int | None) -> Mover:
        unique = time_ordered_uuid(self._now, self._randomness(10))
        return Mover(
            id=record.id or DeviceId(f"{gateway_of(record.address)}-{unique}"),
            address=record.address,
            user_number=owner,
            interests=record.interests,
            metadata=record.metadata,
            # An instant to come would protect it from being pruned until then.
            registered_at=min(record.registered_at or self._now, self._now),
            name=record.name,
            platform=record.platform,
        )


def _check(record: Record, resident: Resident | None) -> None:
    """Hold a record against the device that has its address."""
    if resident is None:
        return
    if record.id not in (None, resident.id):
        raise _Contradicted(f"its address belongs to the device {resident.id}")
    if None not in (record.name, resident.name) and record.name != resident.name:
        raise _Contradicted(f"its address belongs to the device {resident.name}")
    person = _person(resident)
    if None not in (record.user, person) and record.user != person:
        raise _Contradicted("somebody else is logged in on this device")


def _check_namesake(record: Record, namesake: Resident | None, what: str) -> None:
    """Hold a record against the device that has its id, or its name."""
    if namesake is not None and namesake.digest != address_digest(record.address):
        raise _Contradicted(f"its {what} belongs to a device with another address")


def _check_interests(record: Record, present: Sequence[Interest]) -> None:
    if len(set(record.interests) | set(present)) > MOST_INTERESTS:
        raise _Contradicted(f"a device has at most {MOST_INTERESTS} interests")


def _added(record: Record, resident: Resident, owner: int | None) -> dict[str, Any]:
    """The columns of a device that a record fills: what is there stays."""
    found = {
        "user_number": owner,
        "name": record.name if resident.name is None else None,
        "platform": record.platform if resident.platform is None else None,
    }
    return {column: value for column, value in found.items() if value is not None}


def _person(resident: Resident) -> UserId | None:
    """Who is logged in; who was on a pruned device is not any more."""
    return None if resident.is_pruned else resident.user


def _logs_in(record: Record, resident: Resident | None) -> bool:
    """Whether a record makes a device somebody's who is not logged in on it yet."""
    if record.user is None:
        return False
    return resident is None or _person(resident) is None


def rejected(line: int, record: Record, reason: str) -> Reject:
    """A record that cannot be moved in, by its id or its name."""
    return Reject(line, record.id or record.name or "", reason)


class _Contradicted(Exception):  # noqa: N818  (it says what a record is)
    """A record cannot be true along with what is there; the message says why."""
