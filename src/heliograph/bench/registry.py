"""
``heliograph bench registry``: what a call costs, whatever the number of devices there are.

There is a database of each size, and the sizes take turns, so that other work on the
machine is unfair to none. What is measured is the CPU of this process, in all of its
threads, for one call of the product's: no HTTP hides what grows.
"""

import asyncio
import contextlib
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from heliograph import logs
from heliograph.app import now
from heliograph.bench import curves
from heliograph.bench.curves import Cost
from heliograph.bench.rounds import on_core
from heliograph.instances import Instance, Instances
from heliograph.metrics import Metrics
from heliograph.model import (
    ApnsAddress,
    ApnsMessage,
    DeviceId,
    Gateway,
    InstanceNumber,
    Messages,
    ToUsers,
    UserId,
)
from heliograph.pipeline.accept import Accept
from heliograph.queue.database import DatabaseQueue
from heliograph.registry import Registry
from heliograph.storage import devices
from heliograph.storage.database import SQLITE, Database
from heliograph.wire.seal import Seal
from heliograph.writes import Writes

DEVICES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
CALLS: Final = 200
"""Of each kind, at each size."""

_ROUND: Final = 10
"""Calls of each kind before it is another size's turn."""

_FILLED_AT_ONCE: Final = 250_000
_DEVICES_PER_USER: Final = 2
_MASTER_KEY: Final = "the-master-key-of-benchmarks"
_MESSAGES: Final = Messages(apns=ApnsMessage(b'{"aps":{"alert":"Hello"}}'))


def run(
    console: Console,
    *,
    sizes: Sequence[int] = DEVICES,
    calls: int = CALLS,
    folder: Path | None = None,
    output: Path | None = None,
) -> list[Cost]:
    """
    Measure, and print what came of it.

    Args:
        console: Where to print.
        sizes: Devices in each database, the least first.
        calls: How often each kind of call is made at each size.
        folder: Where the databases are put, and removed again; ten million devices take
            5 GB. None: where temporary files go.
        output: A folder for the picture; None: there is none.
    """
    logs.configure(level="warning", style="auto")
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-bench-", dir=folder) as name,
        Progress(console=console, transient=True) as progress,
        on_core(0),  # a call goes from thread to thread, and between cores that costs more
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        costs = runner.run(_measure(Path(name), sizes, calls, progress))
    show(costs, console)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "registry.svg").write_text(curves.picture(costs), encoding="utf-8")
        console.print(f"Written to {output}: registry.svg", highlight=False)
    return costs


def show(costs: Sequence[Cost], console: Console) -> None:
    """Print a table."""
    table = Table("call", "devices", "CPU µs", "wall µs", "times the least size", box=None)
    for row in rows(costs):
        table.add_row(*row)
    console.print(table)


def rows(costs: Sequence[Cost]) -> list[list[str]]:
    """Every cost, in words."""
    return [
        [
            each.kind,
            f"{each.devices:,}",
            f"{each.cpu_us:,.0f}",
            f"{each.wall_us:,.0f}",
            f"{curves.growth(each, costs):.2f}",
        ]
        for each in costs
    ]


# --- measuring -----------------------------------------------------------------------


