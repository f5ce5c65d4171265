"""
Sends through services that fail in every way the sandbox knows, none lost and none repeated.

The product from accept to settle, over SQLite and real TLS, against the sandbox, where each
request has a chance of meeting each fault. The product's clock and the sandbox's are one
and jump ahead to when the next retry is due, so that hours of back-off take seconds.

After each wave of publishes every delivery is held against what the sandbox took:

* targeted = sent + failed + expired + cancelled + pending, at every look, and nothing is
  pending in the end;
* what is called sent has arrived, and what is called otherwise has not;
* nothing arrives twice, except that an attempt whose answer was lost may have arrived;
* whatever arrives twice at Apple carries the same ``apns-id``.

In the end no task, connection or file descriptor is left, and memory is where it was
after the first waves. The exit status says whether all of this is so.

    make faults
    PYTHONPATH=.:tests python -m benchmarks.faults --sends 100000 --seed 7

The same seed strikes the same requests of the same devices.
"""

import argparse
import asyncio
import ipaddress
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog
from benchmarks.resources import Resources
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from builders import Clock, Gateways, Workshop, database_in, gateways_running
from heliograph.gateways.contract import Outcome, Sent, Unavailable
from heliograph.instances import Instance
from heliograph.logs import Event
from heliograph.model import (
    Address,
    ApnsAddress,
    ApnsMessage,
    DeviceNumber,
    FcmAddress,
    FcmMessage,
    Gateway,
    Interest,
    Messages,
    PublishId,
    ToInterests,
    WebAddress,
    WebMessage,
    delivery_ids,
)
from heliograph.pipeline.deliver import Deliver
from heliograph.sandbox import exchange
from heliograph.sandbox.devices import Platform
from heliograph.sandbox.inbox import Entry
from heliograph.sandbox.scenario import Fault, FaultName, Plan
from heliograph.storage import turns
from heliograph.storage.devices import Device, Recipient
from heliograph.storage.publishes import Publish
from heliograph.transport.client import Client
from heliograph.transport.connection import Patience

DEVICES: Final = {Gateway.APNS: 100, Gateway.FCM: 75, Gateway.WEB: 75}
EVERYBODY: Final = sum(DEVICES.values())
PUBLISHES_IN_A_WAVE: Final = 40
WARM_UP_WAVES: Final = 3

HANG_SECONDS: Final = 300
"""Real time for one wave; more means that something hangs."""

MEMORY_MARGIN: Final = 0.15
"""How much more memory the end may show than the state after the warm-up."""

_INTEREST: Final = Interest("everybody")
_PATIENCE: Final = Patience(connect=5, reply=2.5, queue=20, stall=0.5, pong=0.5, close=0.5)
_LEAP: Final = timedelta(minutes=5)
"""What is due within it is taken together."""

_SECONDS_A_LEAP: Final = 0.05
"""Real time that passes with a leap: the pauses between connections that fail are real."""

_COSTLY: Final = (
    FaultName.DISCONNECT,
    FaultName.FEWER_STREAMS,
    FaultName.GOAWAY,
    FaultName.NO_ANSWER,
    FaultName.SLOW_READS,
    FaultName.SMALLER_WINDOWS,
    FaultName.STALL,
)
"""Faults that a whole connection has to bear, or that take real time."""

_FIELDS: Final[Mapping[FaultName, Mapping[str, Any]]] = {
    FaultName.SLOW: {"delay_seconds": 0.05},
    FaultName.SLOW_READS: {"delay_seconds": 0.01},
    FaultName.STALL: {"delay_seconds": 2},
    FaultName.REDIRECT: {"location": "https://elsewhere.example.com/"},
    FaultName.TOO_MANY_REQUESTS: {"retry_after": 30},
    FaultName.FEWER_STREAMS: {"streams": 3},
    FaultName.EMPTY_ERROR: {"status": 503},
}

_LONG: Final = 20_000
"""Sends, from which on every fault has a chance of its own."""

STATUSES: Final = (400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 429, 451, 500, 501, 503, 504)
"""Statuses with a reason that nobody knows."""

_UNANSWERED: Final = re.compile(
    r"RST_STREAM (?!REFUSED_STREAM)|no reply in time|no sign of life|connection lost"
    r"|closed|closing|the peer has gone"
)
"""How the transport says that it does not know whether a request was taken."""


class Broken(Exception):  # noqa: N818  (a promise is)
    """One of the promises at the top does not hold."""


