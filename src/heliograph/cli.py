"""The command line: ``heliograph``. Each command is a few lines over what does the work."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from heliograph import __version__, app, config, dev, doctor, logs
from heliograph.api.admin import describe_progress, progress_state
from heliograph.api.devices import describe_stop
from heliograph.api.devices import show as read_device
from heliograph.api.trace import trace
from heliograph.auth import user_problem
from heliograph.bench import broadcast, ingress, neighbour, registry, scale
from heliograph.bench import command as bench
from heliograph.bench.findings import Findings
from heliograph.bench.program import Engines
from heliograph.bench.sink import Shape
from heliograph.client.errors import PusherError
from heliograph.client.publish import PushNotifications
from heliograph.config import Settings
from heliograph.demo import story
from heliograph.errors import HeliographError
from heliograph.gateways import apple_certificate
from heliograph.instances import Instance, Instances, VapidKeyUse
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    DeviceId,
    DeviceNumber,
    Gateway,
    PublishId,
    UserId,
    VapidKeys,
    gateway_of,
)
from heliograph.pipeline.breaker import TRUST
from heliograph.pipeline.cancel import cancel
from heliograph.serving import stop_signals
from heliograph.storage import devices, publishes, watches
from heliograph.storage.devices import Prune
from heliograph.storage.lanes import Paused
from heliograph.storage.publishes import Progress
from heliograph.wire.jws import base64url

commands = typer.Typer(
    help="A self-hosted push notification server: publish to a person, and every device "
    "where they are logged in shows it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
instance_commands = typer.Typer(no_args_is_help=True, help="Instances: who may publish.")
device_commands = typer.Typer(no_args_is_help=True, help="Devices: who is reached.")
publish_commands = typer.Typer(invoke_without_command=True)
bench_commands = typer.Typer(invoke_without_command=True)
commands.add_typer(instance_commands, name="instance")
commands.add_typer(device_commands, name="device")
commands.add_typer(publish_commands, name="publish")
commands.add_typer(bench_commands, name="bench")

_out = Console()
_err = Console(stderr=True)

_WATCH_SECONDS: Final = 0.25

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="The instance's id; not needed if there is one.")
]


def main() -> None:
    """Run a command; what goes wrong is one line on standard error, and exit status 1."""
    try:
        commands()
    except (HeliographError, PusherError) as problem:
        _err.print(f"heliograph: {problem}", style="red", markup=False, highlight=False)
        sys.exit(1)


@commands.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Settings come from HELIOGRAPH_… variables, or from the TOML file HELIOGRAPH_CONFIG names."""
    if version:
        _out.print(__version__)
        raise typer.Exit


# --- serving -------------------------------------------------------------------------


