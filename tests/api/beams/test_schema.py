"""Beams' words into ours: what a request may say."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.beams.words import subscription
from heliograph.api.beams import schema
from heliograph.api.problems import Problem
from heliograph.model import (
    ApnsAddress,
    FcmAddress,
    Gateway,
    Interest,
    Target,
    ToInterests,
    ToUsers,
    UserId,
    WebAddress,
)
from heliograph.wire.jws import base64url

PATTERN = r"^[a-zA-Z0-9_\\-=@,.;]+$"
BAD_NAME = "Invalid interest name: 1 to 164 letters, digits and characters of _-=@,.;"


def describe(problem: Problem) -> tuple[int, str, str]:
    return problem.status, problem.error, problem.description


# --- publishing ----------------------------------------------------------------------


def test_the_other_target_is_ignored() -> None:
    """Go's SDK leaves the interests of one publish in the body of the next, to users."""
    body = {"interests": ["a;b"], "users": ["u"]}

    assert ToUsers((UserId("u"),)) == schema.read_target(body, ToUsers)
    assert ToInterests((Interest("a;b"),)) == schema.read_target(body, ToInterests)


@pytest.mark.parametrize("name", ["a", "a" * 164, "AZaz09_-=@,.;", "-"])
def test_an_interest_has_letters_digits_and_a_few_signs(name: str) -> None:
    """Names of 1 to 164 characters of the documented set are taken, in paths and in publishes."""
    assert ToInterests((Interest(name),)) == schema.read_target({"interests": [name]}, ToInterests)
    assert name == schema.read_interest(name)


@pytest.mark.parametrize(
    "name,sentence",
    [
        ("", f"Does not match pattern '{PATTERN}'"),
        ("a b", f"Does not match pattern '{PATTERN}'"),
        ("a:b", f"Does not match pattern '{PATTERN}'"),
        ("é", f"Does not match pattern '{PATTERN}'"),
        ("a\n", f"Does not match pattern '{PATTERN}'"),
        ("٣", f"Does not match pattern '{PATTERN}'"),
        ("a" * 165, "String length must be less than or equal to 164"),
    ],
)
def test_any_other_interest_is_refused(name: str, sentence: str) -> None:
    """A publish is answered 422 in Beams' words, but the device API 400: iOS repeats a 422."""
    with pytest.raises(Problem) as published:
        schema.read_target({"interests": ["fine", name]}, ToInterests)
    with pytest.raises(Problem) as subscribed:
        schema.read_interest(name)

    assert (422, "Unprocessable Entity", f"`interests.1`: {sentence}") == describe(published.value)
    assert (400, "Bad request", BAD_NAME) == describe(subscribed.value)


@pytest.mark.parametrize("name", ["u", "é" * 164, "a b/c?#%", "\U0001f600" * 164, "a\u2028b"])
def test_a_user_is_any_text(name: str) -> None:
    """A user id is 1 to 164 characters of any kind, however many bytes they take."""
    assert ToUsers((UserId(name),)) == schema.read_target({"users": [name]}, ToUsers)


@pytest.mark.parametrize(
    "name,sentence",
    [
        ("", "String length must be greater than or equal to 1"),
        ("é" * 165, "String length must be less than or equal to 164"),
        ("a\x00", "must be Unicode text without control characters"),
        ("\ud800", "must be Unicode text without control characters"),
    ],
)
def test_what_is_no_user_is_refused(name: str, sentence: str) -> None:
    """An id that is empty, too long or no text is refused in Beams' words."""
    with pytest.raises(Problem) as caught:
        schema.read_target({"users": ["fine", name]}, ToUsers)

    assert (422, "Unprocessable Entity", f"`users.1`: {sentence}") == describe(caught.value)


@pytest.mark.parametrize(
    "kind,field,most", [(ToInterests, "interests", 100), (ToUsers, "users", 1000)]
)
def test_a_publish_addresses_so_many_and_no_more(kind: type[Target], field: str, most: int) -> None:
    """100 interests or 1,000 users is the most; one more is refused."""
    names = [f"n{number}" for number in range(most)]

    schema.read_target({field: names}, kind)
    with pytest.raises(Problem) as caught:
        schema.read_target({field: [*names, "more"]}, kind)
    assert f"`{field}`: Array must have at most {most} items" == caught.value.description


