"""
One HTTP/2 connection, from the client's end (RFC 9113): what its owner sees.

Rules for whoever changes it and its halves, ``sending.py`` and ``receiving.py``:

* A key that ``send`` has taken ends exactly once: in what ``receive_data``,
  ``give_up`` or ``close`` returns.
* ``Unprocessed`` is a promise that the peer has not acted. Whatever is not promised by
  the RFC is ``Uncertain``.
* The general path is complete; short cuts stand beside it, and only leave out work.
  ``shortcuts=False`` switches them off.
"""

from collections.abc import Sequence

from heliograph.wire.http2 import frames
from heliograph.wire.http2.ends import Ended, GoAway, Key, Uncertain, Unprocessed
from heliograph.wire.http2.frames import ErrorCode, Kind, ProtocolError
from heliograph.wire.http2.receiving import GREETING, Receiver
from heliograph.wire.http2.sending import Sender
from heliograph.wire.http2.streams import Streams
from heliograph.wire.http2.templates import Template


class Connection:
    """The state of one connection, from its first byte to its last."""

    def __init__(self, *, shortcuts: bool = True) -> None:
        """
        Begin; the first bytes to send are ready.

        Args:
            shortcuts: False sends and reads everything by the general path.
        """
        self.failure: ProtocolError | None = None
        """The rule that the peer broke, if that is what ended the connection."""
        self.is_closed = False
        self.closed_because = ""
        """What ended the connection, once it is closed."""
        self._streams = Streams()
        self._sender = Sender(self._streams, shortcuts=shortcuts)
        self._receiver = Receiver(self._streams, self._sender, shortcuts=shortcuts)
        self._sender.control(GREETING)

    # --- what the owner may ask ------------------------------------------------------

    @property
    def open_streams(self) -> int:
        """Requests that have not ended."""
        return len(self._streams)

    @property
    def is_usable(self) -> bool:
        """Whether new requests may ever be sent here."""
        return not self.is_closed and self.goaway is None and self._streams.ids_left > 0

    @property
    def room(self) -> int:
        """How many requests ``send`` would take now."""
        return self._sender.room if self.is_usable else 0

    @property
    def max_streams(self) -> int:
        """How many requests may be open at once, by what the peer has said so far."""
        return self._sender.max_streams

    @property
    def last_stream_id(self) -> int:
        """The newest stream; streams are numbered upwards. -1 before the first."""
        return self._streams.last_id

    @property
    def goaway(self) -> GoAway | None:
        """The peer's last word, if it has said it."""
        return self._receiver.goaway

    @property
    def is_ping_unanswered(self) -> bool:
        """Whether the peer owes a sign of life."""
        return self._receiver.is_ping_unanswered

    def data_to_send(self) -> bytes:
        """Everything to be written now; it counts as written once it was handed out."""
        return self._sender.take()

    # --- what the owner may do -------------------------------------------------------

    def send(self, template: Template, requests: Sequence[tuple[Key, Sequence[bytes]]]) -> int:
        """
        Take requests, as many as there is room for.

        Args:
            template: What they have in common.
            requests: A key for each, and the values of the template's holes.

        Returns:
            How many were taken, from the front; the rest is the caller's again.

        Raises:
            ValueError: A request does not fill the holes; none of them was taken.
        """
        return self._sender.send(template, requests) if self.is_usable else 0

    def give_up(self, last_stream_id: int) -> list[Ended]:
        """Wait no longer for the streams up to one: they are reset and uncertain."""
        for stream_id in self._streams:
            if stream_id <= last_stream_id:
                self._sender.reset(stream_id, ErrorCode.CANCEL, Uncertain("no reply in time"))
        return self._streams.take_ended()

    def ping(self) -> None:
        """Ask for a sign of life; ``is_ping_unanswered`` until it comes."""
        if not self.is_closed:
            self._receiver.is_ping_unanswered = True
            self._sender.control(frames.frame(Kind.PING, 0, 0, bytes(8)))

    def close(self, reason: str) -> list[Ended]:
        """End the connection: what is open has no reply to wait for. Repeats do nothing."""
        if not self.is_closed:
            self._close(ErrorCode.NO_ERROR, reason)
        return self._streams.take_ended()

    def receive_data(self, data: bytes) -> list[Ended]:
        """
        Take bytes from the peer; what has ended with them.

        Never raises: a peer that breaks the rules has ``failure`` say which, the
        connection is closed, and the GOAWAY that says so is there to be sent.
        """
        if self.is_closed:
            return []
        try:
            self._receiver.receive(data)
        except ProtocolError as failure:
            self.failure = failure
            self._close(failure.code, str(failure))
        return self._streams.take_ended()

    def _close(self, code: ErrorCode, reason: str) -> None:
        """What never left us is unprocessed, the rest uncertain."""
        self.is_closed = True
        self.closed_because = reason
        for stream_id in self._streams:
            written = stream_id <= self._sender.written_id
            self._streams.end(stream_id, Uncertain(reason) if written else Unprocessed(reason))
        self._sender.say_goodbye(code)
