"""
Header fields, compressed (RFC 7541) by template.

The requests of one publish differ in a few fields. A template says which: those with
a value are the same in every request, those without are holes. It is compiled once
per connection: what is constant becomes bytes, mostly one-byte references to the
peer's tables, and a request is those bytes with the values spliced in.

What may enter the peer's table follows Apple's advice: constants do, except those
that are secret or would push others out. Holes never do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable, table_entry_size

from heliograph.wire.http2.frames import DEFAULT_FRAME_BYTES, END_HEADERS, END_STREAM, HEAD, Kind

MAX_TABLE_BYTES: Final = 4096
"""What we use of a peer's table, however much it offers."""

_NEVER_INDEXED: Final = frozenset({b":path", b"authorization"})
"""Secrets: no intermediary may put them into a table either (RFC 7541 §7.1.3)."""

_LITERAL: Final = frozenset(
    {b"apns-id", b"apns-expiration", b"apns-collapse-id", b"content-length", b"topic"}
)
"""Fields that change from publish to publish, and would push lasting ones out of the table."""

_INCREMENTAL_PREFIX: Final = (0x40, 6)
_LITERAL_PREFIX: Final = (0x00, 4)
_NEVER_PREFIX: Final = (0x10, 4)
"""First byte and width of the index of the three literal forms (RFC 7541 §6.2)."""

_HUFFMAN: Final = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """
    What many requests have in common; known by its identity.

    A request brings the values of the holes in their order, then its body if the
    template has none.
    """

    fields: tuple[tuple[bytes, bytes | None], ...] = field(repr=False)
    """Lower-case names, pseudo-fields first; None is a hole."""
    body: bytes | tuple[bytes, bytes] | None = field(repr=False)
    """The body of every request; None if each brings its own, a pair if only its middle."""

    @property
    def holes(self) -> int:
        """How many values a request brings."""
        return sum(value is None for _, value in self.fields) + (self.body is None)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A whole request of holes of certain lengths, for the ``%`` operator."""

    text: bytes
    """Takes stream id, values of the fields, stream id again, and the body if it varies."""
    body_bytes: int


@dataclass(slots=True)
class Compiled:
    """A template in the words of one connection at one time."""

    template: Template
    parts: tuple[bytes, ...]
    """What stands before, between and behind the holes of the header block."""
    generation: int
    """Of the table that the parts refer to."""
    patterns: dict[tuple[int, ...], Pattern | None] = field(default_factory=dict)
    """By the lengths of a request's values."""

    def block(self, values: Sequence[bytes]) -> bytes:
        """The header block of a request."""
        pieces = [self.parts[0]]
        for value, part in zip(values, self.parts[1:], strict=True):
            pieces += (_text(value), part)
        return b"".join(pieces)

    def pattern(self, lengths: tuple[int, ...]) -> Pattern | None:
        """
        The pattern for values of these lengths.

        Returns:
            None for what is rare and left to the general path: a request without a
            body, or with more in one frame than every peer takes.

        Raises:
            ValueError: They are not as many as the template has holes.
        """
        if lengths not in self.patterns:
            self.patterns[lengths] = self._pattern(lengths)
        return self.patterns[lengths]

    def _pattern(self, lengths: tuple[int, ...]) -> Pattern | None:
        body = self.template.body
        body_bytes = lengths[-1] if body is None else len(body)
        holes = lengths[:-1] if body is None else lengths
        block = [_escaped(self.parts[0])]
        block_bytes = len(self.parts[0])
        for length, part in zip(holes, self.parts[1:], strict=True):
            prefix = bytes(encode_integer(length, 7))
            block += (_escaped(prefix), b"%b", _escaped(part))
            block_bytes += len(prefix) + length + len(part)
        if not body_bytes or max(block_bytes, body_bytes) > DEFAULT_FRAME_BYTES:
            return None
        pieces = [
            _head(block_bytes, Kind.HEADERS, END_HEADERS),
            *block,
            _head(body_bytes, Kind.DATA, END_STREAM),
            b"%b" if body is None else _escaped(body),
        ]
        return Pattern(b"".join(pieces), body_bytes)


