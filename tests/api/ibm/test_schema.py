"""IBM's words into ours: what a message says, and whom it addresses."""

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm import payloads, schema
from heliograph.api.ibm.schema import Sending, Wanted, read_sending, read_target, to_target
from heliograph.api.problems import Problem
from heliograph.model import (
    DeviceNumber,
    Interest,
    Messages,
    Platform,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    UserId,
)


def refused(of: Any) -> tuple[int, str, str]:
    """Status and code of the answer, and what it blames."""
    with pytest.raises(Problem) as caught:
        read_sending(of)
    sentence = caught.value.description
    blamed = sentence.split("'")[1] if "'" in sentence else sentence
    return caught.value.status, caught.value.error, blamed


def target(**kinds: Any) -> Wanted:
    return read_target({"target": kinds})


# --- the message ---------------------------------------------------------------------


def test_a_message_needs_no_more_than_its_text() -> None:
    """Contract §5.1: every block is optional but ``message``; without a target it is for all."""
    request = {"message": {"alert": "hi"}}

    assert Sending("hi", request=request) == read_sending(request)


def test_a_message_to_users_as_node_sends_it() -> None:
    """Contract §13.12: the recorded body is read whole, and kept to be echoed (§5.1)."""
    request = {
        "message": {"alert": "hi", "url": "https://x"},
        "target": {"userIds": ["u1", "u2"]},
        "settings": {
            "gcm": {
                "priority": "HIGH",
                "visibility": "PRIVATE",
                "style": {"type": "BIGTEXT_NOTIFICATION", "title": "t", "text": "x"},
                "lights": {"ledArgb": "RED", "ledOnMs": 1, "ledOffMs": 2},
            },
            "apns": {"badge": 1},
        },
    }

    expected = Sending(
        alert="hi",
        url="https://x",
        target=Wanted(users=(UserId("u1"), UserId("u2"))),
        settings={
            "gcm": {
                "priority": "high",
                "visibility": "private",
                "style": {"type": "bigtext_notification", "title": "t", "text": "x"},
                "lights": {"ledArgb": "RED", "ledOnMs": 1, "ledOffMs": 2},
            },
            "apns": {"badge": 1},
        },
        request=request,
    )
    assert expected == read_sending(request)


def test_what_is_echoed_is_what_was_asked() -> None:
    """Contract §5.1: message, settings, target and validate as the caller wrote them; no more."""
    asked = body() | {"validate": True, "target": {"platform": ["A"]}, "settings": None}

    assert asked == read_sending(asked | {"unknown": 1}).request


@pytest.mark.parametrize("validate,read", [(True, True), (False, False), (None, False)])
def test_validate_is_a_flag(validate: Any, read: bool) -> None:
    """Contract §5.1, §5.2: ``validate`` is a boolean, false unless it is given."""
    assert read == read_sending(body() | {"validate": validate}).validate


def test_null_is_absent() -> None:
    """Builders that set nothing send null; that is as if the member were not there."""
    nothing = dict.fromkeys(("target", "settings", "validate"))

    read = read_sending({"message": {"alert": "hi", "url": None}} | nothing)

    assert (None, Wanted(), {}, False) == (read.url, read.target, read.settings, read.validate)


@pytest.mark.parametrize(
    "request_body,blamed",
    [
        ({}, "message"),
        ({"message": None}, "message"),
        ({"message": "hi"}, "message"),
        ({"message": {}}, "message.alert"),
        (body(None), "message.alert"),
        (body(""), "message.alert"),
        (body(1), "message.alert"),
        (body("\ud800"), "message.alert"),
        ({"message": {"alert": "a", "url": 1}}, "message.url"),
        (body() | {"settings": []}, "settings"),
        (body() | {"settings": {"apns": "loud"}}, "settings.apns"),
        (body() | {"validate": "true"}, "validate"),
        (body() | {"target": "all"}, "target"),
    ],
)
def test_a_mistake_is_refused_with_its_place(request_body: Any, blamed: str) -> None:
    """Contract §2.8: FPWSE0005E, 400, for a property that is missing or not valid."""
    assert (400, "FPWSE0005E", blamed) == refused(request_body)


@pytest.mark.parametrize("request_body", [None, [], "hi", 7])
def test_a_message_is_an_object(request_body: Any) -> None:
    """Contract §2.8: FPWSE0004E, 400, for a body that is not what a body must be."""
    assert (400, "FPWSE0004E") == refused(request_body)[:2]


