"""
Moving in: records become devices, a page of them in one commit.

A record whose address is known already adds to what is there: its interests, its name and its
platform where there is none, and its person where nobody is logged in. So a file can be moved
in twice, and an import that was killed goes on: what it had done is found, and changes nothing.
What contradicts what is there is rejected, and nothing of it is kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.addresses import is_unbound
from heliograph.instances import Instance, Randomness
from heliograph.model import VapidKeyNumber, WebAddress, address_digest
from heliograph.storage.database import Database
from heliograph.transfer.commits import Commits, Outcome
from heliograph.transfer.page import Page, rejected
from heliograph.transfer.records import Line, Record, Reject
from heliograph.wire.jws import base64url


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
        self._commits = Commits(database, is_rehearsal=is_rehearsal)
        self._instance = instance
        self._most = max_devices_per_user
        self._clock = clock
        self._randomness = randomness
        self._vapid_public_key = vapid_public_key
        self._vapid_keys: Mapping[str, VapidKeyNumber] = {
            base64url(pair.public_key): number for number, pair in instance.vapid_keys.items()
        }
        self._registered_at = registered_at

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
            return rejected(line, record, _NO_VAPID_KEY)
        if number is None:
            return rejected(line, record, "this instance has no such VAPID key")
        return replace(dated, address=replace(record.address, vapid_key=number))

    async def _commit(self, records: Sequence[tuple[int, Record]]) -> Outcome:
        async def take(connection: AsyncConnection) -> Outcome:
            page = Page(connection, self._instance, self._most, self._clock(), self._randomness)
            return await page.take(records)

        return await self._commits.of(take)


_NO_VAPID_KEY: Final = (
    "a browser can be sent to only with the VAPID key that it subscribed with, and none is named: "
    "it subscribes again at its next visit"
)


def _without_doubles(
    records: Sequence[tuple[int, Record]],
) -> Iterator[Sequence[tuple[int, Record]]]:
    """Records in groups, in their order; no two in one have an address, id or name in common."""
    group: list[tuple[int, Record]] = []
    seen: set[object] = set()
    for line, record in records:
        names = {address_digest(record.address), ("id", record.id), ("name", record.name)}
        names -= {("id", None), ("name", None)}
        if names & seen:
            yield group
            group, seen = [], set()
        group.append((line, record))
        seen |= names
    if group:
        yield group
