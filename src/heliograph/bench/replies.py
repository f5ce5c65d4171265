"""What the three services answer to a notification that they take, as HTTP/2 frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.model import Gateway
from heliograph.wire.http2.frames import END_HEADERS, END_STREAM, Kind, frame

NO_TABLE: Final = b"\x20"
"""A table size of nought, which opens a connection's first header block (RFC 7541 §4.2)."""

HTTP1: Final = (
    b"HTTP/1.1 201 Created\r\nlocation: https://127.0.0.1/m/0123456789abcdef\r\n"
    b"content-length: 0\r\n\r\n"
)
"""What a Web Push service answers to who speaks HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply of one service."""

    block: bytes
    """Its header fields; it refers to no table but the static one."""
    body: bytes = b""

    def to(self, stream_ids: Sequence[bytes]) -> list[bytes]:
        """The replies to streams, by the four bytes of their ids."""
        flags = END_HEADERS if self.body else END_HEADERS | END_STREAM
        head, tail = _around_id(Kind.HEADERS, flags, self.block)
        if not self.body:
            return [head + each + tail for each in stream_ids]
        middle, end = _around_id(Kind.DATA, END_STREAM, self.body)
        middle = tail + middle
        return [head + each + middle + each + end for each in stream_ids]

    def first(self, stream_id: bytes) -> bytes:
        """The first reply on a connection, which says that no table is used."""
        (reply,) = Reply(NO_TABLE + self.block, self.body).to([stream_id])
        return reply


def _field(index: int, value: bytes, *, name: bytes = b"") -> bytes:
    """
    A literal that enters no table (RFC 7541 §6.2.2).

    Args:
        index: Of the name in the static table; 0 for a name that is not there.
        value: Shorter than 127 bytes.
        name: If ``index`` is 0.
    """
    high = 15
    prefix = bytes([index]) if index < high else bytes([high, index - high])
    named = bytes([len(name)]) + name if name else b""
    return prefix + named + bytes([len(value)]) + value


def _around_id(kind: Kind, flags: int, payload: bytes) -> tuple[bytes, bytes]:
    """A frame without its stream id: what stands before it, and behind."""
    whole = frame(kind, flags, 0, payload)
    return whole[:5], whole[9:]


_APNS_ID: Final = b"01234567-89ab-4def-8123-456789abcdef"

_200: Final = b"\x88"

REPLIES: Final = {
    Gateway.APNS: Reply(_200 + _field(0, _APNS_ID, name=b"apns-id")),
    Gateway.FCM: Reply(
        _200
        + _field(31, b"application/json; charset=UTF-8")
        + _field(59, b"Origin")
        + _field(33, b"Sun, 01 Mar 2026 12:00:00 GMT"),
        b'{\n  "name": "projects/example/messages/0:1772366400000000%0123456789abcdef"\n}\n',
    ),
    Gateway.WEB: Reply(
        _field(8, b"201")
        + _field(46, b"https://127.0.0.1/m/0123456789abcdef")
        + _field(0, b"2419200", name=b"ttl"),
    ),
}
"""By service: APNs 200 and an id, FCM 200 and a name in JSON, Web Push 201 and a place."""


def echo(apns_id: bytes) -> Reply:
    """APNs's reply with the id that the request brought."""
    return Reply(_200 + _field(0, apns_id, name=b"apns-id"))
