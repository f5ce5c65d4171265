import asyncio
from urllib.parse import urlsplit

import httpx
import pytest

from heliograph.sandbox import Credentials, Sandbox
from heliograph.sandbox.devices import Platform
from heliograph.sandbox.scenario import Fault, FaultName, Plan
from heliograph.sandbox.server import utc_now
from sandbox.peer import PATIENCE_SECONDS
from sandbox.senders import VapidSender, assertion, grant_form, sealed


async def push(sandbox: Sandbox, client: httpx.AsyncClient) -> httpx.Response:
    """A web push to a browser of its own."""
    device = sandbox.devices.mint(Platform.WEB, now=utc_now())
    headers = VapidSender(sandbox.addresses()["webpush"]).headers(now=utc_now())
    assert device.endpoint is not None
    return await client.post(device.endpoint, content=sealed(device, {}), headers=headers)


async def raw(sandbox: Sandbox, request: bytes) -> bytes:
    """All that is answered to these bytes until the connection ends."""
    address = urlsplit(sandbox.addresses()["webpush"])
    context = sandbox.authority.client_context()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.read()
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return answer


async def test_web_push(sandbox: Sandbox, http1_client: httpx.AsyncClient) -> None:
    """A sender of HTTP/1.1 is served, again and again on one connection."""
    responses = [await push(sandbox, http1_client) for _ in range(3)]

    assert [("HTTP/1.1", 201)] * 3 == [
        (response.http_version, response.status_code) for response in responses
    ]
    assert 3 == len(sandbox.inbox)
    assert 1 == _connections(sandbox)


async def test_token_and_message(
    sandbox: Sandbox, credentials: Credentials, http1_client: httpx.AsyncClient
) -> None:
    """Google's two steps, a token and a message, work over HTTP/1.1."""
    url = sandbox.addresses()["fcm"]
    token_uri = f"{url}/token"
    text = assertion(credentials, token_uri=token_uri, now=utc_now())
    granted = await http1_client.post(token_uri, content=grant_form(text))
    device = sandbox.devices.mint(Platform.FCM, now=utc_now())
    response = await http1_client.post(
        f"{url}/v1/projects/{credentials.project_id}/messages:send",
        json={"message": {"token": device.key, "notification": {"title": "Hello"}}},
        headers={"authorization": f"Bearer {granted.json()['access_token']}"},
    )

    assert 200 == response.status_code
    assert [device] == [entry.device for entry in sandbox.inbox.entries()]


async def test_head_has_no_body(sandbox: Sandbox, http1_client: httpx.AsyncClient) -> None:
    """HEAD is answered with the length of what GET would bring."""
    response = await http1_client.head(sandbox.addresses()["webpush"] + "/push/x")

    assert (404, b"") == (response.status_code, response.content)
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "name",
    [
        FaultName.RESET,
        FaultName.REFUSED_STREAM,
        FaultName.GOAWAY,
        FaultName.DISCONNECT,
        FaultName.LOST_ANSWER,
    ],
)
async def test_faults_of_the_connection(
    sandbox: Sandbox, http1_client: httpx.AsyncClient, name: FaultName
) -> None:
    """What ends a stream in HTTP/2 ends the connection here; a lost answer delivers first."""
    sandbox.scenario.follow(Plan(faults=(Fault(name),)))

    with pytest.raises(httpx.TransportError):
        await push(sandbox, http1_client)
    assert (name is FaultName.LOST_ANSWER) == bool(len(sandbox.inbox))


async def test_slow_fault(sandbox: Sandbox, http1_client: httpx.AsyncClient) -> None:
    """A late answer comes, and the connection goes on."""
    fault = Fault(FaultName.SLOW, times=1, delay_seconds=0.02)
    sandbox.scenario.follow(Plan(faults=(fault,)))
    responses = [await push(sandbox, http1_client) for _ in range(2)]

    assert [201, 201] == [response.status_code for response in responses]
    assert 1 == _connections(sandbox)


async def test_sender_that_asks_first(sandbox: Sandbox) -> None:
    """Expect: 100-continue is answered before the body is sent."""
    answer = await raw(
        sandbox,
        b"POST /push/x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\n"
        b"content-length: 1\r\n\r\nx",
    )

    assert b"404" in answer


async def test_nonsense_is_a_bad_request(sandbox: Sandbox) -> None:
    """Bytes that are no HTTP are answered 400, and the connection ends."""
    answer = await raw(sandbox, b"what is this\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")


def _connections(sandbox: Sandbox) -> int:
    stats = sandbox.stats.as_json()["web"]
    assert isinstance(stats, dict)
    opened = stats["connections"]["opened"]
    assert isinstance(opened, int)
    return opened
