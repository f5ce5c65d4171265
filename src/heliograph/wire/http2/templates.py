"""
Requests by template.

The requests of one publish differ in a few fields, and perhaps in a part of the body. A
template says which: what has a value is the same in every request, what has none is a
hole. It is compiled once per connection (``compressor.py``): what is constant becomes
bytes, mostly one-byte references to the peer's table, and a request is those bytes with
the values spliced in.

``Compiled.block`` is the general way to do so. ``Pattern`` is the short cut: requests
with holes of equal lengths have equal frames but for the values, so that many of them
are written by repeating the constant pieces and filling every n-th.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from heliograph.wire.http2.frames import DEFAULT_FRAME_BYTES, END_HEADERS, END_STREAM, HEAD, Kind
from heliograph.wire.http2.literals import text, text_length

MAX_PATTERNS: Final = 256
"""Of a template. Few are needed, unless each request brings a body of a length of its own."""

_CONTENT_LENGTH: Final = b"\x0f\x0d"
"""The name of the field, as a literal that enters no table (RFC 7541 §6.2.2, appendix A)."""

_number: Final = Struct(">I").pack
_NUMBER_BYTES: Final = 4
"""A stream's number, the last part of a frame's head."""


Values = Sequence[bytes]
"""What one request has of its own: a value for each hole of its template."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """
    What many requests have in common; known by its identity.

    A request brings the values of the holes in their order, and at last what the body
    lacks. It has a ``content-length`` if it has a body; no template lists that field.
    """

    fields: tuple[tuple[bytes, bytes | None], ...] = field(repr=False)
    """Lower-case names, pseudo-fields first; None is a hole."""
    body: bytes | tuple[bytes, bytes] | None = field(repr=False)
    """
    The body of every request, or what stands before and behind what each brings.

    None if each brings its whole body.
    """

    @property
    def holes(self) -> int:
        """How many values a request brings."""
        own_body = not isinstance(self.body, bytes)
        return sum(value is None for _, value in self.fields) + own_body


@dataclass(frozen=True, slots=True)
class Pattern:
    """A whole request whose values have certain lengths."""

    pieces: list[bytes]
    """The bytes of its frames; what is to be filled in is empty."""
    numbers: tuple[int, ...]
    """Which pieces are the stream's number: one in each frame."""
    values: tuple[int, ...]
    """Which pieces are the values."""
    body_bytes: int

    def write(self, stream_ids: range, columns: Iterable[Sequence[bytes]]) -> list[bytes]:
        """
        Requests one after the other, in pieces.

        Args:
            stream_ids: Their streams.
            columns: For each hole, the values of all the requests.
        """
        width, numbers = len(self.pieces), list(map(_number, stream_ids))
        written = self.pieces * len(numbers)
        for place in self.numbers:
            written[place::width] = numbers
        for place, values in zip(self.values, columns, strict=True):
            written[place::width] = values
        return written


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

    def request(self, values: Sequence[bytes]) -> tuple[bytes, bytes]:
        """
        The header block of a request, and its body.

        Raises:
            ValueError: There are not as many values as the template has holes.
        """
        body: bytes
        match self.template.body:
            case bytes(constant):
                body = constant
            case (before, after):
                *values, middle = values
                body = before + middle + after
            case None:
                *values, body = values
        block = [self.parts[0]]
        for value, part in zip(values, self.parts[1:], strict=True):
            block += (text(value), part)
        return b"".join([*block, _content_length(len(body))]), body

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
            if len(self.patterns) >= MAX_PATTERNS:
                self.patterns.clear()
            self.patterns[lengths] = self._pattern(lengths)
        return self.patterns[lengths]

    def _pattern(self, lengths: Sequence[int]) -> Pattern | None:
        """As ``request`` writes it; a number of bytes stands for a value."""
        body: list[bytes | int]
        match self.template.body:
            case bytes(constant):
                body = [constant]
            case (before, after):
                *lengths, middle = lengths
                body = [before, middle, after]
            case None:
                *lengths, whole = lengths
                body = [whole]
        body_bytes = _size(body)
        block: list[bytes | int] = [self.parts[0]]
        for length, part in zip(lengths, self.parts[1:], strict=True):
            block += (text_length(length), length, part)
        block.append(_content_length(body_bytes))
        block_bytes = _size(block)
        if not body_bytes or max(block_bytes, body_bytes) > DEFAULT_FRAME_BYTES:
            return None
        headers = _head(block_bytes, Kind.HEADERS, END_HEADERS)
        data = _head(body_bytes, Kind.DATA, END_STREAM)
        pieces, places = _laid_out([headers, _NUMBER_BYTES, *block, data, _NUMBER_BYTES, *body])
        first, second = 0, 1 + len(lengths)
        numbers = places.pop(second), places.pop(first)
        return Pattern(pieces, numbers, tuple(places), body_bytes)


def _content_length(body_bytes: int) -> bytes:
    """The field, unless there is no body."""
    return _CONTENT_LENGTH + text(b"%d" % body_bytes) if body_bytes else b""


def _size(parts: Iterable[bytes | int]) -> int:
    return sum(part if isinstance(part, int) else len(part) for part in parts)


def _head(length: int, kind: Kind, flags: int) -> bytes:
    """The head of a frame, without the stream's number."""
    return HEAD.pack(length << 8 | kind, flags, 0)[:-_NUMBER_BYTES]


def _laid_out(parts: Iterable[bytes | int]) -> tuple[list[bytes], list[int]]:
    """As few pieces as possible, and which of them are empty and to be filled."""
    pieces: list[bytes] = []
    places: list[int] = []
    for part in parts:
        if isinstance(part, int):
            places.append(len(pieces))
            pieces.append(b"")
        elif pieces and pieces[-1]:
            pieces[-1] += part
        else:
            pieces.append(part)
    return pieces, places
