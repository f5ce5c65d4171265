"""
Requests out, replies in, over connections that are kept.

What speaks HTTP/2 is sent to by our own engine (``pool.py``). What does not, and
plain ``http``, is left to another (``http1.py``); the TLS handshake tells which
(ALPN), and an origin is remembered for what it spoke.
"""

import asyncio
import os
import ssl
import tempfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from heliograph.errors import NotProcessed, TransportError
from heliograph.metrics import Metrics
from heliograph.transport.connection import Link, Patience
from heliograph.transport.egress import Network, first_reached, resolve
from heliograph.transport.http1 import Http1
from heliograph.transport.pool import MAX_LINKS, Batch, Dial, Pool, SpeaksHttp1
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse
from heliograph.wire.http2 import Template

MAX_POOLS: Final = 1000
"""Destinations to which connections are kept; strangers may name as many as they like."""

_HTTPS_PORT: Final = 443

_Trust = tuple[str | None, str | None, bool]
"""Authorities, our certificate, and whether addresses are guarded."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where requests go, and as whom. Each has connections of its own."""

    origin: str
    """Scheme, host, and port if it is not the scheme's own."""
    ca: str | None = field(default=None, repr=False)
    """PEM of authorities to trust besides the system's."""
    is_guarded: bool = False
    """The address came from a stranger: it must be public, and no instance is trusted with it."""
    certificate: str | None = field(default=None, repr=False)
    """PEM of our certificate, its chain and its private key, if we have to show one."""
    identity: str = ""
    """Who we are there: requests of two signing keys must not share a connection (APNs)."""
    max_links: int = MAX_LINKS
    """How many connections there may be."""
    gateway: str = "other"
    """What it is for, in metrics and log lines."""


