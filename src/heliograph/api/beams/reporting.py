"""
Beams' reporting API: what devices say of a publish (contract §7).

Nobody is turned away here: the iOS SDK makes its device anew, and repeats, for as long as it
is answered 404, and repeats for ever what is answered 429 or 5xx. So whatever can be read is
answered 200, whether it could be used or not; only a request that no retry would make
right is 400, which every SDK drops.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from heliograph.api.beams.mounts import FROM_BROWSERS, mount
from heliograph.api.beams.schema import REPORT_BODY_BYTES, bad_request
from heliograph.api.bodies import check_content_type, read_object
from heliograph.api.limits import Rate, address_of
from heliograph.instances import Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import DeviceId, PublishId, UserId
from heliograph.pipeline.acknowledge import Acknowledge, Report
from heliograph.storage.receipts import What

_EVENTS: Final[Mapping[str, What]] = {"delivery": "delivered", "open": "opened"}


class Reporting:
    """The one handler, for both versions of its path."""

    def __init__(
        self,
        instances: Instances,
        acknowledge: Acknowledge,
        rate: Rate,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        """
        Pass on what devices of these instances say.

        Args:
            instances: Whose devices.
            acknowledge: Where it goes.
            rate: How often one network address is listened to.
            metrics: Where to count what was not listened to.
            clock: The time.
        """
        self._instances = instances
        self._acknowledge = acknowledge
        self._rate = rate
        self._metrics = metrics
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The path of today, and that of iOS up to 0.10.5."""
        paths = [f"/v{version}/instances/{{instance}}/events" for version in (2, 1)]
        routes = [Route(path, self.report, methods=["POST"]) for path in paths]
        return [mount("/reporting_api", routes, FROM_BROWSERS)]

    async def report(self, request: Request) -> Response:
        """Hear what a device says."""
        check_content_type(request)
        report = read_report(await read_object(request, most_bytes=REPORT_BODY_BYTES))
        if report is None:
            return Response()
        if not self._rate.allows(address_of(request), now=self._clock()):
            self._metrics.reports.labels(report.what, "limited").inc()
            return Response()
        try:
            await self._hear(request.path_params["instance"], report)
        except Exception as problem:  # noqa: BLE001  (no SDK takes a 5xx for an answer)
            self._metrics.reports.labels(report.what, "lost").inc()
            log().error(Event.REPORT_LOST, problem=type(problem).__name__, exc_info=True)
        return Response()

    async def _hear(self, name: str, report: Report) -> None:
        instance = await self._instances.find(name)
        if instance is None:
            self._metrics.reports.labels(report.what, "unknown").inc()
        else:
            await self._acknowledge.hear(instance, report)


def read_report(body: Mapping[str, Any]) -> Report | None:
    """
    What a device says; None if it does not say which it is, as a worker without state does.

    ``event`` is in whatever case. The rest of what SDKs send is not needed.

    Raises:
        Problem: 400.
    """
    event = _text(body, "event")
    publish = _text(body, "publishId")
    device, user = _text(body, "deviceId"), _text(body, "userId")
    if event is None or publish is None:
        raise bad_request("`event` and `publishId` are required")
    what = _EVENTS.get(event.lower())
    if what is None:
        raise bad_request("`event` must be Delivery or Open")
    if not device:
        return None
    return Report(what, PublishId(publish), DeviceId(device), UserId(user) if user else None)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or "\x00" in value):
        raise bad_request(f"`{name}` must be text")
    return value
