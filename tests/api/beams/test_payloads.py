"""A Beams publish in each gateway's form, with what Beams' SDKs expect to find."""

import json
from typing import Any, Final

import msgspec
import pytest

from heliograph.api.beams import payloads
from heliograph.api.problems import Problem
from heliograph.model import (
    ApnsMessage,
    FcmMessage,
    Gateway,
    InstanceId,
    Messages,
    PublishId,
    WebMessage,
)

IDS: Final = {"instanceId": "i", "publishId": "p"}


def build(**bodies: dict[str, Any]) -> Messages:
    return payloads.build(
        {Gateway(name): body for name, body in bodies.items()},
        instance=InstanceId("i"),
        publish=PublishId("p"),
    )


def apns(body: dict[str, Any]) -> ApnsMessage:
    message = build(apns=body).apns
    assert message is not None
    return message


def fcm(body: dict[str, Any]) -> FcmMessage:
    message = build(fcm=body).fcm
    assert message is not None
    return message


def web(body: dict[str, Any]) -> WebMessage:
    message = build(web=body).web
    assert message is not None
    return message


def refused(**bodies: dict[str, Any]) -> str:
    with pytest.raises(Problem) as caught:
        build(**bodies)
    assert (422, "Unprocessable Entity") == (caught.value.status, caught.value.error)
    return caught.value.description


def test_a_gateway_without_a_payload_has_no_message() -> None:
    """Only what the publish has something for is built."""
    built = build(fcm={"data": {}})

    assert (None, None, [Gateway.FCM]) == (built.apns, built.web, built.gateways())


def test_messages_survive_storage() -> None:
    """What is built can be read back as it was, whatever the payloads hold."""
    built = build(
        apns={"aps": {"alert": "a"}, "priority": 5, "expiration": 0, "collapse_id": "c"},
        fcm={"data": {"n": 1}, "time_to_live": 0},
        web={"notification": {"title": "t"}, "time_to_live": 7},
    )

    assert built == msgspec.msgpack.decode(msgspec.msgpack.encode(built), type=Messages)


