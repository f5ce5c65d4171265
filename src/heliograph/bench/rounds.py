"""
Rounds: every sender in turn, each in a process and on a core of its own.

What a sender says is believed only if the sink has seen as many requests. Senders take
turns, so that a noisy machine is unfair to nobody.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from heliograph.bench.requirements import Kit
from heliograph.bench.senders import Sender, command, prepare
from heliograph.bench.sink import Shape, door
from heliograph.bench.work import Report, Workshop
from heliograph.model import Gateway

PATIENCE_SECONDS: Final = 120
"""How long one sender may take in one round."""

_LAST_WORDS: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    senders: tuple[Sender, ...]
    gateways: tuple[Gateway, ...] = tuple(Gateway)
    shapes: tuple[Shape, ...] = tuple(Shape)
    rounds: int = 3
    most: int | None = None
    """Notifications that a sender sends in one round, at most."""

    def count(self, sender: Sender, gateway: Gateway) -> int:
        """How many one sender sends in one round."""
        count = sender.counts[gateway]
        return count if self.most is None else min(count, self.most)

    def turns(self) -> list["Turn"]:
        """One round."""
        return [
            Turn(gateway, shape, sender)
            for gateway in self.gateways
            for shape in self.shapes
            for sender in self.senders
            if gateway in sender.counts
        ]


@dataclass(frozen=True, slots=True)
class Turn:
    """One sender, one gateway, one shape."""

    gateway: Gateway
    shape: Shape
    sender: Sender


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a turn."""

    turn: Turn
    report: Report
    sink_cpu_seconds: float
    """For all of the sender's requests, and its connections."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is nothing to tell of a turn."""

    turn: Turn
    reason: str


Outcome = Run | Failure


def run(plan: Plan, kit: Kit, tell: Callable[[str, int, int], object]) -> list[Outcome]:
    """
    Do all rounds.

    Args:
        plan: What to measure.
        kit: Where to look for what is not Python.
        tell: Called with what comes now, the turns that are over, and their number.
    """
    turns, failures = _ready(plan, kit)
    outcomes: list[Outcome] = list(failures)
    number = len(turns) * plan.rounds
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name:
        folder = Path(name)
        broken = _prepare_all(turns, kit, folder, tell)
        outcomes += broken
        turns = [each for each in turns if each not in [failure.turn for failure in broken]]
        most = max((plan.count(turn.sender, turn.gateway) for turn in turns), default=0)
        workshop = Workshop(folder, browsers=most + 1)
        with SinkProcess.running(workshop.certificate) as sink:
            for over, turn in enumerate(turns * plan.rounds):
                tell(f"{turn.gateway} {turn.shape}: {turn.sender.name}", over, number)
                count = plan.count(turn.sender, turn.gateway)
                outcomes.append(_do(turn, count, workshop, sink, kit, folder))
    return outcomes


def _ready(plan: Plan, kit: Kit) -> tuple[list[Turn], list[Failure]]:
    """The turns of a round, and those that lack something."""
    missing = {
        sender.name: ", ".join(need.how for need in sender.missing(kit)) for sender in plan.senders
    }
    turns = plan.turns()
    failures = [
        Failure(turn, f"not installed: {missing[turn.sender.name]}")
        for turn in turns
        if missing[turn.sender.name]
    ]
    return [turn for turn in turns if not missing[turn.sender.name]], failures


def _prepare_all(
    turns: Sequence[Turn], kit: Kit, folder: Path, tell: Callable[[str, int, int], object]
) -> list[Failure]:
    failures = []
    for sender in {turn.sender.name: turn.sender for turn in turns}.values():
        tell(f"preparing {sender.name}", 0, 1)
        try:
            prepare(sender, kit, folder)
        except (OSError, subprocess.CalledProcessError) as problem:
            reason = _last_words(str(getattr(problem, "stderr", "") or problem))
            failures += [Failure(turn, reason) for turn in turns if turn.sender is sender]
    return failures


