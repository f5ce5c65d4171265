"""
A Beams publish in each gateway's form, with what Beams' SDKs expect to find (contract §3).

Pure. Every payload is given ``pusher`` metadata, without which the web SDK ignores a
message and the others do not report it. What a payload may hold is checked here, in
Beams' words; what a gateway cannot take is refused before anything is accepted.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.beams.checks import Check, a, an_integer, check_members, one_of, unprocessable
from heliograph.gateways import apns, fcm, webpush
from heliograph.model import (
    ApnsMessage,
    FcmMessage,
    Gateway,
    InstanceId,
    Messages,
    PublishId,
    WebMessage,
)

OPEN_TRACKING: Final = "com.pusher.pushnotifications.OPEN_TRACKING"
"""The Android SDK's activity that reports an opening and then does what was asked."""

_FOUR_WEEKS: Final = 2_419_200
_FAR_FUTURE: Final = 2**31 - 1

_APNS: Final[dict[str, Check]] = {
    "aps": a(dict),
    "data": a(dict),
    "collapse_id": a(str),
    "expiration": an_integer(least=0, most=_FAR_FUTURE),
    "priority": one_of(5, 10),
    "pusher": a(dict),
}
_FCM: Final[dict[str, Check]] = {
    "notification": a(dict),
    "data": a(dict),
    "time_to_live": an_integer(least=0, most=_FOUR_WEEKS),
    "collapse_key": a(str),
    "priority": one_of("normal", "high"),
}
_WEB: Final[dict[str, Check]] = {
    "notification": a(dict),
    "data": a(dict),
    "time_to_live": an_integer(least=0, most=_FOUR_WEEKS),
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
        fcm=_fcm(payloads[Gateway.FCM], ids) if Gateway.FCM in payloads else None,
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
    aps = dict(body.get("aps", {}))
    wants_processing = aps.get("content-available") == 1
    if body.get("pusher", {}).get("disable_delivery_tracking") is not True:
        aps["content-available"] = 1  # wakes the app, whose SDK then reports the delivery
    pusher: dict[str, Any] = dict(ids)
    if not wants_processing:
        pusher["userShouldIgnore"] = True  # we woke the app; its author did not ask for it
    is_visible = any(name in aps for name in ("alert", "badge", "sound"))
    return ApnsMessage(
        payload=msgspec.json.encode(
            {"aps": aps, "data": {**body.get("data", {}), "pusher": pusher}}
        ),
        push_type="alert" if is_visible else "background",
        priority=body.get("priority", 10) if is_visible else 5,
        collapse_id=body.get("collapse_id"),
        expiration=body.get("expiration"),
    )


_RENAMED: Final = {"android_channel_id": "channel_id"}
_SAME_NAME: Final = (
    "title",
    "body",
    "icon",
    "sound",
    "tag",
    "color",
    "image",
    "body_loc_key",
    "body_loc_args",
    "title_loc_key",
    "title_loc_args",
)
_FCM_NOTIFICATION: Final[dict[str, Check]] = {
    name: a(str) for name in (*_RENAMED, *_SAME_NAME, "click_action")
} | {"body_loc_args": a(list), "title_loc_args": a(list)}


def _fcm(body: Mapping[str, Any], ids: Mapping[str, str]) -> FcmMessage:
    """Legacy FCM, which Beams' customers write, as FCM v1, which Google still takes."""
    check_members("fcm", dict(body), _FCM)
    notification = body.get("notification")
    data = body.get("data", {})
    pusher: dict[str, Any] = dict(ids)
    android: dict[str, Any] = {}
    if notification is not None:
        check_members("fcm.notification", notification, _FCM_NOTIFICATION)
        if "click_action" in notification:
            pusher["clickAction"] = notification["click_action"]
        android["notification"] = _android_notification(notification)
    pusher |= {"hasDisplayableContent": notification is not None, "hasData": bool(data)}
    if "collapse_key" in body:
        android["collapse_key"] = body["collapse_key"]
    if "priority" in body:
        android["priority"] = body["priority"].upper()
    if "time_to_live" in body:
        android["ttl"] = f"{body['time_to_live']}s"
    strings = {name: _as_string(value) for name, value in data.items()}
    message = {"data": strings | {"pusher": _as_string(pusher)}}
    return FcmMessage(
        message=msgspec.json.encode(message | ({"android": android} if android else {})),
        ttl_seconds=body.get("time_to_live"),
    )


def _android_notification(notification: Mapping[str, Any]) -> dict[str, Any]:
    translated = {name: notification[name] for name in _SAME_NAME if name in notification}
    for legacy, name in _RENAMED.items():
        if legacy in notification:
            translated[name] = notification[legacy]
    for name in ("body_loc_args", "title_loc_args"):
        if name in translated:
            translated[name] = [_as_string(argument) for argument in translated[name]]
    return translated | {"click_action": OPEN_TRACKING}


def _as_string(value: object) -> str:
    """FCM v1 takes strings only; what is none becomes its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


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
        payload=msgspec.json.encode(payload), ttl_seconds=body.get("time_to_live", _FOUR_WEEKS)
    )
