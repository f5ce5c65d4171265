"""
``Idempotency-Key``: a publish that may be sent again without being another one.

The header of draft-ietf-httpapi-idempotency-key-header, for every dialect's publishes.
A key is taken as it stands; the quotes with which the draft writes it belong to it.
"""

import re
from hashlib import sha256
from typing import Any, Final

import msgspec
from starlette.requests import Request

from heliograph.api.problems import Problem
from heliograph.storage.idempotency import Once

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


def read_key(request: Request) -> str | None:
    """
    The key of a request; None if it has none.

    Raises:
        Problem: 400.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or _KEY.fullmatch(keys[0]) is None:
        raise Problem(
            400, "Bad request", "`Idempotency-Key`: one of 1 to 255 printable ASCII characters"
        )
    return keys[0]


def once(key: str | None, endpoint: str, body: dict[str, Any]) -> Once | None:
    """
    What holds a repeated request against the first; None without a key.

    Args:
        key: The request's.
        endpoint: What the body was sent to, which is part of what it says.
        body: The order of its keys and the space between them say nothing.
    """
    if key is None:
        return None
    digest = sha256(endpoint.encode() + b"\n")
    digest.update(msgspec.json.encode(body, order="deterministic"))
    return Once(key, digest.digest())


def key_reused() -> Problem:
    """The answer to a key that belongs to another request."""
    return Problem(
        422,
        "Unprocessable Entity",
        "`Idempotency-Key`: was used in the last 24 hours for another publish",
    )
