"""The other end of an HTTP/2 connection, on the ``h2`` library, and a judge of limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from heliograph.wire.http2 import Connection, End, Key, Template
from heliograph.wire.http2.frames import PREFACE

ALERT: Final = b'{"aps":{"alert":"Hello"}}'

APNS: Final = Template(
    (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"api.push.apple.com"),
        (b":path", None),
        (b"authorization", b"bearer token"),
        (b"apns-topic", b"com.example.app"),
        (b"apns-push-type", b"alert"),
        (b"apns-id", None),
        (b"apns-priority", b"10"),
    ),
    ALERT,
)
"""Two holes and a constant body, as a publish to APNs."""

FCM: Final = Template(
    (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"fcm.googleapis.com"),
        (b":path", b"/v1/projects/p/messages:send"),
        (b"authorization", b"Bearer token"),
        (b"content-type", b"application/json"),
    ),
    None,
)
"""The body is the only hole, as in a publish to FCM."""


UNKNOWN_FRAME: Final = b"\x00\x00\x04\xfa\xff\x00\x00\x00\x00what"
"""Of a kind that no RFC names yet; to be ignored."""


def fields_of(template: Template, values: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The header fields that a request of a template has."""
    rest = iter(values)
    fields = [(name, next(rest) if value is None else value) for name, value in template.fields]
    body = body_of(template, values)
    return [*fields, (b"content-length", b"%d" % len(body))] if body else fields


def body_of(template: Template, values: Sequence[bytes]) -> bytes:
    """The body that a request of a template has."""
    match template.body:
        case bytes(constant):
            return constant
        case (before, after):
            return before + values[-1] + after
        case None:
            return values[-1]


def frames_in(data: bytes) -> Iterator[Frame]:
    """Whole frames, one after the other."""
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data)[:9])
        frame.parse_body(memoryview(data)[9 : 9 + length])
        yield frame
        data = data[9 + length :]


@dataclass(slots=True)
class Request:
    """What has come of a request."""

    fields: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False


