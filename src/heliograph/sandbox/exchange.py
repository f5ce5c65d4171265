"""
What passes between a connection and a service: one request, one reaction.

The services of the sandbox never see a socket. A connection (``http2``, ``http1``) hands a
service a `Request` and carries out the `Reaction` it gets back.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from heliograph.wire.http import HttpResponse

MAX_BODY_BYTES: Final = 65_536
"""How much of a request's body is kept; every service refuses far less. The rest is read and
dropped, so that the sender still gets its answer."""


class Gateway(StrEnum):
    """Whose door a request knocked at."""

    APNS = "apns"
    FCM = "fcm"
    WEB = "web"
    OAUTH = "oauth"
    """Google's token endpoint, which lives on the FCM port."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request as the service reads it."""

    method: str
    path: str
    """With its query, as sent."""
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case names, no pseudo-headers, in the order received."""
    body: bytes = field(default=b"", repr=False)
    """At most `MAX_BODY_BYTES`: a longer body was cut there."""

    def header(self, name: str) -> str | None:
        """The first value of the header with this lower-case name; None if absent."""
        return next((value for key, value in self.headers if key == name), None)

    def headers_named(self, name: str) -> list[str]:
        """Every value of the header with this lower-case name."""
        return [value for key, value in self.headers if key == name]

    def headers_without_secrets(self) -> dict[str, str]:
        """The headers by name, with the authorization shortened to its scheme."""
        shown = dict(self.headers)
        if "authorization" in shown:
            shown["authorization"] = shown["authorization"].partition(" ")[0]
        return shown


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this response."""

    response: HttpResponse
    after_seconds: float = 0.0
    streams: int | None = None
    """A new MAX_CONCURRENT_STREAMS to announce first; None leaves it. HTTP/2 only."""
    window_bytes: int | None = None
    """A new INITIAL_WINDOW_SIZE to announce first; None leaves it. HTTP/2 only."""
    reads_every_seconds: float | None = None
    """From now on read only this often; None leaves it. HTTP/2 only."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Give up this one stream; over HTTP/1.1, drop the connection."""

    refused: bool
    """REFUSED_STREAM, which promises that nothing was processed; else INTERNAL_ERROR."""
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GoAway:
    """
    Say GOAWAY: this request and later ones stay unprocessed.

    The connection closes once the earlier ones are answered; over HTTP/1.1 it is dropped.
    """

    reason: str
    """Put into the debug data as Apple does: ``{"reason": …}``."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop the connection without a word."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Never answer."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Never answer, and read nothing more on this connection for a while, not even a PING."""

    seconds: float


Reaction = Answer | Reset | GoAway | Disconnect | Silence | Stall


class Session(Protocol):
    """One connection's conversation with a service."""

    @property
    def max_concurrent_streams(self) -> int:
        """The limit an HTTP/2 connection announces at its start."""
        ...

    def react(self, request: Request) -> Reaction:
        """What to do about a request that has arrived whole."""
        ...

    def closed(self) -> None:
        """The connection has ended."""
        ...
