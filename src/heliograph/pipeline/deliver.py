"""
Deliver: one batch goes to one gateway, and each of its devices gets an outcome.

Nothing is stored here; what came of the batch is settled in one commit
(``settle.py``). If we die in between, the batch is delivered again, each message
under the id that it had the first time.
"""

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from heliograph.encryption.bodies import Encryption
from heliograph.errors import EgressDenied, NotProcessed, TransportError
from heliograph.gateways import fcm, webpush
from heliograph.gateways.contract import (
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.instances import Instance
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import (
    ApnsMessage,
    DeviceNumber,
    FcmCredentials,
    FcmMessage,
    Gateway,
    Message,
    WebMessage,
)
from heliograph.pipeline.couriers.apns import ApnsCourier
from heliograph.pipeline.couriers.contract import Courier, Outcomes, Parcel
from heliograph.pipeline.couriers.fcm import FcmCourier
from heliograph.pipeline.couriers.web import WebCourier
from heliograph.pipeline.couriers.website import OfItsOwn
from heliograph.pipeline.editions import editions
from heliograph.pipeline.replies import Replies
from heliograph.storage.devices import Recipient
from heliograph.storage.publishes import Publish
from heliograph.transport.client import Client
from heliograph.transport.pace import Pace, Paces
from heliograph.transport.shelf import Shelf
from heliograph.transport.tokens import AccessTokens, ProviderTokens, VapidTokens
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import ACCEPTED

SENDS: Final = 3
"""How often a message goes out at most while connections fail it."""

FCM_RATE: Final = 600_000
"""Messages a minute that Google lets a project send unless told otherwise."""


class Deliver:
    """Couriers for the three gateways, and what they carry: tokens, keys and budgets."""

    def __init__(
        self,
        client: Client,
        encryption: Encryption,
        *,
        vapid_subject: str,
        fcm_rate: int = FCM_RATE,
        shelf: Shelf | None = None,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Send through a client; tokens are made when first needed.

        Args:
            client: The way out.
            encryption: What makes messages unreadable to all but one browser.
            vapid_subject: How a push service reaches the operator.
            fcm_rate: Messages a minute for each Google project, at most.
            shelf: Where tokens are kept for other processes; None means for nobody.
            clock: The time.
            monotonic: Seconds from wherever, for the pace.
            sleep: Lets so many seconds pass.
        """
        self._client = client
        self._encryption = encryption
        self._provider_tokens = ProviderTokens(clock, shelf)
        self._access_tokens = AccessTokens(client, clock, shelf)
        self._vapid_tokens = VapidTokens(vapid_subject, clock)
        self.paces = Paces(fcm_rate, monotonic)
        """How fast Google's projects are sent to; to be shared where others send, too."""
        self._clock = clock
        self._sleep = sleep

    async def deliver(
        self,
        publish: Publish,
        instance: Instance,
        gateway: Gateway,
        devices: Sequence[Recipient],
        replies: Replies | None = None,
    ) -> dict[DeviceNumber, Outcome]:
        """
        Send a publish to devices of one gateway; what each was answered.

        When, and with which status, is noted in ``replies``.
        """
        outcomes: Outcomes = {}
        for message, some in editions(publish.messages, gateway, devices):
            courier = self._courier(publish, instance, gateway, message)
            if isinstance(courier, Refused | Rejected):
                outcomes |= dict.fromkeys((device.number for device in some), courier)
            else:
                outcomes |= await self.carry(courier, some, replies)
        return outcomes

    async def carry(
        self, courier: Courier, devices: Sequence[Recipient], replies: Replies | None = None
    ) -> Outcomes:
        """Let a courier send to devices, again where that is free; what each was answered."""
        outcomes: Outcomes = {}
        replies = replies or Replies()
        left = devices
        for _ in range(SENDS):
            await self._round(courier, left, outcomes, replies)
            if set(map(type, outcomes.values())) == {Sent}:
                return outcomes
            left = [
                each
                for each in left
                if type(outcome := outcomes[each.number]) is not Sent
                and courier.goes_again(each, outcome)
            ]
            if not left:
                break
            replies.forget(left)
        for device in left:
            outcomes[device.number] = _given_up(outcomes[device.number])
        return outcomes

    def _courier(
        self, publish: Publish, instance: Instance, gateway: Gateway, message: Message | None
    ) -> Courier | Refused | Rejected:
        age = self._clock() - publish.accepted_at
        match message:
            case ApnsMessage() if message is publish.messages.safari and instance.website:
                website = ApnsCourier(
                    publish.id, message, instance.website, tokens=self._provider_tokens
                )
                return OfItsOwn(website)
            case ApnsMessage() if instance.apns is not None:
                return ApnsCourier(
                    publish.id,
                    message,
                    instance.apns,
                    tokens=self._provider_tokens,
                )
            case FcmMessage() if instance.fcm is not None:
                return FcmCourier(
                    fcm.aged(message, age),
                    instance.fcm,
                    tokens=self._access_tokens,
                    pace=self._pace(instance.fcm),
                    clock=self._clock,
                    sleep=self._sleep,
                )
            case WebMessage():
                return WebCourier(
                    webpush.aged(message, age),
                    instance.vapid_of,
                    encryption=self._encryption,
                    tokens=self._vapid_tokens,
                )
            case None:
                return Rejected("NothingForPlatform")
            case _:
                return Refused(f"No{gateway.capitalize()}Credentials")

    def _pace(self, credentials: FcmCredentials) -> Pace:
        project = f"{credentials.endpoint}/{credentials.service_account.project_id}"
        return self.paces.of(project)

    async def _round(
        self, courier: Courier, devices: Sequence[Recipient], outcomes: Outcomes, replies: Replies
    ) -> None:
        """Send to each device once; afterwards each has an outcome."""
        under_way: list[asyncio.Task[None]] = []
        problem: Exception | None = None
        try:
            async for parcel in courier.pack(devices, outcomes):
                task = asyncio.create_task(self._take(parcel, courier, outcomes, replies))
                under_way.append(task)
            await asyncio.gather(*under_way)
        except Exception as error:  # noqa: BLE001  (whatever it is, the others were sent)
            problem = error
            await asyncio.gather(*under_way, return_exceptions=True)
        finally:
            for task in under_way:
                task.cancel()
        if problem is not None:
            name = type(problem).__name__
            log().error(Event.WORKER_FAILED, problem=name, exc_info=problem)
            for device in devices:
                outcomes.setdefault(device.number, Unavailable(name))

    async def _take(
        self, parcel: Parcel, courier: Courier, outcomes: Outcomes, replies: Replies
    ) -> None:
        took = array("H")
        results = await self._client.exchange(
            parcel.destination, parcel.template, parcel.values, took=took
        )
        replies.note_times(parcel.devices, took)
        now, accepted, usual, taken = self._clock(), parcel.accepted, parcel.usual, parcel.taken
        if usual == ACCEPTED.status and set(map(id, results)) == {id(ACCEPTED)}:
            outcomes.update(dict.fromkeys([device.number for device in parcel.devices], accepted))
            return  # as nearly always; what is below comes to the same
        for device, result in zip(parcel.devices, results, strict=True):
            if not isinstance(result, HttpResponse):
                replies.note_silence(device.number)
                outcomes[device.number] = _unsent(courier, result)
            elif result.status == usual:
                outcomes[device.number] = accepted
            else:
                replies.note_status(device.number, result.status)
                is_taken = result.status in taken
                judged = accepted if is_taken else courier.judge(parcel, device, result, now)
                outcomes[device.number] = judged


def _unsent(courier: Courier, problem: TransportError) -> Outcome:
    """What it means that no reply came."""
    if isinstance(problem, EgressDenied):
        return Suspect("EndpointNotPublic")
    if isinstance(problem, NotProcessed) and (meant := courier.goodbye(problem.said)):
        return meant
    return Unavailable(str(problem))


def _given_up(outcome: Outcome) -> Outcome:
    """The last outcome, after as many tries as are free."""
    if isinstance(outcome, Interrupted) and outcome.renew_token:
        return Refused(outcome.reason)  # a fresh token did not help: the clock, or the key
    return outcome
