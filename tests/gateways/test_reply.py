"""Reading what a gateway wrote, however badly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gateways.reply import read_object, read_words


def test_an_object_is_read() -> None:
    """A JSON object is a dictionary."""
    assert {"reason": "Unregistered"} == read_object(b'{"reason":"Unregistered"}')


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"reason":"Unregi', id="truncated"),
        pytest.param(b"<html>502</html>", id="HTML"),
        pytest.param(b'["reason"]', id="list"),
        pytest.param(b'"reason"', id="string"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":' * 100_000, id="nested deeply"),
        pytest.param(b'{"a":1' + b"0" * 10_000 + b"}", id="huge number"),
        pytest.param(b'{"a":1e999}', id="infinite number"),
        pytest.param(b'{"a":"\\ud800"}', id="half a character"),
        pytest.param(b'{"\xff":1}', id="not UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":1} {"b":2}', id="two objects"),
    ],
)
def test_anything_else_is_an_empty_object(body: bytes) -> None:
    """What is not one JSON object says nothing."""
    assert {} == read_object(body)


@given(st.binary())
def test_reading_an_object_never_raises(body: bytes) -> None:
    """Whatever the bytes, there is a dictionary."""
    assert isinstance(read_object(body), dict)


@pytest.mark.parametrize(
    "words",
    [
        "Unregistered",
        "THIRD_PARTY_AUTH_ERROR",
        "invalid_grant",
        "Ttl value conflicts with X-WNS-Cache-Policy.",
    ],
)
def test_codes_and_sentences_are_kept(words: str) -> None:
    """What the services really say can be logged."""
    assert words == read_words(words)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0", id="token"
        ),
        pytest.param("https://push.example.net/p/secret", id="address"),
        pytest.param("a" * 81, id="too long"),
        pytest.param("line\nfeed", id="control character"),
        pytest.param("\x1b[31m", id="terminal escape"),
        pytest.param("", id="empty"),
        pytest.param(410, id="number"),
        pytest.param(None, id="nothing"),
        pytest.param(["Unregistered"], id="list"),
    ],
)
def test_what_may_be_a_secret_or_harm_a_log_is_dropped(value: object) -> None:
    """Digits, addresses, control characters and long texts do not reach a log."""
    assert "" == read_words(value)
