"""The table of the contract's rules is true: what it names exists, and nothing is left out."""

from pathlib import Path
from typing import Final

import pytest

from api.beams.exchanges import ROWS
from contracts import Rule, names_in, repeated, rules_in

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
README: Final = " ".join((ROOT / "src/heliograph/api/beams/README.md").read_text().split())

REQUESTS_OF_OURS: Final = {"14.36", "14.37"}
PLACES: Final = [
    *[f"0.{number}" for number in range(1, 13)],
    *[f"1.{number}" for number in range(1, 6)],
    *[f"2.{number}" for number in range(1, 8)],
    *[f"3.{number}" for number in range(1, 4)],
    *[f"4.{number}" for number in range(1, 13)],
    *["5", "6", "7", "8", "10"],
    *[f"14.{number}" for number in range(1, 40)],
    *[f"15.{number}" for number in range(1, 7)],
]
"""Every place of the contract that asks something of a server."""


RULES: Final = rules_in(HERE / "contract.md")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.place} {rule.says}")
def test_a_rule_is_held_by_what_it_names(rule: Rule) -> None:
    """Each rule names a test that exists, or a line that the README has; or both."""
    named = [test.split("::") for test in rule.tests]

    assert rule.tests or rule.readme
    assert [] == [(module, name) for module, name in named if name not in names_in(module)]
    assert rule.readme in README


def test_every_place_of_the_contract_is_held() -> None:
    """No must-do point, section, exchange or open point is without a rule or an exchange."""
    held = {rule.place for rule in RULES} | {f"14.{row.number.partition(':')[0]}" for row in ROWS}

    assert [] == [place for place in PLACES if place not in held]
    assert held <= set(PLACES)


def test_no_rule_is_told_twice() -> None:
    """Within a place each rule has words of its own."""
    assert [] == repeated(RULES)


def test_an_exchange_that_is_a_row_is_no_rule() -> None:
    """Only requests that we make ourselves are told of in words instead of a row."""
    told = {rule.place for rule in RULES if rule.place.startswith("14.")}

    assert told == REQUESTS_OF_OURS
