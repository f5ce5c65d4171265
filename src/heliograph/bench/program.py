"""
The product as a process of its own: ``heliograph serve``, as an operator starts it.

What it takes is read from the system's own records of it, so nothing is measured by
what is being measured.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heliograph.bench.peers.meter import peak_of
from heliograph.bench.rounds import on_core
from heliograph.config import Settings
from heliograph.errors import HeliographError

ADMIN_TOKEN: Final = "a-token-for-benchmarks"  # noqa: S105  (of a server on loopback)
MASTER_KEY: Final = "a-master-key-for-benchmarks"

_ANY_RATE: Final = 1_000_000
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Engines:
    """What a program keeps things in, and hands work out by."""

    database_url: str | None = None
    """An empty database; None is a file that is gone afterwards."""
    queue_url: str | None = None
    """A NATS; None is the database."""


EMBEDDED: Final = Engines()


def settings_in(folder: Path, database_url: str | None) -> Settings:
    """The settings of a program, for who looks into its database."""
    return Settings(
        data_dir=folder,
        database_url=database_url,
        master_key=MASTER_KEY,
        admin_token=ADMIN_TOKEN,
        publish_rate=_ANY_RATE,
    )


class Program:
    """A server, or a worker, that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Wait until it says that it is ready."""
        self._process = process
        self._log = log
        self.endpoint = self._ready()
        """Where it listens; empty if its role is only to deliver."""

    @classmethod
    @contextmanager
    def running(
        cls,
        folder: Path,
        *,
        core: int | None,
        role: str = "all",
        engines: Engines = EMBEDDED,
        besides: Mapping[str, str] | None = None,
    ) -> Iterator["Program"]:
        """
        One that is ready, on a core of its own; stopped on exit as an operator would.

        ``besides`` are environment variables that it needs besides the usual ones.
        """
        environment = {key: each for key, each in os.environ.items() if "HELIOGRAPH" not in key}
        environment |= {
            "HELIOGRAPH_DATA_DIR": str(folder),
            "HELIOGRAPH_ADMIN_TOKEN": ADMIN_TOKEN,
            "HELIOGRAPH_MASTER_KEY": MASTER_KEY,
            "HELIOGRAPH_LISTEN": "127.0.0.1:0",
            "HELIOGRAPH_LOG_FORMAT": "json",
            "HELIOGRAPH_PUBLISH_RATE": str(_ANY_RATE),
        }
        environment |= besides or {}
        if engines.database_url is not None:
            environment["HELIOGRAPH_DATABASE_URL"] = engines.database_url
        if engines.queue_url is not None:
            environment["HELIOGRAPH_QUEUE_URL"] = engines.queue_url
        path = folder / f"{role}-{time.monotonic_ns()}.log"
        with on_core(core), path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  (ourselves)
                [sys.executable, "-m", "heliograph", "serve", "--role", role],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            yield cls(process, path)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def cpu_seconds(self) -> float:
        """User and system time that it has used so far, in all of its threads (proc(5))."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            raise HeliographError("this needs Linux, whose files tell a process's time") from None
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """The most memory that it had resident."""
        return peak_of(self._process.pid)

    def _ready(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text(encoding="utf-8").splitlines():
                if line.startswith("{") and (said := json.loads(line)).get("event") == "ready":
                    return str(said.get("endpoint", ""))
            time.sleep(0.05)
        raise HeliographError(f"the server did not start: {self._log.read_text()[-500:]}")
