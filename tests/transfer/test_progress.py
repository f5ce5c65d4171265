"""The progress of an import: a killed one goes on, and reports each reject once."""

from pathlib import Path

import pytest

from heliograph.errors import ConfigurationError
from heliograph.model import InstanceId
from heliograph.transfer import progress
from heliograph.transfer.commits import Outcome
from heliograph.transfer.progress import Journal
from heliograph.transfer.records import Reject

ME = InstanceId("00000000-0000-4000-8000-000000000001")
PAGE = Outcome(2, 1, [Reject(4, "apns-4", "why")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.csv"
    path.write_text("gateway,token\n")
    return path


def journal(file: Path, instance: InstanceId = ME) -> Journal:
    return Journal(file, instance, file.with_name("rejects.csv"))


def rejected(file: Path) -> list[str]:
    return file.with_name("rejects.csv").read_text().splitlines()[1:]


def test_a_new_import_begins_at_the_beginning(file: Path) -> None:
    """And without the rejects of one before."""
    file.with_name("rejects.csv").write_text("old")

    fresh = journal(file)

    assert (0, False) == (fresh.tally.lines, fresh.is_resumed)
    assert not file.with_name("rejects.csv").exists()


def test_a_killed_import_goes_on(file: Path) -> None:
    """With its counts, and the rejects that it had reported."""
    journal(file).add(PAGE)

    again = journal(file)

    assert (4, 2, 1, 1) == (
        again.tally.lines,
        again.tally.added,
        again.tally.known,
        again.tally.rejected,
    )
    assert ["4,apns-4,why"] == rejected(file)


def test_what_was_reported_and_not_noted_is_reported_once(file: Path) -> None:
    """A kill between the two: the page is done again, and so is its report."""
    journal(file).add(PAGE)
    with file.with_name("rejects.csv").open("a") as report:
        report.write("8,apns-8,half a li")

    again = journal(file)
    again.add(Outcome(0, 3, [Reject(8, "apns-8", "why not")]))

    assert ["4,apns-4,why", "8,apns-8,why not"] == rejected(file)


@pytest.mark.parametrize("change", ["instance", "file", "note"])
def test_another_import_is_not_gone_on_with(file: Path, change: str) -> None:
    """Of another file, into another instance, or by a note that cannot be read: it says so."""
    journal(file).add(PAGE)
    if change == "file":
        file.write_text("gateway,token\nfcm,a\n")
    if change == "note":
        file.with_name("devices.csv.progress").write_text("{")
    other = InstanceId("00000000-0000-4000-8000-000000000002")

    with pytest.raises(ConfigurationError, match="--restart"):
        journal(file, other if change == "instance" else ME)


def test_who_begins_anew_forgets(file: Path) -> None:
    """And so does who has finished."""
    journal(file).add(PAGE)
    progress.forget(file)
    fresh = journal(file)
    fresh.add(PAGE)
    fresh.finish()

    assert 0 == journal(file).tally.lines
    assert ["devices.csv"] == [each.name for each in file.parent.iterdir()]
