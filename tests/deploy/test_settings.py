from pathlib import Path

import pytest

from deployment import DEPLOY, ROOT, command_problem, known_settings, settings_named_in

FILES = sorted(
    path
    for path in (*DEPLOY.rglob("*"), ROOT / "Dockerfile", *(ROOT / "docs").rglob("*.md"))
    if path.is_file() and "secrets" not in path.parts
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """No file for operators speaks of a setting that there is not."""
    assert set() == settings_named_in(path.read_text()) - known_settings()


def test_names_of_settings_are_found() -> None:
    """What the test above looks for is found; a pattern of names is no name."""
    text = "HELIOGRAPH_LISTEN_TSL=x ${HELIOGRAPH_LOG_LEVEL:-info} HELIOGRAPH_*_FILE"

    assert {"HELIOGRAPH_LISTEN_TSL", "HELIOGRAPH_LOG_LEVEL"} == settings_named_in(text)


@pytest.mark.parametrize(
    "words, problem",
    [
        ("serve --role api", ""),
        ("instance create App", ""),
        ("serv", "No such command 'serv'"),
        ("serve --rolle api", "No such option: --rolle"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(words: str, problem: str) -> None:
    """Commands are read as the command line reads them."""
    found = command_problem(words.split())

    assert (problem != "") == (found is not None)
    assert problem in (found or "")
