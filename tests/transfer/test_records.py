"""Devices in files: what is read, what is refused, and that what is written is read again."""

import base64
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, web_address
from heliograph.auth import user_problem
from heliograph.model import (
    Address,
    ApnsAddress,
    DeviceId,
    Environment,
    FcmAddress,
    Interest,
    Platform,
    UserId,
    gateway_of,
)
from heliograph.transfer.records import Format, Record, Reject, read, record, write
from heliograph.wire.jws import base64url

BROWSER = web_address("https://push.example.com/1")
SUBSCRIPTION = {
    "endpoint": BROWSER.endpoint,
    "keys": {"p256dh": base64url(BROWSER.p256dh), "auth": base64url(BROWSER.auth)},
}
APPLE = {"gateway": "apns", "token": "00FF"}

names = st.one_of(
    st.from_regex(r"[a-zA-Z0-9_\-=@,.;]{1,20}", fullmatch=True),
    st.sampled_from(["two words", " space ", "[", '["a"]', "Städte", '"']),
).map(Interest)
addresses: st.SearchStrategy[Address] = st.one_of(
    st.builds(
        ApnsAddress,
        st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True),
        st.none() | st.just("com.example.app"),
        st.none() | st.sampled_from(Environment),
    ),
    st.builds(FcmAddress, st.from_regex(r"[!-~]{1,40}", fullmatch=True)),
    st.just(BROWSER),
)
users = st.text(min_size=1, max_size=20).filter(lambda name: user_problem(name) is None)
users.validate()  # Hypothesis reads Unicode's tables for it, which takes too long for an example


def platforms_of(address: Address) -> list[Platform]:
    return [each for each in Platform if each.gateway is gateway_of(address)]


@st.composite
def records(draw: st.DrawFn) -> Record:
    address = draw(addresses)
    return Record(
        address=address,
        id=draw(st.none() | st.just(DeviceId(f"{gateway_of(address)}-1"))),
        name=draw(st.none() | st.sampled_from(["name", "A, 1", "apns-1"])),
        platform=draw(st.none() | st.sampled_from(platforms_of(address))),
        user=draw(st.none() | users.map(UserId)),
        interests=tuple(sorted(draw(st.sets(names, max_size=4)))),
        metadata=draw(st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=2)),
        registered_at=draw(st.none() | st.just(NOW)),
        vapid_public_key=draw(st.none() | st.just("BAAA")),
    )


@given(st.lists(records(), max_size=5), st.sampled_from(["csv", "jsonl"]))
def test_what_is_written_is_read_again(devices: list[Record], form: Format) -> None:
    """Every device comes back as it was, whatever its people and data are called."""
    text = "".join(write(devices, form, with_header=True))

    assert devices == [each for _, each in read(io.StringIO(text, newline=""), form)]


@pytest.mark.parametrize(
    "token",
    [
        SUBSCRIPTION,
        json.dumps(SUBSCRIPTION),
        base64.b64encode(json.dumps(SUBSCRIPTION).encode()).decode(),
    ],
)
def test_a_browser_is_written_in_three_ways(token: object) -> None:
    """As an object, as its text, and in the base64 that web SDKs send."""
    assert BROWSER == record({"gateway": "web", "token": token}).address


