"""
How IBM's SDKs register: ask, compare, and say only what is new (§3.3).

Operations without I/O. What a reply must hold is each SDK's own: Swift casts by force, and
dies of a missing ``userId``; Android's and the web's parsers throw where nobody listens.
"""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from heliograph.client.endpoint import json_object
from heliograph.client.ibm.asking import TakenForNew, ask
from heliograph.client.ibm.errors import Crash, NoCallback, SdkError
from heliograph.client.ibm.profiles import Call, Profile
from heliograph.client.ibm.requests import Registration, Requests
from heliograph.client.steps import Operation

ANONYMOUS: Final = "anonymous"
"""The user of a device that is nobody's, as the server writes it."""

Device = Mapping[str, Any]
"""A device as the server tells it; empty where an SDK does not read the reply."""

_COMPARED: Final = ("deviceId", "token", "userId")


def ask_sender(requests: Requests) -> Operation[None]:
    """Ask who sends through FCM, as Android does before each registration."""
    reply = yield from ask(requests.profile, Call.SENDER, requests.sender())
    told = json_object(reply) or {}
    if "senderId" not in told:
        raise SdkError(0, "SenderId is not configured", status=reply.status_code)
    if not isinstance(told["senderId"], str):
        raise Crash("senderId is cast to a string")


def stored(requests: Requests, device_id: str) -> Operation[Device | None]:
    """What the server has under this id; None if the SDK takes the device for a new one."""
    profile = requests.profile
    try:
        reply = yield from ask(profile, Call.VERIFY, requests.verify(device_id))
    except TakenForNew:
        return None
    device = json_object(reply)
    is_whole = device is not None and all(isinstance(device.get(key), str) for key in _COMPARED)
    if profile.kind == "ios" and not is_whole:
        raise Crash("deviceId, token and userId are cast to strings")
    if device is None or (profile.kind == "android" and not is_whole):
        raise NoCallback(status=reply.status_code)
    return device


def create(requests: Requests, registration: Registration) -> Operation[Device]:
    """Register a device that is new."""
    reply = yield from ask(requests.profile, Call.CREATE, requests.create(registration))
    device = json_object(reply)
    match requests.profile.kind:
        case "android" if "deviceId" not in (device or {}):
            raise NoCallback(status=reply.status_code)
        case "web":
            return _parsed(reply)
        case _:
            return device or {}


def update(requests: Requests, registration: Registration) -> Operation[Device]:
    """Register what is different now."""
    reply = yield from ask(requests.profile, Call.UPDATE, requests.update(registration))
    return _parsed(reply) if requests.profile.kind == "web" else json_object(reply) or {}


def is_news(profile: Profile, device: Device, registration: Registration) -> bool:
    """
    Whether what the server has is something else, letter by letter (§3.3).

    Variables are not compared. A browser that says nothing of a user does not compare
    theirs either; the mobile SDKs then want to find nobody.
    """
    if (device.get("deviceId"), device.get("token")) != (
        registration.device_id,
        registration.token,
    ):
        return True
    user = registration.user_id
    if user is None:
        return profile.kind != "web" and device.get("userId") != ANONYMOUS
    return device.get("userId") != user


def _parsed(reply: httpx.Response) -> Device:
    device = json_object(reply)
    if device is None:
        raise NoCallback(status=reply.status_code)
    return device
