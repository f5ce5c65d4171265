"""
A device in a file: one line of CSV, or one JSON object a line. Pure.

======================  ==============================================================
field                   holds
======================  ==============================================================
``id``                  what the device is called, ``{gateway}-…``; made up if missing
``gateway``             ``apns``, ``fcm`` or ``web``
``token``               the APNs or FCM token; for browsers the subscription's JSON, as
                        an object, as text, or in base64
``topic``               Apple devices: the app's bundle id
``environment``         Apple devices: ``production`` or ``sandbox``, if it is known
``vapid_public_key``    browsers: the key they subscribed with, in base64url
``name``                what its app calls it, where the app chooses (IBM's device id)
``platform``            what kind of app it is, where its gateway serves several: ``ios``,
                        ``safari``, ``android``, ``chrome-app``, ``chrome`` or ``firefox``
``user``                who is logged in
``interests``           a list; in CSV with spaces between them, or the JSON of a list
``metadata``            an object; in CSV its JSON
``registered_at``       when its token was last given to a server (ISO 8601)
======================  ==============================================================

Only ``gateway`` and ``token`` are needed. Unknown fields are refused: a mistyped one would
be lost without a word.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from heliograph.model import (
    Address,
    ApnsAddress,
    DeviceId,
    FcmAddress,
    Interest,
    Platform,
    UserId,
    WebAddress,
    gateway_of,
)
from heliograph.transfer import fields
from heliograph.transfer.rows import Row, rows
from heliograph.wire.jws import base64url

Format = Literal["csv", "jsonl"]

FIELDS: Final = (
    "id",
    "gateway",
    "token",
    "topic",
    "environment",
    "vapid_public_key",
    "name",
    "platform",
    "user",
    "interests",
    "metadata",
    "registered_at",
)


@dataclass(frozen=True, slots=True)
class Record:
    """A device as it stands in a file."""

    address: Address
    id: DeviceId | None = None
    """None: one is made up."""
    name: str | None = None
    """None: its app has not named it."""
    platform: Platform | None = None
    """None: it did not say; it is taken for what its gateway usually serves."""
    user: UserId | None = None
    interests: tuple[Interest, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    registered_at: datetime | None = None
    """None: now. One that is to come is taken for now."""
    vapid_public_key: str | None = None
    """Base64url; None for other gateways, or if nobody wrote it down."""


@dataclass(frozen=True, slots=True)
class Reject:
    """What cannot be moved in, and why."""

    line: int
    """Where it stands; 1 is the first line of the file."""
    id: str
    """Its id as it stands there; never its token."""
    reason: str


Line = tuple[int, "Record | Reject"]
"""A line's number, and what it holds."""


def read(lines: Iterable[str], form: Format) -> Iterator[Line]:
    """
    The devices in a file, in their order.

    Args:
        lines: The file, line by line, with their ends.
        form: How they are written.

    Raises:
        ValueError: It is no such file at all: a header that is missing, or has unknown names.
    """
    return _read_csv(lines) if form == "csv" else _read_json(lines)


def write(records: Iterable[Record], form: Format, *, with_header: bool) -> Iterator[str]:
    """Devices as lines of a file, which ``read`` reads to the same."""
    if form == "jsonl":
        for each in records:
            yield msgspec.json.encode(_as_object(each)).decode() + "\n"
        return
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, FIELDS, lineterminator="\n")
    if with_header:
        writer.writeheader()
    for each in records:
        writer.writerow(_as_row(each))
        yield _taken(buffer)
    yield _taken(buffer)


def record(stated: Mapping[str, Any]) -> Record:
    """
    A device, from what is stated of it; fields that are missing, None or empty say nothing.

    Raises:
        ValueError: With a sentence that says what cannot be used.
    """
    given = {name: value for name, value in stated.items() if value not in (None, "")}
    if unknown := sorted(given.keys() - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]}")
    gateway = fields.gateway(given)
    return Record(
        address=fields.address(gateway, given),
        id=fields.identity(gateway, given),
        name=fields.name(given),
        platform=fields.platform(gateway, given),
        user=fields.user(given),
        interests=fields.interests(given),
        metadata=fields.metadata(given),
        registered_at=fields.instant(given),
        vapid_public_key=fields.text_of(given, "vapid_public_key"),
    )


# --- reading -------------------------------------------------------------------------


def _read_csv(lines: Iterable[str]) -> Iterator[Line]:
    found = rows(lines)
    header = _header(next(found, (1, [])))
    for number, row in found:
        if isinstance(row, csv.Error):
            yield number, Reject(number, "", str(row))
        elif len(row) != len(header):
            sentence = f"has {len(row)} columns, and the header {len(header)}"
            yield number, Reject(number, "", sentence)
        else:
            yield number, _judged(number, dict(zip(header, row, strict=True)))


def _header(first: Row) -> Sequence[str]:
    line, row = first
    if isinstance(row, csv.Error):
        raise ValueError(f"line {line}: {row}")  # noqa: TRY004  (about a file, not a call)
    header = [name.strip() for name in row]
    for needed in ("gateway", "token"):
        if needed not in header:
            raise ValueError(f"line {line} must name the columns, and {needed} among them")
    if unknown := sorted(set(header) - set(FIELDS)):
        known = ", ".join(FIELDS)
        raise ValueError(f"line {line}: unknown column {unknown[0]}; known are {known}")
    return header


def _read_json(lines: Iterable[str]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            stated = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            yield number, Reject(number, "", "is no JSON object")
            continue
        yield number, _judged(number, stated)


def _judged(number: int, stated: Mapping[str, Any]) -> Record | Reject:
    try:
        return record(stated)
    except ValueError as problem:
        name = stated.get("id")
        shown = name if isinstance(name, str) and len(name) <= fields.LONGEST_ID else ""
        return Reject(number, shown, str(problem))


# --- writing -------------------------------------------------------------------------


def _as_object(each: Record) -> dict[str, Any]:
    found = {
        "id": each.id,
        "gateway": str(gateway_of(each.address)),
        "token": _token(each.address),
        "vapid_public_key": each.vapid_public_key,
        "name": each.name,
        "platform": each.platform,
        "user": each.user,
        "interests": list(each.interests),
        "metadata": dict(each.metadata),
        "registered_at": each.registered_at and each.registered_at.isoformat(),
    }
    if isinstance(each.address, ApnsAddress):
        found |= {"topic": each.address.topic, "environment": each.address.environment}
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def _as_row(each: Record) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, value in _as_object(each).items():
        if name == "interests" and fields.listed(" ".join(value)) == value:
            row[name] = " ".join(value)
        else:
            row[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return row


def _token(address: Address) -> str | dict[str, Any]:
    match address:
        case ApnsAddress(token=token) | FcmAddress(token=token):
            return token
        case WebAddress(endpoint=endpoint, p256dh=p256dh, auth=auth):
            keys = {"p256dh": base64url(p256dh), "auth": base64url(auth)}
            return {"endpoint": endpoint, "keys": keys}


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
