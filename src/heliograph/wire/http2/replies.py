"""
The short cut of the receiving half: whole replies that need no second thought.

Two kinds do not, as long as the peer's encoder keeps no table (``decompressor.py``) and
their streams wait for nothing else:

* HEADERS that ends the stream, as APNs and the browsers' services answer. A plain 200
  is known by its first byte;
* HEADERS, then a body in one DATA frame, perhaps with an empty one behind it, as FCM
  answers.

Everything else is left to the general path, where it is looked at in full: a reply of
which a part is still to come, padding, 1xx, trailers, what is against the rules.
"""

from struct import Struct
from typing import Final

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2.decompressor import STATUS_BYTES, UnreadFields, status_in
from heliograph.wire.http2.ends import ACCEPTED
from heliograph.wire.http2.frames import (
    DEFAULT_FRAME_BYTES,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    Kind,
)
from heliograph.wire.http2.streams import Streams

_PLAIN_200: Final = 0x88
"""First byte of a header block that begins with ``:status: 200`` (RFC 7541 appendix A)."""

_unpack_head: Final = HEAD.unpack_from
_unpack: Final = Struct(">IBIB").unpack_from
"""The head of a frame, and the first byte of its payload."""

_WHOLE: Final = END_HEADERS | END_STREAM
_HEADERS: Final = int(Kind.HEADERS)
_DATA: Final = int(Kind.DATA)
"""As plain numbers, which compare faster."""

_LARGEST: Final = DEFAULT_FRAME_BYTES << 8 | 0xFF
"""What the head of a frame cannot exceed."""


class Replies:
    """Ends streams whose whole replies have come."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._block = b""
        self._head: tuple[int, UnreadFields] | None = None
        """What the last block says that was asked for."""

    def head(self, block: bytes) -> tuple[int, UnreadFields] | None:
        """
        Status and fields of a final reply; None if the block must be read.

        FCM's blocks are the same for all replies of a second.
        """
        if block != self._block:
            status = status_in(block[:STATUS_BYTES])
            self._block = block
            self._head = None if status is None else (status, UnreadFields(block))
        return self._head

    def take(self, data: bytes, at: int, credit: int) -> tuple[int, int]:
        """
        End the streams whose replies stand in a row.

        Args:
            data: What came.
            at: Where a frame begins in it.
            credit: How many bytes of bodies may be taken.

        Returns:
            Where the row is over, and what is left of the credit.
        """
        quiet, ended, end = self._streams.quiet, self._streams.ended, len(data)
        usual = size = 0  # most replies are as long as the one before
        while at + HEAD_BYTES < end:
            head, flags, stream_id, first = _unpack(data, at)
            if head != usual:
                usual, size = head, head >> 8
                if head & 0xFF != _HEADERS or not 0 < size <= DEFAULT_FRAME_BYTES:
                    break
            following = at + HEAD_BYTES + size
            if following > end or stream_id not in quiet:
                break
            if first == _PLAIN_200 and flags == _WHOLE:
                ended.append((quiet.pop(stream_id), ACCEPTED))
                at = following
                continue
            known = self.head(data[at + HEAD_BYTES : following])
            body: bytes | None = b""
            if flags == END_HEADERS:
                body, following = _body(data, following, stream_id)
            if known is None or body is None or len(body) > credit or flags | END_STREAM != _WHOLE:
                break
            status, fields = known
            ended.append((quiet.pop(stream_id), HttpResponse(status, fields, body)))
            credit -= len(body)
            at = following
        return at, credit


def _body(data: bytes, at: int, stream_id: int) -> tuple[bytes | None, int]:
    """A body in one frame, or in two of which the last is empty; and where it ends."""
    end = len(data)
    if at + HEAD_BYTES > end:
        return None, at
    head, flags, its_stream = _unpack_head(data, at)
    content_at = at + HEAD_BYTES
    at = content_at + (head >> 8)
    if (
        its_stream != stream_id
        or head & 0xFF != _DATA
        or head > _LARGEST
        or flags > END_STREAM
        or at > end
    ):
        return None, at
    if not flags:
        last_at, at = at, at + HEAD_BYTES
        if at > end or _unpack_head(data, last_at) != (_DATA, END_STREAM, stream_id):
            return None, at
        return data[content_at:last_at], at
    return data[content_at:at], at
