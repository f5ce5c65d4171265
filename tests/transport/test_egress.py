"""Where a stranger's word may make us connect: to what is public, or to what is listed."""

import ipaddress
import socket

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.errors import EgressDenied
from heliograph.transport.egress import GuardedBackend, Network, first_reached, is_allowed

LOOPBACK: list[Network] = [
    ipaddress.IPv4Network("127.0.0.0/8"),
    ipaddress.IPv6Network("::1/128"),
]


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001:82a::200e", "::ffff:8.8.8.8"],
)
def test_what_is_public_is_allowed(address: str) -> None:
    """Push services have public addresses."""
    assert is_allowed(address, [])


@pytest.mark.parametrize(
    "address",
    [
        # ourselves
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0.0.0.0",  # noqa: S104  (an address to refuse, not to bind)
        "::",
        # our networks
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        # this very wire, where clouds keep their credentials
        "169.254.169.254",
        "fe80::1",
        # a carrier's network (RFC 6598)
        "100.64.0.1",
        "100.127.255.254",
        # many at once
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "ff02::1",
        "ff0e::1",
        # nobody's
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.1",
        "240.0.0.1",
        "2001:db8::1",
        "2001::1",
        "100::1",
        # one of those in another form
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    """Nobody makes us knock at our own doors, in whatever form the address is written."""
    assert not is_allowed(address, [])


@pytest.mark.parametrize(
    "address, network, is_fine",
    [
        ("127.0.0.1", "127.0.0.0/8", True),
        ("::ffff:127.0.0.1", "127.0.0.0/8", True),
        ("64:ff9b::10.1.2.3", "10.0.0.0/8", True),
        ("::1", "::1/128", True),
        ("fd00::1", "fd00::/8", True),
        ("10.0.0.1", "127.0.0.0/8", False),
        ("::1", "127.0.0.0/8", False),
        ("8.8.8.8", "127.0.0.0/8", True),
    ],
)
def test_the_operators_networks_are_allowed(address: str, network: str, is_fine: bool) -> None:
    """A network that the operator listed is fine although it is not public; no other is."""
    assert is_fine == is_allowed(address, [ipaddress.ip_network(network)])


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    """Where the network would take an IPv4 address out of another, that one is judged."""
    number = int(address)
    disguises = [
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ]

    assert [is_allowed(str(address), [])] * 3 == [is_allowed(each, []) for each in disguises]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "::1"])
async def test_a_name_that_leads_to_ourselves_is_refused(host: str) -> None:
    """What counts is the address that a name resolves to, however it is spelt."""
    with pytest.raises(EgressDenied):
        await GuardedBackend([]).connect_tcp(host, 1)


async def test_an_allowed_name_is_connected_to() -> None:
    """The address that was checked is the one that is connected to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await GuardedBackend(LOOPBACK).connect_tcp("127.0.0.1", server.getsockname()[1])
        peer = stream.get_extra_info("server_addr")
        await stream.aclose()

        assert server.getsockname() == peer


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a\x00b", "."], ids=ascii)
async def test_a_name_that_does_not_resolve_is_a_failed_connection(host: str) -> None:
    """A name that nobody has is no different from a host that does not answer."""
    with pytest.raises(httpcore.ConnectError):
        await GuardedBackend([]).connect_tcp(host, 443)


async def test_the_next_address_is_tried() -> None:
    """A host that has lost one of its two networks is still reached; the last failure is told."""
    tried = []

    async def connect(address: str) -> str:
        tried.append(address)
        if address != "2001:db8::2":
            raise ConnectionRefusedError(address)
        return address

    reached = await first_reached(["2001:db8::1", "2001:db8::2", "2001:db8::3"], connect)
    with pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.2"):
        await first_reached(["192.0.2.1", "192.0.2.2"], connect)

    assert ("2001:db8::2", 4) == (reached, len(tried))
