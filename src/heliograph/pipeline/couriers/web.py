"""Browsers: one parcel for each push service, each message encrypted for one browser."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final, cast

from heliograph.encryption.bodies import Encryption
from heliograph.gateways import webpush
from heliograph.gateways.contract import Outcome, Refused, Suspect, Unavailable
from heliograph.model import Gateway, VapidKeys, WebAddress, WebMessage
from heliograph.pipeline.couriers.contract import Outcomes, Parcel
from heliograph.storage.devices import Recipient, WebRecipient
from heliograph.storage.outcomes import USUAL_STATUS
from heliograph.transport.client import Destination
from heliograph.transport.tokens import VapidTokens
from heliograph.wire import http2
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Values

AT_ONCE: Final = 256
"""Messages that are encrypted before the first of them goes out."""

_UNUSABLE: Final = Suspect("UnusableSubscription")
_NEW_KEY: Final = Unavailable("NewVapidKey")
"""The pair was made by another process a moment ago, and we have not read it yet."""


class WebCourier:
    """One publish on its way to browsers."""

    def __init__(
        self,
        message: WebMessage,
        keys_of: Callable[[WebAddress], VapidKeys | None],
        *,
        encryption: Encryption,
        tokens: VapidTokens,
    ) -> None:
        """
        Carry a message, and what it is signed and encrypted with.

        Args:
            message: What to send.
            keys_of: The pair that a subscription is bound to; None if we do not know it yet.
            encryption: What makes it unreadable to all but one browser.
            tokens: What proves who we are.
        """
        self._message = message
        self._keys_of = keys_of
        self._encryption = encryption
        self._tokens = tokens

    async def pack(self, devices: Sequence[Recipient], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """Parcels by push service, as fast as messages are encrypted."""
        for start in range(0, len(devices), AT_ONCE):
            some = devices[start : start + AT_ONCE]
            addresses = [cast("WebRecipient", device).address for device in some]
            bodies = await self._encryption.bodies(self._message.payload, addresses)
            for parcel in self._parcels(some, addresses, bodies, outcomes):
                yield parcel

    def judge(
        self, parcel: Parcel, device: Recipient, response: HttpResponse, now: datetime
    ) -> Outcome:
        """As the gateway says; but a stranger's refusal is about that stranger alone."""
        del device
        outcome = webpush.outcome(response, now=now)
        if isinstance(outcome, Refused) and not webpush.is_known(parcel.destination.origin):
            return Unavailable(outcome.reason)
        return outcome

    def goodbye(self, said: bytes) -> Outcome | None:
        """Nothing that any push service has documented."""
        del said
        return None

    def goes_again(self, device: Recipient, outcome: Outcome) -> bool:
        """Never: no push service has a reply that asks for it."""
        del device, outcome
        return False

    def _parcels(
        self,
        devices: Sequence[Recipient],
        addresses: Sequence[WebAddress],
        bodies: Sequence[bytes | None],
        outcomes: Outcomes,
    ) -> list[Parcel]:
        sorted_out: dict[tuple[str, VapidKeys], tuple[list[Recipient], list[Values]]] = defaultdict(
            lambda: ([], [])
        )
        for device, address, body in zip(devices, addresses, bodies, strict=True):
            place, keys = _place(address), self._keys_of(address)
            if body is None or place is None:
                outcomes[device.number] = _UNUSABLE
            elif keys is None:
                outcomes[device.number] = _NEW_KEY
            else:
                origin, path = place
                fit, written = sorted_out[origin, keys]
                fit.append(device)
                written.append(webpush.values(path, body))
        parcels = []
        for (origin, keys), (fit, written) in sorted_out.items():
            try:
                parcels.append(self._parcel(origin, keys, fit, written))
            except ValueError:  # the origin of no http(s) address
                outcomes.update(dict.fromkeys((device.number for device in fit), _UNUSABLE))
        return parcels

    def _parcel(
        self,
        origin: str,
        keys: VapidKeys,
        devices: Sequence[Recipient],
        written: Sequence[Values],
    ) -> Parcel:
        authorization = self._tokens.current(keys, origin)
        return Parcel(
            Destination(origin, is_guarded=True, gateway="web"),
            webpush.template(self._message, origin=origin, authorization=authorization),
            devices,
            written,
            taken=webpush.TAKEN,
            usual=USUAL_STATUS[Gateway.WEB],
        )


def _place(address: WebAddress) -> tuple[str, str] | None:
    """Origin and path of a browser's endpoint; None if it is no address."""
    try:
        return http2.split(address.endpoint)
    except ValueError:
        return None
