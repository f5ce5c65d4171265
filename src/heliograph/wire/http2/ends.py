"""How a request may end, and how a connection."""

from dataclasses import dataclass, field
from typing import Any, Final

from heliograph.wire.http import HttpResponse

Key = Any
"""The caller's name for a request; nothing is asked of it."""


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The peer has not acted on the request: sending it again is free."""

    reason: str
    debug: bytes = field(default=b"", repr=False)
    """What the peer added to its GOAWAY: see there."""


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
