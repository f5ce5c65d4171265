"""The registry's measurement from end to end, with a few devices."""

import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from builders import add_instance, database_in
from heliograph.bench import curves, registry
from heliograph.bench.curves import Cost
from heliograph.cli import commands

SIZES = ["--devices", "400", "--devices", "100", "--calls", "10"]


def test_the_registry_is_measured(tmp_path: Path) -> None:
    """Each kind of call has a line for each size, the least first, and there is a picture."""
    told = CliRunner().invoke(commands, ["bench", "registry", *SIZES, "--output", str(tmp_path)])

    assert 0 == told.exit_code, told.output
    lines = [line.split() for line in told.output.splitlines() if " user " in line]
    assert ["100", "400", "100", "400"] == [
        next(word for word in line if word.isdigit()) for line in lines
    ]
    assert (tmp_path / "registry.svg").exists()


async def test_it_is_filled_with_devices_that_are_somebodys(tmp_path: Path) -> None:
    """Two devices for each person, each with an address of its own."""
    async with database_in(tmp_path) as database, database.write() as connection:
        instance = await add_instance(connection)

    registry.fill(tmp_path / "heliograph.db", instance, 100, lambda _: None)

    with sqlite3.connect(tmp_path / "heliograph.db") as connection_:
        found = connection_.execute(
            "SELECT count(*), count(DISTINCT address_digest), count(DISTINCT user_number)"
            " FROM devices JOIN users ON users.number = user_number"
        ).fetchone()
    connection_.close()
    assert (100, 100, 50) == found


COSTS = [Cost("register", 100, 10, 20), Cost("register", 1000, 18, 20), Cost("bind", 100, 5, 5)]


def test_growth_is_from_the_least_size() -> None:
    """Each kind of call is held against itself."""
    assert [1.0, 1.8, 1.0] == [curves.growth(each, COSTS) for each in COSTS]


@pytest.mark.parametrize("costs", [COSTS, COSTS[:1]], ids=["some", "one"])
def test_the_picture_is_one(costs: list[Cost]) -> None:
    """An SVG that names every kind of call and every size."""
    words = "".join(ET.fromstring(curves.picture(costs)).itertext())  # noqa: S314  (ours)

    assert all(each.kind in words and f"{each.devices:,}" in words for each in costs)