@dataclass(slots=True)
class Report:
    """What a run came to."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    arrived: int = 0
    repeated: int = 0
    """Arrivals beyond the first, each explained by an answer that was lost."""
    unanswered: int = 0
    attempts: int = 0
    virtual: timedelta = timedelta(0)
    memory: list[int] = field(default_factory=list)
    """Bytes resident after each wave."""

    @property
    def sends(self) -> int:
        """Deliveries: publishes times devices."""
        return self.ends["targeted"]


def plan(seed: int, sends: int) -> Plan:
    """Every fault, at every service and at Google's token endpoint."""
    chance = 0.004
    # A short run would hardly meet what is rare, or would do nothing but wait.
    often, times = (0.0002, None) if sends > _LONG else (0.01, 4)
    costly = [Fault(name, chance=often, times=times, **_FIELDS.get(name, {})) for name in _COSTLY]
    cheap = [
        Fault(name, chance=chance, **_FIELDS.get(name, {}))
        for name in FaultName
        if name not in (*_COSTLY, FaultName.ANSWER)
    ]
    statuses = [
        Fault(FaultName.ANSWER, status=status, reason="Unheard Of", chance=chance / 4)
        for status in STATUSES
    ]
    tokens = [
        Fault(name, gateway="oauth", chance=0.1)
        for name in (FaultName.UNAVAILABLE, FaultName.DISCONNECT, FaultName.BAD_GATEWAY)
    ]
    return Plan(seed, (*costly, *cheap, *statuses, *tokens))


class Witness(Deliver):
    """Lets another deliver, and remembers what was told about each device."""

    def __init__(self, other: Deliver) -> None:
        self._other = other
        self.told: defaultdict[tuple[PublishId, DeviceNumber], list[Outcome]] = defaultdict(list)

    async def deliver(
        self, publish: Publish, instance: Instance, gateway: Gateway, devices: Sequence[Recipient]
    ) -> dict[DeviceNumber, Outcome]:
        """Deliver as ever."""
        outcomes = await self._other.deliver(publish, instance, gateway, devices)
        for number, outcome in outcomes.items():
            self.told[publish.id, number].append(outcome)
        return outcomes


class Observatory(Workshop):
    """The product, with a witness in it."""

    told: defaultdict[tuple[PublishId, DeviceNumber], list[Outcome]]
    """What each device was answered, one attempt after another."""

    def deliver(self, client: Client, **pace: Any) -> Deliver:
        """What its workers deliver with."""
        witness = Witness(super().deliver(client, **pace))
        self.told = witness.told
        return witness


