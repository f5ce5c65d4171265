"""Files that move in, or out: opened, written, read page by page, with a bar to look at."""

import gzip
import io
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from heliograph.cli.terminal import ERR, OUT
from heliograph.errors import HeliographError
from heliograph.model import InstanceId
from heliograph.transfer.commits import PAGE, Outcome, Tally
from heliograph.transfer.progress import Journal
from heliograph.transfer.records import Format

_Found = TypeVar("_Found")

ImportedFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="May end in .gz.")]
ExportedFile = Annotated[
    str, typer.Argument(help="May end in .gz; - is standard output. Readable by you only.")
]
RejectsOption = Annotated[
    Path | None, typer.Option(help="Where to report what was rejected. Default: FILE.rejects.csv.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Do everything but keep it; report nothing.")
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew after an import that was interrupted.")
]


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """A VAPID pair in a file, both in base64url."""

    public_key: str
    private_key: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One import, as it was asked for."""

    file: Path
    rejects: Path
    """Where to report what was rejected."""
    is_rehearsal: bool
    noun: str
    """What its lines hold, in the plural."""

    def journal(self, instance: InstanceId) -> Journal | None:
        """Where its progress is kept; None for a rehearsal."""
        return None if self.is_rehearsal else Journal(self.file, instance, self.rejects)


async def move_in(
    wish: Wish,
    instance: InstanceId,
    read: Callable[[Iterable[str]], Iterator[_Found]],
    take: Callable[[Sequence[_Found]], Awaitable[Outcome]],
) -> Tally:
    """
    Take a file page by page, from where it was left; what became of its lines.

    Args:
        wish: Which.
        instance: Where to.
        read: What is in its lines.
        take: Commits a page.
    """
    journal = wish.journal(instance)
    tally = journal.tally if journal else Tally()
    if journal and journal.is_resumed:
        ERR.print(f"Going on after {tally.lines:,} {wish.noun}.", highlight=False)
    with _opened(wish.file) as (text, position), _bar(wish) as show:
        try:
            for page in _pages(read(text), after=tally.lines):
                outcome = await take(page)
                if journal:
                    journal.add(outcome)  # and with it the tally, which is the journal's
                else:
                    tally.add(outcome)
                show(position(), tally)
        except (ValueError, OSError, EOFError) as problem:
            raise HeliographError(f"{wish.file}: {problem}") from None
    if journal:
        journal.finish()
    return tally


def _pages(lines: Iterator[_Found], *, after: int) -> Iterator[Sequence[_Found]]:
    """Lines by the thousand, without those that were done before."""
    next(islice(lines, after, after), None)
    while page := list(islice(lines, PAGE)):
        yield page


def tell(wish: Wish, tally: Tally) -> None:
    """
    Print what became of an import.

    Raises:
        typer.Exit: With status 1, if something was rejected.
    """
    would = "would be " if wish.is_rehearsal else ""
    OUT.print(
        f"{tally.added:,} {would}added, {tally.known:,} known already, "
        f"{tally.rejected:,} {would}rejected",
        highlight=False,
    )
    if tally.rejected:
        if not wish.is_rehearsal:
            OUT.print(f"Why: {wish.rejects}", highlight=False)
        raise typer.Exit(1)


def form_of(path: Path, form: str | None) -> Format:
    """How a file is written: as somebody says, or as its name ends."""
    name = form or path.name.removesuffix(".gz").rpartition(".")[2]
    match name:
        case "csv":
            return "csv"
        case "jsonl" | "ndjson":
            return "jsonl"
        case _:
            raise typer.BadParameter(f"{name} is neither csv nor jsonl", param_hint="--format")


@contextmanager
def written(path: Path | None) -> Iterator[TextIO]:
    """A file that only its owner reads, whole or not at all; or standard output."""
    if path is None:
        yield sys.stdout
        return
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
        if path.suffix == ".gz":
            with gzip.open(raw, "wt", encoding="utf-8", newline="") as packed:
                yield packed
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
                yield text
    unfinished.replace(path)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[str], Callable[[], int]]]:
    """The lines of a file, and how many of its bytes were read."""
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        inner: Any = stack.enter_context(gzip.open(raw)) if path.suffix == ".gz" else raw
        text = stack.enter_context(io.TextIOWrapper(inner, encoding="utf-8", newline=""))
        yield iter(text.readline, ""), raw.tell


@contextmanager
def _bar(wish: Wish) -> Iterator[Callable[[int, Tally], None]]:
    """A bar on standard error, by the bytes of the file."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with ProgressBar(*columns, TimeRemainingColumn(), console=ERR) as bar:
        task = bar.add_task("", total=wish.file.stat().st_size)

        def show(position: int, tally: Tally) -> None:
            done = f"{tally.lines:,} {wish.noun}, {tally.rejected:,} rejected"
            bar.update(task, completed=position, description=done)

        yield show
