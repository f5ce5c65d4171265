"""The command line: ``heliograph``. Each command is a few lines over what does the work."""

import sys
from typing import Annotated

import typer

from heliograph import __version__
from heliograph.cli import (
    bench,
    device,
    exports,
    imports,
    insights,
    instance,
    publish,
    serve,
    webhook,
)
from heliograph.cli.terminal import ERR, OUT
from heliograph.client.errors import PusherError
from heliograph.errors import HeliographError

commands = typer.Typer(
    help="A self-hosted push notification server: publish to a person, and every device "
    "where they are logged in shows it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.add_typer(serve.commands)
commands.add_typer(instance.commands, name="instance")
commands.add_typer(device.commands, name="device")
commands.add_typer(publish.commands, name="publish")
commands.add_typer(webhook.commands, name="webhook")
commands.add_typer(insights.commands)
commands.add_typer(imports.commands, name="import")
commands.add_typer(exports.commands, name="export")
commands.add_typer(bench.commands, name="bench")


def main() -> None:
    """Run a command; what goes wrong is one line on standard error, and exit status 1."""
    try:
        commands()
    except (HeliographError, PusherError) as problem:
        ERR.print(f"heliograph: {problem}", style="red", markup=False, highlight=False)
        sys.exit(1)


@commands.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Settings come from HELIOGRAPH_… variables, or from the TOML file HELIOGRAPH_CONFIG names."""
    if version:
        OUT.print(__version__)
        raise typer.Exit
