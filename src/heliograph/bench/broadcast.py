"""
``heliograph bench broadcast``: one publish to everybody, and what that takes.

The product runs as an operator starts it, on one core; the sink on another. What it
takes is the CPU time of its whole process, from the publish to the last settlement, and
the most memory that it ever had.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from heliograph.bench.crowd import EVERYBODY, SOME, Audience, gather
from heliograph.bench.customer import Customer
from heliograph.bench.findings import Findings, Table, waiting
from heliograph.bench.program import Engines, Program, settings_in
from heliograph.bench.report import number
from heliograph.bench.rounds import SinkProcess
from heliograph.bench.sink import Shape
from heliograph.bench.stages import stages
from heliograph.bench.work import Workshop
from heliograph.model import Gateway

_PART: Final = 10
"""The smaller audience is one in so many: memory must not depend on it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a run takes place."""

    folder: Path
    engines: Engines
    audience: Audience
    workshop: Workshop
    sink: SinkProcess


@dataclass(frozen=True, slots=True)
class Cost:
    """What one publish took."""

    count: int
    shape: Shape
    cpu_seconds: float
    seconds: float
    peak_bytes: int

    def cells(self) -> tuple[str, ...]:
        """A line of a table."""
        return (
            f"{self.count:,}",
            self.shape,
            number(self.cpu_seconds / self.count * 1e6),
            f"{self.count / self.seconds:,.0f}",
            f"{self.peak_bytes / 1e6:,.0f}",
        )


async def measure(devices: int, engines: Engines, console: Console) -> Findings:
    """
    Gather an audience, and publish to a part of it and to all of it.

    Args:
        devices: How many.
        engines: Where to keep them, and how work is handed out.
        console: Where to show that something happens.
    """
    some = max(devices // _PART, 1)
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name:
        folder = Path(name)
        settings = settings_in(folder, engines.database_url)
        with waiting(console, "registering", devices) as tell:
            audience = await gather(settings, devices, some, tell)
        workshop = Workshop(folder, browsers=0)
        with SinkProcess.running(workshop.certificate) as sink:
            ground = Ground(folder, engines, audience, workshop, sink)
            costs = [
                await _publish(ground, interest, count, shape, console)
                for interest, count in ((SOME, some), (EVERYBODY, devices))
                for shape in Shape
            ]
            parts = {}
            for shape in Shape:
                origin = sink.origin(Gateway.APNS, shape)
                task = workshop.task(Gateway.APNS, origin, 0)
                with waiting(console, f"{shape}, stage by stage", some) as tell:
                    parts[shape] = await stages(settings, audience, task, SOME, tell)
    return Findings(
        "broadcast",
        (
            Table(
                "One publish, on one core",
                ("devices", "replies", "µs CPU each", "a second", "peak MB"),
                tuple(each.cells() for each in costs),
            ),
            Table(
                "Stage by stage, one batch at a time: µs CPU a device",
                ("replies", *parts[Shape.RECORDS]),
                tuple((shape, *map(number, each.values())) for shape, each in parts.items()),
            ),
        ),
    )


async def _publish(
    ground: Ground, interest: str, count: int, shape: Shape, console: Console
) -> Cost:
    origin = ground.sink.origin(Gateway.APNS, shape)
    with (
        Program.running(ground.folder, core=0, engines=ground.engines) as server,
        waiting(console, f"{shape} to {interest}", count) as tell,
    ):
        async with httpx.AsyncClient(base_url=server.endpoint, timeout=60) as http:
            customer = Customer(http, ground.audience)
            await customer.sends_to(origin, ground.workshop.task(Gateway.APNS, origin, 0))
            cpu, began = server.cpu_seconds(), time.monotonic()
            await customer.finished(await customer.publish_to_interest(interest), tell)
            return Cost(
                count,
                shape,
                server.cpu_seconds() - cpu,
                time.monotonic() - began,
                server.peak_bytes(),
            )
