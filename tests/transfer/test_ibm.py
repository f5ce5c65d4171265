"""Files of IBM's migration tool: what is read, what is left out, and what is refused."""

import base64
import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import web_address
from heliograph.model import (
    Address,
    ApnsAddress,
    FcmAddress,
    Interest,
    Platform,
    UserId,
)
from heliograph.transfer.ibm import Subscription, read_devices, read_subscriptions
from heliograph.transfer.records import Record, Reject

BROWSER = web_address("https://push.example.com/1")
KEYS = {
    "userPublicKey": base64.b64encode(BROWSER.p256dh).decode(),
    "userAuth": base64.b64encode(BROWSER.auth).decode(),
}
WEB_TOKEN = json.dumps({"endpoint": BROWSER.endpoint} | KEYS, separators=(",", ":"))


def written(*rows: tuple[str, ...]) -> list[str]:
    """Lines as the tool's language writes them: quoted where it must be, and ended by LF."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().splitlines(keepends=True)


@pytest.mark.parametrize(
    "word, token, platform, address",
    [
        ("A", "00FF", Platform.IOS, ApnsAddress("00ff")),
        ("G", "f:APA91b", Platform.ANDROID, FcmAddress("f:APA91b")),
        ("WEB_CHROME", WEB_TOKEN, Platform.CHROME, BROWSER),
        ("WEB_FIREFOX", WEB_TOKEN, Platform.FIREFOX, BROWSER),
        ("WEB_SAFARI", "00FF", Platform.SAFARI, ApnsAddress("00ff")),
        ("APPEXT_CHROME", "APA91b", Platform.CHROME_APP, FcmAddress("APA91b")),
    ],
)
def test_a_device_of_each_platform(
    word: str, token: str, platform: Platform, address: Address
) -> None:
    """Contract §3.1: a token in its platform's form; browsers' keys are standard base64."""
    lines = written(("D-1", "alice", token, word))

    ((number, found),) = read_devices(lines)

    expected = Record(address, name="D-1", platform=platform, user=UserId("alice"))
    assert (1, expected) == (number, found)


@pytest.mark.parametrize("nobody", ["anonymous", ""])
def test_an_anonymous_device_is_nobodys(nobody: str) -> None:
    """Contract §3.1: who registers without a user is stored as ``anonymous``."""
    ((_, found),) = read_devices(written(("D-1", nobody, "00ff", "A")))

    assert Record(ApnsAddress("00ff"), name="D-1", platform=Platform.IOS) == found


def test_whatever_people_and_devices_are_called() -> None:
    """Commas, quotes, lines and letters of all the world; a user may have 254 characters."""
    odd = ('D,"1" Ö', "u" * 254, "token", "G")

    ((_, found),) = read_devices(written(odd))

    assert isinstance(found, Record)
    assert odd[:2] == (found.name, found.user)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"platform": "W"}, "platform must be one of A, G, WEB_CHROME"),
        ({"platform": ""}, "platform must be one of"),
        ({"deviceId": ""}, "name must not be empty"),
        ({"userId": "u" * 255}, "user is too long, max length is 254"),
        ({"userId": "a\nb"}, "user must be Unicode text"),
        ({"token": ""}, "must be hexadecimal"),
        ({"token": "s3cret"}, "must be hexadecimal"),
        ({"platform": "G", "token": "a s3cret"}, "without spaces"),
        ({"platform": "WEB_CHROME", "token": "s3cret"}, "no browser's subscription"),
        ({"platform": "WEB_FIREFOX", "token": '{"endpoint":"s3cret"}'}, "no browser's"),
        ({"platform": "WEB_CHROME", "token": WEB_TOKEN.replace("https", "http")}, "https address"),
        (
            {
                "platform": "WEB_CHROME",
                "token": WEB_TOKEN.replace(KEYS["userPublicKey"], "s3cret"),
            },
            "p256dh key is not a P-256 point",
        ),
        ({"platform": "WEB_SAFARI", "token": "s3cret"}, "must be hexadecimal"),
    ],
)
def test_what_cannot_be_used_is_said(changes: dict[str, str], sentence: str) -> None:
    """With the line, the device id, and never the token; what follows is read."""
    good = {"deviceId": "D-1", "userId": "alice", "token": "00ff", "platform": "A"}
    bad = good | changes

    (line, reject), (_, next_one) = read_devices(written(tuple(bad.values()), tuple(good.values())))

    assert isinstance(reject, Reject)
    assert isinstance(next_one, Record)
    assert (line, bad["deviceId"]) == (reject.line, reject.id)
    assert sentence in reject.reason
    assert "s3cret" not in reject.reason


def test_lines_that_are_broken() -> None:
    """A line with another number of columns, or with quotes astray, is told with its number."""
    lines = ["D-1,alice,00ff\n", '"D-2"x,,00ff,A\n', "\n", "D-3,,00ff,A\n"]

    found = list(read_devices(lines))

    assert [
        (1, Reject(1, "", "has 3 columns, not 4: deviceId, userId, token, platform")),
        (2, Reject(2, "", "',' expected after '\"'")),
    ] == found[:2]
    assert [4] == [number for number, each in found if isinstance(each, Record)]


def test_a_header_is_no_device() -> None:
    """The tool writes none; somebody who looked at the file in a spreadsheet may have."""
    lines = ["\ufeffdeviceId,userId,token,platform\n", "D-1,,00ff,A\n"]

    assert [2] == [number for number, _ in read_devices(lines)]
    assert [] == list(read_subscriptions(["tagName,deviceId\n"]))


def test_subscriptions() -> None:
    """Tag first, then device; contract §4.2: ``Push.ALL`` is every device's, so it is none."""
    lines = written(("news", "D-1"), ("Push.ALL", "D-1"), ("two words, ü", "D-2"))

    assert [
        (1, Subscription("D-1", Interest("news"))),
        (3, Subscription("D-2", Interest("two words, ü"))),
    ] == list(read_subscriptions(lines))


@pytest.mark.parametrize(
    "row, identity, sentence",
    [
        (("news", ""), "", "device id is missing"),
        (("", "D-1"), "D-1", "tag must have 1 to 164 printable characters"),
        (("n" * 165, "D-1"), "D-1", "tag must have 1 to 164"),
        (("a\tb", "D" * 50), "D" * 40 + "…", "tag must have 1 to 164"),
        (("news",), "", "has 1 columns, not 2: tagName, deviceId"),
    ],
)
def test_subscriptions_that_cannot_be_used(
    row: tuple[str, ...], identity: str, sentence: str
) -> None:
    """With the line, and the device id where there is one."""
    ((line, reject),) = read_subscriptions(written(row))

    assert isinstance(reject, Reject)
    assert (1, 1, identity) == (line, reject.line, reject.id)
    assert sentence in reject.reason


@pytest.mark.parametrize("read", [read_devices, read_subscriptions])
@given(text=st.text(max_size=60))
def test_any_line_is_read_or_refused(read: Any, text: str) -> None:
    """Never raises: whatever stands in a file, it is read to its end."""
    found = [each for _, each in read(io.StringIO(text, newline=""))]

    assert all(isinstance(each, Record | Reject | Subscription) for each in found)


def test_nothing_is_read_ahead() -> None:
    """A file of a million lines is never in memory as a whole."""
    taken = []

    def lines() -> Any:
        for number in range(10**6):
            taken.append(number)
            yield f"D-{number},,00ff,A\n"

    assert isinstance(next(read_devices(lines()))[1], Record)
    assert [0] == taken
