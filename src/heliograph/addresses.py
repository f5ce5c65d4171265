"""
Addresses of devices, read from what a push service or a browser hands an app.

Pure, and common to every door through which devices come: what a token must look like does
not depend on who brings it. A mistake is a ``ValueError`` with a sentence for its author.
"""

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from heliograph.model import ApnsAddress, Environment, FcmAddress, WebAddress
from heliograph.wire import ece

LONGEST_INTEREST: Final = 164
MOST_INTERESTS: Final = 5000
"""Of one device."""

INTEREST_PATTERN: Final = r"[a-zA-Z0-9_\-=@,.;]+"
_INTEREST: Final = re.compile(INTEREST_PATTERN)
_APNS_TOKEN: Final = re.compile(r"[0-9a-fA-F]{1,512}")
_FCM_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9.\-]{1,200}")
_UNBOUND: Final = re.compile(r"https://([a-z0-9-]+\.)*push\.services\.mozilla\.com/wpush/v1/")
_LONGEST_ENDPOINT: Final = 2048
_AUTH_BYTES: Final = 16


def is_interest(name: str) -> bool:
    """Whether a text can be an interest: 1 to 164 letters, digits and ``_-=@,.;``."""
    return len(name) <= LONGEST_INTEREST and _INTEREST.fullmatch(name) is not None


def is_any_interest(name: str) -> bool:
    """Whether a text is an interest to some dialect: 1 to 164 printable characters."""
    return 0 < len(name) <= LONGEST_INTEREST and name.isprintable()


def is_topic(topic: str) -> bool:
    """Whether a text can be an app's bundle id."""
    return _TOPIC.fullmatch(topic) is not None


def apns_address(
    token: str, topic: str | None = None, environment: Environment | None = None
) -> ApnsAddress:
    """
    An app on an Apple device.

    Args:
        token: Hexadecimal, of whatever length.
        topic: The app's bundle id, if it is known.
        environment: Which of Apple's two worlds made the token, if it is known.

    Raises:
        ValueError: The token is none.
    """
    if _APNS_TOKEN.fullmatch(token) is None:
        raise ValueError("The device token must be hexadecimal")
    return ApnsAddress(token.lower(), topic, environment)


def fcm_address(token: str) -> FcmAddress:
    """
    An app on an Android device.

    Raises:
        ValueError: The token is none.
    """
    if _FCM_TOKEN.fullmatch(token) is None:
        raise ValueError("The device token must be at most 4096 ASCII characters without spaces")
    return FcmAddress(token)


def web_address(subscription: str | bytes) -> WebAddress:
    """
    A browser's subscription, from the JSON that its ``toJSON`` makes (W3C Push API §8).

    Raises:
        ValueError: It is none, or leads to no https address.
    """
    try:
        read = msgspec.json.decode(subscription, type=_Subscription)
        p256dh, secret = from_base64url(read.keys.p256dh), from_base64url(read.keys.auth)
    except (ValueError, UnicodeError, RecursionError, msgspec.MsgspecError):
        raise ValueError("it is no PushSubscription's JSON") from None
    if not ece.is_public_key(p256dh):
        raise ValueError("The subscription's p256dh key is not a P-256 point")
    if len(secret) != _AUTH_BYTES:
        raise ValueError(f"The subscription's auth secret must be {_AUTH_BYTES} bytes")
    if not _is_push_endpoint(read.endpoint):
        raise ValueError("Push service endpoint not supported: it must be an https address")
    return WebAddress(read.endpoint, p256dh, secret)


def is_unbound(address: WebAddress) -> bool:
    """
    Whether a subscription is known to be bound to no key, so that any server may send to it.

    Mozilla's endpoints tell: ``/wpush/v1/`` was made without a key, ``/wpush/v2/`` with one
    (autopush-rs, ``endpoint.rs``).
    """
    return _UNBOUND.match(address.endpoint) is not None


def from_base64(text: str) -> bytes:
    """
    Bytes that were written in standard base64.

    Raises:
        ValueError: They were not.
    """
    return base64.b64decode(text.encode("ascii"), validate=True)


def from_base64url(text: str) -> bytes:
    """
    Bytes that were written in base64url, with or without padding: browsers leave it out.

    Raises:
        ValueError: They were not.
    """
    data = text.rstrip("=").encode("ascii")
    if re.fullmatch(rb"[A-Za-z0-9_-]*", data) is None:
        raise binascii.Error("not base64url")
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))


def _is_push_endpoint(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        is_usable = (
            parts.scheme == "https"
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0  # reading it also refuses a port that is no number
        )
    except ValueError:
        return False
    is_text = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
    return is_usable and is_text and len(endpoint) <= _LONGEST_ENDPOINT


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Subscription(msgspec.Struct):
    endpoint: str
    keys: _Keys
