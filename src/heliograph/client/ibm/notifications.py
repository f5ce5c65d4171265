"""
What IBM's SDKs make of a notification that arrives (§5.3 to §5.5, §5.8). Pure.

Each finds the message's id, ``nid``, in ``payload``, which is a *string* of JSON wherever
it is not part of an iOS template.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from heliograph.client.ibm.errors import Crash
from heliograph.client.ibm.profiles import Profile
from heliograph.client.ibm.templates import filled
from heliograph.client.notifications import AppState, Payload

DISMISS: Final = "com.ibm.mobilefirstplatform.clientsdk.android.push.DISMISS_NOTIFICATION"
"""The action of a message that clears another one from the tray (§5.4)."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a notification, and what it says."""

    nid: str | None = None
    """The message's id; None: nothing is reported."""
    is_shown: bool = False
    """Whether the person sees it now."""
    report: str | None = None
    """What is reported of it: ``SEEN``, ``OPEN``, or nothing."""
    alert: str = ""
    title: str = ""
    subtitle: str = ""
    url: str | None = None
    icon: str | None = None
    sound: str | None = None
    badge: int | None = None
    category: str | None = None
    attachment_url: str | None = None
    style: Mapping[str, Any] | None = None
    """Android: how it unfolds; ``lines`` as the SDK splits them."""
    lights: Mapping[str, Any] | None = None
    channel: Mapping[str, Any] | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    """What the sender added, with ``nid``."""
    dismisses: str | None = None
    """Android: the message that disappears from the tray; then nothing else is of this one."""

    @property
    def is_silent(self) -> bool:
        """Whether it says nothing to a person."""
        return not (self.alert or self.title)


def handle(
    profile: Profile, message: Payload, app_state: AppState, variables: Mapping[str, str]
) -> Handled:
    """
    Say what an SDK does with a message.

    Args:
        profile: Whose SDK.
        message: iOS and Safari: the dictionary of APNs. Android: the message, with ``data``.
            Chrome and Firefox: the decrypted JSON.
        app_state: ``INACTIVE`` if somebody opened it. In a browser, ``ACTIVE`` means that a
            page of the site is open; the worker cannot report without one.
        variables: What templates are filled with.

    Raises:
        Crash: The SDK would not survive this message.
    """
    match profile.kind:
        case "ios":
            return _on_ios(message, app_state, variables)
        case "android":
            return _on_android(message, app_state, variables)
        case "web" if profile.name == "safari":
            return _in_safari(message)
        case "web":
            return _in_a_worker(message, app_state, variables)


def _on_ios(message: Payload, app_state: AppState, variables: Mapping[str, str]) -> Handled:
    """What iOS shows by itself, or the SDK if there is a template; the app reports by its nid."""
    is_template = message.get("has-template") == 1
    payload = _mapping(message.get("payload")) if is_template else _json(message.get("payload"))
    source = _mapping(message.get("template" if is_template else "aps"))
    alert = source.get("alert")
    words = _mapping(alert)
    if is_template:
        words = {**words, "body": filled("ios", _text(words, "body"), variables)}
        words["subtitle"] = words.get("subTitle")
    badge = source.get("badge")
    read = Handled(
        nid=_nid(payload),
        alert=alert if isinstance(alert, str) else _text(words, "body", "loc-key"),
        title=_text(words, "title", "title-loc-key"),
        subtitle=_text(words, "subtitle"),
        url=_optional(message, "url"),
        sound=_optional(words if is_template else source, "sound"),
        badge=badge if isinstance(badge, int) else None,
        category=_optional(source, "category"),
        attachment_url=_optional(message, "attachment-url"),
        payload=payload,
    )
    seen = "SEEN" if app_state is AppState.BACKGROUND else "OPEN"
    return replace(
        read,
        is_shown=not read.is_silent and app_state is AppState.BACKGROUND,
        report=seen if read.nid is not None else None,
    )


def _on_android(message: Payload, app_state: AppState, variables: Mapping[str, str]) -> Handled:
    """What the SDK makes of ``data``; what has a ``notification`` Android shows by itself."""
    data, words = _mapping(message.get("data")), _mapping(message.get("notification"))
    if words and app_state is AppState.BACKGROUND:
        return Handled(is_shown=True, alert=_text(words, "body"), title=_text(words, "title"))
    if data.get("action") == DISMISS:
        return Handled(dismisses=_optional(data, "nid"))
    payload = _json(data.get("payload"))
    read = _read_on_android(data, payload, variables)
    is_silent = _text(data, "type").lower() == "silent"
    is_waiting = app_state is AppState.BACKGROUND
    return replace(
        read,
        is_shown=is_waiting and not is_silent,
        report=None if read.nid is None else "SEEN" if is_waiting else "OPEN",
    )


def _read_on_android(data: Payload, payload: Payload, variables: Mapping[str, str]) -> Handled:
    alert = _text(data, "alert")
    if _number(data.get("has-template")) == 1:
        alert = filled("android", alert, variables)
    return Handled(
        nid=_nid(payload),
        alert=alert,
        title=_text(data, "androidTitle"),
        url=_optional(data, "url"),
        icon=_optional(data, "icon"),
        sound=_optional(data, "sound"),
        category=_optional(data, "interactiveCategory"),
        style=_style(data.get("style")),
        lights=_json(data.get("lights")) or None,
        channel=_json(data.get("channel")) or None,
        payload=payload,
    )


def _in_a_worker(message: Payload, app_state: AppState, variables: Mapping[str, str]) -> Handled:
    if message.get("payload") is None:
        raise Crash("the worker reads a field of a payload that is not there")
    payload = _json(message["payload"])
    is_opened = app_state is AppState.INACTIVE
    nid = _nid(payload)
    report = {AppState.INACTIVE: "OPEN", AppState.ACTIVE: "SEEN"}.get(app_state)
    return Handled(
        nid=nid,
        is_shown=not is_opened,
        report=None if nid is None else report,
        alert=filled("web", _text(message, "alert") or "Example message", variables),
        title=_text(message, "title") or "New message",
        icon=_text(message, "iconUrl") or "images/icon.png",
        payload=payload,
    )


def _in_safari(message: Payload) -> Handled:
    """What Safari shows by itself; no code of the SDK's runs."""
    alert = _mapping(_mapping(message.get("aps")).get("alert"))
    return Handled(
        is_shown=bool(alert),
        alert=_text(alert, "body"),
        title=_text(alert, "title"),
        category=_optional(alert, "action"),
    )


def _style(value: object) -> Payload | None:
    """Android makes one string of the lines, and splits it at every comma."""
    style = _json(value)
    if "lines" not in style:
        return style or None
    lines = style["lines"]
    text = lines if isinstance(lines, str) else json.dumps(lines, separators=(",", ":"))
    return {**style, "lines": text.replace("[", "").replace("]", "").split(",")}


def _number(value: object) -> int:
    try:
        return int(str(value)) if value is not None else 0
    except ValueError as error:
        raise Crash("has-template is taken for a number") from error


def _nid(payload: Payload) -> str | None:
    nid = payload.get("nid")
    return nid if isinstance(nid, str) and nid else None


def _json(value: object) -> dict[str, Any]:
    try:
        read = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(fields: Payload, *names: str) -> str:
    return next((value for name in names if isinstance(value := fields.get(name), str)), "")


def _optional(fields: Payload, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None
