"""The command: wishes become a plan, its outcome tables and a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import heliograph
from heliograph.bench import figures, plot
from heliograph.bench.report import Told, markdown, show, tell
from heliograph.bench.requirements import Kit
from heliograph.bench.rounds import Plan
from heliograph.bench.rounds import run as measure
from heliograph.bench.senders import SENDERS
from heliograph.bench.sink import Shape
from heliograph.errors import HeliographError
from heliograph.model import Gateway

QUICK: Final = 500
"""Notifications in a turn that only shows that everything works."""

NODE_MODULES: Final = (
    Path(heliograph.__file__).parents[2] / "tests" / "judges" / "node" / "node_modules"
)
"""Where ``make test`` puts packages, in a checkout."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an operator asks for."""

    rounds: int
    count: int | None
    """Notifications in a turn, at most."""
    is_quick: bool
    only: tuple[str, ...]
    gateways: tuple[Gateway, ...]
    shapes: tuple[Shape, ...]
    output: Path | None
    node_modules: Path

    def plan(self) -> Plan:
        """
        What is to be measured.

        Raises:
            HeliographError: That is nothing.
        """
        plan = Plan(
            senders=tuple(
                each
                for each in SENDERS
                if not self.only or any(word.lower() in each.name.lower() for word in self.only)
            ),
            gateways=self.gateways,
            shapes=self.shapes,
            rounds=1 if self.is_quick else self.rounds,
            most=min(self.count or QUICK, QUICK) if self.is_quick else self.count,
        )
        if not plan.turns():
            names = ", ".join(each.name for each in SENDERS)
            raise HeliographError(f"there is no such sender; there are {names}")
        return plan


def run(wishes: Wishes, console: Console) -> Told:
    """Measure, print what came of it, and write it down if a folder is named."""
    kit = Kit(wishes.node_modules.absolute())
    plan = wishes.plan()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=None)

        def say(what: str, over: int, number: int) -> None:
            progress.update(bar, description=what, completed=over, total=number)

        outcomes = measure(plan, kit, say)
    told = tell(figures.results(outcomes), kit, rounds=plan.rounds, is_quick=wishes.is_quick)
    show(told, console)
    if wishes.output is not None:
        write(told, wishes.output)
        console.print(f"Written to {wishes.output}: bench.md, bench.svg", highlight=False)
    return told


def write(told: Told, folder: Path) -> None:
    """Write table and picture into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.md").write_text(markdown(told, picture="bench.svg"), encoding="utf-8")
    (folder / "bench.svg").write_text(plot.picture(told.results), encoding="utf-8")
