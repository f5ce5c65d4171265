"""What does not speak HTTP/2, and plain ``http``: left to httpcore."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import httpcore

from heliograph.errors import Ambiguous, EgressDenied, NotProcessed, TransportError
from heliograph.transport.connection import Patience
from heliograph.transport.egress import GuardedBackend, Network
from heliograph.wire.http import HttpRequest, HttpResponse
from heliograph.wire.http2 import MAX_BODY_BYTES

_AT_ONCE: Final = 100


class Http1:
    """HTTP/1.1 connections to whomever, all with the same trust."""

    def __init__(
        self,
        trust: ssl.SSLContext,
        patience: Patience,
        *,
        allowed: Sequence[Network] | None,
    ) -> None:
        """
        Begin without a connection.

        Args:
            trust: Whom we trust, and who we are.
            patience: How long to wait for what.
            allowed: Networks that are fine although they are not public; None if any is.
        """
        self._patience = patience
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=2 * _AT_ONCE,
            keepalive_expiry=patience.unused,
            network_backend=None if allowed is None else GuardedBackend(allowed),
        )

    async def send(self, request: HttpRequest) -> HttpResponse | TransportError:
        """Exchange one request for its reply."""
        async with self._places:
            try:
                return await self._exchange(request)
            except EgressDenied as denied:
                return denied
            except (
                httpcore.ConnectError,
                httpcore.ConnectTimeout,
                httpcore.PoolTimeout,
                httpcore.UnsupportedProtocol,
                ssl.SSLError,
                TypeError,
                ValueError,  # an authority that is none, or characters that no address has
            ) as problem:
                return NotProcessed(type(problem).__name__)
            except (
                httpcore.NetworkError,
                httpcore.TimeoutException,
                httpcore.ProtocolError,
                httpcore.ConnectionNotAvailable,
            ) as problem:
                return Ambiguous(type(problem).__name__)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        patience = self._patience
        async with self._pool.stream(
            request.method,
            request.url,
            headers=[(name.encode(), value.encode()) for name, value in request.headers],
            content=request.body,
            extensions={
                "timeout": {
                    "connect": patience.connect,
                    "write": patience.reply,
                    "read": patience.reply,
                    "pool": patience.queue,
                }
            },
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) >= MAX_BODY_BYTES:
                    break
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in response.headers
        ]
        return HttpResponse(response.status, tuple(headers), bytes(body[:MAX_BODY_BYTES]))
