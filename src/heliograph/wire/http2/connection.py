"""
One HTTP/2 connection, from the client's end (RFC 9113).

Rules for whoever changes this file:

* A key that ``send`` has taken ends exactly once: in what ``receive_data``,
  ``give_up`` or ``close`` returns.
* ``Unprocessed`` is a promise that the peer has not acted. Whatever is not promised by
  the RFC is ``Uncertain``.
* The general path is complete. Three short cuts stand beside it, and only leave out
  work: ``_send_by_pattern`` writes whole requests by the ``%`` operator, the loop of
  ``receive_data`` takes the commonest reply, a plain 200, without looking into it, and
  ``_decompress`` recognises header blocks. ``shortcuts=False`` switches them off.

A stream is in ``_quiet`` while it is wholly written and nothing was heard of it, which
is all that most streams ever are, and in ``_busy`` otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hpack import Decoder, HPACKError

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import frames
from heliograph.wire.http2.fields import Compiled, Compressor, Template
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

MAX_BODY_BYTES: Final = 65_536
"""Of a reply. What comes beyond it is cut off, and the stream reset."""

MAX_HEADER_BYTES: Final = 32_768
"""Of a reply's header list, compressed or not. More costs the peer the connection."""

STREAM_WINDOW: Final = 2 * MAX_BODY_BYTES
CONNECTION_WINDOW: Final = 4 * 1024 * 1024
"""What we let a peer send before we say that we have read it."""

MAX_UNSENT_BYTES: Final = 1024 * 1024
"""Bodies that wait for the peer's window; no further request is taken above it."""

MAX_CONTROL_BYTES: Final = 256 * 1024
"""Answers to the peer's own frames that it does not read; more is a flood (RFC 9113 §10.5)."""

MAX_OPEN_STREAMS: Final = 1000
"""Requests that wait for replies at once. More gain nothing, and are all uncertain if the
connection breaks."""

MAX_TEMPLATES: Final = 64
"""Templates that are kept compiled."""

MAX_REMEMBERED_BLOCKS: Final = 128
"""Header blocks that are recognised; FCM's are the same for all replies of a second."""

_PLAIN_200: Final = 0x88
"""First byte of a header block that begins with ``:status: 200`` (RFC 7541 appendix A)."""

_INFORMATIONAL: Final = range(100, 200)
_SWITCHING_PROTOCOLS: Final = 101

Key = Any
"""The caller's name for a request; nothing is asked of it."""


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The peer has not acted on the request: sending it again is free."""

    reason: str
    debug: bytes = field(default=b"", repr=False)
    """What the peer's GOAWAY said, if that was it."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The peer may have acted on the request; no reply came."""

    reason: str


End = HttpResponse | Unprocessed | Uncertain
Ended = tuple[Key, End]

ACCEPTED: Final = HttpResponse(200)
"""The end of every plain 200: no body, and its header fields are not looked at."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer's last word."""

    last_stream_id: int
    code: int
    debug: bytes = field(repr=False)
    """APNs says why in JSON, as in the body of an error."""


@dataclass(slots=True)
class _Stream:
    """A stream that is more than a request waiting for a plain reply."""

    key: Key
    window: int = 0
    """What the peer lets us send; matters while there is something unsent."""
    unsent: bytes = b""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytearray = field(default_factory=bytearray)
    consumed: int = 0
    """Flow-controlled bytes since we last opened the stream's window."""


@dataclass(slots=True)
class _Block:
    """A header block on its way in."""

    stream_id: int
    flags: int
    fragments: bytearray


