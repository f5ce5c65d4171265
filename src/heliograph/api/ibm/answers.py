"""
How every answer of IBM's API looks, and how bodies are read (contract §2.7, §2.8).

Whatever goes wrong is told as ``{"message", "code"}``, in JSON, with one of IBM's codes.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from heliograph.api.bodies import read_json, read_object
from heliograph.api.ibm.problems import Code, problem
from heliograph.api.problems import Problem
from heliograph.errors import Overloaded
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.storage.database import is_away

DEVICE_BODY_BYTES: Final = 16_384
MESSAGE_BODY_BYTES: Final = 1_048_576

Handler = Callable[[Request], Awaitable[Response]]


async def answered(handler: Handler, request: Request) -> Response:
    """
    What a handler answers, or what went wrong, in IBM's form.

    A fault of ours is logged and told as FPWSE0010E; too much to do as FPWSE0025E.
    """
    try:
        return await handler(request)
    except Problem as found:
        return problem_response(found)
    except Overloaded:
        return problem_response(_overloaded())
    except (ClientDisconnect, HTTPException):
        raise
    except Exception as fault:  # noqa: BLE001  (this is the last stop of this dialect)
        is_ours = not is_away(fault)
        log().error(Event.REQUEST_FAILED, problem=type(fault).__name__, exc_info=is_ours)
        if not is_ours:
            return problem_response(_overloaded())
        sentence = "Internal Server Error - The request could not be carried out"
        return problem_response(problem(Code.INTERNAL, sentence))


def json_response(value: object, *, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def problem_response(found: Problem) -> Response:
    """The answer that a problem gets; one that has no code of IBM's gets what comes closest."""
    code = found.error if found.error in _CODES else _CLOSEST.get(found.status, Code.INVALID_JSON)
    response = json_response({"message": found.description, "code": code}, status=found.status)
    if found.retry_after is not None:
        response.headers["retry-after"] = str(found.retry_after)
    return response


def check_accept(request: Request) -> None:
    """
    Refuse a caller who cannot read JSON (contract §2.8).

    Raises:
        Problem: 406.
    """
    accept = request.headers.get("accept", "*/*").lower()
    ranges = [each.partition(";")[0].strip() for each in accept.split(",")]
    # An answer of ours that is none is a package for Safari, in a zip.
    if not {"*/*", "application/*", "application/json", "application/zip", ""} & set(ranges):
        raise Problem(406, Code.UNSUPPORTED, "Not Acceptable - Only application/json is answered")


async def read_body(request: Request, *, most_bytes: int = DEVICE_BODY_BYTES) -> dict[str, Any]:
    """
    The object in a body; a charset may be named, however it is written (contract §2.7).

    Raises:
        Problem: 400 or 415.
    """
    check_media_type(request)
    return await read_object(request, most_bytes=most_bytes)


async def read_anything(request: Request, *, most_bytes: int) -> Any:
    """
    The JSON in a body, of whatever kind.

    Raises:
        Problem: 400 or 415.
    """
    check_media_type(request)
    return await read_json(request, most_bytes=most_bytes)


def check_media_type(request: Request, *, wanted: str = "application/json") -> None:
    """
    Refuse a body of another kind.

    Raises:
        Problem: 415.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise problem(Code.UNSUPPORTED, f"Unsupported Media Type - Only {wanted} is taken")


def _overloaded() -> Problem:
    sentence = "Service Unavailable - Too much is asked at once. Try again"
    return problem(Code.OVERLOADED, sentence, retry_after=1)


_CODES: Final = frozenset(map(str, Code))
_CLOSEST: Final = {
    401: Code.UNAUTHORIZED,
    404: Code.NOT_FOUND,
    405: Code.UNSUPPORTED,
    415: Code.UNSUPPORTED,
    429: Code.OVERLOADED,
    503: Code.OVERLOADED,
}
