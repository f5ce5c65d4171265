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
``user``                who is logged in
``interests``           a list; in CSV with spaces between them
``metadata``            an object; in CSV its JSON
``registered_at``       when its token was last given to a server (ISO 8601)
======================  ==============================================================

Only ``gateway`` and ``token`` are needed. Unknown fields are refused: a mistyped one would
be lost without a word.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from heliograph import addresses
from heliograph.auth import user_problem
from heliograph.model import (
    Address,
    ApnsAddress,
    DeviceId,
    Environment,
    FcmAddress,
    Gateway,
    Interest,
    UserId,
    WebAddress,
    gateway_of,
)
from heliograph.wire.jws import base64url

Format = Literal["csv", "jsonl"]

FIELDS: Final = (
    "id",
    "gateway",
    "token",
    "topic",
    "environment",
    "vapid_public_key",
    "user",
    "interests",
    "metadata",
    "registered_at",
)
LONGEST_ID: Final = 200
_MOST_METADATA_BYTES: Final = 16_384
_LONGEST_FIELD: Final = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """A device as it stands in a file."""

    address: Address
    id: DeviceId | None = None
    """None: one is made up."""
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


def record(fields: Mapping[str, Any]) -> Record:
    """
    A device, from its fields; those that are missing, None or empty say nothing.

    Raises:
        ValueError: With a sentence that says what cannot be used.
    """
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    if unknown := sorted(given.keys() - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]}")
    gateway = _gateway(given)
    return Record(
        address=_address(gateway, given),
        id=_id(gateway, given),
        user=_user(given),
        interests=_interests(given),
        metadata=_metadata(given),
        registered_at=_instant(given),
        vapid_public_key=_text(given, "vapid_public_key"),
    )


# --- reading -------------------------------------------------------------------------


def _read_csv(lines: Iterable[str]) -> Iterator[Line]:
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as problem:
        raise ValueError(f"line 1: {problem}") from None
    header[:1] = [header[0].removeprefix("\ufeff")] if header else []
    for needed in ("gateway", "token"):
        if needed not in header:
            raise ValueError(f"line 1 must name the columns, and {needed} among them")
    if unknown := sorted(set(header) - set(FIELDS)):
        raise ValueError(f"line 1: unknown column {unknown[0]}; known are {', '.join(FIELDS)}")
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as problem:
            yield rows.line_num, Reject(rows.line_num, "", str(problem))
            continue
        if not row:
            continue
        if len(row) != len(header):
            sentence = f"has {len(row)} columns, and the header {len(header)}"
            yield rows.line_num, Reject(rows.line_num, "", sentence)
            continue
        yield rows.line_num, _judged(rows.line_num, dict(zip(header, row, strict=True)))


def _read_json(lines: Iterable[str]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            yield number, Reject(number, "", "is no JSON object")
            continue
        yield number, _judged(number, fields)


def _judged(number: int, fields: Mapping[str, Any]) -> Record | Reject:
    try:
        return record(fields)
    except ValueError as problem:
        name = fields.get("id")
        shown = name if isinstance(name, str) and len(name) <= LONGEST_ID else ""
        return Reject(number, shown, str(problem))


def _gateway(given: Mapping[str, Any]) -> Gateway:
    try:
        return Gateway(given.get("gateway", ""))
    except ValueError:
        raise ValueError(f"gateway must be one of {', '.join(Gateway)}") from None


def _address(gateway: Gateway, given: Mapping[str, Any]) -> Address:
    token = given.get("token")
    if gateway is Gateway.WEB and isinstance(token, dict):
        return addresses.web_address(msgspec.json.encode(token))
    if not isinstance(token, str):
        raise ValueError("token is required")  # noqa: TRY004  (about a file, not a call)
    match gateway:
        case Gateway.APNS:
            return addresses.apns_address(token, _topic(given), _environment(given))
        case Gateway.FCM:
            return addresses.fcm_address(token)
        case Gateway.WEB:
            return addresses.web_address(_subscription(token))


def _subscription(token: str) -> str | bytes:
    """The JSON, as it is or out of base64."""
    if token.lstrip().startswith("{"):
        return token
    try:
        return addresses.from_base64(token)
    except ValueError:
        return token


def _topic(given: Mapping[str, Any]) -> str | None:
    topic = _text(given, "topic")
    if topic is not None and not addresses.is_topic(topic):
        raise ValueError("topic must be a bundle id")
    return topic


def _environment(given: Mapping[str, Any]) -> Environment | None:
    text = _text(given, "environment")
    try:
        return None if text is None else Environment(text)
    except ValueError:
        raise ValueError(f"environment must be one of {', '.join(Environment)}") from None


def _id(gateway: Gateway, given: Mapping[str, Any]) -> DeviceId | None:
    name = _text(given, "id")
    if name is None:
        return None
    is_word = name.isascii() and name.isprintable() and not set(name) & set(" /?#%")
    if not is_word or not name.startswith(f"{gateway}-") or len(name) > LONGEST_ID:
        raise ValueError(f"id must begin with {gateway}-, and be a word of ASCII characters")
    return DeviceId(name)


def _user(given: Mapping[str, Any]) -> UserId | None:
    user = _text(given, "user")
    if user is not None and (problem := user_problem(user)):
        raise ValueError(f"user {problem}")
    return None if user is None else UserId(user)


def _interests(given: Mapping[str, Any]) -> tuple[Interest, ...]:
    names = given.get("interests", [])
    if isinstance(names, str):
        names = names.split()
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise ValueError("interests must be a list, or names with spaces between them")
    if bad := next((each for each in names if not addresses.is_interest(each)), None):
        raise ValueError(
            f"interest {bad[:40]!r}: 1 to 164 letters, digits and characters of _-=@,.;"
        )
    if len(set(names)) > addresses.MOST_INTERESTS:
        raise ValueError(f"a device has at most {addresses.MOST_INTERESTS} interests")
    return tuple(Interest(name) for name in sorted(set(names)))


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    value = given.get("metadata", {})
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ValueError("metadata must be a JSON object")  # noqa: TRY004  (the same)
    if len(msgspec.json.encode(value)) > _MOST_METADATA_BYTES:
        raise ValueError(f"metadata must have at most {_MOST_METADATA_BYTES} bytes")
    return value


def _instant(given: Mapping[str, Any]) -> datetime | None:
    text = _text(given, "registered_at")
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter for a zone that leads out of all years
        raise ValueError("registered_at must be an instant like 2026-01-31T12:00:00Z") from None


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be text")
    return value


# --- writing -------------------------------------------------------------------------


def _as_object(each: Record) -> dict[str, Any]:
    fields = {
        "id": each.id,
        "gateway": str(gateway_of(each.address)),
        "token": _token(each.address),
        "vapid_public_key": each.vapid_public_key,
        "user": each.user,
        "interests": list(each.interests),
        "metadata": dict(each.metadata),
        "registered_at": each.registered_at and each.registered_at.isoformat(),
    }
    if isinstance(each.address, ApnsAddress):
        fields |= {"topic": each.address.topic, "environment": each.address.environment}
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _as_row(each: Record) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, value in _as_object(each).items():
        if name == "interests":
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
