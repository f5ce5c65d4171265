"""
IBM's words into ours: what a message says, and whom it addresses. Pure.

A body of ``POST /messages``, or one of those in ``/messages/bulk``, is checked here before anything
is done, and only typed values travel on. Every mistake is a ``Problem`` with an FPWSE code, 400.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from heliograph.addresses import LONGEST_INTEREST
from heliograph.api.ibm.blocks import read_settings
from heliograph.api.ibm.problems import Code, invalid, problem
from heliograph.api.ibm.values import Reader, boolean, filled_text, list_of, members, name, text
from heliograph.model import (
    DeviceNumber,
    Interest,
    Platform,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    UserId,
)

PLATFORMS: Final = {
    "A": Platform.IOS,
    "G": Platform.ANDROID,
    "WEB_CHROME": Platform.CHROME,
    "WEB_FIREFOX": Platform.FIREFOX,
    "WEB_SAFARI": Platform.SAFARI,
    "APPEXT_CHROME": Platform.CHROME_APP,
}
"""IBM's words for the platforms (contract §3.1, §5.2)."""

PLATFORM_WORDS: Final = {platform: word for word, platform in PLATFORMS.items()}

EVERYBODY: Final = "Push.ALL"
"""The built-in tag that every device has (contract §4.2)."""

ANONYMOUS: Final = "anonymous"
"""Whose a device is that is nobody's; no user can be called so (contract §3.4)."""

LONGEST_USER_ID: Final = 254
"""Characters (contract §9)."""

LONGEST_DEVICE_ID: Final = 254
MOST_USERS: Final = 1000
MOST_DEVICES: Final = 1000
MOST_TAGS: Final = 100

_ECHOED: Final = ("message", "target", "settings", "validate")
_TEMPLATE: Final = re.compile(r"\{\{[^{}]+\}\}")
"""A variable as all of IBM's SDKs find it: two braces around its name (contract §5.3, §5.5)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Whom a message is for, by the names that the caller has for them.

    Within a kind one match is enough, and a device must match every kind that is named. None:
    that kind is not named; if none is, everybody is meant. No tuple is empty.
    """

    users: tuple[UserId, ...] | None = None
    devices: tuple[str, ...] | None = None
    """Each a device's name, or our id of one that has none."""
    tags: tuple[Interest, ...] | None = None
    platforms: tuple[Platform, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """One message that is to be sent, checked."""

    alert: str = field(repr=False)
    url: str | None = field(default=None, repr=False)
    target: Wanted = Wanted()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """By block; see ``blocks.read_settings``."""
    validate: bool = False
    """Whether it is refused if there is nobody to send it to."""
    request: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the caller wrote of it, to be echoed (contract §5.1)."""

    @property
    def is_template(self) -> bool:
        """Whether devices put values of their own into its text (contract §8)."""
        return _TEMPLATE.search(self.alert) is not None

    def block(self, block: str) -> Mapping[str, Any]:
        """What the settings say to one kind of app; nothing if they do not mention it."""
        return self.settings.get(block, {})


def read_sending(body: object, *, place: str = "") -> Sending:
    """
    One message, as a caller asks for it.

    Args:
        body: The JSON of it.
        place: What comes before the names of its parameters in a mistake's sentence: where it
            stands among several.

    Raises:
        Problem: 400.
    """
    if not isinstance(body, dict):
        raise problem(Code.INVALID_JSON, f"{place or 'The body: '}a message must be an object.")
    if body.get("message") is None:
        raise invalid(f"{place}message", "it is required")
    message = _MESSAGE(f"{place}message", body["message"])
    settings, validate = body.get("settings"), body.get("validate")
    return Sending(
        alert=message["alert"],
        url=message.get("url"),
        target=read_target(body, place=place),
        settings={} if settings is None else read_settings(f"{place}settings", settings),
        validate=False if validate is None else boolean(f"{place}validate", validate),
        request={each: body[each] for each in _ECHOED if each in body},
    )


def read_target(body: Mapping[str, Any], *, place: str = "") -> Wanted:
    """
    Whom a body's ``target`` names; without one, or with an empty one, everybody (contract §5.2).

    The client on PyPI writes ``platform`` where it means ``platforms``: it is read as that if
    there are no ``platforms``.

    Raises:
        Problem: 400.
    """
    parameter = f"{place}target"
    target = body.get("target")
    if target is None:
        return Wanted()
    named = _TARGET(parameter, _with_platforms(target))
    users = _each_once(parameter, named, "userIds", most=MOST_USERS)
    if users is not None and ANONYMOUS in users:
        raise invalid(f"{parameter}.userIds", f"'{ANONYMOUS}' is no user")
    tags = _each_once(parameter, named, "tagNames", most=MOST_TAGS)
    return Wanted(
        users=users,
        devices=_each_once(parameter, named, "deviceIds", most=MOST_DEVICES),
        tags=None if tags is not None and EVERYBODY in tags else tags,
        platforms=_each_once(parameter, named, "platforms", most=len(PLATFORMS)),
    )


def to_target(wanted: Wanted, devices: Sequence[DeviceNumber] | None) -> Target:
    """
    Whom a message addresses, in our words.

    Args:
        wanted: Whom the caller named.
        devices: Those of the named devices that there are; None if none were named.
    """
    match wanted.users, devices, wanted.tags, wanted.platforms:
        case tuple() as users, None, None, None:
            return ToUsers(users)
        case None, None, tuple() as tags, None:
            return ToInterests(tags)
        case users, _, tags, platforms:
            numbers = None if devices is None else tuple(devices)
            return ToMatching(numbers, users, tags, platforms)


def tag_name(parameter: str, value: Any) -> Interest:
    """
    The name of a tag: 1 to 164 printable characters.

    Raises:
        Problem: 400.
    """
    is_short = isinstance(value, str) and 1 <= len(value) <= LONGEST_INTEREST
    if not is_short or not value.isprintable():
        raise invalid(parameter, f"it must be 1 to {LONGEST_INTEREST} printable characters")
    return Interest(value)


def platform(parameter: str, value: Any) -> Platform:
    """
    The platform that a word means, in whatever case it is written.

    Raises:
        Problem: 400.
    """
    meant = PLATFORMS.get(value.upper()) if isinstance(value, str) else None
    if meant is None:
        raise invalid(parameter, f"it must be one of {', '.join(PLATFORMS)}")
    return meant


def _with_platforms(target: Any) -> Any:
    if isinstance(target, dict) and not target.get("platforms"):
        return target | {"platforms": target.get("platform")}
    return target


def _each_once(
    parameter: str, named: Mapping[str, Any], kind: str, *, most: int
) -> tuple[Any, ...] | None:
    """The names of a kind, each once; None if there are none."""
    names = tuple(dict.fromkeys(named.get(kind, ())))
    if len(names) > most:
        raise invalid(f"{parameter}.{kind}", f"it may have at most {most}")
    return names or None


_MESSAGE: Final = members({"alert": filled_text, "url": text}, needed=("alert",))
_TARGET_READERS: Final[dict[str, Reader]] = {
    "userIds": list_of(name(LONGEST_USER_ID)),
    "deviceIds": list_of(name(LONGEST_DEVICE_ID)),
    "tagNames": list_of(tag_name),
    "platforms": list_of(platform),
}
_TARGET: Final = members(_TARGET_READERS)
