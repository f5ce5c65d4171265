"""The result as tables: on the screen, and in Markdown."""

import os
import platform
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heliograph.bench.figures import Figures, Results, times
from heliograph.bench.requirements import Kit
from heliograph.bench.senders import OURS, Sender
from heliograph.bench.sink import Shape
from heliograph.bench.targets import Judged, judge
from heliograph.model import Gateway

TITLES: Final = {Gateway.APNS: "APNs", Gateway.FCM: "FCM", Gateway.WEB: "Web Push"}

_COLUMNS: Final = ("sender", "min", "median", "max", "ratio", "per core", "seen", "MB", "sink")

_LEGEND: Final = (
    "min, median, max: µs of the sender's CPU for each notification; ratio: of the medians, to "
    "ours; per core: notifications for which a second of one core is enough; seen: notifications "
    "in a second of the clock; MB: the most memory resident; sink: µs of the sink's CPU for each."
)

_NO_FIGURES: Final = (
    "A quick run: it shows that everything works. So few notifications make no figures."
)

_TARGET_COLUMNS: Final = ("target", "bound", "measured", "met")
_MARKS: Final = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True, slots=True)
class Told:
    """A run with its circumstances."""

    results: Results
    circumstances: str
    versions: tuple[tuple[str, str, str], ...]
    """Name, version and note of each sender that was measured."""
    targets: tuple[Judged, ...]
    """None of them if the run was too quick to tell."""


def tell(results: Results, kit: Kit, *, rounds: int, is_quick: bool = False) -> Told:
    """Put together what is to be told."""
    measured = {row.turn.sender.name: row.turn.sender for row in results.rows}
    return Told(
        results,
        f"{_NO_FIGURES} {circumstances(rounds)}" if is_quick else circumstances(rounds),
        tuple(_version(each, kit) for each in measured.values()),
        () if is_quick else tuple(judge(results)),
    )


def circumstances(rounds: int) -> str:
    """The machine and the run, in a sentence."""
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return (
        f"{_processor()}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}, "
        f"uvloop {metadata.version('uvloop')}, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}; "
        f"rounds: {rounds}; load average {os.getloadavg()[0]:.1f}."
    )


def show(told: Told, console: Console) -> None:
    """Print it."""
    for gateway, shape in told.results.sections():
        console.print(_table(told.results, gateway, shape))
        for name, reason in _failures(told.results, gateway, shape):
            console.print(f"{name}: {reason}", style="dim", markup=False, highlight=False)
        console.print()
    if told.targets:
        console.print(_targets_table(told.targets), "")
    for words in (_LEGEND, told.circumstances):
        console.print(words, "", highlight=False)
    for name, version, note in told.versions:
        line = f"{name}: {version}{note and f'; {note}'}"
        console.print(line, markup=False, highlight=False)


def markdown(told: Told, *, picture: str) -> str:
    """The same in Markdown; the picture is a file beside it."""
    parts = [told.circumstances, f"![CPU of each sender, on a logarithmic scale]({picture})"]
    parts.append(_LEGEND)
    for gateway, shape in told.results.sections():
        rows = [
            (f"**{name}**" if name.startswith(OURS) else name, *cells)
            for name, *cells in _rows(told.results, gateway, shape)
        ]
        rows += [
            (name, reason, *[""] * (len(_COLUMNS) - 2))
            for name, reason in _failures(told.results, gateway, shape)
        ]
        parts += [f"**{_title(gateway, shape)}**", markdown_table(_COLUMNS, rows)]
    if told.targets:
        rows = [_judged_cells(each) for each in told.targets]
        parts += ["**Targets, in the worse shape**", markdown_table(_TARGET_COLUMNS, rows)]
    parts += ["**Versions**", markdown_table(("sender", "version", "note"), told.versions)]
    return "\n\n".join(parts) + "\n"


def number(value: float) -> str:
    """A number to about three digits."""
    few, some = 10, 100
    if value < few:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < some else f"{value:,.0f}"


def _title(gateway: Gateway, shape: Shape) -> str:
    replies = "replies together" if shape is Shape.COALESCED else "one TLS record per reply"
    return f"{TITLES[gateway]}, {shape}: {replies}"


def _rows(results: Results, gateway: Gateway, shape: Shape) -> list[tuple[str, ...]]:
    """What was measured, cheapest first."""
    ours = results.row(gateway, shape, OURS)
    return [_cells(row, ours) for row in results.section(gateway, shape)]


def _failures(results: Results, gateway: Gateway, shape: Shape) -> list[tuple[str, str]]:
    """Who was not measured, and why."""
    return [
        (each.turn.sender.name, each.reason)
        for each in results.failures
        if (each.turn.gateway, each.turn.shape) == (gateway, shape)
    ]


def _cells(row: Figures, ours: Figures | None) -> tuple[str, ...]:
    return (
        row.turn.sender.name,
        number(row.cpu_us.least),
        number(row.cpu_us.median),
        number(row.cpu_us.most),
        number(times(row, ours)) if ours else "",
        f"{row.per_core_second:,.0f}",
        f"{row.per_second:,.0f}",
        f"{row.peak_bytes / 1e6:,.0f}",
        number(row.sink_us),
    )


def _table(results: Results, gateway: Gateway, shape: Shape) -> Table:
    table = plain_table(_title(gateway, shape), _COLUMNS, left=1)
    for name, *cells in _rows(results, gateway, shape):
        style = "bold green" if name.startswith(OURS) else None
        table.add_row(escape(name), *cells, style=style)
    return table


def plain_table(title: str, columns: Sequence[str], *, left: int) -> Table:
    """A table without lines, whose first columns are words and the others numbers."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0)
    )
    for place, column in enumerate(columns):
        is_word = place < left
        table.add_column(column, justify="left" if is_word else "right", no_wrap=not is_word)
    return table


def _judged_cells(judged: Judged) -> tuple[str, str, str, str]:
    target, value = judged.target, judged.value
    return (
        target.sentence,
        f"{target.bound:,g}",
        "" if value is None else number(value),
        _MARKS[judged.holds],
    )


def _targets_table(judged: Sequence[Judged]) -> Table:
    table = plain_table("Targets, in the worse shape", _TARGET_COLUMNS, left=1)
    for each in judged:
        style = {True: "green", False: "red", None: "dim"}[each.holds]
        table.add_row(*_judged_cells(each), style=style)
    return table


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The lines of a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _version(sender: Sender, kit: Kit) -> tuple[str, str, str]:
    return sender.name, sender.version(kit), sender.note


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    _, _, rest = text.partition("model name")
    return rest.partition("\n")[0].lstrip("\t :") or platform.machine()
