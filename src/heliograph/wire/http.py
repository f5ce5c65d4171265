"""An HTTP exchange as two values, whatever carries it (RFC 9110)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request, ready to be sent."""

    method: str
    url: str = field(repr=False)
    """Absolute: scheme, host, port if not the scheme's own, path, query."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Lower-case names, as HTTP/2 wants them; no ``host``, no ``content-length``."""
    body: bytes = field(default=b"", repr=False)


class HttpResponse(NamedTuple):
    """
    A whole reply.

    A tuple, because there is one for every notification, and a frozen dataclass takes
    several times as long to make.
    """

    status: int
    headers: Collection[tuple[str, str]] = ()
    """Lower-case names, in the order received."""
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of the header with this lower-case name; None if absent."""
        return next((value for key, value in self.headers if key == name), None)


def retry_after(response: HttpResponse, *, now: datetime) -> timedelta | None:
    """
    How long the peer asks us to wait (RFC 9110 §10.2.3).

    Returns:
        A delay of zero or more, from either form of the header; None when it is
        absent or unreadable. Never raises.
    """
    value = (response.header("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:10]), 2**31))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))


def url_problem(url: str) -> str | None:
    """What keeps us from sending a request to an address; None if nothing does."""
    try:
        parts = urlsplit(url)
        is_usable = (
            parts.scheme in ("https", "http")
            and bool(parts.hostname)
            and parts.port != 0  # reading it also refuses a port that is no number
        )
    except ValueError:
        is_usable = False
    if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
        return "must be an http(s) address"
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters"
    return None
