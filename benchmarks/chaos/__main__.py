"""
Kills the product again and again while services fail, and holds everything against everything.

Real processes: ``heliograph serve``, embedded and as a cluster (PostgreSQL, NATS, an API, two
workers), against the real ``heliograph sandbox``, which misbehaves as its scenario says. In
each round publishes to one, to a few and to everybody are asked for; somewhere in the midst
of it a process is killed with SIGKILL, and started again. What must hold stands at the top
of ``ledger.py``. The exit status says whether it did.

    make chaos
    PYTHONPATH=.:tests python -m benchmarks.chaos --rounds 50 --seed 7 --mode embedded
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.chaos.ledger import Broken
from benchmarks.chaos.report import table, written
from benchmarks.chaos.run import Report, prove
from benchmarks.chaos.script import Round, Size
from benchmarks.chaos.stage import Mode
from rich.console import Console
from rich.progress import Progress

MODES: Final[Sequence[Mode]] = ("embedded", "cluster")

MOST_REPEATED: Final = 0.01
"""Repeats, as a share of the deliveries."""


def main() -> None:
    """Run, show what came of it, and exit with 1 if a promise was broken."""
    options = _options()
    seed = Random().randrange(2**32) if options.seed is None else options.seed  # noqa: S311
    console = Console()
    console.print(f"{options.rounds} rounds, seed {seed}: SEED={seed} replays them.")
    size = Size(options.rounds, users=options.users, frail_users=12, small=4, is_patient=True)
    reports = [_run(mode, size, seed, console) for mode in options.mode or MODES]
    console.print(table(reports), markup=False)
    if options.output is not None:
        options.output.write_text(written(options.output.read_text(), reports))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--users", type=int, default=700, help="each has three devices")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--mode", action="append", choices=MODES, help="default: both")
    parser.add_argument("--output", type=Path, help="a page that has a place for the table")
    return parser.parse_args()


def _run(mode: Mode, size: Size, seed: int, console: Console) -> Report:
    with Progress(console=console) as progress:
        task = progress.add_task(mode, total=size.rounds)

        def show(played: Round) -> None:
            progress.advance(task)
            if not console.is_terminal:  # where a bar would not be seen to move
                console.print(f"{mode} {played.number + 1}: {played.victim}")

        try:
            report = asyncio.run(prove(mode, size, seed, progress=show))
        except (Broken, AssertionError, TimeoutError) as problem:
            sys.exit(f"seed {seed}, {mode}: {type(problem).__name__}: {problem}")
    if report.repeated >= MOST_REPEATED:
        sys.exit(f"seed {seed}, {mode}: {report.repeated:.2%} of the deliveries were repeats")
    return report


if __name__ == "__main__":
    main()
