"""The tables of the official SDKs, line by line of contract §4.9, and how they ask (§4.1)."""

import hashlib
from itertools import islice

import pytest

from heliograph.client.profiles import ANDROID, IOS, PROFILES, WEB, Call, Profile, Reaction, profile

DROP, TELL, RETRY, RECREATE, CRASH = (
    Reaction.DROP,
    Reaction.TELL,
    Reaction.RETRY,
    Reaction.RECREATE,
    Reaction.CRASH,
)
OTHERS = (301, 402, 409, 410, 429, 500, 502, 503, None)
"""Statuses that no mobile SDK has a rule for; None is no reply."""


@pytest.mark.parametrize(
    "call, denied, not_found",
    [
        (Call.REGISTER, DROP, DROP),
        (Call.CHANGE, DROP, RECREATE),
        (Call.RESTORE, DROP, DROP),
        (Call.USER, TELL, TELL),
        (Call.USER_AGAIN, DROP, DROP),
        (Call.DELETE, DROP, DROP),
        (Call.REPORT, DROP, RECREATE),
    ],
)
def test_ios_reacts_as_in_its_table(call: Call, denied: Reaction, not_found: Reaction) -> None:
    """§4.9: iOS gives up at 400, 401 and 403, has a rule for 404, and repeats all the rest."""
    answers = IOS.answers[call]

    assert [denied] * 3 == [answers.reaction(status) for status in (400, 401, 403)]
    assert not_found == answers.reaction(404)
    assert {RETRY} == {answers.reaction(status) for status in (*OTHERS, 422)}


@pytest.mark.parametrize(
    "call, reaction", [(Call.REGISTER, DROP), (Call.CHANGE, DROP), (Call.USER, TELL)]
)
def test_ios_gives_up_at_one_sentence(call: Call, reaction: Reaction) -> None:
    """§4.9: "Device could not be created", and exactly that, ends iOS's patience."""
    answers = IOS.answers[call]

    assert reaction == answers.reaction(500, "Something went wrong", "Device could not be created")
    assert RETRY == answers.reaction(500, "Something went wrong", "Device could not be created.")
    assert RETRY == answers.reaction(500, "Device could not be created", "")


@pytest.mark.parametrize(
    "call, status, reaction",
    [
        *[(Call.REGISTER, status, RETRY) for status in (400, 401, 403, 404, 422)],
        *[(Call.DELETE, status, RETRY) for status in (400, 401, 403, 404, 422)],
        (Call.CHANGE, 400, DROP),
        (Call.CHANGE, 401, RETRY),
        (Call.CHANGE, 403, RETRY),
        (Call.CHANGE, 404, RECREATE),
        (Call.CHANGE, 422, RETRY),
        *[(Call.USER, status, TELL) for status in (400, 401, 403, 422)],
        (Call.USER, 404, RECREATE),
        *[(Call.RESTORE, status, CRASH) for status in (400, 404)],
        *[(Call.REPORT, status, DROP) for status in (400, 401, 404, 422, 429)],
        *[(Call.REPORT, status, RETRY) for status in (500, 503, None)],
    ],
)
def test_android_reacts_as_in_its_table(call: Call, status: int | None, reaction: Reaction) -> None:
    """§4.9 and §7: each status that Android has a rule for."""
    assert reaction == ANDROID.answers[call].reaction(status)


@pytest.mark.parametrize("call", [Call.REGISTER, Call.CHANGE, Call.USER, Call.DELETE])
def test_android_repeats_the_rest(call: Call) -> None:
    """§4.9: what Android has no rule for it repeats."""
    assert {RETRY} == {ANDROID.answers[call].reaction(status) for status in OTHERS}


def test_android_starts_again_at_one_title() -> None:
    """§4.9: the error InvalidToken, with any status, makes Android register once more."""
    answers = ANDROID.answers[Call.REGISTER]

    assert {Reaction.RESTART} == {answers.reaction(each, "InvalidToken") for each in (400, 500)}


