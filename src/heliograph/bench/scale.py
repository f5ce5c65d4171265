"""``heliograph bench scale``: two workers against one, over one PostgreSQL."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from rich.console import Console

from heliograph.bench.crowd import EVERYBODY, gather
from heliograph.bench.customer import Customer
from heliograph.bench.findings import Findings, Table, waiting
from heliograph.bench.program import Engines, Program, settings_in
from heliograph.bench.report import number
from heliograph.bench.rounds import SinkProcess
from heliograph.bench.sink import Shape
from heliograph.bench.work import Workshop
from heliograph.model import Gateway


@dataclass(frozen=True, slots=True)
class Speed:
    """What some workers did together."""

    per_second: float
    cpu_us: float
    """Of the workers, for each device."""


async def measure(
    devices: int, rounds: int, engines: Engines, console: Console, gateway: Gateway = Gateway.APNS
) -> Findings:
    """
    Publish to everybody, with one worker and with two in turns; each has a core of its own.

    Where there are but two cores, whatever else is running shares them with the workers: the
    sink, PostgreSQL, NATS and the API. To browsers it is the workers that have most to do.
    """
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        is_web = gateway is Gateway.WEB
        workshop = Workshop(folder, browsers=devices if is_web else 0)
        sink = stack.enter_context(SinkProcess.running(workshop.certificate))
        stack.enter_context(sink.on_core(None))
        origin = sink.origin(gateway, Shape.RECORDS)
        browsers = workshop.subscriptions(origin)
        settings = settings_in(folder, engines.database_url)
        with waiting(console, "registering", devices) as tell:
            audience = await gather(settings, devices, 0, tell, browsers=browsers)
        with Program.running(folder, core=None, role="api", engines=engines) as api:
            async with httpx.AsyncClient(base_url=api.endpoint, timeout=60) as http:
                customer = Customer(http, audience)
                if not is_web:
                    await customer.sends_to(origin, workshop.task(gateway, origin, 0))
                speeds: dict[int, list[Speed]] = {1: [], 2: []}
                for _ in range(rounds):
                    for workers, measured in speeds.items():
                        with waiting(console, f"workers: {workers}", devices) as tell:
                            place = (folder, engines, workshop, workers)
                            measured.append(await _publish(customer, *place, devices, tell))
    return _told(devices, speeds)


async def _publish(
    customer: Customer,
    folder: Path,
    engines: Engines,
    workshop: Workshop,
    workers: int,
    devices: int,
    tell: Callable[[int], object],
) -> Speed:
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                Program.running(
                    folder, core=core, role="worker", engines=engines, besides=workshop.to_trust()
                )
            )
            for core in range(workers)
        ]
        cpu, began = sum(each.cpu_seconds() for each in running), time.monotonic()
        await customer.finished(await customer.publish_to_interest(EVERYBODY), tell)
        seconds = time.monotonic() - began
        cpu = sum(each.cpu_seconds() for each in running) - cpu
    return Speed(devices / seconds, cpu / devices * 1e6)


def _told(devices: int, speeds: dict[int, list[Speed]]) -> Findings:
    one = median(each.per_second for each in speeds[1])
    rows = []
    for workers, measured in speeds.items():
        rate = median(each.per_second for each in measured)
        cpu = median(each.cpu_us for each in measured)
        rows.append((str(workers), f"{devices:,}", f"{rate:,.0f}", number(rate / one), number(cpu)))
    columns = ("workers", "devices", "a second", "times one", "µs CPU each")
    return Findings("scale", (Table("Medians of all turns", columns, tuple(rows)),))
