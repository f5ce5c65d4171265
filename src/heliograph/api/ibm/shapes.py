"""
Our devices, interests and messages, as IBM's SDKs read them.

Every value of a tag and of a subscription is text, and none is null: one that were not would
empty Swift's whole list (contract §4.1).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from heliograph.api.ibm.names import browser_token, subscription_id
from heliograph.api.ibm.schema import ANONYMOUS, EVERYBODY, PLATFORM_WORDS
from heliograph.model import Address, WebAddress
from heliograph.storage.declared import Declared
from heliograph.storage.devices import Device
from heliograph.storage.named import Subscription
from heliograph.storage.requests import Request

MADE: Final = {"createdMode": "API"}


def instant(at: datetime) -> str:
    """An instant as in ``2015-05-20T11:42:11Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def device(each: Device, base: str) -> dict[str, Any]:
    """
    A device (contract §3.1); ``userId`` is always there, for Swift crashes without.

    Args:
        each: The device.
        base: The address of its instance.
    """
    said = each.metadata
    shown: dict[str, Any] = {
        "deviceId": each.own_name,
        "token": token(each.address),
        "platform": PLATFORM_WORDS[each.platform],
        "userId": each.user or ANONYMOUS,
        "createdTime": instant(each.created_at),
        "lastUpdatedTime": instant(each.registered_at),
        **MADE,
        "href": f"{base}/devices/{quote(each.own_name, safe='')}",
    }
    return shown | {name: said[name] for name in ("variables", "userAgent") if name in said}


def device_link(each: Device, base: str) -> dict[str, str]:
    """A device in a list that is not expanded."""
    place = f"{base}/devices/{quote(each.own_name, safe='')}"
    return {"deviceId": each.own_name, "href": place}


def token(address: Address) -> str:
    """
    What an app handed over as its token, as the SDKs compare it, letter by letter.

    A browser's is a JSON text with keys in standard base64 (contract §3.1).
    """
    if not isinstance(address, WebAddress):
        return address.token
    return browser_token(address.endpoint, address.p256dh, address.auth)


def tag(each: Declared, base: str) -> dict[str, str]:
    """A tag (contract §4.1)."""
    place = f"{base}/tags/{quote(each.name, safe='')}"
    described = {"description": each.description} if each.description else {}
    return {
        "uri": place,
        "name": each.name,
        "createdTime": instant(each.created_at),
        "lastUpdatedTime": instant(each.changed_at),
        **MADE,
        "href": place,
        **described,
    }


def subscription(each: Subscription, base: str) -> dict[str, str]:
    """A subscription (contract §4.3)."""
    query = urlencode({"tagName": each.interest, "deviceId": each.device}, quote_via=quote)
    shown = {
        "tagName": str(each.interest),
        "subscriptionId": subscription_id(each.device, each.interest),
        "deviceId": each.device,
        "href": f"{base}/subscriptions?{query}",
    }
    if each.interest == EVERYBODY:
        return shown | {"userId": ""}
    return shown if each.user is None else shown | {"userId": str(each.user)}


def message_summary(each: Request, base: str) -> dict[str, str]:
    """A message in a list (contract §5.6, §5.7)."""
    asked = msgspec.json.decode(each.body)
    return {
        "createdTime": f"{each.accepted_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "messageId": each.name,
        "alert": asked["message"]["alert"],
        "href": f"{base}/messages/{each.name}",
    }


def tags_not_found(names: Sequence[str]) -> dict[str, Any]:
    """What is told of tags that there are not (contract §4.4)."""
    sentence = "Not Found - Targeted resource 'tagNames' does not exist. Check the 'tags' parameter"
    return {"tags": list(names), "message": sentence, "code": "FPWSE0001E"}
