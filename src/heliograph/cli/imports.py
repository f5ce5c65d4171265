"""``heliograph import``: move in."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from heliograph import app
from heliograph.addresses import from_base64url
from heliograph.cli import moving, terminal
from heliograph.cli.moving import (
    DryRun,
    ImportedFile,
    Pair,
    RejectsOption,
    Restart,
    Wish,
    form_of,
)
from heliograph.cli.terminal import OUT, InstanceOption
from heliograph.errors import HeliographError
from heliograph.transfer import fields, ibm, progress
from heliograph.transfer.commits import Tally
from heliograph.transfer.declared import read_declared
from heliograph.transfer.importing import Import
from heliograph.transfer.records import Line, read
from heliograph.transfer.subscribing import Declaring, Subscribing

commands = typer.Typer(no_args_is_help=True, help="Move in: devices from a file.")


@commands.command("devices")
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


@commands.command("subscriptions")
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


@commands.command("interests")
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


@commands.command("vapid-keys")
def import_vapid_keys(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    *,
    instance: InstanceOption = None,
) -> None:
    """Take over the keys that browsers subscribed with, from what export wrote."""
    try:
        pairs = [msgspec.json.decode(line, type=Pair) for line in file.read_bytes().splitlines()]
        keys = [from_base64url(each.private_key) for each in pairs]
    except ValueError:
        raise HeliographError(f"{file}: each line must be as export writes it") from None

    async def run() -> int:
        async with app.storage(terminal.settings()) as (_, instances):
            found = await terminal.find(instances, instance)
            return sum([await instances.add_vapid(found.id, key) for key in keys])

    OUT.print(f"{terminal.run(run())} of {len(keys)} keys are new here", highlight=False)


def _wish(file: Path, rejects: Path | None, *, dry_run: bool, restart: bool, noun: str) -> Wish:
    if restart:
        progress.forget(file)
    return Wish(file, rejects or file.with_name(f"{file.name}.rejects.csv"), dry_run, noun)


def _reader(file: Path, form: str | None) -> Callable[[Iterable[str]], Iterator[Line]]:
    if form == "ibm":
        return ibm.read_devices
    return partial(read, form=form_of(file, form))


def _instant(text: str) -> datetime:
    try:
        return fields.instant_of(text, "it")
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--registered-at") from None
