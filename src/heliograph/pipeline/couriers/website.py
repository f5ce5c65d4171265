"""A web site's own certificate, which says nothing of the lane that it shares with apps."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from heliograph.gateways.contract import Outcome, Refused, Rejected
from heliograph.pipeline.couriers.contract import Courier, Outcomes, Parcel
from heliograph.storage.devices import Recipient
from heliograph.wire.http import HttpResponse


class OfItsOwn:
    """
    A courier whose credentials are at fault only for what it carries.

    Were Apple's refusal of a web site's certificate told as it is, the lane of the apps would
    be paused, whose credentials are good.
    """

    def __init__(self, courier: Courier) -> None:
        """Stand before a courier."""
        self._courier = courier

    async def pack(self, devices: Sequence[Recipient], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """As the courier does."""
        async for parcel in self._courier.pack(devices, outcomes):
            yield parcel
        for device in devices:
            if device.number in outcomes:
                outcomes[device.number] = _alone(outcomes[device.number])

    def judge(
        self, parcel: Parcel, device: Recipient, response: HttpResponse, now: datetime
    ) -> Outcome:
        """As the courier does, but that a refusal is the message's end."""
        return _alone(self._courier.judge(parcel, device, response, now))

    def goodbye(self, said: bytes) -> Outcome | None:
        """As the courier does, but that a refusal is the message's end."""
        meant = self._courier.goodbye(said)
        return None if meant is None else _alone(meant)

    def goes_again(self, device: Recipient, outcome: Outcome) -> bool:
        """As the courier does."""
        return self._courier.goes_again(device, outcome)


def _alone(outcome: Outcome) -> Outcome:
    return Rejected(outcome.reason) if isinstance(outcome, Refused) else outcome
