"""
A device's life as IBM's SDKs live it; the core of ``device``.

No I/O: an operation yields its requests and its saves (``client.steps``), and none overlaps
another. Nothing is repeated, and nothing queued. What an SDK keeps while the app runs, and
forgets with it, is here; ``state`` is what outlives the app.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import httpx

from heliograph.client.errors import StateError
from heliograph.client.ibm import registration as registering
from heliograph.client.ibm import tags
from heliograph.client.ibm.addresses import RANDOM_BYTES, ibm_token, new_device_id
from heliograph.client.ibm.asking import ask
from heliograph.client.ibm.errors import NoCallback, NotInitialized, SdkError
from heliograph.client.ibm.notifications import Handled, handle
from heliograph.client.ibm.profiles import Call, Profile
from heliograph.client.ibm.registration import Device
from heliograph.client.ibm.requests import Registration, Requests
from heliograph.client.ibm.state import State, Store
from heliograph.client.ibm.tags import Subscribed
from heliograph.client.notifications import AppState, Payload
from heliograph.client.registration import DeviceToken
from heliograph.client.steps import Call as Outside
from heliograph.client.steps import Operation

_NO_USER_CODE = 4
_NO_SECRET_CODE = 401


@dataclass(frozen=True, slots=True)
class Settings:
    """What an app says when it initialises the SDK."""

    app_guid: str
    client_secret: str = field(repr=False)
    device_id: str | None = None
    """An id of the app's own; None: the SDK's."""
    variables: Mapping[str, str] = field(default_factory=dict)
    has_server_key: bool = False
    """Whether Chrome subscribes with the server's VAPID key."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is known while the app runs."""

    requests: Requests
    settings: Settings
    device_id: str
    is_registered: bool = False
    is_taken_for_new: bool = False
    """Android: the last registration found no device, and making one has not succeeded."""
    is_forgotten: bool = False
    """Web: the id is not the device's any more; only what was on its way is reported by it."""
    sticky_user: str | None = None
    """Web: whom each registration names from the first user on (§3.4)."""


