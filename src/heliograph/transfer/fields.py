"""
The fields of a device in a file, read into typed values. Pure.

Each function is given all fields that are neither missing nor empty, reads the one it is called
after, and answers None where there is none. What cannot be used is a ``ValueError`` with a
sentence that names the field, and never its token.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from heliograph import addresses
from heliograph.auth import LONGEST_USER_ID_OF_ANY, user_problem
from heliograph.model import (
    Address,
    DeviceId,
    Environment,
    Gateway,
    Interest,
    Platform,
    UserId,
)

LONGEST_ID: Final = 200
LONGEST_NAME: Final = 254
_MOST_METADATA_BYTES: Final = 16_384


def name_of(text: str) -> str:
    """
    A device's name.

    Raises:
        ValueError: It is none.
    """
    if problem := user_problem(text, longest=LONGEST_NAME):
        raise ValueError(f"name {problem}")
    return text


def user_of(text: str) -> UserId:
    """
    A person's id, as long as any dialect takes them.

    Raises:
        ValueError: It is none.
    """
    if problem := user_problem(text, longest=LONGEST_USER_ID_OF_ANY):
        raise ValueError(f"user {problem}")
    return UserId(text)


def instant_of(text: str, what: str) -> datetime:
    """
    An instant in UTC, as ISO 8601 writes it; without a zone it is UTC already.

    Args:
        text: How it is written.
        what: What it is called, should it be none.

    Raises:
        ValueError: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter for a zone that leads out of all years
        raise ValueError(f"{what} must be an instant like 2026-01-31T12:00:00Z") from None


def gateway(given: Mapping[str, Any]) -> Gateway:
    """The push service, which must be named."""
    try:
        return Gateway(given.get("gateway", ""))
    except ValueError:
        raise ValueError(f"gateway must be one of {', '.join(Gateway)}") from None


def address(gateway: Gateway, given: Mapping[str, Any]) -> Address:
    """The token, with what else belongs to an address at a gateway; it must be there."""
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
    topic = text_of(given, "topic")
    if topic is not None and not addresses.is_topic(topic):
        raise ValueError("topic must be a bundle id")
    return topic


def _environment(given: Mapping[str, Any]) -> Environment | None:
    text = text_of(given, "environment")
    try:
        return None if text is None else Environment(text)
    except ValueError:
        raise ValueError(f"environment must be one of {', '.join(Environment)}") from None


def identity(gateway: Gateway, given: Mapping[str, Any]) -> DeviceId | None:
    """The id, which says whose it is."""
    name = text_of(given, "id")
    if name is None:
        return None
    is_word = name.isascii() and name.isprintable() and not set(name) & set(" /?#%")
    if not is_word or not name.startswith(f"{gateway}-") or len(name) > LONGEST_ID:
        raise ValueError(f"id must begin with {gateway}-, and be a word of ASCII characters")
    return DeviceId(name)


def name(given: Mapping[str, Any]) -> str | None:
    """The name that its app chose."""
    found = text_of(given, "name")
    return None if found is None else name_of(found)


def platform(gateway: Gateway, given: Mapping[str, Any]) -> Platform | None:
    """What kind of app it is: one that its gateway serves."""
    word = text_of(given, "platform")
    if word is None:
        return None
    possible = [each for each in Platform if each.gateway is gateway]
    if word not in possible:
        raise ValueError(f"platform of {gateway} must be one of {', '.join(possible)}")
    return Platform(word)


def user(given: Mapping[str, Any]) -> UserId | None:
    """Who is logged in."""
    found = text_of(given, "user")
    return None if found is None else user_of(found)


def interests(given: Mapping[str, Any]) -> tuple[Interest, ...]:
    """Its interests, each once, in ascending order."""
    names = given.get("interests", [])
    if isinstance(names, str):
        names = listed(names)
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise ValueError("interests must be a list, or names with spaces between them")
    bad = next((each for each in names if not addresses.is_any_interest(each)), None)
    if bad is not None:
        raise ValueError(f"interest {bad[:40]!r}: 1 to 164 printable characters")
    if len(set(names)) > addresses.MOST_INTERESTS:
        raise ValueError(f"a device has at most {addresses.MOST_INTERESTS} interests")
    return tuple(Interest(name) for name in sorted(set(names)))


def listed(text: str) -> object:
    """Names with spaces between them, or the JSON of a list: some names have spaces in them."""
    if not text.startswith("["):
        return text.split()
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """What its app tells of it."""
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


def instant(given: Mapping[str, Any]) -> datetime | None:
    """When its token was last given to a server."""
    found = text_of(given, "registered_at")
    return None if found is None else instant_of(found, "registered_at")


def text_of(given: Mapping[str, Any], name: str) -> str | None:
    """A field that is text."""
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be text")
    return value
