"""
Insights: what became of publishes, by publish and by day, and who is reached.

*Sent* is what gateways took, *delivered* what devices say they have, *opened* what people
did. Not every device can say so; a rate is of those that were sent.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.problems import json_response
from heliograph.api.questions import PAGE, Entry, instance_of, number
from heliograph.instances import Instances
from heliograph.model import Gateway, PublishNumber
from heliograph.storage import insights
from heliograph.storage.database import Database
from heliograph.storage.insights import Day, PublishSummary, Reach
from heliograph.storage.publishes import Echo

DAYS: Final = 30
MOST_DAYS: Final = 366


class InsightAdmin:
    """The handlers, and what they need."""

    def __init__(
        self, database: Database, instances: Instances, *, clock: Callable[[], datetime]
    ) -> None:
        """Answer from a database."""
        self._database = database
        self._instances = instances
        self._clock = clock

    def table(self, one: str) -> list[Entry]:
        """Every path, below that of one instance."""
        return [
            ("GET", one + "/insights", self.show),
            ("GET", one + "/publishes", self.list_publishes),
        ]

    async def show(self, request: Request) -> Response:
        """Who is reached now, and the days of late that have publishes."""
        instance = await instance_of(request, self._instances)
        days = number(request.query_params.get("days"), "days", default=DAYS, most=MOST_DAYS)
        async with self._database.read(long=True) as connection:
            reach = await insights.reach(connection, instance.number)
            found = await insights.days(
                connection, instance.number, since=first_day(self._clock(), days)
            )
        return json_response(describe_insights(reach, found))

    async def list_publishes(self, request: Request) -> Response:
        """A page of publishes, the latest first, and what became of each."""
        instance = await instance_of(request, self._instances)
        query = request.query_params
        limit = number(query.get("limit"), "limit", default=PAGE, most=PAGE)
        before = number(query.get("cursor"), "cursor", default=2**63 - 1, most=2**63 - 1)
        async with self._database.read(long=True) as connection:
            found = await insights.latest(
                connection, instance.number, before=PublishNumber(before), limit=limit + 1
            )
        answer: dict[str, Any] = {"publishes": [describe_summary(each) for each in found[:limit]]}
        if len(found) > limit:
            answer["next_cursor"] = str(found[limit - 1].number)
        return json_response(answer)


def first_day(now: datetime, days: int) -> date:
    """The first of so many days, of which today, in UTC, is the last."""
    return (now - timedelta(days=days - 1)).date()


def describe_insights(reach: Reach, days: Sequence[Day]) -> dict[str, Any]:
    """Who is reached and what became of what was sent, for the API and the command line."""
    return {
        "active_devices": {
            **{str(gateway): reach.devices.get(gateway, 0) for gateway in Gateway},
            "all": sum(reach.devices.values()),
        },
        "active_users": reach.users,
        "days": [
            {
                "date": each.date.isoformat(),
                "publishes": each.publishes,
                "targeted": each.targeted,
                "failed": each.failed,
                **describe_echoes(each.gateways, with_sent=True),
            }
            for each in days
        ],
    }


def describe_summary(summary: PublishSummary) -> dict[str, Any]:
    """One publish of many, for the API and the command line."""
    return {
        "publish_id": summary.id,
        "accepted_at": summary.accepted_at,
        "targeted": summary.targeted,
        "failed": summary.failed,
        **describe_echoes(summary.gateways, with_sent=True),
    }


def describe_echoes(gateways: Mapping[Gateway, Echo], *, with_sent: bool = False) -> dict[str, Any]:
    """What devices said, in all and through each gateway."""
    every = gateways.values()
    sent = {"sent": sum(each.sent for each in every)} if with_sent else {}
    return {
        **sent,
        "delivered": sum(each.delivered for each in every),
        "opened": sum(each.opened for each in every),
        "gateways": {
            str(gateway): {
                "sent": each.sent,
                "delivered": each.delivered,
                "opened": each.opened,
            }
            for gateway, each in gateways.items()
        },
    }
