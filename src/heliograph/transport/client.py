"""
Requests out, replies in, over connections that are kept.

What speaks HTTP/2 is sent to by our own engine (``pool.py``). What does not, and
plain ``http``, is left to httpcore; the TLS handshake tells which (ALPN), and an
origin is remembered for what it spoke.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpcore

from heliograph.errors import Ambiguous, EgressDenied, NotProcessed, TransportError
from heliograph.transport.connection import Link, Patience
from heliograph.transport.egress import GuardedBackend, Network, resolve
from heliograph.transport.pool import Batch, Dial, Pool, SpeaksHttp1
from heliograph.wire.http import HttpRequest, HttpResponse
from heliograph.wire.http2 import MAX_BODY_BYTES, Template

MAX_POOLS: Final = 1000
"""Origins to which connections are kept; strangers may name as many as they like."""

MAX_TEMPLATES: Final = 1000

_HTTP1_AT_ONCE: Final = 100

_VARYING: Final = frozenset({"apns-id", "topic"})
"""Header fields that differ between the requests of one publish."""

_HTTPS_PORT: Final = 443

_Trust = tuple[str | None, bool]
"""Whom a connection trusts, and whether it is guarded."""


class Client:
    """Connections to the outside, by whom they trust and whether they are guarded."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        extra_ca: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """
        Make a client; nothing is connected yet.

        Args:
            allowed: Networks that guarded requests may go to although they are not public.
            extra_ca: PEM of authorities to trust in guarded requests besides the system's.
            patience: How long to wait for what.
        """
        self._allowed = allowed
        self._extra_ca = extra_ca
        self._patience = patience or Patience()
        self._pools: dict[tuple[str, _Trust], Pool] = {}
        self._old: dict[_Trust, httpcore.AsyncConnectionPool] = {}
        self._speaks_http1: set[tuple[str, _Trust]] = set()
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._templates: dict[object, Template] = {}

    async def send(
        self, request: HttpRequest, *, ca: str | None = None, guarded: bool = False
    ) -> HttpResponse:
        """
        Exchange a request for its reply; redirects are replies like any other.

        A 200 without a body may come without its header fields.

        Args:
            request: What to send.
            ca: PEM of authorities to trust besides the system's.
            guarded: The address came from a stranger: it must be public.

        Raises:
            NotProcessed: The peer cannot have seen the request.
            Ambiguous: It may have; no reply arrived.
            EgressDenied: The address is not one that we talk to.
        """
        (result,) = await self.send_batch([request], ca=ca, guarded=guarded)
        if isinstance(result, TransportError):
            raise result
        return result

    async def send_batch(
        self, requests: Sequence[HttpRequest], *, ca: str | None = None, guarded: bool = False
    ) -> list[HttpResponse | TransportError]:
        """
        Exchange many requests for their replies, many at once.

        Returns:
            For each request what ``send`` would have returned or raised, in their order.
        """
        trust = (self._extra_ca if guarded else ca, guarded)
        batch = Batch(len(requests), asyncio.get_running_loop().create_future())
        groups: dict[tuple[str, Template], list[tuple[int, Sequence[bytes]]]] = {}
        for number, request in enumerate(requests):
            try:
                origin, template, values = self._prepared(request)
            except ValueError as problem:
                batch.end(number, NotProcessed(str(problem)))
                continue
            if (origin, trust) in self._speaks_http1 or not origin.startswith("https://"):
                batch.end(number, SpeaksHttp1())
            else:
                groups.setdefault((origin, template), []).append((number, values))
        for (origin, template), numbered in groups.items():
            try:
                self._pool(origin, trust).submit(batch, template, numbered)
            except ValueError as problem:
                for number, _ in numbered:
                    batch.end(number, NotProcessed(str(problem)))
        if requests:
            await batch.done
        return await self._with_the_old(requests, batch, trust)

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools = list(self._pools.values()), {}
        await asyncio.gather(*[pool.close() for pool in pools])
        for old in self._old.values():
            await old.aclose()
        self._old.clear()

    # --- HTTP/2 ----------------------------------------------------------------------

    def _prepared(self, request: HttpRequest) -> tuple[str, Template, list[bytes]]:
        """
        The origin of a request, its template, and what is its own.

        Raises:
            ValueError: It cannot be written without changing its meaning.
        """
        origin, authority, path = _split(request.url)
        own = [path.encode("ascii")]
        shared: list[tuple[str, str | None]] = []
        for name, value in request.headers:
            if name in _VARYING:
                if not value.isprintable():
                    raise ValueError(f"{name} has characters that no header field may have")
                own.append(value.encode())
                shared.append((name, None))
            else:
                shared.append((name, value))
        own.append(request.body)
        key = (origin, request.method, *shared)
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            template = self._templates[key] = _template(request.method, authority, shared)
        return origin, template, own

    def _pool(self, origin: str, trust: _Trust) -> Pool:
        pool = self._pools.get((origin, trust))
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                self._pools = {key: each for key, each in self._pools.items() if not each.is_idle}
            pool = self._pools[origin, trust] = Pool(
                self._dial(origin, trust), self._patience, is_lasting=not trust[1]
            )
        return pool

    def _dial(self, origin: str, trust: _Trust) -> Dial:
        """
        How to reach an origin.

        Raises:
            ValueError: It has no host, or a port that is none.
        """
        ca, guarded = trust
        address = urlsplit(origin)
        host, port = address.hostname, address.port or _HTTPS_PORT
        if not host:
            raise ValueError("an address without a host")

        async def dial(make: Callable[[], Link]) -> object:
            target = await resolve(host, port, self._allowed) if guarded else host
            return await asyncio.get_running_loop().create_connection(
                make,
                target,
                port,
                ssl=self._context(ca),
                server_hostname=host,
                ssl_shutdown_timeout=self._patience.close,
            )

        return dial

    def _context(self, ca: str | None) -> ssl.SSLContext:
        if ca not in self._contexts:
            context = _trusting(ca)
            context.set_alpn_protocols(["h2", "http/1.1"])
            self._contexts[ca] = context
        return self._contexts[ca]

    # --- what does not speak HTTP/2 --------------------------------------------------

    async def _with_the_old(
        self, requests: Sequence[HttpRequest], batch: Batch, trust: _Trust
    ) -> list[HttpResponse | TransportError]:
        """The results, with the requests sent whose origins have no HTTP/2."""
        places = asyncio.Semaphore(_HTTP1_AT_ONCE)

        async def result(number: int) -> HttpResponse | TransportError:
            known = batch.results[number]
            if not isinstance(known, SpeaksHttp1):
                return known
            async with places:
                return await self._send_old(requests[number], trust)

        old = [each for each in batch.results if isinstance(batch.results[each], SpeaksHttp1)]
        if len(self._speaks_http1) >= MAX_POOLS:
            self._speaks_http1.clear()
        for number in old:
            self._speaks_http1.add((_split(requests[number].url)[0], trust))
        sent = await asyncio.gather(*[result(number) for number in old])
        batch.results.update(zip(old, sent, strict=True))
        results = [batch.results[number] for number in range(len(requests))]
        return [each for each in results if not isinstance(each, SpeaksHttp1)]

    async def _send_old(self, request: HttpRequest, trust: _Trust) -> HttpResponse | TransportError:
        patience = self._patience
        try:
            async with self._old_pool(trust).stream(
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
        return HttpResponse(
            status=response.status,
            headers=tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in response.headers
            ),
            body=bytes(body[:MAX_BODY_BYTES]),
        )

    def _old_pool(self, trust: _Trust) -> httpcore.AsyncConnectionPool:
        if trust not in self._old:
            ca, guarded = trust
            self._old[trust] = httpcore.AsyncConnectionPool(
                ssl_context=_trusting(ca),
                max_connections=200,
                keepalive_expiry=self._patience.unused,
                network_backend=GuardedBackend(self._allowed) if guarded else None,
            )
        return self._old[trust]


def _trusting(ca: str | None) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    if ca is not None:
        trust.load_verify_locations(cadata=ca)
    return trust


def _split(url: str) -> tuple[str, str, str]:
    """
    Origin, authority and path of an absolute address, the path with its query.

    Raises:
        ValueError: It is none, or has characters that no address may have.
    """
    scheme, separator, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    if not separator or not authority or not authority.isascii() or not authority.isprintable():
        raise ValueError("not an absolute address")
    if "?" in authority or "#" in authority or "@" in authority or " " in authority:
        raise ValueError("an address of an odd form")
    path = path.partition("#")[0]
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError("an address with characters that must be escaped")
    return f"{scheme}://{authority}", authority, f"/{path}"


def _template(method: str, authority: str, headers: Sequence[tuple[str, str | None]]) -> Template:
    fields: list[tuple[bytes, bytes | None]] = [
        (b":method", method.encode("ascii")),
        (b":scheme", b"https"),
        (b":authority", authority.encode("ascii")),
        (b":path", None),
    ]
    for name, value in headers:
        if not name.isprintable() or not (value is None or value.isprintable()):
            raise ValueError(f"{name} has characters that no header field may have")
        fields.append((name.encode("ascii"), None if value is None else value.encode()))
    return Template(tuple(fields), None)