class Subject:
    """A database with so many devices, and the calls that are made on it."""

    def __init__(self, database: Database, instance: Instance, size: int) -> None:
        """Measure on a database that is filled."""
        self._database = database
        self._instance = instance
        self.size = size
        self._registry = Registry(
            Writes(database, clock=now, randomness=secrets.token_bytes),
            max_devices_per_user=1_000,
        )
        self._accept = Accept(
            database,
            DatabaseQueue(database, now),
            Metrics(),
            clock=now,
            randomness=secrets.token_bytes,
        )
        self._registered: list[DeviceId] = []

    def kinds(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Each kind of call, by its name."""
        return {
            "register a device": self.register,
            "bind a user": self.bind,
            "publish to a user": self.publish,
        }

    async def register(self) -> None:
        """A device that is new."""
        address = ApnsAddress(secrets.token_hex(32))
        made = await self._registry.register(self._instance.number, address, {})
        self._registered.append(made.id)

    async def bind(self) -> None:
        """A person who is known, on a device that nobody is logged in on."""
        device = self._registered.pop()
        await self._registry.bind_user(self._instance.number, device, self._anybody())

    async def publish(self) -> None:
        """A publish that is accepted, and the devices that it is for."""
        target = ToUsers((self._anybody(),))
        await self._accept.accept(self._instance, self._accept.new_id(), target, _MESSAGES)
        async with self._database.read() as connection:
            found = await devices.addressed(
                connection, self._instance.number, target, list(Gateway), after=0, limit=1000
            )
        if len(found) < _DEVICES_PER_USER:
            raise RuntimeError(f"{len(found)} devices were found")

    def _anybody(self) -> UserId:
        return _user(secrets.randbelow(self.size // _DEVICES_PER_USER) + 1)


async def _measure(
    folder: Path, sizes: Sequence[int], calls: int, progress: Progress
) -> list[Cost]:
    filling = progress.add_task("filling", total=sum(sizes))
    async with contextlib.AsyncExitStack() as stack:
        subjects = []
        for size in sizes:
            path = folder / f"{size}.db"
            instance = await _make(path)
            fill(path, instance.number, size, lambda more: progress.advance(filling, more))
            database = await stack.enter_async_context(Database.opened(f"{SQLITE}{path}"))
            subjects.append(Subject(database, instance, size))
        bar = progress.add_task("measuring", total=calls * len(sizes))
        taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(0, calls, _ROUND):
            for subject in subjects:
                for kind, call in subject.kinds().items():
                    taken.setdefault((kind, subject.size), []).extend(
                        [await _timed(call) for _ in range(_ROUND)]
                    )
                progress.advance(bar, _ROUND)
    return [
        Cost(
            kind,
            size,
            cpu_us=median(cpu for cpu, _ in times) * 1e6,
            wall_us=median(wall for _, wall in times) * 1e6,
        )
        for (kind, size), times in sorted(taken.items())
    ]


async def _timed(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await call()
    return time.process_time() - cpu, time.perf_counter() - wall


# --- filling -------------------------------------------------------------------------


async def _make(path: Path) -> Instance:
    """A database with an instance."""
    async with Database.opened(f"{SQLITE}{path}") as database:
        seal = Seal(_MASTER_KEY)
        instances = Instances(database, seal, clock=now, randomness=secrets.token_bytes)
        return await instances.create("bench")


def fill(path: Path, instance: InstanceNumber, size: int, tell: Callable[[int], object]) -> None:
    """Put devices into a database, two to a person, as quickly as SQLite can."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("synchronous=OFF", "cache_size=-4000000"):
            connection.execute(f"PRAGMA {pragma}")
        for first in range(1, size + 1, _FILLED_AT_ONCE):
            last = min(first + _FILLED_AT_ONCE - 1, size)
            people = {"first": (first + 1) // 2, "last": (last + 1) // 2, "instance": instance}
            connection.execute("BEGIN")
            connection.execute(_USERS, people)
            connection.execute(_DEVICES, {"first": first, "last": last, "instance": instance})
            connection.execute("COMMIT")
            tell(last - first + 1)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _user(number: int) -> UserId:
    return UserId(f"user-{number:010}")


_USERS: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers"
    " WHERE n < :last)"
    " INSERT INTO users (number, instance_number, id, created_at)"
    " SELECT n, :instance, printf('user-%010d', n), 0 FROM numbers"
)
_DEVICES: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers"
    " WHERE n < :last)"
    " INSERT INTO devices (number, instance_number, id, gateway, address_digest, token,"
    " metadata, user_number, created_at, registered_at)"
    " SELECT n, :instance, printf('apns-00000000-%04x-7000-8000-%012x', n >> 16, n), 'apns',"
    " randomblob(32), printf('%064x', n), '{}', (n + 1) / 2, 0, 0 FROM numbers"
)
"""Addresses are known by digests, so that their index is in no order: chance fills it."""
