"""``heliograph export``: move out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer

from heliograph import app
from heliograph.cli import moving, terminal
from heliograph.cli.moving import (
    ExportedFile,
    Pair,
    form_of,
)
from heliograph.cli.terminal import ERR, InstanceOption
from heliograph.instances import Instance
from heliograph.storage.database import Database
from heliograph.transfer import exporting
from heliograph.transfer.declared import Declaration, written
from heliograph.transfer.records import Format, write
from heliograph.wire.jws import base64url

commands = typer.Typer(no_args_is_help=True, help="Move out: devices to a file.")


@commands.command("devices")
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
    chosen = form_of(path or Path("-.jsonl"), form)

    async def run() -> int:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            with moving.written(path) as target:
                return await _export(database, found, chosen, target)

    count = terminal.run(run())
    ERR.print(f"{count:,} devices", highlight=False)


@commands.command("interests")
def export_interests(file: ExportedFile, *, instance: InstanceOption = None) -> None:
    """Write the interests that are declared, with their descriptions."""

    async def run() -> Sequence[Declaration]:
        async with app.storage(terminal.settings()) as (database, instances):
            return await exporting.declarations(database, await terminal.find(instances, instance))

    found = terminal.run(run())
    with moving.written(None if file == "-" else Path(file)) as target:
        target.writelines(map(written, found))
    ERR.print(f"{len(found):,} interests", highlight=False)


@commands.command("vapid-keys")
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
            own = Pair(base64url(pair.public_key), base64url(pair.private_key))
            target.write(msgspec.json.encode(own).decode() + "\n")


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
