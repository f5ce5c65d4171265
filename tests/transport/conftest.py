import pytest

from heliograph.sandbox import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()
