"""How Beams' APIs are hung up: below a path, and open to browsers where these call them."""

from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Mount, Route, Router

from heliograph.api.problems import Problem, answer_http_exception, answer_problem

FROM_BROWSERS: Final = (
    Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        max_age=86_400,
    ),
    # Inside the other, so that what the router refuses can be read from other origins too.
    Middleware(
        ExceptionMiddleware,
        handlers={Problem: answer_problem, HTTPException: answer_http_exception},
    ),
)
"""Browsers call these APIs from other origins, without cookies (contract §4.1)."""


def mount(path: str, routes: list[Route], middleware: Sequence[Middleware] = ()) -> Mount:
    """Routes below a path; none is redirected to, for SDKs take a 307 for an answer."""
    return Mount(path, Router(routes, redirect_slashes=False), middleware=middleware)
