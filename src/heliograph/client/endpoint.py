"""Where the server is, how we introduce ourselves, and the shape of its errors."""

import ssl
from os import PathLike
from typing import Final
from urllib.parse import quote

import httpx

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:8040"
"""Where ``heliograph serve`` and ``heliograph dev`` listen unless told otherwise."""

SDK_VERSION: Final = "0.1.0"
LIBRARY: Final = f"heliograph-python {SDK_VERSION}"
"""What both SDKs send as ``X-Pusher-Library``."""

MAX_NAME_CHARS: Final = 164
"""Longest user id and longest interest, in characters."""


def base_url(endpoint: str | None) -> str:
    """
    Read an endpoint as a base URL, without a slash at its end.

    Args:
        endpoint: A whole base URL, with a path prefix if need be, or ``host[:port]``,
            which means https; None is ``DEFAULT_ENDPOINT``.

    Raises:
        TypeError: It is not a string.
        ValueError: It is neither of the two forms.
    """
    if endpoint is None:
        return DEFAULT_ENDPOINT
    if not isinstance(endpoint, str):
        raise TypeError("endpoint must be a string")
    try:
        url = httpx.URL(endpoint if "://" in endpoint else f"https://{endpoint}")
    except httpx.InvalidURL as error:
        raise ValueError(f"endpoint {endpoint!r} is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise ValueError(f"endpoint {endpoint!r} must be http(s)://host[:port] or host[:port]")
    if url.query or url.fragment or "?" in endpoint or "#" in endpoint:
        raise ValueError(f"endpoint {endpoint!r} must not have a query or a fragment")
    return str(url).rstrip("/")


def path_segment(value: str) -> str:
    """
    Escape a value so that it is exactly one segment of a path.

    A slash is escaped too, and so are the two names that a URL library or a proxy
    would resolve away (RFC 3986 §5.2.4).
    """
    return value.replace(".", "%2E") if value in {".", ".."} else quote(value, safe="")


def tls_context(ca_file: str | PathLike[str] | None) -> ssl.SSLContext | bool:
    """What httpx is to verify with: the usual authorities, and those in the file."""
    if ca_file is None:
        return True
    context = httpx.create_ssl_context()
    context.load_verify_locations(ca_file)
    return context


def json_object(reply: httpx.Response) -> dict[str, object] | None:
    """Read a reply's body as a JSON object; None when it is anything else."""
    try:
        value = reply.json()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def error_texts(reply: httpx.Response) -> tuple[str, str]:
    """Read the title and the description of an error reply; never fails."""
    body = json_object(reply) or {}
    return str(body.get("error", "Unknown error")), str(body.get("description", "no description"))
