"""
Deliver: one batch goes to one gateway, and each of its devices gets an outcome.

Nothing is stored here; what came of the batch is settled in one commit
(``settle.py``). If we die in between, the batch is delivered again, each message
under the id that it had the first time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.errors import EgressDenied, TransportError
from heliograph.gateways import apns, fcm, webpush
from heliograph.gateways.contract import Interrupted, Outcome, Refused, Suspect, Unavailable
from heliograph.instances import Instance, Randomness
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import (
    ApnsAddress,
    ApnsCredentials,
    DeviceNumber,
    FcmAddress,
    Gateway,
    WebAddress,
    delivery_id,
)
from heliograph.storage.devices import Device
from heliograph.storage.publishes import Publish
from heliograph.transport.client import Client
from heliograph.transport.tokens import AccessTokens, ProviderTokens, VapidTokens
from heliograph.wire import ece

IN_FLIGHT: Final = 200
"""Requests of one batch that may wait for their replies at once."""

SENDS: Final = 3
"""How often a message goes out at most while connections fail it."""

_Courier = Callable[[Device], Awaitable[Outcome]]
"""Takes one publish to one device and comes back with what the gateway said."""


class Deliver:
    """Couriers for the three gateways, and what they carry: tokens and connections."""

    def __init__(
        self,
        client: Client,
        *,
        vapid_subject: str,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """Send through a client; tokens are made when first needed."""
        self._client = client
        self._provider_tokens = ProviderTokens(clock)
        self._access_tokens = AccessTokens(client, clock)
        self._vapid_tokens = VapidTokens(vapid_subject, clock)
        self._clock = clock
        self._randomness = randomness

    async def deliver(
        self, publish: Publish, instance: Instance, gateway: Gateway, devices: Sequence[Device]
    ) -> dict[DeviceNumber, Outcome]:
        """Send a publish to devices of one gateway; what each was answered."""
        courier = self._courier(publish, instance, gateway)
        places = asyncio.Semaphore(IN_FLIGHT)

        async def send(device: Device) -> tuple[DeviceNumber, Outcome]:
            async with places:
                return device.number, await _persist(courier, device)

        return dict(await asyncio.gather(*[send(device) for device in devices]))

    def _courier(self, publish: Publish, instance: Instance, gateway: Gateway) -> _Courier:
        match gateway:
            case Gateway.APNS:
                return self._apns_courier(publish, instance)
            case Gateway.FCM:
                return self._fcm_courier(publish, instance)
            case Gateway.WEB:
                return self._web_courier(publish, instance)

    def _apns_courier(self, publish: Publish, instance: Instance) -> _Courier:
        message, credentials = publish.messages.apns, instance.apns
        if message is None or not isinstance(credentials, ApnsCredentials):
            return _unable(Refused("NoApnsCredentials"))

        async def send(device: Device) -> Outcome:
            assert isinstance(device.address, ApnsAddress)  # noqa: S101  (its lane says so)
            request = apns.request(
                message,
                device.address,
                credentials=credentials,
                token=self._provider_tokens.current(credentials),
                apns_id=delivery_id(publish.id, device.id),
            )
            response = await self._client.send(request, ca=credentials.ca)
            outcome = apns.outcome(response, now=self._clock())
            if isinstance(outcome, Interrupted) and outcome.renew_token:
                self._provider_tokens.renew(credentials)
            return outcome

        return send

    def _fcm_courier(self, publish: Publish, instance: Instance) -> _Courier:
        message, credentials = publish.messages.fcm, instance.fcm
        if message is None or credentials is None:
            return _unable(Refused("NoFcmCredentials"))

        async def send(device: Device) -> Outcome:
            assert isinstance(device.address, FcmAddress)  # noqa: S101  (its lane says so)
            token = await self._access_tokens.current(credentials)
            if not isinstance(token, str):
                return token
            request = fcm.request(message, device.address, credentials=credentials, token=token)
            response = await self._client.send(request, ca=credentials.ca)
            outcome = fcm.outcome(response, now=self._clock())
            if isinstance(outcome, Interrupted) and outcome.renew_token:
                self._access_tokens.forget(credentials, token)
            return outcome

        return send

    def _web_courier(self, publish: Publish, instance: Instance) -> _Courier:
        message = publish.messages.web
        if message is None:
            return _unable(Refused("NoWebMessage"))

        async def send(device: Device) -> Outcome:
            assert isinstance(device.address, WebAddress)  # noqa: S101  (its lane says so)
            try:
                request = webpush.request(
                    message,
                    device.address,
                    authorization=self._vapid_tokens.current(
                        instance.vapid, device.address.endpoint
                    ),
                    private_key=self._message_key(),
                    salt=self._randomness(16),
                )
            except ValueError:
                return Suspect("UnusableSubscription")
            response = await self._client.send(request, guarded=True)
            return webpush.outcome(response, now=self._clock())

        return send

    def _message_key(self) -> ec.EllipticCurvePrivateKey:
        """A key pair for one message (RFC 8291 §3.1), forgotten with it."""
        while True:
            try:
                return ece.private_key_of(self._randomness(32))
            except ValueError:  # one scalar in four thousand million is none
                continue


async def _persist(courier: _Courier, device: Device) -> Outcome:
    """Send again while it is free to: the connection failed, not the message."""
    outcome: Outcome = Unavailable("NotSent")
    for _ in range(SENDS):
        try:
            outcome = await courier(device)
        except EgressDenied:
            return Suspect("EndpointNotPublic")
        except TransportError as problem:
            return Unavailable(str(problem))
        except Exception as problem:  # noqa: BLE001  (whatever it is, its siblings were sent)
            name = type(problem).__name__
            log().error(
                Event.WORKER_FAILED, device_number=device.number, problem=name, exc_info=True
            )
            return Unavailable(name)
        if not isinstance(outcome, Interrupted):
            return outcome
    if isinstance(outcome, Interrupted) and outcome.renew_token:
        return Refused(outcome.reason)  # a fresh token did not help: the clock, or the key
    return outcome


def _unable(outcome: Outcome) -> _Courier:
    async def answer(_device: Device) -> Outcome:
        return outcome

    return answer