# --- apns ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,payload",
    [
        pytest.param(
            {"aps": {"alert": {"title": "T", "body": "B"}, "badge": 3}},
            {
                "aps": {"alert": {"title": "T", "body": "B"}, "badge": 3, "content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="an alert wakes the app, whose author is not to know",
        ),
        pytest.param(
            {"aps": {"alert": "A", "content-available": 1}, "data": {"k": [1, {"n": None}]}},
            {
                "aps": {"alert": "A", "content-available": 1},
                "data": {"k": [1, {"n": None}], "pusher": IDS},
            },
            id="an author who wants to process is told of it",
        ),
        pytest.param(
            {"aps": {"alert": "A"}, "pusher": {"disable_delivery_tracking": True}},
            {"aps": {"alert": "A"}, "data": {"pusher": IDS | {"userShouldIgnore": True}}},
            id="without tracking the app is not woken",
        ),
        pytest.param(
            {
                "aps": {"alert": "A", "content-available": 1},
                "pusher": {"disable_delivery_tracking": True},
            },
            {"aps": {"alert": "A", "content-available": 1}, "data": {"pusher": IDS}},
            id="without tracking the author's own wish stands",
        ),
        pytest.param(
            {"aps": {"alert": "A"}, "pusher": {"disable_delivery_tracking": False}},
            {
                "aps": {"alert": "A", "content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="tracking is on unless it is off",
        ),
        pytest.param(
            {"aps": {"alert": "A", "content-available": 0}},
            {
                "aps": {"alert": "A", "content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="zero is no wish",
        ),
        pytest.param(
            {},
            {
                "aps": {"content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="nothing",
        ),
        pytest.param(
            {"aps": {"mutable-content": 1, "interruption-level": "passive"}, "custom": 1},
            {
                "aps": {
                    "mutable-content": 1,
                    "interruption-level": "passive",
                    "content-available": 1,
                },
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="any key of Apple's, and nothing outside aps and data",
        ),
        pytest.param(
            {"aps": {}, "data": {"pusher": {"instanceId": "another"}}},
            {
                "aps": {"content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="the pusher object is ours",
        ),
        pytest.param(
            {"alert": {"title": "T"}, "badge": 1, "data": {"k": "v"}, "custom": 1},
            {
                "aps": {"alert": {"title": "T"}, "badge": 1, "content-available": 1},
                "data": {"k": "v", "pusher": IDS | {"userShouldIgnore": True}},
            },
            id="Apple's keys without aps, as on Beams' page of payloads",
        ),
        pytest.param(
            {"alert": "not this", "aps": {"alert": "A"}},
            {
                "aps": {"alert": "A", "content-available": 1},
                "data": {"pusher": IDS | {"userShouldIgnore": True}},
            },
            id="beside an aps they are like any other key",
        ),
    ],
)
def test_what_an_apple_device_receives(body: dict[str, Any], payload: dict[str, Any]) -> None:
    """The payload is the customer's aps and data, and what the iOS SDK needs; nothing else."""
    assert payload == json.loads(apns(body).payload)


@pytest.mark.parametrize(
    "aps,push_type",
    [
        ({"alert": "A"}, "alert"),
        ({"badge": 0}, "alert"),
        ({"alert": None, "sound": None}, "background"),
        ({"sound": "default"}, "alert"),
        ({}, "background"),
        ({"content-available": 1}, "background"),
        ({"category": "c", "thread-id": "t"}, "background"),
    ],
)
def test_a_push_is_an_alert_if_it_shows_or_sounds(aps: dict[str, Any], push_type: str) -> None:
    """Apple wants to know: anything to show, count or play is an alert, else background."""
    assert push_type == apns({"aps": aps}).push_type


@pytest.mark.parametrize(
    "body,priority",
    [
        ({"aps": {"alert": "A"}}, 10),
        ({"aps": {"alert": "A"}, "priority": 10}, 10),
        ({"aps": {"alert": "A"}, "priority": 5}, 5),
        ({"aps": {"alert": "A"}, "priority": 5.0}, 5),
        ({"aps": {}}, 5),
        ({"aps": {}, "priority": 10}, 5),
    ],
)
def test_the_priority_is_ten_unless_told_or_in_the_background(
    body: dict[str, Any], priority: int
) -> None:
    """Apple refuses a background push of priority 10, so it always has 5."""
    assert priority == apns(body).priority


def test_collapsing_and_expiry_go_to_apple_as_headers() -> None:
    """They are no part of the payload; the longest collapse id has 64 bytes."""
    message = apns({"aps": {"alert": "A"}, "collapse_id": "c" * 64, "expiration": 1.7e9})

    assert ("c" * 64, "1700000000") == (message.collapse_id, str(message.expiration))
    assert {"aps", "data"} == set(json.loads(message.payload))


@pytest.mark.parametrize("expiration", [0, 2**31 - 1])
def test_an_expiry_may_be_at_its_bounds(expiration: int) -> None:
    """Zero is not to be kept at all, and the last is Apple's."""
    assert expiration == apns({"aps": {"alert": "A"}, "expiration": expiration}).expiration


# --- web -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,payload",
    [
        pytest.param(
            {
                "notification": {
                    "title": "T",
                    "body": "B",
                    "icon": "https://i.example/",
                    "deep_link": "https://d.example/",
                    "hide_notification_if_site_has_focus": True,
                    "unknown": [1],
                },
                "data": {"k": {"n": 1}},
                "time_to_live": 60,
            },
            {
                "notification": {
                    "title": "T",
                    "body": "B",
                    "icon": "https://i.example/",
                    "deep_link": "https://d.example/",
                    "hide_notification_if_site_has_focus": True,
                    "unknown": [1],
                },
                "data": {
                    "k": {"n": 1},
                    "pusher": IDS | {"hasDisplayableContent": True, "hasData": True},
                },
            },
            id="everything",
        ),
        pytest.param(
            {"data": {"k": "v"}},
            {
                "notification": {},
                "data": {
                    "k": "v",
                    "pusher": IDS | {"hasDisplayableContent": False, "hasData": True},
                },
            },
            id="data alone: the worker reads the notification whatever came",
        ),
        pytest.param(
            {},
            {
                "notification": {},
                "data": {"pusher": IDS | {"hasDisplayableContent": False, "hasData": False}},
            },
            id="nothing",
        ),
    ],
)
def test_what_a_browser_receives(body: dict[str, Any], payload: dict[str, Any]) -> None:
    """Beams' worker finds a notification, and the metadata without which it ignores a push."""
    assert payload == json.loads(web(body).payload)


@pytest.mark.parametrize(
    "body,ttl",
    [
        ({}, 2_419_200),
        ({"time_to_live": 0}, 0),
        ({"time_to_live": 60.0}, 60),
        ({"time_to_live": 2_419_200}, 2_419_200),
    ],
)
def test_a_push_service_keeps_a_message_for_four_weeks_unless_told(
    body: dict[str, Any], ttl: int
) -> None:
    """The time to live is a header of the push, not part of what the browser sees."""
    assert ttl == web(body).ttl_seconds


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    "gateway,body,description",
    [
        ("apns", {"aps": []}, "`apns.aps`: Invalid type. Expected: object, given: array"),
        ("apns", {"aps": None}, "`apns.aps`: Invalid type. Expected: object, given: null"),
        ("apns", {"data": "x"}, "`apns.data`: Invalid type. Expected: object, given: string"),
        ("apns", {"pusher": 1}, "`apns.pusher`: Invalid type. Expected: object, given: integer"),
        (
            "apns",
            {"collapse_id": 1},
            "`apns.collapse_id`: Invalid type. Expected: string, given: integer",
        ),
        (
            "apns",
            {"collapse_id": "c" * 65},
            "`apns`: collapse_id: must be 1 to 64 bytes without control characters",
        ),
        (
            "apns",
            {"collapse_id": "é" * 33},
            "`apns`: collapse_id: must be 1 to 64 bytes without control characters",
        ),
        (
            "apns",
            {"collapse_id": ""},
            "`apns`: collapse_id: must be 1 to 64 bytes without control characters",
        ),
        (
            "apns",
            {"priority": 1},
            "`apns.priority`: apns.priority must be one of the following: 5, 10",
        ),
        (
            "apns",
            {"priority": "10"},
            "`apns.priority`: apns.priority must be one of the following: 5, 10",
        ),
        (
            "apns",
            {"pusher": {"disable_delivery_tracking": "true"}},
            (
                "`apns.pusher.disable_delivery_tracking`: "
                "Invalid type. Expected: boolean, given: string"
            ),
        ),
        ("apns", {"expiration": -1}, "`apns.expiration`: Must be greater than or equal to 0"),
        (
            "apns",
            {"expiration": 2**31},
            "`apns.expiration`: Must be less than or equal to 2147483647",
        ),
        (
            "fcm",
            {"data": {"google.x": "1"}},
            "`fcm`: message.data: the key 'google.x' is reserved by FCM",
        ),
        (
            "fcm",
            {"data": {"message_type": "1"}},
            "`fcm`: message.data: the key 'message_type' is reserved by FCM",
        ),
        (
            "fcm",
            {"data": {"from": "me"}},
            "`fcm`: message.data: the key 'from' is reserved by FCM",
        ),
        (
            "web",
            {"notification": {"title": None}},
            "`web.notification.title`: Invalid type. Expected: string, given: null",
        ),
        (
            "web",
            {"notification": {"hide_notification_if_site_has_focus": 1}},
            (
                "`web.notification.hide_notification_if_site_has_focus`: "
                "Invalid type. Expected: boolean, given: integer"
            ),
        ),
        (
            "web",
            {"data": {"pusher": {}}},
            "`web.data`: Additional property pusher is not allowed",
        ),
        (
            "web",
            {"time_to_live": 2_419_201},
            "`web.time_to_live`: Must be less than or equal to 2419200",
        ),
        (
            "web",
            {"time_to_live": -1},
            "`web.time_to_live`: Must be greater than or equal to 0",
        ),
    ],
)
def test_a_payload_that_is_not_as_it_should_be(
    gateway: str, body: dict[str, Any], description: str
) -> None:
    """A fault is told with the field's place in the body, before anything is accepted."""
    assert description == refused(**{gateway: body})


@pytest.mark.parametrize(
    "gateway,body,largest,unit",
    [
        ("apns", {"aps": {"alert": ""}}, 4096, "APNs takes"),
        ("web", {"notification": {"title": ""}}, 3993, "fit one push"),
    ],
)
def test_a_payload_that_is_too_large_is_told_by_how_much(
    gateway: str, body: dict[str, Any], largest: int, unit: str
) -> None:
    """The largest payload is taken; one byte more is refused with both numbers."""
    built = build(**{gateway: body})
    empty = len((built.apns or built.web or WebMessage(b"")).payload)
    (part,) = body.values()
    (name,) = part

    part[name] = "x" * (largest - empty)
    build(**{gateway: body})
    part[name] += "x"

    assert (
        f"`{gateway}`: payload: {largest + 1} bytes is more than the {largest} that {unit}"
        == refused(**{gateway: body})
    )


def test_android_data_that_is_too_large_is_told_by_how_much() -> None:
    """FCM counts keys and values of the data, ours among them."""
    ours = len("pusher") + len(json.loads(fcm({"data": {"k": ""}}).message)["data"]["pusher"])

    fcm({"data": {"k": "x" * (4096 - ours - 1)}})

    assert "`fcm`: message: 4097 bytes is more than the 4096 FCM takes" == refused(
        fcm={"data": {"k": "x" * (4096 - ours)}}
    )
