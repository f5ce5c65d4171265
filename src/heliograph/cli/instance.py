"""``heliograph instance``: who may publish."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from heliograph import app
from heliograph.api.devices import describe_stop
from heliograph.cli import terminal
from heliograph.cli.terminal import OUT, AsJson
from heliograph.errors import HeliographError
from heliograph.gateways import apple_certificate
from heliograph.instances import Instance, VapidKeyUse
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    VapidKeys,
)
from heliograph.pipeline.breaker import TRUST
from heliograph.storage import devices, watches
from heliograph.storage.lanes import Paused
from heliograph.wire.jws import base64url

commands = typer.Typer(no_args_is_help=True, help="Instances: who may publish.")


def _secret_file(text: str) -> Any:
    """An option that names a file with a secret; - is standard input."""
    return typer.Option(help=text, exists=True, dir_okay=False, allow_dash=True)


@commands.command("create")
def create_instance(
    name: str,
    *,
    identity: Annotated[
        str | None, typer.Option("--id", help="A UUID that apps know already.")
    ] = None,
    secret_key_file: Annotated[
        Path | None, _secret_file("A file with the secret key that back ends have already.")
    ] = None,
    client_secret_file: Annotated[
        Path | None, _secret_file("A file with the client secret that apps have already.")
    ] = None,
    app_secret_file: Annotated[
        Path | None, _secret_file("A file with the app secret that back ends have already.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an instance, and print its secrets this once."""
    key, client_secret, app_secret = map(
        _read_secret, (secret_key_file, client_secret_file, app_secret_file)
    )

    async def run() -> Instance:
        async with app.storage(terminal.settings()) as (_, instances):
            return await instances.create(
                name,
                identity=identity,
                secret_key=key,
                client_secret=client_secret,
                app_secret=app_secret,
            )

    made = terminal.run(run())
    secrets = {
        "instance_id": made.id,
        "secret_key": made.secret_keys[0],
        "client_secret": made.client_secret,
        "app_secret": made.app_secret,
    }
    terminal.show(secrets, as_json=as_json)


@commands.command("list")
def list_instances(*, as_json: AsJson = False) -> None:
    """Print every instance."""

    async def run() -> list[dict[str, Any]]:
        async with app.storage(terminal.settings()) as (_, instances):
            return [_describe(each) for each in await instances.every()]

    terminal.show_rows(terminal.run(run()), as_json=as_json, empty="There is no instance yet.")


@commands.command("show")
def show_instance(instance: str, *, as_json: AsJson = False) -> None:
    """Print one instance, without its secrets."""

    async def run() -> dict[str, Any]:
        settings = terminal.settings()
        async with app.storage(settings) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.read() as connection:
                count = await devices.count(connection, found.number)
                stopped = await watches.stopped(connection, found.number)
            keys = await instances.vapid_use(found.number)
            paused = await instances.paused_lanes(found.number)
            return _describe(found) | {
                **_describe_apns(found.apns),
                "devices": count,
                "vapid_keys": [_describe_key(each) for each in keys],
                "paused_lanes": [_describe_lane(each) for each in paused],
                "pruning_stopped": [terminal.plain(describe_stop(*each)) for each in stopped],
            }

    terminal.show(terminal.run(run()), as_json=as_json)


@commands.command("rotate-key")
def rotate_key(instance: str, *, as_json: AsJson = False) -> None:
    """Make a new secret key; the one before it stays good until the next rotation."""

    async def run() -> str:
        async with app.storage(terminal.settings()) as (_, instances):
            found = await terminal.find(instances, instance)
            return await instances.rotate_key(found.id) or ""

    terminal.show({"secret_key": terminal.run(run())}, as_json=as_json)


@commands.command("rotate-vapid")
def rotate_vapid(instance: str, *, as_json: AsJson = False) -> None:
    """Make a new key for browsers to subscribe with; those that have an older one keep it."""

    async def run() -> VapidKeys:
        async with app.storage(terminal.settings()) as (_, instances):
            found = await terminal.find(instances, instance)
            pair = await instances.rotate_vapid(found.id)
            if pair is None:
                raise HeliographError(f"there is no instance {instance}")
            return pair

    terminal.show({"vapid_public_key": base64url(terminal.run(run()).public_key)}, as_json=as_json)


@commands.command("resume-pruning")
def resume_pruning(instance: str) -> None:
    """Prune again where that was stopped, and believe gateways for a day."""

    async def run() -> int:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            now = app.now()
            async with database.write() as connection:
                return await watches.trust(connection, found.number, until=now + TRUST, now=now)

    OUT.print("Resumed." if terminal.run(run()) else "Nothing was stopped.")


@commands.command("delete")
def delete_instance(
    instance: str,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an instance with its devices, users and publishes."""

    async def run() -> None:
        async with app.storage(terminal.settings()) as (_, instances):
            found = await terminal.find(instances, instance)
            if not yes:
                typer.confirm(f"Delete {found.name} ({found.id}) and all it owns?", abort=True)
            await instances.delete(found.id)

    terminal.run(run())
    OUT.print("Deleted.")


def _read_secret(path: Path | None) -> str | None:
    """What stands in a file, or comes on standard input: a command line is for all to see."""
    return (
        None
        if path is None
        else (sys.stdin.read() if str(path) == "-" else path.read_text()).strip()
    )


def _describe(instance: Instance) -> dict[str, Any]:
    return {
        "instance_id": instance.id,
        "name": instance.name,
        "created_at": instance.created_at.isoformat(timespec="seconds"),
        "apns": instance.apns.topic if instance.apns else "",
        "fcm": instance.fcm.service_account.project_id if instance.fcm else "",
    }


def _describe_apns(credentials: ApnsIdentity | None) -> dict[str, Any]:
    match credentials:
        case None:
            return {}
        case ApnsCredentials(key_id=key_id):
            return {"apns_key": key_id}
        case ApnsCertificate(certificate=certificate):
            end = apple_certificate.facts(certificate).expires_at
            return {"apns_certificate_until": end.isoformat(timespec="seconds")}


def _describe_key(key: VapidKeyUse) -> dict[str, Any]:
    return {
        "public_key": base64url(key.public_key),
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "devices": key.devices,
        "current": key.is_current,
    }


def _describe_lane(paused: Paused) -> dict[str, Any]:
    return {
        "gateway": paused.lane.gateway,
        "environment": paused.lane.environment or "",
        "kind": paused.kind,
        "reason": paused.reason,
        "paused_at": paused.paused_at.isoformat(timespec="seconds"),
        "probe_at": paused.probe_at.isoformat(timespec="seconds"),
    }
