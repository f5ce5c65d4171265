"""
What the embedded server costs: registration, ingress, and a publish to a crowd.

Server and sandbox run as processes of their own, as in real life. CPU is the
server's, read from ``/proc``, so that the costs of this client and of the sandbox do
not count; rates depend on both and on the machine, and are shown for orientation.

    python benchmarks/embedded.py --devices 2000 --publishes 2000
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

_ADMIN_TOKEN: Final = "a-token-for-benchmarks"  # noqa: S105  (of a server on loopback)
_CONNECTIONS: Final = 32
_START_SECONDS: Final = 20
_LOG: Final = "log.jsonl"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the result."""

    what: str
    count: int
    wall_seconds: float
    cpu_seconds: float


@contextmanager
def running(arguments: list[str], folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A heliograph process with its log in its folder, stopped as an operator would."""
    folder.mkdir()
    environment = os.environ | {
        "HELIOGRAPH_DATA_DIR": str(folder),
        "HELIOGRAPH_ADMIN_TOKEN": _ADMIN_TOKEN,
        "HELIOGRAPH_LOG_FORMAT": "json",
        "HELIOGRAPH_PUBLISH_RATE": "1000000",
        **settings,
    }
    with (folder / _LOG).open("w") as log:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, "-m", "heliograph", *arguments],
            env=environment,
            stderr=log,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_START_SECONDS)


def endpoint_of(folder: Path) -> str:
    """Where a server listens, from the log line that says that it is ready."""
    for line in _once_there(folder / _LOG, '"event": "ready"').splitlines():
        event = json.loads(line)
        if event["event"] == "ready":
            return str(event["endpoint"])
    raise RuntimeError("the server did not say where it listens")


def sandbox_of(folder: Path) -> dict[str, str]:
    """Where a sandbox listens, from what it writes when it answers."""
    note: dict[str, str] = json.loads(_once_there(folder / "sandbox.json", "management"))
    return note


def _once_there(path: Path, word: str) -> str:
    """The text of a file, once it holds a word."""
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists() or word not in path.read_text():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path.name} did not come")
        time.sleep(0.02)
    return path.read_text()


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """User and system time that a process has used so far (proc(5))."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def spread(
    name: str, count: int, call: Callable[[int], Awaitable[Any]], progress: Progress
) -> None:
    """Make so many calls, over as many connections as we have."""
    task = progress.add_task(name, total=count)
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await call(number)
            progress.advance(task)

    await asyncio.gather(*[caller() for _ in range(_CONNECTIONS)])


class Bench:
    """The work, against one server."""

    def __init__(
        self, http: httpx.AsyncClient, server: subprocess.Popen[str], progress: Progress
    ) -> None:
        self._http = http
        self._server = server
        self._progress = progress
        self._admin = {"authorization": f"Bearer {_ADMIN_TOKEN}"}

    async def prepare(self, sandbox: dict[str, str]) -> None:
        """An instance with the sandbox's credentials."""
        made = await self._http.post(
            "/admin/v1/instances", json={"name": "bench"}, headers=self._admin
        )
        self._instance = made.json()["instance_id"]
        self._secret = {"authorization": f"Bearer {made.json()['secret_key']}"}
        credentials = (await self._http.get(f"{sandbox['management']}/credentials")).json()
        url = f"/admin/v1/instances/{self._instance}/credentials/apns"
        put = await self._http.put(url, json=credentials["apns"], headers=self._admin)
        put.raise_for_status()

    async def register(self, tokens: list[dict[str, str]]) -> None:
        """Register every token, and subscribe each to one interest."""

        async def one(number: int) -> None:
            base = f"/device_api/v1/instances/{self._instance}/devices/apns"
            token = tokens[number]
            body = {"token": token["token"], "bundleIdentifier": token["topic"]}
            answer = await self._http.post(base, json=body)
            device = answer.json()["id"]
            (await self._http.post(f"{base}/{device}/interests/crowd")).raise_for_status()

        await spread("register and subscribe", len(tokens), one, self._progress)

    async def publish_to_single_users(self, count: int) -> None:
        """Durable publishes to users without a device, each walked to its end."""
        body = {"apns": {"aps": {"alert": {"title": "Hello", "body": "x" * 200}}}}
        url = f"/publish_api/v1/instances/{self._instance}/publishes/users"

        async def one(number: int) -> None:
            answer = await self._http.post(
                url, json={"users": [f"user-{number}"], **body}, headers=self._secret
            )
            answer.raise_for_status()
            published.append(answer.json()["publishId"])

        published: list[str] = []
        await spread("publish to one user", count, one, self._progress)
        for publish in published[-_CONNECTIONS:]:  # the next measurement begins at rest
            await self.finished(publish)

    async def publish_to_the_crowd(self, expected: int) -> None:
        """One publish to every device, until the last of them is settled."""
        answer = await self._http.post(
            f"/publish_api/v1/instances/{self._instance}/publishes/interests",
            json={"interests": ["crowd"], "apns": {"aps": {"alert": "Hello"}}},
            headers=self._secret,
        )
        task = self._progress.add_task("deliver to the crowd", total=expected)
        counts = await self.finished(answer.json()["publishId"])
        self._progress.update(task, completed=counts["sent"])
        if counts["sent"] != expected:
            raise RuntimeError(f"not everybody was reached: {counts}")

    async def finished(self, publish: str) -> dict[str, Any]:
        """The counts of a publish, once every delivery of it is over."""
        url = f"/admin/v1/instances/{self._instance}/publishes/{publish}"
        while True:
            counts: dict[str, Any] = (await self._http.get(url, headers=self._admin)).json()
            if counts["state"] == "finished":
                return counts
            await asyncio.sleep(0.05)

    async def measured(self, what: str, count: int, work: Awaitable[None]) -> Measurement:
        """Time some work, and the server's part in it."""
        wall, cpu = time.perf_counter(), cpu_seconds(self._server)
        await work
        return Measurement(what, count, time.perf_counter() - wall, cpu_seconds(self._server) - cpu)


async def measure(devices: int, publishes: int, console: Console) -> list[Measurement]:
    """Run everything once."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(["sandbox"], Path(folder) / "sandbox", HELIOGRAPH_SANDBOX_LISTEN="127.0.0.1:0"),
        running(["serve"], Path(folder) / "server", HELIOGRAPH_LISTEN="127.0.0.1:0") as server,
        Progress(console=console) as progress,
    ):
        sandbox = sandbox_of(Path(folder) / "sandbox")
        endpoint = endpoint_of(Path(folder) / "server")
        async with httpx.AsyncClient(base_url=endpoint, timeout=60) as http:
            bench = Bench(http, server, progress)
            await bench.prepare(sandbox)
            minted = await http.post(
                f"{sandbox['management']}/devices", json={"platform": "apns", "count": devices}
            )
            tokens = minted.json()["devices"]
            return [
                await bench.measured(
                    "registration with one interest", devices, bench.register(tokens)
                ),
                await bench.measured(
                    "durable publish to one user, to its end",
                    publishes,
                    bench.publish_to_single_users(publishes),
                ),
                await bench.measured(
                    "delivery of one publish, per device",
                    devices,
                    bench.publish_to_the_crowd(devices),
                ),
            ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--publishes", type=int, default=2000)
    options = parser.parse_args()
    console = Console()
    results = asyncio.run(measure(options.devices, options.publishes, console))
    table = Table("what", "count", "server CPU µs each", "each second")
    for each in results:
        table.add_row(
            each.what,
            f"{each.count:,}",
            f"{each.cpu_seconds / each.count * 1e6:,.0f}",
            f"{each.count / each.wall_seconds:,.0f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
