"""The settings of a message: what each block may hold."""

from typing import Any

import pytest

from api.ibm.sendings import EVERY_SETTING
from heliograph.api.ibm.blocks import COLOURS, read_settings
from heliograph.api.problems import Problem


def read(block: str, **members: Any) -> dict[str, Any]:
    return dict(read_settings("settings", {block: members})[block])


def refused(block: str, **members: Any) -> tuple[str, str]:
    """The code, and the parameter that is blamed."""
    with pytest.raises(Problem) as caught:
        read(block, **members)
    assert caught.value.status == 400
    return caught.value.error, caught.value.description.split("'")[1]


def test_every_setting_is_read() -> None:
    """Contract §5.3-§5.5: nothing of what a block may hold is lost, and each has one spelling."""
    expected = {name: dict(block) for name, block in EVERY_SETTING.items()}
    expected["apns"] |= {"titleLocArgs": ("Jenna", "Frank"), "locArgs": ("Jenna", "Jenna")}
    expected["gcm"] |= {
        "delayWhileIdle": True,
        "sync": True,
        "visibility": "private",
        "priority": "max",
        "timeToLive": 60,
        "lights": {"ledArgb": "MAGENTA", "ledOnMs": 100, "ledOffMs": 200},
        "style": EVERY_SETTING["gcm"]["style"]
        | {"type": "inbox_notification", "lines": ("IBM", "IBM Cloud")},
    }
    expected["chromeWeb"]["timeToLive"] = 1
    expected["firefoxWeb"]["payload"] = {"browser": "firefox"}
    expected["safariWeb"]["urlArgs"] = ("www", "IBM")

    assert expected == read_settings("settings", EVERY_SETTING)


@pytest.mark.parametrize(
    "block,member,words",
    [
        ("apns", "type", ["DEFAULT", "mixed", "Silent"]),
        ("gcm", "type", ["default", "SILENT", "MIXED"]),
        ("gcm", "priority", ["max", "HIGH", "Default", "low", "MIN"]),
        ("gcm", "visibility", ["Private", "Public", "SECRET"]),
    ],
)
def test_words_are_taken_in_any_case(block: str, member: str, words: list[str]) -> None:
    """Contract §5.4: SDKs write the words in capitals, in small letters and in between."""
    assert [word.lower() for word in words] == [
        read(block, **{member: word})[member].lower() for word in words
    ]


def test_lights_have_twelve_colours() -> None:
    """Contract §5.4: each in any case, and the one that Swift's server SDK misspells."""
    names = [*(colour.lower() for colour in COLOURS), "Magneta"]

    assert [*COLOURS, "MAGENTA"] == [
        read("gcm", lights={"ledArgb": name})["lights"]["ledArgb"] for name in names
    ]


@pytest.mark.parametrize("block", ["gcm", "chromeWeb", "firefoxWeb", "chromeAppExt"])
def test_a_message_is_kept_for_up_to_four_weeks(block: str) -> None:
    """Contract §9: ``timeToLive`` is 0 to 2,419,200 seconds, and 1.0 is one (§5.4)."""
    assert [0, 1, 2_419_200] == [
        read(block, timeToLive=seconds)["timeToLive"] for seconds in (0, 1.0, 2_419_200)
    ]
    for seconds in (-1, 2_419_201, 0.5, "60"):
        parameter = f"settings.{block}.timeToLive"
        assert ("FPWSE0005E", parameter) == refused(block, timeToLive=seconds)


@pytest.mark.parametrize(
    "block,members,parameter",
    [
        ("apns", {"badge": "1"}, "badge"),
        ("apns", {"badge": -1}, "badge"),
        ("apns", {"badge": 2**31}, "badge"),
        ("apns", {"sound": 1}, "sound"),
        ("apns", {"type": "LOUD"}, "type"),
        ("apns", {"locArgs": "Jenna"}, "locArgs"),
        ("apns", {"titleLocArgs": [1]}, "titleLocArgs[0]"),
        ("apns", {"apnsGroupSummaryArgCount": "10"}, "apnsGroupSummaryArgCount"),
        ("gcm", {"sync": "yes"}, "sync"),
        ("gcm", {"delayWhileIdle": 1}, "delayWhileIdle"),
        ("gcm", {"priority": "urgent"}, "priority"),
        ("gcm", {"visibility": "hidden"}, "visibility"),
        ("gcm", {"channelId": ""}, "channelId"),
        ("gcm", {"channelId": "a\0"}, "channelId"),
        ("gcm", {"groupId": "g" * 255}, "groupId"),
        ("gcm", {"lights": "RED"}, "lights"),
        ("gcm", {"lights": {"ledArgb": "PINK"}}, "lights.ledArgb"),
        ("gcm", {"lights": {"ledOnMs": "1.5"}}, "lights.ledOnMs"),
        ("gcm", {"style": {"title": "t"}}, "style.type"),
        ("gcm", {"style": {"type": "small"}}, "style.type"),
        ("gcm", {"style": {"type": "inbox_notification", "lines": "a,b"}}, "style.lines"),
        ("chromeWeb", {"iconUrl": {}}, "iconUrl"),
        ("chromeAppExt", {"collapseKey": 1}, "collapseKey"),
        ("safariWeb", {"title": "t", "urlArgs": []}, "action"),
        ("safariWeb", {"title": "t", "urlArgs": "a", "action": "View"}, "urlArgs"),
    ],
)
def test_a_mistake_in_a_block_is_told_by_its_place(
    block: str, members: dict[str, Any], parameter: str
) -> None:
    """Contract §2.8: another type, an unknown word or a value out of range is FPWSE0005E."""
    assert ("FPWSE0005E", f"settings.{block}.{parameter}") == refused(block, **members)


@pytest.mark.parametrize("block", ["apns", "gcm", "chromeWeb", "firefoxWeb", "chromeAppExt"])
def test_a_payload_is_an_object_or_its_json(block: str) -> None:
    """Contract §5.3, §5.5: some SDKs send an object and some a text; all else is FPWSE0013E."""
    assert read(block, payload={"a": 1}) == read(block, payload='{"a": 1}')
    assert ("FPWSE0013E", f"settings.{block}.payload") == refused(block, payload="[1]")


@pytest.mark.parametrize("missing", ["title", "urlArgs", "action"])
def test_safari_needs_all_three(missing: str) -> None:
    """Contract §5.5: title, urlArgs and action are mandatory in a ``safariWeb`` block."""
    members = {name: value for name, value in EVERY_SETTING["safariWeb"].items() if name != missing}

    assert ("FPWSE0005E", f"settings.safariWeb.{missing}") == refused("safariWeb", **members)


def test_what_is_unknown_or_null_is_left_out() -> None:
    """Contract §5.2: IBM evidently tolerated unknown keys; builders leave members null."""
    settings = {"apns": {"badge": None, "timeToLive": 3600, "sound": "s"}, "gcm": None, "x": 1}

    assert {"apns": {"sound": "s"}} == read_settings("settings", settings)


def test_the_title_for_android_as_the_client_on_pypi_writes_it() -> None:
    """Contract §5.4 has ``androidTitle``; ``androidtitle`` is read beside it."""
    assert {"androidtitle": "T"} == read("gcm", androidtitle="T")
