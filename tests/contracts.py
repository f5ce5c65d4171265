"""Tables that say where each rule of a wire contract is held: ``contract.md`` of each dialect."""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_TESTS: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a table."""

    place: str
    says: str
    tests: tuple[str, ...]
    readme: str

    @classmethod
    def read(cls, line: str) -> "Rule":
        place, says, tests, readme = (cell.strip() for cell in line.strip("|").split(" | "))
        return cls(place, says, tuple(re.findall(r"`([^`]+)`", tests)), readme)


def rules_in(page: Path) -> list[Rule]:
    """The table in a page."""
    lines = re.findall(r"^\| \d.*\|$", page.read_text(), re.MULTILINE)
    return [Rule.read(line) for line in lines]


@cache
def names_in(module: str) -> frozenset[str]:
    """The tests of a module, without ``test_``."""
    folder, _, name = module.rpartition("/")
    path = _TESTS / folder / f"test_{name}.py"
    return frozenset(
        node.name.removeprefix("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def repeated(rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """Rules that are told twice in one place."""
    told = Counter((rule.place, rule.says) for rule in rules)
    return [words for words, times in told.items() if times > 1]
