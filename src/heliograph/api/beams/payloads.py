"""
A Beams publish in each gateway's form, with what Beams' SDKs expect to find (contract §3).

Pure. Every payload is given ``pusher`` metadata, without which the web SDK ignores a
message and the others do not report it. What a payload may hold is checked here, in
Beams' words; what a gateway cannot take is refused before anything is accepted.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.beams import legacy_fcm
from heliograph.api.beams.checks import Check, a, an_integer, check_members, one_of, unprocessable
from heliograph.gateways import apns, fcm, webpush
from heliograph.model import (
    ApnsMessage,
    Gateway,
    InstanceId,
    Messages,
    PublishId,
    WebMessage,
)

FOUR_WEEKS: Final = 2_419_200
FAR_FUTURE: Final = 2**31 - 1

_APNS: Final[dict[str, Check]] = {
    "aps": a(dict),
    "data": a(dict),
    "collapse_id": a(str),
    "expiration": an_integer(least=0, most=FAR_FUTURE),
    "priority": one_of(5, 10),
    "pusher": a(dict),
}
_APNS_PUSHER: Final[dict[str, Check]] = {"disable_delivery_tracking": a(bool)}
_APPLES_KEYS: Final = (
    "alert",
    "badge",
    "sound",
    "content-available",
    "mutable-content",
    "category",
    "thread-id",
    "target-content-id",
    "interruption-level",
    "relevance-score",
    "filter-criteria",
)
"""What ``aps`` may hold for a notification (Apple, "Generating a remote notification")."""

_WEB: Final[dict[str, Check]] = {
    "notification": a(dict),
    "data": a(dict),
    "time_to_live": an_integer(least=0, most=FOUR_WEEKS),
}
_WEB_NOTIFICATION: Final[dict[str, Check]] = {
    "title": a(str),
    "body": a(str),
    "icon": a(str),
    "deep_link": a(str),
    "hide_notification_if_site_has_focus": a(bool),
}


def build(
    payloads: Mapping[Gateway, Mapping[str, Any]], *, instance: InstanceId, publish: PublishId
) -> Messages:
    """
    Every gateway's message.

    Raises:
        Problem: 422; some member is not as it should be, or more than a gateway takes.
    """
    ids = {"instanceId": str(instance), "publishId": str(publish)}
    messages = Messages(
        apns=_apns(payloads[Gateway.APNS], ids) if Gateway.APNS in payloads else None,
        fcm=legacy_fcm.message(payloads[Gateway.FCM], ids) if Gateway.FCM in payloads else None,
        web=_web(payloads[Gateway.WEB], ids) if Gateway.WEB in payloads else None,
    )
    for gateway, problems in (
        ("apns", apns.problems(messages.apns) if messages.apns else []),
        ("fcm", fcm.problems(messages.fcm) if messages.fcm else []),
        ("web", webpush.problems(messages.web) if messages.web else []),
    ):
        if problems:
            raise unprocessable(gateway, "; ".join(problems))
    return messages


def _apns(body: Mapping[str, Any], ids: Mapping[str, str]) -> ApnsMessage:
    check_members("apns", dict(body), _APNS)
    options = body.get("pusher", {})
    check_members("apns.pusher", options, _APNS_PUSHER)
    aps = _aps(body)
    wants_processing = aps.get("content-available") == 1
    if not options.get("disable_delivery_tracking", False):
        aps["content-available"] = 1  # wakes the app, whose SDK then reports the delivery
    pusher: dict[str, Any] = dict(ids)
    if not wants_processing:
        pusher["userShouldIgnore"] = True  # we woke the app; its author did not ask for it
    is_visible = any(aps.get(name) is not None for name in ("alert", "badge", "sound"))
    expiration = body.get("expiration")
    return ApnsMessage(
        payload=msgspec.json.encode(
            {"aps": aps, "data": {**body.get("data", {}), "pusher": pusher}}
        ),
        push_type="alert" if is_visible else "background",
        priority=int(body.get("priority", 10)) if is_visible else 5,
        collapse_id=body.get("collapse_id"),
        expiration=None if expiration is None else int(expiration),
    )


def _aps(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    The ``aps`` object; without one, Apple's keys that stand beside it.

    A sample on Beams' page of payloads writes ``alert`` so, and means it to be shown.
    """
    if "aps" in body:
        return dict(body["aps"])
    return {name: body[name] for name in _APPLES_KEYS if name in body}


def _web(body: Mapping[str, Any], ids: Mapping[str, str]) -> WebMessage:
    check_members("web", dict(body), _WEB)
    notification = body.get("notification")
    data = body.get("data", {})
    if notification is not None:
        check_members("web.notification", notification, _WEB_NOTIFICATION)
    if "pusher" in data:
        raise unprocessable("web.data", "Additional property pusher is not allowed")
    pusher = {
        **ids,
        "hasDisplayableContent": notification is not None,
        "hasData": bool(data),
    }
    # Beams' worker reads notification.title whatever came; an empty object is safe.
    payload = {"notification": notification or {}, "data": {**data, "pusher": pusher}}
    return WebMessage(
        payload=msgspec.json.encode(payload),
        ttl_seconds=int(body.get("time_to_live", FOUR_WEEKS)),
    )
