"""What runs came to, as a table, and in its place on a page: pure."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from benchmarks.chaos.run import Report

BEGIN: Final = "<!-- chaos:begin -->"
END: Final = "<!-- chaos:end -->"


def table(reports: Sequence[Report]) -> str:
    """Runs side by side, in Markdown."""
    columns = [dict(_rows(each)) for each in reports]
    names = list(dict.fromkeys(name for column in columns for name in column))
    lines = [["what", *(each.mode for each in reports)], ["---"] * (1 + len(reports))]
    lines += [[name, *(column.get(name, "-") for column in columns)] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(page: str, reports: Sequence[Report]) -> str:
    """The page with this table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    seeds = ", ".join(sorted({str(each.seed) for each in reports}))
    return f"{before}{BEGIN}\nSeed {seeds}.\n\n{table(reports)}\n{END}{after}"


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    yield "rounds", f"{report.rounds}"
    yield "devices", f"{report.devices:,}"
    for victim, count in sorted(report.kills.items()):
        yield f"killed: {victim}", f"{count}"
    yield "publishes asked for", f"{report.publishes:,}"
    yield (
        "requests that were not answered, and were made again with their key",
        (f"{report.asked_again:,}"),
    )
    yield "deliveries", f"{report.ends['targeted']:,}"
    yield (
        "sent / failed / expired / cancelled / pending",
        " / ".join(
            f"{report.ends[end]:,}" for end in ("sent", "failed", "expired", "cancelled", "pending")
        ),
    )
    yield "observations", f"{report.observations:,}"
    yield "faults that struck", f"{report.faults.total():,}"
    yield "notifications taken", f"{report.arrivals:,}"
    yield "calls that the webhook took, and refused once", f"{report.told:,}, {report.refused:,}"
    yield "repeats after a kill", f"{report.repeats['kill']:,}"
    yield "repeats after a lost answer", f"{report.repeats['lost answer']:,}"
    yield "repeats, of what was sent", f"{report.repeated:.2%}"
    yield (
        "until something new arrives after a kill: median, slowest",
        (f"{median(report.recoveries):.1f} s, {max(report.recoveries):.1f} s"),
    )
    yield "broken promises", "0"
    yield "time", f"{report.seconds / 60:.1f} min"
