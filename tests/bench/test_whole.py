"""What the whole product costs: every measurement from end to end, on a small scale."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from heliograph.cli import commands
from postgres import Postgres


def measured(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    """What a sub-command of ``heliograph bench`` writes down."""
    wanted = ["bench", name, *arguments, "--output", str(folder)]
    result = CliRunner().invoke(commands, wanted)
    assert 0 == result.exit_code, f"{result.output} {result.exception!r}"
    assert (folder / f"{name}.md").read_text().count("\n| ") >= 3
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return found


def test_a_broadcast_is_measured_in_every_size_and_shape(tmp_path: Path) -> None:
    """A tenth of the devices and all of them, in both shapes of replies, and stage by stage."""
    found = measured(tmp_path, "broadcast", "--devices", "30")

    costs = found["One publish, on one core"]
    stages = found["Stage by stage, one batch at a time: µs CPU a device"]
    assert [
        (3, "coalesced"),
        (3, "records"),
        (30, "coalesced"),
        (30, "records"),
    ] == [(each["devices"], each["replies"]) for each in costs]
    assert all(each["µs CPU each"] > 0 and each["peak MB"] > 0 for each in costs)
    assert ["coalesced", "records"] == [each["replies"] for each in stages]
    assert all(each["send"] > 0 for each in stages)


def test_a_neighbour_is_measured_idle_and_busy(tmp_path: Path) -> None:
    """Publishes to one person each arrive, before a broadcast and beside one."""
    found = measured(tmp_path, "neighbour", "--devices", "50", "--seconds", "0.2")

    idle, busy = found["From the request to the gateway"]
    assert ("idle", "beside a broadcast") == (idle["server"], busy["server"])
    assert all(each["publishes"] >= 1 and 0 < each["p50 ms"] for each in (idle, busy))


@pytest.mark.parametrize("gateway", ["apns", "web"])
async def test_two_workers_are_measured_against_one(
    tmp_path: Path, postgres: Postgres, gateway: str
) -> None:
    """Over one PostgreSQL, in turns; the one is the measure of the other."""
    async with postgres.migrated() as url:
        wanted = (url, "--devices", "40", "--rounds", "1", "--gateway", gateway)
        found = await asyncio.to_thread(measured, tmp_path, "scale", *wanted)

    one, two = found["Medians of all turns"]
    assert (1, 1.0, 2) == (one["workers"], one["times one"], two["workers"])
    assert two["times one"] > 0


async def test_google_is_not_measured_with_two_workers() -> None:
    """A gateway of which there is no crowd is refused by name, before anything is done."""
    wanted = ["bench", "scale", "postgresql:///nobody", "--gateway", "fcm"]
    result = await asyncio.to_thread(CliRunner().invoke, commands, wanted)

    assert (2, True) == (result.exit_code, "--gateway" in result.output)