@commands.command()
def serve(
    role: Annotated[
        str, typer.Option(help="all: answer and deliver. api: only answer. worker: only deliver.")
    ] = "all",
    listen: Annotated[
        str | None, typer.Option(help="Address and port for http [HELIOGRAPH_LISTEN].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Serve until Ctrl-C."""
    if role not in ("all", "api", "worker"):
        raise typer.BadParameter("one of all, api, worker", param_hint="--role")
    _run(app.serve(_settings(listen=listen, data_dir=data_dir), role=role))  # type: ignore[arg-type]  # checked above


@commands.command("dev")
def develop(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Show the demonstration and exit: 0 if it held.")
    ] = False,
    listen: Annotated[
        str | None, typer.Option(help="Address and port for http [HELIOGRAPH_LISTEN].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Serve with imitations of Apple, Google and the browsers' services, on this machine only."""
    if once:
        held = _run(story.show(_settings(log_level="error"), _out))
        raise typer.Exit(0 if held else 1)
    _run(_develop(_settings(listen=listen, data_dir=data_dir)))


async def _develop(settings: Settings) -> None:
    with stop_signals() as stop:
        async with dev.developing(settings) as development:
            note = settings.data_dir / "dev.json"
            _out.print("[bold]Heliograph is ready.[/bold] Ctrl-C stops it.\n")
            for name, value in (
                ("Inbox", development.sandbox["management"]),
                ("API", f"{development.endpoint}  {development.tls_endpoint}"),
                ("Instance", development.instance_id),
                ("Keys", f"in {note}"),
            ):
                _out.print(f"  {name:<9} {value}", highlight=False)
            _out.print(
                "\nThe inbox page shows what each virtual device has on its screen. "
                "README.md tells what to do next.\n"
            )
            await stop.wait()
    _out.print("Stopped.")


@commands.command()
def sandbox(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of sandbox.json [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Run only the imitations of Apple, Google and the browsers' services."""
    _run(_sandbox(_settings(data_dir=data_dir)))


async def _sandbox(settings: Settings) -> None:
    note = settings.data_dir / "sandbox.json"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    with stop_signals() as stop:
        async with dev.sandbox_running(settings) as running:
            dev.write_note(note, dict(running.addresses()))
            for name, address in running.addresses().items():
                _out.print(f"  {name:<12} {address}", highlight=False)
            try:
                await stop.wait()
            finally:
                note.unlink(missing_ok=True)


@commands.command()
def migrate() -> None:
    """Bring the database up to date; the server does so at its start unless told not to."""

    async def run() -> None:
        settings = replace(_settings(), migrate_at_start=True)
        async with app.storage(settings) as (database, _):
            _out.print(f"The database is at revision {await database.revision()}.")

    _run(run())


@commands.command("doctor")
def examine() -> None:
    """Examine settings, database and credentials; exit status 1 if something is wrong."""
    findings = _run(doctor.examine(_settings()))
    for finding in findings:
        mark = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]"}.get(
            finding.grade, "[red]✗[/red]"
        )
        _out.print(f"{mark} {finding.subject}: {finding.sentence}", highlight=False)
    raise typer.Exit(1 if any(each.grade == "fault" for each in findings) else 0)


@bench_commands.callback(invoke_without_command=True)
def measure(
    context: typer.Context,
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each sender has its turn.")] = 3,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Notifications in a turn, at most. Default: about a second's."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Senders whose name contains this; may be repeated."),
    ] = None,
    gateway: Annotated[
        list[Gateway] | None, typer.Option(help="Only this gateway; may be repeated.")
    ] = None,
    shape: Annotated[list[Shape] | None, typer.Option(help="Only replies of this shape.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One round of at most 500: shows that it works.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for bench.md and bench.svg.", file_okay=False)
    ] = None,
    node_modules: Annotated[
        Path, typer.Option(help="Where npm has put @parse/node-apn and web-push.")
    ] = bench.NODE_MODULES,
) -> None:
    """Measure what sending costs: our sender and others, in turns, to a sink on this machine."""
    if context.invoked_subcommand is not None:
        return
    bench.run(
        bench.Wishes(
            rounds=rounds,
            count=count,
            is_quick=quick,
            only=tuple(only or ()),
            gateways=tuple(gateway or Gateway),
            shapes=tuple(shape or Shape),
            output=output,
            node_modules=node_modules,
        ),
        _out,
    )


bench_commands.command("senders")(measure)

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", help="An empty database for it. Default: a file that is gone afterwards."
    ),
]
QueueOption = Annotated[
    str | None,
    typer.Option("--queue", help="nats://… to hand work out by. Default: the database itself."),
]
OutputOption = Annotated[
    Path | None, typer.Option(help="Folder for a table and its JSON.", file_okay=False)
]


@bench_commands.command("broadcast")
def measure_broadcast(
    *,
    devices_of: Annotated[int, typer.Option("--devices", min=1, help="How many there are.")] = (
        1_000_000
    ),
    database: DatabaseOption = None,
    queue: QueueOption = None,
    output: OutputOption = None,
) -> None:
    """Measure one publish to everybody: CPU and memory of the server, and where they go."""
    _tell(asyncio.run(broadcast.measure(devices_of, Engines(database, queue), _out)), output)


@bench_commands.command("neighbour")
def measure_neighbour(
    *,
    devices_of: Annotated[int, typer.Option("--devices", min=1, help="In the broadcast.")] = (
        300_000
    ),
    seconds: Annotated[float, typer.Option(min=0.1, help="How long before the broadcast.")] = 10,
    database: DatabaseOption = None,
    queue: QueueOption = None,
    output: OutputOption = None,
) -> None:
    """Measure how long a message to one person takes, with and without a broadcast beside it."""
    _tell(
        asyncio.run(neighbour.measure(devices_of, seconds, Engines(database, queue), _out)), output
    )


@bench_commands.command("scale")
def measure_scale(
    database: Annotated[str, typer.Argument(help="postgresql://… of an empty database.")],
    *,
    devices_of: Annotated[int, typer.Option("--devices", min=1, help="How many there are.")] = (
        200_000
    ),
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
    gateway: Annotated[Gateway, typer.Option(help="Whose devices: apns or web.")] = Gateway.APNS,
    queue: QueueOption = None,
    output: OutputOption = None,
) -> None:
    """Measure two workers against one, over one PostgreSQL."""
    if gateway is Gateway.FCM:
        raise typer.BadParameter("apns or web", param_hint="--gateway")
    engines = Engines(database, queue)
    _tell(asyncio.run(scale.measure(devices_of, rounds, engines, _out, gateway)), output)


def _tell(found: Findings, output: Path | None) -> None:
    found.show(_out)
    if output is not None:
        found.write(output)


@bench_commands.command("ingress")
def measure_ingress(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each load lasts.")] = 10,
    callers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Callers at once; may be repeated. Default: 1, 8, 32, 128, 256."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the database is put meanwhile.", exists=True)
    ] = None,
) -> None:
    """Measure durable publishes to single users, over HTTP: how many, and how long one takes."""
    ingress.run(
        _out, seconds=seconds, connections=tuple(callers or ingress.CONNECTIONS), folder=folder
    )