class Compressor:
    """The compressing end of HPACK: the peer's table as we have filled it."""

    def __init__(self) -> None:
        self.generation = 0
        """Grows whenever references to the table change their meaning."""
        self._table = HeaderTable()
        self._lowest = MAX_TABLE_BYTES
        self._announced = MAX_TABLE_BYTES

    def resize(self, limit: int) -> None:
        """Keep to the peer's SETTINGS_HEADER_TABLE_SIZE from the next block on."""
        size = min(limit, MAX_TABLE_BYTES)
        self._lowest = min(self._lowest, size)
        self._table.maxsize = size
        self.generation += 1

    def compile(self, template: Template) -> Compiled:
        """
        Compile a template for the next header block.

        What enters the table with that block can be referred to only by the next: then
        the result is out of date at once (its generation is over), and the second
        compilation is the one that lasts.
        """
        generation = self.generation
        parts: list[bytes] = []
        pending = [self._size_updates()]
        room = self._table.maxsize
        for name, value in template.fields:
            if value is None:
                prefix = _NEVER_PREFIX if name in _NEVER_INDEXED else _LITERAL_PREFIX
                parts.append(b"".join([*pending, self._name(name, prefix)]))
                pending = []
                continue
            is_static = self._is_static(name, value)
            size = 0 if is_static else table_entry_size(name, value)
            lasting = name not in _NEVER_INDEXED | _LITERAL and size <= room
            if lasting:
                room -= size
            pending.append(self._constant(name, value, lasting=lasting))
        parts.append(b"".join(pending))
        return Compiled(template, tuple(parts), generation)

    def _constant(self, name: bytes, value: bytes, *, lasting: bool) -> bytes:
        found = self._table.search(name, value)
        if lasting and found is not None and found[2] is not None:
            return _integer(found[0], 0x80, 7)
        if lasting:
            text = self._name(name, _INCREMENTAL_PREFIX) + _text(value, huffman=True)
            self._table.add(name, value)
            self.generation += 1
            return text
        prefix = _NEVER_PREFIX if name in _NEVER_INDEXED else _LITERAL_PREFIX
        return self._name(name, prefix) + _text(value, huffman=True)

    def _name(self, name: bytes, prefix: tuple[int, int]) -> bytes:
        """The beginning of a literal: its form, and its name by reference if it is a static one."""
        first, width = prefix
        known = HeaderTable.STATIC_TABLE_MAPPING.get(name)
        if known is not None:
            return _integer(known[0], first, width)
        return bytes([first]) + _text(name, huffman=True)

    def _is_static(self, name: bytes, value: bytes) -> bool:
        known = HeaderTable.STATIC_TABLE_MAPPING.get(name)
        return known is not None and value in known[1]

    def _size_updates(self) -> bytes:
        """What the peer must be told of the table's size before all else (RFC 7541 §4.2)."""
        size, lowest = self._table.maxsize, self._lowest
        told = b""
        if lowest < min(self._announced, size):
            told += _integer(lowest, 0x20, 5)
        if told or size != self._announced:
            told += _integer(size, 0x20, 5)
            self.generation += 1  # said once, not in every request
        self._lowest = self._announced = size
        return told


def _integer(number: int, first: int, width: int) -> bytes:
    encoded = encode_integer(number, width)
    encoded[0] |= first
    return bytes(encoded)


def _text(value: bytes, *, huffman: bool = False) -> bytes:
    """A string literal (RFC 7541 §5.2), Huffman-coded where that is asked for and shorter."""
    if huffman and len(coded := _HUFFMAN.encode(value)) < len(value):
        return _integer(len(coded), 0x80, 7) + coded
    return _integer(len(value), 0, 7) + value


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _head(length: int, kind: Kind, flags: int) -> bytes:
    """The head of a frame with a hole for its stream id."""
    return _escaped(HEAD.pack(length << 8 | kind, flags, 0)[:5]) + b"%b"
