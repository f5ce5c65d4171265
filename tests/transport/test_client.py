"""One request out, one reply in: over real TLS and HTTP/2, and what is said when it fails."""

import asyncio
import ipaddress
import socket
from array import array
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import Gateways, apns_credentials
from heliograph.errors import Ambiguous, EgressDenied, NotProcessed, TransportError
from heliograph.gateways import apns
from heliograph.model import ApnsAddress, ApnsMessage, Environment, Gateway
from heliograph.sandbox import Authority
from heliograph.transport.client import Client, Destination
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
LARGEST_REPLY = 65_536


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


def to(url: str, *headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest("POST", url, headers, b"{}")


async def push(
    gateways: Gateways, client: Client, *, collapse_id: str | None = None
) -> HttpResponse:
    """A good notification for a new device."""
    address = await gateways.mint(Gateway.APNS)
    assert isinstance(address, ApnsAddress)
    origin, prefix = apns.place(gateways.apns, Environment.PRODUCTION)
    template = apns.template(
        ApnsMessage(b'{"aps":{}}', collapse_id=collapse_id),
        origin=origin,
        topic=gateways.apns.topic,
        token=apns.provider_token(gateways.apns, now=gateways.clock()),
    )
    (values,) = apns.values(prefix, [address.token], [b"00000000-0000-8000-8000-000000000000"])
    request = http2.request(template, values)
    return await client.send(request, ca=gateways.ca)


# --- replies -------------------------------------------------------------------------


async def test_a_reply_is_read_whole(gateways: Gateways, client: Client) -> None:
    """Status, headers with lower-case names, and body come back over HTTP/2 and TLS."""
    accepted = await push(gateways, client)
    refused = await client.send(to(gateways.sandbox.addresses()["apns"]), ca=gateways.ca)

    assert (200, "00000000-0000-8000-8000-000000000000", b"") == (
        accepted.status,
        accepted.header("apns-id"),
        accepted.body,
    )
    assert (True, True) == (refused.status >= 400, b"reason" in refused.body)


async def test_a_header_may_hold_any_character(gateways: Gateways, client: Client) -> None:
    """A collapse id is up to 64 bytes of UTF-8, and goes out as that."""
    reply = await push(gateways, client, collapse_id="été 用户")

    (entry,) = await gateways.inbox()
    received = entry["headers"]["apns-collapse-id"]
    assert (200, True) == (
        reply.status,
        received in ("été 用户", "été 用户".encode().decode("latin-1")),
    )


async def test_connections_are_kept(gateways: Gateways, client: Client) -> None:
    """Many requests, one after another and at once, go over one connection."""
    await push(gateways, client)
    await asyncio.gather(*[push(gateways, client) for _ in range(20)])

    stats = (await gateways.management.get("/stats")).json()["apns"]
    assert (1, 21) == (stats["connections"]["opened"], stats["accepted"])


async def test_redirects_are_not_followed(gateways: Gateways, client: Client) -> None:
    """A redirect could lead anywhere; it is a reply like any other."""
    await gateways.go_wrong({"fault": "redirect", "location": gateways.sandbox.addresses()["fcm"]})

    reply = await push(gateways, client)

    stats = (await gateways.management.get("/stats")).json()
    assert (True, gateways.sandbox.addresses()["fcm"], 0) == (
        300 <= reply.status < 400,
        reply.header("location"),
        stats["fcm"]["requests"],
    )


async def test_of_a_large_reply_only_the_beginning_is_read(
    gateways: Gateways, client: Client
) -> None:
    """A peer that talks without end costs no memory, and the connection goes on working."""
    await gateways.go_wrong({"fault": "answer", "status": 400, "reason": "x" * 500_000, "times": 1})

    reply = await push(gateways, client)

    assert (400, LARGEST_REPLY) == (reply.status, len(reply.body))
    assert 200 == (await push(gateways, client)).status


# --- failures ------------------------------------------------------------------------


async def test_nobody_there_has_processed_nothing(client: Client) -> None:
    """A connection that is refused is safe to try again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"

    with pytest.raises(NotProcessed):
        await client.send(to(url))


async def test_a_stranger_is_told_nothing(gateways: Gateways, client: Client) -> None:
    """A server whose certificate nobody vouches for does not get to see the request."""
    with pytest.raises(NotProcessed):
        await client.send(to(gateways.sandbox.addresses()["apns"]))
    with pytest.raises(NotProcessed):
        await client.send(to(gateways.sandbox.addresses()["apns"]), ca=Authority().ca_pem)

    assert 0 == (await gateways.management.get("/stats")).json()["apns"]["requests"]


async def test_trust_is_each_requests_own(gateways: Gateways, client: Client) -> None:
    """An authority that one instance trusts is not trusted for another one's requests."""
    assert 200 == (await push(gateways, client)).status

    with pytest.raises(NotProcessed):
        await client.send(to(gateways.sandbox.addresses()["apns"]))


@pytest.mark.parametrize("fault", ["disconnect", "reset", "lost_answer"])
async def test_without_a_reply_nobody_knows(gateways: Gateways, client: Client, fault: str) -> None:
    """A request that went out and was never answered may have been acted on."""
    await push(gateways, client)
    await gateways.go_wrong({"fault": fault, "times": 1})

    with pytest.raises(Ambiguous):
        await push(gateways, client)


@pytest.mark.parametrize("fault", ["disconnect", "reset", "refused_stream", "goaway"])
async def test_after_a_failure_the_next_request_goes_through(
    gateways: Gateways, client: Client, fault: str
) -> None:
    """Whatever broke, a connection that works is there for the next one."""
    await push(gateways, client)
    await gateways.go_wrong({"fault": fault, "times": 1})
    outcome = await asyncio.gather(push(gateways, client), return_exceptions=True)

    assert 200 == (await push(gateways, client)).status
    assert all(isinstance(each, TransportError | HttpResponse) for each in outcome)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://example.com",
        "https://",
        "https://127.0.0.1:port/",
        "https://é.example/",
        "https://127.0.0.1:1/é",
        "https://[::1",
    ],
)
async def test_an_address_that_is_none_is_safe_to_try(client: Client, url: str) -> None:
    """A text that is no address of a server has led nowhere, and nothing else is raised."""
    with pytest.raises(NotProcessed):
        await client.send(to(url))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=30))