class Proof:
    """One run against one sandbox."""

    def __init__(
        self, shop: Observatory, gateways: Gateways, instance: Instance, chance: Random
    ) -> None:
        self.report = Report()
        self._shop, self._gateways = shop, gateways
        self._instance, self._chance = instance, chance
        self._addresses = [
            _address(gateways, Platform(gateway), number)
            for gateway, count in DEVICES.items()
            for number in range(count)
        ]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker with connections of its own, all of which end with the block."""
        loopback = [ipaddress.ip_network("127.0.0.0/8")]
        client = Client(allowed=loopback, extra_ca=self._gateways.ca, patience=_PATIENCE)
        self._worker = self._shop.worker(client, concurrency=4, dice=self._chance.random)
        try:
            yield
        finally:
            await client.close()

    async def wave(self, number: int, publishes: int) -> None:
        """Publish to everybody a few times at once, and judge what came of it."""
        devices = await self._register()
        published = {}
        for place in range(publishes):
            words = f"{number}/{place}"
            target = ToInterests((_INTEREST,))
            published[words] = await self._shop.publish(self._instance, target, _saying(words))
        async with asyncio.timeout(HANG_SECONDS):
            await self._work(list(published.values()))
        await self._judge(published, devices)
        self._gateways.sandbox.inbox.clear()
        self._shop.told.clear()
        self.report.memory.append(Resources.now().memory)

    async def _register(self) -> Sequence[Device]:
        """A device at every address: those that were pruned come back, as an app does."""
        registry, instance = self._shop.registry, self._instance.number
        present = {device.address for device in await self._devices()}
        for address in [each for each in self._addresses if each not in present]:
            registered = await registry.register(instance, address, {})
            await registry.set_interests(instance, registered.id, [_INTEREST])
        self._shop.clock.advance(timedelta(minutes=1))
        devices = await self._devices()
        if len(devices) != len(self._addresses):
            raise Broken(f"{len(devices)} devices for {len(self._addresses)} addresses")
        return devices

    async def _devices(self) -> Sequence[Device]:
        return await self._shop.registry.page(
            self._instance.number, user=None, after=DeviceNumber(0), limit=10_000
        )

    async def _work(self, published: Sequence[PublishId]) -> None:
        """Work until nothing is left, leaping to when something is due again."""
        begun_at = self._shop.clock.now
        while True:
            await self._worker.run_until_idle()
            await self._check_conservation(published)
            async with self._shop.database.read() as connection:
                due_at = await turns.next_due(connection, after=self._shop.clock.now)
            if due_at is None:
                break
            self._shop.clock.now = max(due_at, self._shop.clock.now + _LEAP)
            await asyncio.sleep(_SECONDS_A_LEAP)
        self.report.virtual += self._shop.clock.now - begun_at

    async def _check_conservation(self, published: Sequence[PublishId]) -> None:
        for publish in published:
            counts = await self._shop.progress(self._instance, publish)
            ends = counts.sent + counts.failed + counts.expired + counts.cancelled
            if counts.targeted != ends + counts.pending:
                raise Broken(f"conservation: {counts}")

    async def _judge(self, published: Mapping[str, PublishId], devices: Sequence[Device]) -> None:
        arrived: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in self._gateways.sandbox.inbox.entries():
            arrived[_words_in(entry), entry.device.endpoint or entry.device.key].append(entry)
        for words, publish in published.items():
            counts = await self._shop.progress(self._instance, publish)
            if (counts.targeted, counts.pending) != (len(devices), 0):
                raise Broken(f"not finished: {counts}")
            sent = 0
            for device in devices:
                told = self._shop.told.get((publish, device.number), [])
                sent += bool(told) and isinstance(told[-1], Sent)
                self._judge_delivery(publish, device, told, arrived[words, _name(device.address)])
            if sent != counts.sent:
                raise Broken(f"{sent} were told to be sent: {counts}")
            for end in ("targeted", "sent", "failed", "expired", "cancelled"):
                self.report.ends[end] += getattr(counts, end)

    def _judge_delivery(
        self,
        publish: PublishId,
        device: Device,
        told: Sequence[Outcome],
        arrived: Sequence[Entry],
    ) -> None:
        unanswered = sum(map(_is_unanswered, told))
        is_sent = bool(told) and isinstance(told[-1], Sent)
        if not is_sent <= len(arrived) <= is_sent + unanswered:
            raise Broken(f"{publish} to {device.number}: {len(arrived)} arrived, told {told}")
        for entry in arrived:
            headers = entry.read()["headers"]
            identity = headers.get("apns-id") if isinstance(headers, dict) else None
            (expected,) = delivery_ids(publish)([device.number])
            if identity not in {None, expected.decode()}:
                raise Broken(f"{publish} to {device.number}: under another apns-id")
        self.report.attempts += len(told)
        self.report.unanswered += unanswered
        self.report.arrived += len(arrived)
        self.report.repeated += max(0, len(arrived) - 1)


_KEYS: Final[Mapping[Platform, str]] = {
    Platform.APNS: "{:064x}",
    Platform.FCM: "device-{0:04}:APA91b{0:0134}",
    Platform.WEB: "browser-{:024}",
}
"""What devices are called. The sandbox's dice look at it, so it is the same in each run."""


def _address(gateways: Gateways, platform: Platform, number: int) -> Address:
    """A virtual device."""
    key = _KEYS[platform].format(number)
    device = gateways.sandbox.devices.mint(platform, now=gateways.clock(), key=key)
    if device.browser_keys is not None and device.endpoint is not None:
        keys = device.browser_keys
        return WebAddress(device.endpoint, keys.p256dh, keys.auth)
    return ApnsAddress(device.key) if platform is Platform.APNS else FcmAddress(device.key)


def _name(address: Address) -> str:
    return address.endpoint if isinstance(address, WebAddress) else address.token


def _saying(words: str) -> Messages:
    return Messages(
        apns=ApnsMessage(f'{{"aps":{{"alert":"{words}"}}}}'.encode()),
        fcm=FcmMessage(f'{{"notification":{{"title":"{words}"}}}}'.encode()),
        web=WebMessage(f'{{"notification":{{"title":"{words}"}}}}'.encode()),
    )


def _words_in(entry: Entry) -> str:
    payload: Any = entry.read()["payload"]  # JSON
    return str(payload.get("aps", {}).get("alert") or payload["notification"]["title"])


def _is_unanswered(outcome: Outcome) -> bool:
    return isinstance(outcome, Unavailable) and bool(_UNANSWERED.match(outcome.reason))


