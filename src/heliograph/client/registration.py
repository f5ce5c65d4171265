"""How a device introduces itself: its address, its metadata, and the server's reply."""

import base64
import json
import platform as machine
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from heliograph.client.endpoint import SDK_VERSION, json_object
from heliograph.client.errors import UnexpectedReply
from heliograph.client.state import Platform

_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")
_NO_BUNDLE: Final = "missing-bundle-id"
"""What the iOS SDK sends for an app without a bundle identifier."""

DeviceToken = bytes | str | Mapping[str, Any]
"""An address at a push service: APNs' bytes, FCM's string, or a browser's PushSubscription."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The server's reply to a registration."""

    device_id: str
    interests: frozenset[str]
    """``initialInterestSet``: what the server has for this device already."""


def wire_token(platform: Platform, token: DeviceToken) -> str:
    """
    Write an address in the one form in which it is registered.

    The same address always gives the same text, since the server knows a device again
    by it: hexadecimal digits become lower-case, and a subscription is written as
    compact JSON, in standard base64.

    Raises:
        TypeError: This platform's tokens are of another type.
        ValueError: The token is empty, or is not a PushSubscription.
    """
    match platform, token:
        case "apns", bytes():
            text = token.hex()
        case "apns", str():
            text = token.lower() if _HEXADECIMAL.fullmatch(token) else token
        case "fcm", str():
            text = token
        case "web", str():
            text = _subscription(json.loads(token))
        case "web", Mapping():
            text = _subscription(dict(token))
        case _:
            raise TypeError(f"a token of {platform} is not a {type(token).__name__}")
    if not text:
        raise ValueError("the device token is empty")
    return text


def _subscription(value: object) -> str:
    endpoint = value.get("endpoint") if isinstance(value, dict) else None
    if not isinstance(endpoint, str):
        raise ValueError(  # noqa: TRY004  (the type of what is inside the JSON)
            "a web token is a PushSubscription: a JSON object with an endpoint"
        )
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def metadata(
    platform: Platform, os_version: str | None, sdk_version: str = SDK_VERSION
) -> dict[str, str]:
    """What a device tells about itself; the version of the operating system is the machine's."""
    about = {"sdkVersion": sdk_version}
    version = os_version or machine.release()
    match platform:
        case "apns":
            return {**about, "iosVersion": version}
        case "fcm":
            return {**about, "androidVersion": version}
        case "web":
            return about


def registration(
    platform: Platform, token: str, bundle_identifier: str | None, about: Mapping[str, str]
) -> dict[str, object]:
    """Write the body that this platform's own SDK registers with."""
    body: dict[str, object] = {"token": token}
    match platform:
        case "apns":
            body["bundleIdentifier"] = bundle_identifier or _NO_BUNDLE
        case "fcm":
            body["knownPreviousClientIds"] = []
        case "web":
            pass
    return {**body, "metadata": dict(about)}


def registered(reply: httpx.Response, *, needs_interests: bool = False) -> Registered:
    """
    Read the reply to a registration.

    Raises:
        UnexpectedReply: It has no device id, or its interests are no list of strings, or are
            missing though they are needed.
    """
    body = json_object(reply) or {}
    device_id, interests = body.get("id"), body.get("initialInterestSet")
    if not isinstance(device_id, str) or not device_id:
        raise UnexpectedReply("the reply to the registration has no device id")
    match interests:
        case None if not needs_interests:
            return Registered(device_id, frozenset())
        case list() if all(isinstance(name, str) for name in interests):
            return Registered(device_id, frozenset(interests))
        case _:
            raise UnexpectedReply("initialInterestSet is not a list of strings")
