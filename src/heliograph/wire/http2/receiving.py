"""
The receiving half of a connection: frames in, and the rules for them (RFC 9113).

The general path, ``_receive``, is complete. ``take_replies`` (``replies.py``) is a short
cut beside it that only leaves out work, as is a header block that is left unread.
"""

from dataclasses import dataclass
from typing import Final

from heliograph.wire.http2 import frames
from heliograph.wire.http2.decompressor import (
    INFORMATIONAL,
    MAX_HEADER_BYTES,
    STATUS_BYTES,
    Decompressor,
    Fields,
    UnreadFields,
    status_in,
)
from heliograph.wire.http2.ends import GoAway, Uncertain, Unprocessed
from heliograph.wire.http2.frames import (
    ACK,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    MAX_STREAM_ID,
    MAX_WINDOW,
    ErrorCode,
    Kind,
    ProtocolError,
    Setting,
)
from heliograph.wire.http2.replies import take_replies
from heliograph.wire.http2.sending import Sender
from heliograph.wire.http2.streams import Stream, Streams

MAX_BODY_BYTES: Final = 65_536
"""Of a reply. What comes beyond it is cut off, and the stream reset."""

MAX_CONTROL_BYTES: Final = 256 * 1024
"""Answers to the peer's own frames that it does not read; more is a flood (§10.5)."""

STREAM_WINDOW: Final = 2 * MAX_BODY_BYTES
CONNECTION_WINDOW: Final = 4 * 1024 * 1024
"""What we let a peer send before we say that we have read it."""

_LOW_CREDIT: Final = CONNECTION_WINDOW // 2

GREETING: Final = b"".join(
    [
        frames.PREFACE,
        frames.settings(
            {
                Setting.HEADER_TABLE_SIZE: 0,
                Setting.ENABLE_PUSH: 0,
                Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                Setting.MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
            }
        ),
        frames.window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW),
    ]
)
"""What we say first: how we want to be answered."""


@dataclass(slots=True)
class _Block:
    """A header block on its way in."""

    stream_id: int
    flags: int
    fragments: bytearray