def test_a_publish_says_something_to_some_gateway() -> None:
    """What is not for a gateway is left out; nothing for any of them is refused."""
    body = {"interests": ["a"], "web": {}, "apns": {"aps": {}}, "webhookUrl": "https://h.example"}

    assert {Gateway.APNS: {"aps": {}}, Gateway.WEB: {}} == schema.read_payloads(body)
    with pytest.raises(Problem) as caught:
        schema.read_payloads({"interests": ["a"]})
    assert (
        422,
        "Unprocessable Entity",
        "at least one of `apns`, `fcm` and `web` is required",
    ) == describe(caught.value)


@pytest.mark.parametrize(
    "url,sentence",
    [
        (7, "Invalid type. Expected: string, given: integer"),
        (None, "Invalid type. Expected: string, given: null"),
        ("", "must be an http(s) address"),
        ("ftp://hook.example/", "must be an http(s) address"),
        ("https://hook.example/a b", "must be an http(s) address"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(url: object, sentence: str) -> None:
    """§2.3: what is no address is told before anything is accepted; no hook is none."""
    with pytest.raises(Problem) as caught:
        schema.read_own_hook({"interests": ["a"], "webhookUrl": url})

    assert (422, "Unprocessable Entity", f"`webhookUrl`: {sentence}") == describe(caught.value)
    assert schema.read_own_hook({"interests": ["a"]}) is None


# --- devices -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,address",
    [
        ({"token": "00FFab"}, ApnsAddress("00ffab")),
        (
            {"token": "00", "bundleIdentifier": "com.example.app"},
            ApnsAddress("00", "com.example.app"),
        ),
        ({"token": "00", "bundleIdentifier": "missing-bundle-id"}, ApnsAddress("00")),
        ({"token": "00", "bundleIdentifier": None}, ApnsAddress("00")),
        ({"token": "0" * 512}, ApnsAddress("0" * 512)),
        (
            {"token": b"notadevicetoken-apns-1".hex()},
            ApnsAddress("6e6f7461646576696365746f6b656e2d61706e732d31"),
        ),
    ],
)
def test_an_apple_device(body: dict[str, Any], address: ApnsAddress) -> None:
    """
    Its token is lower-case hexadecimal; an app without a bundle id has the default topic.

    The last is of the kind that Pusher's own tests register (contract §4.3).
    """
    assert address == schema.read_address(Gateway.APNS, body)


@pytest.mark.parametrize("token", ["fcm:APA91b_-", "~", "x" * 4096])
def test_an_android_device(token: str) -> None:
    """Its token is any printable ASCII without spaces, up to 4,096 characters."""
    assert FcmAddress(token) == schema.read_address(Gateway.FCM, {"token": token})


def test_a_browser() -> None:
    """Its token is the base64 of its PushSubscription's JSON; the keys may be padded."""
    plain, padded = subscription(), json.loads(base64.b64decode(subscription()))
    padded["keys"] = {
        name: value + "=" * (-len(value) % 4) for name, value in padded["keys"].items()
    }

    address = schema.read_address(Gateway.WEB, {"token": plain})

    assert isinstance(address, WebAddress)
    assert ("https://push.example.com/abc", 65, bytes(16)) == (
        address.endpoint,
        len(address.p256dh),
        address.auth,
    )
    assert address == schema.read_address(
        Gateway.WEB, {"token": base64.b64encode(json.dumps(padded).encode()).decode()}
    )


NO_TOKEN = "`token` is required, and must be a non-empty string"
NOT_HEX = "The device token must be hexadecimal"
NOT_FCM = "The device token must be at most 4096 ASCII characters without spaces"
NOT_BUNDLE = "`bundleIdentifier` must be a bundle id"
NOT_WEB = "The device token must be the base64 of a PushSubscription's JSON"
NOT_POINT = "The subscription's p256dh key is not a P-256 point"
NOT_AUTH = "The subscription's auth secret must be 16 bytes"
NOT_ENDPOINT = "Push service endpoint not supported: it must be an https address"


def keys(**changes: str) -> dict[str, str]:
    decoded: dict[str, str] = json.loads(base64.b64decode(subscription()))["keys"]
    return decoded | changes


@pytest.mark.parametrize(
    "gateway,body,description",
    [
        *[
            (gateway, body, NO_TOKEN)
            for gateway in Gateway
            for body in ({}, {"token": ""}, {"token": None}, {"token": 7}, {"token": ["a"]})
        ],
        ("apns", {"token": "xyz"}, NOT_HEX),
        ("apns", {"token": "0" * 513}, NOT_HEX),
        ("apns", {"token": "00\n"}, NOT_HEX),
        ("apns", {"token": "٣٣"}, NOT_HEX),
        ("apns", {"token": "00", "bundleIdentifier": ""}, NOT_BUNDLE),
        ("apns", {"token": "00", "bundleIdentifier": 3}, NOT_BUNDLE),
        ("apns", {"token": "00", "bundleIdentifier": "a b"}, NOT_BUNDLE),
        ("apns", {"token": "00", "bundleIdentifier": "a" * 201}, NOT_BUNDLE),
        ("fcm", {"token": "a b"}, NOT_FCM),
        ("fcm", {"token": "é"}, NOT_FCM),
        ("fcm", {"token": "a\n"}, NOT_FCM),
        ("fcm", {"token": "x" * 4097}, NOT_FCM),
        ("web", {"token": "é"}, NOT_WEB),
        ("web", {"token": "not base64!"}, NOT_WEB),
        ("web", {"token": base64.b64encode(b"[]").decode()}, NOT_WEB),
        ("web", {"token": base64.b64encode(b"\xff").decode()}, NOT_WEB),
        ("web", {"token": base64.b64encode(b"[" * 9000).decode()}, NOT_WEB),
        ("web", {"token": subscription(keys={})}, NOT_WEB),
        ("web", {"token": subscription(endpoint=5)}, NOT_WEB),
        ("web", {"token": subscription(keys=keys(p256dh="!"))}, NOT_WEB),
        ("web", {"token": subscription(keys=keys(p256dh="é"))}, NOT_WEB),
        ("web", {"token": subscription(keys=keys(auth="A"))}, NOT_WEB),
        ("web", {"token": subscription(keys=keys(p256dh=base64url(bytes(65))))}, NOT_POINT),
        ("web", {"token": subscription(keys=keys(p256dh=""))}, NOT_POINT),
        ("web", {"token": subscription(keys=keys(auth=base64url(bytes(15))))}, NOT_AUTH),
        *[
            ("web", {"token": subscription(endpoint=endpoint)}, NOT_ENDPOINT)
            for endpoint in (
                "",
                "http://push.example.com/",
                "ftp://push.example.com/",
                "https://",
                "https:///path",
                "https://user@push.example.com/",
                "https://push.example.com:0/",
                "https://push.example.com:port/",
                "https://push.example.com:99999/",
                "https://[::1/",
                "https://push.example.com/a b",
                "https://push.example.com/é",
                "https://push.example.com/\x00",
                "https://push.example.com/" + "a" * 2048,
            )
        ],
    ],
)
def test_what_is_no_device_is_refused(gateway: str, body: dict[str, Any], description: str) -> None:
    """A token that its gateway could never have minted is answered 400, with the reason."""
    with pytest.raises(Problem) as caught:
        schema.read_address(Gateway(gateway), body)

    assert (400, "Bad request", description) == describe(caught.value)


def test_a_device_need_not_say_anything_about_itself() -> None:
    """Metadata is any object; none is an empty one."""
    assert {"sdkVersion": "2.1.0"} == schema.read_metadata({"sdkVersion": "2.1.0"})
    assert {} == schema.read_metadata(None)


@pytest.mark.parametrize("metadata", [[], "x", 1, True])
def test_metadata_is_an_object(metadata: object) -> None:
    """Anything but an object is refused."""
    with pytest.raises(Problem) as caught:
        schema.read_metadata(metadata)

    assert (400, "Bad request", "`metadata` must be an object") == describe(caught.value)


@pytest.mark.parametrize("body", [{}, {"interests": None}, {"interests": "a"}, {"interests": [1]}])
def test_a_set_of_interests_is_a_list_of_texts(body: dict[str, Any]) -> None:
    """Anything else is refused."""
    with pytest.raises(Problem) as caught:
        schema.read_interests(body)

    assert (
        400,
        "Bad request",
        "`interests` is required, and must be a list of strings",
    ) == describe(caught.value)


# --- pages ---------------------------------------------------------------------------


def test_a_page_has_a_hundred_names_unless_told() -> None:
    """Without limit and cursor a page begins at the beginning and has 100 names."""
    assert (100, "") == schema.read_page({})


@pytest.mark.parametrize("limit", ["1", "100", "007"])
def test_a_limit_within_its_bounds(limit: str) -> None:
    """A page has 1 to 100 names."""
    assert (int(limit), "") == schema.read_page({"limit": limit})


@pytest.mark.parametrize(
    "limit",
    ["", "0", "101", "-1", "+1", "1.0", " 1", "1_0", "٣", "x", "000000001" + "9" * 20, "9" * 5000],
)
def test_any_other_limit_is_refused(limit: str) -> None:
    """What is not a whole number from 1 to 100 is refused, however it is disguised."""
    with pytest.raises(Problem) as caught:
        schema.read_page({"limit": limit})

    assert (400, "Bad request", "`limit` must be 1 to 100") == describe(caught.value)


@given(st.from_regex(r"[a-zA-Z0-9_\-=@,.;]{1,164}", fullmatch=True))
def test_a_cursor_leads_to_where_it_was_written(name: str) -> None:
    """Whatever the last name of a page was, the next page begins after it."""
    assert (100, name) == schema.read_page({"cursor": schema.write_cursor(Interest(name))})


@pytest.mark.parametrize("cursor", ["a", "é", "_w==", "AA=="])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    """What cannot have been written by us is answered 400."""
    with pytest.raises(Problem) as caught:
        schema.read_page({"cursor": cursor})

    assert (400, "Bad request", "`cursor` is none of ours") == describe(caught.value)


@given(st.text())
def test_any_cursor_is_read_or_refused(cursor: str) -> None:
    """Nothing but a problem of status 400 comes of a cursor."""
    try:
        limit, _ = schema.read_page({"cursor": cursor})
    except Problem as problem:
        assert 400 == problem.status  # noqa: PT017  (either way is right)
    else:
        assert 100 == limit


# --- users in paths ------------------------------------------------------------------

PREFIX = b"/customer_api/v1/instances/1b880590-6301-4bb5-b34f-45db1c5f5644"


@pytest.mark.parametrize(
    "escaped,user",
    [
        (b"Stop!'%20said%2FFred", "Stop!' said/Fred"),
        (b"Stop%21%27%20said%2FFred", "Stop!' said/Fred"),
        (b"Stop%21%27%20said/Fred", "Stop!' said/Fred"),
        (b"Stop%21%27+said%2FFred", "Stop!'+said/Fred"),
        (b"a%2Bb", "a+b"),
        (b"%C3%A9", "é"),
        (b"/", "/"),
        (b"..", ".."),
        (b"a%3Fb?query", "a?b"),
        (b"a/users/b", "a/users/b"),
        (b"%25", "%"),
        (b"%", "%"),
        (b"%zz", "%zz"),
    ],
    ids=["node", "go", "python", "ruby and php", *["other"] * 9],
)
def test_a_user_is_the_rest_of_a_path(escaped: bytes, user: str) -> None:
    """Percent escapes are decoded, a plus stays a plus, and a slash belongs to the id."""
    assert user == schema.read_user_in_path(PREFIX + b"/users/" + escaped, prefix="/users/")


def test_the_word_before_a_user_may_be_escaped_too() -> None:
    """The id begins after the first users of the decoded path, as it does for the router."""
    assert "a/users/b" == schema.read_user_in_path(PREFIX + b"/%75sers/a/users/b", prefix="/users/")


@pytest.mark.parametrize(
    "escaped,status,description",
    [
        (b"", 404, "The path must end with a user id"),
        (b"%FF", 400, "'User id' is not valid UTF-8"),
        (b"%ED%A0%80", 400, "'User id' is not valid UTF-8"),
        (b"%00", 400, "'User id' must be Unicode text without control characters"),
        (b"a" * 165, 400, "'User id' is too long, max length is 164"),
        (b"%C3%A9" * 165, 400, "'User id' is too long, max length is 164"),
    ],
)
def test_what_is_no_user_in_a_path_is_refused(
    escaped: bytes, status: int, description: str
) -> None:
    """An empty id is no path at all; any other fault is told in Beams' words."""
    with pytest.raises(Problem) as caught:
        schema.read_user_in_path(PREFIX + b"/users/" + escaped, prefix="/users/")

    assert (status, description) == (caught.value.status, caught.value.description)
