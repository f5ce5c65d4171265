"""Devices that imitate an official SDK, before a fake server."""

from pathlib import Path

import httpx

from client.fakes import INSTANCE, FakeSleep
from heliograph.client import device
from heliograph.client.registration import DeviceToken

SUBSCRIPTION = {
    "endpoint": "https://push.example/abc",
    "expirationTime": None,
    "keys": {"p256dh": "BC~?", "auth": "aa"},
}
TOKENS: dict[str, DeviceToken] = {
    "ios": bytes.fromhex("E4CE01"),
    "android": "fcm-token",
    "web": SUBSCRIPTION,
}
NOW = 1_700_000_000.9


def imitation(
    http: httpx.Client,
    profile: str,
    *,
    state_file: Path | None = None,
    sleep: FakeSleep | None = None,
    instance: str = INSTANCE,
) -> device.PushNotifications:
    """A device with a profile, started."""
    made = device.PushNotifications(
        "http://beams.example",
        state_file=state_file,
        os_version="17.5.1",
        http_client=http,
        sleep=sleep or FakeSleep(most=50),
        profile=profile,
        clock=lambda: NOW,
    )
    made.start(instance)
    return made


def registered(
    http: httpx.Client, profile: str, *, sleep: FakeSleep | None = None
) -> device.PushNotifications:
    """A device with a profile, registered."""
    made = imitation(http, profile, sleep=sleep)
    made.register_device_token(TOKENS[profile])
    return made
