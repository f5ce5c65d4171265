"""``heliograph webhook``: who is told of what comes of publishes, and how that went."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from heliograph import app
from heliograph.api.webhooks import describe_call, describe_webhook, dialect_of, subjects_of
from heliograph.cli import terminal
from heliograph.cli.terminal import OUT, AsJson, InstanceOption
from heliograph.errors import HeliographError
from heliograph.instances import Instance
from heliograph.notices import CallId, Webhook
from heliograph.storage import calls
from heliograph.storage.calls import State
from heliograph.storage.database import Database
from heliograph.webhooks import Webhooks

commands = typer.Typer(
    no_args_is_help=True, help="Webhooks: who is told of what comes of publishes."
)

WebhookArgument = Annotated[str, typer.Argument(metavar="ID")]


@commands.command("create")
def create_webhook(
    url: str,
    *,
    event: Annotated[
        list[str] | None, typer.Option(help="Of what; may be repeated. Default: everything.")
    ] = None,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a webhook, and print the secret that its calls are signed with, this once."""

    async def run() -> Webhook:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            dialect = dialect_of(app.DIALECTS, event)
            return await app.webhooks_of(database, instances).create(
                found, dialect.name, url, subjects=subjects_of(dialect, event)
            )

    made = terminal.run(run())
    terminal.show(_described(made) | {"secret": made.secret}, as_json=as_json)


@commands.command("list")
def list_webhooks(*, instance: InstanceOption = None, as_json: AsJson = False) -> None:
    """Print the webhooks of an instance; never their secrets."""

    async def run() -> Sequence[Webhook]:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            return await app.webhooks_of(database, instances).of_instance(found)

    rows = [_described(each) for each in terminal.run(run())]
    terminal.show_rows(rows, as_json=as_json, empty="There is no webhook yet.")


@commands.command("delete")
def delete_webhook(webhook: WebhookArgument, *, instance: InstanceOption = None) -> None:
    """Delete a webhook; what it was still to be told, it is not."""

    async def run() -> None:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            webhooks = app.webhooks_of(database, instances)
            await webhooks.remove(await _find(webhooks, found, webhook))

    terminal.run(run())
    OUT.print("Deleted.")


@commands.command("calls")
def list_calls(
    *,
    webhook: Annotated[str | None, typer.Option(help="Only those of this webhook.")] = None,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Print calls, the latest first: what was told, and how the last attempt went."""

    async def run() -> list[dict[str, Any]]:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            webhooks = app.webhooks_of(database, instances)
            every = {each.number: each for each in await webhooks.of_instance(found)}
            one = None if webhook is None else (await _find(webhooks, found, webhook)).number
            async with database.read(long=True) as connection:
                page = await calls.page(
                    connection, found.number, webhook=one, state=state, limit=limit
                )
                tries = await calls.attempts(connection, [each.number for each in page])
            return [
                describe_call(
                    each,
                    tries[each.number],
                    None if each.webhook is None else every.get(each.webhook),
                    app.DIALECTS,
                )
                for each in page
            ]

    found = terminal.run(run())
    rows = terminal.plain(found) if as_json else [_in_a_row(each) for each in found]
    terminal.show_rows(rows, as_json=as_json, empty="There is no such call.")


@commands.command("resend")
def resend_calls(
    call: Annotated[str | None, typer.Argument(metavar="[CALL]")] = None,
    *,
    webhook: Annotated[
        str | None, typer.Option(help="Every dead call of this webhook instead of one call.")
    ] = None,
    instance: InstanceOption = None,
) -> None:
    """Make a call again that is over, or every dead call of a webhook."""
    if (call is None) == (webhook is None):
        raise typer.BadParameter("give a call or --webhook, and not both")

    async def run() -> int:
        async with app.storage(terminal.settings()) as (database, instances):
            found = await terminal.find(instances, instance)
            if call is not None:
                return await _resend_one(database, found, CallId(call))
            webhooks = app.webhooks_of(database, instances)
            dead = webhooks.resend_dead(await _find(webhooks, found, str(webhook)))
            return sum([len(made) async for made in dead])

    OUT.print(f"Calls to be made again: {terminal.run(run())}.", highlight=False)


async def _resend_one(database: Database, instance: Instance, call: CallId) -> int:
    async with database.write() as connection:
        if await calls.find_id(connection, instance.number, call) is None:
            raise HeliographError(f"there is no call {call}")
        return len(await calls.resend(connection, instance.number, call, now=app.now()))


async def _find(webhooks: Webhooks, instance: Instance, webhook: str) -> Webhook:
    found = await webhooks.find(instance, webhook)
    if found is None:
        raise HeliographError(f"there is no webhook {webhook}")
    return found


def _described(webhook: Webhook) -> dict[str, Any]:
    shown = describe_webhook(webhook, app.DIALECTS)
    return {
        "id": shown["id"],
        "url": shown["url"],
        "events": ", ".join(shown["events"]),
        "created_at": webhook.created_at.isoformat(timespec="seconds"),
    }


def _in_a_row(call: dict[str, Any]) -> dict[str, Any]:
    last = call["attempts"][-1] if call["attempts"] else {}
    return {
        "call": call["id"],
        "event": call["event"],
        "publish": call["publish_id"],
        "made_at": call["made_at"].isoformat(timespec="seconds"),
        "state": call["state"],
        "attempts": len(call["attempts"]),
        "last": last.get("status") or last.get("problem") or "",
    }
