"""Many requests at once, through a client."""

import asyncio
from collections.abc import Sequence

from heliograph.errors import TransportError
from heliograph.transport.client import Client
from heliograph.wire.http import HttpRequest, HttpResponse


async def send_all(
    client: Client, requests: Sequence[HttpRequest], *, ca: str | None = None
) -> list[HttpResponse | TransportError]:
    """For each request its reply, or why there is none."""

    async def send(request: HttpRequest) -> HttpResponse | TransportError:
        try:
            return await client.send(request, ca=ca)
        except TransportError as problem:
            return problem

    return await asyncio.gather(*[send(each) for each in requests])
