"""``heliograph insights``: what became of publishes, and who is reached."""

from typing import Annotated, Any

import typer

from heliograph import app
from heliograph.api.insights import (
    DAYS,
    MOST_DAYS,
    describe_insights,
    describe_summary,
    first_day,
)
from heliograph.cli import terminal
from heliograph.cli.terminal import OUT, AsJson, InstanceOption
from heliograph.storage import insights

commands = typer.Typer()


@commands.command("insights")
def show_insights(
    *,
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="So many days back.")] = DAYS,
    by_publish: Annotated[
        bool, typer.Option("--by-publish", help="The latest publishes instead of days.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Publishes at most.")] = 20,
    instance: InstanceOption = None,
    as_json: AsJson = False,
) -> None:
    """Print what was sent, delivered and opened, by day or by publish, and who is reached."""
    found = terminal.run(_publishes(instance, limit) if by_publish else _days(instance, days))
    if as_json:
        terminal.print_json(terminal.plain(found))
        return
    if not by_publish:
        devices = found["active_devices"]
        by_gateway = ", ".join(f"{devices[name]} {name}" for name in devices if name != "all")
        OUT.print(f"Devices  {devices['all']} ({by_gateway})", highlight=False)
        OUT.print(f"People   {found['active_users']}\n", highlight=False)
    rows = [_row(each) for each in found["publishes" if by_publish else "days"]]
    terminal.show_rows(rows, as_json=False, empty="Nothing was published.")


async def _days(instance: str | None, days: int) -> dict[str, Any]:
    async with app.storage(terminal.settings()) as (database, instances):
        found = await terminal.find(instances, instance)
        async with database.read(long=True) as connection:
            reach = await insights.reach(connection, found.number)
            since = first_day(app.now(), days)
            return describe_insights(
                reach, await insights.days(connection, found.number, since=since)
            )


async def _publishes(instance: str | None, limit: int) -> dict[str, Any]:
    async with app.storage(terminal.settings()) as (database, instances):
        found = await terminal.find(instances, instance)
        async with database.read(long=True) as connection:
            latest = await insights.latest(connection, found.number, limit=limit)
        return {"publishes": [describe_summary(each) for each in latest]}


def _row(found: dict[str, Any]) -> dict[str, Any]:
    """One day or publish: all in all, and what was sent through each gateway."""
    name = "date" if "date" in found else "publish_id"
    gateways = found["gateways"]
    return {
        name: found[name],
        "targeted": found["targeted"],
        "sent": found["sent"],
        "delivered": found["delivered"],
        "opened": found["opened"],
        "failed": found["failed"],
        "through": ", ".join(
            f"{each} {counts['sent']}/{counts['delivered']}/{counts['opened']}"
            for each, counts in gateways.items()
        ),
    }
