"""
Beams' words into ours: what a request may say, checked before anything is done.

Pure. After this file only typed values travel. Errors are in Beams' own shape, with
the status that its SDKs expect: 422 for a publish, but 400 on the device API, because
the iOS SDK repeats a request for ever that is answered 422.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from heliograph import addresses
from heliograph.addresses import LONGEST_INTEREST
from heliograph.api.beams.checks import a, read_names, unprocessable
from heliograph.api.beams.events import NAME
from heliograph.api.beams.tokens import LONGEST_USER_ID
from heliograph.api.problems import Problem
from heliograph.auth import user_problem
from heliograph.model import (
    Address,
    Gateway,
    Interest,
    Target,
    ToInterests,
    ToUsers,
    UserId,
    WebAddress,
)
from heliograph.notices import OwnHook
from heliograph.wire.http import url_problem

MOST_INTERESTS_OF_A_PUBLISH: Final = 100
MOST_USERS_OF_A_PUBLISH: Final = 1000
LONGEST_PAGE: Final = 100
"""Interests in one answer."""

_KIB: Final = 1024
INTERESTS_BODY_BYTES: Final = 10 * _KIB
USERS_BODY_BYTES: Final = 200 * _KIB
DEVICE_BODY_BYTES: Final = 16 * _KIB
REPORT_BODY_BYTES: Final = 16 * _KIB
INTEREST_SET_BODY_BYTES: Final = 1024 * _KIB
"""5,000 names of 164 characters, with their quotes and commas."""

_INTEREST_PATTERN: Final = r"^[a-zA-Z0-9_\\-=@,.;]+$"
"""As Beams prints it, with its own escape."""

_LIMIT: Final = re.compile(r"[0-9]{1,9}")
_NO_BUNDLE_ID: Final = "missing-bundle-id"
"""What the iOS SDK sends when its app has none."""


def bad_request(description: str) -> Problem:
    """The answer to a request that no retry will make right."""
    return Problem(400, "Bad request", description)


# --- publishing ----------------------------------------------------------------------


def read_target(body: Mapping[str, Any], kind: type[Target]) -> Target:
    """
    Whom a publish addresses.

    The other kind's key is ignored: Go's SDK leaves it in the body (contract §2.3).

    Raises:
        Problem: 422.
    """
    if kind is ToUsers:
        users = read_names(
            dict(body), "users", most=MOST_USERS_OF_A_PUBLISH, check_name=_check_user
        )
        return ToUsers(tuple(UserId(name) for name in users))
    interests = read_names(
        dict(body), "interests", most=MOST_INTERESTS_OF_A_PUBLISH, check_name=_check_interest
    )
    return ToInterests(tuple(Interest(name) for name in interests))


def read_own_hook(body: Mapping[str, Any]) -> OwnHook | None:
    """
    Where a publish wants to be told of, by the older hook (contract §8); None if nowhere.

    Raises:
        Problem: 422.
    """
    if "webhookUrl" not in body:
        return None
    url = body["webhookUrl"]
    a(str)("webhookUrl", url)
    if problem := url_problem(url):
        raise unprocessable("webhookUrl", problem)
    return OwnHook(NAME, url, msgspec.json.encode(body))


def _check_user(field: str, name: str) -> None:
    if not name:
        raise unprocessable(field, "String length must be greater than or equal to 1")
    if len(name) > LONGEST_USER_ID:
        raise unprocessable(field, f"String length must be less than or equal to {LONGEST_USER_ID}")
    problem = user_problem(name, longest=LONGEST_USER_ID)
    if problem is not None:
        raise unprocessable(field, problem)


def _check_interest(field: str, name: str) -> None:
    if len(name) > LONGEST_INTEREST:
        raise unprocessable(
            field, f"String length must be less than or equal to {LONGEST_INTEREST}"
        )
    if not addresses.is_interest(name):
        raise unprocessable(field, f"Does not match pattern '{_INTEREST_PATTERN}'")


# --- devices -------------------------------------------------------------------------


def read_address(gateway: Gateway, body: Mapping[str, Any]) -> Address:
    """
    Where a device that registers is reached.

    Raises:
        Problem: 400.
    """
    token = body.get("token")
    if not isinstance(token, str) or not token:
        raise bad_request("`token` is required, and must be a non-empty string")
    try:
        match gateway:
            case Gateway.APNS:
                return addresses.apns_address(token, _topic(body.get("bundleIdentifier")))
            case Gateway.FCM:
                return addresses.fcm_address(token)
            case Gateway.WEB:
                return _web_address(token)
    except ValueError as problem:
        raise bad_request(str(problem)) from None


def _topic(bundle_id: object) -> str | None:
    if bundle_id in (None, _NO_BUNDLE_ID):
        return None
    if not isinstance(bundle_id, str) or not addresses.is_topic(bundle_id):
        raise bad_request("`bundleIdentifier` must be a bundle id")
    return bundle_id


def read_metadata(body: object) -> dict[str, Any]:
    """
    What a device says about itself; nothing if it says nothing.

    Raises:
        Problem: 400, if it is no object.
    """
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise bad_request("`metadata` must be an object")
    return body


def read_interest(name: str) -> Interest:
    """
    The interest that a path names.

    Raises:
        Problem: 400.
    """
    if not addresses.is_interest(name):
        raise bad_request(
            "Invalid interest name: 1 to 164 letters, digits and characters of _-=@,.;"
        )
    return Interest(name)


def read_interests(body: Mapping[str, Any]) -> list[Interest]:
    """
    The whole set of interests that a device wants.

    Raises:
        Problem: 400.
    """
    names = body.get("interests")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_request("`interests` is required, and must be a list of strings")
    return [read_interest(name) for name in names]


def read_page(query: Mapping[str, str]) -> tuple[int, str]:
    """
    How many interests to answer, and after which name: from ``limit`` and ``cursor``.

    Raises:
        Problem: 400.
    """
    limit = query.get("limit", str(LONGEST_PAGE))
    if _LIMIT.fullmatch(limit) is None or not 1 <= int(limit) <= LONGEST_PAGE:
        raise bad_request(f"`limit` must be 1 to {LONGEST_PAGE}")
    cursor = query.get("cursor", "")
    try:
        after = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii")
    except (ValueError, UnicodeError):
        raise bad_request("`cursor` is none of ours") from None
    if "\x00" in after:
        raise bad_request("`cursor` is none of ours")
    return int(limit), after


def write_cursor(last: Interest) -> str:
    """The cursor that ``read_page`` understands as "after this name"."""
    return base64.urlsafe_b64encode(last.encode("ascii")).decode("ascii")


def _web_address(token: str) -> WebAddress:
    """A browser's subscription, as its SDK sends it: the JSON of it in base64."""
    try:
        text = addresses.from_base64(token)
    except ValueError:
        text = b""
    try:
        return addresses.web_address(text)
    except ValueError as problem:
        if str(problem).startswith("it is no"):
            sentence = "The device token must be the base64 of a PushSubscription's JSON"
            raise bad_request(sentence) from None
        raise


