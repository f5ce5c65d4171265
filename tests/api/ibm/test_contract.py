"""The table of the contract's rules is true: what it names exists, and nothing is left out."""

from pathlib import Path
from typing import Final

import pytest

from api.ibm.exchanges import ROWS
from contracts import Rule, names_in, repeated, rules_in

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
README: Final = " ".join((ROOT / "src/heliograph/api/ibm/README.md").read_text().split())

PLACES: Final = [
    *[f"1.{number}" for number in range(1, 5)],
    *[f"2.{number}" for number in range(1, 9)],
    *[f"3.{number}" for number in range(1, 6)],
    *[f"4.{number}" for number in range(1, 6)],
    *[f"5.{number}" for number in range(1, 9)],
    *["6", "7", "8", "9", "10"],
    *[f"10.{letter}" for letter in "abcdefgh"],
    *[f"13.{number}" for number in range(1, 18)],
    *[f"14.{number}" for number in range(1, 9)],
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
    """No section, scenario, exchange or open point is without a rule or an exchange."""
    held = {rule.place for rule in RULES} | {f"13.{row.number}" for row in ROWS}

    assert [] == [place for place in PLACES if place not in held]
    assert held <= set(PLACES)


def test_no_rule_is_told_twice() -> None:
    """Within a place each rule has words of its own."""
    assert [] == repeated(RULES)