@pytest.mark.parametrize("each", [IOS, ANDROID])
@pytest.mark.parametrize("status", [400, 404, 422, 500, None])
def test_what_a_launch_tells_is_tried_once(each: Profile, status: int | None) -> None:
    """§4.9: metadata and interests at the start of an app are tried once, whatever comes."""
    assert DROP == each.answers[Call.CATCH_UP].reaction(status)


@pytest.mark.parametrize("call", [each for each in Call if each is not Call.REPORT])
def test_the_web_tells_everything(call: Call) -> None:
    """§4.9: on the web every failure rejects a promise, and nothing is repeated."""
    statuses = (*OTHERS, 400, 401, 403, 404, 422)

    assert {TELL} == {WEB.answers[call].reaction(status) for status in statuses}


def test_the_web_ignores_what_becomes_of_reports() -> None:
    """§7: the web's worker ignores every failure of a report."""
    assert {DROP} == {WEB.answers[Call.REPORT].reaction(each) for each in (*OTHERS, 400, 404)}


@pytest.mark.parametrize(
    "each, waits",
    [
        (IOS, [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 64.0, 64.0]),
        (ANDROID, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 64.0]),
    ],
)
def test_waits_double_up_to_a_minute(each: Profile, waits: list[float]) -> None:
    """§4.9: iOS begins with 400 ms, Android with 200 ms; both end at 64 s, and never give up."""
    assert waits == pytest.approx(list(islice(each.waits, 10)))


@pytest.mark.parametrize(
    "each, headers, without_body",
    [
        (
            IOS,
            {
                "x-pusher-library": "push-notifications-swift 4.0.0",
                "content-type": "application/json",
            },
            {
                "x-pusher-library": "push-notifications-swift 4.0.0",
                "content-type": "application/json",
                "content-length": "0",
            },
        ),
        (
            ANDROID,
            {
                "x-pusher-library": "push-notifications-android 1.9.2",
                "content-type": "application/json; charset=UTF-8",
            },
            {"x-pusher-library": "push-notifications-android 1.9.2", "content-length": "0"},
        ),
        (WEB, {"content-type": "application/json"}, {"content-length": "0"}),
    ],
)
def test_headers_are_the_sdks(
    each: Profile, headers: dict[str, str], without_body: dict[str, str]
) -> None:
    """§4.1: which requests have a content type differs; all but the web name themselves."""
    with_body = dict(each.request("PUT", "http://beams.example", {"a": 1}).headers)

    assert headers == {k: v for k, v in with_body.items() if k not in {"host", "content-length"}}
    bare = dict(each.request("PUT", "http://beams.example").headers)
    assert without_body == {k: v for k, v in bare.items() if k != "host"}


def test_a_beams_token_is_borne() -> None:
    """§4.6: the token of a user is in the Authorization header."""
    request = IOS.request("PUT", "http://beams.example", bearer="token")

    assert "Bearer token" == request.headers["authorization"]


def test_ios_hashes_what_is_sorted_and_joined() -> None:
    """§4.4: MD5 of the sorted names with commas, in upper case."""
    expected = hashlib.md5(b"donuts,hello", usedforsecurity=False).hexdigest().upper()

    assert expected == IOS.interests_hash(["hello", "donuts"])


def test_android_leaves_zeros_out() -> None:
    """§4.4: MD5 with a comma and a space, as a number in hexadecimal: without leading zeros."""
    name = next(
        f"i{n}"
        for n in range(1000)
        if hashlib.md5(f"i{n}, z".encode(), usedforsecurity=False).hexdigest()[0] == "0"
    )
    digest = hashlib.md5(f"{name}, z".encode(), usedforsecurity=False).hexdigest()

    assert digest.lstrip("0") == ANDROID.interests_hash({"z", name})


def test_an_unknown_profile_is_refused() -> None:
    """There are three profiles, and another name is an error."""
    assert {"ios", "android", "web"} == set(PROFILES)
    with pytest.raises(ValueError, match="profile 'palm' is none of"):
        profile("palm")
