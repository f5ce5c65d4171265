"""From rounds to figures."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heliograph.bench.rounds import Failure, Outcome, Run, Turn
from heliograph.bench.sink import Shape
from heliograph.model import Gateway


@dataclass(frozen=True, slots=True)
class Spread:
    """Some numbers, as we tell them."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """What is to be told of at least one number."""
        return cls(min(numbers), statistics.median(numbers), max(numbers))


@dataclass(frozen=True, slots=True)
class Figures:
    """What one sender took in one shape."""

    turn: Turn
    cpu_us: Spread
    """Microseconds of CPU for each notification."""
    per_second: float
    """Notifications in a second of the clock, by the median."""
    peak_bytes: int
    sink_us: float
    """What the sink took for each request, by the median."""
    rounds: int

    @property
    def per_core_second(self) -> float:
        """Notifications for which a second of one core is enough."""
        return 1e6 / self.cpu_us.median


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured, and what was not."""

    rows: tuple[Figures, ...]
    """Cheapest first, within a gateway and a shape."""
    failures: tuple[Failure, ...]
    """One for each turn, at most."""

    def row(self, gateway: Gateway, shape: Shape, name: str) -> Figures | None:
        """One sender's; None if it was not measured."""
        return next(
            (each for each in self.section(gateway, shape) if each.turn.sender.name == name), None
        )

    def section(self, gateway: Gateway, shape: Shape) -> list[Figures]:
        """Those that can be compared."""
        return [
            each for each in self.rows if (each.turn.gateway, each.turn.shape) == (gateway, shape)
        ]

    def sections(self) -> list[tuple[Gateway, Shape]]:
        """What there is something to say about, in order."""
        turns = [row.turn for row in self.rows] + [each.turn for each in self.failures]
        return [
            (gateway, shape)
            for gateway in Gateway
            for shape in Shape
            if any((each.gateway, each.shape) == (gateway, shape) for each in turns)
        ]


def results(outcomes: Iterable[Outcome]) -> Results:
    """Sum up; a sender that failed once has failed."""
    runs: dict[Turn, list[Run]] = {}
    failures: dict[Turn, Failure] = {}
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failures.setdefault(outcome.turn, outcome)
        else:
            runs.setdefault(outcome.turn, []).append(outcome)
    rows = [figures(each) for turn, each in runs.items() if turn not in failures]
    rows.sort(key=lambda row: row.cpu_us.median)
    return Results(tuple(rows), tuple(failures.values()))


def figures(runs: Sequence[Run]) -> Figures:
    """What the rounds of one turn come to; there is at least one."""
    reports = [each.report for each in runs]
    return Figures(
        turn=runs[0].turn,
        cpu_us=Spread.of([each.cpu_seconds / each.sent * 1e6 for each in reports]),
        per_second=statistics.median([each.sent / each.wall_seconds for each in reports]),
        peak_bytes=max(each.peak_bytes for each in reports),
        sink_us=statistics.median(
            [each.sink_cpu_seconds / each.report.requests * 1e6 for each in runs]
        ),
        rounds=len(runs),
    )


def times(row: Figures, base: Figures) -> float:
    """How many times as much CPU a sender takes as another."""
    return row.cpu_us.median / base.cpu_us.median
