"""Header fields that are left unread until somebody looks."""

import pytest
from hpack import Encoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import ProtocolError
from heliograph.wire.http2.decompressor import Decompressor, UnreadFields, status_in

NAMES = st.sampled_from(["location", "date", "ttl", "content-length", "x-a", "retry-after"])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)


def encoder() -> Encoder:
    """One that keeps no table, and has said so."""
    made = Encoder()
    made.header_table_size = 0
    made.encode([])
    return made


@given(
    st.integers(200, 599),
    st.lists(st.tuples(NAMES, VALUES)),
    st.booleans(),
    st.sampled_from([tuple, NeverIndexedHeaderTuple]),
)
def test_fields_that_are_left_unread_are_those_of_hpack(
    status: int, fields: list[tuple[str, str]], huffman: bool, form: type
) -> None:
    """Status and fields are the same, whichever of its forms an encoder chooses."""
    pairs = [(":status", str(status)), *fields]
    if form is not tuple:
        pairs = [form(*pair) for pair in pairs]
    block = encoder().encode(pairs, huffman=huffman)

    assert (status, tuple(fields)) == Decompressor().read(block)
    assert status == status_in(block[:5])
    assert tuple(fields) == tuple(UnreadFields(block))
    assert HttpResponse(status, tuple(fields)) == HttpResponse(status, UnreadFields(block))


@given(st.binary(max_size=40))
def test_any_block_may_be_left_unread(block: bytes) -> None:
    """Nothing is raised, and a status is told only if nothing else may stand there."""
    status, fields = status_in(block[:5]), UnreadFields(block)
    try:
        expected = Decompressor().read(block)
    except ProtocolError:
        assert not fields
        return

    assert status is None or status == expected[0] or not fields
    assert tuple(fields) == (() if expected[0] is None else tuple(expected[1]))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x08",
        b"\x08\x03",
        b"\x08\x0320",  # cut off
        b"\x08\x03103",
        b"\x08\x03101",
        b"\x08\x0320x",
        b"\x20\x88",
        b"\x3f\x88",
        b"\x82",
        b"\xbe",
        b"\x04\x03201",
    ],
)
def test_what_is_no_final_status_is_read_in_full(head: bytes) -> None:
    """Informational and malformed statuses, other fields, and words about the table."""
    assert status_in(head) is None


def test_fields_behave_as_the_tuple_that_they_are() -> None:
    """Whoever looks cannot tell that nobody had."""
    block = encoder().encode([(":status", "201"), ("location", "/m/1"), ("ttl", "60")])
    pairs = (("location", "/m/1"), ("ttl", "60"))
    fields = UnreadFields(block)

    assert 2 == len(fields)
    assert ("ttl", "60") in fields
    assert repr(pairs) == repr(fields)
    assert hash(pairs) == hash(fields)
    assert fields == UnreadFields(block)
    assert "60" == HttpResponse(201, fields).header("ttl")