@bench_commands.command("registry")
def measure_registry(
    *,
    devices_of: Annotated[
        list[int] | None,
        typer.Option(
            "--devices",
            min=100,
            help="Devices in a database; may be repeated. Default: 10,000 to 10,000,000.",
        ),
    ] = None,
    calls: Annotated[
        int, typer.Option(min=1, help="Calls of each kind at each size.")
    ] = registry.CALLS,
    folder: Annotated[
        Path | None, typer.Option(help="Where the databases are put meanwhile.", exists=True)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for registry.svg.", file_okay=False)
    ] = None,
) -> None:
    """Measure what registrations and publishes cost with more and more devices."""
    registry.run(
        _out,
        sizes=tuple(sorted(devices_of or registry.DEVICES)),
        calls=calls,
        folder=folder,
        output=output,
    )


# --- instances -----------------------------------------------------------------------


@instance_commands.command("create")
def create_instance(name: str, *, as_json: AsJson = False) -> None:
    """Make an instance, and print its secrets this once."""

    async def run() -> Instance:
        async with app.storage(_settings()) as (_, instances):
            return await instances.create(name)

    made = _run(run())
    secrets = {
        "instance_id": made.id,
        "secret_key": made.secret_keys[0],
        "client_secret": made.client_secret,
        "app_secret": made.app_secret,
    }
    _show(secrets, as_json=as_json)


@instance_commands.command("list")
def list_instances(*, as_json: AsJson = False) -> None:
    """Print every instance."""

    async def run() -> list[dict[str, Any]]:
        async with app.storage(_settings()) as (_, instances):
            return [_describe(each) for each in await instances.every()]

    _show_rows(_run(run()), as_json=as_json, empty="There is no instance yet.")


@instance_commands.command("show")
def show_instance(instance: str, *, as_json: AsJson = False) -> None:
    """Print one instance, without its secrets."""

    async def run() -> dict[str, Any]:
        settings = _settings()
        async with app.storage(settings) as (database, instances):
            found = await _find(instances, instance)
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
                "pruning_stopped": [_plain(describe_stop(*each)) for each in stopped],
            }

    _show(_run(run()), as_json=as_json)


@instance_commands.command("rotate-key")
def rotate_key(instance: str, *, as_json: AsJson = False) -> None:
    """Make a new secret key; the one before it stays good until the next rotation."""

    async def run() -> str:
        async with app.storage(_settings()) as (_, instances):
            found = await _find(instances, instance)
            return await instances.rotate_key(found.id) or ""

    _show({"secret_key": _run(run())}, as_json=as_json)


@instance_commands.command("rotate-vapid")
def rotate_vapid(instance: str, *, as_json: AsJson = False) -> None:
    """Make a new key for browsers to subscribe with; those that have an older one keep it."""

    async def run() -> VapidKeys:
        async with app.storage(_settings()) as (_, instances):
            found = await _find(instances, instance)
            pair = await instances.rotate_vapid(found.id)
            if pair is None:
                raise HeliographError(f"there is no instance {instance}")
            return pair

    _show({"vapid_public_key": base64url(_run(run()).public_key)}, as_json=as_json)


