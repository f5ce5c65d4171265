import json
import re
from base64 import b64decode

import pytest

from heliograph.sandbox.devices import Devices, Platform
from sandbox.senders import NOW

ORIGIN = "https://127.0.0.1:4443"


@pytest.fixture
def devices() -> Devices:
    return Devices(webpush_origin=ORIGIN)


def test_apple_device(devices: Devices) -> None:
    """An Apple device has 64 lower-case hexadecimal digits and a topic."""
    shown = devices.mint(Platform.APNS, now=NOW).as_json()

    assert {"token", "topic", "environment"} == set(shown)
    assert re.fullmatch("[0-9a-f]{64}", str(shown["token"]))
    assert ("com.example.app", "production") == (shown["topic"], shown["environment"])


def test_apple_device_with_another_topic(devices: Devices) -> None:
    """The app on an Apple device may be another one."""
    assert "org.example" == devices.mint(Platform.APNS, now=NOW, topic="org.example").topic


def test_android_device(devices: Devices) -> None:
    """An Android device has a token that looks like Google's, and nothing else."""
    shown = devices.mint(Platform.FCM, now=NOW).as_json()

    assert {"token"} == set(shown)
    assert re.fullmatch(r"[\w-]{22}:APA91b[\w-]{134}", str(shown["token"]))


def test_browser(devices: Devices) -> None:
    """A browser has a subscription, and its token is that subscription in base64."""
    shown = devices.mint(Platform.WEB, now=NOW).as_json()
    subscription = json.loads(b64decode(str(shown["token"])))

    assert shown["subscription"] == subscription
    assert {"endpoint", "expirationTime", "keys"} == set(subscription)
    assert subscription["endpoint"].startswith(f"{ORIGIN}/push/")
    assert subscription["expirationTime"] is None
    assert 87 == len(subscription["keys"]["p256dh"])
    assert 22 == len(subscription["keys"]["auth"])


@pytest.mark.parametrize("platform", Platform)
def test_devices_are_found_by_every_name(devices: Devices, platform: Platform) -> None:
    """A device is found by its key, its token and its endpoint."""
    device = devices.mint(platform, now=NOW)

    assert all(devices.find(name) is device for name in device.names)
    assert devices.get(platform, device.key) is device


def test_apple_tokens_are_found_in_either_case(devices: Devices) -> None:
    """Hexadecimal digits are the same in upper case."""
    device = devices.mint(Platform.APNS, now=NOW)

    assert devices.find(device.key.upper()) is device


@pytest.mark.parametrize("name", ["", "x", "e30=", "https://other.example/push/a", "é" * 9])
def test_other_names(devices: Devices, name: str) -> None:
    """What names nobody finds nobody."""
    devices.mint(Platform.WEB, now=NOW)

    assert devices.find(name) is None


def test_real_browser_goes_by_its_endpoint(devices: Devices) -> None:
    """A browser that keeps its keys has no subscription to show."""
    device = devices.add_browser(now=NOW, name="Firefox", server_key=None)

    assert device.endpoint == device.token
    assert device.subscription is None
    assert devices.find(device.token) is device


def test_the_youngest_come_first(devices: Devices) -> None:
    """Devices are numbered from 1 and listed backwards."""
    for _ in range(3):
        devices.mint(Platform.FCM, now=NOW)

    assert [3, 2] == [device.number for device in devices.newest(2)]
    assert 3 == len(devices)
