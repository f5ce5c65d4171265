"""
What arrived, device by device.

Entries are kept as the JSON they are shown as, because they are written once and mostly read
by the thousand. When the inbox is full the oldest entry makes room.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Final

import msgspec

from heliograph.sandbox.devices import Device

CAPACITY: Final = 100_000
"""How many entries are kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One notification as its device received it."""

    id: int
    device: Device
    json: bytes
    """The entry as ``GET /inbox`` shows it."""

    def read(self) -> dict[str, object]:
        """The entry's fields."""
        return msgspec.json.decode(self.json, type=dict[str, object])


class Inbox:
    """The last `CAPACITY` notifications, oldest first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: deque[Entry] = deque()
        self._by_device: dict[str, list[Entry]] = {}
        self._last_id = 0
        self._encoder = msgspec.json.Encoder()
        self._listeners: set[Callable[[], None]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last_id(self) -> int:
        """The newest entry's id, counting from 1 and never again; 0 before the first."""
        return self._last_id

    def record(
        self,
        device: Device,
        *,
        headers: Mapping[str, str],
        payload: object,
        now: datetime,
        note: str | None = None,
    ) -> None:
        """
        Keep one more notification.

        Args:
            device: Who received it.
            headers: The request's, free of secrets.
            payload: JSON, or text, or None if it could not be read.
            now: When it arrived.
            note: Why the payload could not be read.
        """
        self._last_id += 1
        shown: dict[str, object] = {
            "id": self._last_id,
            "token": device.token,
            "time": timestamp(now),
            "gateway": device.platform.value,
            "headers": headers,
            "payload": payload,
        }
        if device.environment is not None:
            shown["environment"] = device.environment.value
        if note is not None:
            shown["note"] = note
        entry = Entry(self._last_id, device, self._encoder.encode(shown))
        self._entries.append(entry)
        own = self._by_device.pop(device.key, [])
        own.append(entry)
        self._by_device[device.key] = own  # last: the order is that of recent activity
        if len(self._entries) > self._capacity:
            self._forget_oldest()
        self.announce()

    def entries(self, device: Device | None = None, *, after: int = 0) -> list[Entry]:
        """What arrived for one device, or for all, after the entry with this id."""
        if device is None:
            newer = self._last_id - after
            start = max(len(self._entries) - newer, 0) if after else 0
            return list(islice(self._entries, start, None))
        own = self._by_device.get(device.key, [])
        return own[bisect_right(own, after, key=attrgetter("id")) :]

    def latest(self, count: int) -> list[Entry]:
        """At most this many entries, the newest ones, oldest first."""
        return list(islice(self._entries, max(len(self._entries) - count, 0), None))

    def recently_active(self, count: int) -> list[Device]:
        """At most this many devices that received something, the latest first."""
        lists = islice(reversed(self._by_device.values()), count)
        return [own[-1].device for own in lists]

    def clear(self) -> None:
        """Empty the inbox; ids go on where they were."""
        self._entries.clear()
        self._by_device.clear()
        self.announce()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this after each change, until it is told to `ignore`."""
        self._listeners.add(listener)

    def ignore(self, listener: Callable[[], None]) -> None:
        """Stop calling this one."""
        self._listeners.discard(listener)

    def announce(self) -> None:
        """Tell the listeners that something is to be seen."""
        for listener in self._listeners:
            listener()

    def _forget_oldest(self) -> None:
        oldest = self._entries.popleft()
        own = self._by_device[oldest.device.key]
        del own[0]
        if not own:
            del self._by_device[oldest.device.key]


def json_list(entries: Iterable[Entry], *, chunk: int = 500) -> Iterator[bytes]:
    """A JSON list of the entries, in pieces of this many."""
    entries = iter(entries)
    lead = b"["
    while piece := list(islice(entries, chunk)):
        yield lead + b",".join(entry.json for entry in piece)
        lead = b","
    yield b"]" if lead == b"," else b"[]"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
