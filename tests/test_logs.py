"""Log lines: for people or machines, from the asked level on, and without secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from heliograph import logs
from heliograph.logs import Event


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is global; leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_machines_get_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON each line is an object with the event, its ids, the level and the time in UTC."""
    logs.configure(level="info", style="json")
    logs.get().info(Event.READY, role="all")

    line = json.loads(capsys.readouterr().err)
    assert ("ready", "all", "info", "Z") == (
        line["event"],
        line["role"],
        line["level"],
        line["timestamp"][-1],
    )


@pytest.mark.parametrize("style", ["console", "json"])
def test_people_and_machines_read_standard_error(
    capsys: pytest.CaptureFixture[str], style: Literal["console", "json"]
) -> None:
    """Lines go to standard error; standard output is for what a command was asked for."""
    logs.configure(level="info", style=style)
    logs.get().info(Event.READY, role="all")

    written = capsys.readouterr()
    assert ("", True, True) == (written.out, "ready" in written.err, "all" in written.err)


def test_without_a_terminal_lines_are_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """Left to choose, lines are JSON unless a terminal shows them."""
    logs.configure(level="info", style="auto")
    logs.get().info(Event.STOPPED)

    assert "stopped" == json.loads(capsys.readouterr().err)["event"]


@pytest.mark.parametrize(
    "level, seen",
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_written(
    capsys: pytest.CaptureFixture[str], level: str, seen: list[str]
) -> None:
    """A level is the least that is worth a line."""
    logs.configure(level=level, style="json")
    log = logs.get()
    log.debug(Event.READY)
    log.info(Event.READY)
    log.warning(Event.READY)
    log.error(Event.READY)

    lines = capsys.readouterr().err.splitlines()
    assert seen == [json.loads(line)["level"] for line in lines]


@pytest.mark.parametrize("style", ["console", "json"])
def test_tracebacks_show_no_variables(
    capsys: pytest.CaptureFixture[str], style: Literal["console", "json"]
) -> None:
    """A traceback names lines of code, and never what a variable held."""
    logs.configure(level="info", style=style)
    token = f"do-not-{'show-this'}"
    try:
        int(token[:0])
    except ValueError:
        logs.get().error(Event.REQUEST_FAILED, exc_info=True)

    written = capsys.readouterr().err
    assert (True, False) == ("ValueError" in written, "do-not-show-this" in written)


def test_libraries_speak_when_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Of what libraries log, warnings are shown and the rest is not, at whatever level."""
    logs.configure(level="debug", style="json")
    logging.getLogger("library").info("idle talk")
    logging.getLogger("library").warning("trouble")

    written = capsys.readouterr().err
    assert (False, True) == ("idle talk" in written, "library: trouble" in written)


@pytest.mark.parametrize("event", Event)
def test_events_are_words_of_one_form(event: Event) -> None:
    """An event's name is its value in lower case, so that a line leads to the list."""
    assert event.name.lower() == event.value
