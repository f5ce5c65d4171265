"""What a settled batch tells operators: counts, and a log line where somebody has to act."""

from collections import Counter
from collections.abc import Iterable, Mapping

from heliograph.gateways import apns
from heliograph.gateways.contract import Outcome, Refused, Rejected
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import DeviceNumber, Gateway, PauseKind
from heliograph.pipeline import pruning
from heliograph.pipeline.alike import different
from heliograph.pipeline.lanes import Change, Stop
from heliograph.pipeline.settle import Settlement
from heliograph.storage.lanes import Paused
from heliograph.storage.publishes import Publish
from heliograph.storage.work import Batch


def report(
    metrics: Metrics,
    batch: Batch,
    publish: Publish,
    settlement: Settlement,
    outcomes: Mapping[DeviceNumber, Outcome],
    change: Change | None,
) -> None:
    """Tell what came of a batch, and of its lane."""
    for end, count in settlement.ends.items():
        metrics.deliveries.labels(batch.gateway, end).inc(count)
    for kind, count in Counter(map(type, outcomes.values())).items():
        metrics.attempts.labels(batch.gateway, kind.__name__.lower()).inc(count)
    pruning.report(batch, settlement.pruning, metrics)
    kinds = different(outcomes.values()).values()
    if not isinstance(change, Stop):
        _report_refused(batch, kinds)
    rejected = {each.reason for each in kinds if isinstance(each, Rejected)}
    for reason in sorted(rejected & apns.OUR_FAULTS):
        log().error(Event.REQUEST_MALFORMED, gateway=batch.gateway, reason=reason)
    _report_lane(batch, settlement, change)
    log().debug(
        Event.BATCH_SETTLED,
        publish=publish.id,
        gateway=batch.gateway,
        attempt=batch.attempt,
        again=settlement.again,
        ends=dict(settlement.ends),
    )


def report_lanes(metrics: Metrics, paused: Iterable[Paused]) -> None:
    """Tell which lanes are paused: all that there are, whoever has paused them."""
    counts = Counter((each.lane.gateway, each.kind) for each in paused)
    for gateway in Gateway:
        for kind in PauseKind:
            metrics.lanes_paused.labels(gateway, kind).set(counts[gateway, kind])


def _report_refused(batch: Batch, outcomes: Iterable[Outcome]) -> None:
    """Tell of refusals that do not concern the whole lane."""
    refused = {each.reason for each in outcomes if isinstance(each, Refused)}
    for reason in sorted(refused):
        log().error(
            Event.CREDENTIALS_REFUSED,
            instance_number=batch.instance,
            gateway=batch.gateway,
            reason=reason,
        )


def _report_lane(batch: Batch, settlement: Settlement, change: Change | None) -> None:
    names = {
        "instance_number": batch.instance,
        "gateway": batch.gateway,
        "environment": batch.environment,
    }
    if settlement.lane == "paused" and isinstance(change, Stop):
        log().error(Event.LANE_PAUSED, kind=change.kind, reason=change.reason, **names)
    if settlement.lane == "resumed":
        log().info(Event.LANE_RESUMED, **names)
