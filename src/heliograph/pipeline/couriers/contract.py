"""What every courier does."""

import contextlib
from collections.abc import AsyncIterator, Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from heliograph.gateways.contract import Outcome, Sent, Suspect
from heliograph.model import DeviceNumber
from heliograph.storage.devices import Recipient
from heliograph.transport.client import Destination
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Template, Values

SENT = Sent()

Outcomes = dict[DeviceNumber, Outcome]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one destination: what its requests share, and what each has of its own."""

    destination: Destination
    template: Template
    devices: Sequence[Recipient]
    values: Sequence[Values]
    accepted: Outcome = SENT
    """What it means if a device's request is taken, which a reply with ``taken`` says."""
    taken: Container[int] = frozenset({200})
    usual: int = 200
    """The one among ``taken`` that is hardly ever another (``outcomes.USUAL_STATUS``)."""


class Courier(Protocol):
    """Takes one publish to devices of one gateway."""

    def pack(self, devices: Sequence[Recipient], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """
        Parcels for these devices, as fast as they may go out.

        A device that cannot be sent to is in no parcel: its outcome is put into
        ``outcomes`` at once.
        """

    def judge(
        self, parcel: Parcel, device: Recipient, response: HttpResponse, now: datetime
    ) -> Outcome:
        """What a reply that came just now, and is not ``taken``, means; never raises."""

    def goodbye(self, said: bytes) -> Outcome | None:
        """What a connection's last words mean for those it did not process; None if nothing."""

    def goes_again(self, device: Recipient, outcome: Outcome) -> bool:
        """
        Whether the device is to be sent to once more at once.

        Asked once for each outcome, it also does what must be done before, such as
        having a token made anew.
        """


def addressed(
    devices: Sequence[Recipient],
    write: Callable[[Sequence[Recipient]], list[Values]],
    outcomes: Outcomes,
) -> tuple[Sequence[Recipient], list[Values]]:
    """
    Devices and their values, but for those whose address cannot be written.

    Args:
        devices: Any.
        write: The values of devices; raises ``ValueError`` if it cannot write one.
        outcomes: Where to say so.
    """
    with contextlib.suppress(ValueError):
        return devices, write(devices)
    fit: list[Recipient] = []
    written: list[Values] = []
    for device in devices:
        try:
            written += write([device])
        except ValueError:
            outcomes[device.number] = Suspect("UnusableAddress")
        else:
            fit.append(device)
    return fit, written
