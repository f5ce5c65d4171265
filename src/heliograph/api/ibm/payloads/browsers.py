"""
What browsers receive: Chrome, Firefox and the like by web push, apps of Chrome through FCM. Pure.

What IBM's service worker and its background page read: contract §5.5. Both put a person's values
into a template themselves; nothing tells them that it is one.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.api.ibm.blocks import FOUR_WEEKS
from heliograph.api.ibm.payloads.android import data_message
from heliograph.api.ibm.payloads.custom import as_text, renamed, with_id
from heliograph.api.ibm.schema import Sending
from heliograph.model import FcmMessage, WebMessage

_SHOWN: Final = {"title": "title", "iconUrl": "iconUrl"}


def chrome(sending: Sending, message_id: str) -> WebMessage:
    """The push to Chrome, and to every browser of which nothing else is known."""
    return _web(sending, sending.block("chromeWeb"), message_id)


def firefox(sending: Sending, message_id: str) -> WebMessage:
    """The push to Firefox, which has settings of its own."""
    return _web(sending, sending.block("firefoxWeb"), message_id)


def chrome_app(sending: Sending, message_id: str) -> FcmMessage:
    """The push to an app or an extension of Chrome."""
    block = sending.block("chromeAppExt")
    data = _content(sending, block, message_id)
    if sending.url is not None:
        data["url"] = sending.url
    return data_message(data, block)


def _web(sending: Sending, block: Mapping[str, Any], message_id: str) -> WebMessage:
    return WebMessage(
        payload=msgspec.json.encode(_content(sending, block, message_id)),
        ttl_seconds=block.get("timeToLive", FOUR_WEEKS),
    )


def _content(sending: Sending, block: Mapping[str, Any], message_id: str) -> dict[str, str]:
    """
    The text and what it is shown with.

    ``payload`` is always there, and text: the worker fails on a push without it, and the page
    reads the message's id from its JSON.
    """
    content = {"alert": sending.alert, "payload": as_text(with_id(block, message_id))}
    return content | renamed(block, _SHOWN)
