"""What iPhones and Safari receive of an IBM message, through APNs."""

import json
from typing import Any, Final

import pytest

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm.payloads import apple
from heliograph.api.ibm.schema import read_sending
from heliograph.model import ApnsMessage

ID: Final = "AbC12345"


def ios(alert: str = "A", *, url: str | None = None, **settings: Any) -> ApnsMessage:
    return apple.ios(read_sending(body(alert, url=url, apns=settings)), ID)


def content(message: ApnsMessage) -> dict[str, Any]:
    """The payload, with the JSON in its ``payload`` read as the SDK does."""
    read: dict[str, Any] = json.loads(message.payload)
    if isinstance(read.get("payload"), str):
        read["payload"] = ("text", json.loads(read["payload"]))
    return read


def aps(**settings: Any) -> dict[str, Any]:
    """What Apple reads."""
    read: dict[str, Any] = content(ios(**settings))["aps"]
    return read


def test_an_iphone_with_every_setting() -> None:
    """Contract §5.3: every setting is where the SDK, or iOS, reads it; nothing else is there."""
    message = apple.ios(read_sending(body("B", url="https://x", **EVERY_SETTING)), ID)

    assert {
        "aps": {
            "alert": {
                "body": "B",
                "title": "IBM",
                "subtitle": "IBM Cloud",
                "title-loc-key": "OFFER",
                "title-loc-args": ["Jenna", "Frank"],
                "loc-key": "REPLYTO",
                "loc-args": ["Jenna", "Jenna"],
                "action-loc-key": "PUSH_OFFER",
                "launch-image": "launchImage1.png",
                "summary-arg": "Shop",
                "summary-arg-count": 10,
            },
            "badge": 1,
            "sound": "sound.mp3",
            "category": "Accept",
            "thread-id": "offers",
            "content-available": 1,
            "mutable-content": 1,
        },
        "url": "https://x",
        "attachment-url": "https://pictures.example/icon.png",
        "payload": ("text", {"offer": {"percent": 20}, "nid": ID}),
    } == content(message)
    assert ("alert", 10, "offer", None) == (
        message.push_type,
        message.priority,
        message.collapse_id,
        message.expiration,
    )


def test_an_iphone_without_settings() -> None:
    """Contract §5.3: ``alert`` is an object with ``body``, and ``payload`` a text with the id."""
    message = apple.ios(read_sending(body("A")), ID)

    expected = {
        "aps": {"alert": {"body": "A"}, "sound": "default"},
        "payload": '{"nid":"AbC12345"}',
    }
    assert expected == json.loads(message.payload)
    assert ("alert", 10, None) == (message.push_type, message.priority, message.collapse_id)


@pytest.mark.parametrize(
    "settings,sound",
    [
        ({}, {"sound": "default"}),
        ({"sound": "s.caf"}, {"sound": "s.caf"}),
        pytest.param({"sound": ""}, {}, id="an empty name is no sound"),
    ],
)
def test_the_sound(settings: dict[str, Any], sound: dict[str, str]) -> None:
    """Contract §5.3: the sound is ``default`` if unspecified."""
    assert {"alert": {"body": "A"}} | sound == aps(**settings)


@pytest.mark.parametrize(
    "settings,category",
    [
        ({"category": "old"}, "old"),
        ({"interactiveCategory": "new"}, "new"),
        ({"interactiveCategory": "new", "category": "old"}, "new"),
    ],
)
def test_the_category_has_two_names(settings: dict[str, Any], category: str) -> None:
    """Contract §5.3: ``category`` is deprecated, so ``interactiveCategory`` goes before it."""
    assert category == aps(**settings)["category"]


@pytest.mark.parametrize("badge", [0, 7])
def test_the_badge(badge: int) -> None:
    """Contract §5.3: 0 clears the badge, absence leaves it."""
    assert badge == aps(badge=badge)["badge"]
    assert "badge" not in aps()


@pytest.mark.parametrize("alert", ["A", "Hi {{name}}"])
def test_a_silent_push_shows_nothing(alert: str) -> None:
    """Contract §5.3: SILENT is content-available, without alert, sound or badge; as Apple wants."""
    message = ios(
        alert, url="https://x", type="SILENT", badge=1, sound="s", payload={"a": 1}, title="T"
    )

    assert {
        "aps": {"content-available": 1},
        "url": "https://x",
        "payload": ("text", {"a": 1, "nid": ID}),
    } == content(message)
    assert ("background", 5) == (message.push_type, message.priority)


def test_a_mixed_push_is_shown_and_wakes_the_app() -> None:
    """Contract §5.3: MIXED is an alert with content-available; it is no background push."""
    message = ios(type="mixed")

    assert {
        "alert": {"body": "A"},
        "sound": "default",
        "content-available": 1,
    } == content(message)["aps"]
    assert ("alert", 10) == (message.push_type, message.priority)


def test_an_attachment_wakes_the_extension() -> None:
    """Contract §5.3: ``attachment-url`` at the top, and mutable-content, else no extension runs."""
    read = content(ios(attachmentUrl="https://x/i.png"))

    assert ("https://x/i.png", 1) == (read["attachment-url"], read["aps"]["mutable-content"])


def test_the_id_is_ours() -> None:
    """Contract §5.3: ``nid`` in ``payload`` is the message's id, whatever the caller had there."""
    assert ("text", {"nid": ID, "a": 1}) == content(ios(payload={"nid": "x", "a": 1}))["payload"]


def test_a_template_is_left_to_the_sdk() -> None:
    """Contract §5.3: has-template is 1, the push silent, and ``template`` what the SDK shows."""
    message = ios(
        "Hi {{ name }}",
        url="https://x",
        badge=3,
        sound="s.caf",
        interactiveCategory="C",
        title="T",
        subtitle="S",
        attachmentUrl="https://x/i.png",
        payload={"a": 1},
        apnsCollapseId="c",
    )

    assert {
        "aps": {"content-available": 1},
        "has-template": 1,
        "template": {
            "alert": {"body": "Hi {{ name }}", "title": "T", "subTitle": "S", "sound": "s.caf"},
            "badge": 3,
            "category": "C",
        },
        "payload": {"a": 1, "nid": ID},
        "attachment-url": "https://x/i.png",
        "url": "https://x",
    } == content(message)
    assert ("background", 5, "c") == (message.push_type, message.priority, message.collapse_id)


def test_only_a_template_says_so() -> None:
    """Contract §5.3: two SDKs take any push that has ``has-template`` for one, so it is absent."""
    assert "has-template" not in content(ios("{name}"))


# --- Safari --------------------------------------------------------------------------


def test_safari_with_every_setting() -> None:
    """Contract §5.5: title, body and action, and the values for the site's URL."""
    message = apple.safari(read_sending(body("B", url="https://x", **EVERY_SETTING)))

    expected = {
        "aps": {
            "alert": {"title": "IBM", "body": "B", "action": "View"},
            "url-args": ["www", "IBM"],
        }
    }
    assert expected == json.loads(message.payload)
    assert ("alert", 10) == (message.push_type, message.priority)


def test_safari_without_settings() -> None:
    """Contract §5.5: a plain message has a title all the same, without which nothing is shown."""
    message = apple.safari(read_sending(body("B")))

    assert {"aps": {"alert": {"title": "New message", "body": "B"}, "url-args": []}} == json.loads(
        message.payload
    )
