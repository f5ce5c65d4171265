"""
One request out, one reply in, over connections that are kept.

This is a plain client: correct, and far slower than the machine. The interface is
what matters, for the engine in ``wire/http2.py`` will stand behind the same one.
"""

import ssl
from collections.abc import Sequence
from typing import Final

import httpcore

from heliograph.errors import Ambiguous, EgressDenied, NotProcessed
from heliograph.transport.egress import GuardedBackend, Network
from heliograph.wire.http import HttpRequest, HttpResponse

_TIMEOUTS: Final = {"connect": 10.0, "write": 30.0, "read": 30.0, "pool": 60.0}
"""Seconds. Google asks for at least ten before giving up on FCM."""

_LARGEST_REPLY: Final = 65_536
"""Bytes of a reply's body that we read; push services answer with a few hundred."""

_LONGEST_IDLE: Final = 3600.0
"""Seconds. Apple asks that connections be kept for hours, not opened anew."""


class Client:
    """Connections to the outside, by whom they trust and whether they are guarded."""

    def __init__(self, *, allowed: Sequence[Network] = (), extra_ca: str | None = None) -> None:
        """
        Make a client; nothing is connected yet.

        Args:
            allowed: Networks that guarded requests may go to although they are not public.
            extra_ca: PEM of authorities to trust in guarded requests besides the system's.
        """
        self._allowed = allowed
        self._extra_ca = extra_ca
        self._pools: dict[tuple[str | None, bool], httpcore.AsyncConnectionPool] = {}

    async def send(
        self, request: HttpRequest, *, ca: str | None = None, guarded: bool = False
    ) -> HttpResponse:
        """
        Exchange a request for its reply; redirects are replies like any other.

        Args:
            request: What to send.
            ca: PEM of authorities to trust besides the system's.
            guarded: The address came from a stranger: it must be public.

        Raises:
            NotProcessed: The peer cannot have seen the request.
            Ambiguous: It may have; no reply arrived.
            EgressDenied: The address is not one that we talk to.
        """
        try:
            pool, url = self._pool(ca, guarded=guarded), httpcore.URL(request.url)
        except (ssl.SSLError, TypeError, ValueError) as problem:
            # An authority that is none, or an address with characters that no URL has.
            raise NotProcessed(type(problem).__name__) from problem
        try:
            async with pool.stream(
                request.method,
                url,
                headers=[(name.encode(), value.encode()) for name, value in request.headers],
                content=request.body,
                extensions={"timeout": _TIMEOUTS},
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) >= _LARGEST_REPLY:
                        break
        except EgressDenied:
            raise
        except (
            httpcore.ConnectError,
            httpcore.ConnectTimeout,
            httpcore.PoolTimeout,
            httpcore.UnsupportedProtocol,
            ssl.SSLError,
        ) as problem:
            raise NotProcessed(type(problem).__name__) from problem
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            httpcore.ConnectionNotAvailable,
        ) as problem:
            raise Ambiguous(type(problem).__name__) from problem
        return HttpResponse(
            status=response.status,
            headers=tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in response.headers
            ),
            body=bytes(body[:_LARGEST_REPLY]),
        )

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _pool(self, ca: str | None, *, guarded: bool) -> httpcore.AsyncConnectionPool:
        if guarded:
            ca = self._extra_ca
        known = self._pools.get((ca, guarded))
        if known is not None:
            return known
        trust = ssl.create_default_context()
        if ca is not None:
            trust.load_verify_locations(cadata=ca)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            http2=True,
            max_connections=200,
            keepalive_expiry=_LONGEST_IDLE,
            network_backend=GuardedBackend(self._allowed) if guarded else None,
        )
        self._pools[ca, guarded] = pool
        return pool
