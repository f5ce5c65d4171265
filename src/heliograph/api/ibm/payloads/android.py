"""
What Android devices receive, through FCM: data only, every value text. Pure.

What IBM's Android SDK reads: contract §5.4. A ``notification`` block would be shown by Android
itself, and the SDK would hear nothing of it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.ibm.payloads.custom import as_text, renamed, with_id
from heliograph.api.ibm.schema import Sending
from heliograph.model import FcmMessage

DISMISS: Final = "com.ibm.mobilefirstplatform.clientsdk.android.push.DISMISS_NOTIFICATION"
"""The action of a push that takes a notification back."""

USUAL_IMPORTANCE: Final = 3
"""Android's ``NotificationManager.IMPORTANCE_DEFAULT``: shown, with a sound."""

_URGENT: Final = ("max", "high")

_SAME_NAMES: Final = ("icon", "sound", "priority", "visibility", "redact", "interactiveCategory")
_LIGHTS: Final = {"ledArgb": "ledARGB", "ledOnMs": "ledOnMS", "ledOffMs": "ledOffMS"}
"""The SDK's own capitals."""


def message(
    sending: Sending, message_id: str, channels: Mapping[str, Mapping[str, Any]]
) -> FcmMessage:
    """
    The push to an Android device.

    Args:
        sending: What is to be sent.
        message_id: What devices will call it.
        channels: The notification channels that the customer has defined, by their ids.
    """
    block = sending.block("gcm")
    data = _texts(sending, block, message_id)
    if "style" in block:
        data["style"] = as_text(_style(block["style"], sending.alert))
    if "lights" in block:
        data["lights"] = as_text(renamed(block["lights"], _LIGHTS))
    if "channelId" in block:
        data["channel"] = as_text(channel(block["channelId"], channels, block.get("groupId")))
    return data_message(data, block)


def dismissal(message_id: str) -> FcmMessage:
    """The push that takes a message from the screens of a person's other devices."""
    return FcmMessage(msgspec.json.encode({"data": {"action": DISMISS, "nid": message_id}}))


def data_message(data: Mapping[str, str], block: Mapping[str, Any]) -> FcmMessage:
    """Data in FCM v1's form, to be carried as a block of settings says."""
    ttl = block.get("timeToLive")
    config: dict[str, Any] = renamed(block, {"collapseKey": "collapse_key"})
    if ttl is not None:
        config["ttl"] = f"{ttl}s"
    if "priority" in block:
        config["priority"] = "HIGH" if block["priority"] in _URGENT else "NORMAL"
    content = {"data": data} | ({"android": config} if config else {})
    return FcmMessage(msgspec.json.encode(content), ttl)


def channel(
    channel_id: str, channels: Mapping[str, Mapping[str, Any]], group_id: str | None = None
) -> dict[str, Any]:
    """
    A notification channel as the SDK reads it, so that it can create it.

    One that the customer has not defined is called by its id, and has the usual importance.

    Args:
        channel_id: Its id.
        channels: The defined ones, by id.
        group_id: The group that it is shown in, if its definition names none.
    """
    defined = {"channelName": channel_id, "importance": USUAL_IMPORTANCE}
    defined |= channels.get(channel_id, {})
    group = defined.pop("groupJson", None)
    if group is None and group_id is not None:
        group = {"groupId": group_id, "groupName": group_id}
    if group is not None:
        defined["groupJson"] = group if isinstance(group, str) else as_text(group)
    return {"channelId": channel_id} | {key: defined[key] for key in defined if key != "channelId"}


def _texts(sending: Sending, block: Mapping[str, Any], message_id: str) -> dict[str, str]:
    """
    Everything that is text already.

    ``androidTitle`` is always there, for the SDK asks it something without looking whether it is;
    so is ``has-template``, of which an older one makes a number in the same way.
    """
    data: dict[str, str] = {
        "alert": sending.alert,
        "androidTitle": block.get("androidTitle", block.get("androidtitle", "")),
        "payload": as_text(with_id(block, message_id)),
        "mid": message_id,
        "has-template": "1" if sending.is_template else "0",
    }
    if sending.url is not None:
        data["url"] = sending.url
    if block.get("type") == "SILENT":
        data["type"] = "silent"
    if block.get("sync"):
        data["key"] = message_id
    return data | {each: block[each] for each in _SAME_NAMES if each in block}


def _style(style: Mapping[str, Any], alert: str) -> dict[str, str]:
    """
    A style with everything that the SDK reads of its kind: where it misses one it shows nothing.

    Lines are one text, which the SDK splits at commas: of a list it would show the quotes.
    """
    kind = style["type"]
    content: dict[str, str] = {"type": kind, "title": style.get("title", "")}
    content |= renamed(style, {"url": "url", "text": "text"})
    if "lines" in style:
        content["lines"] = ",".join(style["lines"])
    if kind == "bigtext_notification":
        content.setdefault("text", alert)
    elif kind == "inbox_notification":
        content.setdefault("lines", alert)
    return content
