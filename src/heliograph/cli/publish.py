"""``heliograph publish``: send, and see what became of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from heliograph import app
from heliograph.api.admin import describe_progress, progress_state
from heliograph.api.trace import trace
from heliograph.cli import terminal
from heliograph.cli.terminal import ERR, OUT, AsJson, InstanceOption
from heliograph.client.publish import PushNotifications
from heliograph.config import Settings
from heliograph.errors import HeliographError
from heliograph.instances import Instance
from heliograph.model import (
    DeviceId,
    PublishId,
    UserId,
)
from heliograph.pipeline.cancel import cancel
from heliograph.storage import publishes
from heliograph.storage.publishes import Progress

commands = typer.Typer(invoke_without_command=True)
_WATCH_SECONDS: Final = 0.25


@commands.callback()
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
        settings = terminal.settings()
        async with app.storage(settings) as (_, instances):
            return settings, await terminal.find(instances, instance)

    settings, found = terminal.run(find())
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
    OUT.print(answer["publishId"], highlight=False)


@commands.command("show")
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
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)

            async def progress() -> Progress | None:
                async with database.read() as connection:
                    return await publishes.progress(connection, found.number, PublishId(publish))

            return await (_watch(progress) if watch else progress())

    _show_progress(publish, terminal.run(run()), as_json=as_json)


async def _watch(read: Callable[[], Awaitable[Progress | None]]) -> Progress | None:
    """Show progress as a bar on standard error until it is over; the last there was."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with ProgressBar(*columns, TimeElapsedColumn(), console=ERR) as bar:
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


@commands.command("trace")
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
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            async with database.read() as connection:
                return await trace(
                    connection,
                    found.number,
                    PublishId(publish),
                    device=None if device is None else DeviceId(device),
                    user=None if user is None else UserId(user),
                )

    traces = terminal.run(run())
    if traces is None:
        raise HeliographError(f"there is no publish {publish}")
    if not traces:
        raise HeliographError(f"there is no such device: {device or user}")
    if as_json:
        terminal.print_json([terminal.plain(each) for each in traces])
        return
    for each in traces:
        terminal.show(terminal.plain(each), as_json=False)


@commands.command("cancel")
def cancel_publish(
    publish: Annotated[str, typer.Argument(metavar="ID")],
    *,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Cancel what is left of a publish, and print how far it came."""

    async def run() -> Progress | None:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            return await cancel(database, found.number, PublishId(publish), now=app.now())

    _show_progress(publish, terminal.run(run()), as_json=as_json)


def _show_progress(publish: str, progress: Progress | None, *, as_json: bool) -> None:
    if progress is None:
        raise HeliographError(f"there is no publish {publish}")
    terminal.show(terminal.plain(describe_progress(progress)), as_json=as_json)
