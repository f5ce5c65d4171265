"""
Ten thousand phones launch the same app at the same moment.

Each is a virtual device that asks as Beams' iOS SDK does (``profile="ios"``): first as a
fresh install (register, interests, user), then launched again, with metadata that the
server does not know yet (metadata, interests, register, user). All of them begin at
once, in one process, over keep-alive connections that they share; the server is a
process of its own, on a core of its own. Beams tokens are made here.

What is not answered 200 is an error, and one error is a failure; so is a phone that becomes
another device and, of a sample, one that is not its user's in the end, or subscribes to
something else. The limit of requests a second from one address, which is meant for
strangers, is raised by its setting: all phones are at one address here.

    make storm
    PYTHONPATH=.:tests python -m benchmarks.storm --count 10000 --postgresql
"""

import argparse
import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

import postgres
from heliograph.bench.program import ADMIN_TOKEN, EMBEDDED, Engines, Program
from heliograph.bench.rounds import on_core
from heliograph.client.mobile import Mobile
from heliograph.client.profiles import IOS, Query
from heliograph.client.publish import PushNotifications
from heliograph.client.registration import metadata
from heliograph.client.retry import Retry
from heliograph.client.state import MemoryStore
from heliograph.client.steps import Operation, run_async
from heliograph.client.tokens import BeamsTokenProvider

CONNECTIONS: Final = 512
INTERESTS: Final = ("news", "sports", "weather")
SAMPLE: Final = 200
"""Phones that are looked at in the end, one by one."""

_ADMIN: Final = {"authorization": f"Bearer {ADMIN_TOKEN}"}
_ANY_RATE: Final = {"HELIOGRAPH_DEVICE_RATE": "1000000"}
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CALLS: Final = (("register", r"POST .*/apns"), ("metadata", r".*/metadata"),
                 ("interests", r".*/interests"), ("user", r".*/user"))  # fmt: skip


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Failed(Exception):  # noqa: N818  (it reads as what it says)
    """Something was not answered as it should be."""


class Tokens(BeamsTokenProvider):
    """An app's back end that answers at once."""

    def __init__(self, backend: PushNotifications) -> None:
        super().__init__("http://127.0.0.1")
        self._backend = backend

    def fetch_token(
        self, user_id: str, *, retry: Retry, query: Query | None = None
    ) -> Operation[str]:
        """Sign a token for this user."""
        del retry, query
        yield from ()
        return self._backend.generate_token(user_id)["token"]


@dataclass
class Wire:
    """Connections that all phones share; each has one request under way."""

    host: str
    port: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long each call took on its connection."""
    free: asyncio.Queue[Pair] = field(default_factory=asyncio.Queue)

    @contextlib.asynccontextmanager
    async def connected(self, number: int) -> AsyncIterator[None]:
        """Have so many connections for a while."""
        for _ in range(number):
            self.free.put_nowait(await asyncio.open_connection(self.host, self.port))
        try:
            yield
        finally:
            while not self.free.empty():
                self.free.get_nowait()[1].close()

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request once there is a connection; anything but 200 is the end."""
        pair = await self.free.get()
        began_at = time.monotonic()
        if pair[0].at_eof():  # it idled, and the server has hung up meanwhile
            pair = await self._replaced(pair[1])
        try:
            status, body = await _exchange(*pair, request)
        except asyncio.IncompleteReadError as nothing:
            if nothing.partial:
                raise
            pair = await self._replaced(pair[1])  # it hung up just then; nobody read the request
            status, body = await _exchange(*pair, request)
        self.seconds[_call_of(request)].append(time.monotonic() - began_at)
        self.free.put_nowait(pair)
        if status != httpx.codes.OK:
            raise Failed(f"{request.method} {request.url.path}: {status} {body!r}")
        return httpx.Response(status, content=body, request=request)

    async def _replaced(self, writer: asyncio.StreamWriter) -> Pair:
        writer.close()
        return await asyncio.open_connection(self.host, self.port)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: httpx.Request
) -> tuple[int, bytes]:
    writer.write(_bytes_of(request))
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return int(head[9:12]), await reader.readexactly(int(length[1]) if length else 0)


@dataclass
class Phone:
    """One phone with the app."""

    number: int
    endpoint: str
    instance: str
    tokens: Tokens
    wire: Wire
    store: MemoryStore = field(default_factory=MemoryStore)

    @property
    def user(self) -> str:
        """Who carries it."""
        return f"user-{self.number:06}"

    @property
    def interests(self) -> list[str]:
        """What the app subscribes to."""
        return sorted([*INTERESTS, f"team-{self.number % 100}"])

    async def install(self) -> float:
        """Launch the app for the first time; how long that took."""
        return await self._launch(is_first=True)

    async def relaunch(self) -> float:
        """Launch it again; how long that took."""
        return await self._launch(is_first=False)

    async def _launch(self, *, is_first: bool) -> float:
        began_at = time.monotonic()
        app = Mobile(
            base_url=self.endpoint,
            profile=IOS,
            metadata=metadata("apns", "17.5.1", IOS.sdk_version),
            store=self.store,
            clock=time.time,
        )
        await self._run(app.start(self.instance))
        if is_first:
            await self._run(app.set_device_interests(self.interests))
        await self._run(app.register_device_token(f"{self.number:064x}", "com.example.app"))
        await self._run(app.set_user_id(self.user, self.tokens))
        return time.monotonic() - began_at

    async def _run(self, operation: Operation[None]) -> None:
        await run_async(operation, send=self.wire.send, sleep=asyncio.sleep)


