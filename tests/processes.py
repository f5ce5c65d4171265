"""Heliograph as a process of its own, as an operator runs it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support import ADMIN_TOKEN

PATIENCE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Running:
    """A process, the folder it works in, and what it says."""

    process: asyncio.subprocess.Process
    folder: Path
    errors: Path

    async def note(self, name: str) -> dict[str, Any]:
        """What it writes to a JSON file of its folder when it answers."""
        path = self.folder / name
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not path.exists():
                self.check_alive()
                await asyncio.sleep(0.01)
        value: dict[str, Any] = json.loads(path.read_text())
        return value

    async def ready(self, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The log line in which a server says that it is ready."""
        async with asyncio.timeout(patience):
            while True:
                for line in self.errors.read_text().splitlines():
                    if '"event": "ready"' in line:
                        value: dict[str, Any] = json.loads(line)
                        return value
                self.check_alive()
                await asyncio.sleep(0.01)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    def check_alive(self) -> None:
        """Fail with what it said if it has ended."""
        if self.process.returncode is not None:
            raise AssertionError(f"it ended: {self.errors.read_text()}")


@asynccontextmanager
async def heliograph(*arguments: str, folder: Path, **settings: str) -> AsyncIterator[Running]:
    """A command on free ports; killed at the end if it has not been stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    errors = folder / "stderr.log"
    environment = {name: value for name, value in os.environ.items() if "HELIOGRAPH" not in name}
    environment |= {
        "HELIOGRAPH_DATA_DIR": str(folder),
        "HELIOGRAPH_LISTEN": "127.0.0.1:0",
        "HELIOGRAPH_SANDBOX_LISTEN": "127.0.0.1:0",
        "HELIOGRAPH_ADMIN_TOKEN": ADMIN_TOKEN,
        "HELIOGRAPH_LOG_FORMAT": "json",
        **settings,
    }
    with errors.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "heliograph",
            *arguments,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield Running(process, folder, errors)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
