"""
Legacy FCM, which Beams' customers write, as FCM v1, which Google still takes.

Pure. The legacy form: https://firebase.google.com/docs/cloud-messaging/http-server-ref.
Each of its fields is translated, or refused, or left out because it is not for Android
or not for the sender to say; the folder's README has the table.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.beams.checks import (
    Check,
    a,
    an_integer,
    check_members,
    one_of,
    unprocessable,
    wrong_type,
)
from heliograph.model import FcmMessage

OPEN_TRACKING: Final = "com.pusher.pushnotifications.OPEN_TRACKING"
"""The Android SDK's activity that reports an opening and then does what was asked."""

_FOUR_WEEKS: Final = 2_419_200


def message(body: Mapping[str, Any], ids: Mapping[str, str]) -> FcmMessage:
    """
    What a publish says to Android devices.

    Args:
        body: The ``fcm`` member of a publish.
        ids: What the SDK must find of the publish (contract §3.2).

    Raises:
        Problem: 422.
    """
    check_members("fcm", dict(body), _FIELDS)
    notification, data = body.get("notification"), body.get("data", {})
    pusher: dict[str, Any] = dict(ids)
    android = _options(body)
    if notification is not None:
        check_members("fcm.notification", notification, _NOTIFICATION)
        if "click_action" in notification:
            pusher["clickAction"] = notification["click_action"]
        android["notification"] = _notification(notification)
    pusher |= {"hasDisplayableContent": notification is not None, "hasData": bool(data)}
    texts = {name: _as_text(value) for name, value in data.items()}
    content = {"data": texts | {"pusher": _as_text(pusher)}}
    ttl = body.get("time_to_live")
    return FcmMessage(
        message=msgspec.json.encode(content | ({"android": android} if android else {})),
        ttl_seconds=None if ttl is None else int(ttl),
    )


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    """How the message is to be carried, as ``AndroidConfig`` has it."""
    android = {name: body[name] for name in _SAME_OPTIONS if name in body}
    if "priority" in body:
        android["priority"] = body["priority"].upper()
    if "time_to_live" in body:
        android["ttl"] = f"{int(body['time_to_live'])}s"
    return android


def _notification(legacy: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown, as ``AndroidNotification`` has it; openings go by way of the SDK."""
    translated = {name: legacy[name] for name in _SAME_NAMES if name in legacy}
    for old, new in _RENAMED.items():
        if old in legacy:
            translated[new] = legacy[old]
    for name in _ARGUMENTS:
        if name in legacy:
            translated[name] = [_as_text(each) for each in _as_list(legacy[name]) or ()]
    return translated | {"click_action": OPEN_TRACKING}


def _as_text(value: object) -> str:
    """FCM v1 takes text only; what is none becomes its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _as_list(value: object) -> list[Any] | None:
    """A list as such or, as the legacy reference has it, as JSON in a text; else None."""
    if isinstance(value, list):
        return value
    try:
        return msgspec.json.decode(str(value), type=list[Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


# --- checks --------------------------------------------------------------------------

_COLOR: Final = re.compile("#[0-9a-fA-F]{6}")
_is_priority: Final = one_of("normal", "high")


def _priority(field: str, value: Any) -> None:
    """In any case: the legacy API did not mind, and v1 writes capitals."""
    _is_priority(field, value.lower() if isinstance(value, str) else value)


def _color(field: str, value: Any) -> None:
    """FCM v1 refuses every delivery with another."""
    a(str)(field, value)
    if _COLOR.fullmatch(value) is None:
        raise unprocessable(field, f"Does not match pattern '^{_COLOR.pattern}$'")


def _arguments(field: str, value: Any) -> None:
    if _as_list(value) is None:
        raise wrong_type(field, list, value)


def _not_dry(field: str, value: Any) -> None:
    a(bool)(field, value)
    if value:  # v1 has it beside the message, and a publish is for many devices
        raise unprocessable(field, "is not supported: the message would be delivered")


_FIELDS: Final[dict[str, Check]] = {
    "notification": a(dict),
    "data": a(dict),
    "time_to_live": an_integer(least=0, most=_FOUR_WEEKS),
    "collapse_key": a(str),
    "priority": _priority,
    "restricted_package_name": a(str),
    "direct_boot_ok": a(bool),
    "dry_run": _not_dry,
}
_SAME_OPTIONS: Final = ("collapse_key", "restricted_package_name", "direct_boot_ok")

_RENAMED: Final = {"android_channel_id": "channel_id"}
_SAME_NAMES: Final = (
    "title",
    "body",
    "icon",
    "sound",
    "tag",
    "color",
    "image",
    "body_loc_key",
    "title_loc_key",
)
_ARGUMENTS: Final = ("body_loc_args", "title_loc_args")
_NOTIFICATION: Final[dict[str, Check]] = (
    (dict.fromkeys((*_RENAMED, *_SAME_NAMES, "click_action"), a(str)))
    | dict.fromkeys(_ARGUMENTS, _arguments)
    | {"color": _color}
)
