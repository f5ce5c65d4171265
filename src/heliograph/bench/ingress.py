"""
``heliograph bench ingress``: durable publishes to single users, over HTTP.

The server is the product over SQLite but for its worker (``acceptor.py``), with every
commit on the disk before it is answered, pinned to one core; the load comes from another. A
closed loop finds out how many it takes at most; an open loop at half of that, how long
one of them takes. Afterwards the file must hold as many publishes as were answered.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from heliograph.bench.load import Answers, Load
from heliograph.bench.rounds import on_core
from heliograph.bench.server import Server
from heliograph.errors import HeliographError

CONNECTIONS: Final = (1, 8, 32, 128, 256)
"""Callers at once: the first alone in its commit, the last in large company."""

_WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one load."""

    connections: int
    is_paced: bool
    """Whether it came at a steady rate, and not as fast as it went."""
    answered: int
    seconds: float
    cpu_seconds: float
    """The server's."""
    commits: float
    p50_seconds: float
    p99_seconds: float

    @property
    def per_second(self) -> float:
        """Publishes in a second of the clock."""
        return self.answered / self.seconds

    @property
    def per_core(self) -> float:
        """Publishes for which a second of one core is enough."""
        return self.answered / self.cpu_seconds

    @property
    def group(self) -> float:
        """Publishes in one commit, on average."""
        return self.answered / max(self.commits, 1)


def run(
    console: Console,
    *,
    seconds: float = 10,
    connections: tuple[int, ...] = CONNECTIONS,
    folder: Path | None = None,
) -> list[Measured]:
    """
    Measure, and print what came of it.

    Args:
        console: Where to print.
        seconds: How long each load lasts.
        connections: How many callers there are at once, in one load after the other; the
            paced load has as many as the last.
        folder: Where the database is put, and removed again; None: where temporary files go.

    Raises:
        HeliographError: Something was not answered 200, or was answered and is not kept.
    """
    with console.status("starting") as status:
        results = measure(status.update, seconds, connections, folder)
    show(results, console)
    return results


def measure(
    tell: Callable[[str], object],
    seconds: float,
    connections: tuple[int, ...],
    folder: Path | None,
) -> list[Measured]:
    """All loads, one after the other, on one server."""
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-bench-", dir=folder) as name,
        Server.running(Path(name)) as server,
        on_core(0),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        results, answered = runner.run(_all(server, tell, seconds, connections))
        if server.publishes_kept() != answered:
            raise HeliographError(
                f"{answered} publishes were answered, and {server.publishes_kept()} are kept"
            )
    return results


def show(results: list[Measured], console: Console) -> None:
    """Print a table."""
    table = Table(
        "load", "callers", "per core", "per second", "CPU µs", "group", "p50 ms", "p99 ms", box=None
    )
    for each in results:
        table.add_row(*cells(each))
    console.print(table)


def cells(each: Measured) -> list[str]:
    """One load, in words."""
    return [
        "half the most" if each.is_paced else "the most",
        f"{each.connections}",
        f"{each.per_core:,.0f}",
        f"{each.per_second:,.0f}",
        f"{1e6 / each.per_core:.0f}",
        f"{each.group:.1f}",
        f"{each.p50_seconds * 1e3:.1f}",
        f"{each.p99_seconds * 1e3:.1f}",
    ]


async def _all(
    server: Server, tell: Callable[[str], object], seconds: float, connections: tuple[int, ...]
) -> tuple[list[Measured], int]:
    load = Load(*server.address, _requests(server))
    warm = await load.as_fast_as_it_goes(connections[-1], min(_WARM_UP_SECONDS, seconds))
    results = []
    for each in connections:
        tell(f"{each} callers, as fast as it goes")
        results.append(
            await _one(server, load.as_fast_as_it_goes(each, seconds), each, is_paced=False)
        )
    rate = results[-1].per_second / 2
    tell(f"{rate:,.0f} a second")
    paced = load.at_a_rate(rate, connections[-1], seconds)
    results.append(await _one(server, paced, connections[-1], is_paced=True))
    return results, len(warm.seconds) + sum(each.answered for each in results)


async def _one(
    server: Server, load: Coroutine[None, None, Answers], connections: int, *, is_paced: bool
) -> Measured:
    commits, cpu, began_at = server.metric(_COMMITS), server.cpu_seconds(), time.monotonic()
    answers = await load
    seconds = time.monotonic() - began_at
    cpu = server.cpu_seconds() - cpu
    if answers.refused or not answers.seconds:
        raise HeliographError(f"{answers.refused} publishes were not answered 200")
    return Measured(
        connections=connections,
        is_paced=is_paced,
        answered=len(answers.seconds),
        seconds=seconds,
        cpu_seconds=cpu,
        commits=server.metric(_COMMITS) - commits,
        p50_seconds=answers.quantile(0.5),
        p99_seconds=answers.quantile(0.99),
    )


_COMMITS: Final = "heliograph_publishes_per_commit_count"


def _requests(server: Server) -> Callable[[int], bytes]:
    body = b'{"users":["user-%010d"],"apns":{"aps":{"alert":{"title":"Hello","body":"' + (
        b"x" * 200 + b'"}}}}'
    )
    head = (
        f"POST /publish_api/v1/instances/{server.instance}/publishes/users HTTP/1.1\r\n"
        f"host: bench\r\nauthorization: Bearer {server.secret_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body % 0)}\r\n\r\n"
    ).encode()
    whole = head + body
    return lambda number: whole % number
