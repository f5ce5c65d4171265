from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.sandbox import Authority, Credentials, Sandbox
from judges.stage import GooglesAuthority, Stage


@pytest.fixture(scope="session")
def authority() -> Authority:
    return GooglesAuthority()


@pytest.fixture(scope="session")
def ca_file(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox's root certificate, for clients that take a file."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_text(authority.ca_pem)
    return path


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    """What the sandbox accepts."""
    return Credentials.generate()


@pytest.fixture(scope="session")
def strangers() -> Credentials:
    """Credentials of somebody else."""
    return Credentials.generate()


@pytest.fixture
async def stage(authority: Authority, credentials: Credentials) -> AsyncIterator[Stage]:
    async with Sandbox.running(authority=authority, credentials=credentials) as sandbox:
        yield Stage(sandbox)
