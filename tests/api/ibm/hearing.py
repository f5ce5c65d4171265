"""A customer's server that hears what webhooks tell it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from heliograph.serving import address_of, bind, serving


@dataclass
class Ear:
    """What was heard, in order."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, request: Request) -> Response:
        """Take an event."""
        self.events.append(await request.json())
        self.headers.append(dict(request.headers))
        self.news.set()
        return Response(status_code=204)

    async def wait_for(self, *types: str) -> list[dict[str, Any]]:
        """Events of these types, once there is one of each."""
        async with asyncio.timeout(30):
            while not set(types) <= {each["type"] for each in self.events}:
                self.news.clear()
                await self.news.wait()
        return [each for each in self.events if each["type"] in types]


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    """A server on a free port."""
    ear = Ear()
    listener = bind("127.0.0.1", 0)
    async with serving(
        Starlette(routes=[Route("/{rest:path}", ear.hear, methods=["POST"])]), listener
    ):
        ear.url = f"http://user:pass@{address_of(listener)}/cb"
        yield ear
