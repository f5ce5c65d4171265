"""
HTTP/2 connections from the server's end, on the ``h2`` library.

Not on the product's own HTTP/2, so that the two ends cannot be wrong together.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, assert_never, cast

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from heliograph.sandbox.exchange import (
    MAX_BODY_BYTES,
    Answer,
    Disconnect,
    GoAway,
    Reaction,
    Request,
    Reset,
    Session,
    Silence,
    Stall,
)
from heliograph.wire.http import HttpResponse

CONNECTION_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Room for a thousand streams to send their bodies at once."""

MAX_HEADER_LIST_BYTES: Final = 16_384

LINGER_SECONDS: Final = 0.5
"""How long a connection stays after GOAWAY once everything is answered, so that the peer reads
the frame before it sees the end."""

_BURIAL_INTERVAL: Final = 64


class _PatientConnection(H2Connection):
    """
    An `H2Connection` that leaves the stream limit to its owner.

    The library answers one stream too many with the end of the connection. RFC 9113 §5.1.2
    makes it an error of that stream, which is what a sender has to cope with.
    """

    _asked = 0

    @property
    def open_inbound_streams(self) -> int:
        """None as far as the library's limit goes; buries closed streams now and then."""
        self._asked += 1
        if self._asked % _BURIAL_INTERVAL == 0:
            _ = super().open_inbound_streams
        return 0


@dataclass(slots=True)
class _Stream:
    """A request on its way in, or an answer on its way out."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytearray = field(default_factory=bytearray)
    unsent: bytes = b""
    """What is left of the answer's body."""
    timer: asyncio.TimerHandle | None = None