def test_one_of_several_is_told_by_its_place() -> None:
    """Contract §5.6: of a list of messages, a mistake says in which it is."""
    with pytest.raises(Problem, match=r"'\[2\]\.target\.userIds\[0\]'"):
        read_sending(body() | {"target": {"userIds": [1]}}, place="[2].")


@pytest.mark.parametrize(
    "alert,is_template",
    [
        ("hello {{username}}", True),
        ("hello {{ username }} and {{other}}", True),
        ("hello {username}", False),
        ("{{}}", False),
        ("{{ unfinished", False),
        ("}} backwards {{", False),
    ],
)
def test_a_variable_makes_a_template(alert: str, is_template: bool) -> None:
    """Contract §8: two braces around a name are for the device to replace."""
    assert is_template == Sending(alert).is_template


# --- whom it is for ------------------------------------------------------------------


@pytest.mark.parametrize("request_body", [{}, {"target": None}, {"target": {}}])
def test_without_a_target_everybody_is_meant(request_body: dict[str, Any]) -> None:
    """Contract §5.2: no target, or an empty one, is a broadcast."""
    assert Wanted() == read_target(request_body)
    assert ToMatching() == to_target(Wanted(), None)


@pytest.mark.parametrize(
    "word,platform",
    [
        ("A", Platform.IOS),
        ("G", Platform.ANDROID),
        ("WEB_CHROME", Platform.CHROME),
        ("WEB_FIREFOX", Platform.FIREFOX),
        ("WEB_SAFARI", Platform.SAFARI),
        ("APPEXT_CHROME", Platform.CHROME_APP),
    ],
)
def test_each_platform_has_a_word(word: str, platform: Platform) -> None:
    """Contract §3.1, §5.2: six words, one for each platform that we know, in any case."""
    assert Wanted(platforms=(platform,)) == target(platforms=[word.lower()])
    assert word == schema.PLATFORM_WORDS[platform]


def test_every_kind_is_read_each_name_once() -> None:
    """Contract §5.2: four kinds; a name that is there twice is there once; null is absent."""
    assert Wanted(
        users=(UserId("u2"), UserId("u1")),
        devices=("d",),
        tags=(Interest("news & more"),),
        platforms=(Platform.IOS,),
    ) == target(
        userIds=["u2", "u1", "u2"],
        deviceIds=["d", "d"],
        tagNames=["news & more"],
        platforms=["A", "a"],
        unknown=1,
    )
    empty: dict[str, Any] = {"userIds": [], "deviceIds": None, "tagNames": [], "platforms": None}
    assert Wanted() == target(**empty)


def test_a_tag_that_everybody_has_names_nobody_in_particular() -> None:
    """Contract §4.2: ``Push.ALL`` among the tags means all, and other kinds still count."""
    assert Wanted() == target(tagNames=["news", "Push.ALL"])
    assert Wanted(users=(UserId("u"),)) == target(tagNames=["Push.ALL"], userIds=["u"])


@pytest.mark.parametrize(
    "kinds,platforms",
    [
        ({"platform": ["A", "G"]}, (Platform.IOS, Platform.ANDROID)),
        ({"platform": ["A"], "platforms": ["G"]}, (Platform.ANDROID,)),
        ({"platform": ["A"], "platforms": []}, (Platform.IOS,)),
        ({"platform": "nonsense", "platforms": ["G"]}, (Platform.ANDROID,)),
        ({"platform": []}, None),
    ],
)
def test_platforms_by_the_wrong_name(
    kinds: dict[str, Any], platforms: tuple[Platform, ...] | None
) -> None:
    """Contract §5.2: the client on PyPI writes ``platform``; it counts without ``platforms``."""
    assert Wanted(platforms=platforms) == target(**kinds)


