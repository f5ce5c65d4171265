from collections.abc import AsyncIterator

import httpx
import pytest

from heliograph.sandbox import Authority, Credentials, Sandbox


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    """One set for all tests: an RSA key is slow to make."""
    return Credentials.generate()


@pytest.fixture
async def sandbox(authority: Authority, credentials: Credentials) -> AsyncIterator[Sandbox]:
    """A sandbox on free ports, with an empty inbox and no devices."""
    async with Sandbox.running(authority=authority, credentials=credentials) as running:
        yield running


@pytest.fixture
async def management_client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the management port."""
    base_url = sandbox.addresses()["management"]
    async with httpx.AsyncClient(base_url=base_url) as client:
        yield client


@pytest.fixture
async def http2_client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A sender that speaks HTTP/2 and trusts the sandbox."""
    context = sandbox.authority.client_context()
    async with httpx.AsyncClient(http1=False, http2=True, verify=context) as client:
        yield client


@pytest.fixture
async def http1_client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A sender that speaks HTTP/1.1 only and trusts the sandbox."""
    context = sandbox.authority.client_context()
    async with httpx.AsyncClient(verify=context) as client:
        yield client
