"""``heliograph import`` and ``heliograph export``: move in, and move out."""

import asyncio
import gzip
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from heliograph import app
from heliograph.addresses import from_base64url
from heliograph.cli import terminal
from heliograph.cli.terminal import ERR, OUT, InstanceOption
from heliograph.errors import HeliographError
from heliograph.instances import Instance
from heliograph.storage.database import Database
from heliograph.transfer import exporting, progress
from heliograph.transfer.importing import PAGE, Import, Outcome, Tally
from heliograph.transfer.progress import Journal
from heliograph.transfer.records import Format, read, write
from heliograph.wire.jws import base64url

import_commands = typer.Typer(no_args_is_help=True, help="Move in: devices from a file.")
export_commands = typer.Typer(no_args_is_help=True, help="Move out: devices to a file.")

FormatOption = Annotated[
    str | None, typer.Option("--format", help="csv or jsonl. Default: as the file's name ends.")
]


@import_commands.command("devices")
def import_devices(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="May end in .gz.")],
    *,
    instance: InstanceOption = None,
    form: FormatOption = None,
    vapid_public_key: Annotated[
        str | None,
        typer.Option(help="The key that browsers subscribed with whose lines do not say so."),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where to report what was rejected. Default: FILE.rejects.csv."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything but keep it; report nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew after an import that was interrupted.")
    ] = False,
) -> None:
    """
    Move devices in, with tokens, people and interests; exit status 1 if some were rejected.

    Interrupted, it goes on where it was when it is called again. docs/howto/move-from-beams.md
    has the format.
    """
    if restart:
        progress.forget(file)
    wish = _Wish(file, _format(file, form), rejects or file.with_name(f"{file.name}.rejects.csv"))

    async def run() -> Tally:
        settings = terminal.settings()
        async with app.storage(settings) as (database, instances):
            found = await terminal.find(instances, instance)
            mover = Import(
                database,
                found,
                max_devices_per_user=settings.max_devices_per_user,
                clock=app.now,
                randomness=secrets.token_bytes,
                vapid_public_key=vapid_public_key,
                is_rehearsal=dry_run,
            )
            journal = None if dry_run else Journal(file, found.id, wish.rejects)
            return await _import(wish, mover, journal)

    tally = terminal.run(run())
    would = "would be " if dry_run else ""
    OUT.print(
        f"{tally.added:,} {would}added, {tally.known:,} known already, "
        f"{tally.rejected:,} {would}rejected",
        highlight=False,
    )
    if tally.rejected:
        if not dry_run:
            OUT.print(f"Why: {wish.rejects}", highlight=False)
        raise typer.Exit(1)


@import_commands.command("vapid-keys")
def import_vapid_keys(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    *,
    instance: InstanceOption = None,
) -> None:
    """Take over the keys that browsers subscribed with, from what export wrote."""
    try:
        pairs = [msgspec.json.decode(line, type=_Pair) for line in file.read_bytes().splitlines()]
        keys = [from_base64url(each.private_key) for each in pairs]
    except ValueError:
        raise HeliographError(f"{file}: each line must be as export writes it") from None

    async def run() -> int:
        async with app.storage(terminal.settings()) as (_, instances):
            found = await terminal.find(instances, instance)
            return sum([await instances.add_vapid(found.id, key) for key in keys])

    OUT.print(f"{terminal.run(run())} of {len(keys)} keys are new here", highlight=False)


@export_commands.command("vapid-keys")
def export_vapid_keys(
    file: Annotated[str, typer.Argument(help="- is standard output. Readable by you only.")],
    *,
    instance: InstanceOption = None,
) -> None:
    """Write the keys that browsers subscribed with: whoever has them, and a device, can send."""

    async def run() -> Instance:
        async with app.storage(terminal.settings()) as (_, instances):
            return await terminal.find(instances, instance)

    found = terminal.run(run())
    with _written(None if file == "-" else Path(file)) as target:
        for pair in found.vapid_keys.values():
            own = _Pair(base64url(pair.public_key), base64url(pair.private_key))
            target.write(msgspec.json.encode(own).decode() + "\n")


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    public_key: str
    private_key: str


@export_commands.command("devices")
def export_devices(
    file: Annotated[
        str, typer.Argument(help="May end in .gz; - is standard output. Readable by you only.")
    ],
    *,
    instance: InstanceOption = None,
    form: FormatOption = None,
) -> None:
    """Write every living device, with its token: whoever has that can send to it."""
    path = None if file == "-" else Path(file)
    chosen = _format(path or Path("-.jsonl"), form)

    async def run() -> int:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            with _written(path) as target:
                return await _export(database, found, chosen, target)

    count = terminal.run(run())
    ERR.print(f"{count:,} devices", highlight=False)


@dataclass(frozen=True, slots=True)
class _Wish:
    file: Path
    form: Format
    rejects: Path


async def _import(wish: _Wish, mover: Import, journal: Journal | None) -> Tally:
    tally = journal.tally if journal else Tally()
    if journal and journal.is_resumed:
        ERR.print(f"Going on after {tally.lines:,} devices.", highlight=False)
    with _opened(wish.file) as (text, position), _bar(wish.file) as tell:
        lines = read(text, wish.form)
        try:
            next(islice(lines, tally.lines, tally.lines), None)  # what was done before
            while page := list(islice(lines, PAGE)):
                outcome = await mover.take(page)
                _count(tally, outcome, journal)
                tell(position(), tally)
        except (ValueError, OSError, EOFError) as problem:
            raise HeliographError(f"{wish.file}: {problem}") from None
    if journal:
        journal.finish()
    return tally


def _count(tally: Tally, outcome: Outcome, journal: Journal | None) -> None:
    if journal:
        journal.add(outcome)  # and with it the tally, which is the journal's
        return
    tally.added += outcome.added
    tally.known += outcome.known
    tally.rejected += len(outcome.rejects)


async def _export(database: Database, instance: Instance, form: Format, target: TextIO) -> int:
    count = 0
    with ERR.status("Exporting…") as status:
        with_header = True
        async for page in exporting.pages(database, instance):
            target.writelines(write(page, form, with_header=with_header))
            with_header = False
            count += len(page)
            status.update(f"{count:,} devices")
            await asyncio.sleep(0)
    if with_header:
        target.writelines(write([], form, with_header=True))
    return count


def _format(path: Path, form: str | None) -> Format:
    name = form or path.name.removesuffix(".gz").rpartition(".")[2]
    match name:
        case "csv":
            return "csv"
        case "jsonl" | "ndjson":
            return "jsonl"
        case _:
            raise typer.BadParameter(f"{name} is neither csv nor jsonl", param_hint="--format")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[str], Callable[[], int]]]:
    """The lines of a file, and how many of its bytes were read."""
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        inner: Any = stack.enter_context(gzip.open(raw)) if path.suffix == ".gz" else raw
        text = stack.enter_context(io.TextIOWrapper(inner, encoding="utf-8", newline=""))
        yield iter(text.readline, ""), raw.tell


@contextmanager
def _written(path: Path | None) -> Iterator[TextIO]:
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
def _bar(path: Path) -> Iterator[Callable[[int, Tally], None]]:
    """A bar on standard error, by the bytes of the file."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with ProgressBar(*columns, TimeRemainingColumn(), console=ERR) as bar:
        task = bar.add_task("", total=path.stat().st_size)

        def tell(position: int, tally: Tally) -> None:
            done = f"{tally.lines:,} devices, {tally.rejected:,} rejected"
            bar.update(task, completed=position, description=done)

        yield tell
