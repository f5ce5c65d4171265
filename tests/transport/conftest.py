"""The imitated services for the tests of what talks to them."""

from collections.abc import AsyncIterator

import pytest

from builders import Clock, Gateways, gateways_running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gateways(clock: Clock) -> AsyncIterator[Gateways]:
    async with gateways_running(clock) as running:
        yield running
