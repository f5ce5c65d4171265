"""A database for each test of a room of queries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import database_in
from heliograph.storage.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_in(tmp_path) as opened:
        yield opened