class Http2Protocol(asyncio.Protocol):
    """One HTTP/2 connection: reads requests, carries out the reactions to them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection = _PatientConnection(
            H2Configuration(
                client_side=False,
                validate_outbound_headers=False,  # the services write good ones
                normalize_outbound_headers=False,
            )
        )
        self._connection.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: session.max_concurrent_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
                SettingCodes.ENABLE_PUSH: 0,
            },
        )
        self._streams: dict[int, _Stream] = {}
        self._last_stream: int | None = None
        """The last stream that will be answered, once GOAWAY has been said."""
        self._highest_reacted = 0
        self._is_dropped = False
        self._reads_every_seconds = 0.0
        self._resting: asyncio.TimerHandle | None = None
        """Set while nothing is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say SETTINGS and open the window."""
        transport = cast("asyncio.Transport", transport)  # TLS: a byte stream
        self._transport = transport
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Read frames and react to every request that is complete."""
        if self._is_dropped or self._transport.is_closing():
            return
        try:
            for event in self._connection.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._flush()  # the library has put the GOAWAY that says what was wrong
            self._transport.close()
        else:
            self._flush()
            self._close_if_done()
            self._rest(self._reads_every_seconds)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget what was under way."""
        for stream_id in list(self._streams):
            self._forget(stream_id)
        if self._resting is not None:
            self._resting.cancel()
        self._session.closed()

    def pause_writing(self) -> None:
        """Read no more requests while the peer does not read the answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if self._resting is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def shut_down(self) -> None:
        """Say GOAWAY, answer nothing more, close."""
        if not self._transport.is_closing():
            self._say_goaway("")
            self._transport.close()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                self._receive_body(event)
            case StreamEnded() if event.stream_id in self._streams:
                self._finish(event.stream_id)
            case StreamReset():
                self._forget(event.stream_id)
            case WindowUpdated() | RemoteSettingsChanged():
                for stream_id in list(self._streams):
                    self._send_body(stream_id)
            case ConnectionTerminated():
                self._transport.close()
            case _:
                pass  # the library has done what the others need

    def _begin(self, event: RequestReceived) -> None:
        stream_id = event.stream_id
        if self._last_stream is not None and stream_id > self._last_stream:
            return  # GOAWAY promised that it would not be processed
        # What counts is what the peer has acknowledged: it may not know of a change yet.
        if len(self._streams) >= self._connection.local_settings.max_concurrent_streams:
            self._connection.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        fields = [
            (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            for name, value in event.headers
        ]
        pseudo = dict(fields)
        headers = tuple(pair for pair in fields if not pair[0].startswith(":"))
        self._streams[stream_id] = _Stream(
            pseudo.get(":method", ""), pseudo.get(":path", ""), headers
        )

    def _receive_body(self, event: DataReceived) -> None:
        length = event.flow_controlled_length
        self._connection.acknowledge_received_data(length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is not None and len(stream.body) < MAX_BODY_BYTES:
            stream.body += event.data[: MAX_BODY_BYTES - len(stream.body)]

    def _finish(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        request = Request(stream.method, stream.path, stream.headers, bytes(stream.body))
        reaction = self._session.react(request)
        if not isinstance(reaction, GoAway):
            self._highest_reacted = max(self._highest_reacted, stream_id)
        self._carry_out(stream_id, reaction)

    def _carry_out(self, stream_id: int, reaction: Reaction) -> None:
        match reaction:
            case Answer():
                self._change_terms(reaction)
                self._later(stream_id, reaction.after_seconds, reaction.response)
            case Reset():
                code = ErrorCodes.INTERNAL_ERROR
                if reaction.refused:
                    code = ErrorCodes.REFUSED_STREAM
                self._later(stream_id, reaction.after_seconds, code)
            case GoAway():
                self._leave(stream_id, reaction.reason)
            case Disconnect():
                self._drop()
            case Silence():
                pass
            case Stall():
                self._rest(reaction.seconds)
            case _:
                assert_never(reaction)

    def _drop(self) -> None:
        """
        Say nothing more, and abort in a moment.

        Not at once: asyncio's TLS fails if that happens while it hands out what it has kept
        back for a protocol that was resting (`SSLProtocol._do_flush`, Python 3.11).
        """
        self._is_dropped = True
        asyncio.get_running_loop().call_soon(self._transport.abort)

    def _change_terms(self, answer: Answer) -> None:
        """Announce new limits, and read more slowly, if the answer says so."""
        changed: dict[SettingCodes | int, int | None] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: answer.streams,
            SettingCodes.INITIAL_WINDOW_SIZE: answer.window_bytes,
        }
        if settings := {code: value for code, value in changed.items() if value is not None}:
            self._connection.update_settings(settings)
        if answer.reads_every_seconds is not None:
            self._reads_every_seconds = answer.reads_every_seconds

    def _rest(self, seconds: float) -> None:
        """Read nothing for a while."""
        if seconds and self._resting is None and not self._transport.is_closing():
            self._transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._resting = loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _later(self, stream_id: int, seconds: float, outcome: HttpResponse | ErrorCodes) -> None:
        if seconds:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(seconds, self._settle_late, stream_id, outcome)
            self._streams[stream_id].timer = timer
        else:
            self._settle(stream_id, outcome)

    def _settle_late(self, stream_id: int, outcome: HttpResponse | ErrorCodes) -> None:
        if not self._transport.is_closing():
            self._settle(stream_id, outcome)
            self._flush()
            self._close_if_done()

    def _settle(self, stream_id: int, outcome: HttpResponse | ErrorCodes) -> None:
        if isinstance(outcome, ErrorCodes):
            self._connection.reset_stream(stream_id, outcome)
            self._forget(stream_id)
            return
        stream = self._streams[stream_id]
        stream.unsent = b"" if stream.method == "HEAD" else outcome.body
        headers = [(":status", str(outcome.status)), *outcome.headers]
        if stream.unsent:
            headers.append(("content-length", str(len(stream.unsent))))
        self._connection.send_headers(stream_id, headers, end_stream=not stream.unsent)
        if stream.unsent:
            self._send_body(stream_id)
        else:
            self._forget(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """Send as much as the peer's windows allow; the rest waits for them to open."""
        stream = self._streams[stream_id]
        while stream.unsent:
            room = min(
                self._connection.local_flow_control_window(stream_id),
                self._connection.max_outbound_frame_size,
            )
            if room <= 0:
                return
            piece, stream.unsent = stream.unsent[:room], stream.unsent[room:]
            self._connection.send_data(stream_id, piece, end_stream=not stream.unsent)
            if not stream.unsent:
                self._forget(stream_id)

    def _leave(self, stream_id: int, reason: str) -> None:
        if self._highest_reacted > stream_id:  # GOAWAY cannot name it as unprocessed
            self._connection.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            self._forget(stream_id)
        self._say_goaway(reason)
        assert self._last_stream is not None  # noqa: S101 - it was just said
        for later in [each for each in self._streams if each > self._last_stream]:
            self._forget(later)

    def _say_goaway(self, reason: str) -> None:
        """
        Put GOAWAY behind what is to be sent.

        By hand: the library's own way of saying it forbids to answer earlier requests.
        """
        if self._last_stream is None:
            self._last_stream = self._highest_reacted
            debug = msgspec.json.encode({"reason": reason}) if reason else b""
            frame = GoAwayFrame(0, self._last_stream, ErrorCodes.NO_ERROR, debug)
            self._flush()
            self._transport.write(frame.serialize())

    def _close_if_done(self) -> None:
        if self._last_stream is not None and not self._streams:
            loop = asyncio.get_running_loop()
            loop.call_later(LINGER_SECONDS, self._transport.close)

    def _forget(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None and stream.timer is not None:
            stream.timer.cancel()

    def _flush(self) -> None:
        if (data := self._connection.data_to_send()) and not self._is_dropped:
            self._transport.write(data)
