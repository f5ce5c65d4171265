"""The calls that an official SDK makes for a device, each with what its failure means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import httpx

from heliograph.client.asking import Failed, ask
from heliograph.client.endpoint import json_object, path_segment
from heliograph.client.errors import NotRegistered, TokenProviderError, UnexpectedReply
from heliograph.client.profiles import Call, Profile, Reaction
from heliograph.client.registration import Registered, registered, registration
from heliograph.client.retry import ONCE
from heliograph.client.state import State
from heliograph.client.steps import Operation
from heliograph.client.tokens import BeamsTokenProvider


@dataclass(frozen=True, slots=True)
class Calls:
    """One SDK's calls of one server; the device is the state that is passed in."""

    base_url: str
    profile: Profile
    metadata: Mapping[str, str]

    def register(self, state: State, token: str) -> Operation[Registered | Failed]:
        """Register under an address."""
        profile = self.profile
        body = registration(profile.platform, token, state.bundle_identifier, self.metadata)
        request = profile.request("POST", self._url(state, "devices", profile.platform), body)
        read = partial(registered, needs_interests=profile.needs_interests)
        return (yield from ask(profile, Call.REGISTER, request, read))

    def delete(self, state: State) -> Operation[Failed | None]:
        """Delete the device."""
        return (yield from self._tell(Call.DELETE, "DELETE", self._device(state)))

    def set_metadata(self, state: State) -> Operation[Failed | None]:
        """Say which versions there are now."""
        url = self._device(state, "metadata")
        return (yield from self._tell(Call.CATCH_UP, "PUT", url, self.metadata))

    def set_token(self, state: State, token: str) -> Operation[Failed | None]:
        """Say which address the device has now."""
        url = self._device(state, "token")
        return (yield from self._tell(Call.CHANGE, "PUT", url, {"token": token}))

    def set_interests(
        self, call: Call, state: State, names: Iterable[str]
    ) -> Operation[Failed | None]:
        """Subscribe to exactly these; why, ``call`` says."""
        url = self._device(state, "interests")
        return (yield from self._tell(call, "PUT", url, {"interests": sorted(names)}))

    def add_interest(self, state: State, interest: str) -> Operation[Failed | None]:
        """Subscribe to one more."""
        url = self._device(state, "interests", path_segment(interest))
        return (yield from self._tell(Call.CHANGE, "POST", url))

    def remove_interest(self, state: State, interest: str) -> Operation[Failed | None]:
        """Subscribe to one less."""
        url = self._device(state, "interests", path_segment(interest))
        return (yield from self._tell(Call.CHANGE, "DELETE", url))

    def set_user(
        self, call: Call, state: State, user_id: str, provider: BeamsTokenProvider | None
    ) -> Operation[Failed | None]:
        """Ask the app's back end who this is, once, and tell the server."""
        if provider is None:
            return Failed(Reaction.TELL, TokenProviderError("there is no token provider"))
        try:
            bearer = yield from provider.fetch_token(user_id, retry=ONCE, query=self.profile.query)
        except TokenProviderError as error:
            return Failed(Reaction.TELL, error)
        request = self.profile.request("PUT", self._device(state, "user"), bearer=bearer)
        return (yield from ask(self.profile, call, request, _nothing))

    def report(self, state: State, event: Mapping[str, object]) -> Operation[Failed | None]:
        """Tell of a notification."""
        instance = path_segment(state.instance_id)
        url = f"{self.base_url}/reporting_api/v2/instances/{instance}/events"
        return (yield from self._tell(Call.REPORT, "POST", url, event))

    def vapid_key(self, state: State) -> Operation[str | Failed]:
        """Fetch the key that a browser subscribes with."""
        request = self.profile.request("GET", self._url(state, "web-vapid-public-key"))
        return (yield from ask(self.profile, Call.KEY, request, _vapid_key))

    def _tell(
        self, call: Call, method: str, url: str, body: Mapping[str, object] | None = None
    ) -> Operation[Failed | None]:
        request = self.profile.request(method, url, body)
        return (yield from ask(self.profile, call, request, _nothing))

    def _device(self, state: State, *more: str) -> str:
        if state.device_id is None:
            raise NotRegistered
        return self._url(state, "devices", state.platform, path_segment(state.device_id), *more)

    def _url(self, state: State, *path: str) -> str:
        instance = path_segment(state.instance_id)
        return "/".join([self.base_url, "device_api/v1/instances", instance, *path])


def _nothing(_reply: httpx.Response) -> None:
    """A success says all there is to be read."""


def _vapid_key(reply: httpx.Response) -> str:
    key = (json_object(reply) or {}).get("vapidPublicKey")
    if not isinstance(key, str):
        raise UnexpectedReply("the reply has no vapidPublicKey")
    return key
