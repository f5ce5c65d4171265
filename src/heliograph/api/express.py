"""
A shorter way for what is asked thousands of times a second.

Between a server and a handler Starlette has middleware, two routers, a mount and four
places that catch exceptions, which together take as long as a publish does. The paths
named here go straight to their handlers; all else, and every other method, goes to the
application, which knows these paths too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from heliograph.api.problems import Problem, problem_response

Handler = Callable[[Request], Awaitable[Response]]


class Express:
    """Serves ``POST`` at some paths, and leaves the rest to an application."""

    def __init__(self, app: ASGIApp, posts: Mapping[str, Handler]) -> None:
        """
        Stand before an application.

        Args:
            app: What serves everything else.
            posts: Handlers by their paths, written as Starlette's routes are; parameters
                in them are text.
        """
        self.app = app
        self._posts: Final = [(compile_path(path)[0], handler) for path, handler in posts.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            for pattern, handler in self._posts:
                found = pattern.match(scope["path"])
                if found is not None:
                    scope["path_params"] = found.groupdict()
                    response = await _answer(handler, Request(scope, receive, send))
                    await response(scope, receive, send)
                    return
        await self.app(scope, receive, send)


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(problem)
