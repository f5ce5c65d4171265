"""
A device's SDK: what IBM's client SDKs are to an app, with their names in Python's spelling.

For tests of a whole product, ours and others': phones and browsers with apps that were
written for IBM Push Notifications. An app calls, at every launch::

    device.initialize(app_guid, client_secret)
    device.register_with_user_id(token, user_id)   # or register(token), if nobody is logged in

``unregister`` before log-out (§3.5).
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from os import PathLike

import httpx

from heliograph.client.endpoint import DEFAULT_ENDPOINT, base_url
from heliograph.client.errors import DeviceError, StateError, UnexpectedReply
from heliograph.client.ibm.errors import Crash, NoCallback, NotInitialized, SdkError
from heliograph.client.ibm.lifecycle import Lifecycle, Settings
from heliograph.client.ibm.notifications import Handled
from heliograph.client.ibm.profiles import profile as read_profile
from heliograph.client.ibm.registration import Device
from heliograph.client.ibm.state import FileStore, MemoryStore, Store
from heliograph.client.ibm.tags import Subscribed
from heliograph.client.notifications import AppState, Payload
from heliograph.client.registration import DeviceToken
from heliograph.client.skins import TIMEOUT_SECONDS, AsyncSkin, Skin

__all__ = [
    "AppState",
    "AsyncPush",
    "Crash",
    "Device",
    "DeviceError",
    "Handled",
    "MemoryStore",
    "NoCallback",
    "NotInitialized",
    "Push",
    "SdkError",
    "StateError",
    "Store",
    "Subscribed",
    "UnexpectedReply",
]


class _Device:
    """What needs no I/O, and so is the same in both classes."""

    def __init__(
        self,
        endpoint: str,
        profile: str,
        state_file: str | PathLike[str] | None,
        store: Store | None,
        entropy: Callable[[int], bytes],
    ) -> None:
        imitated = read_profile(profile)
        base = base_url(endpoint)
        if imitated.kind == "android" and httpx.URL(base).path != "/":
            raise ValueError(f"endpoint {endpoint!r}: Android's SDK allows no path in it (§1.3)")
        if store is None:
            store = MemoryStore() if state_file is None else FileStore(state_file)
        self._lifecycle = Lifecycle(base_url=base, profile=imitated, store=store, entropy=entropy)

    @property
    def device_id(self) -> str | None:
        """The device's name at the server; None before ``initialize``."""
        return self._lifecycle.device_id


class Push(_Device, Skin):
    """
    One device, for synchronous code; may be shared by threads, whose calls take turns.

    Use it as a context manager, or call ``close`` when done. That forgets nothing and sends
    nothing; logging out is ``unregister``.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        profile: str,
        state_file: str | PathLike[str] | None = None,
        store: Store | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        http_client: httpx.Client | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        Prepare a device; nothing is read or sent.

        Args:
            endpoint: What an app gives as ``overrideServerHost``.
            profile: ``ios``, ``android``, ``chrome``, ``firefox`` or ``safari``.
            state_file: Where the device id survives the process; None keeps it in memory.
            store: Keeps the device id instead of a file.
            ca_file: A PEM file of authorities to trust besides the usual ones.
            timeout: Seconds that each of connecting, sending and receiving may take.
            http_client: Your own client, which replaces ``ca_file`` and ``timeout``
                and which we do not close.
            entropy: Random bytes for a new device id.

        Raises:
            ValueError: The endpoint or the profile cannot be read.
        """
        _Device.__init__(self, endpoint, profile, state_file, store, entropy)
        Skin.__init__(self, http_client, ca_file=ca_file, timeout=timeout, sleep=time.sleep)

    def initialize(
        self,
        app_guid: str,
        client_secret: str,
        *,
        device_id: str | None = None,
        variables: Mapping[str, str] | None = None,
        has_server_key: bool = False,
    ) -> None:
        """
        Take up the stored device id, or make a new one of the form that the SDK makes.

        Args:
            app_guid: The instance.
            client_secret: Its client secret; the web SDK starts without one, too.
            device_id: The app's own name for the device.
            variables: What templates of notifications are filled with; told at registration
                by the mobile SDKs.
            has_server_key: Chrome: whether it subscribed with the server's VAPID key.

        Raises:
            ValueError: An argument that the SDK needs is empty.
            StateError: The state cannot be read, or is of another profile.
        """
        self._run(
            self._lifecycle.initialize(
                _settings(app_guid, client_secret, device_id, variables, has_server_key)
            )
        )

    def register(self, token: DeviceToken) -> Device:
        """
        Register as nobody's device; what was somebody's becomes nobody's.

        Args:
            token: iOS: bytes, or hexadecimal digits. Safari: the digits that it tells. Android:
                the FCM token. Chrome and Firefox: the PushSubscription, as a mapping or as JSON.

        Returns:
            The device as the server has it; empty where the reply is not JSON and the SDK
            does not care.

        Raises:
            NotInitialized: ``initialize`` comes first, after a browser's ``unregister`` too.
            TypeError: This platform's tokens are of another type.
            ValueError: The token cannot be read.
            SdkError, NoCallback, Crash: What the app would notice of a failure.
        """
        return self._run(self._lifecycle.register(token))

    def register_with_user_id(self, token: DeviceToken, user_id: str) -> Device:
        """
        Register as this user's device; as ``register`` otherwise.

        An empty user id is an error on iOS, and nobody on Android. From the first user on, a
        page of the web SDK names a user at each registration: ``""`` for nobody (§3.4).
        """
        return self._run(self._lifecycle.register_with_user_id(token, user_id))

    def unregister(self) -> None:
        """
        Delete the device, as IBM wants it before log-out.

        A browser forgets its id, and gets another one by ``initialize``.

        Raises:
            NotInitialized: ``initialize`` comes first.
            SdkError: The device is registered still, as far as the SDK knows.
        """
        self._run(self._lifecycle.unregister())

    def retrieve_available_tags(self) -> list[str]:
        """
        The names of the tags that there are.

        Raises:
            NotInitialized: ``initialize`` comes first.
            SdkError: What the app is told of a failure.
            UnexpectedReply: The page could not read what the web SDK hands it.
        """
        return self._run(self._lifecycle.retrieve_available_tags())

    def retrieve_subscriptions(self) -> list[str]:
        """The names of the tags that the device has; as ``retrieve_available_tags``."""
        return self._run(self._lifecycle.retrieve_subscriptions())

    def subscribe(self, tags: Iterable[str]) -> Subscribed:
        """
        Subscribe to tags: in one request, or on Android in one for each.

        Raises:
            NotInitialized: ``initialize`` comes first.
            SdkError: What the app is told of a failure; of an empty list too, but on Android.
            NoCallback: Android, before a registration has succeeded.
        """
        return self._run(self._lifecycle.subscribe(tags))

    def unsubscribe(self, tags: Iterable[str]) -> Subscribed:
        """Unsubscribe from tags; as ``subscribe``, but iOS takes any answer for a success."""
        return self._run(self._lifecycle.unsubscribe(tags))

    def handle_notification(
        self, message: Payload, app_state: str | AppState = AppState.BACKGROUND
    ) -> Handled:
        """
        Do with a notification what the SDK does, and report it.

        Args:
            message: iOS and Safari: the dictionary of APNs. Android: the message, with
                ``data``. Chrome and Firefox: the decrypted JSON.
            app_state: ``active`` (in a browser: a page of the site is open), ``background``,
                or ``inactive``: somebody opened it.

        Raises:
            NotInitialized: ``initialize`` comes first.
            ValueError: There is no such state of an app.
            Crash: The SDK would not survive this message.
        """
        return self._run(self._lifecycle.handle_notification(message, AppState(app_state)))


