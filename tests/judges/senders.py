"""The product's way of sending, for judges that are servers: couriers, and what they are told."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from builders import Workshop, apns_credentials, to_users, workshop_in
from heliograph.gateways.contract import Outcome, Unavailable
from heliograph.instances import Instance
from heliograph.model import (
    ApnsAddress,
    ApnsMessage,
    DeviceNumber,
    Gateway,
    Messages,
    delivery_ids,
)
from heliograph.pipeline.deliver import Deliver
from heliograph.storage.devices import Recipient, recipient
from heliograph.storage.publishes import Publish
from heliograph.transport.client import Client
from heliograph.transport.connection import Patience

PAYLOAD: Final = b'{"aps":{"alert":"' + b"Hello! " * 100 + b'"}}'
"""Long enough to be worth splitting, and shorter than a frame."""

_NOT_PROCESSED: Final = ("GOAWAY", "RST_STREAM REFUSED_STREAM", "the peer could not be reached")
"""Reasons that promise that nothing was taken."""


@dataclass(slots=True)
class Sender:
    """A publish that is taken to devices by their tokens."""

    deliver: Deliver
    publish: Publish
    instance: Instance

    @classmethod
    @asynccontextmanager
    async def to(
        cls, origin: str, ca: str, folder: Path, patience: Patience | None = None
    ) -> AsyncIterator["Sender"]:
        """One whose APNs is at this address; its connections end with the block."""
        client = Client(patience=patience)
        async with workshop_in(folder) as workshop:
            try:
                yield await cls._made(workshop, client, origin, ca)
            finally:
                await client.close()

    @classmethod
    async def _made(cls, workshop: Workshop, client: Client, origin: str, ca: str) -> "Sender":
        instance = await workshop.instance(apns=apns_credentials(endpoint=origin, ca=ca))
        messages = Messages(apns=ApnsMessage(PAYLOAD))
        identity = await workshop.publish(instance, to_users("alice"), messages)
        return cls(workshop.deliver(client), await workshop.found(instance, identity), instance)

    async def send(self, tokens: Sequence[str]) -> dict[str, Outcome]:
        """What became of the message to each device."""
        devices = [device_of(token) for token in tokens]
        outcomes = await self.deliver.deliver(self.publish, self.instance, Gateway.APNS, devices)
        return {
            token: outcomes[device.number] for token, device in zip(tokens, devices, strict=True)
        }

    def apns_id(self, token: str) -> str:
        """The id that every attempt to reach a device carries."""
        (identity,) = delivery_ids(self.publish.id)([device_of(token).number])
        return identity.decode()


def tokens(number: int) -> list[str]:
    """So many device tokens, none of which was given out before."""
    return [f"{next(_serial):064x}" for _ in range(number)]


_serial: Final = count(1)


def device_of(token: str) -> Recipient:
    """The device with this token."""
    number = DeviceNumber(int(token, 16))
    return recipient(number, ApnsAddress(token))


def is_unanswered(outcome: Outcome) -> bool:
    """Whether the message may have been taken although nobody said so."""
    return isinstance(outcome, Unavailable) and not outcome.reason.startswith(_NOT_PROCESSED)


def kinds(outcomes: dict[str, Outcome]) -> Counter[str]:
    """How many of each kind of outcome there are."""
    return Counter(type(outcome).__name__ for outcome in outcomes.values())
