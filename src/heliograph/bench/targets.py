"""What we aim for, and whether a run shows it: in the worse of the shapes that were measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from heliograph.bench.figures import Figures, Results, times
from heliograph.bench.senders import (
    AIOAPNS,
    GO,
    H2LOAD,
    NODE_APN,
    NODE_WEB_PUSH,
    OUR_ENGINE,
    OURS,
    OURS_TWICE,
    OURS_WITH_ONE_KEY,
    PYWEBPUSH,
)
from heliograph.bench.sink import Shape
from heliograph.model import Gateway

Measure = Callable[[Results, Shape], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A number that ought not to be passed, in one direction."""

    sentence: str
    bound: float
    is_ceiling: bool
    measure: Measure
    shapes: tuple[Shape, ...] = tuple(Shape)


@dataclass(frozen=True, slots=True)
class Judged:
    """A target, and what was measured."""

    target: Target
    value: float | None
    """None if a sender that it speaks of was not measured."""

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None if that is not known."""
        if self.value is None:
            return None
        bound = self.target.bound
        return self.value <= bound if self.target.is_ceiling else self.value >= bound


def judge(results: Results) -> list[Judged]:
    """Hold every target against a run."""
    return [Judged(each, _worst(each, results)) for each in TARGETS]


def _worst(target: Target, results: Results) -> float | None:
    measured = [target.measure(results, shape) for shape in target.shapes]
    known = [each for each in measured if each is not None]
    if not known:
        return None
    return max(known) if target.is_ceiling else min(known)


def _of(gateway: Gateway, name: str, read: Callable[[Figures], float]) -> Measure:
    def measure(results: Results, shape: Shape) -> float | None:
        row = results.row(gateway, shape, name)
        return None if row is None else read(row)

    return measure


def _ratio(
    over: tuple[Gateway, str],
    under: tuple[Gateway, str],
    read: Callable[[Figures, Figures], float] = times,
) -> Measure:
    def measure(results: Results, shape: Shape) -> float | None:
        rows = results.row(over[0], shape, over[1]), results.row(under[0], shape, under[1])
        return None if rows[0] is None or rows[1] is None else read(rows[0], rows[1])

    return measure


def _cpu(row: Figures) -> float:
    return row.cpu_us.median


def _per_core(row: Figures) -> float:
    return row.per_core_second


def _throughput(row: Figures, base: Figures) -> float:
    return row.per_second / base.per_second


_APNS: Final = (Gateway.APNS, OURS)
_WEB: Final = (Gateway.WEB, OURS)

TARGETS: Final = (
    Target("APNs, records: µs of CPU at most", 10, True, _of(*_APNS, _cpu), (Shape.RECORDS,)),
    Target("APNs, coalesced, the engine alone: µs of CPU at most", 2.5, True,
           _of(Gateway.APNS, OUR_ENGINE, _cpu), (Shape.COALESCED,)),
    Target("APNs: times the CPU of ours that Go net/http takes, at least", 6, False,
           _ratio((Gateway.APNS, GO), _APNS)),
    Target("APNs: times the CPU of ours that @parse/node-apn takes, at least", 10, False,
           _ratio((Gateway.APNS, NODE_APN), _APNS)),
    Target("APNs: times the CPU of ours that aioapns takes, at least", 40, False,
           _ratio((Gateway.APNS, AIOAPNS), _APNS)),
    Target("APNs: times the CPU of h2load that ours takes, at most", 1.5, True,
           _ratio(_APNS, (Gateway.APNS, H2LOAD))),
    Target("FCM: times the CPU of APNs, at most", 2, True, _ratio((Gateway.FCM, OURS), _APNS)),
    Target("Web Push, a key pair per message: per second and core, at least", 9_000, False,
           _of(*_WEB, _per_core)),
    Target("Web Push, a key pair per batch: per second and core, at least", 12_000, False,
           _of(Gateway.WEB, OURS_WITH_ONE_KEY, _per_core)),
    Target("Web Push: times the CPU of ours that npm web-push takes, at least", 5, False,
           _ratio((Gateway.WEB, NODE_WEB_PUSH), _WEB)),
    Target("Web Push: times the CPU of ours that pywebpush takes, at least", 2, False,
           _ratio((Gateway.WEB, PYWEBPUSH), _WEB)),
    Target("Web Push: times the throughput of one process that two have, at least", 1.8, False,
           _ratio((Gateway.WEB, OURS_TWICE), _WEB, _throughput)),
)  # fmt: skip
