"""
The short cut of the receiving half: whole replies that need no second thought.

Two kinds do not, as long as the peer's encoder keeps no table (``decompressor.py``) and
their streams wait for nothing else:

* HEADERS that ends the stream, as APNs and the browsers' services answer. A plain 200
  is known by its first byte;
* HEADERS, then a body in one DATA frame or two, as FCM answers.

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

_unpack: Final = Struct(">IBIB").unpack_from
"""The head of a frame, and the first byte of its payload."""

_WHOLE: Final = END_HEADERS | END_STREAM
_HEADERS: Final = int(Kind.HEADERS)
_DATA: Final = int(Kind.DATA)
"""As plain numbers, which compare faster."""

_LARGEST: Final = DEFAULT_FRAME_BYTES << 8 | 0xFF
"""What the head of a frame cannot exceed."""


def take_replies(data: bytes, at: int, streams: Streams, credit: int) -> tuple[int, int]:
    """
    End the streams whose whole replies stand in a row.

    Args:
        data: What came.
        at: Where a frame begins in it.
        streams: Those that are open.
        credit: How many bytes of bodies may be taken.

    Returns:
        Where the row is over, and what is left of the credit.
    """
    quiet, ended, end = streams.quiet, streams.ended, len(data)
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
        else:
            reply = _read(data, at + HEAD_BYTES, following, flags, stream_id)
            if reply is None or len(reply[0].body) > credit:
                break
            response, following = reply
            credit -= len(response.body)
            ended.append((quiet.pop(stream_id), response))
        at = following
    return at, credit


def _read(
    data: bytes, block_at: int, body_at: int, flags: int, stream_id: int
) -> tuple[HttpResponse, int] | None:
    """A reply of any status, and where it ends; None if it is not as simple as that."""
    block = data[block_at:body_at]
    status = status_in(block[:STATUS_BYTES])
    if status is None:
        return None
    if flags == _WHOLE:
        return HttpResponse(status, UnreadFields(block)), body_at
    if flags == END_HEADERS and (found := _body(data, body_at, stream_id)) is not None:
        body, at_end = found
        return HttpResponse(status, UnreadFields(block), body), at_end
    return None


def _body(data: bytes, at: int, stream_id: int) -> tuple[bytes, int] | None:
    """A body in one frame or two, and where it ends."""
    end = len(data)
    body = b""
    while at + HEAD_BYTES <= end:
        head, flags, its_stream = HEAD.unpack_from(data, at)
        content_at = at + HEAD_BYTES
        at = content_at + (head >> 8)
        if (
            its_stream != stream_id
            or head & 0xFF != _DATA
            or head > _LARGEST
            or flags > END_STREAM
            or at > end
        ):
            break
        if flags:
            return body + data[content_at:at], at
        if body:
            break  # in more than two frames
        body = data[content_at:at]
    return None
