"""What Android devices receive of an IBM message, through FCM."""

import json
from typing import Any, Final

import pytest

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm.payloads import android
from heliograph.api.ibm.schema import read_sending
from heliograph.gateways import fcm
from heliograph.model import FcmMessage
from heliograph.sandbox.fcm_message import message_of, payload_bytes, violations

ID: Final = "AbC12345"
CHANNELS: Final[dict[str, dict[str, Any]]] = {
    "offers": {
        "channelId": "ignored",
        "channelName": "Offers",
        "importance": 4,
        "enableLights": True,
        "enableVibration": True,
        "lightColor": "red",
        "lockScreenVisibility": 1,
        "bypassDND": False,
        "description": "What is cheap today",
        "showBadge": True,
        "sound": "offer.mp3",
        "vibrationPattern": [100, 200],
    },
    "grouped": {"groupJson": {"groupId": "g", "groupName": "Group"}},
    "grouped as text": {"groupJson": '{"groupId":"g"}'},
}
IN_JSON: Final = ("payload", "style", "lights", "channel")


def build(alert: str = "A", *, url: str | None = None, **settings: Any) -> FcmMessage:
    return android.message(read_sending(body(alert, url=url, gcm=settings)), ID, CHANNELS)


def content(message: FcmMessage) -> dict[str, Any]:
    """The FCM message, with the JSON in its texts read as the SDK does."""
    read: dict[str, Any] = json.loads(message.message)
    for name in IN_JSON:
        if name in read["data"]:
            read["data"][name] = json.loads(read["data"][name])
    channel = read["data"].get("channel", {})
    if "groupJson" in channel:
        channel["groupJson"] = json.loads(channel["groupJson"])
    return read


def data(alert: str = "A", *, url: str | None = None, **settings: Any) -> dict[str, Any]:
    """What the SDK reads."""
    read: dict[str, Any] = content(build(alert, url=url, **settings))["data"]
    return read


PLAIN: Final = {
    "alert": "A",
    "androidTitle": "",
    "payload": {"nid": ID},
    "mid": ID,
    "has-template": "0",
}


def test_an_android_device_with_every_setting() -> None:
    """Contract §5.4: data alone, each setting under the name and in the form the SDK reads."""
    message = android.message(
        read_sending(body("B", url="https://x", **EVERY_SETTING)), ID, CHANNELS
    )

    assert {
        "data": {
            "alert": "B",
            "url": "https://x",
            "payload": {"offer": {"percent": 20}, "nid": ID},
            "mid": ID,
            "androidTitle": "Title for Android",
            "icon": "message",
            "sound": "sound.mp3",
            "priority": "max",
            "visibility": "private",
            "redact": "You have a message",
            "interactiveCategory": "Accept",
            "key": ID,
            "has-template": "0",
            "style": {
                "type": "inbox_notification",
                "title": "Big",
                "url": "https://pictures.example/big.png",
                "text": "IBM Push",
                "lines": "IBM,IBM Cloud",
            },
            "lights": {"ledARGB": "MAGENTA", "ledOnMS": 100, "ledOffMS": 200},
            "channel": CHANNELS["offers"]
            | {"channelId": "offers", "groupJson": {"groupId": "shop", "groupName": "shop"}},
        },
        "android": {"collapse_key": "ping", "ttl": "60s", "priority": "HIGH"},
    } == content(message)
    assert 60 == message.ttl_seconds
    assert [] == fcm.problems(message)


def test_an_android_device_without_settings() -> None:
    """Contract §5.4: the text, and ``payload`` with the id, without which nothing is reported."""
    message = android.message(read_sending(body("A")), ID, {})

    assert {"data": PLAIN} == content(message)
    assert message.ttl_seconds is None


def test_every_value_is_text() -> None:
    """Contract §5.4: FCM's v1 takes texts only, so objects are their JSON."""
    message = android.message(read_sending(body("B", **EVERY_SETTING)), ID, CHANNELS)

    values = json.loads(message.message)["data"].values()
    assert {str} == {type(value) for value in values}


def test_google_takes_it() -> None:
    """The sandbox's own reading of FCM's v1 finds nothing wrong with a message of every setting."""
    message = android.message(read_sending(body("B", **EVERY_SETTING)), ID, CHANNELS)

    envelope = {"message": json.loads(message.message) | {"token": "t"}}
    assert [] == violations(envelope)
    assert fcm.MAX_PAYLOAD_BYTES > payload_bytes(message_of(envelope))


