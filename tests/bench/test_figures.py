"""Statistics, targets, tables and the picture, from rounds that were made up."""

from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from heliograph.bench.figures import Results, Spread, results, times
from heliograph.bench.plot import Scale, picture
from heliograph.bench.report import markdown, number, show, tell
from heliograph.bench.requirements import Kit
from heliograph.bench.rounds import Failure, Outcome, Run, Turn
from heliograph.bench.senders import GO, OURS, SENDERS, Sender
from heliograph.bench.sink import Shape
from heliograph.bench.targets import Judged, Target, judge
from heliograph.bench.work import Report
from heliograph.model import Gateway

KIT = Kit(Path("nowhere"))


def sender(name: str) -> Sender:
    (found,) = [each for each in SENDERS if each.name == name]
    return found


def turn(name: str = OURS, shape: Shape = Shape.RECORDS, gateway: Gateway = Gateway.APNS) -> Turn:
    return Turn(gateway, shape, sender(name))


def run(which: Turn, cpu_us: float, *, sent: int = 100) -> Run:
    """A round that took so much CPU for each, twice the time, and half of it at the sink."""
    report = Report(sent, sent, cpu_us * sent / 1e6, 2 * cpu_us * sent / 1e6, 50_000_000)
    return Run(which, report, sink_cpu_seconds=cpu_us / 2 * sent / 1e6)


def some_results() -> Results:
    outcomes: list[Outcome] = [run(turn(), 10), run(turn(), 5), run(turn(), 8)]
    outcomes += [run(turn(GO), 80), run(turn(shape=Shape.COALESCED), 2)]
    outcomes.append(Failure(turn("pycurl"), "not installed: pip install 'pycurl'"))
    return results(outcomes)


def judged(part: str, of: Results) -> tuple[float | None, bool | None]:
    (found,) = [each for each in judge(of) if part in each.target.sentence]
    return found.value, found.holds


def test_rounds_come_to_least_median_and_most() -> None:
    """CPU is told by its spread; what a core does in a second follows from the median."""
    row = some_results().row(Gateway.APNS, Shape.RECORDS, OURS)

    assert row is not None
    assert Spread(5, 8, 10) == Spread(*(round(each, 6) for each in spread(row.cpu_us)))
    assert (125_000, 62_500, 4, 50_000_000, 3) == (
        round(row.per_core_second),
        round(row.per_second),
        round(row.sink_us, 6),
        row.peak_bytes,
        row.rounds,
    )


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  (our own)


def spread(each: Spread) -> tuple[float, float, float]:
    return each.least, each.median, each.most


def test_a_ratio_is_of_the_medians() -> None:
    """Go at 80 is ten times ours at 8."""
    found = some_results()
    go, ours = (found.row(Gateway.APNS, Shape.RECORDS, name) for name in (GO, OURS))

    assert go is not None
    assert ours is not None
    assert 10 == round(times(go, ours), 6)


def test_the_cheapest_stands_first() -> None:
    """Within a section, rows are in the order of their medians."""
    section = some_results().section(Gateway.APNS, Shape.RECORDS)

    assert [OURS, GO] == [row.turn.sender.name for row in section]


def test_who_failed_once_has_no_figures() -> None:
    """A median over the rounds that went well would flatter."""
    found = results([run(turn(GO), 1), Failure(turn(GO), "failed: why"), run(turn(GO), 1)])

    assert ((), ["failed: why"]) == (found.rows, [each.reason for each in found.failures])


def test_targets_are_held_against_the_worse_shape() -> None:
    """A ratio that holds in one shape only does not hold; what lacks a sender is not judged."""
    good, bad = run(turn(GO, Shape.COALESCED), 80), run(turn(GO), 20)
    ours = [run(turn(shape=Shape.COALESCED), 2), run(turn(), 10)]

    assert (10, True) == judged("APNs, records", results(ours))
    assert (40, True) == judged("Go net/http", results([*ours, good]))
    assert (2, False) == judged("Go net/http", results([*ours, good, bad]))
    assert (None, None) == judged("aioapns", results(ours))


@pytest.mark.parametrize(
    "value, is_ceiling, holds",
    [(9, True, True), (11, True, False), (9, False, False), (11, False, True), (10, True, True)],
)
def test_a_target_is_a_ceiling_or_a_floor(value: float, is_ceiling: bool, holds: bool) -> None:
    """What is exactly at the bound holds."""
    target = Target("some", 10, is_ceiling, lambda _results, _shape: value)

    assert holds == Judged(target, value).holds


def test_markdown_has_every_row() -> None:
    """Who was measured has figures, and who is missing a word on how to get it."""
    text = markdown(tell(some_results(), KIT, rounds=3), picture="bench.svg")

    assert "| **heliograph** | 5.00 | 8.00 | 10.0 | 1.00 | 125,000 | 62,500 | 50 | 4.00 |" in text
    assert "| pycurl | not installed: pip install 'pycurl' |" in text
    assert "| APNs, records: µs of CPU at most | 10 | 8.00 | yes |" in text
    assert "![CPU of each sender, on a logarithmic scale](bench.svg)" in text


def test_a_quick_run_judges_nothing() -> None:
    """Its figures mean nothing, and it says so."""
    text = markdown(tell(some_results(), KIT, rounds=1, is_quick=True), picture="bench.svg")

    assert ("So few notifications make no figures" in text, "Targets" in text) == (True, False)


def test_the_screen_has_every_row_in_eighty_columns() -> None:
    """No figure is cut off on a narrow terminal."""
    console = Console(width=80, record=True, file=StringIO())
    show(tell(some_results(), KIT, rounds=3), console)
    shown = console.export_text()

    assert "125,000" in shown
    assert "pycurl: not installed: pip install 'pycurl'" in shown
    assert "…" not in shown


def test_the_picture_is_xml_with_a_bar_for_each_figure() -> None:
    """Three figures are three bars, besides the card and the legend's four."""
    root = parsed(picture(some_results()))
    bars = [each for each in root.iter() if each.tag.endswith("rect")]

    assert 1 + 4 + 3 == len(bars)
    assert {"heliograph", GO, "APNs"} <= {each.text for each in root.iter()}


def test_a_picture_of_nothing_is_xml_too() -> None:
    """Where nothing was measured, there is a heading."""
    assert "svg" in parsed(picture(results([]))).tag


def test_a_scale_has_whole_decades() -> None:
    """Every value is between its borders, which are powers of ten."""
    scale = Scale.of([0.4, 30, 2500])

    assert [0.1, 1, 10, 100, 1000, 10_000] == [round(each, 6) for each in scale.ticks()]
    assert 0 < scale.width(0.4) < scale.width(2500)


@pytest.mark.parametrize(
    "value, told", [(0.123, "0.12"), (9.5, "9.50"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_numbers_have_about_three_digits(value: float, told: str) -> None:
    """More would be noise."""
    assert told == number(value)
