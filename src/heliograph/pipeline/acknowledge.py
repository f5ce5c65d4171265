"""
Acknowledge: what devices say of a publish is kept once, counted, and passed on.

A device says that it has a publish, and that somebody has opened it there. All who speak
while a commit is under way share the next one. What is said of a publish or a device that
there is not is no news, and no fault: the device may just have been cleared.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.instances import Instance
from heliograph.metrics import Metrics
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    Gateway,
    PublishId,
    PublishNumber,
    ToUsers,
    UserId,
    derived_uuid,
)
from heliograph.notices import Delivered, Opened, Progressed, Subject
from heliograph.pipeline import notify
from heliograph.queue.contract import Queue
from heliograph.storage import occupants, publishes, receipts
from heliograph.storage.database import Database
from heliograph.storage.grouped import Grouped
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.occupants import Occupied
from heliograph.storage.publishes import Sketch
from heliograph.storage.receipts import Receipt, What
from heliograph.storage.telling import News, tell_news
from heliograph.storage.work import Call

MOST_WAITING: Final = 20_000
"""Reports that wait for a commit: some seconds' worth, and a few MB."""

Heard = Literal["counted", "repeated", "unknown"]
"""News; said before; of a publish or a device that there is not."""

_SUBJECTS: Final[Mapping[What, Subject]] = {
    "delivered": Subject.DELIVERED,
    "opened": Subject.OPENED,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a device says."""

    what: What
    publish: PublishId
    device: DeviceId
    user: UserId | None
    """Who is logged in, as the device says; None if it does not."""


@dataclass(frozen=True, slots=True)
class _Said:
    instance: Instance
    report: Report


@dataclass(frozen=True, slots=True)
class _News:
    """A report of which we know whom and what it is about."""

    said: _Said
    sketch: Sketch
    device: Occupied

    @property
    def user(self) -> UserId | None:
        """Who is logged in, if the device and we agree; its word alone proves nothing."""
        claimed = self.said.report.user
        return self.device.user if claimed in (None, self.device.user) else None

    @property
    def key(self) -> tuple[PublishNumber, DeviceNumber]:
        """What makes two reports the same."""
        return self.sketch.number, self.device.number


class Acknowledge:
    """Where every dialect passes on what devices say."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        """Keep what is said in a database, and tell its queue of calls that follow."""
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._reports: Grouped[_Said, Heard] = Grouped(
            self._commit, most_together=MOST_ROWS, most_waiting=MOST_WAITING
        )

    async def hear(self, instance: Instance, report: Report) -> Heard:
        """
        Keep a report; return when it is committed.

        Raises:
            Overloaded: Too many wait for a commit already; it was not kept.
        """
        heard = await self._reports.add(_Said(instance, report))
        self._metrics.reports.labels(report.what, heard).inc()
        return heard

    async def _commit(self, group: Sequence[_Said]) -> Sequence[Heard]:
        calls: list[Call] = []
        heard: dict[int, Heard] = {}
        now = self._clock()
        async with self._database.write() as connection:
            known = await _recognise(connection, group)
            for what in _SUBJECTS:
                said = {i: each for i, each in known.items() if each.said.report.what == what}
                fresh = await _keep(connection, what, list(said.values()), now)
                first: dict[tuple[PublishNumber, DeviceNumber], _News] = {}
                for i, each in said.items():
                    is_news = each.key in fresh and each.key not in first
                    heard[i] = "counted" if is_news else "repeated"
                    first.setdefault(each.key, each)
                calls += await _tell(
                    connection, what, [each for key, each in first.items() if key in fresh], now
                )
        if calls:
            await self._queue.announce(calls)
        return [heard.get(i, "unknown") for i in range(len(group))]


async def _recognise(connection: AsyncConnection, group: Sequence[_Said]) -> dict[int, _News]:
    """Of which reports we know publish and device, by their places in the group."""
    sketches = await publishes.sketches(connection, {each.report.publish for each in group})
    devices = await occupants.of_devices(
        connection, {(each.instance.number, each.report.device) for each in group}
    )
    found: dict[int, _News] = {}
    for place, each in enumerate(group):
        sketch = sketches.get(each.report.publish)
        device = devices.get((each.instance.number, each.report.device))
        if sketch and device and sketch.instance == each.instance.number:
            found[place] = _News(each, sketch, device)
    return found


async def _keep(
    connection: AsyncConnection, what: What, said: Sequence[_News], now: datetime
) -> set[tuple[PublishNumber, DeviceNumber]]:
    """Keep and count what is news; which that is."""
    rows = {each.key: Receipt(*each.key, each.user) for each in reversed(said)}
    fresh = await receipts.add(connection, what, list(rows.values()), now=now)
    gateways: dict[tuple[PublishNumber, DeviceNumber], Gateway] = {
        each.key: each.device.gateway for each in said
    }
    counts = Counter((key[0], gateways[key], what) for key in fresh)
    await publishes.add_echoes(connection, counts)
    return fresh


async def _tell(
    connection: AsyncConnection, what: What, news: Sequence[_News], now: datetime
) -> Sequence[Call]:
    """Tell webhooks of what people to whom a publish was addressed have, or have opened."""
    return await tell_news(
        connection, [notice for each in news for notice in _notices(what, each)], now=now
    )


def _notices(what: What, news: _News) -> Iterator[News]:
    instance, target, user = news.said.instance, news.sketch.target, news.user
    number, publish = instance.number, news.sketch.number
    if Subject.PROGRESSED in instance.subjects:
        progress = Progressed(what, news.device.platform, (news.device.name,))
        yield notify.news_of(number, publish, progress)
    if _SUBJECTS[what] not in instance.subjects or user is None:
        return
    if isinstance(target, ToUsers) and user in target.users:
        event = derived_uuid(_SUBJECTS[what], *map(int, news.key))
        notice = Delivered(user) if what == "delivered" else Opened(user)
        yield News(number, publish, notice, event)
