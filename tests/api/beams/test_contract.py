"""The table of the contract's rules is true: what it names exists, and nothing is left out."""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from api.beams.exchanges import ROWS

ROOT: Final = Path(__file__).parents[3]
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


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the table."""

    place: str
    says: str
    tests: tuple[str, ...]
    readme: str

    @classmethod
    def read(cls, line: str) -> "Rule":
        place, says, tests, readme = (cell.strip() for cell in line.strip("|").split(" | "))
        return cls(place, says, tuple(re.findall(r"`([^`]+)`", tests)), readme)


def rules() -> list[Rule]:
    """The table in ``contract.md``."""
    text = (Path(__file__).parent / "contract.md").read_text()
    lines = re.findall(r"^\| \d.*\|$", text, re.MULTILINE)
    return [Rule.read(line) for line in lines]


@cache
def names_in(module: str) -> frozenset[str]:
    """The tests of a module, without ``test_``."""
    folder, _, name = module.rpartition("/")
    path = ROOT / "tests" / folder / f"test_{name}.py"
    return frozenset(
        node.name.removeprefix("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule.place} {rule.says}")
def test_a_rule_is_held_by_what_it_names(rule: Rule) -> None:
    """Each rule names a test that exists, or a line that the README has; or both."""
    named = [test.split("::") for test in rule.tests]

    assert rule.tests or rule.readme
    assert [] == [(module, name) for module, name in named if name not in names_in(module)]
    assert rule.readme in README


def test_every_place_of_the_contract_is_held() -> None:
    """No must-do point, section, exchange or open point is without a rule or an exchange."""
    held = {rule.place for rule in rules()} | {f"14.{row.number.partition(':')[0]}" for row in ROWS}

    assert [] == [place for place in PLACES if place not in held]
    assert held <= set(PLACES)


def test_no_rule_is_told_twice() -> None:
    """Within a place each rule has words of its own."""
    told = Counter((rule.place, rule.says) for rule in rules())

    assert [] == [words for words, times in told.items() if times > 1]


def test_an_exchange_that_is_a_row_is_no_rule() -> None:
    """Only requests that we make ourselves are told of in words instead of a row."""
    told = {rule.place for rule in rules() if rule.place.startswith("14.")}

    assert told == REQUESTS_OF_OURS
