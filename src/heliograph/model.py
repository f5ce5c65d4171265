"""
Our words, as types.

Everything above speaks in these values; a dialect translates into them at its
door and a gateway out of them at the other end. Nothing here does any I/O, and
time and randomness are arguments.

Ids are what the outside sees; *numbers* are the database's own ascending serials,
which never leave the product.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple, NewType, assert_never

InstanceId = NewType("InstanceId", str)
"""A UUID in its canonical lower-case form."""

DeviceId = NewType("DeviceId", str)
"""``{gateway}-{uuid}``, opaque to clients; knowing it is the device's credential."""

UserId = NewType("UserId", str)
"""What the customer calls a person: 1 to 254 characters, no control characters."""

PublishId = NewType("PublishId", str)
"""``pubid-{uuid}``."""

Interest = NewType("Interest", str)
"""1 to 164 printable characters; a dialect may take fewer."""

InstanceNumber = NewType("InstanceNumber", int)
DeviceNumber = NewType("DeviceNumber", int)
PublishNumber = NewType("PublishNumber", int)
WorkNumber = NewType("WorkNumber", int)
VapidKeyNumber = NewType("VapidKeyNumber", int)


class Gateway(StrEnum):
    """A push service, by the name its devices carry in their ids."""

    APNS = "apns"
    FCM = "fcm"
    WEB = "web"


class Environment(StrEnum):
    """Which of Apple's two worlds an APNs token was minted in."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Platform(StrEnum):
    """What kind of app a device is: a gateway may serve several, and each reads another form."""

    IOS = "ios"
    SAFARI = "safari"
    """Apple's own way to Safari, older than web push, through APNs."""
    ANDROID = "android"
    CHROME_APP = "chrome-app"
    """An extension or app of Chrome, through FCM."""
    CHROME = "chrome"
    """Chrome, and every browser of which nothing else is known."""
    FIREFOX = "firefox"

    @property
    def gateway(self) -> Gateway:
        """The push service through which it is reached."""
        return _GATEWAYS[self]


_GATEWAYS: Final = {
    Platform.IOS: Gateway.APNS,
    Platform.SAFARI: Gateway.APNS,
    Platform.ANDROID: Gateway.FCM,
    Platform.CHROME_APP: Gateway.FCM,
    Platform.CHROME: Gateway.WEB,
    Platform.FIREFOX: Gateway.WEB,
}

USUAL_PLATFORM: Final = {
    Gateway.APNS: Platform.IOS,
    Gateway.FCM: Platform.ANDROID,
    Gateway.WEB: Platform.CHROME,
}
"""What a device is taken for that did not say."""


class Lane(NamedTuple):
    """What is paced, paused and isolated together."""

    instance: InstanceNumber
    gateway: Gateway
    environment: Environment | None
    """Known of APNs devices only, and not of all of them."""


class CallLane(NamedTuple):
    """The webhooks of an instance that have a way in common: each has one of a few."""

    instance: InstanceNumber
    place: int
    """0 to 9."""


class Sort(StrEnum):
    """What is taken by different hands, so that none of it waits for the other."""

    SMALL = "small"
    """Fresh work of a publish to few: nobody waits behind a broadcast."""
    LARGE = "large"
    """Fresh work of a publish to many."""
    AGAIN = "again"
    """What is tried again: never ahead of what is fresh."""
    CALL = "call"
    """Notices to webhooks: they are in nobody's way, and nobody is in theirs."""


class PauseKind(StrEnum):
    """Why a lane is paused."""

    REFUSED = "refused"
    """Our credentials or configuration are at fault: somebody has to mend them."""
    UNAVAILABLE = "unavailable"
    """The gateway, or the way to it, is at fault."""
    ASKED = "asked"
    """The gateway asked all of us to wait."""


End = Literal["sent", "failed", "expired", "cancelled"]
"""The four ways in which a delivery can be over."""


# --- where a device is reached -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApnsAddress:
    """One app on one Apple device."""

    token: str = field(repr=False)
    """Lower-case hex; its length is Apple's business."""
    topic: str | None = None
    """The app's bundle id; None means the one that the instance's credentials name."""
    environment: Environment | None = None
    """None until a gateway's answer has told us."""


@dataclass(frozen=True, slots=True)
class FcmAddress:
    """One app on one Android device."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebAddress:
    """One browser's subscription on one site (W3C Push API, ``PushSubscription``)."""

    endpoint: str = field(repr=False)
    p256dh: bytes = field(repr=False)
    """The browser's public key: 65 bytes, an uncompressed P-256 point."""
    auth: bytes = field(repr=False)
    """The authentication secret: 16 bytes."""
    vapid_key: VapidKeyNumber | None = None
    """
    The pair that the subscription is bound to: no other may send to it (RFC 8292 §4.2).

    None until the registry has said which; then it means the instance's current one.
    """


