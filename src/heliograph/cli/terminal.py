"""What the commands share: settings, how they run, and how they show what they found."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heliograph import config, logs
from heliograph.config import Settings
from heliograph.errors import HeliographError
from heliograph.instances import Instance, Instances

OUT: Final = Console()
ERR: Final = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="The instance's id; not needed if there is one.")
]

_Result = TypeVar("_Result")


def settings(**overrides: Any) -> Settings:
    """The settings that the environment and its file give, with what a command was told."""
    settings = config.load(os.environ, **overrides)
    logs.configure(level=settings.log_level, style=settings.log_format)
    return settings


def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command to its end, in an event loop like the server's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def find(instances: Instances, instance: str | None) -> Instance:
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


def plain(value: Any) -> Any:
    """The same in what JSON knows: instants are text, to the millisecond."""
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        case dict():
            return {str(name): plain(each) for name, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


def show(value: dict[str, Any], *, as_json: bool) -> None:
    """Print one thing: a line for each of its fields, or JSON."""
    if as_json:
        print_json(value)
        return
    width = max(map(len, value))
    for name, each in value.items():
        for line in each if isinstance(each, list) else [each]:
            text = _in_one_line(line)
            OUT.print(f"{name:<{width}}  {text}", markup=False, highlight=False, soft_wrap=True)


def _in_one_line(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}: {each}" for name, each in value.items())
    return str(value)


def show_rows(rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print a table of things that have the same fields, or JSON."""
    if as_json:
        print_json(rows)
    elif not rows:
        OUT.print(empty)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, name in enumerate(rows[0]):
            # The first one is what a row is known by: cut or broken it is of no use.
            table.add_column(name, no_wrap=place == 0, overflow="fold")
        for row in rows:
            table.add_row(*[escape(str(each)) for each in row.values()])
        OUT.print(table)


def print_json(value: object) -> None:
    """Print JSON, as it is: standard output is for programs then."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
