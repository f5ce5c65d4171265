"""``heliograph import`` and ``heliograph export``: move in, and move out."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer

from heliograph import app
from heliograph.addresses import from_base64url
from heliograph.cli import moving, terminal
from heliograph.cli.moving import (
    DryRun,
    ExportedFile,
    ImportedFile,
    RejectsOption,
    Restart,
    Wish,
)
from heliograph.cli.terminal import ERR, OUT, InstanceOption
from heliograph.errors import HeliographError
from heliograph.instances import Instance
from heliograph.storage.database import Database
from heliograph.transfer import exporting, fields, ibm, progress
from heliograph.transfer.commits import Tally
from heliograph.transfer.declared import Declared, read_declared, written
from heliograph.transfer.importing import Import
from heliograph.transfer.records import Format, Line, read, write
from heliograph.transfer.subscribing import Declaring, Subscribing
from heliograph.wire.jws import base64url

import_commands = typer.Typer(no_args_is_help=True, help="Move in: devices from a file.")
export_commands = typer.Typer(no_args_is_help=True, help="Move out: devices to a file.")


@import_commands.command("devices")
def import_devices(
    file: ImportedFile,
    *,
    instance: InstanceOption = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, jsonl, or ibm: what IBM's migration tool wrote. "
            "Default: as the file's name ends.",
        ),
    ] = None,
    vapid_public_key: Annotated[
        str | None,
        typer.Option(help="The key that browsers subscribed with whose lines do not say so."),
    ] = None,
    registered_at: Annotated[
        str | None,
        typer.Option(help="When devices registered whose lines do not say so. Default: now."),
    ] = None,
    rejects: RejectsOption = None,
    dry_run: DryRun = False,
    restart: Restart = False,
) -> None:
    """
    Move devices in, with tokens, people and interests; exit status 1 if some were rejected.

    Interrupted, it goes on where it was when it is called again. docs/howto/move-from-beams.md
    has the format.
    """
    wish = _wish(file, rejects, dry_run=dry_run, restart=restart, noun="devices")
    reader = _reader(file, form)
    instant = None if registered_at is None else _instant(registered_at)

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
                registered_at=instant,
                is_rehearsal=dry_run,
            )
            return await moving.move_in(wish, found.id, reader, mover.take)

    moving.tell(wish, terminal.run(run()))


@import_commands.command("subscriptions")
def import_subscriptions(
    file: ImportedFile,
    *,
    instance: InstanceOption = None,
    rejects: RejectsOption = None,
    dry_run: DryRun = False,
    restart: Restart = False,
) -> None:
    """
    Subscribe devices as IBM's migration tool wrote it; exit status 1 if some were rejected.

    The devices are imported first; docs/howto/move-from-ibm.md tells more.
    """
    wish = _wish(file, rejects, dry_run=dry_run, restart=restart, noun="subscriptions")

    async def run() -> Tally:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            mover = Subscribing(database, found, clock=app.now, is_rehearsal=dry_run)
            return await moving.move_in(wish, found.id, ibm.read_subscriptions, mover.take)

    moving.tell(wish, terminal.run(run()))


@import_commands.command("interests")
def import_interests(
    file: ImportedFile,
    *,
    instance: InstanceOption = None,
    rejects: RejectsOption = None,
    dry_run: DryRun = False,
    restart: Restart = False,
) -> None:
    """Declare the interests that export wrote; exit status 1 if some were rejected."""
    wish = _wish(file, rejects, dry_run=dry_run, restart=restart, noun="interests")

    async def run() -> Tally:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            mover = Declaring(database, found, clock=app.now, is_rehearsal=dry_run)
            return await moving.move_in(wish, found.id, read_declared, mover.take)

    moving.tell(wish, terminal.run(run()))


@export_commands.command("interests")
def export_interests(file: ExportedFile, *, instance: InstanceOption = None) -> None:
    """Write the interests that are declared, with their descriptions."""

    async def run() -> Sequence[Declared]:
        async with app.storage(terminal.settings()) as (database, instances):
            return await exporting.declared(database, await terminal.find(instances, instance))

    found = terminal.run(run())
    with moving.written(None if file == "-" else Path(file)) as target:
        target.writelines(map(written, found))
    ERR.print(f"{len(found):,} interests", highlight=False)


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
    with moving.written(None if file == "-" else Path(file)) as target:
        for pair in found.vapid_keys.values():
            own = _Pair(base64url(pair.public_key), base64url(pair.private_key))
            target.write(msgspec.json.encode(own).decode() + "\n")


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    public_key: str
    private_key: str


@export_commands.command("devices")
def export_devices(
    file: ExportedFile,
    *,
    instance: InstanceOption = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="csv or jsonl. Default: as the file's name ends."),
    ] = None,
) -> None:
    """Write every living device, with its token: whoever has that can send to it."""
    path = None if file == "-" else Path(file)
    chosen = _format(path or Path("-.jsonl"), form)

    async def run() -> int:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            with moving.written(path) as target:
                return await _export(database, found, chosen, target)

    count = terminal.run(run())
    ERR.print(f"{count:,} devices", highlight=False)


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


def _wish(file: Path, rejects: Path | None, *, dry_run: bool, restart: bool, noun: str) -> Wish:
    if restart:
        progress.forget(file)
    return Wish(file, rejects or file.with_name(f"{file.name}.rejects.csv"), dry_run, noun)


def _reader(file: Path, form: str | None) -> Callable[[Iterable[str]], Iterator[Line]]:
    if form == "ibm":
        return ibm.read_devices
    return partial(read, form=_format(file, form))


def _format(path: Path, form: str | None) -> Format:
    name = form or path.name.removesuffix(".gz").rpartition(".")[2]
    match name:
        case "csv":
            return "csv"
        case "jsonl" | "ndjson":
            return "jsonl"
        case _:
            raise typer.BadParameter(f"{name} is neither csv nor jsonl", param_hint="--format")


def _instant(text: str) -> datetime:
    try:
        return fields.instant_of(text, "it")
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--registered-at") from None