class Client:
    """Connections to the outside, by destination."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        extra_ca: str | None = None,
        patience: Patience | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """
        Make a client; nothing is connected yet.

        Args:
            allowed: Networks that guarded requests may go to although they are not public.
            extra_ca: PEM of authorities to trust in guarded requests besides the system's.
            patience: How long to wait for what.
            metrics: Where to count connections.
        """
        self._allowed = allowed
        self._extra_ca = extra_ca
        self._patience = patience or Patience()
        self._metrics = metrics or Metrics()
        self._pools: dict[Destination, Pool] = {}
        self._speaks_http1: set[Destination] = set()
        self._http1: dict[_Trust, Http1] = {}
        self._contexts: dict[_Trust, ssl.SSLContext] = {}

    async def send(
        self, request: HttpRequest, *, ca: str | None = None, guarded: bool = False
    ) -> HttpResponse:
        """
        Exchange one request for its reply; redirects are replies like any other.

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
        try:
            origin, path = http2.split(request.url)
            template = http2.template(request.method, origin, path, request.headers, request.body)
        except ValueError as problem:
            raise NotProcessed(str(problem)) from None
        destination = Destination(origin, ca=None if guarded else ca, is_guarded=guarded)
        (result,) = await self.exchange(destination, template, [()])
        if isinstance(result, TransportError):
            raise result
        return result

    async def exchange(
        self,
        destination: Destination,
        template: Template,
        values: Sequence[Sequence[bytes]],
        *,
        took: "array[int] | None" = None,
    ) -> list[HttpResponse | TransportError]:
        """
        Exchange many requests to one destination for their replies, many at once.

        Args:
            destination: Where they go.
            template: What they have in common; its origin is the destination's.
            values: For each request, what it has of its own.
            took: An empty array of type ``H``, which is given the milliseconds that each reply
                took since its request went out. Where none came, the number means nothing.

        Returns:
            For each request what ``send`` would have returned or raised, in their order.
        """
        batch = Batch(template, values)
        if destination in self._speaks_http1 or not destination.origin.startswith("https://"):
            for number in range(len(values)):
                batch.end(number, SpeaksHttp1())
        elif values:
            try:
                self._pool(destination).submit(batch)
            except ValueError as problem:
                for number in range(len(values)):
                    batch.end(number, NotProcessed(str(problem)))
            await batch.done
        results = await self._with_http1(destination, batch)
        if took is not None:
            took += batch.took()
        return results

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools = list(self._pools.values()), {}
        old, self._http1 = list(self._http1.values()), {}
        await asyncio.gather(*[pool.close() for pool in pools], *[each.close() for each in old])

    def _pool(self, destination: Destination) -> Pool:
        pool = self._pools.get(destination)
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                self._pools = {key: each for key, each in self._pools.items() if not each.is_idle}
            pool = self._pools[destination] = Pool(
                self._dial(destination),
                self._patience,
                max_links=destination.max_links,
                is_lasting=not destination.is_guarded,
                origin=destination.origin,
                opened=self._metrics.connections.labels(destination.gateway),
            )
        return pool

    def _dial(self, destination: Destination) -> Dial:
        """
        How to reach a destination.

        Raises:
            ValueError: It has no host, or a port that is none.
        """
        address = urlsplit(destination.origin)
        host, port = address.hostname, address.port or _HTTPS_PORT
        if not host:
            raise ValueError("an address without a host")

        async def dial(make: Callable[[], Link]) -> object:
            trust = self._context(self._trust(destination))

            async def connect(target: str) -> object:
                return await asyncio.get_running_loop().create_connection(
                    make,
                    target,
                    port,
                    ssl=trust,
                    server_hostname=host,
                    ssl_shutdown_timeout=self._patience.close,
                )

            if not destination.is_guarded:
                return await connect(host)
            return await first_reached(await resolve(host, port, self._allowed), connect)

        return dial

    def _context(self, trust: _Trust) -> ssl.SSLContext:
        if trust not in self._contexts:
            if len(self._contexts) >= MAX_POOLS:
                self._contexts.clear()
            self._contexts[trust] = _context(*trust[:2])
            self._contexts[trust].set_alpn_protocols(["h2", "http/1.1"])
        return self._contexts[trust]

    def _trust(self, destination: Destination) -> _Trust:
        if destination.is_guarded:
            return self._extra_ca, None, True
        return destination.ca, destination.certificate, False

    # --- what does not speak HTTP/2 --------------------------------------------------

    async def _with_http1(
        self, destination: Destination, batch: Batch
    ) -> list[HttpResponse | TransportError]:
        """The results, after what could not go over HTTP/2 has gone the other way."""
        if not batch.needs_http1:
            return cast("list[HttpResponse | TransportError]", batch.results)
        if len(self._speaks_http1) >= MAX_POOLS:
            self._speaks_http1.clear()
        self._speaks_http1.add(destination)
        try:
            connections = self._http1_of(self._trust(destination))
        except ValueError as problem:
            return [NotProcessed(type(problem).__name__)] * len(batch.results)

        loop = asyncio.get_running_loop()

        async def result(number: int) -> HttpResponse | TransportError:
            known = batch.results[number]
            if not isinstance(known, SpeaksHttp1):
                return known
            batch.went_out(number, 1, loop.time())
            reply = await connections.send(http2.request(batch.template, batch.values[number]))
            batch.ages[number] = batch.age(loop.time())
            return reply

        return await asyncio.gather(*[result(number) for number in range(len(batch.results))])

    def _http1_of(self, trust: _Trust) -> Http1:
        """
        The connections with this trust.

        Raises:
            ValueError: As for ``_context``.
        """
        if trust not in self._http1:
            allowed = self._allowed if trust[2] else None
            self._http1[trust] = Http1(_context(*trust[:2]), self._patience, allowed=allowed)
        return self._http1[trust]


def _context(ca: str | None, certificate: str | None) -> ssl.SSLContext:
    """
    Whom a connection trusts, and who it says that we are.

    Raises:
        ValueError: ``ssl.SSLError`` among them: a text is not what it should be.
    """
    context = ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(cadata=ca)
    if certificate is not None:
        # OpenSSL reads a chain from files only; this one is ours alone, and gone at once.
        descriptor, path = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(certificate)
            context.load_cert_chain(path)
        finally:
            Path(path).unlink()
    return context
