"""
The settings of a message: what each block may hold, platform by platform. Pure.

Source: contract §5.3-§5.5, §9. What a block holds is read here; what becomes of it, ``payloads``
says.
"""

from collections.abc import Mapping
from typing import Any, Final

from heliograph.api.ibm.values import (
    Reader,
    boolean_or_word,
    integer,
    list_of,
    members,
    name,
    one_of,
    payload,
    text,
)

FOUR_WEEKS: Final = 2_419_200
"""Seconds: the longest ``timeToLive``, and the one that is meant where none is given."""

MOST: Final = 2**31 - 1
"""The largest number that every platform can hold."""

_LONGEST_CHANNEL_ID: Final = 254

COLOURS: Final = (
    "BLACK",
    "DARKGRAY",
    "GRAY",
    "LIGHTGRAY",
    "WHITE",
    "RED",
    "GREEN",
    "BLUE",
    "YELLOW",
    "CYAN",
    "MAGENTA",
    "TRANSPARENT",
)
_MISSPELT: Final = {"MAGNETA": "MAGENTA"}
"""As Swift's server SDK writes it."""

_time_to_live: Final = integer(0, FOUR_WEEKS)
_milliseconds: Final = integer(0, MOST, digits=True)

_APNS: Final[dict[str, Reader]] = {
    "badge": integer(0, MOST),
    "sound": text,
    "interactiveCategory": text,
    "category": text,
    "iosActionKey": text,
    "payload": payload,
    "type": one_of("DEFAULT", "MIXED", "SILENT"),
    "titleLocKey": text,
    "titleLocArgs": list_of(text),
    "locKey": text,
    "locArgs": list_of(text),
    "launchImage": text,
    "title": text,
    "subtitle": text,
    "attachmentUrl": text,
    "apnsCollapseId": text,
    "apnsThreadId": text,
    "apnsGroupSummaryArg": text,
    "apnsGroupSummaryArgCount": integer(0, MOST),
}

_LIGHTS: Final[dict[str, Reader]] = {
    "ledArgb": one_of(*COLOURS, also=_MISSPELT),
    "ledOnMs": _milliseconds,
    "ledOffMs": _milliseconds,
}
_STYLE: Final[dict[str, Reader]] = {
    "type": one_of("bigtext_notification", "picture_notification", "inbox_notification"),
    "title": text,
    "url": text,
    "text": text,
    "lines": list_of(text),
}
_GCM: Final[dict[str, Reader]] = {
    "collapseKey": text,
    "interactiveCategory": text,
    "icon": text,
    "delayWhileIdle": boolean_or_word,
    "sync": boolean_or_word,
    "visibility": one_of("public", "private", "secret"),
    "redact": text,
    "channelId": name(_LONGEST_CHANNEL_ID),
    "payload": payload,
    "priority": one_of("max", "high", "default", "low", "min"),
    "sound": text,
    "timeToLive": _time_to_live,
    "lights": members(_LIGHTS),
    "androidTitle": text,
    "androidtitle": text,  # as the client on PyPI writes it
    "groupId": name(_LONGEST_CHANNEL_ID),
    "style": members(_STYLE, needed=("type",)),
    "type": one_of("DEFAULT", "SILENT", "MIXED"),  # MIXED is Apple's; the client on PyPI sends it
}

_WEB: Final[dict[str, Reader]] = {
    "title": text,
    "iconUrl": text,
    "timeToLive": _time_to_live,
    "payload": payload,
}
_CHROME_APP: Final[dict[str, Reader]] = _WEB | {
    "collapseKey": text,
    "delayWhileIdle": boolean_or_word,
}
_SAFARI: Final[dict[str, Reader]] = {"title": text, "urlArgs": list_of(text), "action": text}

_BLOCKS: Final = members(
    {
        "apns": members(_APNS),
        "gcm": members(_GCM),
        "chromeWeb": members(_WEB),
        "firefoxWeb": members(_WEB),
        "chromeAppExt": members(_CHROME_APP),
        "safariWeb": members(_SAFARI, needed=tuple(_SAFARI)),
    }
)


def read_settings(parameter: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    """
    The settings of a message, by block, each with the members that were given and are known.

    Words that are one of a few have one spelling afterwards, numbers are integers, lists are
    tuples and payloads objects.

    Raises:
        Problem: 400.
    """
    settings: Mapping[str, Mapping[str, Any]] = _BLOCKS(parameter, value)
    return settings
