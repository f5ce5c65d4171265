"""
A device's SDK: what Beams' iOS SDK is to an app, with its names in Python's spelling.

For programs that stand for a device: command line tools, kiosks, bots, tests of a
whole product. An app calls, at every launch::

    device.start(instance_id)
    device.register_device_token(token)
    device.set_user_id(user_id, token_provider)   # while its user is logged in

``clear_all_state`` at log-out. ``docs/python-sdks.md`` tells the rules of the state, and
of the profiles, which do as one of the official SDKs does, request by request.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from os import PathLike

import httpx

from heliograph.client.browser import Browser
from heliograph.client.endpoint import DEFAULT_ENDPOINT, base_url
from heliograph.client.errors import (
    BadBeamsToken,
    BadDeviceToken,
    DeviceError,
    NotFound,
    NotRegistered,
    NotStarted,
    OtherInstance,
    RequestRefused,
    StateError,
    TokenProviderError,
    UnexpectedReply,
    Unreachable,
    UserAlreadySet,
)
from heliograph.client.lifecycle import Lifecycle
from heliograph.client.mobile import Mobile
from heliograph.client.notifications import AppState, Handled, Payload
from heliograph.client.profiles import Profile
from heliograph.client.profiles import profile as read_profile
from heliograph.client.registration import DeviceToken, metadata
from heliograph.client.retry import Retry
from heliograph.client.skins import TIMEOUT_SECONDS, AsyncSkin, Skin
from heliograph.client.state import FileStore, MemoryStore, Store
from heliograph.client.state import platform as read_platform
from heliograph.client.tokens import AuthData, BeamsTokenProvider

__all__ = [
    "AppState",
    "AsyncPushNotifications",
    "AuthData",
    "BadBeamsToken",
    "BadDeviceToken",
    "BeamsTokenProvider",
    "DeviceError",
    "Handled",
    "MemoryStore",
    "NotFound",
    "NotRegistered",
    "NotStarted",
    "OtherInstance",
    "PushNotifications",
    "RequestRefused",
    "Retry",
    "StateError",
    "Store",
    "TokenProviderError",
    "UnexpectedReply",
    "Unreachable",
    "UserAlreadySet",
]


class _Device:
    """What needs no I/O, and so is the same in both classes."""

    _lifecycle: Lifecycle | Mobile | Browser

    def __init__(
        self,
        endpoint: str,
        state_file: str | PathLike[str] | None,
        platform: str | None,
        os_version: str | None,
        retry: Retry | None,
        profile: str | None,
        clock: Callable[[], float],
        store: Store | None,
    ) -> None:
        if store is None:
            store = MemoryStore() if state_file is None else FileStore(state_file)
        if profile is not None:
            imitated = read_profile(profile)
            if platform not in {None, imitated.platform}:
                raise ValueError(f"profile {profile} is of platform {imitated.platform}")
            if retry is not None:
                raise ValueError("a profile says by itself how often a request is sent")
            self._lifecycle = _imitation(endpoint, imitated, os_version, store, clock)
            return
        read = read_platform(platform or "apns")
        self._lifecycle = Lifecycle(
            base_url=base_url(endpoint),
            platform=read,
            metadata=metadata(read, os_version),
            store=store,
            retry=retry or Retry(),
            clock=clock,
        )

    @property
    def device_id(self) -> str | None:
        """The server's name for this device; None while it is not registered."""
        state = self._lifecycle.state
        return state.device_id if state else None

    @property
    def user_id(self) -> str | None:
        """Whose device this is; None while nobody is logged in."""
        state = self._lifecycle.state
        return state.user_id if state else None

    def get_device_interests(self) -> list[str]:
        """
        The device's interests, sorted, as known here; nothing is sent.

        Raises:
            NotStarted: ``start`` comes first.
        """
        return sorted(self._lifecycle.started().wanted_interests)


