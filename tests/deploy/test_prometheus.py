from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from deployment import DEPLOY
from heliograph.metrics import Metrics

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SUFFIXES: dict[str, dict[str, set[str]]] = {
    "counter": {"_total": set()},
    "gauge": {"": set()},
    "histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set()},
}
"""Names that a metric of each type is exposed under, each with labels of its own."""


def exposed() -> dict[str, set[str]]:
    """Each series, with its labels, as Prometheus would find it; and its own ``up``."""
    series: dict[str, set[str]] = {"up": {"job", "instance"}}
    metrics = Metrics()
    by_name = {each._name: each for each in vars(metrics).values() if hasattr(each, "_name")}  # noqa: SLF001
    for family in metrics.registry.collect():
        for suffix, labels in SUFFIXES[family.type].items():
            series[family.name + suffix] = {*by_name[family.name]._labelnames, *labels}  # noqa: SLF001
    return series


def selectors(expression: Any) -> Iterator[Any]:
    """Every selector of series in an expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (part := getattr(expression, name, None)) is not None:
            yield from selectors(part)
    for part in getattr(expression, "args", None) or ():
        yield from selectors(part)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """Each alert is PromQL, over series and labels that the server has."""
    found = list(selectors(promql_parser.parse(rule["expr"])))
    series = exposed()

    assert found
    for each in found:
        labels = {matcher.name for matcher in each.matchers.matchers}
        assert each.name in series
        assert labels <= series[each.name], each.name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """Each alert has an urgency, a sentence, and where to look."""
    assert {"alert", "expr", "labels", "annotations"} <= set(rule)
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "description"} == set(rule["annotations"])