Address = ApnsAddress | FcmAddress | WebAddress


def gateway_of(address: Address) -> Gateway:
    """The push service that an address belongs to."""
    match address:
        case ApnsAddress():
            return Gateway.APNS
        case FcmAddress():
            return Gateway.FCM
        case WebAddress():
            return Gateway.WEB
        case _:
            assert_never(address)


def address_digest(address: Address) -> bytes:
    """
    What makes two registrations the same device: 32 bytes.

    A browser is known by its endpoint alone, because a subscription's keys may be
    re-read in another form but its endpoint never changes.
    """
    match address:
        case ApnsAddress(token=name) | FcmAddress(token=name) | WebAddress(endpoint=name):
            return hashlib.sha256(f"{gateway_of(address)}:{name}".encode()).digest()
        case _:
            assert_never(address)


# --- what a device is sent -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApnsMessage:
    """What every Apple device of a publish receives."""

    payload: bytes = field(repr=False)
    """UTF-8 JSON, at most 4,096 bytes (VoIP: 5,120)."""
    push_type: str = "alert"
    """The ``apns-push-type`` header."""
    priority: int = 10
    """10, 5 or 1; a background push must be 5."""
    collapse_id: str | None = None
    """At most 64 bytes of UTF-8."""
    expiration: int | None = None
    """Seconds since the epoch; 0 is "try once"; None leaves it to Apple."""


@dataclass(frozen=True, slots=True)
class FcmMessage:
    """What every Android device of a publish receives."""

    message: bytes = field(repr=False)
    """An FCM v1 ``message`` object without its target, as UTF-8 JSON."""
    ttl_seconds: int | None = None
    """How long it is worth sending; the same value stands in the message."""


@dataclass(frozen=True, slots=True)
class WebMessage:
    """What every browser of a publish receives."""

    payload: bytes = field(repr=False)
    """Plain text, at most 3,993 bytes; encrypted for each browser."""
    ttl_seconds: int = 2_419_200
    """0 to 2,419,200 (four weeks)."""
    urgency: str | None = None
    """``very-low``, ``low``, ``normal`` or ``high`` (RFC 8030 §5.3)."""
    topic: str | None = None
    """At most 32 characters of the base64url alphabet (RFC 8030 §5.4)."""


Message = ApnsMessage | FcmMessage | WebMessage


@dataclass(frozen=True, slots=True)
class Messages:
    """
    One publish in each gateway's form; None means nothing for that gateway.

    Where a gateway serves several platforms, one of them may have an edition of its own.
    """

    apns: ApnsMessage | None = None
    fcm: FcmMessage | None = None
    web: WebMessage | None = None
    safari: ApnsMessage | None = None
    """For Safari, instead of ``apns``."""
    chrome_app: FcmMessage | None = None
    """For apps of Chrome, instead of ``fcm``."""
    firefox: WebMessage | None = None
    """For Firefox, instead of ``web``."""

    def gateways(self) -> list[Gateway]:
        """The gateways that have something to send, in a fixed order."""
        return [gateway for gateway in Gateway if self.all_of(gateway)]

    def all_of(self, gateway: Gateway) -> list[Message]:
        """Every edition that a gateway has to send."""
        usual, edition = _FIELDS[gateway]
        every: list[Message | None] = [getattr(self, usual), getattr(self, edition)]
        return [each for each in every if each is not None]

    def has_editions(self, gateway: Gateway) -> bool:
        """Whether its devices do not all receive the same."""
        return getattr(self, _FIELDS[gateway][1]) is not None

    def of(self, gateway: Gateway, platform: Platform | None = None) -> Message | None:
        """What a device of a platform receives; None: the gateway's usual one."""
        usual, edition = _FIELDS[gateway]
        own: Message | None = None
        if platform is not None and platform.gateway is gateway:
            own = getattr(self, edition) if platform is _EDITED[gateway] else None
        common: Message | None = getattr(self, usual)
        return own if own is not None else common


_FIELDS: Final = {
    Gateway.APNS: ("apns", "safari"),
    Gateway.FCM: ("fcm", "chrome_app"),
    Gateway.WEB: ("web", "firefox"),
}
_EDITED: Final = {
    Gateway.APNS: Platform.SAFARI,
    Gateway.FCM: Platform.CHROME_APP,
    Gateway.WEB: Platform.FIREFOX,
}