class PushNotifications(_Device, Skin):
    """
    One device, for synchronous code; may be shared by threads, whose calls take turns.

    Use it as a context manager, or call ``close`` when done. That forgets nothing and
    sends nothing; logging out is ``clear_all_state``.
    """

    def __init__(  # noqa: PLR0913  (the settings of an app, by name)
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        state_file: str | PathLike[str] | None = None,
        platform: str | None = None,
        os_version: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        profile: str | None = None,
        clock: Callable[[], float] = time.time,
        store: Store | None = None,
    ) -> None:
        """
        Prepare a device; nothing is read or sent.

        Args:
            endpoint: A base URL (``http://…`` or ``https://…``), or ``host[:port]``,
                which means https.
            state_file: Where the state survives the process, readable by its owner
                only; None keeps it in memory. One file is for one device.
            platform: ``apns``, ``fcm`` or ``web``; the profile's, or ``apns``, unless told.
            os_version: Sent in the device's metadata; the machine's own unless told.
            ca_file: A PEM file of authorities to trust besides the usual ones.
            timeout: Seconds that each of connecting, sending and receiving may take.
            retry: How often a request is sent, and how long the waits are.
            http_client: Your own client, which replaces ``ca_file`` and ``timeout``
                and which we do not close.
            sleep: Waits between attempts. What it raises ends the call; a profile goes on
                with what is left at the next one.
            profile: ``ios``, ``android`` or ``web`` does as that official SDK does; None
                keeps to our own rules, with few repeats and errors for the app.
            clock: Seconds since 1970, for reports.
            store: Keeps the state instead of a file.

        Raises:
            ValueError: The endpoint, the platform or the profile cannot be read, or they
                do not fit together.
        """
        _Device.__init__(
            self, endpoint, state_file, platform, os_version, retry, profile, clock, store
        )
        Skin.__init__(self, http_client, ca_file=ca_file, timeout=timeout, sleep=sleep)

    def start(self, instance_id: str) -> None:
        """
        Take up the stored state, or begin a new one.

        The same instance may be started again. The server is told, in one attempt, what
        it does not know yet: changed metadata, and interests whose last change got no
        reply. A failure of that does not keep the app from starting.

        Raises:
            OtherInstance: The state belongs to another instance.
            StateError: The state cannot be read, or is of another platform.
        """
        self._run(self._lifecycle.start(instance_id))

    def register_device_token(
        self, token: DeviceToken, bundle_identifier: str | None = None
    ) -> None:
        """
        Register this device under its address; to be called at every launch.

        The same token gives the same device. Its interests at the server replace those
        known here, with what the app changed before this registration laid over them.
        A new token gives a new device, which takes the interests with it, and the user
        too if ``set_user_id`` was called since the process began.

        Args:
            token: APNs: bytes, or their hexadecimal digits. FCM: the registration token.
                Web: the browser's PushSubscription, as a mapping or as JSON.
            bundle_identifier: The app's, for APNs; the last one unless told.

        Raises:
            NotStarted: ``start`` comes first.
            TypeError: This platform's tokens are of another type.
            ValueError: The token cannot be read, or this platform has no bundles.
            BadDeviceToken: The server did not accept the token.
            DeviceError: The server refused or could not be reached.
        """
        self._run(self._lifecycle.register_device_token(token, bundle_identifier))

    def set_user_id(self, user_id: str, token_provider: BeamsTokenProvider) -> None:
        """
        Bind this device to a user; to be called after log-in and at every launch.

        Calling it again for the same user proves the user again, and keeps the new
        token provider. The provider is never stored: hence "at every launch".

        An error changes nothing here. After Unreachable the server may have bound the
        user all the same, so call it again, or ``clear_all_state``.

        Raises:
            NotStarted, NotRegistered: What comes first. (The iOS SDK drops the call.)
            UserAlreadySet: Another user is logged in; ``clear_all_state`` first.
            ValueError: A user id has 1 to 164 characters.
            TokenProviderError: The app's back end gave no token.
            BadBeamsToken: The server did not accept the token.
            NotFound: The server lost this device; ``register_device_token`` again.
            DeviceError: The server refused (too many devices of this user: status 422)
                or could not be reached.
        """
        self._run(self._lifecycle.set_user_id(user_id, token_provider))

    def clear_all_state(self) -> None:
        """
        Log out: afterwards this is a new device, with no user and no interests.

        The device is deleted, then registered anew with the stored token. When the
        deletion fails, everything stays as it was: the user may still be reached here.
        When only the registration fails, the state is clean and unregistered, and the
        next ``register_device_token``, or ``clear_all_state``, repairs it.

        Raises:
            NotStarted: ``start`` comes first.
            DeviceError: The server refused or could not be reached.
        """
        self._run(self._lifecycle.clear_all_state())

    def stop(self) -> None:
        """
        Delete the device and forget everything; ``start`` begins anew, with any instance.

        When the deletion fails, everything stays as it was.

        Raises:
            NotStarted: ``start`` comes first.
            DeviceError: The server refused or could not be reached.
        """
        self._run(self._lifecycle.stop())

    def add_device_interest(self, interest: str) -> None:
        """
        Subscribe to an interest.

        This and the other changes of interests are remembered before registration and
        sent with it. A device that the server lost is created again, with its interests
        and its user, and the change is repeated once. An error changes nothing here.

        Raises:
            NotStarted: ``start`` comes first.
            ValueError: An interest is 1 to 164 of ``A-Z a-z 0-9 _ - = @ , . ;``.
            DeviceError: The server refused or could not be reached.
        """
        self._run(self._lifecycle.add_device_interest(interest))

    def remove_device_interest(self, interest: str) -> None:
        """Unsubscribe from an interest; as ``add_device_interest`` otherwise."""
        self._run(self._lifecycle.remove_device_interest(interest))

    def set_device_interests(self, interests: Iterable[str]) -> None:
        """Subscribe to exactly these, at most 5000; as ``add_device_interest`` otherwise."""
        self._run(self._lifecycle.set_device_interests(interests))

    def clear_device_interests(self) -> None:
        """Unsubscribe from all interests; as ``add_device_interest`` otherwise."""
        self._run(self._lifecycle.set_device_interests([]))

    def handle_notification(
        self, payload: Payload, app_state: str | AppState = AppState.BACKGROUND
    ) -> Handled:
        """
        Do with a notification what the platform's SDK does, and report it.

        Args:
            payload: APNs: the dictionary that an app is given. FCM: the message, with
                ``data`` and ``notification``. Web: the decrypted JSON.
            app_state: ``active``, ``background``, or ``inactive``: somebody opened it.

        Raises:
            NotStarted: ``start`` comes first.
            ValueError: There is no such state of an app.
            DeviceError: The report was refused or could not be sent; a profile deals with
                that by itself.
        """
        return self._run(self._lifecycle.handle_notification(payload, AppState(app_state)))


