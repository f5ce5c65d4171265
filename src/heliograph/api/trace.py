"""
The trace: what became of one publish on one device, and why.

``trace`` reads in one view of the database, so that it is right while the publish runs;
the rest is pure: what was read goes in, an answer's words come out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceId, InstanceNumber, PublishId, UserId
from heliograph.storage import devices, outcomes, publishes, work
from heliograph.storage.devices import Known
from heliograph.storage.outcomes import Attempt
from heliograph.storage.publishes import Publish
from heliograph.storage.work import Waiting


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a delivery so far."""

    decision: str
    why: str | None = None
    """A gateway's word, or one of ours; None if it needs none."""
    next_attempt_at: datetime | None = None
    """When it is due; None if it is over, or under way now."""


async def trace(
    connection: AsyncConnection,
    instance: InstanceNumber,
    identity: PublishId,
    *,
    device: DeviceId | None = None,
    user: UserId | None = None,
) -> Sequence[dict[str, Any]] | None:
    """
    What became of a publish on one device, or on every device of a user.

    Returns:
        One description for each device that there is; None if there is no such publish.
    """
    number = await publishes.find_id(connection, instance, identity)
    publish = None if number is None else await publishes.find(connection, number)
    if publish is None:
        return None
    known = await devices.known(connection, instance, device=device, user=user)
    waiting = await work.waiting(connection, publish.number, [each.number for each in known])
    return [
        describe(
            publish,
            each,
            await outcomes.of_device(connection, publish.number, each.number),
            waiting.get(each.number),
        )
        for each in known
    ]


def describe(
    publish: Publish, device: Known, attempts: Sequence[Attempt], waiting: Waiting | None
) -> dict[str, Any]:
    """One delivery, as the API tells it."""
    decided = decide(publish, device, attempts, waiting)
    return {
        "device_id": device.id,
        "gateway": device.gateway,
        "pruned_at": device.pruned_at,
        "prune_reason": device.prune_reason,
        "decision": decided.decision,
        "why": decided.why,
        "next_attempt_at": decided.next_attempt_at,
        "attempts": [
            {
                "attempt": each.attempt,
                "at": each.at,
                "status": each.status,
                "latency_ms": each.latency_ms,
                "result": each.result,
                "reason": each.reason,
            }
            for each in attempts
        ],
    }


def decide(
    publish: Publish, device: Known, attempts: Sequence[Attempt], waiting: Waiting | None
) -> Decision:
    """
    What was decided about a delivery, from what is left of it.

    Args:
        publish: Which publish.
        device: To which device.
        attempts: Those that were made, in order.
        waiting: The work that it is part of; None if nothing is left to do for it.
    """
    last = attempts[-1] if attempts else None
    if waiting is not None:
        why = None if last is None else last.reason
        return (
            Decision("in hand", why)
            if waiting.is_in_hand
            else Decision("waiting", why, waiting.due_at)
        )
    if last is not None:
        return Decision(last.result, last.reason)
    if device.gateway not in publish.messages.gateways():
        return Decision("not targeted", "NoMessageForGateway")
    if publish.expanded_at is None:
        return Decision("not decided", "StillExpanding")
    return Decision("not targeted", _why_not_targeted(device, publish, publish.expanded_at))


def _why_not_targeted(device: Known, publish: Publish, expanded_at: datetime) -> str:
    if device.pruned_at is not None and device.pruned_at <= expanded_at:
        return "Pruned"
    if device.created_at > expanded_at:
        return "RegisteredLater"
    if publish.cancelled_at is not None and publish.cancelled_at <= expanded_at:
        return "PublishCancelled"
    return "NotAddressed"
