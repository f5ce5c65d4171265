"""
Which addresses we talk to on a stranger's word.

A browser tells us where its push service is, so anybody can make us connect
anywhere. The name is resolved at every connection, the address we checked is the
one we connect to, and what is not public is refused unless the operator listed its
network.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import httpcore

from heliograph.errors import EgressDenied

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_Connection = TypeVar("_Connection")

_SITE_LOCAL: Final = ipaddress.IPv6Network("fec0::/10")
"""What came before unique local addresses (RFC 3879); Python takes it for public."""

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that a NAT64 turns into the IPv4 address in their last 32 bits (RFC 6052)."""


def is_allowed(address: str, allowed: Iterable[Network]) -> bool:
    """
    Whether we may connect to an IP address.

    Args:
        address: In text, without a zone.
        allowed: Networks that are fine although they are not public.
    """
    real = _unwrap(ipaddress.ip_address(address))
    if any(real in network for network in allowed):
        return True
    return real.is_global and not (real.is_multicast or real.is_reserved or real in _SITE_LOCAL)


def _unwrap(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one, where the network would take it out."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


async def resolve(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """
    The addresses of a stranger's host, checked, the one to try first in front; at least one.

    They are resolved anew each time.

    Raises:
        EgressDenied: It, or another of its addresses, is not public.
        OSError: There is none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as problem:
        raise OSError("a name that cannot be") from problem
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    if not addresses or not all(is_allowed(each, allowed) for each in addresses):
        raise EgressDenied("the endpoint's address is not public")
    return addresses


async def first_reached(
    addresses: Sequence[str],
    connect: Callable[[str], Awaitable[_Connection]],
    *,
    failures: tuple[type[Exception], ...] = (OSError,),
) -> _Connection:
    """
    A connection to the first address that can be reached.

    Args:
        addresses: At least one.
        connect: How to connect to one.
        failures: What it raises if it cannot; for the last address that is passed on.
    """
    *others, last = addresses
    for address in others:
        with contextlib.suppress(*failures):
            return await connect(address)
    return await connect(last)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """A network for httpcore that connects only to addresses that are allowed."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        """Wrap the usual network."""
        self._network = httpcore.AnyIOBackend()
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to the very address that was checked."""
        try:
            addresses = await resolve(host, port, self._allowed)
        except OSError as problem:
            raise httpcore.ConnectError(str(problem)) from problem

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return await self._network.connect_tcp(
                address, port, timeout, local_address, socket_options
            )

        failures = (httpcore.ConnectError, httpcore.ConnectTimeout)
        return await first_reached(addresses, connect, failures=failures)
