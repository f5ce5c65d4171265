"""
What gateways answered to one batch, besides what it means: when, and with which status.

Nothing is done per device that was taken as usual: a parcel's times are kept as they
come, and brought into the order of the batch once, where they are stored.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

from heliograph.model import DeviceNumber
from heliograph.storage.columns import Milliseconds
from heliograph.storage.devices import Recipient
from heliograph.storage.outcomes import Answers


class Replies:
    """Those to one batch, noted while they come."""

    def __init__(self, began_at: datetime | None = None) -> None:
        """
        Begin with none.

        Args:
            began_at: When devices were looked up. Who registers later than that is alive,
                whatever the gateway said; None if nobody knows.
        """
        self.began_at = began_at
        self._parcels: list[tuple[Sequence[Recipient], array[int]]] = []
        self._statuses: dict[DeviceNumber, int] = {}
        self._unanswered: set[DeviceNumber] = set()

    def note_times(self, devices: Sequence[Recipient], took: "array[int]") -> None:
        """Keep how long the replies to a parcel took: milliseconds, in an array of type ``H``."""
        self._parcels.append((devices, took))

    def note_status(self, device: DeviceNumber, status: int) -> None:
        """Keep a status that is not the usual one of what is taken."""
        self._statuses[device] = status

    def note_silence(self, device: DeviceNumber) -> None:
        """Keep that no reply came, and so none after any time."""
        self._unanswered.add(device)

    def forget(self, devices: Iterable[Recipient]) -> None:
        """Forget what came for devices that are asked for once more."""
        for device in devices:
            self._statuses.pop(device.number, None)
            self._unanswered.discard(device.number)

    def answers(self, devices: "array[int]") -> Answers:
        """All of it, in the order of a batch's devices."""
        return Answers(self._took(devices), self._statuses)

    def _took(self, devices: "array[int]") -> "array[int] | None":
        if not self._parcels:
            return None
        took = self._joined() if self._is_in_order(len(devices)) else self._sorted(devices)
        for number in self._unanswered:
            took[bisect_left(devices, number)] = Milliseconds.UNKNOWN
        return took

    def _is_in_order(self, count: int) -> bool:
        """Whether the parcels, of which each is in order, are the batch one after another."""
        filled = [devices for devices, _ in self._parcels if devices]
        return sum(map(len, filled)) == count and all(
            before[-1].number < after[0].number for before, after in pairwise(filled)
        )

    def _joined(self) -> "array[int]":
        took = array("H")
        for _, some in self._parcels:
            took += some
        return took

    def _sorted(self, devices: "array[int]") -> "array[int]":
        found: dict[int, int] = {}
        for recipients, some in self._parcels:
            found.update(zip([each.number for each in recipients], some, strict=True))
        return array("H", [found.get(number, Milliseconds.UNKNOWN) for number in devices])
