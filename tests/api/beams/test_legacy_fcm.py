"""Legacy FCM as FCM v1: each field of the legacy reference, and what becomes of it."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.beams import legacy_fcm
from heliograph.api.problems import Problem
from heliograph.gateways import fcm as gateway
from heliograph.model import FcmMessage
from heliograph.sandbox import fcm_message

IDS: Final = {"instanceId": "i", "publishId": "p"}
OPEN_TRACKING: Final = "com.pusher.pushnotifications.OPEN_TRACKING"


def fcm(body: dict[str, Any]) -> FcmMessage:
    return legacy_fcm.message(body, IDS)


def android(body: dict[str, Any]) -> dict[str, Any]:
    """What Google is told besides the data."""
    options: dict[str, Any] = json.loads(fcm(body).message).get("android", {})
    return options


def refused(body: dict[str, Any]) -> str:
    with pytest.raises(Problem) as caught:
        fcm(body)
    assert (422, "Unprocessable Entity") == (caught.value.status, caught.value.error)
    return caught.value.description


def is_good(message: FcmMessage) -> bool:
    """Whether the sandbox, which knows every field of FCM v1 and no other, takes it."""
    content = json.loads(message.message)
    return [] == fcm_message.violations({"message": {"token": "t"} | content})


def read(message: FcmMessage) -> dict[str, Any]:
    """The message, with the JSON in its ``pusher`` string read too."""
    content: dict[str, Any] = json.loads(message.message)
    assert isinstance(content["data"]["pusher"], str)
    content["data"]["pusher"] = json.loads(content["data"]["pusher"])
    return content


@pytest.mark.parametrize(
    "body,message",
    [
        pytest.param(
            {
                "notification": {
                    "title": "T",
                    "body": "B",
                    "android_channel_id": "channel",
                    "icon": "i",
                    "image": "https://i.example/",
                    "sound": "s",
                    "tag": "t",
                    "color": "#aabbcc",
                    "click_action": "com.example.OPEN",
                    "body_loc_key": "b",
                    "body_loc_args": ["1", 2, None],
                    "title_loc_key": "t",
                    "title_loc_args": [True],
                },
                "data": {"text": "x", "number": 1, "real": 1.5, "yes": True, "list": ["é"]},
                "time_to_live": 60,
                "collapse_key": "k",
                "priority": "high",
            },
            {
                "data": {
                    "text": "x",
                    "number": "1",
                    "real": "1.5",
                    "yes": "true",
                    "list": '["é"]',
                    "pusher": IDS
                    | {
                        "clickAction": "com.example.OPEN",
                        "hasDisplayableContent": True,
                        "hasData": True,
                    },
                },
                "android": {
                    "collapse_key": "k",
                    "priority": "HIGH",
                    "ttl": "60s",
                    "notification": {
                        "title": "T",
                        "body": "B",
                        "channel_id": "channel",
                        "icon": "i",
                        "image": "https://i.example/",
                        "sound": "s",
                        "tag": "t",
                        "color": "#aabbcc",
                        "click_action": OPEN_TRACKING,
                        "body_loc_key": "b",
                        "body_loc_args": ["1", "2", "null"],
                        "title_loc_key": "t",
                        "title_loc_args": ["true"],
                    },
                },
            },
            id="everything",
        ),
        pytest.param(
            {"notification": {"title": "T", "unknown": 1}},
            {
                "data": {"pusher": IDS | {"hasDisplayableContent": True, "hasData": False}},
                "android": {"notification": {"title": "T", "click_action": OPEN_TRACKING}},
            },
            id="a notification alone",
        ),
        pytest.param(
            {"data": {"k": "v"}, "priority": "normal", "time_to_live": 0},
            {
                "data": {
                    "k": "v",
                    "pusher": IDS | {"hasDisplayableContent": False, "hasData": True},
                },
                "android": {"priority": "NORMAL", "ttl": "0s"},
            },
            id="data alone",
        ),
        pytest.param(
            {"data": {"pusher": "another"}},
            {"data": {"pusher": IDS | {"hasDisplayableContent": False, "hasData": True}}},
            id="the pusher string is ours",
        ),
        pytest.param(
            {},
            {"data": {"pusher": IDS | {"hasDisplayableContent": False, "hasData": False}}},
            id="nothing",
        ),
    ],
)
def test_what_an_android_device_receives(body: dict[str, Any], message: dict[str, Any]) -> None:
    """§3.2: legacy FCM becomes FCM v1: renamed, all data as text, and openings tracked."""
    assert message == read(fcm(body))


@pytest.mark.parametrize(
    "body,ttl", [({}, None), ({"time_to_live": 7}, 7), ({"time_to_live": 7.0}, 7)]
)
def test_how_long_an_android_message_is_worth_sending(
    body: dict[str, Any], ttl: int | None
) -> None:
    """The time to live is also known to us, who may retry for longer than that."""
    assert ttl == fcm(body).ttl_seconds


@pytest.mark.parametrize(
    "body,options",
    [
        ({"collapse_key": "k"}, {"collapse_key": "k"}),
        ({"priority": "high"}, {"priority": "HIGH"}),
        ({"priority": "HIGH"}, {"priority": "HIGH"}),
        ({"priority": "Normal"}, {"priority": "NORMAL"}),
        ({"time_to_live": 60.0}, {"ttl": "60s"}),
        ({"time_to_live": 2_419_200}, {"ttl": "2419200s"}),
        ({"restricted_package_name": "com.example"}, {"restricted_package_name": "com.example"}),
        ({"direct_boot_ok": True}, {"direct_boot_ok": True}),
        ({"dry_run": False}, {}),
        ({"content_available": True}, {}),
        ({"mutable_content": True}, {}),
        ({"delay_while_idle": True}, {}),
        ({"to": "/topics/all"}, {}),
        ({"registration_ids": ["a"]}, {}),
        ({"condition": "'a' in topics"}, {}),
        ({"notification_key": "k"}, {}),
        ({"unknown": 1}, {}),
    ],
)
def test_each_legacy_option(body: dict[str, Any], options: dict[str, Any]) -> None:
    """§3.2: what Android has is translated; Apple's part and targets are left out."""
    assert options == android(body)
    assert is_good(fcm(body))


