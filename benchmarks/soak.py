"""
Four hours' worth of broken connections in five minutes, and nothing left of them.

The product's delivery sends without a pause through all three gateways, while the sandbox, a
process of its own, says GOAWAY, resets and refuses streams, disconnects, reads slowly,
stalls, shrinks its limits and loses answers, many times a second. It does so at least as
often as four ordinary hours would: see ``ORDINARY``.

In the end, as measured after a warm-up of the same kind:

* as many tasks and file descriptors are there as in the beginning, not one more;
* once the last send is answered, no more connections are open than the pools allow;
* memory is where it was, within a margin.

The exit status says whether all of this is so.

    make soak
    PYTHONPATH=.:tests python -m benchmarks.soak --minutes 5
"""

import argparse
import asyncio
import ipaddress
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import msgspec
from benchmarks.embedded import running, sandbox_of
from benchmarks.faults import MEMORY_MARGIN, Broken, no_failures_of_our_own
from benchmarks.resources import Resources
from rich.console import Console
from rich.table import Table

from builders import (
    Clock,
    Workshop,
    address_of,
    database_in,
    to_users,
)
from heliograph.gateways.contract import Outcome, Sent, Unavailable
from heliograph.instances import Instance
from heliograph.model import (
    ApnsCredentials,
    DeviceNumber,
    FcmCredentials,
    Gateway,
)
from heliograph.pipeline.deliver import Deliver
from heliograph.storage.devices import Recipient, recipient
from heliograph.storage.publishes import Publish
from heliograph.transport.client import Client
from heliograph.transport.connection import Patience
from heliograph.transport.pool import MAX_LINKS

HOURS: Final = 4
CONNECTIONS: Final = MAX_LINKS * len(Gateway)
SENDS_A_SECOND: Final = 100
_OF_A_CONNECTION: Final = HOURS * CONNECTIONS
"""Once an hour for each connection, as Google's age limit has it: 4 x 12 = 48."""
_OF_A_REQUEST: Final = HOURS * 3600 * SENDS_A_SECOND // 10_000
"""One request in ten thousand, at a hundred a second: 4 x 3,600 x 100 / 10,000 = 144."""

ORDINARY: Final[Mapping[str, int]] = {
    "goaway": _OF_A_CONNECTION,
    "disconnect": _OF_A_CONNECTION,
    "stall": _OF_A_CONNECTION,
    "slow_reads": _OF_A_CONNECTION,
    "fewer_streams": _OF_A_CONNECTION,
    "smaller_windows": _OF_A_CONNECTION,
    "no_answer": _OF_A_CONNECTION,
    "reset": _OF_A_REQUEST,
    "refused_stream": _OF_A_REQUEST,
    "lost_answer": _OF_A_REQUEST,
    "unavailable": _OF_A_REQUEST,
}
"""How often each fault would strike in four hours that are rather bad than good."""

FULL_MINUTES: Final = 5
"""In which four hours have to fit; a shorter soak has to show its part of them."""

_CHANCE: Final = {_OF_A_CONNECTION: 0.002, _OF_A_REQUEST: 0.006}
_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "stall": {"delay_seconds": 3},
    "slow_reads": {"delay_seconds": 0.02},
    "fewer_streams": {"streams": 5},
}
_PATIENCE: Final = Patience(connect=5, reply=2, queue=20, stall=1, pong=1, close=0.5)
_WARM_UP_SECONDS: Final = 45
_DEVICES: Final = 300
"""At each gateway."""
_AT_ONCE: Final = 40
"""Batches under way."""
_BATCH: Final = 25
_EXPECTED: Final = (Sent, Unavailable)
"""None of the faults says anything against a device, a message or our credentials."""
_PAUSE_SECONDS: Final = 0.2
"""After a batch in which something was unavailable; the pipeline would wait for longer."""
_CALM_SECONDS: Final = 15


