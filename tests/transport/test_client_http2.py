"""Requests through the client, to the sandbox and to what speaks only HTTP/1.1."""

import asyncio
import ipaddress
import json
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from heliograph.errors import Ambiguous, EgressDenied, NotProcessed
from heliograph.gateways import apns
from heliograph.model import ApnsCredentials, ApnsMessage, Environment
from heliograph.sandbox import Authority, Credentials, Sandbox
from heliograph.sandbox.devices import Platform
from heliograph.sandbox.server import utc_now
from heliograph.transport.client import Client, Destination
from heliograph.transport.connection import Patience
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse
from transport.scripted import AUTHORITY, Asked, listening, scripted
from transport.senders import send_all

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@asynccontextmanager
async def client_of(
    authority: Authority, *, patience: Patience | None = None
) -> AsyncIterator[Client]:
    client = Client(allowed=[LOOPBACK], extra_ca=authority.ca_pem, patience=patience)
    try:
        yield client
    finally:
        await client.close()


def post(url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpRequest:
    return HttpRequest("POST", url, tuple((headers or {}).items()), body)


class Http1(asyncio.Protocol):
    """Answers each chunk of bytes with one small reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"{}"):
            self.transport.write(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nhi")


async def test_a_publish_reaches_the_sandboxs_devices() -> None:
    """A thousand requests go out as a batch, and each device receives its own."""
    made_up = Credentials.generate()
    async with (
        Sandbox.running(authority=AUTHORITY, credentials=made_up) as sandbox,
        client_of(AUTHORITY) as client,
    ):
        devices = [sandbox.devices.mint(Platform.APNS, now=utc_now()) for _ in range(300)]
        raw = sandbox.credentials()["apns"]
        credentials = ApnsCredentials(
            key=str(raw["key"]),
            key_id=str(raw["key_id"]),
            team_id=str(raw["team_id"]),
            topic=str(raw["topic"]),
            endpoint=str(raw["endpoint"]),
            ca=AUTHORITY.ca_pem,
        )
        token = apns.provider_token(credentials, now=utc_now())
        message = ApnsMessage(payload=b'{"aps":{"alert":"100% sure"}}')
        origin, prefix = apns.place(credentials, Environment.SANDBOX)
        template = apns.template(message, origin=origin, topic=credentials.topic, token=token)
        values = apns.values(
            prefix,
            [device.token for device in devices],
            [b"00000000-0000-4000-8000-%012d" % number for number in range(len(devices))],
        )
        destination = Destination(origin, ca=AUTHORITY.ca_pem)
        results = await client.exchange(destination, template, values)
        received = {entry.device.token for entry in sandbox.inbox.entries()}

    assert [200] * 300 == [getattr(result, "status", result) for result in results]
    assert {device.token for device in devices} == received


async def test_requests_sent_one_by_one_share_a_connection() -> None:
    """Whoever sends at the same time is served by the same connection."""
    async with scripted(AUTHORITY) as server, client_of(AUTHORITY) as client:
        replies = await asyncio.gather(
            *[
                client.send(post(f"{server.origin}/{number}"), ca=AUTHORITY.ca_pem)
                for number in range(50)
            ]
        )

        assert [HttpResponse(200)] * 50 == [HttpResponse(each.status) for each in replies]
        assert 1 == len(server.connections)
        assert {f"/{number}" for number in range(50)} == set(server.paths)


async def test_replies_come_in_the_order_of_the_requests() -> None:
    """Whatever order the peer answers in."""
    held: list[Asked] = []

    def hold(asked: Asked) -> None:
        held.append(asked)
        if len(held) == 3:
            for each in reversed(held):
                each.answer(400, each.path.encode())

    async with scripted(AUTHORITY, hold) as server, client_of(AUTHORITY) as client:
        results = await send_all(
            client, [post(f"{server.origin}/{name}") for name in "abc"], ca=AUTHORITY.ca_pem
        )

    assert [b"/a", b"/b", b"/c"] == [getattr(each, "body", each) for each in results]


async def test_http1_is_spoken_where_it_must_be() -> None:
    """A peer that does not choose h2 in the handshake is spoken to in HTTP/1.1, and kept so."""
    context = AUTHORITY.server_context(alpn=["http/1.1"])
    async with listening(Http1, context) as port, client_of(AUTHORITY) as client:
        url = f"https://127.0.0.1:{port}/"
        results = await send_all(client, [post(url), post(url)], ca=AUTHORITY.ca_pem)
        again = await client.send(post(url), ca=AUTHORITY.ca_pem)

    assert [(201, b"hi")] * 3 == [
        (each.status, each.body) for each in (*results, again) if isinstance(each, HttpResponse)
    ]


async def test_plain_http_is_spoken_too() -> None:
    """Without TLS there is nothing to negotiate."""
    async with listening(Http1, None) as port, client_of(AUTHORITY) as client:
        reply = await client.send(post(f"http://127.0.0.1:{port}/x"))

    assert (201, b"hi") == (reply.status, reply.body)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_peer_that_is_not_there_processed_nothing(scheme: str) -> None:
    """A refused connection is NotProcessed for all who waited for it."""
    async with listening(asyncio.Protocol, None) as port:
        pass
    async with client_of(AUTHORITY) as client:
        results = await send_all(client, [post(f"{scheme}://127.0.0.1:{port}/")] * 3)

    assert [NotProcessed] * 3 == [type(each) for each in results]


async def test_a_peer_that_cannot_be_trusted_processed_nothing() -> None:
    """Nothing is sent to a peer whose certificate nobody vouches for."""
    async with scripted(AUTHORITY) as server, client_of(Authority()) as client:
        with pytest.raises(NotProcessed):
            await client.send(post(server.origin + "/"))

        assert [] == server.paths


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_guarded_request_does_not_reach_a_private_address(host: str) -> None:
    """A stranger's address must be public, also by name."""
    client = Client(extra_ca=AUTHORITY.ca_pem)
    async with scripted(AUTHORITY) as server:
        with pytest.raises(EgressDenied):
            await client.send(post(server.origin.replace("127.0.0.1", host) + "/"), guarded=True)
        await client.close()

        assert [] == server.connections


async def test_a_guarded_request_reaches_an_allowed_address() -> None:
    """The operator's networks are fine, and the name is still what the certificate proves."""
    async with scripted(AUTHORITY) as server, client_of(AUTHORITY) as client:
        url = server.origin.replace("127.0.0.1", "localhost") + "/x"
        reply = await client.send(post(url), guarded=True)

        assert 200 == reply.status
        assert url.split("/")[2] == server.asked[0].headers[":authority"]


@pytest.mark.parametrize(
    "request_",
    [
        post("https://"),
        post("nonsense"),
        post("https://127.0.0.1:port/"),
        post("https://[::1"),
        post("https://é.example/"),
        post("ftp://example.com/"),
        post("https://user@127.0.0.1/"),
        post("https://127.0.0.1/ x"),
        post("https://127.0.0.1/\r\nx: y"),
        post("https://127.0.0.1/ü"),
        post("https://127.0.0.1/", headers={"x-a": "b\r\nx-c: d"}),
        post("https://127.0.0.1/", headers={"apns-id": "b\nc"}),
    ],
)
async def test_what_cannot_be_written_is_not_sent(request_: HttpRequest) -> None:
    """A request that would say something else on the wire is refused before it gets there."""
    async with client_of(AUTHORITY) as client:
        with pytest.raises(NotProcessed):
            await client.send(request_)


async def test_an_authority_that_is_none_is_trusted_by_nobody() -> None:
    """With a certificate that cannot be read nothing goes out."""
    async with client_of(AUTHORITY) as client:
        for ca in ("", "not a certificate"):
            with pytest.raises(NotProcessed):
                await client.send(post("https://127.0.0.1:1/"), ca=ca)


async def test_header_fields_arrive_as_they_are() -> None:
    """Constant and varying ones, and the body with its length."""
    async with scripted(AUTHORITY) as server, client_of(AUTHORITY) as client:
        headers = {"authorization": "bearer x", "apns-id": "1%2", "apns-topic": "%s"}
        await client.send(post(f"{server.origin}/a%20b?c", b"body", headers), ca=AUTHORITY.ca_pem)

        (asked,) = server.asked
        assert headers | {"content-length": "4"} == {
            name: value for name, value in asked.headers.items() if not name.startswith(":")
        }
        assert ("/a%20b?c", b"body") == (asked.path, bytes(asked.body))


async def test_closing_ends_what_is_under_way() -> None:
    """The connection says goodbye; a request without a reply may have been acted on."""
    client = Client()
    async with scripted(AUTHORITY, lambda _: None) as server:
        sending = asyncio.create_task(client.send(post(server.origin + "/"), ca=AUTHORITY.ca_pem))
        await server.until(lambda: bool(server.asked))
        await client.close()

        with pytest.raises(Ambiguous):
            await sending


async def test_a_reply_is_json_from_google() -> None:
    """The sandbox's token endpoint is reached over HTTP/2 as Google's would be."""
    async with Sandbox.running(authority=AUTHORITY) as sandbox, client_of(AUTHORITY) as client:
        reply = await client.send(
            post(
                sandbox.addresses()["fcm"] + "/token",
                b"grant_type=nonsense",
                {"content-type": "application/x-www-form-urlencoded"},
            ),
            ca=AUTHORITY.ca_pem,
        )

    assert 400 <= reply.status < 500
    assert json.loads(reply.body)


async def test_replies_over_http1_tell_how_long_they_took() -> None:
    """There is a time for each, whatever carried it."""
    async with listening(Http1, None) as port, client_of(AUTHORITY) as client:
        origin = f"http://127.0.0.1:{port}"
        template = http2.template("POST", origin, "/", (), b"{}")
        took = array("H")

        replies = await client.exchange(Destination(origin), template, [(), ()], took=took)

    assert ([201, 201], 2) == ([getattr(each, "status", each) for each in replies], len(took))