def _do(
    turn: Turn, count: int, workshop: Workshop, sink: "SinkProcess", kit: Kit, folder: Path
) -> Outcome:
    sender = turn.sender
    origin = sink.origin(turn.gateway, turn.shape, is_echo=sender.wants_echo)
    task = workshop.task(turn.gateway, origin, count, variant=sender.variant)
    before = sink.tally()
    all_cores = sender.processes > 1
    with on_core(None if all_cores else 0), sink.on_core(None if all_cores else 1):
        try:
            said = subprocess.run(  # noqa: S603  (a program of our table)
                command(sender, kit, folder),
                input=msgspec.json.encode(task) + b"\n",
                capture_output=True,
                env=_environment(kit, task.ca_file),
                timeout=PATIENCE_SECONDS,
                check=True,
            ).stdout
            report = msgspec.json.decode(said.splitlines()[-1], type=Report)
        except subprocess.CalledProcessError as problem:
            return Failure(turn, _last_words(problem.stderr.decode(errors="replace")))
        except (subprocess.TimeoutExpired, OSError, IndexError, msgspec.MsgspecError) as problem:
            return Failure(turn, _last_words(f"{type(problem).__name__}: {problem}"))
    after = sink.tally()
    seen = after.requests - before.requests
    if seen != report.requests or report.sent != count * sender.processes:
        return Failure(turn, f"it claims {report.requests} requests; the sink has seen {seen}")
    return Run(turn, report, after.cpu_seconds - before.cpu_seconds)


def _environment(kit: Kit, ca_file: str) -> dict[str, str]:
    """Ours, and where those for Node.js find packages and trust."""
    return {**os.environ, "NODE_PATH": str(kit.node_modules), "NODE_EXTRA_CA_CERTS": ca_file}


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("Error")), lines[-1] if lines else "")
    return f"failed: {told[:_LAST_WORDS] or 'without a word'}"


# --- the sink ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What the sink has done so far."""

    requests: int
    cpu_seconds: float


class SinkProcess:
    """The sink, and how to ask it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._ports: dict[str, int] = self._hear()

    @classmethod
    @contextlib.contextmanager
    def running(cls, certificate: Path) -> Iterator["SinkProcess"]:
        """A sink on a core of its own, if there are two."""
        with (
            on_core(1),
            subprocess.Popen(  # noqa: S603  (ourselves)
                [sys.executable, "-m", "heliograph.bench.sink", str(certificate)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                yield cls(process)
            finally:
                process.kill()

    def origin(self, gateway: Gateway, shape: Shape, *, is_echo: bool = False) -> str:
        """Where it answers like this."""
        return f"https://127.0.0.1:{self._ports[door(gateway, shape, is_echo=is_echo)]}"

    def tally(self) -> Seen:
        """What it has done so far."""
        assert self._process.stdin is not None  # noqa: S101  (we asked for it)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Seen(**self._hear())

    @contextlib.contextmanager
    def on_core(self, number: int | None) -> Iterator[None]:
        """Let it run on one core for a while; None is any."""
        with _pinned(self._process.pid, number):
            yield

    def _hear(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101  (we asked for it)
        return json.loads(self._process.stdout.readline() or "null")


# --- cores ---------------------------------------------------------------------------


def cores() -> list[int]:
    """Those that we may use; none where that cannot be told."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def on_core(number: int | None) -> Iterator[None]:
    """What is started here starts on one core; None is any."""
    with _pinned(0, number):
        yield


@contextlib.contextmanager
def _pinned(pid: int, number: int | None) -> Iterator[None]:
    every = _EVERY
    if not every:
        yield
        return
    before = os.sched_getaffinity(pid)
    os.sched_setaffinity(pid, every if number is None else {every[number % len(every)]})
    try:
        yield
    finally:
        os.sched_setaffinity(pid, before)


_EVERY: Final = cores()
