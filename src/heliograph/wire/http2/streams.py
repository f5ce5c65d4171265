"""
The streams of a connection that are open, and the requests that have ended.

A stream is quiet while it is wholly written and nothing was heard of it, which is all
that most streams ever are; then nothing is kept but its key. Otherwise it is busy.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2.ends import End, Ended, Key
from heliograph.wire.http2.frames import MAX_STREAM_ID


@dataclass(slots=True)
class Stream:
    """A stream that is more than a request waiting for a plain reply."""

    key: Key
    window: int = 0
    """What the peer lets us send; matters while there is something unsent."""
    unsent: bytes = b""
    status: int | None = None
    headers: Collection[tuple[str, str]] = ()
    body: bytearray = field(default_factory=bytearray)
    consumed: int = 0
    """Flow-controlled bytes since we last opened the stream's window."""

    def response(self) -> HttpResponse:
        """The reply, as far as it has come."""
        assert self.status is not None  # noqa: S101  (its callers have seen the header fields)
        return HttpResponse(self.status, self.headers, bytes(self.body))


class Streams:
    """Every request is here once: under way, or ended and not yet told."""

    def __init__(self) -> None:
        self.next_id = 1
        """Streams that a client opens have odd numbers (RFC 9113 §5.1.1)."""
        self.quiet: dict[int, Key] = {}
        self.busy: dict[int, Stream] = {}
        self.ended: list[Ended] = []
        self.unsent_bytes = 0

    def __len__(self) -> int:
        return len(self.quiet) + len(self.busy)

    def __iter__(self) -> Iterator[int]:
        """The numbers of those open now; they may end meanwhile."""
        return iter((*self.quiet, *self.busy))

    @property
    def last_id(self) -> int:
        """The newest stream; -1 before the first."""
        return self.next_id - 2

    @property
    def ids_left(self) -> int:
        """How many can still be opened."""
        return (MAX_STREAM_ID - self.next_id) // 2 + 1

    def open(self, keys: Sequence[Key]) -> range:
        """New streams, quiet ones; their numbers."""
        stream_ids = range(self.next_id, self.next_id + 2 * len(keys), 2)
        self.quiet.update(zip(stream_ids, keys, strict=True))
        self.next_id = stream_ids.stop
        return stream_ids

    def hold(self, stream_id: int, window: int, unsent: bytes) -> None:
        """A quiet stream is busy: it has a body that waits for the peer's windows."""
        self.busy[stream_id] = Stream(self.quiet.pop(stream_id), window, unsent)
        self.unsent_bytes += len(unsent)

    def heard_of(self, stream_id: int) -> Stream | None:
        """The stream, no longer a quiet one; None if it has ended."""
        if stream_id in self.quiet:
            self.busy[stream_id] = Stream(self.quiet.pop(stream_id))
        return self.busy.get(stream_id)

    def written(self, stream_id: int) -> None:
        """A busy stream has nothing left to send: unless a reply has begun, it is quiet."""
        if self.busy[stream_id].status is None:
            self.quiet[stream_id] = self.busy.pop(stream_id).key

    def end(self, stream_id: int, end: End) -> None:
        """A request is over."""
        if stream_id in self.quiet:
            self.ended.append((self.quiet.pop(stream_id), end))
        else:
            stream = self.busy.pop(stream_id)
            self.unsent_bytes -= len(stream.unsent)
            self.ended.append((stream.key, end))

    def take_ended(self) -> list[Ended]:
        """What has ended since this was last asked."""
        ended, self.ended = self.ended, []
        return ended
