"""Reading a request's body: bounded, JSON, an object, not too deep."""

from typing import Any, Final

import msgspec
from starlette.requests import Request

from heliograph.api.problems import Problem

DEEPEST: Final = 32
"""Levels of nesting in a body that we take; a payload needs half a dozen."""


def check_content_type(request: Request) -> None:
    """
    Refuse anything but JSON.

    Raises:
        Problem: 400.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(400, "Invalid content type", "Only application/json is supported")


async def read_object(request: Request, *, most_bytes: int) -> dict[str, Any]:
    """
    The JSON object in a request's body.

    Args:
        request: Its body is read no further than it is allowed to be long.
        most_bytes: How long that is.

    Raises:
        Problem: 400, if it is longer, not JSON, not an object, or nested too deeply.
    """
    value = await read_json(request, most_bytes=most_bytes)
    if not isinstance(value, dict):
        raise Problem(400, "Bad request", "The body is not a JSON object")
    return value


async def read_json(request: Request, *, most_bytes: int) -> Any:
    """
    The JSON in a request's body, of whatever kind.

    Args:
        request: Its body is read no further than it is allowed to be long.
        most_bytes: How long that is.

    Raises:
        Problem: 400, if it is longer, not JSON, or nested too deeply.
    """
    body = await read_bytes(request, most_bytes=most_bytes)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "Bad request", "The body is not valid JSON") from None
    except RecursionError:
        raise Problem(400, "Bad request", "The body is nested too deeply") from None
    # As many levels need as many brackets: few bodies have to be looked through.
    if body.count(b"{") + body.count(b"[") > DEEPEST and not is_shallow(value):
        raise Problem(
            400, "Bad request", f"The body is nested too deeply: at most {DEEPEST} levels"
        )
    return value


async def read_bytes(request: Request, *, most_bytes: int) -> bytes:
    """
    A request's body, of whatever form.

    Raises:
        Problem: 400, if it is longer than it may be.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Problem(400, "Bad request", f"The body is too large: at most {most_bytes} bytes")
    return bytes(body)


def is_shallow(value: object) -> bool:
    """Whether a JSON value has no more levels of nesting than we take."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return True
    return False
