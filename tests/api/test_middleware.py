"""What happens to every request before and after a route."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.asgi import Headers, Reply, ask
from api.beams.words import Beams, problem
from heliograph.api.middleware import LARGEST_HEADERS, LONGEST_PATH, Doorkeeper
from heliograph.metrics import Metrics
from support import in_process

FAULT = problem("Something went wrong", "Internal server error")


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def read(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def fail(_request: Request) -> Response:
    raise ValueError("a secret detail")


async def fail_in_own_words(_request: Request) -> Response:
    return JSONResponse({"code": "OWN"}, status_code=500)


async def start_and_fail(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("too late")


class Door:
    """A doorkeeper before an application of a few routes, and what it counts."""

    def __init__(self, app: ASGIApp | None = None) -> None:
        self.metrics = Metrics()
        routes = [
            Route("/hello", hello),
            Route("/read", read, methods=["POST"]),
            Route("/fail", fail),
            Route("/own", fail_in_own_words),
        ]
        self.app = Doorkeeper(app or Starlette(routes=routes), self.metrics)

    async def ask(self, path: bytes, headers: Headers = ()) -> Reply:
        return await ask(self.app, "GET", path, headers=headers)

    def counted(self, status: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "heliograph_http_requests_total", {"api": "other", "status": status}
        )


async def test_what_is_in_order_passes() -> None:
    """The answer of the route is the answer, and is counted."""
    door = Door()

    reply = await door.ask(b"/hello")

    assert (200, b"hello", 1) == (reply.status, reply.body, door.counted("2xx"))


async def test_headers_have_so_many_bytes_and_no_more() -> None:
    """All names and values together count; the request is refused before any route sees it."""
    room = LARGEST_HEADERS - len(b"host" + b"product" + b"x")

    taken = await Door().ask(b"/hello", [(b"x", b"y" * room)])
    refused = await Door().ask(b"/fail", [(b"x", b"y" * (room + 1))])

    assert 200 == taken.status
    assert (
        431,
        problem(
            "Request header fields too large", "All headers together may have at most 16384 bytes"
        ),
    ) == (refused.status, refused.json())


async def test_a_path_has_so_many_bytes_and_no_more() -> None:
    """Its query counts too."""
    room = LONGEST_PATH - len("/hello")

    taken = await Door().ask(b"/hello?" + b"y" * room)
    refused = await Door().ask(b"/hello?" + b"y" * (room + 1))

    assert 200 == taken.status
    assert (
        414,
        problem("URI too long", "The path may have at most 8192 bytes with its query"),
    ) == (refused.status, refused.json())


async def test_a_browser_may_read_what_the_door_says() -> None:
    """§4.1: a fault and a refusal from before any route are readable from every origin."""
    refused = await Door().ask(b"/hello", [(b"x", b"y" * LARGEST_HEADERS)])
    failed = await Door().ask(b"/fail")

    assert [(431, "*"), (500, "*")] == [
        (reply.status, reply.headers["access-control-allow-origin"]) for reply in (refused, failed)
    ]


async def test_a_request_has_one_host() -> None:
    """RFC 9112 §3.2: two are refused; what must not be left out is refused if it is."""
    door = Door()

    reply = await door.ask(b"/hello", [(b"host", b"a"), (b"host", b"b")])

    assert (400, problem("Bad request", "A request must have one Host header"), 1) == (
        reply.status,
        reply.json(),
        door.counted("4xx"),
    )


async def test_a_fault_of_ours_is_answered_in_the_shape_of_every_other_error() -> None:
    """Its details are in the log and nowhere else."""
    door = Door()

    with capture_logs() as logs:
        reply = await door.ask(b"/fail")

    assert (500, FAULT, 1) == (reply.status, reply.json(), door.counted("5xx"))
    assert [("request_failed", "ValueError", True)] == [
        (log["event"], log["problem"], log["exc_info"]) for log in logs
    ]


async def test_a_dialect_may_tell_of_a_fault_in_its_own_words() -> None:
    """Its 500 in JSON goes out as it is, and is counted."""
    door = Door()

    reply = await door.ask(b"/own")

    assert (500, {"code": "OWN"}, 1) == (reply.status, reply.json(), door.counted("5xx"))


async def test_a_database_that_is_away_is_no_fault_of_ours() -> None:
    """Whoever asks again a little later is served."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ConnectionRefusedError("no server there")

    door = Door(app)

    with capture_logs() as logs:
        reply = await door.ask(b"/")

    assert (503, "1", "The database does not answer") == (
        reply.status,
        reply.headers["retry-after"],
        reply.json()["description"],
    )
    assert [("request_failed", "ConnectionRefusedError", False)] == [
        (log["event"], log["problem"], log["exc_info"]) for log in logs
    ]