# --- whom a publish addresses --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToUsers:
    """Every device on which one of these people is logged in."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class ToInterests:
    """Every device subscribed to at least one of these interests, once."""

    interests: tuple[Interest, ...]


@dataclass(frozen=True, slots=True)
class ToMatching:
    """
    Every device that is one of each kind that is named; if none is, every device.

    Within a kind one match is enough.
    """

    devices: tuple[DeviceNumber, ...] | None = None
    """None names no devices; an empty tuple names those that there are not: nobody."""
    users: tuple[UserId, ...] | None = None
    interests: tuple[Interest, ...] | None = None
    platforms: tuple[Platform, ...] | None = None


Target = ToUsers | ToInterests | ToMatching


# --- what an instance holds ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApnsCredentials:
    """An APNs signing key (a .p8 file), which makes tokens, and what Apple knows it by."""

    key: str = field(repr=False)
    """PEM of the P-256 private key."""
    key_id: str
    team_id: str
    topic: str
    """The default bundle id, for devices that registered without one."""
    endpoint: str | None = None
    """Base URL instead of Apple's, for sandboxes and tests."""
    ca: str | None = None
    """PEM of a certificate authority to trust besides the system's."""
    sandbox_endpoint: str | None = None
    """
    Base URL instead of Apple's development host.

    None means that ``endpoint``, if it is set, stands for both of Apple's hosts.
    """


@dataclass(frozen=True, slots=True)
class ApnsCertificate:
    """A provider certificate with its key, by which Apple knows the one app that it is for."""

    certificate: str = field(repr=False)
    """PEM: the certificate first, then any that lead to its authority."""
    key: str = field(repr=False)
    """PEM of its private key: RSA or elliptic, unencrypted."""
    topic: str
    """The default bundle id, for devices that registered without one."""
    endpoint: str | None = None
    """As in ``ApnsCredentials``, like the two that follow."""
    ca: str | None = None
    sandbox_endpoint: str | None = None


ApnsIdentity = ApnsCredentials | ApnsCertificate
"""Either way of proving to Apple who is sending."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The fields of a Google service-account file that FCM needs."""

    project_id: str
    client_email: str
    private_key: str = field(repr=False)
    """PEM of an RSA private key."""
    private_key_id: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105  (an address, not a secret)


@dataclass(frozen=True, slots=True)
class FcmCredentials:
    """A Firebase project, and the account that may send for it."""

    service_account: ServiceAccount
    endpoint: str | None = None
    """Base URL instead of Google's, for sandboxes and tests."""
    ca: str | None = None
    """PEM of a certificate authority to trust besides the system's."""


@dataclass(frozen=True, slots=True)
class VapidKeys:
    """The P-256 pair that browsers know an instance by (RFC 8292)."""

    private_key: bytes = field(repr=False)
    """The scalar: 32 bytes."""
    public_key: bytes
    """The uncompressed point: 65 bytes."""


# --- ids -----------------------------------------------------------------------------


def time_ordered_uuid(now: datetime, randomness: bytes) -> str:
    """
    A UUID of version 7 (RFC 9562 §5.7): later ones sort after earlier ones.

    Indexes then grow at their end, where random ones cost tens of microseconds an
    insert.

    Args:
        now: An aware instant; its millisecond leads the id.
        randomness: At least 10 bytes, unpredictable, for the other 74 bits.
    """
    milliseconds = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    tail = bytearray(randomness[:10])
    tail[0] = 0x70 | (tail[0] & 0x0F)
    tail[2] = 0x80 | (tail[2] & 0x3F)
    digits = f"{milliseconds:012x}{tail.hex()}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def delivery_ids(publish: PublishId) -> Callable[[Iterable[DeviceNumber]], list[bytes]]:
    """
    The UUIDs of one publish to devices; the same at every attempt.

    They go out as ``apns-id``, so that a repeat after a crash is recognisable. They are
    derived, not stored: version 8 (RFC 9562 §5.8), of which a SHA-256 of the publish's id
    gives 74 bits, and the device's number, masked by more of that hash, the other 48.
    There is one for every device, so they are spelt by hand, in ASCII.
    """
    digest = hashlib.sha256(publish.encode()).hexdigest()
    variant = "89ab"[int(digest[16], 16) % 4]
    head = f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-"
    pattern, mask = head.encode() + b"%012x", int(digest[20:32], 16)

    def ids(devices: Iterable[DeviceNumber]) -> list[bytes]:
        return [pattern % ((number ^ mask) & _48_BITS) for number in devices]

    return ids


_48_BITS: Final = (1 << 48) - 1


def derived_uuid(*parts: object) -> str:
    """
    The UUID of what these parts say together; the same for the same parts, at any time.

    Version 8 (RFC 9562 §5.8): 122 bits of a SHA-256.
    """
    raw = bytearray(hashlib.sha256(repr(parts).encode()).digest()[:16])
    raw[6] = 0x80 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
