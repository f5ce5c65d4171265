"""The shorter way: the same answers, without what lies between."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from heliograph.api.express import Express
from heliograph.api.problems import Problem


async def short(request: Request) -> Response:
    """Says which thing it was asked for."""
    if request.path_params["thing"] == "broken":
        raise Problem(422, "Unprocessable Entity", "It is broken", retry_after=7)
    return PlainTextResponse(f"short {request.path_params['thing']}")


async def long(request: Request) -> Response:
    """Says by what it was asked."""
    return PlainTextResponse(f"long {request.method}")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/{anything:path}", long, methods=["GET", "POST", "PUT"])])
    express = Express(app, {"/things/{thing}/parts": short})
    transport = httpx.ASGITransport(app=express)
    async with httpx.AsyncClient(transport=transport, base_url="http://product") as client:
        yield client


@pytest.mark.parametrize(
    "method, path, answer",
    [
        ("POST", "/things/door/parts", "short door"),
        ("PUT", "/things/door/parts", "long PUT"),
        ("GET", "/things/door/parts", "long GET"),
        ("POST", "/things/door/parts/", "long POST"),
        ("POST", "/things/a/b/parts", "long POST"),
        ("POST", "/x/things/door/parts", "long POST"),
    ],
)
async def test_only_a_post_to_exactly_the_path_takes_the_short_way(
    http: httpx.AsyncClient, method: str, path: str, answer: str
) -> None:
    """Everything else is the application's."""
    found = await http.request(method, path)

    assert answer == found.text


async def test_a_problem_is_answered_as_everywhere(http: httpx.AsyncClient) -> None:
    """In the shape of every error, with its headers."""
    found = await http.post("/things/broken/parts")

    assert (422, "7", {"error": "Unprocessable Entity", "description": "It is broken"}) == (
        found.status_code,
        found.headers["retry-after"],
        found.json(),
    )
