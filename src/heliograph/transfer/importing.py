"""
Moving in: records become devices, a page of them in one commit.

A record whose address is known already adds to what is there: its interests, and its person
where nobody is logged in. So a file can be moved in twice, and an import that was killed goes
on: what it had done is found, and changes nothing. What contradicts what is there is rejected,
and nothing of it is kept.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import MOST_INTERESTS, is_unbound
from heliograph.instances import Instance, Randomness
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    Interest,
    UserId,
    VapidKeyNumber,
    WebAddress,
    address_digest,
    gateway_of,
    time_ordered_uuid,
)
from heliograph.storage import devices, interests, movers
from heliograph.storage.database import Database
from heliograph.storage.movers import Mover, Owner, Resident
from heliograph.transfer.records import Line, Record, Reject
from heliograph.wire.jws import base64url

PAGE: Final = 1000
"""Records in one commit."""

_TRIES: Final = 3
"""How often a page is tried that met a device which has just registered."""


@dataclass(slots=True)
class Tally:
    """What has become of the lines of a file so far."""

    added: int = 0
    known: int = 0
    """Their address was there; what they add was added."""
    rejected: int = 0

    @property
    def lines(self) -> int:
        """All of them."""
        return self.added + self.known + self.rejected

    def add(self, outcome: "Outcome") -> None:
        """Count what became of a page."""
        self.added += outcome.added
        self.known += outcome.known
        self.rejected += len(outcome.rejects)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one page."""

    added: int = 0
    known: int = 0
    rejects: Sequence[Reject] = field(default_factory=list)


class Import:
    """One import into one instance."""

    def __init__(
        self,
        database: Database,
        instance: Instance,
        *,
        max_devices_per_user: int,
        clock: Callable[[], datetime],
        randomness: Randomness,
        vapid_public_key: str | None = None,
        registered_at: datetime | None = None,
        is_rehearsal: bool = False,
    ) -> None:
        """
        Import nothing yet.

        Args:
            database: Where to.
            instance: Whose the devices will be.
            max_devices_per_user: How many a person may have.
            clock: The time.
            randomness: For the ids of those that have none.
            vapid_public_key: The key that browsers subscribed with whose lines do not say so.
            registered_at: When those registered that do not say so; None is now.
            is_rehearsal: Do everything but keep it.
        """
        self._database = database
        self._instance = instance
        self._most = max_devices_per_user
        self._clock = clock
        self._randomness = randomness
        self._vapid_public_key = vapid_public_key
        self._vapid_keys: Mapping[str, VapidKeyNumber] = {
            base64url(pair.public_key): number for number, pair in instance.vapid_keys.items()
        }
        self._registered_at = registered_at
        self._is_rehearsal = is_rehearsal

    async def take(self, lines: Sequence[Line]) -> Outcome:
        """Move a page in; what became of it."""
        rejects = [each for _, each in lines if isinstance(each, Reject)]
        good: list[tuple[int, Record]] = []
        for number, each in lines:
            if isinstance(each, Record):
                judged = self._completed(number, each)
                if isinstance(judged, Reject):
                    rejects.append(judged)
                else:
                    good.append((number, judged))
        total = Counter[str]()
        for some in _without_doubles(good):
            outcome = await self._commit(some)
            total.update(added=outcome.added, known=outcome.known)
            rejects += outcome.rejects
        rejects.sort(key=lambda each: each.line)
        return Outcome(total["added"], total["known"], rejects)

    def _completed(self, line: int, record: Record) -> Record | Reject:
        """A record with what it does not say itself, a browser's with the pair that may send."""
        dated = replace(record, registered_at=record.registered_at or self._registered_at)
        if not isinstance(record.address, WebAddress):
            return dated
        key = record.vapid_public_key or self._vapid_public_key
        if key is not None:
            number = self._vapid_keys.get(key.rstrip("="))
        elif is_unbound(record.address):
            number = max(self._vapid_keys.values())
        else:
            return _reject(line, record, _NO_VAPID_KEY)
        if number is None:
            return _reject(line, record, "this instance has no such VAPID key")
        return replace(dated, address=replace(record.address, vapid_key=number))

    async def _commit(self, records: Sequence[tuple[int, Record]]) -> Outcome:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._try(records)
            except IntegrityError:
                if attempt == _TRIES:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _try(self, records: Sequence[tuple[int, Record]]) -> Outcome:
        outcome = Outcome()
        with contextlib.suppress(_Rehearsed):
            async with self._database.write(long=True) as connection:
                page = _Page(
                    connection, self._instance, self._most, self._clock(), self._randomness
                )
                outcome = await page.take(records)
                self._take_back_if_rehearsed()
        return outcome

    def _take_back_if_rehearsed(self) -> None:
        if self._is_rehearsal:
            raise _Rehearsed


