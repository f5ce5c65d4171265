"""``heliograph device``: who is reached."""

from typing import Annotated, Any

import typer

from heliograph import app
from heliograph.api.devices import show as read_device
from heliograph.auth import user_problem
from heliograph.cli import terminal
from heliograph.cli.terminal import OUT, AsJson, InstanceOption
from heliograph.errors import HeliographError
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    UserId,
    gateway_of,
)
from heliograph.storage import devices
from heliograph.storage.devices import Prune

commands = typer.Typer(no_args_is_help=True, help="Devices: who is reached.")


@commands.command("list")
def list_devices(
    *,
    instance: InstanceOption = None,
    user: Annotated[str | None, typer.Option(help="Only this person's.")] = None,
    pruned: Annotated[
        bool, typer.Option("--pruned", help="Those out of service, and why.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Print devices, oldest first; never their tokens."""
    if user is not None and (problem := user_problem(user)):
        raise typer.BadParameter(problem, param_hint="--user")

    async def run() -> list[dict[str, Any]]:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.read() as connection:
                page = await devices.page(
                    connection,
                    found.number,
                    user=None if user is None else UserId(user),
                    pruned=pruned,
                    after=DeviceNumber(0),
                    limit=limit,
                )
            return [
                {
                    "id": each.id,
                    "name": each.name or "",
                    "gateway": str(gateway_of(each.address)),
                    "user": each.user or "",
                    "registered_at": each.registered_at.isoformat(timespec="seconds"),
                    **_describe_prune(each.prune),
                }
                for each in page
            ]

    terminal.show_rows(terminal.run(run()), as_json=as_json, empty="There is no such device.")


@commands.command("show")
def show_device(device: str, *, instance: InstanceOption = None, as_json: AsJson = False) -> None:
    """Print one device, living or pruned, and what it is suspected of; never its token."""

    async def run() -> dict[str, Any] | None:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.read() as connection:
                return await read_device(connection, found.number, DeviceId(device))

    found = terminal.run(run())
    if found is None:
        raise HeliographError(f"there is no device {device}")
    terminal.show(terminal.plain(found), as_json=as_json)


@commands.command("delete")
def delete_device(device: str, *, instance: InstanceOption = None) -> None:
    """Forget a device with its interests and its user."""

    async def run() -> bool:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.write() as connection:
                known = await devices.find(connection, found.number, DeviceId(device))
                if known is not None:
                    await devices.remove(connection, known.number)
                return known is not None

    if not terminal.run(run()):
        raise HeliographError(f"there is no device {device}")
    OUT.print("Deleted.")


@commands.command("restore")
def restore_device(device: str, *, instance: InstanceOption = None) -> None:
    """Undo a prune: the device is reached again, with its interests; its user logs in again."""

    async def run() -> bool:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.write() as connection:
                restored = await devices.restore(connection, found.number, DeviceId(device))
            return restored is not None

    if not terminal.run(run()):
        raise HeliographError(f"there is no device {device}")
    OUT.print("Restored.")


def _describe_prune(prune: Prune | None) -> dict[str, Any]:
    if prune is None:
        return {}
    since = prune.gone_since
    return {
        "pruned_at": prune.at.isoformat(timespec="seconds"),
        "prune_reason": prune.reason,
        "quarantined": prune.is_quarantine,
        "gone_since": "" if since is None else since.isoformat(timespec="milliseconds"),
    }
