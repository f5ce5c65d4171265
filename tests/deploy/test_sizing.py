import re

import pytest
from benchmarks import sizing

PAGE = sizing.PAGE.read_text()


def test_the_page_says_what_follows_from_its_figures() -> None:
    """Whoever changes a figure has the rest reckoned anew: ``python benchmarks/sizing.py``."""
    assert PAGE == sizing.write(PAGE, sizing.read(PAGE))


@pytest.mark.parametrize("name", ["delivery_us", "device_bytes", "publish_us", "commits_per_batch"])
def test_a_figure_decides(name: str) -> None:
    """Another figure makes another page."""
    other = re.sub(rf"^(\| `{name}` \|) [\d,.]+ \|", r"\1 1.5 |", PAGE, flags=re.MULTILINE)

    assert other != sizing.write(other, sizing.read(other))


def test_a_million_devices_take_as_long_as_their_cpu_time() -> None:
    """A thousand times a thousand deliveries of 15 µs are 15 seconds of one core."""
    page = re.sub(r"^(\| `delivery_us` \|) [\d,.]+ \|", r"\1 15 |", PAGE, flags=re.MULTILINE)

    reckoned = sizing.write(page, sizing.read(page))

    (row,) = re.findall(r"^\| 1,000,000 \|.*$", reckoned, re.MULTILINE)
    assert "15 s" == row.split(" | ")[3]