@dataclass(slots=True)
class Soak:
    """Somebody who never stops sending."""

    shop: Workshop
    publish: Publish
    instance: Instance
    devices: Mapping[Gateway, Sequence[Recipient]]
    ca: str
    report: Callable[[str], None]
    outcomes: Counter[str] = field(default_factory=Counter)

    async def run(self, seconds: float) -> int:
        """Send for so long, then leave; the most connections that were left to it."""
        loopback = [ipaddress.ip_network("127.0.0.0/8")]
        client = Client(allowed=loopback, extra_ca=self.ca, patience=_PATIENCE)
        before = Resources.now()
        deliver = self.shop.deliver(client)
        try:
            end = time.monotonic() + seconds
            async with asyncio.TaskGroup() as tasks:
                for number in range(_AT_ONCE):
                    tasks.create_task(self._send(deliver, end, Random(number)))  # noqa: S311
                tasks.create_task(self._watch(end))
            await _until(
                lambda: Resources.now().descriptors <= before.descriptors + CONNECTIONS,
                "more connections than the pools allow",
            )
            return Resources.now().descriptors - before.descriptors
        finally:
            await client.close()

    async def _send(self, deliver: Deliver, end: float, chance: Random) -> None:
        while time.monotonic() < end:
            gateway = chance.choice(list(Gateway))
            some = chance.sample(self.devices[gateway], _BATCH)
            answers = await deliver.deliver(self.publish, self.instance, gateway, some)
            others = {each for each in answers.values() if not isinstance(each, _EXPECTED)}
            if len(answers) != len(some) or others:
                raise Broken(f"{len(answers)} outcomes for {len(some)} devices; {others}")
            told = Counter(map(_in_words, answers.values()))
            self.outcomes.update(told)
            if len(told) > 1:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _watch(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0:
            held = Resources.now()
            self.report(
                f"{left:4.0f} s to go: {self.outcomes.total():9,} sends, {held.tasks:4} tasks, "
                f"{held.descriptors:3} descriptors, {held.memory / 2**20:6.1f} MiB"
            )
            await asyncio.sleep(min(left, 10))


@asynccontextmanager
async def prepared(folder: Path, report: Callable[[str], None]) -> AsyncIterator["Scene"]:
    """A sandbox as a process, with devices at its services, and a publish for them."""
    with running(["sandbox"], folder / "sandbox", HELIOGRAPH_SANDBOX_LISTEN="127.0.0.1:0"):
        management = sandbox_of(folder / "sandbox")["management"]
        async with httpx.AsyncClient(base_url=management, timeout=60) as http:
            credentials = (await http.get("/credentials")).json()
            ca = (await http.get("/ca.pem")).text
            devices = {gateway: await _minted(http, gateway) for gateway in Gateway}
            (await http.put("/scenario", content=_plan())).raise_for_status()
        apns = msgspec.convert(credentials["apns"], ApnsCredentials)
        fcm = msgspec.convert(credentials["fcm"], FcmCredentials)
        async with database_in(folder) as database:
            shop = Workshop(database, Clock(datetime.now(UTC)))
            instance = await shop.instance(apns=apns, fcm=fcm)
            identity = await shop.publish(instance, to_users("everybody"))
            publish = await shop.found(instance, identity)
            soak = Soak(shop, publish, instance, devices, ca, report)
            yield Scene(soak, management)


@dataclass(frozen=True, slots=True)
class Scene:
    """Who sends, and where to ask what the sandbox did."""

    soak: Soak
    management: str

    def struck(self) -> Counter[str]:
        """How often each fault has struck so far."""
        stats = httpx.get(f"{self.management}/stats").json()
        return Counter(
            {
                name: sum(stats[gateway]["faults"].get(name, 0) for gateway in Gateway)
                for name in ORDINARY
            }
        )


def _in_words(outcome: Outcome) -> str:
    return f"Unavailable: {outcome.reason}" if isinstance(outcome, Unavailable) else "Sent"


async def _minted(http: httpx.AsyncClient, gateway: Gateway) -> list[Recipient]:
    answer = await http.post("/devices", json={"platform": str(gateway), "count": _DEVICES})
    return [
        recipient(DeviceNumber(number), address_of(gateway, minted))
        for number, minted in enumerate(answer.raise_for_status().json()["devices"], 1)
    ]


def _plan() -> bytes:
    faults = [
        {"fault": name, "chance": _CHANCE[often], **_FIELDS.get(name, {})}
        for name, often in ORDINARY.items()
    ]
    return msgspec.json.encode({"faults": faults})


async def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait a little for something to come true."""
    try:
        async with asyncio.timeout(_CALM_SECONDS):
            while not is_so():  # noqa: ASYNC110  (what ends tells nobody)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Broken(f"{otherwise}: {Resources.now()}") from None


async def soak(minutes: float, console: Console) -> None:
    """
    Run, and show the figures.

    Raises:
        Broken: Something was left behind, or too little happened.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with no_failures_of_our_own(), prepared(Path(folder), console.print) as scene:
            console.print("Warming up, under the same faults:")
            await scene.soak.run(_WARM_UP_SECONDS)
            before, struck_before = Resources.now(), scene.struck()
            scene.soak.outcomes.clear()
            console.print("Soaking:")
            connections = await scene.soak.run(minutes * 60)
            try:
                await _until(
                    lambda: Resources.now().is_within(before), f"left behind; before: {before}"
                )
            finally:
                after, struck = Resources.now(), scene.struck() - struck_before
                _show(console, scene.soak.outcomes, struck)
                _show_resources(console, before, after, connections)
    _judge(before, after, struck, minutes)


def _judge(before: Resources, after: Resources, struck: Counter[str], minutes: float) -> None:
    part = min(1, minutes / FULL_MINUTES)
    few = [name for name, often in ORDINARY.items() if struck[name] < often * part]
    if few:
        raise Broken(f"struck less often than in ordinary life: {', '.join(few)}")
    if after.memory > before.memory * (1 + MEMORY_MARGIN):
        raise Broken("memory grew")


def _show(console: Console, outcomes: Counter[str], struck: Counter[str]) -> None:
    table = Table("outcome", "how many")
    for name, count in outcomes.most_common():
        table.add_row(name, f"{count:,}")
    console.print(table)
    table = Table("fault", f"in {HOURS} ordinary hours", "in this soak")
    for name, often in ORDINARY.items():
        table.add_row(name, f"{often:,}", f"{struck[name]:,}")
    console.print(table)


def _show_resources(
    console: Console, before: Resources, after: Resources, connections: int
) -> None:
    table = Table("held", "after the warm-up", "after the soak")
    table.add_row("tasks", str(before.tasks), str(after.tasks))
    table.add_row("file descriptors", str(before.descriptors), str(after.descriptors))
    table.add_row("memory, bytes", f"{before.memory:,}", f"{after.memory:,}")
    console.print(table)
    console.print(f"Connections when the last send was answered: {connections} of {CONNECTIONS}.")


def main() -> None:
    """Soak, and exit with 1 if anything is left of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    options = parser.parse_args()
    try:
        asyncio.run(soak(options.minutes, Console()))
    except Broken as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
