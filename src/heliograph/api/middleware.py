"""What happens to every request before and after a route: plain ASGI, no framework magic."""

from typing import Final

from prometheus_client import Counter
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heliograph.api.problems import Problem, problem_response
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.storage.database import is_away

LARGEST_HEADERS: Final = 16_384
"""Bytes of all header names and values together."""

LONGEST_PATH: Final = 8_192
"""Bytes of the path with its query."""


_FAULT: Final = 500
_JSON: Final = (b"content-type", b"application/json")


class Doorkeeper:
    """
    Turns away what is too large, counts what is answered, and never lets a fault out.

    A fault of ours becomes a 500 in the shape of every other error, and a database that
    does not answer a 503; details go to the log and nowhere else. A 500 in plain text that
    comes from below is Starlette's, sent before it lets the fault out, and is dropped; one in
    JSON is a dialect's own.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before an application."""
        self.app = app
        self._metrics = metrics
        self._counters: dict[tuple[str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start" and not _is_starlettes(message):
                status = message["status"]
            if status != 0:
                await send(message)

        try:
            refusal = _refusal(scope)
            if refusal is not None:
                await _response(refusal)(scope, receive, answer)
            else:
                await self.app(scope, receive, answer)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as problem:  # noqa: BLE001  (this is the last stop)
            is_ours = not is_away(problem)
            log().error(Event.REQUEST_FAILED, problem=type(problem).__name__, exc_info=is_ours)
            if status == 0:
                fault = _fault() if is_ours else _away()
                status = fault.status
                await _response(fault)(scope, receive, send)
        finally:
            self._counter(_api(scope["path"]), status // 100).inc()

    def _counter(self, api: str, status_class: int) -> Counter:
        """The counter with these labels, which takes a while to look up."""
        counter = self._counters.get((api, status_class))
        if counter is None:
            counter = self._metrics.requests.labels(api, f"{status_class}xx")
            self._counters[api, status_class] = counter
        return counter


def _is_starlettes(start: Message) -> bool:
    """Whether an answer is what Starlette says of a fault that it then lets out."""
    return start["status"] == _FAULT and _JSON not in start["headers"]


def _response(problem: Problem) -> Response:
    """An answer from before any route, or instead of one: any origin may read what went wrong."""
    response = problem_response(problem)
    response.headers["access-control-allow-origin"] = "*"
    return response


def _fault() -> Problem:
    return Problem(_FAULT, "Something went wrong", "Internal server error")


def _away() -> Problem:
    return Problem(503, "Not ready", "The database does not answer", retry_after=1)


def _refusal(scope: Scope) -> Problem | None:
    length = hosts = 0
    for name, value in scope["headers"]:
        length += len(name) + len(value)
        hosts += name == b"host"
    if length > LARGEST_HEADERS:
        return Problem(
            431,
            "Request header fields too large",
            f"All headers together may have at most {LARGEST_HEADERS} bytes",
        )
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_PATH:
        return Problem(
            414, "URI too long", f"The path may have at most {LONGEST_PATH} bytes with its query"
        )
    if hosts > 1 or (hosts == 0 and scope["http_version"] == "1.1"):
        # RFC 9112 §3.2: such a request MUST be answered 400.
        return Problem(400, "Bad request", "A request must have one Host header")
    return None


_APIS: Final = frozenset(
    {
        "publish_api",
        "device_api",
        "customer_api",
        "user_api",
        "reporting_api",
        "instances",
        "imfpush",
        "identity",
        "sdk",
        "docs",
        "admin",
    }
)


def _api(path: str) -> str:
    """The API that a path belongs to, from a fixed set: a metric's labels must not grow."""
    first = path.lstrip("/").partition("/")[0]
    return first if first in _APIS else "other"
