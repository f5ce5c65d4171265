"""Reading a request's body: bounded, JSON, an object, not too deep."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from heliograph.api.bodies import DEEPEST, check_content_type, read_object
from heliograph.api.problems import Problem


class Sender:
    """A request whose body comes in pieces; it counts those that were taken."""

    def __init__(self, pieces: Sequence[bytes], *, hangs_up: bool = False) -> None:
        self.pieces = list(pieces)
        self.hangs_up = hangs_up
        self.taken = 0

    async def __call__(self) -> Message:
        if self.taken == len(self.pieces) and self.hangs_up:
            return {"type": "http.disconnect"}
        body = self.pieces[self.taken] if self.pieces else b""
        self.taken += 1
        more = self.taken < len(self.pieces) or self.hangs_up
        return {"type": "http.request", "body": body, "more_body": more}

    def request(self, content_type: bytes | None = None) -> Request:
        headers = [] if content_type is None else [(b"content-type", content_type)]
        return Request({"type": "http", "method": "POST", "headers": headers}, self)


async def read(*pieces: bytes, most_bytes: int = 100) -> dict[str, Any]:
    return await read_object(Sender(pieces).request(), most_bytes=most_bytes)


async def refused(*pieces: bytes, most_bytes: int = 100_000) -> str:
    with pytest.raises(Problem) as caught:
        await read(*pieces, most_bytes=most_bytes)
    assert (400, "Bad request") == (caught.value.status, caught.value.error)
    return caught.value.description


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"application/json; charset=UTF-8", b" Application/JSON ;x"],
)
def test_json_is_asked_for(content_type: bytes) -> None:
    """Case and parameters do not matter."""
    check_content_type(Sender([]).request(content_type))


@pytest.mark.parametrize(
    "content_type", [None, b"", b"text/plain", b"application/jsonp", b"application/x+json", b"\xff"]
)
def test_anything_but_json_is_refused(content_type: bytes | None) -> None:
    """A body that does not say that it is JSON is not looked at."""
    with pytest.raises(Problem) as caught:
        check_content_type(Sender([]).request(content_type))

    assert (400, "Invalid content type", "Only application/json is supported") == (
        caught.value.status,
        caught.value.error,
        caught.value.description,
    )


async def test_a_body_may_come_in_pieces() -> None:
    """Where the network cuts it does not matter."""
    assert {"a": "é"} == await read(b'{"a"', b"", b':"\xc3', b'\xa9"}')


async def test_a_body_may_be_as_long_as_allowed() -> None:
    """The last byte that is allowed is still taken."""
    assert {"a": 1} == await read(b'{"a":1}', most_bytes=7)


async def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    """Reading stops at the piece that is too much; what follows may be endless."""
    sender = Sender([b"{" * 6] * 1000)

    with pytest.raises(Problem) as caught:
        await read_object(sender.request(), most_bytes=10)

    assert (400, "The body is too large: at most 10 bytes", 2) == (
        caught.value.status,
        caught.value.description,
        sender.taken,
    )


async def test_a_sender_who_hangs_up_has_said_nothing() -> None:
    """Half a body is no body, even if it happens to be JSON."""
    sender = Sender([b"{}"], hangs_up=True)

    with pytest.raises(ClientDisconnect):
        await read_object(sender.request(), most_bytes=100)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1',
        b'{"a":1}}',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":01}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x00"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32"),
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_not_json_is_refused(body: bytes) -> None:
    """Only strict JSON in UTF-8 is JSON."""
    assert "The body is not valid JSON" == await refused(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"a"', b"true"])
async def test_what_is_not_an_object_is_refused(body: bytes) -> None:
    """A list or a bare value says nothing by name."""
    assert "The body is not a JSON object" == await refused(body)


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


async def test_nesting_has_an_end() -> None:
    """The deepest level that is allowed is taken, the next one refused; so is a tower of them."""
    sentence = f"The body is nested too deeply: at most {DEEPEST} levels"

    await read(nested(DEEPEST), most_bytes=1000)

    assert sentence == await refused(nested(DEEPEST + 1))
    assert sentence == await refused(b'{"a":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}")
    assert "The body is nested too deeply" == await refused(nested(10_000))


async def test_of_two_equal_names_the_last_counts() -> None:
    """As everywhere else where JSON is read into a map."""
    assert {"a": 2} == await read(b'{"a":1,"a":2}')


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=200))
async def test_any_bytes_are_an_object_or_a_problem(body: bytes, most_bytes: int) -> None:
    """Whatever comes, nothing else is raised."""
    try:
        value = await read(body, most_bytes=most_bytes)
    except Problem as problem:
        assert 400 == problem.status  # noqa: PT017  (either way is right)
    else:
        assert isinstance(value, dict)
