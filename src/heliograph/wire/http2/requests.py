"""Templates out of the words of HTTP, and whole requests out of templates."""

from collections.abc import Sequence

from heliograph.wire.http import HttpRequest
from heliograph.wire.http2.templates import Template


def template(
    method: str,
    origin: str,
    path: str | None,
    headers: Sequence[tuple[str, str | None]],
    body: bytes | tuple[bytes, bytes] | None,
) -> Template:
    """
    What many requests to one origin have in common.

    Args:
        method: In upper case.
        origin: Scheme and authority, from ``split``.
        path: With its query; None if each request has its own.
        headers: Lower-case names; None is a value that each request has of its own.
        body: As in ``Template``.

    Raises:
        ValueError: A field has characters that no header field may have.
    """
    scheme, _, authority = origin.partition("://")
    fields: list[tuple[str, str | None]] = [
        (":method", method),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        *headers,
    ]
    for name, value in fields:
        if not name.isprintable() or not (value is None or value.isprintable()):
            raise ValueError(f"{name} has characters that no header field may have")
    encoded = [
        (name.encode("ascii"), None if value is None else value.encode()) for name, value in fields
    ]
    return Template(tuple(encoded), body)


def request(template: Template, values: Sequence[bytes]) -> HttpRequest:
    """One whole request: a template with its holes filled."""
    own, body = list(values), template.body
    if not isinstance(body, bytes):
        before, after = body or (b"", b"")
        body = b"".join((before, own.pop(), after))
    rest = iter(own)
    fields = [
        (name.decode(), (next(rest) if value is None else value).decode())
        for name, value in template.fields
    ]
    pseudo = dict(fields[:4])
    url = f"{pseudo[':scheme']}://{pseudo[':authority']}{pseudo[':path']}"
    return HttpRequest(pseudo[":method"], url, tuple(fields[4:]), body)


def split(url: str) -> tuple[str, str]:
    """
    Origin and path of an absolute address, the path with its query, without a fragment.

    Raises:
        ValueError: It is none, or has characters that no address may have.
    """
    scheme, separator, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    if not separator or not authority or not authority.isascii() or not authority.isprintable():
        raise ValueError("not an absolute address")
    if "?" in authority or "#" in authority or "@" in authority or " " in authority:
        raise ValueError("an address of an odd form")
    path = path.partition("#")[0]
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError("an address with characters that must be escaped")
    return f"{scheme}://{authority}", f"/{path}"
