"""``heliograph bench``: what sending, broadcasts, accepting and a growing registry cost."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from heliograph.bench import broadcast, ingress, neighbour, registry, scale
from heliograph.bench import command as bench
from heliograph.bench.findings import Findings
from heliograph.bench.program import Engines
from heliograph.bench.sink import Shape
from heliograph.cli.terminal import OUT
from heliograph.model import (
    Gateway,
)

commands = typer.Typer(invoke_without_command=True)


@commands.callback(invoke_without_command=True)
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
        OUT,
    )


commands.command("senders")(measure)

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


@commands.command("broadcast")
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
    _tell(asyncio.run(broadcast.measure(devices_of, Engines(database, queue), OUT)), output)


@commands.command("neighbour")
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
        asyncio.run(neighbour.measure(devices_of, seconds, Engines(database, queue), OUT)), output
    )


@commands.command("scale")
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
    _tell(asyncio.run(scale.measure(devices_of, rounds, engines, OUT, gateway)), output)


def _tell(found: Findings, output: Path | None) -> None:
    found.show(OUT)
    if output is not None:
        found.write(output)


@commands.command("ingress")
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
        OUT, seconds=seconds, connections=tuple(callers or ingress.CONNECTIONS), folder=folder
    )


@commands.command("registry")
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
        OUT,
        sizes=tuple(sorted(devices_of or registry.DEVICES)),
        calls=calls,
        folder=folder,
        output=output,
    )
