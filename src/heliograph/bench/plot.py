"""The result as a picture: bars on a logarithmic scale, as SVG."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from heliograph.bench.figures import Results
from heliograph.bench.report import TITLES, number
from heliograph.bench.senders import OURS
from heliograph.bench.sink import Shape
from heliograph.model import Gateway

_WIDTH: Final = 880
_LEFT: Final = 220
_BARS: Final = 570
_BAR: Final = 10
_ROW: Final = 36
_PANEL_HEAD: Final = 46
_PANEL_FOOT: Final = 34
_TOP: Final = 70

_STYLE: Final = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
  .card { fill: #ffffff; stroke: #d0d7de; } .text { fill: #1f2328; } .faint { fill: #59636e; }
  .grid { stroke: #d8dee4; } .title { font-size: 17px; font-weight: 600; }
  .panel, .ours { font-weight: 600; } .small { font-size: 11px; }
  .our-coalesced { fill: #54aeff; } .our-records { fill: #0969da; }
  .coalesced { fill: #c4ccd4; } .records { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; }
    .grid { stroke: #2a313c; }
    .our-coalesced { fill: #79c0ff; } .our-records { fill: #388bfd; }
    .coalesced { fill: #4a5563; } .records { fill: #768390; }
  }
"""


@dataclass(frozen=True, slots=True)
class Bars:
    """One sender's row in a panel."""

    name: str
    values: dict[Shape, float]


def picture(results: Results) -> str:
    """An SVG with a panel for each gateway; both shapes of a sender stand together."""
    panels = [(gateway, bars(results, gateway)) for gateway in Gateway]
    panels = [(gateway, rows) for gateway, rows in panels if rows]
    values = [value for _, rows in panels for row in rows for value in row.values.values()]
    scale = Scale.of(values)
    height = _TOP
    drawn: list[str] = []
    for gateway, rows in panels:
        drawn += _panel(TITLES[gateway], rows, scale, top=height)
        height += _PANEL_HEAD + _ROW * len(rows) + _PANEL_FOOT
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    edge = f'x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>CPU of the sender for each notification</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="card" {edge} rx="8"/>',
        *_heading(),
        *drawn,
        "</svg>\n",
    ]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class Scale:
    """Whole decades, from below the least value to above the greatest."""

    low: int
    high: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Scale":
        """The decades that hold these values; 1 to 10 if there are none."""
        low = math.floor(math.log10(min(values, default=1)))
        return cls(low, max(low + 1, math.ceil(math.log10(max(values, default=1)))))

    def width(self, value: float) -> float:
        """How long a bar is."""
        return (math.log10(value) - self.low) / (self.high - self.low) * _BARS

    def ticks(self) -> list[float]:
        """The borders of the decades."""
        return [10.0**exponent for exponent in range(self.low, self.high + 1)]


def bars(results: Results, gateway: Gateway) -> list[Bars]:
    """A gateway's senders, cheapest first by the shape that is dearer."""
    rows: dict[str, dict[Shape, float]] = {}
    for row in results.rows:
        if row.turn.gateway == gateway:
            rows.setdefault(row.turn.sender.name, {})[row.turn.shape] = row.cpu_us.median
    every = [Bars(name, values) for name, values in rows.items()]
    return sorted(every, key=lambda each: max(each.values.values()))


def _heading() -> list[str]:
    legend = []
    at = _LEFT
    for shape, words in (
        (Shape.COALESCED, "replies together"),
        (Shape.RECORDS, "one TLS record each"),
    ):
        legend += [
            f'<rect class="our-{shape}" x="{at}" y="42" width="10" height="10" rx="2"/>',
            f'<rect class="{shape}" x="{at + 13}" y="42" width="10" height="10" rx="2"/>',
            _text(at + 29, 51, words, "faint small"),
        ]
        at += 160
    return [
        _text(20, 32, "CPU of the sender for each notification, in µs", "text title"),
        _text(_WIDTH - 20, 51, "logarithmic scale; shorter is better", "faint small", "end"),
        *legend,
    ]


def _panel(title: str, rows: Sequence[Bars], scale: Scale, *, top: int) -> Iterable[str]:
    first = top + _PANEL_HEAD
    bottom = first + _ROW * len(rows)
    yield _text(20, top + 28, title, "text panel")
    for tick in scale.ticks():
        x = _LEFT + scale.width(tick)
        yield f'<line class="grid" x1="{x:.1f}" y1="{first - 8}" x2="{x:.1f}" y2="{bottom}"/>'
        yield _text(x, bottom + 15, f"{tick:,g}", "faint small", "middle")
    for place, row in enumerate(rows):
        yield from _row(row, scale, top=first + place * _ROW)


def _row(row: Bars, scale: Scale, *, top: int) -> Iterable[str]:
    is_ours = row.name.startswith(OURS)
    yield _text(_LEFT - 12, top + 17, row.name, "text ours" if is_ours else "text", "end")
    for place, shape in enumerate(shape for shape in Shape if shape in row.values):
        value = row.values[shape]
        width, y = max(scale.width(value), 1), top + 1 + place * (_BAR + 2)
        kind = f"our-{shape}" if is_ours else shape
        yield (
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        )
        yield _text(_LEFT + width + 6, y + 9, number(value), "faint small")


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
