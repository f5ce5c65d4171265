"""What calls cost as a registry grows, as a picture: lines over a logarithmic scale, as SVG."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

BOUND: Final = 1.5
"""How much more a call may cost than at the least size."""

_WIDTH: Final = 880
_HEIGHT: Final = 340
_LEFT: Final = 70
_RIGHT: Final = 200
_TOP: Final = 60
_BOTTOM: Final = 50
_SPACE: Final = 1.15
"""Room above what is highest."""

_COLOURS: Final = ("first", "second", "third")
_STYLE: Final = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
  .card { fill: #ffffff; stroke: #d0d7de; } .text { fill: #1f2328; } .faint { fill: #59636e; }
  .grid { stroke: #d8dee4; } .title { font-size: 17px; font-weight: 600; }
  .small { font-size: 11px; } .bound { stroke: #cf222e; stroke-dasharray: 5 4; }
  polyline { fill: none; stroke-width: 2; }
  .first { stroke: #0969da; } .second { stroke: #1a7f37; } .third { stroke: #8250df; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; }
    .grid { stroke: #2a313c; } .bound { stroke: #f85149; }
    .first { stroke: #388bfd; } .second { stroke: #3fb950; } .third { stroke: #a371f7; }
  }
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a kind of call costs at one size: medians."""

    kind: str
    devices: int
    cpu_us: float
    wall_us: float


def growth(cost: Cost, costs: Sequence[Cost]) -> float:
    """How many times what the same kind costs at the least size."""
    least = min((each for each in costs if each.kind == cost.kind), key=lambda each: each.devices)
    return cost.cpu_us / least.cpu_us


def picture(costs: Sequence[Cost]) -> str:
    """An SVG with a line for each kind of call, and one for how much it may grow."""
    sizes = sorted({each.devices for each in costs})
    scale = _Scale(
        sizes[0], sizes[-1], max(BOUND, *(growth(each, costs) for each in costs)) * _SPACE
    )
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    edge = f'x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            "<title>CPU of a call, by the number of devices</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="card" {edge} rx="8"/>',
            _text(20, 32, "CPU of a call, in times of what it is at the least size", "text title"),
            *_axes(scale, sizes),
            *_lines(scale, costs),
            "</svg>\n",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From sizes and growth to places."""

    least: int
    most: int
    top: float

    def x(self, devices: int) -> float:
        decades = math.log10(self.most / self.least) or 1
        share = math.log10(devices / self.least) / decades
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, times: float) -> float:
        return _HEIGHT - _BOTTOM - times / self.top * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale, sizes: Sequence[int]) -> Iterable[str]:
    right = _WIDTH - _RIGHT
    for step in range(int(scale.top / 0.5) + 1):
        y = scale.y(step * 0.5)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield _text(_LEFT - 8, y + 4, f"{step * 0.5:g}", "faint small", "end")
    for devices in sizes:
        words = f"{devices:,} devices" if devices == sizes[0] else f"{devices:,}"
        yield _text(scale.x(devices), _HEIGHT - _BOTTOM + 20, words, "faint small", "middle")
    y = scale.y(BOUND)
    yield f'<line class="bound" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
    yield _text(right + 8, y + 4, f"at most {BOUND:g} times", "faint small")


def _lines(scale: _Scale, costs: Sequence[Cost]) -> Iterable[str]:
    for place, kind in enumerate(dict.fromkeys(each.kind for each in costs)):
        line = sorted((each for each in costs if each.kind == kind), key=lambda each: each.devices)
        points = " ".join(
            f"{scale.x(each.devices):.1f},{scale.y(growth(each, costs)):.1f}" for each in line
        )
        colour = _COLOURS[place % len(_COLOURS)]
        yield f'<polyline class="{colour}" points="{points}"/>'
        key, top = _WIDTH - _RIGHT + 8, _HEIGHT - _BOTTOM - 60 + place * 22
        yield f'<polyline class="{colour}" points="{key},{top} {key + 20},{top}"/>'
        yield _text(key + 26, top + 4, kind, "text small")


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