# --- users ---------------------------------------------------------------------------


def read_user_in_path(raw_path: bytes, *, prefix: str) -> UserId:
    """
    The user id that is the rest of a path.

    Percent escapes are decoded and a plus stays a plus; a slash belongs to the id,
    for Python's SDK does not escape it (contract §5).

    Args:
        raw_path: The path as it was sent.
        prefix: What stands before the id, with its slash at the end.

    Raises:
        Problem: 400, or 404 if there is nothing, as if there were no such path.
    """
    path = unquote_to_bytes(raw_path.partition(b"?")[0])
    _, _, rest = path.partition(prefix.encode("ascii"))
    try:
        user = rest.decode()
    except UnicodeDecodeError:
        raise bad_request("'User id' is not valid UTF-8") from None
    if not user:
        raise Problem(404, "Not found", "The path must end with a user id")
    problem = user_problem(user, longest=LONGEST_USER_ID)
    if problem is not None:
        raise bad_request(f"'User id' {problem}")
    return UserId(user)


def read_payloads(body: Mapping[str, Any]) -> dict[Gateway, dict[str, Any]]:
    """
    What a publish says to each gateway; at least one of them.

    Raises:
        Problem: 422.
    """
    payloads = {}
    for gateway in Gateway:
        if gateway in body:
            a(dict)(str(gateway), body[gateway])
            payloads[gateway] = body[gateway]
    if not payloads:
        raise Problem(
            422, "Unprocessable Entity", "at least one of `apns`, `fcm` and `web` is required"
        )
    return payloads
