import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployment import DEPLOY, SECRETS, command_problem, environment_of, settings_problem, unit
from processes import Running

UNITS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))


def run_by(name: str) -> list[str]:
    """What follows the program in a unit's ExecStart."""
    (line,) = unit(name)["ExecStart"]
    return line.split()[1:]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_has_settings_that_the_server_takes(name: str, tmp_path: Path) -> None:
    """The server would start with the environment of each unit."""
    environment = environment_of(unit(name), instance="8040", folder=str(tmp_path))

    assert None is settings_problem(environment, tmp_path)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_a_command_that_exists(name: str) -> None:
    """What each unit runs is a command of ``heliograph``."""
    assert None is command_problem(run_by(name))


@pytest.mark.parametrize("name", UNITS)
def test_every_credential_that_is_read_is_loaded(name: str) -> None:
    """Settings name the credentials that systemd loads, each from a file of its name."""
    lines = unit(name)
    loaded = dict(line.split(":") for line in lines["LoadCredential"])

    assert set(re.findall(r"%d/(\w+)", " ".join(lines["Environment"]))) == set(loaded)
    assert {n: f"/etc/heliograph/credentials/{n}" for n in loaded} == loaded


@pytest.mark.parametrize("name", UNITS)
def test_units_are_hardened_alike(name: str) -> None:
    """What one unit must not do, no other does."""

    def fence(text: str) -> str:
        return text.partition("# --- what it may do")[2].partition("[Install]")[0].strip()

    first, this = ((DEPLOY / "systemd" / each).read_text() for each in ("heliograph.service", name))

    assert fence(first) == fence(this)
    assert "ProtectSystem=strict" in fence(this)


@pytest.mark.parametrize("name", [name for name in UNITS if "migrate" not in name])
def test_a_server_has_time_to_end(name: str) -> None:
    """The 15 seconds in which the server ends by itself are left to it."""
    (seconds,) = unit(name)["TimeoutStopSec"]

    assert int(seconds) > 15


@asynccontextmanager
async def running(
    *arguments: str, environment: dict[str, str], folder: Path
) -> AsyncIterator[Running]:
    """A process that has nothing in its environment but what is given and how to find Python."""
    folder.mkdir()
    errors = folder / "stderr.log"
    with errors.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "heliograph",
            *arguments,
            env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
            | environment,
            stderr=log,
        )
    try:
        yield Running(process, folder, errors)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_unit_of_one_machine_serves(tmp_path: Path) -> None:
    """What heliograph.service runs, in its environment, gets ready and ends cleanly."""
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    environment = environment_of(unit("heliograph.service"), instance="", folder=str(tmp_path))
    state = tmp_path / "state"
    environment |= {"HELIOGRAPH_DATA_DIR": str(state), "HELIOGRAPH_LISTEN": "127.0.0.1:0"}

    async with running(*run_by("heliograph.service"), environment=environment, folder=state) as it:
        ready = await it.ready()
        status = await it.stop()

    assert ("all", 0) == (ready["role"], status)
    assert not (state / "master.key").exists()
