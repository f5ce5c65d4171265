"""
What an SDK makes of a notification that arrives: its verdict, and what it reports. Pure.

The rules are those of the official SDKs (contract §3.1 to §3.3 and §7), each of which
finds what the server added to the payload at another place, and reports other fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from heliograph.client.state import Platform, State

Payload = Mapping[str, Any]


class AppState(StrEnum):
    """Where the app is when a notification arrives, in iOS's words."""

    ACTIVE = "active"
    """In front; of a site: it is visible, and has the focus."""
    BACKGROUND = "background"
    INACTIVE = "inactive"
    """About to come to the front, because somebody opened the notification."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a notification."""

    should_process: bool
    """
    Whether the app is to act on it. iOS: ShouldProcess rather than ShouldIgnore. Android:
    whether its messaging service hears of it. Web: whether it is a notification of ours.
    """
    event: Mapping[str, object] | None = None
    """What is reported; None: nothing is."""
    shown: Mapping[str, object] | None = None
    """What the SDK itself shows (web); None: nothing. iOS and Android show by themselves."""
    opens: str | None = None
    """
    What opening it leads to: a click action (Android), a deep link (web). None: the app,
    or nothing.
    """


def handle(
    platform: Platform, payload: Payload, app_state: AppState, state: State, *, seconds: int
) -> Handled:
    """
    Say what an SDK does with a payload.

    Args:
        platform: Whose SDK.
        payload: APNs: the dictionary that the app is given. FCM: the message, with
            ``data`` and ``notification``. Web: the decrypted JSON.
        app_state: ``INACTIVE`` if somebody opened it.
        state: The device; what is of another instance is not reported.
        seconds: Since 1970.
    """
    match platform:
        case "apns":
            return _on_ios(payload, app_state, state, seconds)
        case "fcm":
            return _on_android(payload, app_state, state, seconds)
        case "web":
            return _in_a_browser(payload, app_state, state, seconds)
        case _:
            assert_never(platform)


def _on_ios(payload: Payload, app_state: AppState, state: State, seconds: int) -> Handled:
    data = _mapping(payload.get("data"))
    pusher = _mapping(data.get("pusher"))
    event = _basic_event(pusher, state, "Delivery", seconds)
    if event is None:  # then the SDK looks no further
        return Handled(should_process=True)
    has_data = len(data) > 1
    if app_state is AppState.INACTIVE:
        event["event"] = "Open"
    else:
        event |= _circumstances(
            app_state,
            has_displayable_content="alert" in _mapping(payload.get("aps")),
            has_data=has_data,
        )
    is_for_the_app = has_data and app_state is not AppState.BACKGROUND
    return Handled(is_for_the_app or "userShouldIgnore" not in pusher, event)


def _on_android(payload: Payload, app_state: AppState, state: State, seconds: int) -> Handled:
    data = _mapping(payload.get("data"))
    is_ours_alone = data.get("pusherTokenValidation") == "true"
    pusher = _extra(data.get("pusher"))
    is_opened = app_state is AppState.INACTIVE
    event = _basic_event(pusher, state, "Open" if is_opened else "Delivery", seconds)
    if event is not None and not is_opened:
        event |= _circumstances(
            app_state,
            has_displayable_content=pusher.get("hasDisplayableContent") is True,
            has_data=pusher.get("hasData") is True,
        )
    action = pusher.get("clickAction")
    return Handled(
        not is_ours_alone,
        event,
        opens=action if is_opened and isinstance(action, str) else None,
    )


def _in_a_browser(payload: Payload, app_state: AppState, state: State, seconds: int) -> Handled:
    pusher = _mapping(_mapping(payload.get("data")).get("pusher"))
    if not pusher:
        return Handled(should_process=False)
    notification = _mapping(payload.get("notification"))
    is_opened = app_state is AppState.INACTIVE
    link = notification.get("deep_link")
    return Handled(
        should_process=True,
        event=_browser_event(pusher, app_state, state, seconds),
        shown=None if is_opened else _shown(notification, app_state),
        opens=link if is_opened and isinstance(link, str) else None,
    )


def _shown(notification: Payload, app_state: AppState) -> dict[str, object] | None:
    is_hidden = notification.get("hide_notification_if_site_has_focus") is True
    if is_hidden and app_state is AppState.ACTIVE:
        return None
    return {
        "title": notification.get("title") or "",
        "body": notification.get("body") or "",
        "icon": notification.get("icon"),
    }


def _basic_event(
    pusher: Payload, state: State, name: str, seconds: int
) -> dict[str, object] | None:
    """What iOS and Android report of everything; None if it is not of this device."""
    publish = pusher.get("publishId")
    if state.device_id is None or pusher.get("instanceId") != state.instance_id:
        return None
    if not isinstance(publish, str):
        return None
    event: dict[str, object] = {
        "event": name,
        "instanceId": state.instance_id,
        "publishId": publish,
        "deviceId": state.device_id,
        "timestampSecs": seconds,
    }
    return event if state.user_id is None else event | {"userId": state.user_id}


def _circumstances(
    app_state: AppState, *, has_displayable_content: bool, has_data: bool
) -> dict[str, object]:
    """What iOS and Android report of a delivery besides."""
    return {
        "appInBackground": app_state is AppState.BACKGROUND,
        "hasDisplayableContent": has_displayable_content,
        "hasData": has_data,
    }


def _browser_event(
    pusher: Payload, app_state: AppState, state: State, seconds: int
) -> dict[str, object] | None:
    """What the worker reports: the same fields of both events, None where it knows nothing."""
    if pusher.get("instanceId") != state.instance_id or not pusher.get("publishId"):
        return None
    return {
        "publishId": pusher["publishId"],
        "event": "open" if app_state is AppState.INACTIVE else "delivery",
        "deviceId": state.device_id,
        "userId": state.user_id,
        "timestampSecs": seconds,
        "appInBackground": app_state is not AppState.ACTIVE,
        "hasDisplayableContent": pusher.get("hasDisplayableContent"),
        "hasData": pusher.get("hasData"),
    }


def _mapping(value: object) -> Payload:
    return value if isinstance(value, Mapping) else {}


def _extra(value: object) -> Payload:
    """An intent's extra, which is a string of JSON."""
    try:
        return _mapping(json.loads(value)) if isinstance(value, str) else {}
    except (ValueError, RecursionError):
        return {}
