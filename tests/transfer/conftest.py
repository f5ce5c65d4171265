"""The product's inside on both engines: what moves in is written by many rows at once."""

import pytest

from builders import Clock, Workshop
from heliograph.storage.database import Database


@pytest.fixture
async def workshop(either_database: Database) -> Workshop:
    return Workshop(either_database, Clock())