class Receiver:
    """What comes in."""

    def __init__(self, streams: Streams, sender: Sender, *, shortcuts: bool) -> None:
        self._streams = streams
        self._sender = sender
        self._shortcuts = shortcuts
        self.goaway: GoAway | None = None
        self.is_ping_unanswered = False
        self._rest = b""
        """The beginning of a frame that is not whole yet."""
        self._block: _Block | None = None
        self._decompressor = Decompressor()
        self._may_skip = False
        """Whether header blocks may be left unread."""
        self._credit = CONNECTION_WINDOW

    def receive(self, data: bytes) -> None:
        """
        Take bytes from the peer.

        Raises:
            ProtocolError: The peer broke a rule that costs it the connection.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while True:
            if self._may_skip and self._block is None:
                at, left = take_replies(data, at, self._streams, self._credit - _LOW_CREDIT)
                self._credit = left + _LOW_CREDIT
            if end - at < HEAD_BYTES:
                break
            head, flags, stream_id = HEAD.unpack_from(data, at)
            payload_at, size = at + HEAD_BYTES, head >> 8
            if size > DEFAULT_FRAME_BYTES:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "too large a frame")
            if payload_at + size > end:
                break
            at = payload_at + size
            self._receive(head & 0xFF, flags, stream_id & MAX_STREAM_ID, data[payload_at:at])
        self._rest = data[at:]
        if self._sender.control_bytes > MAX_CONTROL_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "frames that only want an answer")

    def _receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """The general path: any frame."""
        if self._block is not None and kind != Kind.CONTINUATION:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame within a header block")
        if not self._sender.has_settings and kind != Kind.SETTINGS:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        frames.check_shape(kind, stream_id, len(payload))
        if kind in frames.OF_CONNECTION:
            self._receive_of_connection(kind, flags, payload)
        else:
            self._receive_of_stream(kind, flags, stream_id, payload)

    # --- of the connection -----------------------------------------------------------

    def _receive_of_connection(self, kind: int, flags: int, payload: bytes) -> None:
        match kind:
            case Kind.SETTINGS:
                self._receive_settings(flags, payload)
            case Kind.PING if flags & ACK:
                self.is_ping_unanswered = False
            case Kind.PING:
                self._sender.control(frames.frame(Kind.PING, ACK, 0, payload))
            case Kind.GOAWAY:
                self._receive_goaway(payload)

    def _receive_settings(self, flags: int, payload: bytes) -> None:
        if not flags & ACK:
            self._sender.obey(frames.read_settings(payload))
        elif payload:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement that says more")
        elif not self._sender.has_settings:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the first frame acknowledges")

    def _receive_goaway(self, payload: bytes) -> None:
        last = int.from_bytes(payload[:4]) & MAX_STREAM_ID
        if self.goaway is not None:
            last = min(last, self.goaway.last_stream_id)
        debug = payload[8:]
        self.goaway = GoAway(last, int.from_bytes(payload[4:8]), debug)
        for stream_id in self._streams:
            if stream_id > last:
                self._streams.end(stream_id, Unprocessed("GOAWAY", debug))  # §6.8

    # --- of a stream -----------------------------------------------------------------

    def _receive_of_stream(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case Kind.DATA:
                self._check_not_idle(stream_id)
                self._receive_body(flags, stream_id, payload)
            case Kind.HEADERS:
                self._check_not_idle(stream_id)
                fragment = frames.without_padding(flags, payload, priority=True)
                self._receive_block(_Block(stream_id, flags, bytearray(fragment)), flags)
            case Kind.CONTINUATION:
                if self._block is None or self._block.stream_id != stream_id:
                    raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
                self._block.fragments += payload
                self._receive_block(self._block, flags)
            case Kind.RST_STREAM:
                self._check_not_idle(stream_id)
                self._receive_reset(stream_id, int.from_bytes(payload))
            case Kind.WINDOW_UPDATE:
                if stream_id:
                    self._check_not_idle(stream_id)
                self._sender.open_window(stream_id, int.from_bytes(payload) & MAX_WINDOW)
            case Kind.PUSH_PROMISE:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a push that we have refused")
            case _:
                pass  # PRIORITY means nothing to us, and unknown frames to nobody (§5.5)

    def _check_not_idle(self, stream_id: int) -> None:
        if stream_id > self._streams.last_id or stream_id % 2 == 0:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a stream that was never opened")

    def _receive_block(self, block: _Block, flags: int) -> None:
        """Read a header block once it is whole; it is read even if its stream is gone (§4.3)."""
        if len(block.fragments) > MAX_HEADER_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "an endless header block")
        if not flags & END_HEADERS:
            self._block = block
            return
        self._block = None
        status, fields = self._read(bytes(block.fragments))
        stream = self._streams.heard_of(block.stream_id)
        if stream is not None:
            is_last = bool(block.flags & END_STREAM)
            self._receive_fields(block.stream_id, stream, status, fields, is_last=is_last)

    def _read(self, block: bytes) -> tuple[int | None, Fields]:
        """Status and fields of a block; with the short cut, a final reply's fields unread."""
        status = status_in(block[:STATUS_BYTES]) if self._may_skip else None
        if status is not None:
            return status, UnreadFields(block)
        read = self._decompressor.read(block)
        self._may_skip = self._shortcuts and self._decompressor.is_stateless
        return read

    def _receive_fields(
        self, stream_id: int, stream: Stream, status: int | None, fields: Fields, *, is_last: bool
    ) -> None:
        if stream.status is not None:  # trailers (§8.1)
            if not is_last:
                self._reject(stream_id, "header fields in the middle of a body")
                return
        elif status is None or (is_last and status in INFORMATIONAL):
            self._reject(stream_id, "header fields without a status")
            return
        elif status in INFORMATIONAL:
            return
        else:
            stream.status, stream.headers = status, fields
        if is_last:
            self._finish(stream_id, stream)

    def _receive_body(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._credit -= len(payload)
        if self._credit < 0:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        if self._credit < _LOW_CREDIT:
            self._sender.control(frames.window_update(0, CONNECTION_WINDOW - self._credit))
            self._credit = CONNECTION_WINDOW
        content = frames.without_padding(flags, payload)
        stream = self._streams.heard_of(stream_id)
        if stream is None:
            return  # of a stream that we have reset
        stream.consumed += len(payload)
        if stream.status is None:
            self._reject(stream_id, "a body before the header fields")
        elif stream.consumed > STREAM_WINDOW:
            self._reject(stream_id, "more than the stream's window")
        elif len(stream.body) + len(content) > MAX_BODY_BYTES:
            stream.body += content[: MAX_BODY_BYTES - len(stream.body)]
            self._sender.reset(stream_id, ErrorCode.CANCEL, stream.response())
        else:
            stream.body += content
            if flags & END_STREAM:
                self._finish(stream_id, stream)
            elif stream.consumed >= STREAM_WINDOW // 2:
                self._sender.control(frames.window_update(stream_id, stream.consumed))
                stream.consumed = 0

    def _receive_reset(self, stream_id: int, code: int) -> None:
        """RST_STREAM: of a stream that has ended it means nothing, as after an early reply."""
        stream = self._streams.heard_of(stream_id)
        if stream is None:
            return
        reason = f"RST_STREAM {ErrorCode.name_of(code)}"
        if code == ErrorCode.REFUSED_STREAM and stream.status is None:
            self._streams.end(stream_id, Unprocessed(reason))  # §8.7
        else:
            self._streams.end(stream_id, Uncertain(reason))

    def _finish(self, stream_id: int, stream: Stream) -> None:
        """A reply is whole. One that did not wait for our body makes the rest of it moot."""
        if stream.unsent:
            self._sender.reset(stream_id, ErrorCode.CANCEL, stream.response())
        else:
            self._streams.end(stream_id, stream.response())

    def _reject(self, stream_id: int, rule: str) -> None:
        """The peer broke a rule that costs it the stream (§5.4.2)."""
        self._sender.reset(stream_id, ErrorCode.PROTOCOL_ERROR, Uncertain(rule))
