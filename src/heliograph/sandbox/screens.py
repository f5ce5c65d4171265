"""
What a person would see: the notifications on each device's screen.

The page gets finished facts from here and only draws them.
"""

import msgspec

from heliograph.sandbox.devices import Device, Devices, Platform
from heliograph.sandbox.fcm_message import as_object
from heliograph.sandbox.inbox import Entry, Inbox, timestamp

MAX_DEVICES = 60
"""How many devices the page shows."""

MAX_CARDS = 12
"""How many notifications of one device the page is given."""


class Card(msgspec.Struct, frozen=True):
    """One notification as a screen shows it."""

    title: str = ""
    subtitle: str = ""
    body: str = ""
    badge: int | None = None
    silent: bool = False
    """The app got it and nobody saw anything."""
    sealed: bool = False
    """Only the real browser can read it."""
    replaces: str | None = None
    """It takes the place of an earlier card with the same value."""


def card(gateway: Platform, headers: dict[str, object], payload: object) -> Card:
    """What a device shows when it receives this payload."""
    match gateway:
        case Platform.APNS:
            return _apple_card(headers, as_object(payload))
        case Platform.FCM:
            return _android_card(as_object(payload))
        case Platform.WEB:
            return _browser_card(payload)


def entry_view(entry: Entry) -> dict[str, object]:
    """An entry as the page wants it: the card, the device's number, and the raw facts."""
    fields = entry.read()
    payload = fields["payload"]
    return {
        "id": entry.id,
        "device": entry.device.number,
        "time": fields["time"],
        "headers": fields["headers"],
        "payload": payload,
        "note": fields.get("note"),
        "card": card(entry.device.platform, as_object(fields["headers"]), payload),
    }


def device_view(device: Device) -> dict[str, object]:
    """A device as the page wants it."""
    return {
        "number": device.number,
        "platform": device.platform.value,
        "name": device.name or f"{_KIND[device.platform]} {device.number}",
        "detail": device.topic or _shortened(device.key),
        "real": device.platform is Platform.WEB and device.browser_keys is None,
        "gone": device.gone_since is not None,
        "minted_at": timestamp(device.minted_at),
    }


def snapshot(devices: Devices, inbox: Inbox) -> dict[str, object]:
    """Everything the page shows when it opens: the busiest devices, then the youngest."""
    shown = inbox.recently_active(MAX_DEVICES)
    known = {device.key for device in shown}
    shown += [each for each in devices.newest(MAX_DEVICES) if each.key not in known]
    shown = shown[:MAX_DEVICES]
    entries = [entry for device in shown for entry in inbox.entries(device)[-MAX_CARDS:]]
    entries.sort(key=lambda entry: entry.id)
    return {
        "devices": [device_view(device) for device in shown],
        "entries": [entry_view(entry) for entry in entries],
        **counts(devices, inbox),
    }


def news(devices: Devices, inbox: Inbox, *, after: int, minted: int) -> dict[str, object]:
    """
    What has happened since.

    Args:
        devices: All devices.
        inbox: All entries.
        after: The newest entry that the page has.
        minted: How many devices there were.
    """
    entries = [entry for entry in inbox.latest(MAX_DEVICES * MAX_CARDS) if entry.id > after]
    fresh = list(devices.newest(min(len(devices) - minted, MAX_DEVICES)))
    touched = {device.key: device for device in reversed(fresh)}
    for entry in entries:  # the latest touched comes last, and so to the top of the page
        touched.pop(entry.device.key, None)
        touched[entry.device.key] = entry.device
    return {
        "devices": [device_view(device) for device in touched.values()],
        "entries": [entry_view(entry) for entry in entries],
        **counts(devices, inbox),
    }


def counts(devices: Devices, inbox: Inbox) -> dict[str, object]:
    """How much there is in all."""
    return {"total_devices": len(devices), "total_entries": len(inbox), "last_id": inbox.last_id}


_KIND = {Platform.APNS: "iPhone", Platform.FCM: "Android", Platform.WEB: "Browser"}


def _apple_card(headers: dict[str, object], payload: dict[str, object]) -> Card:
    aps = as_object(payload.get("aps"))
    alert = aps.get("alert")
    words = as_object(alert)
    badge = aps.get("badge")
    title = _text(words, "title", "title-loc-key")
    body = alert if isinstance(alert, str) else _text(words, "body", "loc-key")
    collapse_id = headers.get("apns-collapse-id")
    return Card(
        title=title,
        subtitle=_text(words, "subtitle", "subtitle-loc-key"),
        body=body,
        badge=badge if isinstance(badge, int) else None,
        silent=not (title or body),
        replaces=collapse_id if isinstance(collapse_id, str) else None,
    )


def _android_card(message: dict[str, object]) -> Card:
    android = as_object(as_object(message.get("android")).get("notification"))
    words = as_object(message.get("notification")) | android
    count = words.get("notification_count")
    tag = words.get("tag")
    title = _text(words, "title", "title_loc_key")
    body = _text(words, "body", "body_loc_key")
    if not (title or body):
        title, body = _shown_by_app(as_object(message.get("data")))
    return Card(
        title=title,
        body=body,
        badge=count if isinstance(count, int) else None,
        silent=not (title or body),
        replaces=tag if isinstance(tag, str) else None,
    )


def _shown_by_app(data: dict[str, object]) -> tuple[str, str]:
    """Title and text that IBM's SDK shows of a message which Android shows nothing of."""
    if _text(data, "type").lower() == "silent":
        return "", ""
    return _text(data, "androidTitle", "title"), _text(data, "alert")


def _browser_card(payload: object) -> Card:
    if payload is None:
        return Card(sealed=True)
    if isinstance(payload, str):
        return Card(body=payload)
    fields = as_object(payload)
    words = as_object(fields.get("notification")) or fields
    tag = words.get("tag")
    title = _text(words, "title")
    body = _text(words, "body", "alert")
    return Card(
        title=title,
        body=body,
        silent=not (title or body),
        replaces=tag if isinstance(tag, str) else None,
    )


def _text(fields: dict[str, object], *names: str) -> str:
    """The first of these fields that is text; else nothing."""
    return next((value for name in names if isinstance(value := fields.get(name), str)), "")


def _shortened(token: str) -> str:
    return f"{token[:10]}…"