@dataclass(frozen=True, slots=True)
class Wave:
    """What came of all phones launching at once."""

    name: str
    launches: list[float]
    calls: dict[str, list[float]]
    seconds: float
    cpu_seconds: float

    def rows(self) -> Iterator[list[str]]:
        """The launch as a whole, and each of its calls."""
        yield _row(f"**{self.name}**", self.launches, self)
        for call, seconds in self.calls.items():
            yield _row(call, seconds, self)


async def wave(
    name: str, phones: list[Phone], wire: Wire, program: Program, *, is_first: bool
) -> Wave:
    """Let all phones launch at once."""
    wire.seconds.clear()
    cpu, began_at = program.cpu_seconds(), time.monotonic()
    launches = await asyncio.gather(
        *[phone.install() if is_first else phone.relaunch() for phone in phones]
    )
    seconds = time.monotonic() - began_at
    calls = {call: wire.seconds[call] for call, _ in _CALLS if wire.seconds[call]}
    return Wave(name, launches, calls, seconds, program.cpu_seconds() - cpu)


async def storm(program: Program, count: int, connections: int) -> list[Wave]:
    """A fresh install of so many phones, and a launch of all of them again."""
    address = urlsplit(program.endpoint)
    wire = Wire(str(address.hostname), int(address.port or 80))
    async with httpx.AsyncClient(base_url=program.endpoint, headers=_ADMIN, timeout=60) as admin:
        made = (await admin.post("/admin/v1/instances", json={"name": "storm"})).json()
        backend = PushNotifications(made["instance_id"], made["secret_key"], program.endpoint)
        phones = [
            Phone(n, program.endpoint, made["instance_id"], Tokens(backend), wire)
            for n in range(count)
        ]
        async with wire.connected(connections):
            first = await wave("fresh installs", phones, wire, program, is_first=True)
            ids = [_device_of(phone) for phone in phones]
            again = await wave("launched again", phones, wire, program, is_first=False)
        if ids != [_device_of(phone) for phone in phones]:
            raise Failed("a phone became another device")
        for phone in phones[:: max(count // SAMPLE, 1)]:
            await _look_at(admin, phone)
    return [first, again]


async def _look_at(http: httpx.AsyncClient, phone: Phone) -> None:
    """Whether the server has of a phone what its app asked for."""
    path = f"/device_api/v1/instances/{phone.instance}/devices/apns/{_device_of(phone)}"
    user = (await http.get(path)).json()["userId"]
    interests = (await http.get(f"{path}/interests")).json()["interests"]
    if (user, interests) != (phone.user, phone.interests):
        raise Failed(f"phone {phone.number} is {user}'s, and has {interests}")


def _device_of(phone: Phone) -> str | None:
    state = phone.store.load()
    return state.device_id if state else None


def _bytes_of(request: httpx.Request) -> bytes:
    head = f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"{head}{fields}\r\n".encode() + request.content


def _call_of(request: httpx.Request) -> str:
    line = f"{request.method} {request.url.path}"
    return next(name for name, pattern in _CALLS if re.fullmatch(pattern, line))


def _quantile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _row(name: str, seconds: list[float], wave: Wave) -> list[str]:
    return [
        name,
        f"{len(seconds):,}",
        f"{len(seconds) / wave.seconds:,.0f}",
        f"{_quantile(seconds, 0.5) * 1e3:,.0f}",
        f"{_quantile(seconds, 0.99) * 1e3:,.0f}",
        f"{max(seconds) * 1e3:,.0f}",
    ]


def show(waves: list[Wave], engine: str, console: Console) -> None:
    """Print what came of it."""
    requests = sum(len(each) for wave in waves for each in wave.calls.values())
    for wave in waves:
        calls = sum(map(len, wave.calls.values()))
        table = Table("", "count", "a second", "p50 ms", "p99 ms", "most ms", box=None)
        for row in wave.rows():
            table.add_row(*row)
        console.print(table)
        console.print(
            f"{engine}, {wave.name}: {len(wave.launches) / wave.seconds:,.0f} phones a second, "
            f"{calls / wave.seconds:,.0f} requests a second, in {wave.seconds:.1f} s; "
            f"{wave.cpu_seconds / calls * 1e6:,.0f} µs of the server's CPU a request\n"
        )
    console.print(f"{engine}: {requests:,} requests, no error\n")


def measure(count: int, connections: int, engines: Engines) -> list[Wave]:
    """Start a server, and let the storm loose on it."""
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-storm-") as folder,
        Program.running(Path(folder), core=1, engines=engines, besides=_ANY_RATE) as program,
        on_core(0),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(storm(program, count, connections))


@contextlib.contextmanager
def _engines(is_postgresql: bool) -> Iterator[Engines]:
    if not is_postgresql:
        yield EMBEDDED
        return
    with postgres.running() as server:
        asyncio.run(server.execute("CREATE DATABASE storm"))
        yield Engines(database_url=server.url("storm"))


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; 1 if there was an error."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="phones")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--postgresql", action="store_true", help="rather than SQLite")
    options: Any = parser.parse_args(arguments)
    console = Console()
    try:
        with _engines(options.postgresql) as engines:
            waves = measure(options.count, options.connections, engines)
    except Failed as problem:
        console.print(f"An error: {problem}", style="red")
        return 1
    show(waves, "PostgreSQL" if options.postgresql else "SQLite", console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