async def prove(
    *,
    sends: int,
    seed: int,
    folder: Path,
    progress: Callable[[int], None] = lambda _sends: None,
) -> Report:
    """
    Run, and say what it came to.

    Args:
        sends: How many deliveries at least; whole waves are run.
        seed: Chooses who is struck by what.
        folder: For the database.
        progress: Told how many deliveries have come to their end.

    Raises:
        Broken: A promise does not hold.
        TimeoutError: Something hangs.
    """
    waves = -(-sends // (PUBLISHES_IN_A_WAVE * EVERYBODY))
    publishes = -(-sends // (waves * EVERYBODY))
    async with (
        no_failures_of_our_own(),
        database_in(folder) as database,
        gateways_running(clock := Clock()) as gateways,
    ):
        shop = Observatory(database, clock)
        instance = await shop.instance(apns=gateways.apns, fcm=gateways.fcm)
        proof = Proof(shop, gateways, instance, Random(seed))  # noqa: S311  (to be repeated)
        async with proof.working():  # once on a fair day, so that all that is kept is there
            await proof.wave(-1, publishes)
        if proof.report.ends["sent"] != proof.report.sends:
            raise Broken(f"on a fair day: {dict(proof.report.ends)}")
        before = Resources.now()
        proof.report = Report()
        gateways.sandbox.scenario.follow(plan(seed, sends))
        async with proof.working():
            for number in range(waves):
                await proof.wave(number, publishes)
                progress((number + 1) * publishes * EVERYBODY)
        await _check_nothing_is_left(gateways, before)
    _count(gateways, proof.report)
    _check_memory(proof.report.memory)
    return proof.report


async def _check_nothing_is_left(gateways: Gateways, before: Resources) -> None:
    """Every connection ends at both ends, and with it whatever served it."""
    services = [gateways.sandbox.stats.of(each) for each in exchange.Gateway]
    try:
        async with asyncio.timeout(10):
            while any(each.connections_open for each in services):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while not Resources.now().is_within(before):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise Broken(f"left behind: {Resources.now()} after, {before} before") from None


def _count(gateways: Gateways, report: Report) -> None:
    for gateway in exchange.Gateway:
        stats = gateways.sandbox.stats.of(gateway)
        report.requests += stats.requests
        report.faults.update(stats.faults)


def _check_memory(memory: Sequence[int]) -> None:
    if len(memory) <= 2 * WARM_UP_WAVES:
        return  # too short to tell growth from warming up
    warm, last = memory[WARM_UP_WAVES - 1], min(memory[-WARM_UP_WAVES:])
    if last > warm * (1 + MEMORY_MARGIN):
        raise Broken(f"memory grew from {warm:,} to {last:,} bytes")


@asynccontextmanager
async def no_failures_of_our_own() -> AsyncIterator[None]:
    """Read what the product logs: a fault of its own would be tried again and pass unseen."""
    failures: Counter[str] = Counter()

    def read(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if event["event"] == Event.WORKER_FAILED:
            failures[str(event.get("problem"))] += 1
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[read])
    try:
        yield
    finally:
        structlog.configure(**before)
    if failures:
        raise Broken(f"failures of the worker's own: {dict(failures)}")


def rows(report: Report) -> Iterator[tuple[str, str]]:
    """The report as a table."""
    yield "deliveries", f"{report.sends:,}"
    for end in ("sent", "failed", "expired", "cancelled"):
        yield f"  {end}", f"{report.ends[end]:,}"
    yield "attempts", f"{report.attempts:,}"
    yield "requests that reached the sandbox", f"{report.requests:,}"
    yield "faults that struck", f"{report.faults.total():,}"
    yield "attempts whose answer was lost", f"{report.unanswered:,}"
    yield "notifications taken", f"{report.arrived:,}"
    yield "  of them repeats, each after a lost answer", f"{report.repeated:,}"
    yield "time that passed for the product", str(report.virtual)
    yield "memory after each wave, MiB", " ".join(f"{each / 2**20:.1f}" for each in report.memory)


def main() -> None:
    """Run, show what came of it, and exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sends", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = Random().randrange(2**32) if options.seed is None else options.seed  # noqa: S311
    console = Console()
    console.print(f"At least {options.sends:,} sends, seed {seed}: `--seed {seed}` repeats them.")
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        task = progress.add_task("deliveries", total=options.sends)

        def show(done: int) -> None:
            progress.update(task, completed=done)
            if not console.is_terminal:  # where a bar would not be seen to move
                console.print(f"{done:,} deliveries have come to their end")

        try:
            report = asyncio.run(
                prove(
                    sends=options.sends,
                    seed=seed,
                    folder=Path(folder),
                    progress=show,
                )
            )
        except Broken as problem:
            sys.exit(f"seed {seed}: {problem}")
        except TimeoutError:
            sys.exit(f"seed {seed}: a wave hangs")
    table = Table("what", "how many")
    for row in rows(report):
        table.add_row(*row)
    console.print(table)
    table = Table("fault", "struck")
    for name, count in sorted(report.faults.items()):
        table.add_row(name, f"{count:,}")
    console.print(table)


if __name__ == "__main__":
    main()