class Lifecycle:
    """One device: what it knows, and the operations on it."""

    def __init__(
        self, *, base_url: str, profile: Profile, store: Store, entropy: Callable[[int], bytes]
    ) -> None:
        self._base_url = base_url
        self._profile = profile
        self._store = store
        self._entropy = entropy
        self._session: Session | None = None

    @property
    def device_id(self) -> str | None:
        """The device's name at the server; None before ``initialize``."""
        session = self._session
        return None if session is None or session.is_forgotten else session.device_id

    def initialize(self, settings: Settings) -> Operation[None]:
        """Take up the stored id, or make a new one."""
        if not settings.app_guid:
            raise ValueError("app_guid cannot be the empty string")
        if self._profile.needs_secret and not settings.client_secret:
            raise ValueError(f"the SDK for {self._profile.name} needs a client_secret (§2.3)")
        own = yield from self._own_id(settings)
        requests = Requests(
            self._base_url, settings.app_guid, settings.client_secret, self._profile
        )
        device_id = settings.device_id or own
        known = self._session or Session(requests, settings, device_id)
        self._session = replace(
            known,
            requests=requests,
            settings=settings,
            device_id=device_id,
            is_forgotten=False,
        )

    def register(self, token: DeviceToken) -> Operation[Device]:
        """Register as nobody's device."""
        session = self._initialized()
        if session.sticky_user is not None:
            session = self._put(sticky_user="")
        return (yield from self._register(token, session.sticky_user))

    def register_with_user_id(self, token: DeviceToken, user_id: str) -> Operation[Device]:
        """Register as this user's device."""
        session = self._initialized()
        if self._profile.kind != "web":
            if self._profile.kind == "ios" and not user_id:
                raise SdkError(_NO_USER_CODE, "there is no user id")
            return (yield from self._register(token, user_id or None))
        if user_id:
            session = self._put(sticky_user=user_id)
        return (yield from self._register(token, session.sticky_user))

    def unregister(self) -> Operation[None]:
        """Delete the device; a browser forgets its id, and is to be initialised again."""
        session = self._initialized()
        request = session.requests.delete(session.device_id)
        yield from ask(self._profile, Call.DELETE, request)
        is_forgotten = self._profile.kind == "web"
        if is_forgotten:
            yield from self._save(None)
        self._put(is_registered=False, is_forgotten=is_forgotten)

    def retrieve_available_tags(self) -> Operation[list[str]]:
        """The tags that there are."""
        return (yield from tags.available(self._initialized().requests))

    def retrieve_subscriptions(self) -> Operation[list[str]]:
        """The tags that the device has."""
        session = self._initialized()
        return (yield from tags.subscriptions(session.requests, session.device_id))

    def subscribe(self, names: Iterable[str]) -> Operation[Subscribed]:
        """Subscribe to tags."""
        session = self._able_to_subscribe()
        return (yield from tags.subscribe(session.requests, session.device_id, names))

    def unsubscribe(self, names: Iterable[str]) -> Operation[Subscribed]:
        """Unsubscribe from tags."""
        session = self._able_to_subscribe()
        return (yield from tags.unsubscribe(session.requests, session.device_id, names))

    def handle_notification(self, message: Payload, app_state: AppState) -> Operation[Handled]:
        """Say what becomes of a message, and report it, whatever comes of that."""
        session = self._session
        if session is None:
            raise NotInitialized
        handled = handle(self._profile, message, app_state, session.settings.variables)
        if handled.nid is not None and handled.report is not None:
            with suppress(httpx.RequestError):
                yield session.requests.report(session.device_id, handled.nid, handled.report)
        return handled

    def _register(self, token: DeviceToken, user_id: str | None) -> Operation[Device]:
        session = self._initialized()
        if user_id is not None and not session.settings.client_secret:
            raise SdkError(_NO_SECRET_CODE, "there is no client secret")
        wanted = Registration(
            session.device_id,
            ibm_token(self._profile, token),
            user_id,
            session.settings.variables,
            is_vapid=self._profile.name == "chrome" and session.settings.has_server_key,
        )
        if self._profile.kind == "android":
            yield from registering.ask_sender(session.requests)
        device = yield from registering.stored(session.requests, session.device_id)
        device = yield from self._brought_up_to_date(device, wanted)
        self._put(is_registered=True)
        return device

    def _brought_up_to_date(self, device: Device | None, wanted: Registration) -> Operation[Device]:
        """Create or update the device; Android keeps creating until it has succeeded once."""
        session = self._initialized()
        if device is not None and not registering.is_news(self._profile, device, wanted):
            return device
        if self._profile.kind == "android" and device is None:
            session = self._put(is_taken_for_new=True)
        if device is None or session.is_taken_for_new:
            created = yield from registering.create(session.requests, wanted)
            self._put(is_taken_for_new=False)
            return created
        return (yield from registering.update(session.requests, wanted))

    def _own_id(self, settings: Settings) -> Operation[str]:
        """The SDK's own id; a browser keeps an app's in its place."""
        state: State | None = yield Outside(self._store.load)
        if state is not None and state.profile != self._profile.name:
            raise StateError(f"the state is of profile {state.profile}, not {self._profile.name}")
        own = state.device_id if state else None
        if self._profile.kind == "web" and settings.device_id:
            own = settings.device_id
        if own is None:
            random: bytes = yield Outside(partial(self._entropy, RANDOM_BYTES))
            own = new_device_id(self._profile, random)
        if state is None or state.device_id != own:
            yield from self._save(own)
        return own

    def _save(self, device_id: str | None) -> Operation[None]:
        state = State(self._profile.name, device_id)
        yield Outside(partial(self._store.save, state))

    def _initialized(self) -> Session:
        if self._session is None or self._session.is_forgotten:
            raise NotInitialized
        return self._session

    def _able_to_subscribe(self) -> Session:
        """Android drops what an app asks before its registration has succeeded."""
        session = self._initialized()
        if self._profile.kind == "android" and not session.is_registered:
            raise NoCallback(status=None)
        return session

    def _put(self, **changes: object) -> Session:
        session = replace(self._initialized(), **changes)  # type: ignore[arg-type]
        self._session = session
        return session