@pytest.mark.parametrize(
    "kinds,blamed",
    [
        ({"userIds": "u"}, "userIds"),
        ({"userIds": [1]}, "userIds[0]"),
        ({"userIds": ["u", ""]}, "userIds[1]"),
        ({"userIds": ["u" * 255]}, "userIds[0]"),
        ({"userIds": ["u\0"]}, "userIds[0]"),
        ({"userIds": [f"u{number}" for number in range(1001)]}, "userIds"),
        ({"deviceIds": ["d\n"]}, "deviceIds[0]"),
        ({"deviceIds": ["d" * 255]}, "deviceIds[0]"),
        ({"deviceIds": [f"d{number}" for number in range(1001)]}, "deviceIds"),
        ({"tagNames": [""]}, "tagNames[0]"),
        ({"tagNames": ["t" * 165]}, "tagNames[0]"),
        ({"tagNames": ["a\tb"]}, "tagNames[0]"),
        ({"tagNames": [None]}, "tagNames[0]"),
        ({"tagNames": [f"t{number}" for number in range(101)]}, "tagNames"),
        ({"platforms": ["A", "W"]}, "platforms[1]"),
        ({"platforms": [1]}, "platforms[0]"),
        ({"platform": ["W"]}, "platforms[0]"),
    ],
)
def test_names_have_bounds(kinds: dict[str, Any], blamed: str) -> None:
    """Contract §9: a user id has at most 254 characters; the other bounds are ours (README)."""
    assert (400, "FPWSE0005E", f"target.{blamed}") == refused(body() | {"target": kinds})


def test_names_may_be_as_long_and_as_many_as_said() -> None:
    """Contract §9, and the README: the bounds themselves are allowed, duplicates not counted."""
    users = [f"{number:0254}" for number in range(1000)]
    tags = [f"{number:0164}" for number in range(100)]

    read = target(userIds=users * 2, tagNames=tags * 2)

    assert (tuple(users), tuple(tags)) == (read.users, read.tags)


@pytest.mark.parametrize("users", [["anonymous"], ["u", "anonymous"]])
def test_nobody_is_no_target(users: list[str]) -> None:
    """Contract §3.4: a device of ``anonymous`` is nobody's, so that is refused as a user."""
    assert (400, "FPWSE0005E", "target.userIds") == refused(body() | {"target": {"userIds": users}})


U: Final = (UserId("u"),)
T: Final = (Interest("t"),)
P: Final = (Platform.IOS,)


@pytest.mark.parametrize(
    "wanted,devices,expected",
    [
        (Wanted(users=U), None, ToUsers(U)),
        (Wanted(tags=T), None, ToInterests(T)),
        (Wanted(platforms=P), None, ToMatching(platforms=P)),
        (Wanted(devices=("d",)), [DeviceNumber(7)], ToMatching(devices=(DeviceNumber(7),))),
        pytest.param(
            Wanted(devices=("d",)), [], ToMatching(devices=()), id="devices that there are not"
        ),
        (Wanted(users=U, platforms=P), None, ToMatching(users=U, platforms=P)),
        (
            Wanted(users=U, devices=("d",), tags=T, platforms=P),
            [DeviceNumber(7)],
            ToMatching((DeviceNumber(7),), U, T, P),
        ),
    ],
)
def test_kinds_become_a_target(
    wanted: Wanted, devices: list[DeviceNumber] | None, expected: Target
) -> None:
    """Contract §5.2 leaves combinations open: union within a kind, intersection of kinds."""
    assert expected == to_target(wanted, devices)


# --- whatever comes ------------------------------------------------------------------

_SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["A", "SILENT", "true", "{{x}}", '{"a":1}', "Push.ALL", "anonymous"])
)
_JSON: Final = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def _some_of(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of the known members, each what it may be or anything else."""
    members = {
        name: (_some_of(value) if isinstance(value, dict) else st.just(value)) | _JSON
        for name, value in known.items()
    }
    return st.fixed_dictionaries({}, optional=members)


_BODIES: Final = _some_of(
    {
        "message": {"alert": "hi {{you}}", "url": "https://x"},
        "target": {"userIds": ["u"], "deviceIds": ["d"], "tagNames": ["t"], "platforms": ["A"]},
        "settings": EVERY_SETTING,
        "validate": True,
    }
)


@settings(max_examples=150)
@given(_BODIES | _JSON)
def test_no_body_does_anything_but_be_read_or_be_refused(given_body: Any) -> None:
    """Never raises but ``Problem``, 400: whatever a body holds, until it is ready to be sent."""
    try:
        status, messages = 202, payloads.build(read_sending(given_body), "AbC12345")
    except Problem as problem:
        status, messages = problem.status, Messages()

    assert (202 if messages.gateways() else 400) == status
