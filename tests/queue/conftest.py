"""Each queue in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from queues import QUEUES, Stage, stage_of


@pytest.fixture(params=QUEUES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage_of(request, tmp_path) as opened:
        yield opened
