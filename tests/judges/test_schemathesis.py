"""Schemathesis, unmodified, against the description that the server serves."""

from collections.abc import Iterator
from typing import Any

import pytest
from schemathesis.generation import GenerationMode

from heliograph import __version__
from heliograph.api.beams.openapi import describe
from judges.described import Probe, probing

EACH = 12
"""Requests of each kind to each operation; `make described` asks thousands."""

# Of Schemathesis' own dependencies, which we do not choose.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in describe(__version__)["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    with probing(tmp_path_factory.mktemp("product")) as probe:
        yield probe


@pytest.fixture(scope="module")
def operations(probe: Probe) -> dict[str, Any]:
    """What the server says of itself."""
    return {each.label: each for each in probe.operations()}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_in_the_description(
    probe: Probe, operations: dict[str, Any], label: str, mode: GenerationMode
) -> None:
    """Statuses, types, headers and schemas, whatever is asked; and never a fault of ours."""
    served = probe.served[label]

    probe.ask(operations[label], EACH, number=1, mode=mode)

    assert probe.asked[label]
    if mode is GenerationMode.POSITIVE:  # or we would have looked at refusals only
        assert probe.served[label] > served
    assert probe.lost_reports() == 0  # the one fault of ours that is answered 200