@instance_commands.command("resume-pruning")
def resume_pruning(instance: str) -> None:
    """Prune again where that was stopped, and believe gateways for a day."""

    async def run() -> int:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            now = app.now()
            async with database.write() as connection:
                return await watches.trust(connection, found.number, until=now + TRUST, now=now)

    _out.print("Resumed." if _run(run()) else "Nothing was stopped.")


@instance_commands.command("delete")
def delete_instance(
    instance: str,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an instance with its devices, users and publishes."""

    async def run() -> None:
        async with app.storage(_settings()) as (_, instances):
            found = await _find(instances, instance)
            if not yes:
                typer.confirm(f"Delete {found.name} ({found.id}) and all it owns?", abort=True)
            await instances.delete(found.id)

    _run(run())
    _out.print("Deleted.")


# --- devices and publishing ----------------------------------------------------------


@device_commands.command("list")
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
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
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
                    "gateway": str(gateway_of(each.address)),
                    "user": each.user or "",
                    "registered_at": each.registered_at.isoformat(timespec="seconds"),
                    **_describe_prune(each.prune),
                }
                for each in page
            ]

    _show_rows(_run(run()), as_json=as_json, empty="There is no such device.")


@device_commands.command("show")
def show_device(device: str, *, instance: InstanceOption = None, as_json: AsJson = False) -> None:
    """Print one device, living or pruned, and what it is suspected of; never its token."""

    async def run() -> dict[str, Any] | None:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            async with database.read() as connection:
                return await read_device(connection, found.number, DeviceId(device))

    found = _run(run())
    if found is None:
        raise HeliographError(f"there is no device {device}")
    _show(_plain(found), as_json=as_json)


@device_commands.command("delete")
def delete_device(device: str, *, instance: InstanceOption = None) -> None:
    """Forget a device with its interests and its user."""

    async def run() -> bool:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            async with database.write() as connection:
                known = await devices.find(connection, found.number, DeviceId(device))
                if known is not None:
                    await devices.remove(connection, known.number)
                return known is not None

    if not _run(run()):
        raise HeliographError(f"there is no device {device}")
    _out.print("Deleted.")


@device_commands.command("restore")
def restore_device(device: str, *, instance: InstanceOption = None) -> None:
    """Undo a prune: the device is reached again, with its interests; its user logs in again."""

    async def run() -> bool:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            async with database.write() as connection:
                restored = await devices.restore(connection, found.number, DeviceId(device))
            return restored is not None

    if not _run(run()):
        raise HeliographError(f"there is no device {device}")
    _out.print("Restored.")


@publish_commands.callback()
def publish(
    context: typer.Context,
    *,
    title: Annotated[str | None, typer.Option(help="The notification's title.")] = None,
    body: Annotated[str, typer.Option(help="The notification's text.")] = "",
    user: Annotated[list[str] | None, typer.Option(help="A person; may be repeated.")] = None,
    interest: Annotated[
        list[str] | None, typer.Option(help="An interest; may be repeated.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="The same call with the same key is the same publish for 24 hours."),
    ] = None,
    instance: InstanceOption = None,
    endpoint: Annotated[
        str | None, typer.Option(help="The server's base URL. Default: HELIOGRAPH_LISTEN.")
    ] = None,
) -> None:
    """Send a notification through the running server, to people or to interests."""
    if context.invoked_subcommand is not None:
        return
    if title is None:
        raise typer.BadParameter("needed to send a notification", param_hint="--title")
    if bool(user) == bool(interest):
        raise typer.BadParameter("give --user or --interest, and not both")

    async def find() -> tuple[Settings, Instance]:
        settings = _settings()
        async with app.storage(settings) as (_, instances):
            return settings, await _find(instances, instance)

    settings, found = _run(find())
    words = {"title": title, "body": body}
    message = {
        "apns": {"aps": {"alert": words}},
        "fcm": {"notification": words},
        "web": {"notification": words},
    }
    with PushNotifications(
        found.id, found.secret_keys[0], endpoint=endpoint or f"http://{settings.listen}"
    ) as beams:
        send = beams.publish_to_users if user else beams.publish_to_interests
        try:
            answer = send(user or interest or [], message, idempotency_key=idempotency_key)
        except ValueError as problem:
            raise typer.BadParameter(str(problem)) from None
    _out.print(answer["publishId"], highlight=False)


@publish_commands.command("show")
def show_publish(
    publish: Annotated[str, typer.Argument(metavar="ID")],
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it live, until every delivery is over.")
    ] = False,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Print how far a publish has come."""

    async def run() -> Progress | None:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)

            async def progress() -> Progress | None:
                async with database.read() as connection:
                    return await publishes.progress(connection, found.number, PublishId(publish))

            return await (_watch(progress) if watch else progress())

    _show_progress(publish, _run(run()), as_json=as_json)


