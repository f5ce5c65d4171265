"""What tests of several rooms run on: each engine that the product can keep things in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

import jetstream as brokers
import postgres as servers
from builders import migrated_in
from heliograph.storage.database import Database
from jetstream import Nats
from postgres import ENGINES, Postgres


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """A command that a test runs decides what is logged: not for the tests after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with servers.running() as server:
        yield server


@pytest.fixture(params=ENGINES)
async def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a migrated database of each kind."""
    if request.param == "sqlite":
        yield await migrated_in(tmp_path)
        return
    server: Postgres = request.getfixturevalue("postgres")
    async with server.migrated() as url:
        yield url


@pytest.fixture
async def either_database(either_url: str) -> AsyncIterator[Database]:
    async with Database.opened(either_url) as opened:
        yield opened


@pytest.fixture
async def shared_url(postgres: Postgres) -> AsyncIterator[str]:
    """The address of a migrated database that other processes may work in."""
    async with postgres.migrated() as url:
        yield url


@pytest.fixture
async def shared_database(shared_url: str) -> AsyncIterator[Database]:
    async with Database.opened(shared_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def nats() -> Iterator[Nats]:
    """A NATS server for all tests that leave it alive; each has a name of its own there."""
    with brokers.running() as server:
        yield server
