"""What every edition of a message carries besides its text: its id, and what the caller added."""

from collections.abc import Mapping
from typing import Any

import msgspec


def with_id(block: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    """
    The caller's own payload with the message's id as ``nid``, by which SDKs report it.

    A ``nid`` of the caller's gives way (contract §5.3-§5.5).
    """
    return {**block.get("payload", {}), "nid": message_id}


def as_text(value: object) -> str:
    """The JSON of a value, as text in a field that holds text."""
    return msgspec.json.encode(value).decode()


def renamed(block: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The members of a block that are there and have a name in the edition, under that name."""
    return {theirs: block[ours] for ours, theirs in names.items() if ours in block}
