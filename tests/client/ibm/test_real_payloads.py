"""What IBM's SDKs read in what the product really writes: both sides of contract §5.3 to §5.5."""

import json
from typing import Any, Final

import pytest

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm.payloads import build, dismissal
from heliograph.api.ibm.schema import read_sending
from heliograph.client.ibm.device import AppState, Handled
from heliograph.client.ibm.notifications import handle
from heliograph.client.ibm.profiles import PROFILES
from heliograph.model import ApnsMessage, FcmMessage, Messages, WebMessage

NID: Final = "AbC12345"


def received(profile: str, request: dict[str, Any]) -> Handled:
    """What a device makes of this message, while its app is not in front."""
    messages = build(read_sending(request), NID)
    app_state = AppState.ACTIVE if profile in {"chrome", "firefox"} else AppState.BACKGROUND
    written = json.loads(_bytes(messages, profile))
    return handle(PROFILES[profile], written, app_state, {"name": "Ada"})


def _bytes(messages: Messages, profile: str) -> bytes:
    edition: ApnsMessage | FcmMessage | WebMessage | None
    match profile:
        case "ios":
            edition = messages.apns
        case "android":
            edition = messages.fcm
        case "safari":
            edition = messages.safari
        case "firefox":
            edition = messages.firefox or messages.web
        case _:
            edition = messages.web
    assert edition is not None
    return edition.message if isinstance(edition, FcmMessage) else edition.payload


@pytest.mark.parametrize("profile", PROFILES)
def test_a_plain_message(profile: str) -> None:
    """Contract §5.3 to §5.5: the text is shown, and reported by its id; Safari reports nothing."""
    handled = received(profile, body("Hello"))

    assert (True, "Hello") == (handled.is_shown, handled.alert)
    if profile != "safari":
        assert (NID, "SEEN", {"nid": NID}) == (handled.nid, handled.report, handled.payload)


def test_every_setting_on_ios() -> None:
    """Contract §5.3: each setting is where the iOS SDK looks for it."""
    handled = received("ios", body("Hello", url="https://x", **EVERY_SETTING))

    assert handled == Handled(
        nid=NID,
        is_shown=True,
        report="SEEN",
        alert="Hello",
        title="IBM",
        subtitle="IBM Cloud",
        url="https://x",
        sound="sound.mp3",
        badge=1,
        category="Accept",
        attachment_url="https://pictures.example/icon.png",
        payload={"offer": {"percent": 20}, "nid": NID},
    )


def test_every_setting_on_android() -> None:
    """Contract §5.4: each setting is where the Android SDK looks for it, under its own capitals."""
    handled = received("android", body("Hello", url="https://x", **EVERY_SETTING))

    assert ("Hello", "Title for Android", "https://x", "message", "sound.mp3", "Accept") == (
        handled.alert,
        handled.title,
        handled.url,
        handled.icon,
        handled.sound,
        handled.category,
    )
    assert handled.style is not None
    assert handled.channel is not None
    assert ["IBM", "IBM Cloud"] == handled.style["lines"]
    assert {"ledARGB": "MAGENTA", "ledOnMS": 100, "ledOffMS": 200} == handled.lights
    assert "offers" == handled.channel["channelId"]
    assert {"offer": {"percent": 20}, "nid": NID} == handled.payload


@pytest.mark.parametrize("profile", ["chrome", "firefox"])
def test_every_setting_in_a_browser(profile: str) -> None:
    """Contract §5.5: each setting is where the worker looks for it."""
    handled = received(profile, body("Hello", **EVERY_SETTING))

    assert (f"For {profile.title()}", f"https://pictures.example/{profile}.png") == (
        handled.title,
        handled.icon,
    )
    assert {"browser": profile, "nid": NID} == handled.payload


def test_every_setting_in_safari() -> None:
    """Contract §5.5: title, text and button are those of Apple's format."""
    handled = received("safari", body("Hello", **EVERY_SETTING))

    assert ("Hello", "IBM", "View") == (handled.alert, handled.title, handled.category)


@pytest.mark.parametrize("profile", ["ios", "android", "chrome", "firefox"])
def test_a_template(profile: str) -> None:
    """Contract §8: each device fills in its own variables, and reports as ever."""
    handled = received(profile, body("Hi {{name}}", apns={"title": "T", "badge": 2}))

    assert ("Hi Ada", NID, True) == (handled.alert, handled.nid, handled.is_shown)


@pytest.mark.parametrize("profile, block", [("ios", "apns"), ("android", "gcm")])
def test_silence(profile: str, block: str) -> None:
    """Contract §5.3, §5.4: a silent message is not shown, and is reported."""
    handled = received(profile, body("Hello") | {"settings": {block: {"type": "SILENT"}}})

    assert (False, NID, "SEEN") == (handled.is_shown, handled.nid, handled.report)


def test_a_dismissal() -> None:
    """Contract §5.4: the push that takes a message back is understood."""
    message = json.loads(dismissal(NID).message)

    assert Handled(dismisses=NID) == (handle(PROFILES["android"], message, AppState.BACKGROUND, {}))
