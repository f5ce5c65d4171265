"""Apple's devices: one parcel for each environment and topic."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import cast

from heliograph.gateways import apns
from heliograph.gateways.apple_certificate import TOKEN_ONLY_PUSH_TYPES
from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
)
from heliograph.model import (
    ApnsCredentials,
    ApnsIdentity,
    ApnsMessage,
    DeviceNumber,
    Environment,
    PublishId,
    delivery_ids,
)
from heliograph.pipeline.couriers.contract import SENT, Outcomes, Parcel, addressed
from heliograph.storage.devices import ApnsRecipient, Recipient
from heliograph.transport.client import Destination
from heliograph.transport.tokens import ProviderTokens
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Values

_Kind = tuple[str | None, str | None, bool]
"""Environment, topic, and whether it is tried elsewhere than it is thought to be."""


class ApnsCourier:
    """One publish on its way to Apple's devices."""

    def __init__(
        self,
        publish: PublishId,
        message: ApnsMessage,
        credentials: ApnsIdentity,
        *,
        tokens: ProviderTokens,
    ) -> None:
        """Carry a message, and what proves who we are."""
        self._delivery_ids = delivery_ids(publish)
        self._message = message
        self._credentials = credentials
        self._tokens = tokens
        self._token = ""
        self._home = apns.home(credentials)
        self._elsewhere: set[DeviceNumber] = set()
        """Those who are tried in the environment that they were not thought to be in."""

    async def pack(self, devices: Sequence[Recipient], outcomes: Outcomes) -> AsyncIterator[Parcel]:
        """Parcels by environment and topic."""
        for (known, bundle_id, is_elsewhere), some in self._sorted_out(devices):
            environment = Environment(known or self._home)
            if is_elsewhere:
                environment = apns.OTHER[environment]
            if unfit := self._unfit(environment):
                outcomes.update(dict.fromkeys((device.number for device in some), unfit))
                continue
            topic = apns.topic(self._message, bundle_id or self._credentials.topic)
            accepted = Sent(environment=environment) if is_elsewhere else SENT
            yield await self._parcel(environment, topic, some, outcomes, accepted=accepted)

    def judge(
        self, parcel: Parcel, device: Recipient, response: HttpResponse, now: datetime
    ) -> Outcome:
        """As the gateway says; after trying both environments, as both of them say."""
        del parcel
        outcome = apns.outcome(response, now=now)
        if device.number not in self._elsewhere:
            return outcome
        match outcome:
            case Suspect(reason=apns.WRONG_ENVIRONMENT as reason):
                return Gone(f"{reason} in both environments", now)
            case Refused() | Rejected():
                # The key may not be good there, and that is no news of the lane.
                return Suspect(apns.WRONG_ENVIRONMENT)
            case _:
                return outcome

    def goodbye(self, said: bytes) -> Outcome | None:
        """As the gateway says."""
        return apns.goodbye(said)

    def goes_again(self, device: Recipient, outcome: Outcome) -> bool:
        """What the connection or the token failed; once, what may be in the other environment."""
        match outcome:
            case Interrupted():
                if outcome.renew_token and isinstance(self._credentials, ApnsCredentials):
                    self._tokens.forget(self._credentials, self._token)
                return True
            case Suspect(reason=apns.WRONG_ENVIRONMENT) if self._has_two_environments:
                if device.number not in self._elsewhere:
                    self._elsewhere.add(device.number)
                    return True
        return False

    def _unfit(self, environment: Environment) -> Outcome | None:
        """Why these credentials send nothing there; None if they may."""
        if environment not in apns.environments(self._credentials):
            return Refused("BadCertificateEnvironment")
        is_token = isinstance(self._credentials, ApnsCredentials)
        if not is_token and self._message.push_type in TOKEN_ONLY_PUSH_TYPES:
            return Rejected("PushTypeNeedsToken")
        return None

    def _sorted_out(
        self, devices: Sequence[Recipient]
    ) -> Iterable[tuple[_Kind, Sequence[ApnsRecipient]]]:
        """Devices by environment and topic, and by whether they are tried elsewhere."""
        ours = cast("Sequence[ApnsRecipient]", devices)
        kinds = {(device.environment, device.topic) for device in ours}
        if len(kinds) == 1 and not self._elsewhere:  # as most batches are
            return [((*kinds.pop(), False), ours)]
        sorted_out: dict[_Kind, list[ApnsRecipient]] = defaultdict(list)
        for device in ours:
            is_elsewhere = device.number in self._elsewhere
            sorted_out[device.environment, device.topic, is_elsewhere].append(device)
        return sorted_out.items()

    @property
    def _has_two_environments(self) -> bool:
        good_in = apns.environments(self._credentials)
        return len({apns.base(self._credentials, each) for each in good_in}) > 1

    async def _parcel(
        self,
        environment: Environment,
        topic: str,
        devices: Sequence[Recipient],
        outcomes: Outcomes,
        *,
        accepted: Outcome,
    ) -> Parcel:
        credentials = self._credentials
        origin, prefix = apns.place(credentials, environment)
        token = None
        if isinstance(credentials, ApnsCredentials):
            token = self._token = await self._tokens.current(credentials)

        def write(devices: Sequence[Recipient]) -> list[Values]:
            tokens = [each.token for each in cast("Sequence[ApnsRecipient]", devices)]
            ids = self._delivery_ids([each.number for each in devices])
            return apns.values(prefix, tokens, ids)

        fit, written = addressed(devices, write, outcomes)
        return Parcel(
            destination(credentials, origin),
            apns.template(
                self._message,
                origin=origin,
                topic=topic,
                token=token,
            ),
            fit,
            written,
            accepted,
        )


def destination(credentials: ApnsIdentity, origin: str) -> Destination:
    """Connections to Apple as one key or certificate, which are shared with no other."""
    if isinstance(credentials, ApnsCredentials):
        identity = f"{credentials.team_id}/{credentials.key_id}"
        return Destination(origin, ca=credentials.ca, identity=identity, gateway="apns")
    shown = f"{credentials.certificate.rstrip()}\n{credentials.key}"
    return Destination(origin, ca=credentials.ca, certificate=shown, gateway="apns")