class AsyncPush(_Device, AsyncSkin):
    """
    One device, for asyncio: ``Push`` with ``await``; calls take turns.

    ``device_id`` does no I/O and is not awaited. Use it as an asynchronous context manager,
    or await ``aclose`` when done.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        profile: str,
        state_file: str | PathLike[str] | None = None,
        store: Store | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        http_client: httpx.AsyncClient | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Prepare a device; nothing is read or sent. The arguments are ``Push``'s."""
        _Device.__init__(self, endpoint, profile, state_file, store, entropy)
        AsyncSkin.__init__(self, http_client, ca_file=ca_file, timeout=timeout, sleep=asyncio.sleep)

    async def initialize(
        self,
        app_guid: str,
        client_secret: str,
        *,
        device_id: str | None = None,
        variables: Mapping[str, str] | None = None,
        has_server_key: bool = False,
    ) -> None:
        """Take up the stored device id, or make a new one; as ``Push`` does."""
        await self._run(
            self._lifecycle.initialize(
                _settings(app_guid, client_secret, device_id, variables, has_server_key)
            )
        )

    async def register(self, token: DeviceToken) -> Device:
        """Register as nobody's device; as ``Push`` does."""
        return await self._run(self._lifecycle.register(token))

    async def register_with_user_id(self, token: DeviceToken, user_id: str) -> Device:
        """Register as this user's device; as ``Push`` does."""
        return await self._run(self._lifecycle.register_with_user_id(token, user_id))

    async def unregister(self) -> None:
        """Delete the device; as ``Push`` does."""
        await self._run(self._lifecycle.unregister())

    async def retrieve_available_tags(self) -> list[str]:
        """The names of the tags that there are; as ``Push`` does."""
        return await self._run(self._lifecycle.retrieve_available_tags())

    async def retrieve_subscriptions(self) -> list[str]:
        """The names of the tags that the device has; as ``Push`` does."""
        return await self._run(self._lifecycle.retrieve_subscriptions())

    async def subscribe(self, tags: Iterable[str]) -> Subscribed:
        """Subscribe to tags; as ``Push`` does."""
        return await self._run(self._lifecycle.subscribe(tags))

    async def unsubscribe(self, tags: Iterable[str]) -> Subscribed:
        """Unsubscribe from tags; as ``Push`` does."""
        return await self._run(self._lifecycle.unsubscribe(tags))

    async def handle_notification(
        self, message: Payload, app_state: str | AppState = AppState.BACKGROUND
    ) -> Handled:
        """Do with a notification what the SDK does; as ``Push`` does."""
        return await self._run(self._lifecycle.handle_notification(message, AppState(app_state)))


def _settings(
    app_guid: str,
    client_secret: str,
    device_id: str | None,
    variables: Mapping[str, str] | None,
    has_server_key: bool,
) -> Settings:
    return Settings(
        app_guid,
        client_secret,
        device_id=device_id,
        variables=dict(variables or {}),
        has_server_key=has_server_key,
    )
