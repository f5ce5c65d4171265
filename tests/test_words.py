"""
A dialect's words stay in its folder: nowhere else does the product's code say them.

Looked at are names and texts of the code, not comments and docstrings: these may tell where a rule
comes from.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).parents[1] / "src/heliograph"

BEAMS: Final = re.compile(
    r"[Pp]usher|publishId|initialInterestSet|vapidPublicKey|bundleIdentifier|nextCursor"
    r"|publish_api|device_api|customer_api|reporting_api|webhookUrl|PublishToUsersAttempt"
)
IBM: Final = re.compile(
    r"imfpush|bluemix|\bnid\b|tagNames?\b|subscriptionId|messageId|userIds|deviceIds"
    r"|FPWSE|Push\.ALL|gcmConf|apnsConf|WebConf|webSiteUrl|eventTypes|appSecret|clientSecret"
    r"|WEB_CHROME|APPEXT_CHROME|msgStatus|attachmentUrl|onDevice"
)

DIALECTS: Final = {"beams": BEAMS, "ibm": IBM}

SPEAKERS: Final = {
    "api/beams": "the dialect",
    "api/ibm": "the dialect",
    "client": "SDKs are what speaks it to us",
    "transfer/ibm.py": "it reads what a tool of IBM's wrote",
    "cli/__init__.py": "its help says whose APIs these are",
    "demo": "it tells the story of an app, with an SDK",
    "bench": "it measures what callers ask for",
    "cli/publish.py": "it publishes with the SDK of a back end",
    "sandbox/screens.py": "it shows what apps show, which is up to their SDKs",
}
"""Where dialects are spoken, and why."""

PREFIXES: Final = {"api/middleware.py", "api/reference"}
"""Where the first parts of paths are counted or described: each API's own is among them."""


def said(path: Path) -> Iterator[tuple[int, str]]:
    """Every name and every text of a file's code, with its line."""
    tree = ast.parse(path.read_text())
    # A text that stands by itself is a docstring, also below a constant that it explains.
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in alone:
                yield node.lineno, text
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield node.lineno, name


def strays(root: Path, dialect: str) -> list[str]:
    """Where a dialect's words are said that has no business to."""
    found = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root).as_posix()
        if any(place == each or place.startswith(f"{each}/") for each in (*SPEAKERS, *PREFIXES)):
            continue
        for line, text in said(path):
            if word := DIALECTS[dialect].search(text):
                found.append(f"{place}:{line}: {word[0]}")
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_is_spoken_in_its_folder(dialect: str) -> None:
    """Our words are spoken everywhere else (ARCHITECTURE.md, CONTRIBUTING.md *Words*)."""
    assert [] == strays(SOURCE, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_does_not_speak_the_other(dialect: str) -> None:
    """Neither folder says the other's words."""
    other = next(each for each in DIALECTS if each != dialect)
    found = [
        f"{path.name}:{line}: {word[0]}"
        for path in sorted((SOURCE / "api" / dialect).rglob("*.py"))
        for line, text in said(path)
        if (word := DIALECTS[other].search(text))
    ]
    assert [] == found


@pytest.mark.parametrize(
    "line, is_found",
    [
        ('x = {"messageId": 1}', True),
        ("def of(tagNames): ...", True),
        ("messageId = 1", True),
        ('"""About messageId."""', False),
        ('X = 1\n"""What IBM calls messageId."""', False),
        ("# messageId", False),
        ("message_id = 1", False),
    ],
)
def test_the_test_of_words_finds_them(tmp_path: Path, line: str, is_found: bool) -> None:
    """A rule that nothing can break would not be one."""
    (tmp_path / "room.py").write_text(line + "\n")

    assert is_found == bool(strays(tmp_path, "ibm"))
