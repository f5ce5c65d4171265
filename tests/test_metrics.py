"""Metrics: each is there from the first scrape on, with the sentence that explains it."""

import pytest
from prometheus_client import Metric

from heliograph.metrics import Metrics
from heliograph.model import Gateway


def test_every_metric_is_exposed_from_the_first_scrape_on() -> None:
    """Before anything has happened, each metric has its sentence in the exposition."""
    metrics = Metrics()

    text = metrics.exposition().decode()
    missing = [
        family.name for family in metrics.registry.collect() if f"# HELP {family.name}" not in text
    ]
    assert (True, []) == (text.count("# HELP") >= 7, missing)


@pytest.mark.parametrize(
    "family", list(Metrics().registry.collect()), ids=lambda family: family.name
)
def test_every_metric_is_ours_and_explained(family: Metric) -> None:
    """Each metric carries our name in front and a sentence behind."""
    assert (True, True) == (
        family.name.startswith("heliograph_"),
        family.documentation.endswith("."),
    )


def test_what_is_counted_is_exposed() -> None:
    """A delivery that came to its end is counted by gateway and end."""
    metrics = Metrics()
    metrics.deliveries.labels("apns", "sent").inc(3)

    exposed = metrics.exposition().decode()

    assert 'heliograph_deliveries_total{end="sent",gateway="apns"} 3.0' in exposed


@pytest.mark.parametrize("gateway", Gateway)
def test_what_is_rare_is_counted_from_nought(gateway: Gateway) -> None:
    """The first time that pruning stops is an increase for Prometheus, not a beginning."""
    found = Metrics().registry.get_sample_value(
        "heliograph_pruning_stopped_total", {"gateway": gateway}
    )

    assert 0.0 == found


def test_two_products_in_one_process_count_apart() -> None:
    """Each product has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.publishes.labels("users").inc()

    assert (1.0, None) == tuple(
        each.registry.get_sample_value("heliograph_publishes_total", {"target": "users"})
        for each in (one, other)
    )