class AsyncPushNotifications(_Device, AsyncSkin):
    """
    One device, for asyncio: ``PushNotifications`` with ``await``; calls take turns.

    ``device_id``, ``user_id`` and ``get_device_interests`` do no I/O and are not
    awaited. Use it as an asynchronous context manager, or await ``aclose`` when done.
    """

    def __init__(  # noqa: PLR0913  (the settings of an app, by name)
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        state_file: str | PathLike[str] | None = None,
        platform: str | None = None,
        os_version: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        profile: str | None = None,
        clock: Callable[[], float] = time.time,
        store: Store | None = None,
    ) -> None:
        """Prepare a device; nothing is read or sent. The arguments are ``PushNotifications``'s."""
        _Device.__init__(
            self, endpoint, state_file, platform, os_version, retry, profile, clock, store
        )
        AsyncSkin.__init__(self, http_client, ca_file=ca_file, timeout=timeout, sleep=sleep)

    async def start(self, instance_id: str) -> None:
        """Take up the stored state, or begin a new one; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.start(instance_id))

    async def register_device_token(
        self, token: DeviceToken, bundle_identifier: str | None = None
    ) -> None:
        """Register this device under its address; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.register_device_token(token, bundle_identifier))

    async def set_user_id(self, user_id: str, token_provider: BeamsTokenProvider) -> None:
        """Bind this device to a user; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.set_user_id(user_id, token_provider))

    async def clear_all_state(self) -> None:
        """Log out: become a new device; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.clear_all_state())

    async def stop(self) -> None:
        """Delete the device and forget everything; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.stop())

    async def add_device_interest(self, interest: str) -> None:
        """Subscribe to an interest; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.add_device_interest(interest))

    async def remove_device_interest(self, interest: str) -> None:
        """Unsubscribe from an interest; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.remove_device_interest(interest))

    async def set_device_interests(self, interests: Iterable[str]) -> None:
        """Subscribe to exactly these interests; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.set_device_interests(interests))

    async def clear_device_interests(self) -> None:
        """Unsubscribe from all interests; as ``PushNotifications`` does."""
        await self._run(self._lifecycle.set_device_interests([]))

    async def handle_notification(
        self, payload: Payload, app_state: str | AppState = AppState.BACKGROUND
    ) -> Handled:
        """Do with a notification what the SDK does; as ``PushNotifications`` does."""
        return await self._run(self._lifecycle.handle_notification(payload, AppState(app_state)))


def _imitation(
    endpoint: str,
    profile: Profile,
    os_version: str | None,
    store: Store,
    clock: Callable[[], float],
) -> Mobile | Browser:
    """What lives a device's life as an official SDK does."""
    kind = Browser if profile.platform == "web" else Mobile
    return kind(
        base_url=base_url(endpoint),
        profile=profile,
        metadata=metadata(profile.platform, os_version, profile.sdk_version),
        store=store,
        clock=clock,
    )
