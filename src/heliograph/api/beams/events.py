"""
Beams' webhooks: what its customers' servers are told, to the letter (contract §8).

Pure. Three events for webhooks of an instance, signed with HMAC-SHA1, and the older hook
that a publish to interests or users can name itself (``webhookUrl``), unsigned.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.notices import (
    Count,
    Delivered,
    Ended,
    Facts,
    Letter,
    Notice,
    Opened,
    OwnHook,
    Started,
    Subject,
    Webhook,
    subject_of,
)
from heliograph.wire.signatures import sha1_hex

NAME: Final = "beams"

EVENTS: Final = {
    "v1.PublishToUsersAttempt": Subject.ENDED,
    "v1.UserNotificationAcknowledgement": Subject.DELIVERED,
    "v1.UserNotificationOpen": Subject.OPENED,
}

_NAMES: Final = {subject: name for name, subject in EVENTS.items()}
_COMMON: Final = (("user-agent", "pusher-webhooks"), ("content-type", "application/json"))


class BeamsEvents:
    """Notices in Beams' words."""

    name: str = NAME
    events: Mapping[str, Subject] = EVENTS

    def to_webhook(self, notice: Notice, facts: Facts, webhook: Webhook) -> Letter:
        """One of the three events, with the signature that Beams' customers check."""
        event = _NAMES[subject_of(notice)]
        body = msgspec.json.encode(
            {
                "payload": {
                    "instance_id": facts.instance,
                    "publish_id": facts.publish,
                    **_payload(notice),
                },
                "metadata": {
                    "created_at": f"{facts.made_at:%Y-%m-%dT%H:%M:%S%z}",
                    "event_type": event,
                    "event_id": facts.event,
                    "product": "beams",
                },
                "custom_data": webhook.custom_data,
            }
        )
        headers = (
            *_COMMON,
            ("webhook-event-type", event),
            ("webhook-id-uuid", webhook.id),
            ("webhook-request-id-uuid", facts.call),
            ("webhook-signature", sha1_hex(webhook.secret, body)),
        )
        return Letter(headers, body)

    def to_own_hook(self, notice: Notice, facts: Facts, hook: OwnHook) -> Letter:
        """That a publish has begun, or how it went through each gateway."""
        body: dict[str, Any] = {
            "publishId": facts.publish,
            "status": "STARTED" if isinstance(notice, Started) else "FINISHED",
            "requestBody": msgspec.Raw(hook.request),
        }
        if isinstance(notice, Ended):
            body["results"] = {
                str(gateway): _result(count) for gateway, count in notice.gateways.items()
            }
        return Letter(_COMMON, msgspec.json.encode(body))


def _payload(notice: Notice) -> dict[str, Any]:
    match notice:
        case Ended(reached=reached, without_devices=without, failed=failed):
            return {
                "users_delivered_to_gateway": reached,
                "users_no_devices": without,
                "users_gateway_failed": failed,
            }
        case Delivered(user=user) | Opened(user=user):
            return {"user_id": user}
        case _:
            return {}


def _result(count: Count) -> dict[str, Any]:
    """Beams leaves out a zero, and says ``failed`` where nothing at all could be sent."""
    if not count.sent and count.failed:
        return {"failed": True}
    failures = {"numFailedPublishes": count.failed} if count.failed else {}
    return {"numSuccessfulPublishes": count.sent} | failures
