"""
How far an import has come, beside the file that is imported, so that a killed one goes on.

``FILE.progress`` is replaced after each commit, whole. Whatever was committed and is not in
it yet is done once more, which changes nothing (``importing.py``). The rejects are written
before it, and cut off at what it says, so that each is reported once.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from heliograph.errors import ConfigurationError
from heliograph.model import InstanceId
from heliograph.transfer.commits import Outcome, Tally
from heliograph.transfer.records import Reject

_HEAD_BYTES: Final = 65_536


class _Note(msgspec.Struct, forbid_unknown_fields=True):
    instance: str
    file: str
    """What tells this file from another one of its name."""
    lines: int
    added: int
    known: int
    rejected: int
    rejects_bytes: int


class Journal:
    """The progress of one import of one file."""

    def __init__(self, path: Path, instance: InstanceId, rejects: Path) -> None:
        """
        Find out how far it has come.

        Raises:
            ConfigurationError: There is progress of another file, or into another instance.
        """
        self._note = path.with_name(path.name + ".progress")
        self._instance = instance
        self._file = fingerprint(path)
        self._rejects = rejects
        self.tally = Tally()
        if self._note.exists():
            self._resume()
        else:
            rejects.unlink(missing_ok=True)

    @property
    def is_resumed(self) -> bool:
        """Whether something was done before."""
        return self.tally.lines > 0

    def add(self, outcome: Outcome) -> None:
        """Note what became of a page, which is committed."""
        self.tally.add(outcome)
        self._write_rejects(outcome.rejects)
        note = _Note(
            instance=self._instance,
            file=self._file,
            lines=self.tally.lines,
            added=self.tally.added,
            known=self.tally.known,
            rejected=self.tally.rejected,
            rejects_bytes=self._rejects.stat().st_size if self._rejects.exists() else 0,
        )
        unfinished = self._note.with_name(self._note.name + ".tmp")
        unfinished.write_bytes(msgspec.json.encode(note))
        unfinished.replace(self._note)

    def finish(self) -> None:
        """Forget the progress: everything is done."""
        self._note.unlink(missing_ok=True)

    def _resume(self) -> None:
        try:
            note = msgspec.json.decode(self._note.read_bytes(), type=_Note)
        except msgspec.MsgspecError:
            note = None
        if note is None or (note.instance, note.file) != (self._instance, self._file):
            raise ConfigurationError(
                f"{self._note} tells of another import; finish that one, or give --restart"
            )
        self.tally = Tally(note.added, note.known, note.rejected)
        if self._rejects.exists():
            with self._rejects.open("r+b") as file:
                file.truncate(note.rejects_bytes)

    def _write_rejects(self, rejects: Sequence[Reject]) -> None:
        if not rejects:
            return
        is_new = not self._rejects.exists()
        with self._rejects.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["line", "id", "reason"])
            writer.writerows([each.line, each.id, each.reason] for each in rejects)


def forget(path: Path) -> None:
    """Have an import of a file begin anew."""
    path.with_name(path.name + ".progress").unlink(missing_ok=True)


def fingerprint(path: Path) -> str:
    """What tells a file from others of its name: its size, and a digest of how it begins."""
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return f"{path.stat().st_size}-{head}"
