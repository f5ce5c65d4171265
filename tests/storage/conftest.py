"""A database of each kind for each test of a room of queries."""

import pytest

from heliograph.storage.database import Database


@pytest.fixture
def database(either_database: Database) -> Database:
    return either_database
