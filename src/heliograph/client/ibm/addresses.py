"""What names a device: its id, of the form that each SDK makes, and its address. Pure."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from heliograph.client.ibm.profiles import Profile
from heliograph.client.registration import DeviceToken, wire_token

RANDOM_BYTES: Final = 32
"""How many random bytes a new device id is made of."""


def new_device_id(profile: Profile, random: bytes) -> str:
    """
    Make up an id as this SDK does (§3.1).

    iOS: the vendor's UUID in capitals. Android: a UUID of version 3 of the device's own
    number. Web: 32 digits.
    """
    match profile.kind:
        case "ios":
            return str(UUID(bytes=random[:16], version=4)).upper()
        case "android":
            digest = hashlib.md5(random[:8].hex().encode(), usedforsecurity=False).digest()
            return str(UUID(bytes=digest, version=3))
        case "web":
            return "".join(str(byte % 10) for byte in random)


def ibm_token(profile: Profile, token: DeviceToken) -> str:
    """
    Write an address as this SDK registers it (§3.1).

    Args:
        profile: The SDK.
        token: iOS: bytes or hexadecimal digits, which become lower-case. Android: the FCM
            token. Safari: the hexadecimal digits that it tells, as they are. Chrome and
            Firefox: the PushSubscription, as a mapping or as JSON.

    Raises:
        TypeError: This platform's tokens are of another type.
        ValueError: The token is empty, or is not a PushSubscription with its keys.
    """
    match profile.kind:
        case "ios":
            return wire_token("apns", token)
        case "web" if profile.name != "safari":
            return _subscription(json.loads(token) if isinstance(token, str) else token)
        case _:
            return wire_token("fcm", token)


def _subscription(value: DeviceToken) -> str:
    if not isinstance(value, Mapping):
        raise TypeError(f"a PushSubscription is a mapping, not a {type(value).__name__}")
    keys = value.get("keys")
    if not isinstance(value.get("endpoint"), str) or not isinstance(keys, Mapping):
        raise ValueError(  # noqa: TRY004  (the type of what is inside)
            "a web token is a PushSubscription, with its endpoint and its keys"
        )
    told = {
        "endpoint": value["endpoint"],
        "userPublicKey": _btoa(keys.get("p256dh")),
        "userAuth": _btoa(keys.get("auth")),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _btoa(key: Any) -> str:
    """What ``btoa`` makes of a key: standard base64, padded."""
    try:
        raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError("a key of a PushSubscription is base64url") from error
    if not raw:
        raise ValueError("a key of the PushSubscription is missing")
    return base64.b64encode(raw).decode()
