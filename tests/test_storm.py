"""The storm of phones, in small."""

import asyncio
from pathlib import Path

from benchmarks.storm import storm

from heliograph.bench.program import Program


def test_a_small_storm_is_served(tmp_path: Path) -> None:
    """Each phone makes the calls of iOS, once as an install and once as a launch, without error."""
    with Program.running(tmp_path, core=None) as program:
        first, again = asyncio.run(storm(program, count=20, connections=4))

    assert {"register": 20, "interests": 20, "user": 20} == {
        call: len(seconds) for call, seconds in first.calls.items()
    }
    assert {"register": 20, "metadata": 20, "interests": 20, "user": 20} == {
        call: len(seconds) for call, seconds in again.calls.items()
    }
    assert (20, 20) == (len(first.launches), len(again.launches))
