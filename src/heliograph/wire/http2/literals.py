"""The primitives of HPACK as we write them (RFC 7541 §5)."""

from typing import Final

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_HUFFMAN: Final = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def integer(number: int, first: int, width: int) -> bytes:
    """A number in the last ``width`` bits of a first byte, and in as many more as it takes."""
    encoded = encode_integer(number, width)
    encoded[0] |= first
    return bytes(encoded)


def text_length(length: int) -> bytes:
    """What precedes a text that is written as it is."""
    return integer(length, 0, 7)


def text(value: bytes, *, huffman: bool = False) -> bytes:
    """A text, Huffman-coded where that is asked for and shorter."""
    if huffman and len(coded := _HUFFMAN.encode(value)) < len(value):
        return integer(len(coded), 0x80, 7) + coded
    return text_length(len(value)) + value