@pytest.mark.parametrize(
    "settings,more",
    [
        ({"sound": "s.mp3", "icon": "i"}, {"sound": "s.mp3", "icon": "i"}),
        ({"androidTitle": "T"}, {"androidTitle": "T"}),
        ({"androidtitle": "T"}, {"androidTitle": "T"}),
        ({"type": "SILENT"}, {"type": "silent"}),
        ({"type": "MIXED"}, {}),
        ({"type": "DEFAULT"}, {}),
        ({"sync": True}, {"key": ID}),
        ({"sync": "false"}, {}),
        ({"delayWhileIdle": True}, {}),
        ({"groupId": "g"}, {}),
        ({"payload": {"nid": "x", "a": 1}}, {"payload": {"nid": ID, "a": 1}}),
        ({"payload": '{"a": 1}'}, {"payload": {"a": 1, "nid": ID}}),
    ],
)
def test_a_setting_becomes_data(settings: dict[str, Any], more: dict[str, Any]) -> None:
    """Contract §5.4: what the SDK reads of a setting; what it does not read is left out."""
    assert PLAIN | more == data(**settings)


def test_a_template_is_said_to_be_one() -> None:
    """Contract §5.4: has-template is "1", or "0": the SDK makes a number of it."""
    assert "1" == data("Hi {{name}}")["has-template"]


@pytest.mark.parametrize(
    "settings,config,ttl",
    [
        ({}, None, None),
        ({"priority": "MAX"}, {"priority": "HIGH"}, None),
        ({"priority": "high"}, {"priority": "HIGH"}, None),
        ({"priority": "default"}, {"priority": "NORMAL"}, None),
        ({"priority": "low"}, {"priority": "NORMAL"}, None),
        ({"priority": "min"}, {"priority": "NORMAL"}, None),
        ({"timeToLive": 0}, {"ttl": "0s"}, 0),
        ({"timeToLive": 2_419_200}, {"ttl": "2419200s"}, 2_419_200),
        ({"collapseKey": "k"}, {"collapse_key": "k"}, None),
    ],
)
def test_how_it_is_carried(
    settings: dict[str, Any], config: dict[str, str] | None, ttl: int | None
) -> None:
    """Contract §5.4: collapse key, time to live and urgency in FCM's v1 form."""
    message = build(**settings)

    assert (config, ttl) == (json.loads(message.message).get("android"), message.ttl_seconds)


# --- styles, as the SDK reads them ---------------------------------------------------

READ_OF: Final = {
    "bigtext_notification": {"title", "text"},
    "picture_notification": {"title"},
    "inbox_notification": {"title", "lines"},
}
"""Where one of these is absent, the SDK shows nothing; a picture's ``url`` it can do without."""


@pytest.mark.parametrize("kind", list(READ_OF))
def test_a_style_has_what_the_sdk_reads(kind: str) -> None:
    """Contract §5.4: of a style that is only a type, the text is used for what is missing."""
    style = data("A", style={"type": kind})["style"]

    assert kind == style["type"]
    assert READ_OF[kind] <= set(style)
    assert {"", "A"} >= {style[name] for name in READ_OF[kind]}


@pytest.mark.parametrize("lines", [["one"], ["IBM", "IBM Cloud", 'a "quote"']])
def test_the_lines_are_split_as_they_were(lines: list[str]) -> None:
    """Contract §5.4: the SDK takes the text, strips brackets and splits it at commas."""
    style = data(style={"type": "inbox_notification", "lines": lines})["style"]

    assert lines == str(style["lines"]).replace("[", "").replace("]", "").split(",")


# --- channels ------------------------------------------------------------------------


def test_a_channel_that_is_defined() -> None:
    """Contract §5.4: ``channelId`` is expanded into the channel that the customer defined."""
    assert CHANNELS["offers"] | {"channelId": "offers"} == data(channelId="offers")["channel"]


def test_a_channel_that_nobody_defined() -> None:
    """Contract §5.4: Android makes no channel without a name, so it has its id for one."""
    expected = {"channelId": "new", "channelName": "new", "importance": 3}
    assert expected == data(channelId="new")["channel"]


@pytest.mark.parametrize(
    "channel,group",
    [
        ("new", {"groupId": "mine", "groupName": "mine"}),
        ("grouped", {"groupId": "g", "groupName": "Group"}),
        ("grouped as text", {"groupId": "g"}),
    ],
)
def test_the_group_of_a_channel(channel: str, group: dict[str, str]) -> None:
    """Contract §5.4: ``groupJson`` is JSON in a text; a definition's goes before ``groupId``."""
    assert group == data(channelId=channel, groupId="mine")["channel"]["groupJson"]


def test_a_definition_is_not_changed() -> None:
    """What the customer defined is the same for the next message."""
    before = json.dumps(CHANNELS)

    data(channelId="grouped", groupId="mine")

    assert before == json.dumps(CHANNELS)


# --- taking back ---------------------------------------------------------------------


def test_a_dismissal() -> None:
    """Contract §5.4: the action and the id, by which the SDK takes a notification back."""
    message = android.dismissal(ID)

    assert {
        "data": {
            "action": "com.ibm.mobilefirstplatform.clientsdk.android.push.DISMISS_NOTIFICATION",
            "nid": ID,
        }
    } == json.loads(message.message)
    assert [] == fcm.problems(message)
