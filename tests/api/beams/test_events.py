"""Beams' webhooks, to the letter (contract §8)."""

import hashlib
import hmac
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from builders import NOW
from heliograph.api.beams.events import BeamsEvents
from heliograph.model import Gateway, InstanceId, PublishId, UserId
from heliograph.notices import (
    CallId,
    Count,
    Delivered,
    Ended,
    Facts,
    Notice,
    Opened,
    OwnHook,
    Started,
    Subject,
    Webhook,
    WebhookId,
    WebhookNumber,
)

FACTS = Facts(InstanceId("I"), PublishId("pubid-1"), CallId("call-1"), "event-1", NOW)
HOOK = Webhook(
    number=WebhookNumber(1),
    id=WebhookId("hook-1"),
    dialect="beams",
    subjects=frozenset(Subject),
    url="https://hooks.example.com/",
    secret="s3cret",
    custom_data={"team": "lighthouse"},
    created_at=NOW,
)
ENDED = Ended(
    reached=(UserId("a"),),
    without_devices=(UserId("b"),),
    failed=(UserId("c"),),
    gateways={Gateway.APNS: Count(2, 0), Gateway.FCM: Count(1, 3), Gateway.WEB: Count(0, 4)},
)


@pytest.mark.parametrize(
    "notice, name, payload",
    [
        (
            ENDED,
            "v1.PublishToUsersAttempt",
            {
                "users_delivered_to_gateway": ["a"],
                "users_no_devices": ["b"],
                "users_gateway_failed": ["c"],
            },
        ),
        (Delivered(UserId("a")), "v1.UserNotificationAcknowledgement", {"user_id": "a"}),
        (Opened(UserId("a")), "v1.UserNotificationOpen", {"user_id": "a"}),
    ],
)
def test_each_event_has_beams_own_form(notice: Notice, name: str, payload: dict[str, Any]) -> None:
    """§8 and exchange 36: headers, members and the signature that customers compare."""
    letter = BeamsEvents().to_webhook(notice, FACTS, HOOK)

    assert {
        "payload": {"instance_id": "I", "publish_id": "pubid-1"} | payload,
        "metadata": {
            "created_at": "2026-01-02T03:04:05+0000",
            "event_type": name,
            "event_id": "event-1",
            "product": "beams",
        },
        "custom_data": {"team": "lighthouse"},
    } == json.loads(letter.body)
    assert {
        "user-agent": "pusher-webhooks",
        "content-type": "application/json",
        "webhook-event-type": name,
        "webhook-id-uuid": "hook-1",
        "webhook-request-id-uuid": "call-1",
        "webhook-signature": hmac.new(b"s3cret", letter.body, hashlib.sha1).hexdigest(),
    } == dict(letter.headers)


def test_the_time_is_written_in_utc() -> None:
    """§8: like 2019-03-11T10:42:16+0000, whatever zone it was noted in."""
    elsewhere = datetime(2019, 3, 11, 10, 42, 16, tzinfo=timezone(timedelta(0)))
    facts = Facts(FACTS.instance, FACTS.publish, FACTS.call, FACTS.event, elsewhere)

    letter = BeamsEvents().to_webhook(Opened(UserId("a")), facts, HOOK)

    assert "2019-03-11T10:42:16+0000" == json.loads(letter.body)["metadata"]["created_at"]


REQUEST = b'{"interests":["a"],"webhookUrl":"https://hooks.example.com/own"}'
OWN = OwnHook("beams", "https://hooks.example.com/own", REQUEST)


def test_a_publishs_own_hook_is_told_that_it_has_begun() -> None:
    """§8: no results yet, nothing signed, and the request is told back."""
    letter = BeamsEvents().to_own_hook(Started(), FACTS, OWN)

    assert {
        "publishId": "pubid-1",
        "status": "STARTED",
        "requestBody": json.loads(REQUEST),
    } == json.loads(letter.body)
    assert {"user-agent", "content-type"} == {name for name, _ in letter.headers}


def test_a_publishs_own_hook_is_told_how_it_went() -> None:
    """§8 and exchange 37: failures are left out when 0, and where all failed it says so."""
    letter = BeamsEvents().to_own_hook(ENDED, FACTS, OWN)

    assert {
        "publishId": "pubid-1",
        "status": "FINISHED",
        "requestBody": json.loads(REQUEST),
        "results": {
            "apns": {"numSuccessfulPublishes": 2},
            "fcm": {"numSuccessfulPublishes": 1, "numFailedPublishes": 3},
            "web": {"failed": True},
        },
    } == json.loads(letter.body)
