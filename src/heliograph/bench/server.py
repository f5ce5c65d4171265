"""The server under measurement: a process of its own, pinned to a core, without its worker."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from heliograph.bench.rounds import on_core
from heliograph.errors import HeliographError

_ADMIN_TOKEN: Final = "a-token-for-benchmarks"  # noqa: S105  (of a server on loopback)
_PATIENCE_SECONDS: Final = 120
_LOG: Final = "log.jsonl"
_DATABASE: Final = "heliograph.db"


class Server:
    """The product over SQLite, with an instance."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        """Look at a process that works in a folder."""
        self._process = process
        self._folder = folder
        self.endpoint = str(self._ready()["endpoint"])
        made = httpx.post(
            f"{self.endpoint}/admin/v1/instances",
            json={"name": "bench"},
            headers={"authorization": f"Bearer {_ADMIN_TOKEN}"},
        ).json()
        self.instance, self.secret_key = str(made["instance_id"]), str(made["secret_key"])

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator["Server"]:
        """A server on a core of its own, if there are two; stopped as an operator would."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HELIOGRAPH_")} | {
            "HELIOGRAPH_DATA_DIR": str(folder),
            "HELIOGRAPH_LISTEN": "127.0.0.1:0",
            "HELIOGRAPH_ADMIN_TOKEN": _ADMIN_TOKEN,
            "HELIOGRAPH_LOG_FORMAT": "json",
            "HELIOGRAPH_PUBLISH_RATE": "1000000",
        }
        with (folder / _LOG).open("wb") as log, on_core(1):
            process = subprocess.Popen(
                [sys.executable, "-m", "heliograph.bench.acceptor"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            yield cls(process, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_PATIENCE_SECONDS)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.endpoint)
        return str(parts.hostname), int(parts.port or 0)

    def cpu_seconds(self) -> float:
        """User and system time that it has used so far, in all of its threads (proc(5))."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """What its metrics say under a name without labels; 0 if there is none."""
        text = httpx.get(f"{self.endpoint}/metrics").text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def publishes_kept(self) -> int:
        """How many publishes there are in its file: what it has answered must be among them."""
        with contextlib.closing(sqlite3.connect(self._folder / _DATABASE)) as connection:
            return int(connection.execute("SELECT count(*) FROM publishes").fetchone()[0])

    def _ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in (self._folder / _LOG).read_text(encoding="utf-8").splitlines():
                if '"event": "ready"' in line:
                    said: dict[str, Any] = json.loads(line)
                    return said
            time.sleep(0.02)
        raise HeliographError("the server did not start; its last words are in its log")
