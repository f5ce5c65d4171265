"""Which device of a batch receives which edition: a table of platforms."""

from itertools import count

import pytest

from builders import EVERYTHING, apns_address, fcm_address, web_address
from heliograph.model import (
    ApnsMessage,
    DeviceNumber,
    FcmMessage,
    Gateway,
    Message,
    Messages,
    Platform,
    WebMessage,
)
from heliograph.pipeline.editions import editions
from heliograph.storage.devices import recipient

SAFARI, CHROME_APP, FIREFOX = ApnsMessage(b"safari"), FcmMessage(b"app"), WebMessage(b"firefox")
EDITED = Messages(EVERYTHING.apns, EVERYTHING.fcm, EVERYTHING.web, SAFARI, CHROME_APP, FIREFOX)
ONLY = Messages(safari=SAFARI, chrome_app=CHROME_APP, firefox=FIREFOX)
ADDRESSES = {
    Gateway.APNS: apns_address(),
    Gateway.FCM: fcm_address(),
    Gateway.WEB: web_address(),
}


@pytest.mark.parametrize(
    "messages, platform, expected",
    [
        (EDITED, Platform.IOS, EVERYTHING.apns),
        (EDITED, Platform.SAFARI, SAFARI),
        (EDITED, Platform.ANDROID, EVERYTHING.fcm),
        (EDITED, Platform.CHROME_APP, CHROME_APP),
        (EDITED, Platform.CHROME, EVERYTHING.web),
        (EDITED, Platform.FIREFOX, FIREFOX),
        (EVERYTHING, Platform.SAFARI, EVERYTHING.apns),
        (EVERYTHING, Platform.CHROME_APP, EVERYTHING.fcm),
        (EVERYTHING, Platform.FIREFOX, EVERYTHING.web),
        (ONLY, Platform.IOS, None),
        (ONLY, Platform.SAFARI, SAFARI),
        (ONLY, Platform.ANDROID, None),
        (ONLY, Platform.CHROME, None),
        (ONLY, Platform.FIREFOX, FIREFOX),
    ],
)
def test_a_platform_receives_its_own_edition_or_the_usual_one(
    messages: Messages, platform: Platform, expected: Message | None
) -> None:
    """None where there is neither; a device that did not say is of the usual platform."""
    gateway = platform.gateway
    one = recipient(DeviceNumber(1), ADDRESSES[gateway], platform)
    silent = recipient(DeviceNumber(2), ADDRESSES[gateway])

    found = {
        device.number: message
        for message, some in editions(messages, gateway, [one, silent])
        for device in some
    }

    assert {1: expected, 2: messages.of(gateway)} == found


def test_where_all_receive_the_same_nothing_is_sorted() -> None:
    """The very devices that came, as they came."""
    numbers = count(1)
    some = [recipient(DeviceNumber(next(numbers)), fcm_address()) for _ in range(3)]

    ((message, others),) = editions(EVERYTHING, Gateway.FCM, some)

    assert (EVERYTHING.fcm, True) == (message, others is some)
