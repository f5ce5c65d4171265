"""One product for each test module, and an instance of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.beams.words import Beams
from support import Served, in_process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the module's product."""
    return tmp_path_factory.mktemp("product")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(folder: Path) -> AsyncIterator[Served]:
    """A product that every test of a module asks; no rate is in their way."""
    async with in_process(folder, publish_rate=100_000) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def beams(shared: Served, folder: Path) -> Beams:
    """An instance that no other test knows."""
    instance = await shared.product.instances.create("test")
    return Beams(shared.product, instance, shared.http, folder)