_NO_VAPID_KEY: Final = (
    "a browser can be sent to only with the VAPID key that it subscribed with, and none is named: "
    "it subscribes again at its next visit"
)


def _reject(line: int, record: Record, reason: str) -> Reject:
    return Reject(line, record.id or record.name or "", reason)


class _Contradicted(Exception):  # noqa: N818  (it says what a record is)
    """A record cannot be true along with what is there; the message says why."""


class _Rehearsed(Exception):  # noqa: N818  (it takes back what was only tried)
    """Nothing is to be kept."""


class _Page:
    """One transaction's worth of records, of which no two have an address or an id in common."""

    def __init__(
        self,
        connection: AsyncConnection,
        instance: Instance,
        most: int,
        now: datetime,
        randomness: Randomness,
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._most = most
        self._now = now
        self._randomness = randomness
        self._owners: dict[UserId, Owner] = {}
        self._interests: dict[DeviceNumber, list[Interest]] = {}

    async def take(self, records: Sequence[tuple[int, Record]]) -> Outcome:
        there = await movers.residents(
            self._connection,
            self._instance.number,
            digests={address_digest(each.address) for _, each in records},
            ids=[each.id for _, each in records if each.id is not None],
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
                rejects.append(_reject(line, record, str(problem)))
        await movers.add(self._connection, self._instance.number, new)
        return Outcome(len(new), len(records) - len(new) - len(rejects), rejects)

    def _judged(
        self, records: Sequence[tuple[int, Record]], there: Sequence[Resident]
    ) -> tuple[list[tuple[int, Record, Resident | None]], list[Reject]]:
        """Records that are true along with what is there, each with its device, and the others."""
        by_digest = {each.digest: each for each in there}
        by_id = {each.id: each for each in there}
        good: list[tuple[int, Record, Resident | None]] = []
        rejects: list[Reject] = []
        for line, record in records:
            resident = by_digest.get(address_digest(record.address))
            namesake = None if record.id is None else by_id.get(record.id)
            try:
                _check(record, resident, namesake)
                if resident is not None:
                    _check_interests(record, self._interests[resident.number])
            except _Contradicted as problem:
                rejects.append(_reject(line, record, str(problem)))
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
        if owner is not None:
            await devices.change(self._connection, resident.number, user_number=owner)
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
        )


def _check(record: Record, resident: Resident | None, namesake: Resident | None) -> None:
    """Hold a record against the devices that have its address, or its id."""
    if resident is not None and record.id not in (None, resident.id):
        raise _Contradicted(f"its address belongs to the device {resident.id}")
    if namesake is not None and namesake.digest != address_digest(record.address):
        raise _Contradicted("its id belongs to a device with another address")
    person = None if resident is None else _person(resident)
    if None not in (record.user, person) and record.user != person:
        raise _Contradicted("somebody else is logged in on this device")


def _check_interests(record: Record, present: Sequence[Interest]) -> None:
    if len(set(record.interests) | set(present)) > MOST_INTERESTS:
        raise _Contradicted(f"a device has at most {MOST_INTERESTS} interests")


def _person(resident: Resident) -> UserId | None:
    """Who is logged in; who was on a pruned device is not any more."""
    return None if resident.is_pruned else resident.user


def _logs_in(record: Record, resident: Resident | None) -> bool:
    """Whether a record makes a device somebody's who is not logged in on it yet."""
    if record.user is None:
        return False
    return resident is None or _person(resident) is None


def _without_doubles(
    records: Sequence[tuple[int, Record]],
) -> Iterator[Sequence[tuple[int, Record]]]:
    """Records in groups, in their order, of which no two in one have an address or id in common."""
    group: list[tuple[int, Record]] = []
    seen: set[bytes | DeviceId] = set()
    for line, record in records:
        names: set[bytes | DeviceId] = {address_digest(record.address)}
        if record.id is not None:
            names.add(record.id)
        if names & seen:
            yield group
            group, seen = [], set()
        group.append((line, record))
        seen |= names
    if group:
        yield group
