"""The documentation is under test: what exists is documented, and what is documented exists."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.main import get_command

from heliograph.api.ibm.problems import STATUS
from heliograph.cli import commands
from heliograph.config import SETTINGS, variable
from heliograph.logs import Event
from heliograph.metrics import Metrics

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = sorted((ROOT / "src").rglob("*.py"))
TESTS: Final = sorted((ROOT / "tests").rglob("test_*.py"))


def text(name: str) -> str:
    return (ROOT / name).read_text()


def every_command() -> Iterator[str]:
    """The words of each command, as an operator types them."""

    def below(command: object, words: str) -> Iterator[str]:
        children = getattr(command, "commands", None)
        if children is None:
            yield words
            return
        if words != "heliograph" and getattr(command, "invoke_without_command", False):
            yield words
        for name, child in children.items():
            yield from below(child, f"{words} {name}")

    yield from below(get_command(commands), "heliograph")


def every_problem() -> Iterator[tuple[int, str]]:
    """Status and title of each ``Problem`` in the source, where both are written out."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Problem"
                and len(node.args) > 1
            ):
                match node.args[:2]:
                    case [ast.Constant(value=int(status)), ast.Constant(value=str(title))]:
                        yield status, title


def test_every_setting_is_documented() -> None:
    """Each setting, and each file twin of a secret, stands in docs/settings.md."""
    page = text("docs/settings.md")
    twins = [f"{variable(s.name)}_FILE" for s in SETTINGS if s.metadata["secret"]]

    missing = [
        word
        for word in [
            *(f"`{variable(s.name)}`" for s in SETTINGS),
            *(s.metadata["doc"] for s in SETTINGS),
            *twins,
        ]
        if word not in page
    ]

    assert [] == missing


def test_every_documented_setting_exists() -> None:
    """No page speaks of a setting that there is not."""
    known = {variable(s.name) for s in SETTINGS} | {"HELIOGRAPH_CONFIG", "HELIOGRAPH_"}
    known |= {f"{name}_FILE" for name in known}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]

    spoken_of = {
        name for page in pages for name in re.findall(r"\bHELIOGRAPH_[A-Z_]+", page.read_text())
    }

    assert set() == spoken_of - known


def test_every_command_is_documented() -> None:
    """Each command stands in docs/commands.md, and no other does."""
    documented = set(
        re.findall(r"^\| `(heliograph(?: [a-z-]+)+)", text("docs/commands.md"), re.MULTILINE)
    )

    assert set(every_command()) == documented


def test_every_metric_is_documented() -> None:
    """Each metric stands in docs/metrics.md."""
    page = text("docs/metrics.md")

    missing = [m.name for m in Metrics().registry.collect() if f"`{m.name}`" not in page]

    assert [] == missing


def test_every_log_event_is_documented() -> None:
    """Each log event stands in docs/metrics.md."""
    page = text("docs/metrics.md")

    missing = [event for event in Event if f"| `{event}` |" not in page]

    assert [] == missing


def test_every_error_is_documented() -> None:
    """Each error's status and title stand together in docs/errors.md."""
    page = text("docs/errors.md")
    problems = set(every_problem())

    missing = [each for each in problems if f"| {each[0]} | `{each[1]}` |" not in page]

    assert (True, []) == (len(problems) > 10, missing)


def test_every_code_of_an_error_is_documented() -> None:
    """Each code of IBM's API stands with its status in docs/errors.md and in its README."""
    for page in ("docs/errors.md", "src/heliograph/api/ibm/README.md"):
        rows = [line for line in text(page).splitlines() if line.startswith("|")]
        for code, status in STATUS.items():
            assert any(f"`{code}`" in row and str(status) in row for row in rows), code


def test_every_make_target_in_the_readme_exists() -> None:
    """The README's make commands are targets that ``make help`` lists."""
    help_text = subprocess.run(
        ["make", "help"],  # noqa: S607  (whichever make the developer has)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)", text("README.md")))

    assert set() == {name for name in named if f"make {name}" not in help_text}


def test_every_room_is_on_the_map() -> None:
    """Each module and package of the product stands in ARCHITECTURE.md's map."""
    drawn = text("ARCHITECTURE.md")
    rooms = {
        path.name if path.is_file() else f"{path.name}/"
        for path in (ROOT / "src" / "heliograph").iterdir()
        if path.name not in ("__init__.py", "__pycache__", "py.typed")
    }

    assert set() == {room for room in rooms if room not in drawn}


def test_every_linked_page_exists() -> None:
    """No link of a page to another file of the project leads nowhere."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")]

    broken = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == broken


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_states_its_behaviour(path: Path) -> None:
    """Each test function has a docstring."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert [] == silent
