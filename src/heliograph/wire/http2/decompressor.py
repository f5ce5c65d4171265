"""
The reading end of HPACK (RFC 7541).

We tell a peer to keep its table empty. Once its encoder has said that it does (§4.2),
a header block means the same whatever came before. Then, and not before, it may be left
unread: for ever, or until somebody looks.
"""

from collections.abc import Collection, Iterator
from functools import cached_property, lru_cache
from typing import Final

from hpack import Decoder, HPACKError

from heliograph.wire.http2.frames import ErrorCode, ProtocolError

MAX_HEADER_BYTES: Final = 32_768
"""Of a reply's header list, compressed or not. More costs the peer the connection."""

INFORMATIONAL: Final = range(100, 200)
_SWITCHING_PROTOCOLS: Final = 101

STATUS_BYTES: Final = 5
"""What ``:status`` takes at most: its name by reference, a length and three digits."""

Fields = Collection[tuple[str, str]]


class Decompressor:
    """The peer's encoder as we have followed it."""

    def __init__(self) -> None:
        self._decoder = Decoder(MAX_HEADER_BYTES)
        self.is_stateless = False
        """Whether the encoder has said that it keeps no table."""

    def read(self, block: bytes) -> tuple[int | None, Fields]:
        """
        The status in a header block, None if it has no proper one, and the other fields.

        Raises:
            ProtocolError: It cannot be read.
        """
        try:
            decoded = self._decoder.decode(block, raw=True)
        except (HPACKError, IndexError) as problem:
            raise ProtocolError(ErrorCode.COMPRESSION_ERROR, "unreadable header block") from problem
        self.is_stateless = self._decoder.header_table_size == 0
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in decoded]
        return _status(fields), tuple(fields[1:])


def _status(fields: list[tuple[str, str]]) -> int | None:
    """The status of a reply's header fields; None if they are malformed (RFC 9113 §8.3.2)."""
    pseudo = [value for name, value in fields if name.startswith(":")]
    if len(pseudo) != 1 or fields[0][0] != ":status":
        return None
    value = pseudo[0]
    if len(value) != 3 or not value.isascii() or not value.isdigit():  # noqa: PLR2004
        return None
    status = int(value)
    return None if status < INFORMATIONAL.start or status == _SWITCHING_PROTOCOLS else status


# --- blocks of an encoder without a table --------------------------------------------


@lru_cache(maxsize=256)
def status_in(head: bytes) -> int | None:
    """
    The final status that a block begins with.

    Args:
        head: The block's first five bytes, or all if it is shorter.

    Returns:
        None if the block must be read: it may be informational, trailers, malformed, or
        say something of the table.
    """
    is_indexed, is_of_table = head[:1] >= b"\x80", b"\x20" <= head[:1] < b"\x40"
    try:
        field = head[:1] if is_indexed else head[: 2 + (head[1] & 0x7F)]
        status, _ = Decompressor().read(field)
    except (IndexError, ProtocolError):
        return None
    return None if is_of_table or status in INFORMATIONAL else status


class UnreadFields(Fields):
    """
    What a block has besides the status, decompressed when somebody looks.

    What is unreadable or malformed has no fields.
    """

    def __init__(self, block: bytes) -> None:
        self._block = block

    @cached_property
    def _read(self) -> tuple[tuple[str, str], ...]:
        try:
            status, fields = Decompressor().read(self._block)
        except ProtocolError:
            return ()
        return () if status is None else tuple(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, field: object) -> bool:
        return field in self._read

    def __eq__(self, other: object) -> bool:
        return self._read == (other._read if isinstance(other, UnreadFields) else other)

    def __hash__(self) -> int:
        return hash(self._read)

    def __repr__(self) -> str:
        return repr(self._read)
