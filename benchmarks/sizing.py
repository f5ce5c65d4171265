"""
How large a deployment has to be, reckoned from what was measured.

Reads the table of figures at the top of ``docs/howto/scale-out.md``, and writes the
tables that follow from it into the same page. After a new measurement: change the
figures, then

    python benchmarks/sizing.py
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent.parent / "docs" / "howto" / "scale-out.md"

_AUDIENCES: Final = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_CORES: Final = (1, 2, 4, 8, 16)
_MIX: Final = {"apns": 0.4, "fcm": 0.5, "web": 0.1}
"""Of a mixed audience: iPhones, Android phones, browsers."""
_MINUTES: Final = 10
"""In which a broadcast shall be out."""
_SHARDS: Final = 10
_API_PROCESSES: Final = 4
"""Of one shard."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; microseconds are of CPU."""

    delivery_us: float
    web_us: float
    publish_us: float
    registration_us: float
    device_bytes: float
    outcome_bytes: float
    commits_per_batch: float
    batch: float
    connections: float
    fcm_per_minute: float
    request_bytes: float
    stream_limit: float
    round_trip_ms: float


def read(page: str) -> Figures:
    """The figures of a page: rows whose first cell is a name of ours."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+) \|", page, re.MULTILINE)
    return Figures(**{name: float(value.replace(",", "")) for name, value in rows})


def write(page: str, figures: Figures) -> str:
    """The page with every table that follows from the figures."""
    for name, table in _TABLES.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{table(figures)}\n\n{end}{after}"
    return page


def _audiences(figures: Figures) -> str:
    native = figures.delivery_us / 1e6
    mixed = native + _MIX["web"] * figures.web_us / 1e6
    return _table(
        ["devices", "registry", "outcomes of one broadcast", "one core, native", "one core, mixed",
         f"cores for {_MINUTES} minutes, mixed"],
        [
            [
                f"{each:,}",
                _bytes(each * figures.device_bytes),
                _bytes(each * figures.outcome_bytes),
                _duration(each * native),
                _duration(each * mixed),
                _number(each * mixed / (_MINUTES * 60)),
            ]
            for each in _AUDIENCES
        ],
    )  # fmt: skip


def _rates(figures: Figures) -> str:
    return _table(
        ["cores", "publishes to one person a second", "registrations a second"],
        [
            [
                str(cores),
                _number(cores * 1e6 / figures.publish_us),
                _number(cores * 1e6 / figures.registration_us),
            ]
            for cores in _CORES
        ],
    )


def _billion(figures: Figures) -> str:
    devices = 1_000_000_000
    batches = devices / figures.batch
    seconds = _MINUTES * 60
    rate = devices / seconds
    cores = devices * (figures.delivery_us + _MIX["web"] * figures.web_us) / 1e6 / seconds
    streams = figures.stream_limit / (figures.round_trip_ms / 1e3)
    apns = _MIX["apns"] * rate
    rows = {
        "rows of devices": _number(devices),
        "registry": _bytes(devices * figures.device_bytes),
        "of it in one cluster": _bytes(devices * figures.device_bytes / _SHARDS),
        "batches": _number(batches),
        "commits": _number(batches * figures.commits_per_batch),
        "commits a second, in one cluster": _number(
            batches * figures.commits_per_batch / seconds / _SHARDS
        ),
        "outcomes written": _bytes(devices * figures.outcome_bytes),
        "of it a second, in one cluster": _bytes(
            devices * figures.outcome_bytes / seconds / _SHARDS
        ),
        "read from the registry a second, in one cluster": _bytes(
            devices * figures.device_bytes / seconds / _SHARDS
        ),
        "deliveries a second": _number(rate),
        "worker cores": _number(cores),
        "of them in one cluster": _number(cores / _SHARDS),
        f"PostgreSQL connections of these workers and {_API_PROCESSES} API processes": _number(
            (math.ceil(cores / _SHARDS) + _API_PROCESSES) * figures.connections
        ),
        "connections to Apple, all together": _number(apns / streams),
        "network to Apple": f"{apns * figures.request_bytes * 8 / 1e9:.1f} Gbit/s",
        "FCM, one project, at Google's usual quota": _duration(
            _MIX["fcm"] * devices / figures.fcm_per_minute * 60
        ),
        f"FCM quota for {_MINUTES} minutes": (
            f"{_number(_MIX['fcm'] * devices / _MINUTES)} a minute"
        ),
    }
    return _table(["what", "how much"], [[name, value] for name, value in rows.items()])


_TABLES: Final[Mapping[str, Callable[[Figures], str]]] = {
    "audiences": _audiences,
    "rates": _rates,
    "billion": _billion,
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float) -> str:
    """Two digits that count; whole from ten on."""
    if value < 10:  # noqa: PLR2004
        return f"{value:.2g}"
    digits = max(0, len(f"{value:.0f}") - 2)
    return f"{round(value, -digits):,.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004
            return f"{_number(value)} {unit}"
        value /= 1000
    return f"{_number(value)} TB"


def _duration(seconds: float) -> str:
    for unit, length in (("s", 60), ("min", 60), ("h", 48)):
        if seconds < length * 2:
            return f"{_number(seconds)} {unit}"
        seconds /= 24 if unit == "h" else length
    return f"{_number(seconds)} days"


def main() -> None:
    """Bring the page up to date."""
    page = PAGE.read_text()
    PAGE.write_text(write(page, read(page)))


if __name__ == "__main__":
    main()
