import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from heliograph.sandbox import Authority, Credentials, Sandbox


async def test_addresses(sandbox: Sandbox) -> None:
    """Each service has a URL, and its port is not 0."""
    addresses = sandbox.addresses()

    assert {
        "management": "http",
        "apns": "https",
        "apns_sandbox": "https",
        "fcm": "https",
        "webpush": "https",
        "webpush_ws": "ws",
    } == {name: urlsplit(url).scheme for name, url in addresses.items()}
    assert all(urlsplit(url).hostname == "127.0.0.1" for url in addresses.values())
    assert all(urlsplit(url).port for url in addresses.values())
    assert "/firefox" == urlsplit(addresses["webpush_ws"]).path


async def test_credentials(sandbox: Sandbox) -> None:
    """The credentials come with where to use them and whom to trust."""
    addresses, credentials = sandbox.addresses(), sandbox.credentials()

    for apple in (credentials["apns"], credentials["apns_certificate"]):
        assert (addresses["apns"], addresses["apns_sandbox"], sandbox.authority.ca_pem) == (
            apple["endpoint"],
            apple["sandbox_endpoint"],
            apple["ca"],
        )
    assert addresses["fcm"] == credentials["fcm"]["endpoint"]
    assert sandbox.authority.ca_pem == credentials["fcm"]["ca"]


def test_credentials_before_the_start() -> None:
    """Nothing is known of a sandbox that does not run."""
    with pytest.raises(RuntimeError, match="not been started"):
        Sandbox().credentials()


async def test_credentials_are_made_up_at_the_start(authority: Authority) -> None:
    """A sandbox that is given none invents its own."""
    async with Sandbox.running(authority=authority) as sandbox:
        assert 10 == len(str(sandbox.credentials()["apns"]["key_id"]))


async def test_nothing_is_left_running(authority: Authority, credentials: Credentials) -> None:
    """After a stop no task and no port remains, and a second stop does nothing."""
    before = asyncio.all_tasks()
    sandbox = Sandbox(authority=authority, credentials=credentials)
    await sandbox.start()
    async with httpx.AsyncClient() as client:
        await client.get(sandbox.addresses()["management"] + "/stats")
    await sandbox.stop()
    await sandbox.stop()

    assert before == asyncio.all_tasks()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(sandbox.addresses()["apns"]).port or 0))


async def test_taken_port(sandbox: Sandbox, authority: Authority, credentials: Credentials) -> None:
    """A sandbox that cannot have a port does not start at all."""
    taken = urlsplit(sandbox.addresses()["fcm"]).port or 0
    other = Sandbox(authority=authority, credentials=credentials, fcm_port=taken)

    with pytest.raises(OSError, match="in use"):
        await other.start()
    await other.stop()


async def test_two_side_by_side(
    sandbox: Sandbox, authority: Authority, credentials: Credentials
) -> None:
    """Two sandboxes know nothing of each other."""
    async with Sandbox.running(authority=authority, credentials=credentials) as other:
        assert not set(sandbox.addresses().values()) & set(other.addresses().values())


async def test_ipv6(authority: Authority, credentials: Credentials) -> None:
    """A sandbox may live on the other loopback."""
    async with (
        Sandbox.running(host="::1", authority=authority, credentials=credentials) as sandbox,
        httpx.AsyncClient(verify=authority.client_context()) as client,
    ):
        response = await client.post(sandbox.addresses()["webpush"] + "/nothing")
        page = await client.get(sandbox.addresses()["management"] + "/screens")

    assert (404, 200) == (response.status_code, page.status_code)
