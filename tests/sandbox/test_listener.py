import asyncio
from urllib.parse import urlsplit

import httpx
import pytest
from h2.events import ResponseReceived

from heliograph.sandbox import Authority, Credentials, Sandbox
from sandbox.peer import PATIENCE_SECONDS, Peer


async def test_apple_speaks_http2_only(sandbox: Sandbox, http1_client: httpx.AsyncClient) -> None:
    """A client that speaks HTTP/1.1 is dropped by the APNs port."""
    with pytest.raises(httpx.TransportError):
        await http1_client.post(sandbox.addresses()["apns"] + "/3/device/00")


async def test_apple_needs_no_negotiation(sandbox: Sandbox) -> None:
    """A sender that speaks HTTP/2 without having offered it in the handshake is understood."""
    address = sandbox.addresses()["apns"]
    async with Peer.connected(address, sandbox.authority, alpn=()) as peer:
        stream_id = peer.ask("/3/device/00", {})
        peer.flush()
        answer = await peer.until(ResponseReceived, stream_id=stream_id)

    assert (b":status", b"400") == answer.headers[0]


@pytest.mark.parametrize("service", ["apns", "fcm", "webpush"])
async def test_http2_is_chosen_where_offered(
    sandbox: Sandbox, http2_client: httpx.AsyncClient, service: str
) -> None:
    """All three services speak HTTP/2."""
    response = await http2_client.post(sandbox.addresses()[service] + "/nothing")

    assert "HTTP/2" == response.http_version


async def test_plain_text_is_not_served(sandbox: Sandbox) -> None:
    """A client without TLS gets nothing but the end."""
    address = urlsplit(sandbox.addresses()["fcm"])
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await asyncio.gather(reader.read(), return_exceptions=True)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    assert b"HTTP" not in (answer[0] if isinstance(answer[0], bytes) else b"")


async def test_stopping_ends_idle_connections(
    authority: Authority, credentials: Credentials
) -> None:
    """A stop does not wait for clients that keep their connections, of either version."""
    context = authority.client_context()
    async with (
        httpx.AsyncClient(http1=False, http2=True, verify=context) as modern,
        httpx.AsyncClient(verify=context) as old,
    ):
        async with Sandbox.running(authority=authority, credentials=credentials) as sandbox:
            url = sandbox.addresses()["webpush"] + "/nothing"
            responses = [await client.post(url) for client in (modern, old)]
        with pytest.raises(httpx.TransportError):
            await modern.post(url)

    assert [404, 404] == [response.status_code for response in responses]
