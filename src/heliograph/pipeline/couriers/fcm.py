"""Android's devices: parcels as large as the project's budget allows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

from heliograph.gateways import fcm
from heliograph.gateways.contract import Interrupted, Outcome, Unavailable
from heliograph.model import FcmCredentials, FcmMessage
from heliograph.pipeline.couriers.contract import Outcomes, Parcel, addressed
from heliograph.storage.devices import FcmRecipient, Recipient
from heliograph.transport.client import Destination
from heliograph.transport.pace import Pace
from heliograph.transport.tokens import AccessTokens
from heliograph.wire import http2
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Values

MAX_LINKS: Final = 32
"""Google allows a hundred requests on a connection, and a project 10,000 a second."""


class FcmCourier:
    """One publish on its way to Android's devices."""

    def __init__(
        self,
        message: FcmMessage,
        credentials: FcmCredentials,
        *,
        tokens: AccessTokens,
        pace: Pace,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Carry a message, and what proves who we are, at the pace of its project."""
        self._message = message
        self._credentials = credentials
        self._tokens = tokens
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._token = ""

    async def pack(self, devices: Sequence[Recipient], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """A parcel whenever the budget has room."""
        token = await self._tokens.current(self._credentials)
        if not isinstance(token, str):
            outcomes.update(dict.fromkeys((device.number for device in devices), token))
            return
        self._token = token
        template = fcm.template(self._message, credentials=self._credentials, token=token)
        origin = http2.split(self._credentials.endpoint or fcm.ENDPOINT)[0]
        destination = Destination(
            origin, ca=self._credentials.ca, max_links=MAX_LINKS, gateway="fcm"
        )
        fit, written = addressed(devices, _write, outcomes)
        start = 0
        while start < len(fit):
            if held := self._pace.held_until(self._clock()):
                self._hold_back(fit[start:], held, outcomes)
                return
            end = start + self._pace.grant(len(fit) - start)
            if end > start:
                yield Parcel(destination, template, fit[start:end], written[start:end])
            else:
                await self._sleep(self._pace.wait(len(fit) - start))
            start = end

    def judge(
        self, parcel: Parcel, device: Recipient, response: HttpResponse, now: datetime
    ) -> Outcome:
        """As the gateway says; what it says of the project holds everybody back."""
        del parcel, device
        outcome = fcm.outcome(response, now=now)
        if isinstance(outcome, Unavailable) and outcome.is_for_all and outcome.retry_after:
            self._pace.hold(until=now + outcome.retry_after)
        return outcome

    def goodbye(self, said: bytes) -> Outcome | None:
        """Google's are about the connection alone."""
        del said
        return None

    def goes_again(self, device: Recipient, outcome: Outcome) -> bool:
        """What the connection or the access token failed."""
        del device
        if not isinstance(outcome, Interrupted):
            return False
        if outcome.renew_token:
            self._tokens.forget(self._credentials, self._token)
        return True

    def _hold_back(self, devices: Sequence[Recipient], until: datetime, outcomes: Outcomes) -> None:
        wait: timedelta = until - self._clock()
        later = Unavailable("QUOTA_EXCEEDED", wait, is_for_all=True)
        outcomes.update(dict.fromkeys((device.number for device in devices), later))


def _write(devices: Sequence[Recipient]) -> list[Values]:
    return fcm.values([each.token for each in cast("Sequence[FcmRecipient]", devices)])
