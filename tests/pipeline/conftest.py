"""The product's inside, without doors, at a time that the test sets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import Clock, Gateways, Workshop, gateways_running, workshop_in
from heliograph.storage.database import Database
from postgres import ENGINES, Postgres

_ON_BOTH = {
    "test_accept",
    "test_acknowledge",
    "test_call",
    "test_cancel",
    "test_editions",
    "test_expand",
    "test_isolation",
    "test_ledger",
    "test_notify",
    "test_progress",
    "test_pruning",
    "test_settle",
    "test_worker",
}
"""The steps that write; the others see the database only through these."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the steps that write on both engines."""
    engines = ENGINES if metafunc.module.__name__.rpartition(".")[2] in _ON_BOTH else ENGINES[:1]
    if "workshop" in metafunc.fixturenames:
        metafunc.parametrize("workshop", engines, indirect=True)


@pytest.fixture
async def workshop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workshop]:
    """Everything behind the API; on SQLite unless the module is one that writes."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        async with server.migrated() as url, Database.opened(url) as database:
            yield Workshop(database, Clock())
        return
    async with workshop_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def gateways(workshop: Workshop) -> AsyncIterator[Gateways]:
    async with gateways_running(workshop.clock) as running:
        yield running