async def test_a_fault_in_the_middle_of_an_answer_leaves_it_broken() -> None:
    """What has been said cannot be taken back, and nothing is added to it."""
    door = Door(start_and_fail)

    with capture_logs() as logs:
        reply = await door.ask(b"/")

    assert (200, b"", 1) == (reply.status, reply.body, len(logs))


async def test_who_hangs_up_is_no_fault() -> None:
    """Nobody is left to answer, and there is nothing to log."""
    door = Door()

    with capture_logs() as logs:
        reply = await ask(door.app, "POST", b"/read", body=[b"half"], leave=True)

    assert (0, [], None) == (reply.status, logs, door.counted("5xx"))


async def test_what_is_not_http_passes_untouched() -> None:
    """A lifespan or a socket is none of the doorkeeper's business."""
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def hear() -> Message:
        raise AssertionError("nothing is heard")

    async def say(_message: Message) -> None:
        raise AssertionError("nothing is said")

    await Doorkeeper(app, Metrics())({"type": "lifespan"}, hear, say)

    assert ["lifespan"] == seen


@pytest.mark.parametrize(
    "path,api",
    [
        (b"/publish_api/v1/x", "publish_api"),
        (b"/device_api", "device_api"),
        (b"/reporting_api/v2/x", "reporting_api"),
        (b"/customer_api/", "customer_api"),
        (b"/user_api/x", "user_api"),
        (b"/instances/x", "instances"),
        (b"/reporting_api/x", "reporting_api"),
        (b"/sdk/service-worker.js", "sdk"),
        (b"/admin/v1/x", "admin"),
        (b"//admin", "admin"),
        (b"/", "other"),
        (b"/whatever/x", "other"),
    ],
)
async def test_requests_are_counted_by_api(path: bytes, api: str) -> None:
    """The set of APIs is fixed, so that a metric's labels do not grow."""
    door = Door()

    await door.ask(path)

    assert 1 == door.metrics.registry.get_sample_value(
        "heliograph_http_requests_total", {"api": api, "status": "4xx"}
    )


async def test_a_fault_of_the_products_is_told_like_any_other_error(tmp_path: Path) -> None:
    """With a table gone, the whole product still answers JSON, with nothing of the reason."""
    async with in_process(tmp_path) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        with closing(sqlite3.connect(tmp_path / "heliograph.db")) as database:
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute("DROP TABLE devices")

        with capture_logs() as logs:
            reply = await beams.http.get(beams.path("/devices/fcm/fcm-x"))

    assert (500, "application/json", FAULT) == (
        reply.status_code,
        reply.headers["content-type"],
        reply.json(),
    )
    assert ["request_failed"] == [log["event"] for log in logs]


@pytest.mark.parametrize("path", ["/healthz/", "/admin/v1", "/publish_api", "/device_api"])
async def test_a_path_that_is_almost_right_is_not_found(tmp_path: Path, path: str) -> None:
    """A slash too many or too few is 404: SDKs take a redirection for success."""
    async with in_process(tmp_path) as served:
        reply = await served.http.get(path)

    assert 404 == reply.status_code
