"""
``heliograph bench neighbour``: a message to one person, while a broadcast goes on.

Two instances live on one server. The one publishes to everybody; the other to one
person after the other, fifty times a second, and its notifications go to a door that
notes when each arrives. What counts is the time from the request to there: a little more
than from when it is accepted.
"""

import asyncio
import functools
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx
from rich.console import Console

from heliograph.bench.crowd import EVERYBODY, gather, person, token
from heliograph.bench.customer import Customer
from heliograph.bench.findings import Findings, Table, waiting
from heliograph.bench.program import Engines, Program, settings_in
from heliograph.bench.replies import REPLIES
from heliograph.bench.report import number
from heliograph.bench.rounds import SinkProcess
from heliograph.bench.sink import Echoes, Shape, Sink, Tally
from heliograph.bench.work import Workshop
from heliograph.errors import HeliographError
from heliograph.model import Gateway

RATE: Final = 50
"""Publishes to single people in a second."""

_PEOPLE: Final = 1000
_NEIGHBOUR: Final = "neighbour"
_GRACE_SECONDS: Final = 30
"""How long the last notification may take."""

_HUNDREDTHS: Final = 100


class Door(Sink):
    """A sink that notes when a request came for each token."""

    def __init__(self, arrivals: dict[str, float]) -> None:
        """Note into ``arrivals``."""
        super().__init__(REPLIES[Gateway.APNS], Shape.RECORDS, Tally(), is_echo=True)
        self._echoes = _Arrivals(arrivals)


class _Arrivals(Echoes):
    def __init__(self, arrivals: dict[str, float]) -> None:
        super().__init__()
        self._arrivals = arrivals

    def read(self, stream_id: bytes, flags: int, payload: bytes) -> dict[bytes, bytes]:
        """Take the header fields of a request, and note whose it is."""
        fields = super().read(stream_id, flags, payload)
        self._arrivals[fields[b":path"].decode().rpartition("/")[2]] = time.monotonic()
        return fields


async def measure(devices: int, seconds: float, engines: Engines, console: Console) -> Findings:
    """
    Publish to single people, first on an idle server, then beside a broadcast.

    Args:
        devices: In the broadcast.
        seconds: How long the server is idle otherwise.
        engines: Where to keep them, and how work is handed out.
        console: Where to show that something happens.
    """
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name:
        folder = Path(name)
        settings = settings_in(folder, engines.database_url)
        with waiting(console, "registering", devices) as tell:
            crowd = await gather(settings, devices, 0, tell)
            alone = await gather(settings, _PEOPLE, 0, lambda _: None, name=_NEIGHBOUR)
        workshop = Workshop(folder, browsers=0)
        arrivals: dict[str, float] = {}
        with (
            SinkProcess.running(workshop.certificate) as sink,
            Program.running(folder, core=0, engines=engines) as server,
        ):
            async with (
                _open(workshop.certificate, arrivals) as door,
                httpx.AsyncClient(base_url=server.endpoint, timeout=60) as http,
            ):
                many, one = Customer(http, crowd), Customer(http, alone)
                origin = sink.origin(Gateway.APNS, Shape.RECORDS)
                await many.sends_to(origin, workshop.task(Gateway.APNS, origin, 0))
                await one.sends_to(door, workshop.task(Gateway.APNS, door, 0))
                publishes = _Publishes(one, arrivals)
                with waiting(console, "idle", int(seconds * RATE)) as tell:
                    pause = asyncio.create_task(asyncio.sleep(seconds))
                    idle = await publishes.until(pause, tell)
                with waiting(console, "beside a broadcast", devices) as tell:
                    publish = await many.publish_to_interest(EVERYBODY)
                    over = asyncio.create_task(many.finished(publish, tell))
                    busy = await publishes.until(over, lambda _: None)
    return _told(idle, busy)


class _Publishes:
    """Publishes to one person after the other, and how long each took."""

    def __init__(self, customer: Customer, arrivals: dict[str, float]) -> None:
        self._customer = customer
        self._arrivals = arrivals

    async def until(
        self, over: "asyncio.Task[object]", tell: Callable[[int], object]
    ) -> list[float]:
        """
        Publish at our rate until something is over; milliseconds from request to arrival.

        Raises:
            HeliographError: A notification never came.
        """
        self._arrivals.clear()
        asked: dict[str, float] = {}
        answers: list[asyncio.Task[str]] = []
        began = time.monotonic()
        while not over.done() and len(answers) < _PEOPLE:
            count = len(answers)
            asked[token(_NEIGHBOUR, count)] = time.monotonic()
            publish = self._customer.publish_to_user(person(count))
            answers.append(asyncio.create_task(publish))
            tell(count)
            await asyncio.sleep(max(began + (count + 1) / RATE - time.monotonic(), 0))
        await over
        await asyncio.gather(*answers)
        deadline = time.monotonic() + _GRACE_SECONDS
        while len(self._arrivals) < len(asked) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(1 / RATE)
        if missing := asked.keys() - self._arrivals.keys():
            raise HeliographError(f"{len(missing)} of {len(asked)} notifications never came")
        return [(self._arrivals[each] - at) * 1e3 for each, at in asked.items()]


@asynccontextmanager
async def _open(certificate: Path, arrivals: dict[str, float]) -> AsyncIterator[str]:
    """A door; its origin."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(
        functools.partial(Door, arrivals), "127.0.0.1", 0, ssl=context
    )
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _told(idle: list[float], busy: list[float]) -> Findings:
    rows = tuple(
        (what, str(len(taken)), *(number(each) for each in _percentiles(taken)))
        for what, taken in (("idle", idle), ("beside a broadcast", busy))
    )
    columns = ("server", "publishes", "p50 ms", "p99 ms", "most ms")
    return Findings("neighbour", (Table("From the request to the gateway", columns, rows),))


def _percentiles(taken: list[float]) -> tuple[float, float, float]:
    hundredths = quantiles([*taken, *taken[:1]], n=_HUNDREDTHS, method="inclusive")
    return hundredths[49], hundredths[98], max(taken)
