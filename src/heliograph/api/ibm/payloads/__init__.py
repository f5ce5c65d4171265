"""
A message in each platform's form, exactly as IBM's client SDKs read it (contract §5.3-§5.5).

Pure. What a gateway cannot take is refused before anything is accepted. README.md, one folder up,
has the tables.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, assert_never

from heliograph.api.ibm.payloads import android, apple, browsers
from heliograph.api.ibm.payloads.android import dismissal
from heliograph.api.ibm.problems import invalid
from heliograph.api.ibm.schema import Sending
from heliograph.gateways import apns, fcm, webpush
from heliograph.model import ApnsMessage, FcmMessage, Message, Messages, Platform, WebMessage

__all__ = ["BLOCKS", "build", "dismissal"]

BLOCKS: Final = {
    Platform.IOS: "apns",
    Platform.SAFARI: "safariWeb",
    Platform.ANDROID: "gcm",
    Platform.CHROME_APP: "chromeAppExt",
    Platform.CHROME: "chromeWeb",
    Platform.FIREFOX: "firefoxWeb",
}
"""Which block of a message's settings is for which platform."""

_NO_CHANNELS: Final[Mapping[str, Mapping[str, Any]]] = {}


def build(
    sending: Sending, message_id: str, *, channels: Mapping[str, Mapping[str, Any]] = _NO_CHANNELS
) -> Messages:
    """
    An edition for every platform that the message may reach: if it names some, for those only.

    Args:
        sending: What is to be sent.
        message_id: What devices will call it when they report it.
        channels: The notification channels of Android that the customer has defined, by their
            ids, with the members that the SDK reads (contract §5.4).

    Raises:
        Problem: 400; some edition is more than its gateway takes, or not what it takes.
    """
    wanted = sending.target.platforms or tuple(Platform)
    editions = {platform: _edition(platform, sending, message_id, channels) for platform in wanted}
    for platform, message in editions.items():
        if problems := _problems(message):
            raise invalid(_source(sending, platform), "; ".join(problems))
    return _as_messages(editions)


def _edition(
    platform: Platform,
    sending: Sending,
    message_id: str,
    channels: Mapping[str, Mapping[str, Any]],
) -> Message:
    match platform:
        case Platform.IOS:
            return apple.ios(sending, message_id)
        case Platform.SAFARI:
            return apple.safari(sending)
        case Platform.ANDROID:
            return android.message(sending, message_id, channels)
        case Platform.CHROME_APP:
            return browsers.chrome_app(sending, message_id)
        case Platform.CHROME:
            return browsers.chrome(sending, message_id)
        case Platform.FIREFOX:
            return browsers.firefox(sending, message_id)
        case _:
            assert_never(platform)


def _as_messages(editions: Mapping[Platform, Message]) -> Messages:
    """The same, each in its place; Firefox has none of its own where it would be Chrome's."""
    placed: dict[str, Any] = {_PLACES[platform]: editions[platform] for platform in editions}
    messages = Messages(**placed)
    return replace(messages, firefox=None) if messages.firefox == messages.web else messages


_PLACES: Final = {
    Platform.IOS: "apns",
    Platform.SAFARI: "safari",
    Platform.ANDROID: "fcm",
    Platform.CHROME_APP: "chrome_app",
    Platform.CHROME: "web",
    Platform.FIREFOX: "firefox",
}


def _problems(message: Message) -> list[str]:
    match message:
        case ApnsMessage():
            return apns.problems(message)
        case FcmMessage():
            return fcm.problems(message)
        case WebMessage():
            return webpush.problems(message)
        case _:
            assert_never(message)


def _source(sending: Sending, platform: Platform) -> str:
    """The parameter that an edition is made of, besides what all have in common."""
    block = BLOCKS[platform]
    return f"settings.{block}" if sending.block(block) else "message"