@pytest.mark.parametrize(
    "given,translated",
    [
        (["1", 2, None], ["1", "2", "null"]),
        ('["1", 2, null]', ["1", "2", "null"]),
        ("[]", []),
        (" [ ] ", []),
    ],
)
@pytest.mark.parametrize("name", ["body_loc_args", "title_loc_args"])
def test_arguments_may_be_json_in_a_text(name: str, given: object, translated: list[str]) -> None:
    """The legacy reference has them as "JSON array as string"; SDKs send lists, too."""
    assert translated == android({"notification": {name: given}})["notification"][name]


@pytest.mark.parametrize("name", ["badge", "subtitle", "unknown"])
def test_what_only_apple_devices_show_is_left_out(name: str) -> None:
    """Google would refuse the whole message for a member that it does not know."""
    body = {"notification": {"title": "T", name: "1"}}

    assert {"title", "click_action"} == android(body)["notification"].keys()
    assert is_good(fcm(body))


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "data": st.dictionaries(st.text(max_size=8), JSON, max_size=4),
            "notification": st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(("title", "body", "icon", "tag", "image"), st.text())
                | {"body_loc_args": st.lists(JSON, max_size=3), "color": st.just("#A0b1c2")},
            ),
            "priority": st.sampled_from(["normal", "high", "HIGH"]),
            "time_to_live": st.integers(0, 2_419_200),
            "collapse_key": st.text(max_size=8),
            "direct_boot_ok": st.booleans(),
        },
    )
)
def test_google_takes_whatever_we_take(body: dict[str, Any]) -> None:
    """What passes our checks and the gateway's passes the sandbox's strict reading of FCM v1."""
    message = fcm(body)

    assert gateway.problems(message) or is_good(message)


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    "body,description",
    [
        ({"notification": None}, "`fcm.notification`: Invalid type. Expected: object, given: null"),
        (
            {"notification": {"title": 1}},
            "`fcm.notification.title`: Invalid type. Expected: string, given: integer",
        ),
        (
            {"notification": {"body_loc_args": "x"}},
            "`fcm.notification.body_loc_args`: Invalid type. Expected: array, given: string",
        ),
        ({"time_to_live": 2_419_201}, "`fcm.time_to_live`: Must be less than or equal to 2419200"),
        (
            {"priority": "urgent"},
            '`fcm.priority`: fcm.priority must be one of the following: "normal", "high"',
        ),
        (
            {"priority": 10},
            '`fcm.priority`: fcm.priority must be one of the following: "normal", "high"',
        ),
        ({"time_to_live": -1}, "`fcm.time_to_live`: Must be greater than or equal to 0"),
        (
            {"time_to_live": "60"},
            "`fcm.time_to_live`: Invalid type. Expected: integer, given: string",
        ),
        (
            {"time_to_live": 0.5},
            "`fcm.time_to_live`: Invalid type. Expected: integer, given: number",
        ),
        ({"collapse_key": 1}, "`fcm.collapse_key`: Invalid type. Expected: string, given: integer"),
        ({"data": []}, "`fcm.data`: Invalid type. Expected: object, given: array"),
        (
            {"notification": {"title_loc_args": {}}},
            "`fcm.notification.title_loc_args`: Invalid type. Expected: array, given: object",
        ),
        (
            {"notification": {"title_loc_args": '{"a": 1}'}},
            "`fcm.notification.title_loc_args`: Invalid type. Expected: array, given: string",
        ),
        (
            {"notification": {"color": "red"}},
            "`fcm.notification.color`: Does not match pattern '^#[0-9a-fA-F]{6}$'",
        ),
        ({"dry_run": True}, "`fcm.dry_run`: is not supported: the message would be delivered"),
        ({"dry_run": 1}, "`fcm.dry_run`: Invalid type. Expected: boolean, given: integer"),
        (
            {"direct_boot_ok": "yes"},
            "`fcm.direct_boot_ok`: Invalid type. Expected: boolean, given: string",
        ),
    ],
)
def test_a_field_that_is_not_as_it_should_be(body: dict[str, Any], description: str) -> None:
    """A fault is told with the field's place in the body, before anything is accepted."""
    assert description == refused(body)
