"""The server that is told by webhook: it hears every call, and fails some the first time."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from heliograph.serving import address_of, bind, serving

EVENT: Final = "v1.PublishToUsersAttempt"

_FAILS_EVERY: Final = 7
"""Of these calls, each is refused one time, and is made again ten seconds later."""


@dataclass(slots=True)
class Hook:
    """What was told."""

    url: str = ""
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is said of each publish, by its id."""
    calls: dict[str, set[str]] = field(default_factory=dict)
    """Under which request ids it was said: one."""
    heard: Counter[str] = field(default_factory=Counter)
    """How often each was said, and taken."""
    refused: set[str] = field(default_factory=set)

    async def hear(self, request: Request) -> Response:
        """Take a call, or refuse it this once."""
        call = request.headers["webhook-request-id-uuid"]
        payload = json.loads(await request.body())["payload"]
        publish = payload["publish_id"]
        self.calls.setdefault(publish, set()).add(call)
        if len(self.calls) % _FAILS_EVERY == 0 and call not in self.refused:
            self.refused.add(call)
            return Response(status_code=503)
        self.told[publish] = payload
        self.heard[publish] += 1
        return Response()


@asynccontextmanager
async def hooked() -> AsyncIterator[Hook]:
    """A hook that listens on this machine."""
    hook = Hook()
    listener = bind("127.0.0.1", 0)
    app = Starlette(routes=[Route("/", hook.hear, methods=["POST"])])
    async with serving(app, listener, proxies=()):
        hook.url = f"http://{address_of(listener)}/"
        yield hook
