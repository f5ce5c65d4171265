"""
h2load, nghttp2's load generator: a measure of how cheap HTTP/2 with full machinery is in C.

It reports neither CPU nor what it does before it sends, so it runs twice, and the
difference is taken. It sends the same thousand requests again and again.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from heliograph.bench.peers.meter import peak_of, print_report, read_task
from heliograph.bench.work import HOLE, Report, Task

_PATHS: Final = 1000
_LOOK_SECONDS: Final = 0.01


def send(task: Task, program: str) -> Report:
    """Do a task."""
    with tempfile.TemporaryDirectory() as folder:
        body, addresses = Path(folder, "body"), Path(folder, "addresses")
        body.write_text(task.body)
        paths = [task.path.replace(HOLE, token) for token in task.tokens()[:_PATHS]]
        addresses.write_text("".join(f"{task.origin}{path}\n" for path in paths))
        command = [
            *(program, "--clients=1", "--threads=1", f"--max-concurrent-streams={task.streams}"),
            *(f"--data={body}", f"--input-file={addresses}"),
            *(f"--header={name}: {value}" for name, value in task.headers),
        ]
        few = max(task.count // 20, 1)
        first = _run([*command, f"--requests={few}"], few)
        second = _run([*command, f"--requests={few + task.count}"], few + task.count)
    cpu, wall = second[0] - first[0], second[1] - first[1]
    if cpu <= 0 or wall <= 0:
        raise SystemExit("the difference is lost in noise: too few requests")
    return Report(task.count, 2 * few + task.count, cpu, wall, second[2])


def _run(command: list[str], count: int) -> tuple[float, float, int]:
    """CPU seconds, seconds and peak bytes of a run."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603
        peak = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, peak_of(process.pid))
            time.sleep(_LOOK_SECONDS)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        output.seek(0)
        said = output.read()
    if f"{count} succeeded" not in said:
        raise SystemExit(said[-500:])
    return usage.ru_utime + usage.ru_stime, seconds, peak


if __name__ == "__main__":
    print_report(send(read_task(), sys.argv[1]))
