"""The product's inside, without doors, at a time that the test sets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import Gateways, Workshop, gateways_running, workshop_in


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def gateways(workshop: Workshop) -> AsyncIterator[Gateways]:
    async with gateways_running(workshop.clock) as running:
        yield running
