"""
What iPhones and the older push of Safari receive, through APNs. Pure.

What the iOS SDK reads: contract §5.3. What Safari reads: Apple, "Configuring Safari Push
Notifications", "Pushing Notifications".
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.ibm.payloads.custom import as_text, renamed, with_id
from heliograph.api.ibm.schema import Sending
from heliograph.model import ApnsMessage

USUAL_TITLE: Final = "New message"
"""What IBM's service worker shows where there is no title; Safari shows nothing without one."""

_ALERT: Final = {
    "title": "title",
    "subtitle": "subtitle",
    "titleLocKey": "title-loc-key",
    "titleLocArgs": "title-loc-args",
    "locKey": "loc-key",
    "locArgs": "loc-args",
    "iosActionKey": "action-loc-key",
    "launchImage": "launch-image",
    "apnsGroupSummaryArg": "summary-arg",
    "apnsGroupSummaryArgCount": "summary-arg-count",
}
_APS: Final = {"badge": "badge", "apnsThreadId": "thread-id"}
_TEMPLATE_ALERT: Final = {"title": "title", "subtitle": "subTitle"}


def ios(sending: Sending, message_id: str) -> ApnsMessage:
    """
    The push to an iPhone: shown by iOS, given to the app in silence, or a template.

    Apple wants a push that shows nothing to be of the type background and priority 5.
    """
    block = sending.block("apns")
    is_silent = block.get("type") == "SILENT"
    if is_silent:
        content = _silent(block, message_id)
    elif sending.is_template:
        content = _template(sending, block, message_id)
    else:
        content = _shown(sending, block, message_id)
    if sending.url is not None:
        content["url"] = sending.url
    is_background = is_silent or sending.is_template
    return ApnsMessage(
        payload=msgspec.json.encode(content),
        push_type="background" if is_background else "alert",
        priority=5 if is_background else 10,
        collapse_id=block.get("apnsCollapseId"),
    )


def safari(sending: Sending) -> ApnsMessage:
    """
    The push to Safari, which shows only what has a title, a body and ``url-args``.

    Without a ``safariWeb`` block it has the usual title, and no values for the site's URL.
    """
    block = sending.block("safariWeb")
    alert = {"title": block.get("title", USUAL_TITLE), "body": sending.alert}
    if "action" in block:
        alert["action"] = block["action"]
    aps = {"alert": alert, "url-args": block.get("urlArgs", ())}
    return ApnsMessage(msgspec.json.encode({"aps": aps}))


def _silent(block: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    return {
        "aps": {"content-available": 1},
        "payload": as_text(with_id(block, message_id)),
    }


def _shown(sending: Sending, block: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    aps: dict[str, Any] = {"alert": {"body": sending.alert} | renamed(block, _ALERT)}
    aps |= renamed(block, _APS) | _sound(block) | _category(block)
    content: dict[str, Any] = {"aps": aps, "payload": as_text(with_id(block, message_id))}
    if block.get("type") == "MIXED":
        aps["content-available"] = 1
    if "attachmentUrl" in block:
        aps["mutable-content"] = 1  # else iOS does not ask the app's extension to fetch it
        content["attachment-url"] = block["attachmentUrl"]
    return content


def _template(sending: Sending, block: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    """
    A push that the SDK makes a notification of, once it has put the person's values in.

    ``has-template`` is there only if it is 1: the SDKs for Cordova and React Native take a push
    that has it, whatever it says, for a template. ``payload`` is an object here, not text.
    """
    alert = {"body": sending.alert} | renamed(block, _TEMPLATE_ALERT) | _sound(block)
    template = {"alert": alert} | renamed(block, {"badge": "badge"}) | _category(block)
    content: dict[str, Any] = {
        "aps": {"content-available": 1},
        "has-template": 1,
        "template": template,
        "payload": with_id(block, message_id),
    }
    return content | renamed(block, {"attachmentUrl": "attachment-url"})


def _sound(block: Mapping[str, Any]) -> dict[str, str]:
    """The usual sound unless another is named; an empty name is none."""
    sound = block.get("sound", "default")
    return {"sound": sound} if sound else {}


def _category(block: Mapping[str, Any]) -> dict[str, str]:
    """Which of the app's buttons it has, by the newer name of the setting or the older."""
    category = block.get("interactiveCategory", block.get("category"))
    return {} if category is None else {"category": category}
