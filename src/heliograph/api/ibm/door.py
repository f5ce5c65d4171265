"""
How IBM's paths are hung up, who may come in, and how every answer looks.

Three credentials open the door (contract §2.1): the client secret of an instance, for what
devices do; its app secret, and a token that was had for it, for what back ends do. Whatever
goes wrong is told as ``{"message", "code"}``, and browsers may read it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from heliograph import auth
from heliograph.api.bodies import read_json, read_object
from heliograph.api.ibm.document import web_sites
from heliograph.api.ibm.problems import Code, not_found, problem
from heliograph.api.ibm.tokens import is_token
from heliograph.api.limits import Rate, address_of
from heliograph.api.problems import Problem
from heliograph.errors import Overloaded
from heliograph.instances import Instance, Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.storage.database import is_away

BASE: Final = "/imfpush/v1/apps"
"""What all paths begin with (contract §1.1)."""

DEVICE_BODY_BYTES: Final = 16_384
MESSAGE_BODY_BYTES: Final = 1_048_576

_METHODS: Final = "GET, POST, PUT, DELETE"
_FIELDS: Final = "authorization, clientsecret, appsecret, content-type, x-rewrite-domain"
_FORBIDDEN: Final = 405

Handler = Callable[[Request], Awaitable[Response]]
Entry = tuple[str, str, Handler]
"""A method, a path below that of the instance, and what does it."""


class Door:
    """Lets requests in, and knows whose they are."""

    def __init__(
        self,
        instances: Instances,
        *,
        publish_rate: int,
        device_rate: int,
        clock: Callable[[], datetime],
    ) -> None:
        """
        Open to these instances.

        Args:
            instances: Whose paths there are.
            publish_rate: Requests a second of the back ends of one instance.
            device_rate: Requests a second of devices at one network address.
            clock: The time.
        """
        self._instances = instances
        self._backend_rate = Rate(publish_rate)
        self._device_rate = Rate(device_rate)
        self._clock = clock

    async def visitor(self, request: Request) -> Instance:
        """
        The instance of a request that anybody may make.

        Raises:
            Problem: 404 or 429.
        """
        self._device_rate.check(address_of(request), "address", now=self._clock())
        return await self._instance(request)

    async def client(self, request: Request) -> Instance:
        """
        The instance of a request that devices make.

        It needs the client secret, unless the instance asks for it only where a device claims
        to be somebody's (contract §2.3). What opens the door to a back end is good here too.

        Raises:
            Problem: 401, 404 or 429.
        """
        instance = await self.visitor(request)
        if instance.verify_client_secret:
            self.check_client(request, instance)
        return instance

    def check_client(self, request: Request, instance: Instance) -> None:
        """
        Refuse who does not know the client secret of an instance, whatever the instance asks for.

        Raises:
            Problem: 401.
        """
        secret = request.headers.get("clientsecret", "")
        is_known = auth.is_secret(secret, [instance.client_secret])
        if not is_known and not self._is_backend(request, instance):
            sentence = "Unauthorized - clientSecret is missing or not valid"
            raise problem(Code.UNAUTHORIZED, sentence)

    async def backend(self, request: Request) -> Instance:
        """
        The instance of a request that only its back ends make.

        Raises:
            Problem: 401, 404 or 429.
        """
        instance = await self._instance(request)
        if not self._is_backend(request, instance):
            raise problem(
                Code.UNAUTHORIZED,
                "Unauthorized - a valid appSecret header, or an Authorization header with a "
                "token, is needed",
            )
        self._backend_rate.check(instance.number, "instance", now=self._clock())
        return instance

    def _is_backend(self, request: Request, instance: Instance) -> bool:
        secret = request.headers.get("appsecret")
        if secret is not None and auth.is_secret(secret, [instance.app_secret]):
            return True
        token = request.headers.get("authorization", "").strip()
        if token[:7].lower() == "bearer ":  # IBM's own migration tool leaves the word out
            token = token[7:].strip()
        return bool(token) and is_token(token, instance, now=self._clock())

    async def _instance(self, request: Request) -> Instance:
        instance = await self._instances.find(request.path_params["instance"])
        if instance is None:
            raise not_found("application", "applicationId")
        return instance

    def served(self, method: str, handler: Handler) -> Handler:
        """A handler that answers for itself at a path with one method, whatever comes of it."""
        return partial(self._serve, {method: handler})

    def routes(self, entries: Sequence[Entry]) -> BaseRoute:
        """All paths of instances, each with and without a slash at its end (contract §2.7)."""
        by_path: dict[str, dict[str, Handler]] = {}
        for method, path, handler in entries:
            by_path.setdefault(path, {})[method] = handler
        routes = [
            Route(
                f"/{{instance}}{path}{slash}", partial(self._serve, handlers), methods=EVERY_METHOD
            )
            for path, handlers in by_path.items()
            for slash in ("", "/")
        ]
        return Mount(BASE, Router(routes, redirect_slashes=False, default=self._unknown))

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is answered at a path that there is not; a line break in it fits no pattern."""
        response = await self._serve({}, Request(scope, receive, send))
        await response(scope, receive, send)

    async def _serve(self, handlers: dict[str, Handler], request: Request) -> Response:
        """Do what is asked, and answer in one form whatever comes of it."""
        if request.method == "OPTIONS":
            response = Response(status_code=204)
            response.headers["access-control-allow-methods"] = _METHODS
            response.headers["access-control-allow-headers"] = _FIELDS
            response.headers["access-control-max-age"] = "86400"
        else:
            response = await answered(partial(self._handled, handlers), request)
        origin = await self._allowed_origin(request)
        response.headers["access-control-allow-origin"] = origin
        if origin != "*":
            response.headers["vary"] = "origin"
        return response

    async def _handled(self, handlers: dict[str, Handler], request: Request) -> Response:
        # Nothing is called by a name with NUL in it, of which PostgreSQL would not even hear.
        if not handlers or "\x00" in request.scope["path"]:
            raise problem(Code.NOT_FOUND, "Not Found - There is nothing at this path")
        method = "GET" if request.method == "HEAD" else request.method
        handler = handlers.get(method)
        if handler is None:
            allowed = ", ".join(sorted(handlers))
            sentence = f"Method Not Allowed - This path knows {allowed}"
            raise Problem(_FORBIDDEN, Code.UNSUPPORTED, sentence)
        check_accept(request)
        return await handler(request)

    async def _allowed_origin(self, request: Request) -> str:
        """
        The web site that the instance is for, or any where none is set (contract §2.6).

        While the database is away nobody knows it, and any may read that it is.
        """
        name = request.path_params.get("instance") or ""
        try:
            instance = await self._instances.find(name) if name else None
        except Exception as fault:
            if not is_away(fault):
                raise
            return "*"
        sites = [] if instance is None else web_sites(instance)
        origin = request.headers.get("origin", "")
        return "*" if not sites else origin if origin in sites else sites[0]


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


EVERY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
_CODES: Final = frozenset(map(str, Code))
_CLOSEST: Final = {
    401: Code.UNAUTHORIZED,
    404: Code.NOT_FOUND,
    405: Code.UNSUPPORTED,
    415: Code.UNSUPPORTED,
    429: Code.OVERLOADED,
    503: Code.OVERLOADED,
}