class Server:
    """A server that keeps requests until the test answers them."""

    def __init__(self, **settings: int) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.h2.local_settings.acknowledge()
        self.requests: dict[int, Request] = {}
        self.reset: set[int] = set()
        self._extra = b""
        self.h2.initiate_connection()
        if settings:
            self.set(**settings)

    def set(self, **settings: int) -> None:
        """Change settings, named as in the RFC."""
        self.h2.update_settings(
            {SettingCodes[name.upper()]: value for name, value in settings.items()}
        )

    def receive(self, data: bytes) -> None:
        """Whole frames: within one call, the library would not heed an acknowledgement."""
        if data.startswith(PREFACE):
            self.h2.receive_data(PREFACE)
            data = data.removeprefix(PREFACE)
        while data:
            end = 9 + int.from_bytes(data[:3])
            self._receive_frame(data[:end])
            data = data[end:]

    def _receive_frame(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            match event:
                case RequestReceived():
                    fields = [(bytes(name), bytes(value)) for name, value in event.headers]
                    self.requests[event.stream_id] = Request(fields)
                case DataReceived():
                    self.requests[event.stream_id].body += event.data
                case StreamEnded():
                    self.requests[event.stream_id].is_whole = True
                case StreamReset():
                    self.reset.add(event.stream_id)
                case _:
                    pass

    def answer(
        self,
        stream_id: int,
        status: int = 200,
        *fields: tuple[str, str],
        body: bytes = b"",
        trailers: Sequence[tuple[str, str]] = (),
        padding: int | None = None,
    ) -> None:
        """A whole reply; the body must fit the windows."""
        self.h2.send_headers(
            stream_id, [(":status", str(status)), *fields], end_stream=not (body or trailers)
        )
        if body:
            size = 8_000
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            for piece in pieces[:-1]:
                self.h2.send_data(stream_id, piece, pad_length=padding)
            self.h2.send_data(stream_id, pieces[-1], end_stream=not trailers, pad_length=padding)
        if trailers:
            self.h2.send_headers(stream_id, trailers, end_stream=True)

    def needlessly_reset(self, stream_id: int) -> None:
        """Say NO_ERROR after a whole reply, for which the library would have to forget it."""
        frame = RstStreamFrame(stream_id, error_code=ErrorCodes.NO_ERROR)
        self._extra += self.h2.data_to_send() + frame.serialize()

    def data(self) -> bytes:
        extra, self._extra = self._extra, b""
        return extra + self.h2.data_to_send()


class Client:
    """A connection of ours with its ends collected, and a check that each key has one."""

    def __init__(self, *, shortcuts: bool = True, connection: Connection | None = None) -> None:
        self.connection = connection or Connection(shortcuts=shortcuts)
        self.ends: dict[Key, End] = {}

    def receive(self, data: bytes) -> None:
        self._take(self.connection.receive_data(data))

    def close(self) -> None:
        self._take(self.connection.close("closed"))

    def give_up(self, last_stream_id: int) -> None:
        self._take(self.connection.give_up(last_stream_id))

    def _take(self, ended: list[tuple[Key, End]]) -> None:
        for key, end in ended:
            assert key not in self.ends, "a request ended twice"
            self.ends[key] = end


def exchange(client: Client, server: Server) -> None:
    """Carry bytes to and fro until both are silent."""
    while True:
        out, back = client.connection.data_to_send(), server.data()
        if not out and not back:
            return
        server.receive(out)
        client.receive(back)


def connected(*, shortcuts: bool = True, **settings: int) -> tuple[Client, Server]:
    """A connection on which both sides have said SETTINGS."""
    client, server = Client(shortcuts=shortcuts), Server(**settings)
    exchange(client, server)
    return client, server


def disguised(data: bytes, random: Random) -> bytes:
    """The same frames as a peer may also write them: padded, in pieces, among strange ones."""
    written: list[bytes] = []
    for frame in frames_in(data):
        if written and random.random() < 0.2:
            written.append(UNKNOWN_FRAME)
        if not isinstance(frame, HeadersFrame):
            written.append(frame.serialize())
            continue
        if random.random() < 0.5:
            frame.flags.add("PADDED")
            frame.pad_length = random.randrange(20)
        if random.random() < 0.3:
            frame.flags.add("PRIORITY")
        block, fragments = frame.data, []
        if random.random() < 0.5 and frame.flags:
            cut = random.randrange(len(block) + 1)
            frame.data, block = block[:cut], block[cut:]
            frame.flags.discard("END_HEADERS")
            cut = random.randrange(len(block) + 1)
            fragments = [ContinuationFrame(frame.stream_id), ContinuationFrame(frame.stream_id)]
            fragments[0].data, fragments[1].data = block[:cut], block[cut:]
            fragments[1].flags.add("END_HEADERS")
        written += [each.serialize() for each in (frame, *fragments)]
    return b"".join(written)


class Judge:
    """
    Watches both directions and counts where the client goes beyond what it was allowed.

    A setting binds the client from its acknowledgement on. A stream is open until both
    ends have ended it, or one has reset it.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._preface = len(PREFACE)
        self._unacknowledged: list[dict[int, int]] = []
        self._limit: int | None = None
        self._initial = 65_535
        self._window = 65_535
        self._windows: dict[int, int] = {}
        self._ends: dict[int, set[str]] = {}

    def server_sent(self, data: bytes) -> None:
        for frame in frames_in(data):
            match frame:
                case SettingsFrame() if "ACK" not in frame.flags:
                    self._unacknowledged.append(dict(frame.settings))
                case WindowUpdateFrame(stream_id=0):
                    self._window += frame.window_increment
                case WindowUpdateFrame() if frame.stream_id in self._windows:
                    self._windows[frame.stream_id] += frame.window_increment
                case RstStreamFrame():
                    self._ends.pop(frame.stream_id, None)
                case HeadersFrame() | DataFrame() if "END_STREAM" in frame.flags:
                    self._end(frame.stream_id, "server")

    def client_sent(self, data: bytes) -> None:
        """Whole frames; the preface may stand before the first."""
        if self._preface and data:
            data, self._preface = data[self._preface :], 0
        for frame in frames_in(data):
            match frame:
                case SettingsFrame() if "ACK" in frame.flags:
                    self._apply(self._unacknowledged.pop(0))
                case HeadersFrame():
                    self._open(frame)
                case DataFrame():
                    self._spend(frame)
                case RstStreamFrame():
                    self._ends.pop(frame.stream_id, None)

    def _apply(self, settings: dict[int, int]) -> None:
        self._limit = settings.get(SettingCodes.MAX_CONCURRENT_STREAMS, self._limit)
        initial = settings.get(SettingCodes.INITIAL_WINDOW_SIZE, self._initial)
        for stream_id in self._windows:
            self._windows[stream_id] += initial - self._initial
        self._initial = initial

    def _open(self, frame: HeadersFrame) -> None:
        if self._limit is not None and len(self._ends) >= self._limit:
            self.violations.append(f"{len(self._ends) + 1} streams of {self._limit}")
        self._ends[frame.stream_id] = set()
        self._windows[frame.stream_id] = self._initial
        if "END_STREAM" in frame.flags:
            self._end(frame.stream_id, "client")

    def _spend(self, frame: DataFrame) -> None:
        length = len(frame.data)
        self._window -= length
        self._windows[frame.stream_id] -= length
        if length and (self._window < 0 or self._windows[frame.stream_id] < 0):
            self.violations.append(f"{length} bytes beyond a window")
        if "END_STREAM" in frame.flags:
            self._end(frame.stream_id, "client")

    def _end(self, stream_id: int, side: str) -> None:
        ends = self._ends.get(stream_id, set())
        ends.add(side)
        if len(ends) == 2:
            self._ends.pop(stream_id, None)
