"""The trace: from what is left of a delivery to what was decided about it, and why."""

from dataclasses import replace
from typing import Any

import pytest

from builders import EVERYTHING, MINUTE, NOW, SECOND, to_users
from heliograph.api.trace import Decision, decide, describe
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    Gateway,
    InstanceNumber,
    Messages,
    PublishId,
    PublishNumber,
)
from heliograph.storage.devices import Known
from heliograph.storage.outcomes import Attempt
from heliograph.storage.publishes import Publish
from heliograph.storage.work import Waiting

PUBLISH = Publish(
    number=PublishNumber(1),
    id=PublishId("pubid-1"),
    instance=InstanceNumber(1),
    target=to_users("alice"),
    messages=EVERYTHING,
    accepted_at=NOW,
    expanded_at=NOW,
    cancelled_at=None,
)
DEVICE = Known(
    number=DeviceNumber(1),
    id=DeviceId("apns-1"),
    gateway=Gateway.APNS,
    created_at=NOW - MINUTE,
    pruned_at=None,
    prune_reason=None,
)
BUSY = Attempt(1, NOW, "again", "ServiceUnavailable")
LATER = NOW + MINUTE


@pytest.mark.parametrize(
    "attempts,waiting,decision",
    [
        ([], Waiting(1, NOW, is_in_hand=False), Decision("waiting", None, NOW)),
        ([], Waiting(1, NOW, is_in_hand=True), Decision("in hand")),
        (
            [BUSY],
            Waiting(2, LATER, is_in_hand=False),
            Decision("waiting", "ServiceUnavailable", LATER),
        ),
        ([BUSY], Waiting(2, LATER, is_in_hand=True), Decision("in hand", "ServiceUnavailable")),
        ([BUSY, Attempt(2, LATER, "sent", None)], None, Decision("sent")),
        ([Attempt(1, NOW, "failed", "BadTopic")], None, Decision("failed", "BadTopic")),
        (
            [BUSY, Attempt(2, LATER, "cancelled", "PublishCancelled")],
            None,
            Decision("cancelled", "PublishCancelled"),
        ),
    ],
)
def test_what_was_done_and_what_waits_decide(
    attempts: list[Attempt], waiting: Waiting | None, decision: Decision
) -> None:
    """Work that is left comes first, with the reason for it; else the last attempt stands."""
    assert decision == decide(PUBLISH, DEVICE, attempts, waiting)


@pytest.mark.parametrize(
    "publish,device,decision,why",
    [
        ({"messages": Messages(fcm=EVERYTHING.fcm)}, {}, "not targeted", "NoMessageForGateway"),
        ({"expanded_at": None}, {}, "not decided", "StillExpanding"),
        ({}, {"pruned_at": NOW - SECOND}, "not targeted", "Pruned"),
        ({}, {"pruned_at": LATER}, "not targeted", "NotAddressed"),
        ({}, {"created_at": LATER}, "not targeted", "RegisteredLater"),
        ({"cancelled_at": NOW}, {}, "not targeted", "PublishCancelled"),
        ({"cancelled_at": LATER}, {}, "not targeted", "NotAddressed"),
        ({}, {}, "not targeted", "NotAddressed"),
    ],
)
def test_a_device_that_was_left_out_is_told_why(
    publish: dict[str, Any], device: dict[str, Any], decision: str, why: str
) -> None:
    """Without a trace of a delivery, the publish and the device tell the reason."""
    decided = decide(replace(PUBLISH, **publish), replace(DEVICE, **device), [], None)

    assert Decision(decision, why) == decided


def test_a_delivery_is_described_whole() -> None:
    """The device, the prune, the decision and every attempt with its time and reason."""
    pruned = replace(DEVICE, pruned_at=LATER, prune_reason="Unregistered")
    attempts = [BUSY, Attempt(2, LATER, "failed", "Unregistered", 410, 12)]

    assert {
        "device_id": "apns-1",
        "gateway": "apns",
        "pruned_at": LATER,
        "prune_reason": "Unregistered",
        "decision": "failed",
        "why": "Unregistered",
        "next_attempt_at": None,
        "attempts": [
            {
                "attempt": 1,
                "at": NOW,
                "status": None,
                "latency_ms": None,
                "result": "again",
                "reason": "ServiceUnavailable",
            },
            {
                "attempt": 2,
                "at": LATER,
                "status": 410,
                "latency_ms": 12,
                "result": "failed",
                "reason": "Unregistered",
            },
        ],
    } == describe(PUBLISH, pruned, attempts, None)
