"""What every courier does."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.gateways.contract import Outcome, Sent, Suspect
from heliograph.model import DeviceNumber
from heliograph.storage.devices import Device
from heliograph.transport.client import Destination
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Template

SENT = Sent()

Outcomes = dict[DeviceNumber, Outcome]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one destination: what its requests share, and what each has of its own."""

    destination: Destination
    template: Template
    devices: Sequence[Device]
    values: Sequence[Sequence[bytes]]
    accepted: Outcome = SENT
    """What it means if a device's request is taken."""


class Courier(Protocol):
    """Takes one publish to devices of one gateway."""

    def pack(self, devices: Sequence[Device], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """
        Parcels for these devices, as fast as they may go out.

        A device that cannot be sent to is in no parcel: its outcome is put into
        ``outcomes`` at once.
        """

    def judge(self, parcel: Parcel, device: Device, response: HttpResponse) -> Outcome:
        """What a reply means for one device; never raises."""

    def goodbye(self, said: bytes) -> Outcome | None:
        """What a connection's last words mean for those it did not process; None if nothing."""

    def goes_again(self, device: Device, outcome: Outcome) -> bool:
        """
        Whether the device is to be sent to once more at once.

        Asked once for each outcome, it also does what must be done before, such as
        having a token made anew.
        """


def addressed(
    devices: Iterable[Device],
    values: Callable[[Device], Sequence[bytes]],
    outcomes: Outcomes,
) -> tuple[list[Device], list[Sequence[bytes]]]:
    """Devices and their values, but for those whose address cannot be written."""
    fit: list[Device] = []
    written: list[Sequence[bytes]] = []
    for device in devices:
        try:
            written.append(values(device))
        except ValueError:
            outcomes[device.number] = Suspect("UnusableAddress")
        else:
            fit.append(device)
    return fit, written
