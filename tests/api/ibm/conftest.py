"""An instance of its own for each test, spoken to in IBM's words."""

from pathlib import Path

import pytest_asyncio

from api.ibm.words import App
from support import Served


@pytest_asyncio.fixture(loop_scope="module")
async def app(shared: Served, folder: Path) -> App:
    """An instance that no other test knows."""
    instance = await shared.product.instances.create("test")
    return App(shared.product, instance, shared.http, folder)
