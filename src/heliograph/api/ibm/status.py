"""
How far messages have come, and what became of them (contract §5.7, §8).

The shapes of these answers are not in any source; the words in them are IBM's. What devices say
is counted once for each, however often they say it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm import queries
from heliograph.api.ibm.answers import (
    json_response,
)
from heliograph.api.ibm.door import (
    Door,
    Entry,
)
from heliograph.api.ibm.problems import invalid, not_found
from heliograph.api.ibm.schema import ANONYMOUS, PLATFORM_WORDS
from heliograph.api.insights import first_day
from heliograph.model import DeviceNumber, Gateway, UserId
from heliograph.pipeline.ledger import Fate, Ledger
from heliograph.roster import Roster
from heliograph.storage import insights
from heliograph.storage.database import Database
from heliograph.storage.devices import Device
from heliograph.storage.publishes import Echo, Progress, Publish

MOST_DAYS: Final = 90
_USUAL_DAYS: Final = 1
_MOST_DEVICES: Final = 500


class Status:
    """The handlers, and what they need."""

    def __init__(
        self,
        door: Door,
        roster: Roster,
        ledger: Ledger,
        database: Database,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        """Tell, behind a door, of the messages of a ledger and the devices of a roster."""
        self._door = door
        self._roster = roster
        self._ledger = ledger
        self._database = database
        self._clock = clock

    def entries(self) -> list[Entry]:
        """Every path; they come before those in which anything may be an id."""
        one = "/messages/{message}"
        return [
            ("GET", "/messages/report", self.message_days),
            ("GET", "/devices/report", self.device_days),
            ("GET", one + "/status", self.status),
            ("GET", one + "/deliverystatus", self.delivery_status),
            ("GET", one + "/report", self.message_report),
        ]

    async def status(self, request: Request) -> Response:
        """How far a message has come."""
        instance = await self._door.backend(request)
        found = await self._ledger.find(instance.number, request.path_params["message"])
        if found is None:
            raise not_found("messageId", "messageId")
        return json_response(
            {"messageId": found.request.name, "status": status_word(found.progress)}
        )

    async def message_report(self, request: Request) -> Response:
        """What became of a message, in all and on each push service."""
        instance = await self._door.backend(request)
        found = await self._ledger.find(instance.number, request.path_params["message"])
        if found is None:
            raise not_found("messageId", "messageId")
        return json_response(
            {
                "messageId": found.request.name,
                "status": status_word(found.progress),
                **counts(found.progress),
            }
        )

    async def delivery_status(self, request: Request) -> Response:
        """
        What became of a message on a device, or on those of a user.

        Without either it is told in numbers: there may be a million devices.
        """
        instance = await self._door.backend(request)
        params = request.query_params
        queries.check_known(params, ["deviceId", "userId"])
        message = request.path_params["message"]
        found = await self._ledger.find(instance.number, message)
        if found is None:
            raise not_found("messageId", "messageId")
        answer = {"messageId": message, "status": status_word(found.progress)}
        answer |= counts(found.progress)
        if params.get("deviceId") or params.get("userId"):
            devices = await self._devices(
                instance.number, params.get("deviceId"), params.get("userId")
            )
            told = await self._ledger.fates(
                instance.number, message, [each.number for each in devices]
            )
            if told is None:
                raise not_found("messageId", "messageId")
            publish, fates = told
            answer["devices"] = [_delivery(publish, each, fates[each.number]) for each in devices]
        return json_response(answer)

    async def message_days(self, request: Request) -> Response:
        """What became of the messages of late, by the day, the latest first."""
        instance = await self._door.backend(request)
        since = first_day(self._clock(), _days(request))
        async with self._database.read(long=True) as connection:
            found = await insights.days(connection, instance.number, since=since)
        shown = [
            {
                "date": each.date.isoformat(),
                "messages": each.publishes,
                **_counted(each.gateways, each.failed),
            }
            for each in found
        ]
        return json_response({"reports": shown})

    async def device_days(self, request: Request) -> Response:
        """How many devices have registered of late, by the day and the platform."""
        instance = await self._door.backend(request)
        since = first_day(self._clock(), _days(request))
        async with self._database.read(long=True) as connection:
            found = await insights.registrations(connection, instance.number, since=since)
        shown = [
            {
                "date": day.isoformat(),
                "registered": sum(platforms.values()),
                "platforms": {PLATFORM_WORDS[each]: platforms[each] for each in platforms},
            }
            for day, platforms in found.items()
        ]
        return json_response({"reports": shown})

    async def _devices(
        self, instance: Any, device: str | None, user: str | None
    ) -> Sequence[Device]:
        if device:
            found = await self._roster.find(instance, device)
            if found is None:
                raise not_found("deviceId", "deviceId")
            is_theirs = user in (None, "", found.user or ANONYMOUS)
            return [found] if is_theirs else []
        rows, _ = await self._roster.page(
            instance,
            user=None if user in (None, ANONYMOUS) else UserId(user),
            has_no_user=user == ANONYMOUS,
            wanted=[],
            after=DeviceNumber(0),
            offset=0,
            limit=_MOST_DEVICES,
        )
        return rows


def status_word(progress: Progress) -> str:
    """How far a message has come, in one of IBM's words."""
    if progress.expanded_at is None:
        return "Processing" if progress.targeted else "Accepted"
    if progress.pending:
        return "Dispatching"
    if progress.targeted == 0:
        return "Failed"  # no device was there
    return "Dispatched" if progress.sent else "Dispatching failed"


def counts(progress: Progress) -> dict[str, Any]:
    """How many devices have a message, or will have none."""
    failed = progress.failed + progress.expired + progress.cancelled
    return {"targeted": progress.targeted, **_counted(progress.gateways, failed)}


def _counted(gateways: Mapping[Gateway, Echo], failed: int) -> dict[str, Any]:
    every = gateways.values()
    return {
        "sent": sum(each.sent for each in every),
        "seen": sum(each.delivered for each in every),
        "open": sum(each.opened for each in every),
        "failed": failed,
        "platforms": {
            _SERVICES[gateway]: {"sent": each.sent, "seen": each.delivered, "open": each.opened}
            for gateway, each in gateways.items()
        },
    }


def _delivery(publish: Publish, device: Device, fate: Fate) -> dict[str, Any]:
    status, reason = fate_word(publish, fate)
    shown = {
        "deviceId": device.own_name,
        "userId": device.user or ANONYMOUS,
        "platform": PLATFORM_WORDS[device.platform],
        "status": status,
    }
    return shown if reason is None else shown | {"failureReason": reason}


def fate_word(publish: Publish, fate: Fate) -> tuple[str, str | None]:
    """What became of a message on a device, in one of IBM's words, and why if it failed."""
    if fate.heard is not None:
        return ("OPEN" if fate.heard.opened_at else "SEEN"), None
    last = fate.attempts[-1] if fate.attempts else None
    if fate.waiting is not None or (last is None and publish.expanded_at is None):
        return "PROCESSING", None
    if last is None:
        return "UNKNOWN", None  # it was not addressed
    if last.result == "sent":
        return "SENT", None
    return "FAILED", last.reason or last.result


_SERVICES: Final = {Gateway.APNS: "apns", Gateway.FCM: "gcm", Gateway.WEB: "web"}


def _days(request: Request) -> int:
    queries.check_known(request.query_params, ["days"])
    text = request.query_params.get("days") or str(_USUAL_DAYS)
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_DAYS:
        raise invalid("days", f"it must be a number from 1 to {MOST_DAYS}")
    return int(text)
