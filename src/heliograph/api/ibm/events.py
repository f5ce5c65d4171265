"""
IBM's webhooks: what is told of devices, subscriptions and messages (contract §7). Pure.

Every call is one event, as a JSON object. IBM signed nothing; ours have the signature of
Standard Webhooks besides, as every call here has.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.ibm.names import browser_token, subscription_id
from heliograph.api.ibm.schema import ANONYMOUS, PLATFORM_WORDS
from heliograph.notices import (
    AboutPublish,
    Changed,
    Facts,
    Failed,
    Letter,
    Notice,
    OwnHook,
    Party,
    Progressed,
    Registered,
    Subject,
    Subscribed,
    Unregistered,
    Unsubscribed,
    Webhook,
    subject_of,
)

NAME: Final = "ibm"

EVENTS: Final = {
    "onDeviceRegister": Subject.REGISTERED,
    "onDeviceUpdate": Subject.CHANGED,
    "onDeviceUnregister": Subject.UNREGISTERED,
    "onSubscribe": Subject.SUBSCRIBED,
    "onUnsubscribe": Subject.UNSUBSCRIBED,
    "onNotificationStatusChange": Subject.PROGRESSED,
    "onNotificationFailure": Subject.FAILED,
}

_NAMES: Final = {subject: name for name, subject in EVENTS.items()}
_STATES: Final = {"sent": "SENT", "failed": "FAILED", "delivered": "SEEN", "opened": "OPEN"}
_HEADERS: Final = (("user-agent", "heliograph-webhooks"), ("content-type", "application/json"))
_NUMBER_BYTES: Final = 6


class IbmEvents:
    """Notices in IBM's words."""

    name: str = NAME
    events: Mapping[str, Subject] = EVENTS

    def to_webhook(self, notice: Notice, facts: Facts, webhook: Webhook) -> Letter:
        """One event."""
        del webhook
        body = {
            "type": _NAMES[subject_of(notice)],
            "entity": _entity(notice, facts),
            "applicationId": facts.instance,
            "eventTimeStamp": int(facts.made_at.timestamp() * 1000),
        }
        return Letter(_HEADERS, msgspec.json.encode(body))

    def to_own_hook(self, notice: Notice, facts: Facts, hook: OwnHook) -> Letter:
        """Never asked for: no message of IBM's names a hook of its own."""
        raise AssertionError(f"{facts.publish} has no hook: {subject_of(notice)}, {hook.dialect}")


def _entity(notice: Notice, facts: Facts) -> dict[str, Any]:
    match notice:
        case Registered(device=device) | Unregistered(device=device):
            return _device(device, facts)
        case Changed(device=device):
            whole = _device(device, facts)
            return {name: whole[name] for name in ("deviceId", "userId", "token", "platform")}
        case Subscribed(device=device, interest=tag):
            return _subscription(device, tag, facts)
        case Unsubscribed(device=device, interest=tag):
            return _subscription(device, tag, facts) | {"deviceId": device.name}
        case Progressed(state=state, platform=platform, devices=devices):
            return {
                "deviceIds": devices,
                "platform": PLATFORM_WORDS[platform],
                "msgStatus": _STATES[state],
                "messageId": _message(facts),
            }
        case Failed(reason=reason, platform=platform, devices=devices):
            return {
                "applicationId": facts.instance,
                "deviceIds": devices,
                "platform": PLATFORM_WORDS[platform],
                "msgStatus": "failure",
                "failureReason": reason,
                "messageId": _message(facts),
            }
        case _:
            return _untold(notice)


def _untold(notice: AboutPublish) -> dict[str, Any]:
    raise AssertionError(f"no event of this dialect is about {subject_of(notice)}")


def _device(device: Party, facts: Facts) -> dict[str, Any]:
    return {
        "id": _number(device),
        "deviceId": device.name,
        "applicationId": facts.instance,
        "userId": device.user or ANONYMOUS,
        "token": _token(device),
        "platform": PLATFORM_WORDS[device.platform],
    }


def _subscription(device: Party, tag: str, facts: Facts) -> dict[str, Any]:
    return {
        "device": _device(device, facts),
        "tagName": tag,
        "subscriptionId": subscription_id(device.name, tag),
    }


def _token(device: Party) -> str:
    if device.p256dh is None or device.auth is None:
        return device.token
    return browser_token(device.token, device.p256dh, device.auth)


def _number(device: Party) -> int:
    """A number of the device that is the same in all of its events; it leads to nothing here."""
    return int.from_bytes(hashlib.sha256(device.id.encode()).digest()[:_NUMBER_BYTES])


def _message(facts: Facts) -> str:
    """What a message is called; one that was not sent in these words, by our own id."""
    return facts.name or str(facts.publish or "")
