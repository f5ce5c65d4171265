import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.sandbox.fcm_message import (
    Violation,
    message_of,
    payload_bytes,
    validate_only,
    violations,
)


def fields_of(found: list[Violation]) -> list[str]:
    return [each.field for each in found]


def test_a_full_message_is_good() -> None:
    """Every field a sender may use is known, in snake_case and in camelCase."""
    message = {
        "token": "abc",
        "data": {"key": "value"},
        "notification": {"title": "T", "body": "B", "image": "https://i.example/1.png"},
        "android": {
            "collapse_key": "k",
            "priority": "HIGH",
            "ttl": "3600s",
            "restrictedPackageName": "com.example",
            "data": {"key": "value"},
            "directBootOk": True,
            "notification": {
                "title": "T",
                "titleLocArgs": ["a"],
                "notification_count": 3,
                "notification_priority": "PRIORITY_HIGH",
                "visibility": "PUBLIC",
                "vibrate_timings": ["0.5s"],
                "default_sound": True,
                "light_settings": {
                    "color": {"red": 1, "green": 0.5, "blue": 0, "alpha": 1},
                    "light_on_duration": "1s",
                    "light_off_duration": "1s",
                },
            },
            "fcm_options": {"analytics_label": "a"},
        },
        "webpush": {"headers": {"TTL": "1"}, "notification": {"any": 1}, "data": {"k": "v"}},
        "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"badge": 1}}},
        "fcmOptions": {"analyticsLabel": "a"},
    }

    assert [] == violations({"message": message, "validateOnly": False})


@pytest.mark.parametrize("priority", ["NORMAL", "HIGH", "normal", "high"])
def test_priority_is_known_in_either_case(priority: str) -> None:
    """The reference writes a priority in capitals, Google's own SDKs in small letters."""
    message = {"token": "abc", "android": {"priority": priority}}

    assert [] == violations({"message": message})


@pytest.mark.parametrize(
    "message,field",
    [
        ({}, "message"),
        ({"token": "a", "topic": "b"}, "message"),
        ({"token": "a", "condition": "b"}, "message"),
        ({"token": 5}, "message.token"),
        ({"token": "a", "data": {"n": 1}}, "message.data[0].value"),
        ({"token": "a", "data": {"a": "b", "n": None}}, "message.data[1].value"),
        ({"token": "a", "data": []}, "message.data"),
        ({"token": "a", "data": {"from": "x"}}, "message.data"),
        ({"token": "a", "data": {"message_type": "x"}}, "message.data"),
        ({"token": "a", "data": {"google.x": "x"}}, "message.data"),
        ({"token": "a", "data": {"gcm_x": "x"}}, "message.data"),
        ({"token": "a", "android": {"data": {"gcm": "x"}}}, "message.android.data"),
        ({"token": "a", "android": {"ttl": "3600"}}, "message.android.ttl"),
        ({"token": "a", "android": {"ttl": 3600}}, "message.android.ttl"),
        ({"token": "a", "android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"token": "a", "android": {"priority": "urgent"}}, "message.android.priority"),
        ({"token": "a", "android": {"priority": "10"}}, "message.android.priority"),
        ({"token": "a", "android": {"colour": "x"}}, "message.android"),
        ({"token": "a", "time_to_live": 5}, "message"),
        ({"token": "a", "notification": {"sound": "x"}}, "message.notification"),
        ({"token": "a", "notification": "text"}, "message.notification"),
        (
            {"token": "a", "apns": {"headers": {"apns-priority": 5}}},
            "message.apns.headers[0].value",
        ),
        ({"token": "a", "apns": {"payload": "x"}}, "message.apns.payload"),
        (
            {"token": "a", "android": {"notification": {"title_loc_args": [1]}}},
            "message.android.notification.title_loc_args[0]",
        ),
        (
            {"token": "a", "android": {"notification": {"notification_count": "3"}}},
            "message.android.notification.notification_count",
        ),
        (
            {"token": "a", "android": {"notification": {"sticky": 1}}},
            "message.android.notification.sticky",
        ),
    ],
)
def test_violations_name_the_field(message: dict[str, object], field: str) -> None:
    """What Google would refuse is refused under Google's path for it."""
    assert [field] == fields_of(violations({"message": message}))


@pytest.mark.parametrize("ttl", ["0s", "3600s", "3.5s", "2419200s"])
def test_good_ttl(ttl: str) -> None:
    """A duration is a number of seconds and the letter s, up to four weeks."""
    assert [] == violations({"message": {"token": "a", "android": {"ttl": ttl}}})


def test_envelope() -> None:
    """Around the message only validate_only is known, and it is a flag."""
    assert [""] == fields_of(violations({"message": {"token": "a"}, "to": "b"}))
    assert ["validate_only"] == fields_of(violations({"validate_only": "yes"}))
    assert validate_only({"validate_only": True})
    assert not validate_only({"message": {}})


def test_names_become_snake_case() -> None:
    """The message is read under one spelling of its fields."""
    assert {"fcm_options": {}} == message_of({"message": {"fcmOptions": {}}})


def test_payload_counts_what_the_app_receives() -> None:
    """Names and values of data and notification count in UTF-8, the rest of the message not."""
    message: dict[str, object] = {
        "token": "x" * 200,
        "data": {"ab": "é"},
        "notification": {"title": "1234"},
        "apns": {"payload": {"long": "text"}},
    }

    assert 4 + len("title1234") == payload_bytes(message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "token", "data", "android", "ttl", "notification", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_judged(envelope: object) -> None:
    """Whatever the JSON, it is judged without an exception, and only an object can be good."""
    found = violations(envelope)

    assert found or isinstance(envelope, dict)
    assert payload_bytes(message_of(envelope)) >= 0