class Connection:
    """The state of one connection, from its first byte to its last."""

    def __init__(self, *, shortcuts: bool = True) -> None:
        """
        Begin; the first bytes to send are ready.

        Args:
            shortcuts: False sends and reads everything by the general path.
        """
        self._shortcuts = shortcuts
        self.goaway: GoAway | None = None
        self.failure: ProtocolError | None = None
        """The rule that the peer broke, if that is what ended the connection."""
        self.is_closed = False
        self.closed_because = ""
        self.is_ping_unanswered = False
        # what the peer allows
        self._settings_came = False
        self._max_streams = 1  # until it says more: Apple opens with one
        self._initial_window = DEFAULT_WINDOW
        self._max_frame = DEFAULT_FRAME_BYTES
        self._window = DEFAULT_WINDOW
        # streams
        self._next_id = 1
        self._written_id = -1
        """The highest stream of which anything has left us."""
        self._quiet: dict[int, Key] = {}
        self._busy: dict[int, _Stream] = {}
        self._ended: list[Ended] = []
        # bytes
        self._received = b""
        self._block: _Block | None = None
        self._credit = CONNECTION_WINDOW
        self._out: list[bytes] = []
        self._control_bytes = 0
        self._unsent_bytes = 0
        # header fields
        self._compressor = Compressor()
        self._compiled: dict[Template, Compiled] = {}
        self._decoder = Decoder(MAX_HEADER_BYTES)
        self._is_stateless = False
        self._read_before: dict[bytes, list[tuple[str, str]]] = {}
        self._out += (
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
        )

    # --- what the caller may ask -----------------------------------------------------

    @property
    def open_streams(self) -> int:
        """Requests that have not ended."""
        return len(self._quiet) + len(self._busy)

    @property
    def is_usable(self) -> bool:
        """Whether new requests may ever be sent here."""
        return not self.is_closed and self.goaway is None and self._next_id <= MAX_STREAM_ID

    @property
    def room(self) -> int:
        """How many requests ``send`` would take now."""
        if not self.is_usable or self._unsent_bytes >= MAX_UNSENT_BYTES:
            return 0
        left = (MAX_STREAM_ID - self._next_id) // 2 + 1
        return max(0, min(self._max_streams - self.open_streams, left))

    @property
    def max_streams(self) -> int:
        """How many requests may be open at once, by what the peer has said so far."""
        return self._max_streams

    @property
    def last_stream_id(self) -> int:
        """The newest stream; streams are numbered upwards. -1 before the first."""
        return self._next_id - 2

    def data_to_send(self) -> bytes:
        """Everything to be written now; it counts as written once it was handed out."""
        data = b"".join(self._out)
        self._out.clear()
        self._control_bytes = 0
        self._written_id = self.last_stream_id
        return data

    # --- what the caller may do ------------------------------------------------------

    def send(self, template: Template, requests: Sequence[tuple[Key, Sequence[bytes]]]) -> int:
        """
        Take requests, as many as there is room for.

        Args:
            template: What they have in common.
            requests: A key for each, and the values of the template's holes.

        Returns:
            How many were taken, from the front; the rest is the caller's again.
        """
        taken = 0
        while taken < len(requests) and (room := self.room):
            compiled = self._compile(template)
            batch = requests[taken : taken + room]
            done = self._send_by_pattern(compiled, batch) if self._shortcuts else 0
            if not done:
                self._send_one(compiled, *batch[0])
                done = 1
            taken += done
        return taken

    def give_up(self, last_stream_id: int) -> list[Ended]:
        """Wait no longer for the streams up to one: they are reset and uncertain."""
        for stream_id in [each for each in self._quiet if each <= last_stream_id]:
            self._reset(stream_id, ErrorCode.CANCEL, Uncertain("no reply in time"))
        for stream_id in [each for each in self._busy if each <= last_stream_id]:
            self._reset(stream_id, ErrorCode.CANCEL, Uncertain("no reply in time"))
        return self._take_ended()

    def ping(self) -> None:
        """Ask for a sign of life; ``is_ping_unanswered`` until it comes."""
        if not self.is_closed:
            self.is_ping_unanswered = True
            self._out.append(frames.frame(Kind.PING, 0, 0, bytes(8)))

    def close(self, reason: str) -> list[Ended]:
        """End the connection: what is open has no reply to wait for. Repeats do nothing."""
        if not self.is_closed:
            self._fail(ErrorCode.NO_ERROR, reason)
        return self._take_ended()

    def receive_data(self, data: bytes) -> list[Ended]:
        """
        Take bytes from the peer; what has ended with them.

        Never raises: a peer that breaks the rules has ``failure`` say which, the
        connection is closed, and the GOAWAY that says so is there to be sent.
        """
        if self.is_closed:
            return []
        data = self._received + data if self._received else data
        at, end = 0, len(data)
        quiet = self._quiet
        try:
            while end - at >= HEAD_BYTES:
                head, flags, stream_id = HEAD.unpack_from(data, at)
                payload = at + HEAD_BYTES
                following = payload + (head >> 8)
                if following > end:
                    break
                if (
                    flags == _WHOLE
                    and head & 0xFF == _HEADERS
                    and head != _HEADERS
                    and data[payload] == _PLAIN_200
                    and stream_id in quiet
                    and self._is_stateless
                    and self._block is None
                ):
                    self._ended.append((quiet.pop(stream_id), ACCEPTED))
                else:
                    self._receive(head & 0xFF, flags, stream_id, data[payload:following])
                at = following
            self._received = data[at:]
            self._check_sizes()
        except ProtocolError as failure:
            self.failure = failure
            self._fail(failure.code, str(failure))
        return self._take_ended()

    # --- sending ---------------------------------------------------------------------

    def _compile(self, template: Template) -> Compiled:
        compiled = self._compiled.get(template)
        if compiled is None or compiled.generation != self._compressor.generation:
            self._compiled.pop(template, None)
            if len(self._compiled) >= MAX_TEMPLATES:
                del self._compiled[next(iter(self._compiled))]
            compiled = self._compiled[template] = self._compressor.compile(template)
        return compiled

    def _send_by_pattern(
        self, compiled: Compiled, requests: Sequence[tuple[Key, Sequence[bytes]]]
    ) -> int:
        """
        The short cut: write requests whose frames and windows need no second thought.

        Returns:
            How many, from the front; the next one needs the general path.
        """
        if compiled.generation != self._compressor.generation:
            return 0  # it fills the table, which only one request may do
        patterns, out, quiet = compiled.patterns, self._out, self._quiet
        varies = compiled.template.body is None
        stream_id, window, initial_window = self._next_id, self._window, self._initial_window
        done = 0
        for key, values in requests:
            lengths = tuple(map(len, values))
            pattern = patterns.get(lengths) or compiled.pattern(lengths)
            if pattern is None:
                break
            size = pattern.body_bytes
            if size > window or size > initial_window:
                break
            number = stream_id.to_bytes(4)
            if varies:
                out.append(pattern.text % (number, *values[:-1], number, values[-1]))
            else:
                out.append(pattern.text % (number, *values, number))
            quiet[stream_id] = key
            window -= size
            stream_id += 2
            done += 1
        self._next_id, self._window = stream_id, window
        return done

    def _send_one(self, compiled: Compiled, key: Key, values: Sequence[bytes]) -> None:
        """The general path: any header block, any body, any window."""
        body = compiled.template.body
        if body is None:
            *values, body = values
        stream_id = self._next_id
        self._next_id += 2
        self._out.append(
            frames.headers(
                stream_id, compiled.block(values), end_stream=not body, max_bytes=self._max_frame
            )
        )
        if not body:
            self._quiet[stream_id] = key
            return
        self._busy[stream_id] = _Stream(key, self._initial_window, body)
        self._unsent_bytes += len(body)
        self._send_body(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """Send of a body what the windows and frames allow (§5.2)."""
        stream = self._busy[stream_id]
        while stream.unsent and (room := min(self._window, stream.window, self._max_frame)) > 0:
            piece, stream.unsent = stream.unsent[:room], stream.unsent[room:]
            flags = 0 if stream.unsent else END_STREAM
            self._out.append(frames.frame(Kind.DATA, flags, stream_id, piece))
            self._window -= len(piece)
            stream.window -= len(piece)
            self._unsent_bytes -= len(piece)
        if not stream.unsent and stream.status is None:
            self._quiet[stream_id] = self._busy.pop(stream_id).key

    def _send_bodies(self) -> None:
        for stream_id in [each for each, stream in self._busy.items() if stream.unsent]:
            self._send_body(stream_id)

    def _control(self, data: bytes) -> None:
        self._out.append(data)
        self._control_bytes += len(data)

    # --- receiving -------------------------------------------------------------------

    def _receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """The general path: any frame."""
        stream_id &= MAX_STREAM_ID
        if self._block is not None and kind != Kind.CONTINUATION:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame within a header block")
        if not self._settings_came and kind != Kind.SETTINGS:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        _check_shape(kind, stream_id, len(payload))
        if kind in _OF_CONNECTION:
            self._receive_of_connection(kind, flags, payload)
        else:
            self._receive_of_stream(kind, flags, stream_id, payload)

    def _receive_of_connection(self, kind: int, flags: int, payload: bytes) -> None:
        match kind:
            case Kind.SETTINGS:
                self._receive_settings(flags, payload)
            case Kind.PING if flags & ACK:
                self.is_ping_unanswered = False
            case Kind.PING:
                self._control(frames.frame(Kind.PING, ACK, 0, payload))
            case Kind.GOAWAY:
                self._receive_goaway(payload)

    def _receive_of_stream(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case Kind.DATA:
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
                self._receive_window(stream_id, int.from_bytes(payload) & MAX_WINDOW)
            case Kind.PUSH_PROMISE:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a push that we have refused")
            case _:
                pass  # PRIORITY means nothing to us, and unknown frames to nobody (§5.5)

    def _receive_block(self, block: _Block, flags: int) -> None:
        """Read a header block once it is whole; it is read even if its stream is gone (§4.3)."""
        if len(block.fragments) > MAX_HEADER_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "an endless header block")
        if not flags & END_HEADERS:
            self._block = block
            return
        self._block = None
        fields = self._decompress(bytes(block.fragments))
        stream = self._heard_of(block.stream_id)
        if stream is not None:
            self._receive_fields(
                block.stream_id, stream, fields, is_last=bool(block.flags & END_STREAM)
            )

    def _decompress(self, block: bytes) -> list[tuple[str, str]]:
        if self._is_stateless and self._shortcuts and block in self._read_before:
            return self._read_before[block]
        try:
            decoded = self._decoder.decode(block, raw=True)
        except (HPACKError, IndexError) as problem:
            raise ProtocolError(ErrorCode.COMPRESSION_ERROR, "unreadable header block") from problem
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in decoded]
        # An encoder that has said that its table is empty for good (RFC 7541 §4.2) writes
        # blocks that mean the same whatever came before. Then, and not before, a block may
        # be skipped, or remembered.
        if self._is_stateless and len(self._read_before) < MAX_REMEMBERED_BLOCKS:
            self._read_before[block] = fields
        elif self._is_stateless:
            self._read_before.clear()
        self._is_stateless = self._decoder.header_table_size == 0
        return fields

    def _receive_fields(
        self,
        stream_id: int,
        stream: _Stream,
        fields: list[tuple[str, str]],
        *,
        is_last: bool,
    ) -> None:
        if stream.status is not None:  # trailers (§8.1)
            if not is_last:
                self._reject(stream_id, "header fields in the middle of a body")
                return
        else:
            status = _status(fields)
            if status is None or (is_last and status in _INFORMATIONAL):
                self._reject(stream_id, "header fields without a status")
                return
            if status in _INFORMATIONAL:
                return
            stream.status = status
            stream.headers = tuple(fields[1:])
        if is_last:
            self._finish(stream_id, stream)

    def _receive_body(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_not_idle(stream_id)
        self._credit -= len(payload)
        if self._credit < 0:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        if self._credit < CONNECTION_WINDOW // 2:
            self._control(frames.window_update(0, CONNECTION_WINDOW - self._credit))
            self._credit = CONNECTION_WINDOW
        content = frames.without_padding(flags, payload)
        stream = self._heard_of(stream_id)
        if stream is None:
            return  # of a stream that we have reset
        stream.consumed += len(payload)
        if stream.status is None:
            self._reject(stream_id, "a body before the header fields")
        elif stream.consumed > STREAM_WINDOW:
            self._reject(stream_id, "more than the stream's window")
        elif len(stream.body) + len(content) > MAX_BODY_BYTES:
            stream.body += content[: MAX_BODY_BYTES - len(stream.body)]
            self._reset(stream_id, ErrorCode.CANCEL, _response(stream))
        else:
            stream.body += content
            if flags & END_STREAM:
                self._finish(stream_id, stream)
            elif stream.consumed >= STREAM_WINDOW // 2:
                self._control(frames.window_update(stream_id, stream.consumed))
                stream.consumed = 0

    def _receive_reset(self, stream_id: int, code: int) -> None:
        """RST_STREAM: of a stream that has ended it means nothing, as after an early reply."""
        stream = self._heard_of(stream_id)
        if stream is None:
            return
        reason = f"RST_STREAM {ErrorCode.name_of(code)}"
        if code == ErrorCode.REFUSED_STREAM and stream.status is None:
            self._end(stream_id, Unprocessed(reason))  # §8.7
        else:
            self._end(stream_id, Uncertain(reason))

    def _receive_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement that says more")
            if not self._settings_came:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the first frame acknowledges")
            return
        if not self._settings_came:
            self._settings_came = True
            self._max_streams = MAX_OPEN_STREAMS  # no limit, unless the frame sets one
        for setting, value in frames.read_settings(payload):
            self._apply(setting, value)
        self._control(frames.frame(Kind.SETTINGS, ACK, 0))
        self._send_bodies()

    def _apply(self, setting: int, value: int) -> None:
        match setting:
            case Setting.HEADER_TABLE_SIZE:
                self._compressor.resize(value)
            case Setting.ENABLE_PUSH if value:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a server cannot enable push")
            case Setting.MAX_CONCURRENT_STREAMS:
                self._max_streams = min(value, MAX_OPEN_STREAMS)
            case Setting.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "too large a window")
                for stream in self._busy.values():  # may become negative (§6.9.2)
                    stream.window = _opened(stream.window, value - self._initial_window)
                self._initial_window = value
            case Setting.MAX_FRAME_SIZE:
                if not DEFAULT_FRAME_BYTES <= value < 1 << 24:
                    raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "an impossible frame size")
                self._max_frame = value
            case _:
                pass  # unknown (§6.5.2), or MAX_HEADER_LIST_SIZE, which is advice

    def _receive_goaway(self, payload: bytes) -> None:
        last = int.from_bytes(payload[:4]) & MAX_STREAM_ID
        if self.goaway is not None:
            last = min(last, self.goaway.last_stream_id)
        self.goaway = GoAway(last, int.from_bytes(payload[4:8]), payload[8:])
        for stream_id in [each for each in (*self._quiet, *self._busy) if each > last]:
            self._end(stream_id, Unprocessed("GOAWAY", payload[8:]))  # §6.8

    def _receive_window(self, stream_id: int, increment: int) -> None:
        if stream_id == 0:
            if increment == 0:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a window that opens by nothing")
            self._window = _opened(self._window, increment)
            self._send_bodies()
            return
        self._check_not_idle(stream_id)
        stream = self._busy.get(stream_id)
        if stream is None:
            return  # everything is written
        if increment == 0:
            self._reject(stream_id, "a window that opens by nothing")
        elif stream.window + increment > MAX_WINDOW:
            self._reject(stream_id, "too large a window", ErrorCode.FLOW_CONTROL_ERROR)
        else:
            stream.window += increment
            self._send_body(stream_id)

    def _check_not_idle(self, stream_id: int) -> None:
        if stream_id >= self._next_id or stream_id % 2 == 0:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a stream that was never opened")

    def _check_sizes(self) -> None:
        """Let no peer make us keep more than we have agreed to."""
        if len(self._received) >= HEAD_BYTES:
            (head, _, _) = HEAD.unpack_from(self._received)
            if head >> 8 > DEFAULT_FRAME_BYTES:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "too large a frame")
        if self._control_bytes > MAX_CONTROL_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "frames that only want an answer")

    # --- ends ------------------------------------------------------------------------

    def _heard_of(self, stream_id: int) -> _Stream | None:
        """The stream, no longer a quiet one; None if it has ended."""
        if stream_id in self._quiet:
            self._busy[stream_id] = _Stream(self._quiet.pop(stream_id))
        return self._busy.get(stream_id)

    def _finish(self, stream_id: int, stream: _Stream) -> None:
        """A reply is whole. One that did not wait for our body makes the rest of it moot."""
        if stream.unsent:
            self._reset(stream_id, ErrorCode.CANCEL, _response(stream))
        else:
            self._end(stream_id, _response(stream))

    def _reject(
        self, stream_id: int, rule: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        """The peer broke a rule that costs it the stream (§5.4.2)."""
        self._reset(stream_id, code, Uncertain(rule))

    def _reset(self, stream_id: int, code: ErrorCode, end: End) -> None:
        self._control(frames.rst_stream(stream_id, code))
        self._end(stream_id, end)

    def _end(self, stream_id: int, end: End) -> None:
        if stream_id in self._quiet:
            self._ended.append((self._quiet.pop(stream_id), end))
        else:
            stream = self._busy.pop(stream_id)
            self._unsent_bytes -= len(stream.unsent)
            self._ended.append((stream.key, end))

    def _fail(self, code: ErrorCode, reason: str) -> None:
        """Close; what never left us is unprocessed, the rest uncertain."""
        self.is_closed = True
        self.closed_because = reason
        for stream_id in (*self._quiet, *self._busy):
            written = stream_id <= self._written_id
            self._end(stream_id, Uncertain(reason) if written else Unprocessed(reason))
        self._out = [frames.goaway(code)]  # and nothing that nobody waits for

    def _take_ended(self) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended


_WHOLE: Final = END_HEADERS | END_STREAM
_HEADERS: Final = int(Kind.HEADERS)
"""As a plain number, which compares faster; also the head of a HEADERS frame of no length."""


def _check_shape(kind: int, stream_id: int, length: int) -> None:
    """Refuse frames of a wrong size, or on a stream where they make no sense (§6)."""
    if length > DEFAULT_FRAME_BYTES:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "too large a frame")
    if (
        length != _SIZES.get(kind, length)
        or (kind == Kind.SETTINGS and length % 6)
        or (kind == Kind.GOAWAY and length < 8)  # noqa: PLR2004
    ):
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size")
    if (kind in _OF_STREAMS and stream_id == 0) or (kind in _OF_CONNECTION and stream_id != 0):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame on the wrong stream")