def test_tokens_and_sets_are_brought_to_one_form() -> None:
    """Hexadecimal in small letters; interests once each, in ascending order."""
    found = record(APPLE | {"interests": "b a b", "registered_at": "2026-01-02T05:04:05+02:00"})

    assert ApnsAddress("00ff") == found.address
    assert ("a", "b") == found.interests
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == found.registered_at


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"gateway": "gcm"}, "gateway must be one of apns, fcm, web"),
        ({"gateway": None}, "gateway must be one of"),
        ({"token": ""}, "token is required"),
        ({"token": 7}, "token is required"),
        ({"token": "xyz"}, "must be hexadecimal"),
        ({"gateway": "fcm", "token": "a b"}, "without spaces"),
        ({"gateway": "web", "token": "AAAA"}, "no PushSubscription"),
        ({"gateway": "web", "token": {"endpoint": 1}}, "no PushSubscription"),
        ({"topic": "no bundle"}, "topic must be a bundle id"),
        ({"environment": "test"}, "environment must be one of production, sandbox"),
        ({"id": "fcm-1"}, "id must begin with apns-"),
        ({"id": "apns-1/2"}, "id must begin with apns-"),
        ({"id": "apns-" + "x" * 200}, "id must begin with apns-"),
        ({"id": 1}, "id must be text"),
        ({"user": "a\nb"}, "user must be Unicode text"),
        ({"user": "u" * 255}, "user is too long"),
        ({"name": "a\tb"}, "name must be Unicode text without control characters"),
        ({"name": "n" * 255}, "name is too long, max length is 254"),
        ({"platform": "android"}, "platform of apns must be one of ios, safari"),
        ({"platform": 1}, "platform must be text"),
        ({"interests": ["a\nb"]}, "interest 'a\\nb'"),
        ({"interests": [""]}, "interest ''"),
        ({"interests": "[1"}, "interests must be a list"),
        ({"interests": "i" * 165}, "1 to 164 printable characters"),
        ({"interests": [1]}, "interests must be a list"),
        ({"interests": [f"i{each}" for each in range(5001)]}, "at most 5000 interests"),
        ({"metadata": "[]"}, "metadata must be a JSON object"),
        ({"metadata": "{"}, "metadata must be a JSON object"),
        ({"metadata": {"a": "x" * 16_384}}, "metadata must have at most"),
        ({"registered_at": "yesterday"}, "registered_at must be an instant"),
        ({"registered_at": "0001-01-01T00:00+14:00"}, "registered_at must be an instant"),
        ({"registered_at": "9999-12-31T23:59-01:00"}, "registered_at must be an instant"),
        ({"usr": "u"}, "unknown field usr"),
    ],
)
def test_what_cannot_be_used_is_said(changes: dict[str, Any], sentence: str) -> None:
    """With a sentence that names the field, and never the token."""
    (line,) = read([json.dumps(APPLE | changes)], "jsonl")

    reject = line[1]
    assert isinstance(reject, Reject)
    assert sentence in reject.reason
    assert str((APPLE | changes)["token"] or "00FF") not in reject.reason


@given(st.text(max_size=60), st.sampled_from(["csv", "jsonl"]))
def test_any_line_is_a_record_or_a_reject(text: str, form: Format) -> None:
    """Whatever stands in a file, it is read to its end."""
    head = ["gateway,token,user\n"] if form == "csv" else []

    found = [each for _, each in read([*head, *io.StringIO(text, newline="")], form)]

    assert all(isinstance(each, Record | Reject) for each in found)


@pytest.mark.parametrize(
    "lines, sentence",
    [
        ([], "line 1 must name the columns, and gateway among them"),
        (["gateway,user\n"], "and token among them"),
        (["gateway,token,colour\n"], "unknown column colour"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(lines: list[str], sentence: str) -> None:
    """A header that is missing, or mistyped, would lose a column of everybody's."""
    with pytest.raises(ValueError, match=sentence):
        list(read(lines, "csv"))


def test_lines_are_counted_from_one() -> None:
    """Empty lines and those of a quoted value count; a short line is rejected."""
    text = 'gateway,token,user\n\nfcm,a,"two\nlines"\nfcm,b\nfcm,c,u\n'

    found = list(read(text.splitlines(keepends=True), "csv"))

    assert [4, 5, 6] == [number for number, _ in found]
    assert [Reject, Reject, Record] == [type(each) for _, each in found]


def test_a_mark_at_the_beginning_does_no_harm() -> None:
    """Spreadsheets write one before UTF-8."""
    assert 1 == len(list(read(["\ufeffgateway,token\n", "fcm,a\n"], "csv")))
