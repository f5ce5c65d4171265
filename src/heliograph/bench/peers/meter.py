"""What the senders in Python share: the task they read, the meter, the report they print."""

import os
import resource
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from heliograph.bench.work import HOLE, Report, Task


def read_task() -> Task:
    """The task on the standard input."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)


def print_report(report: Report) -> None:
    """Say what was done."""
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


class Meter:
    """Measures CPU and time of the block that it is entered for."""

    def __init__(self, ready: Callable[[], object] = lambda: None) -> None:
        """Make a meter; ``ready`` is called just before it starts."""
        self._ready = ready

    def __enter__(self) -> Self:
        self._ready()
        self.began_at = time.monotonic()
        self._cpu = time.process_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cpu_seconds = time.process_time() - self._cpu
        self.ended_at = time.monotonic()

    def report(self, *, sent: int, requests: int) -> Report:
        """What was measured."""
        seconds = self.ended_at - self.began_at
        return Report(sent, requests, self.cpu_seconds, seconds, peak_bytes())


def peak_bytes() -> int:
    """
    The most memory that this process had resident.

    Linux counts what the parent had into ``ru_maxrss``, so its own file is asked first.
    """
    return peak_of(os.getpid()) or _maxrss()


def peak_of(pid: int) -> int:
    """The same of any process, where Linux's files tell; otherwise 0."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    _, _, rest = text.partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if rest else 0


def _maxrss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def context(task: Task, *protocols: str) -> ssl.SSLContext:
    """Trust in the sink, and what to offer it."""
    made = ssl.create_default_context(cafile=task.ca_file)
    made.set_alpn_protocols(list(protocols))
    return made


def requests_of(task: Task) -> list[tuple[str, bytes]]:
    """The address and the body for each device."""
    return [
        (task.origin + task.path.replace(HOLE, token), task.body.replace(HOLE, token).encode())
        for token in task.tokens()
    ]


def check(statuses: set[int]) -> None:
    """Fail unless every answer was the one that was to be."""
    if not statuses <= {200, 201}:
        raise SystemExit(f"answered {sorted(statuses)}")
