"""
The devices that exist in this sandbox: those minted on request, and real Firefoxes.

Only their addresses are known to the services; any other token, however well formed, belongs
to nobody.
"""

import secrets
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heliograph.sandbox.credentials import DEFAULT_TOPIC

_PUSH_PATH: Final = "/push/"


class Platform(StrEnum):
    """What kind of device it is, by the service that reaches it."""

    APNS = "apns"
    FCM = "fcm"
    WEB = "web"


class AppleEnvironment(StrEnum):
    """Which of Apple's two worlds a device token was made in."""

    PRODUCTION = "production"
    """Apps from the store, and those that testers get."""
    SANDBOX = "sandbox"
    """Apps that Xcode put on a device."""


@dataclass(frozen=True, slots=True)
class BrowserKeys:
    """What a virtual browser keeps to itself, and what it tells (RFC 8291 §2)."""

    private_key: bytes
    """The P-256 scalar, 32 bytes."""
    auth: bytes
    """16 random bytes."""
    p256dh: bytes
    """The public point, 65 bytes."""

    @classmethod
    def generate(cls) -> "BrowserKeys":
        """A fresh pair and secret."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(
            private_key=key.private_numbers().private_value.to_bytes(32),
            auth=secrets.token_bytes(16),
            p256dh=key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        )


@dataclass(slots=True)
class Device:
    """One address at one service."""

    number: int
    """Its place in the order of minting, from 1."""
    platform: Platform
    key: str
    """What names it inside the sandbox: the APNs or FCM token, or the web push channel."""
    name: str
    minted_at: datetime
    topic: str | None = None
    """The bundle id; None unless Apple's."""
    environment: AppleEnvironment | None = None
    """The one in which the token means something; None unless Apple's."""
    endpoint: str | None = None
    """The web push endpoint; None unless a browser's."""
    browser_keys: BrowserKeys | None = None
    """None unless a virtual browser's: a real one keeps its keys to itself."""
    server_key: bytes | None = None
    """The VAPID public key the subscription is bound to; None until one is known."""
    gone_since: datetime | None = None
    """When the app was uninstalled or the subscription ended; None while it lives."""

    @property
    def token(self) -> str:
        """
        What the app registers with a back end.

        For a virtual browser that is standard base64 of its subscription's JSON, for a
        real one the endpoint, else the token itself.
        """
        if self.endpoint is None:
            return self.key
        if self.browser_keys is None:
            return self.endpoint
        return b64encode(msgspec.json.encode(self.subscription)).decode()

    @property
    def subscription(self) -> dict[str, object] | None:
        """The browser's ``PushSubscription`` as JSON; None unless a virtual browser's."""
        if self.endpoint is None or self.browser_keys is None:
            return None
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {
                "p256dh": _base64url(self.browser_keys.p256dh),
                "auth": _base64url(self.browser_keys.auth),
            },
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it may be called in a scenario, the canonical name first."""
        if self.endpoint is None:
            return (self.key,)
        return (self.key, self.endpoint, self.token)

    def as_json(self) -> dict[str, object]:
        """What ``POST /devices`` tells about it."""
        address: dict[str, object] = {"token": self.token}
        if self.topic is not None:
            address["topic"] = self.topic
        if self.environment is not None:
            address["environment"] = self.environment.value
        if self.browser_keys is not None:
            address["subscription"] = self.subscription
        return address


class Devices:
    """Every device, by any of its names."""

    def __init__(self, *, webpush_origin: str) -> None:
        self._by_key: dict[str, Device] = {}
        self._webpush_origin = webpush_origin

    def __len__(self) -> int:
        return len(self._by_key)

    def mint(
        self,
        platform: Platform,
        *,
        now: datetime,
        name: str = "",
        topic: str | None = None,
        environment: AppleEnvironment | None = None,
        key: str | None = None,
    ) -> Device:
        """
        Make up a device of this platform.

        Args:
            platform: Whose device it is.
            now: When.
            name: What a person calls it.
            topic: The bundle id, for Apple's only.
            environment: Which of Apple's two knows it.
            key: Its canonical name, for runs that are to be repeated; else one that nobody
                can guess.
        """
        match platform:
            case Platform.APNS:
                device = self._new(platform, key or secrets.token_hex(32), name, now)
                device.topic = topic or DEFAULT_TOPIC
                device.environment = environment or AppleEnvironment.PRODUCTION
                return device
            case Platform.FCM:
                return self._new(platform, key or _fcm_token(), name, now)
            case Platform.WEB:
                device = self.add_browser(now=now, name=name, server_key=None, key=key)
                device.browser_keys = BrowserKeys.generate()
                return device

    def add_browser(
        self, *, now: datetime, name: str, server_key: bytes | None, key: str | None = None
    ) -> Device:
        """A new subscription of a browser that keeps its own keys."""
        device = self._new(Platform.WEB, key or secrets.token_urlsafe(24), name, now)
        device.endpoint = f"{self._webpush_origin}{_PUSH_PATH}{device.key}"
        device.server_key = server_key
        return device

    def get(self, platform: Platform, key: str) -> Device | None:
        """The device of this platform with this canonical name; None if there is none."""
        device = self._by_key.get(key)
        return device if device is not None and device.platform is platform else None

    def find(self, name: str) -> Device | None:
        """The device with this token, endpoint, channel or base64 subscription, or None."""
        return self._by_key.get(name) or self._by_key.get(name.lower()) or self._browser(name)

    def newest(self, count: int) -> Iterator[Device]:
        """At most this many devices, the youngest first."""
        return islice(reversed(self._by_key.values()), count)

    def _new(self, platform: Platform, key: str, name: str, now: datetime) -> Device:
        device = Device(len(self._by_key) + 1, platform, key, name, now)
        self._by_key[key] = device
        return device

    def _browser(self, name: str) -> Device | None:
        endpoint = name if "://" in name else _endpoint_in(name)
        prefix = self._webpush_origin + _PUSH_PATH
        return self._by_key.get(endpoint.removeprefix(prefix))


class _Subscription(msgspec.Struct):
    endpoint: str


def _endpoint_in(token: str) -> str:
    try:
        return msgspec.json.decode(b64decode(token), type=_Subscription).endpoint
    except ValueError:
        return ""


def _fcm_token() -> str:
    """An instance id of 22 characters, a colon, and 140 more, as Google's look."""
    return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