_SIZES: Final[dict[int, int]] = {Kind.RST_STREAM: 4, Kind.PING: 8, Kind.WINDOW_UPDATE: 4}
_OF_STREAMS: Final = frozenset(
    {Kind.DATA, Kind.HEADERS, Kind.PRIORITY, Kind.RST_STREAM, Kind.CONTINUATION}
)
_OF_CONNECTION: Final = frozenset({Kind.SETTINGS, Kind.PING, Kind.GOAWAY})


def _opened(window: int, increment: int) -> int:
    """A window after it has opened or shrunk."""
    if window + increment > MAX_WINDOW:
        raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "too large a window")
    return window + increment


def _status(fields: list[tuple[str, str]]) -> int | None:
    """The status of a reply's header fields; None if they are malformed (§8.3.2)."""
    pseudo = [value for name, value in fields if name.startswith(":")]
    if len(pseudo) != 1 or fields[0][0] != ":status":
        return None
    value = pseudo[0]
    if len(value) != 3 or not value.isascii() or not value.isdigit():  # noqa: PLR2004
        return None
    status = int(value)
    return None if status < _INFORMATIONAL.start or status == _SWITCHING_PROTOCOLS else status


def _response(stream: _Stream) -> HttpResponse:
    assert stream.status is not None  # noqa: S101  (its callers have seen the header fields)
    return HttpResponse(stream.status, stream.headers, bytes(stream.body))