async def _watch(read: Callable[[], Awaitable[Progress | None]]) -> Progress | None:
    """Show progress as a bar on standard error until it is over; the last there was."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with ProgressBar(*columns, TimeElapsedColumn(), console=_err) as bar:
        task = bar.add_task("", total=None)
        while (found := await read()) is not None:
            is_known = found.expanded_at is not None
            bar.update(
                task,
                description=progress_state(found),
                completed=found.targeted - found.pending,
                total=found.targeted if is_known else None,
            )
            if is_known and not found.pending:
                break
            await asyncio.sleep(_WATCH_SECONDS)
    return found


@publish_commands.command("trace")
def trace_publish(
    publish: Annotated[str, typer.Argument(metavar="ID")],
    *,
    device: Annotated[str | None, typer.Option(help="On this device.")] = None,
    user: Annotated[str | None, typer.Option(help="On every device of this person.")] = None,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Print what became of a publish on a device: each attempt, what was decided, and why."""
    if (device is None) == (user is None):
        raise typer.BadParameter("give --device or --user, and not both")

    async def run() -> Sequence[dict[str, Any]] | None:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            async with database.read() as connection:
                return await trace(
                    connection,
                    found.number,
                    PublishId(publish),
                    device=None if device is None else DeviceId(device),
                    user=None if user is None else UserId(user),
                )

    traces = _run(run())
    if traces is None:
        raise HeliographError(f"there is no publish {publish}")
    if not traces:
        raise HeliographError(f"there is no such device: {device or user}")
    if as_json:
        _print_json([_plain(each) for each in traces])
        return
    for each in traces:
        _show(_plain(each), as_json=False)


@publish_commands.command("cancel")
def cancel_publish(
    publish: Annotated[str, typer.Argument(metavar="ID")],
    *,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Cancel what is left of a publish, and print how far it came."""

    async def run() -> Progress | None:
        async with app.storage(_settings()) as (database, instances):
            found = await _find(instances, instance)
            return await cancel(database, found.number, PublishId(publish), now=app.now())

    _show_progress(publish, _run(run()), as_json=as_json)


def _show_progress(publish: str, progress: Progress | None, *, as_json: bool) -> None:
    if progress is None:
        raise HeliographError(f"there is no publish {publish}")
    _show(_plain(describe_progress(progress)), as_json=as_json)


# --- what the commands share ---------------------------------------------------------

_Result = TypeVar("_Result")


def _settings(**overrides: Any) -> Settings:
    settings = config.load(os.environ, **overrides)
    logs.configure(level=settings.log_level, style=settings.log_format)
    return settings


def _run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def _find(instances: Instances, instance: str | None) -> Instance:
    """The instance with this id, or the only one there is."""
    if instance is not None:
        found = await instances.find(instance)
        if found is None:
            raise HeliographError(f"there is no instance {instance}")
        return found
    every = await instances.every()
    if len(every) != 1:
        raise HeliographError(f"there are {len(every)} instances; say which with --instance")
    return every[0]


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


def _plain(value: Any) -> Any:
    """The same in what JSON knows: instants are text, to the millisecond."""
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


def _show(value: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(value)
        return
    width = max(map(len, value))
    for name, each in value.items():
        for line in each if isinstance(each, list) else [each]:
            text = _in_one_line(line)
            _out.print(f"{name:<{width}}  {text}", markup=False, highlight=False, soft_wrap=True)


def _in_one_line(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}: {each}" for name, each in value.items())
    return str(value)


def _show_rows(rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        _print_json(rows)
    elif not rows:
        _out.print(empty)
    else:
        table = Table(*rows[0], box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*[escape(str(each)) for each in row.values()])
        _out.print(table)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
