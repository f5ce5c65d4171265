"""
The sending half of a connection: requests out, within what the peer allows.

The general path, ``_send_one``, is complete. ``_send_by_pattern`` is a short cut beside
it that only leaves out work: it writes many requests at once whose frames and windows
need no second thought.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from heliograph.wire.http2 import frames
from heliograph.wire.http2.compressor import Compressor
from heliograph.wire.http2.ends import End, Key, Uncertain
from heliograph.wire.http2.frames import (
    ACK,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW,
    END_STREAM,
    MAX_WINDOW,
    ErrorCode,
    Kind,
    ProtocolError,
    Setting,
)
from heliograph.wire.http2.streams import Streams
from heliograph.wire.http2.templates import Compiled, Template

MAX_UNSENT_BYTES: Final = 1024 * 1024
"""Bodies that wait for the peer's window; no further request is taken above it."""

MAX_OPEN_STREAMS: Final = 1000
"""Requests that wait for replies at once. More gain nothing, and are all uncertain if the
connection breaks."""

MAX_TEMPLATES: Final = 64
"""Templates that are kept compiled."""


class Sender:
    """What goes out, and what the peer allows."""

    def __init__(self, streams: Streams, *, shortcuts: bool) -> None:
        self._streams = streams
        self._shortcuts = shortcuts
        # what the peer allows
        self.has_settings = False
        """Whether the peer has said what it allows."""
        self.max_streams = 1  # until it says more: Apple opens with one
        self._initial_window = DEFAULT_WINDOW
        self._max_frame = DEFAULT_FRAME_BYTES
        self._window = DEFAULT_WINDOW
        # what goes out
        self.written_id = -1
        """The highest stream of which anything has left us."""
        self._out: list[bytes] = []
        self.control_bytes = 0
        """Of frames that are no part of a request and that nobody has taken yet."""
        self._compressor = Compressor()
        self._compiled: dict[Template, Compiled] = {}

    @property
    def room(self) -> int:
        """How many requests ``send`` would take now."""
        streams = self._streams
        if streams.unsent_bytes >= MAX_UNSENT_BYTES:
            return 0
        return max(0, min(self.max_streams - len(streams), streams.ids_left))

    # --- out -------------------------------------------------------------------------

    def control(self, data: bytes) -> None:
        """Send a frame that is no part of a request."""
        self._out.append(data)
        self.control_bytes += len(data)

    def reset(self, stream_id: int, code: ErrorCode, end: End) -> None:
        """End a request that the peer may still think of."""
        self.control(frames.rst_stream(stream_id, code))
        self._streams.end(stream_id, end)

    def say_goodbye(self, code: ErrorCode) -> None:
        """Send a GOAWAY, and nothing that nobody waits for."""
        self._out = [frames.goaway(code)]

    def take(self) -> bytes:
        """Everything to be written now."""
        data = b"".join(self._out)
        self._out.clear()
        self.control_bytes = 0
        self.written_id = self._streams.last_id
        return data

    # --- requests --------------------------------------------------------------------

    def send(self, template: Template, requests: Sequence[tuple[Key, Sequence[bytes]]]) -> int:
        """Take requests from the front, as many as there is room for; how many were taken."""
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
        The short cut: runs of requests with values of equal lengths, each run in one go.

        Returns:
            How many, from the front; the next one needs the general path.
        """
        if compiled.generation != self._compressor.generation:
            return 0  # it fills the table, which only one request may do
        keys, rows = zip(*requests, strict=True)
        columns = list(zip(*rows, strict=True))
        done = 0
        for lengths, run in groupby(zip(*[map(len, column) for column in columns], strict=True)):
            wanted = len(list(run))
            pattern = compiled.pattern(lengths)
            if pattern is None or pattern.body_bytes > self._initial_window:
                break
            count = min(wanted, self._window // pattern.body_bytes)
            after = done + count
            ids = self._streams.open(keys[done:after])
            self._out += pattern.write(ids, [column[done:after] for column in columns])
            self._window -= count * pattern.body_bytes
            done = after
            if count < wanted:
                break
        return done

    def _send_one(self, compiled: Compiled, key: Key, values: Sequence[bytes]) -> None:
        """The general path: any header block, any body, any window."""
        block, body = compiled.request(values)
        (stream_id,) = self._streams.open([key])
        self._out.append(
            frames.headers(stream_id, block, end_stream=not body, max_bytes=self._max_frame)
        )
        if body:
            self._streams.hold(stream_id, self._initial_window, body)
            self._send_body(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """Send of a body what the windows and frames allow (RFC 9113 §5.2)."""
        stream = self._streams.busy[stream_id]
        while stream.unsent and (room := min(self._window, stream.window, self._max_frame)) > 0:
            piece, stream.unsent = stream.unsent[:room], stream.unsent[room:]
            flags = 0 if stream.unsent else END_STREAM
            self._out.append(frames.frame(Kind.DATA, flags, stream_id, piece))
            self._window -= len(piece)
            stream.window -= len(piece)
            self._streams.unsent_bytes -= len(piece)
        if not stream.unsent:
            self._streams.written(stream_id)

    def _send_bodies(self) -> None:
        for stream_id in [each for each, stream in self._streams.busy.items() if stream.unsent]:
            self._send_body(stream_id)

    # --- what the peer allows --------------------------------------------------------

    def obey(self, settings: Sequence[tuple[int, int]]) -> None:
        """
        Keep to the peer's SETTINGS from now on.

        Raises:
            ProtocolError: They are impossible.
        """
        if not self.has_settings:
            self.has_settings = True
            self.max_streams = MAX_OPEN_STREAMS  # no limit, unless the frame sets one
        for setting, value in settings:
            self._apply(setting, value)
        self.control(frames.frame(Kind.SETTINGS, ACK, 0))
        self._send_bodies()

    def _apply(self, setting: int, value: int) -> None:
        match setting:
            case Setting.HEADER_TABLE_SIZE:
                self._compressor.resize(value)
            case Setting.ENABLE_PUSH if value:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a server cannot enable push")
            case Setting.MAX_CONCURRENT_STREAMS:
                self.max_streams = min(value, MAX_OPEN_STREAMS)
            case Setting.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "too large a window")
                for stream in self._streams.busy.values():  # may become negative (§6.9.2)
                    stream.window = _opened(stream.window, value - self._initial_window)
                self._initial_window = value
            case Setting.MAX_FRAME_SIZE:
                if not DEFAULT_FRAME_BYTES <= value < 1 << 24:
                    raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "an impossible frame size")
                self._max_frame = value
            case _:
                pass  # unknown (§6.5.2), or MAX_HEADER_LIST_SIZE, which is advice

    def open_window(self, stream_id: int, increment: int) -> None:
        """
        Send what a WINDOW_UPDATE has made possible; the stream may have ended.

        Raises:
            ProtocolError: The connection's window cannot open that way.
        """
        if stream_id == 0:
            if increment == 0:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a window that opens by nothing")
            self._window = _opened(self._window, increment)
            self._send_bodies()
            return
        stream = self._streams.busy.get(stream_id)
        if stream is None:
            return  # everything is written
        if increment == 0:
            rule = Uncertain("a window that opens by nothing")
            self.reset(stream_id, ErrorCode.PROTOCOL_ERROR, rule)
        elif stream.window + increment > MAX_WINDOW:
            self.reset(stream_id, ErrorCode.FLOW_CONTROL_ERROR, Uncertain("too large a window"))
        else:
            stream.window += increment
            self._send_body(stream_id)


def _opened(window: int, increment: int) -> int:
    """A window after it has opened or shrunk."""
    if window + increment > MAX_WINDOW:
        raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "too large a window")
    return window + increment
