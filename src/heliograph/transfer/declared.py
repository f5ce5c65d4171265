"""
Interests that an instance has declared, in a file: one JSON object a line. Pure.

``name`` is needed; ``description``, ``created_at`` and ``changed_at`` (ISO 8601) are not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from heliograph import addresses
from heliograph.model import Interest
from heliograph.transfer.fields import instant_of
from heliograph.transfer.records import Reject


@dataclass(frozen=True, slots=True)
class Declaration:
    """An interest as it stands in a file."""

    name: Interest
    description: str = ""
    created_at: datetime | None = None
    """None: now."""
    changed_at: datetime | None = None
    """None: when it was created."""


def read_declared(lines: Iterable[str]) -> Iterator[tuple[int, Declaration | Reject]]:
    """The interests in a file, in their order."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, _declared(msgspec.json.decode(line, type=_Line))
        except msgspec.ValidationError as problem:
            yield number, Reject(number, "", str(problem))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            yield number, Reject(number, "", "is no JSON object")
        except ValueError as problem:
            yield number, Reject(number, "", str(problem))


def written(each: Declaration) -> str:
    """A line that ``read_declared`` reads to the same."""
    found: dict[str, Any] = {"name": each.name, "description": each.description}
    for name in ("created_at", "changed_at"):
        instant = getattr(each, name)
        if instant is not None:
            found[name] = instant.isoformat()
    return msgspec.json.encode(found).decode() + "\n"


def _declared(line: "_Line") -> Declaration:
    if not addresses.is_any_interest(line.name):
        longest = addresses.LONGEST_INTEREST
        raise ValueError(f"name must have 1 to {longest} printable characters")
    return Declaration(
        Interest(line.name),
        line.description,
        None if line.created_at is None else instant_of(line.created_at, "created_at"),
        None if line.changed_at is None else instant_of(line.changed_at, "changed_at"),
    )


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    created_at: str | None = None
    changed_at: str | None = None