async def test_any_text_as_an_address_is_a_transport_error(client: Client, text: str) -> None:
    """Whatever stands where an address should, the failure is one that callers know."""
    with pytest.raises(TransportError):
        await client.send(to(text), guarded=True)


async def test_an_authority_that_is_none_is_safe_to_try(client: Client) -> None:
    """With a certificate that cannot be read nothing goes out."""
    with pytest.raises(NotProcessed):
        await client.send(to("https://127.0.0.1:1/"), ca="not a certificate")


# --- guarded -------------------------------------------------------------------------


async def test_a_guarded_request_does_not_reach_ourselves(gateways: Gateways) -> None:
    """A stranger's address that resolves to loopback is refused before anything is sent."""
    client = Client(extra_ca=gateways.ca)
    port = gateways.sandbox.addresses()["webpush"].rpartition(":")[2]

    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(EgressDenied):
            await client.send(to(f"https://{host}:{port}/push/x"), guarded=True)
    await client.close()
    stats = (await gateways.management.get("/stats")).json()["web"]
    assert 0 == stats["connections"]["opened"]


async def test_a_guarded_request_reaches_what_is_allowed(gateways: Gateways) -> None:
    """With the operator's network and authority a push service on loopback is reached."""
    client = Client(allowed=LOOPBACK, extra_ca=gateways.ca)

    reply = await client.send(to(gateways.sandbox.addresses()["webpush"]), guarded=True)
    await client.close()

    assert 404 == reply.status


async def test_a_guarded_request_trusts_no_instances_authority(gateways: Gateways) -> None:
    """Whom web push trusts is the operator's to say, not an instance's."""
    client = Client(allowed=LOOPBACK)

    with pytest.raises(NotProcessed):
        await client.send(to(gateways.sandbox.addresses()["webpush"]), ca=gateways.ca, guarded=True)
    await client.close()


async def test_the_operators_authority_is_for_guarded_requests_only(gateways: Gateways) -> None:
    """What is trusted in web push is not trusted in the place of Apple or Google."""
    client = Client(extra_ca=gateways.ca)

    with pytest.raises(NotProcessed):
        await client.send(to(apns_credentials().endpoint or gateways.sandbox.addresses()["apns"]))
    await client.close()


async def test_a_reply_tells_how_long_it_took(gateways: Gateways, client: Client) -> None:
    """Each from when its own request went out; one that is held back takes that much longer."""
    slow, fast = [await gateways.mint(Gateway.APNS) for _ in range(2)]
    assert isinstance(slow, ApnsAddress)
    assert isinstance(fast, ApnsAddress)
    await gateways.go_wrong({"fault": "slow", "delay_seconds": 0.2, "token": slow.token})
    origin, prefix = apns.place(gateways.apns, Environment.PRODUCTION)
    template = apns.template(
        ApnsMessage(b'{"aps":{}}'),
        origin=origin,
        topic=gateways.apns.topic,
        token=apns.provider_token(gateways.apns, now=gateways.clock()),
    )
    values = apns.values(
        prefix, [slow.token, fast.token], [b"00000000-0000-8000-8000-000000000000"] * 2
    )
    took = array("H")

    replies = await client.exchange(
        Destination(origin, ca=gateways.ca), template, values, took=took
    )

    assert ([200, 200], 2) == ([getattr(each, "status", each) for each in replies], len(took))
    assert took[0] >= 190
