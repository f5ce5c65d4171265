"""What the parts of our own API share: how a request is read, and what is not found."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.apns_credentials import convert
from heliograph.api.bodies import check_content_type, read_object
from heliograph.api.problems import Problem
from heliograph.errors import InvalidInput
from heliograph.instances import Instance, Instances

_BODY_BYTES: Final = 65_536
PAGE: Final = 100
"""Things in one answer, at most and unless told."""

_NUMBER: Final = re.compile(r"[0-9]{1,20}")

Handler = Callable[[Request], Awaitable[Response]]
Entry = tuple[str, str, Handler]
"""Method, path, and what answers there."""

_Body = TypeVar("_Body")


async def read(request: Request, kind: type[_Body]) -> _Body:
    """
    The body as a struct.

    Raises:
        InvalidInput: A field is missing, unknown, or of another type.
        Problem: There is no JSON object.
    """
    return convert(await read_body(request), kind)


async def read_body(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    check_content_type(request)
    return await read_object(request, most_bytes=_BODY_BYTES)


def number(text: str | None, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 on; its default if it was not given."""
    if text is None:
        return default
    if _NUMBER.fullmatch(text) is None or not 0 < int(text) <= most:
        raise InvalidInput(name, f"must be a whole number from 1 to {most}")
    return int(text)


def flag(text: str | None, name: str) -> bool:
    """Whether ``true`` was said; ``false`` is the default."""
    if text not in (None, "true", "false"):
        raise InvalidInput(name, "must be true or false")
    return text == "true"


def not_found(what: str) -> Problem:
    """The answer to who asks for what there is not."""
    return Problem(404, "Not found", f"There is no such {what}")


async def instance_of(request: Request, instances: Instances) -> Instance:
    """
    The instance in the path.

    Raises:
        Problem: 404.
    """
    instance = await instances.find(request.path_params["instance"])
    if instance is None:
        raise not_found("instance")
    return instance
