"""
What this dialect keeps of an instance besides what every dialect knows of it.

It is one document, sealed at rest: settings of the platforms as IBM's API takes them
(contract §6), and the channels of Android (contract §5.4). Credentials with which something is
sent do not lie here, but where those of every dialect do.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from heliograph.api.ibm.events import NAME as DIALECT
from heliograph.instances import Instance

__all__ = ["DIALECT", "ICONS", "Document", "icons", "of", "read", "web_sites", "write"]

ICONS = f"{DIALECT}/icons"
"""They lie apart: nearly nobody asks for them, and they are large."""

_REMEMBERED = 256


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """Settings by their paths, and channels by their ids."""

    settings: dict[str, dict[str, Any]] = {}
    """By path, such as ``gcmConf``; what was put there, without files."""
    channels: dict[str, dict[str, Any]] = {}
    """By ``channelId``; as the Android SDK reads them."""
    channel_groups: dict[str, dict[str, Any]] = {}
    """By ``groupId``."""


@lru_cache(maxsize=_REMEMBERED)
def read(document: bytes | None) -> Document:
    """A document as it is kept; an empty one if there is none. Not to be changed."""
    return Document() if document is None else msgspec.json.decode(document, type=Document)


def write(document: Document) -> bytes | None:
    """What is kept of a document; None if it is empty."""
    return None if document == Document() else msgspec.json.encode(document)


def of(instance: Instance) -> Document:
    """The document of an instance."""
    return read(instance.documents.get(DIALECT))


def icons(instance: Instance) -> dict[str, bytes]:
    """The icons that its web site has brought; none if it brought none."""
    kept = instance.documents.get(ICONS)
    return {} if kept is None else msgspec.json.decode(kept, type=dict[str, bytes])


def web_sites(instance: Instance) -> list[str]:
    """The origins of the web sites that an instance is for, none twice (contract §2.6)."""
    settings: Mapping[str, Mapping[str, Any]] = of(instance).settings
    sites = [
        str(settings.get(path, {}).get("webSiteUrl", "")).rstrip("/")
        for path in ("chromeWebConf", "firefoxWebConf", "safariWebConf")
    ]
    return list(dict.fromkeys(site for site in sites if site))
