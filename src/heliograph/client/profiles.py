"""
What the official SDKs of Beams do with each answer, as data.

A profile says how one SDK writes its requests, and what it makes of every answer; the
rules that need more than a table are in ``mobile`` and ``browser``. The source is the
contract of Beams' wire protocol, §4 and §7, and behind it the SDKs: iOS 4.0.0,
Android's last commit (1.9.2 and after), web 2.1.0.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

import httpx

from heliograph.client.state import Platform


class Reaction(StrEnum):
    """What an SDK does when a call is not answered as it should be."""

    RETRY = "retry"
    """Waits, and asks again, for as long as it takes."""
    DROP = "drop"
    """Goes on as if nothing had been asked; the app does not hear of it."""
    TELL = "tell"
    """Goes on, and the app is told."""
    RECREATE = "recreate"
    """Registers the device anew with all it had, and asks again."""
    RESTART = "restart"
    """Registers once more, at once, after what is in the queue already."""
    CRASH = "crash"
    """Ends the app: nobody catches it. What was asked is still in the queue afterwards."""


class Call(StrEnum):
    """The calls that an SDK tells apart by what it does when they fail."""

    REGISTER = "register"
    CHANGE = "change"
    """Of one interest, of all, or of the token."""
    RESTORE = "restore"
    """The interests that follow a registration."""
    CATCH_UP = "catch up"
    """Metadata and interests, when the app starts."""
    USER = "user"
    USER_AGAIN = "user again"
    """The user of a device that was created anew."""
    DELETE = "delete"
    REPORT = "report"
    KEY = "key"
    """The key that browsers subscribe with."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What each answer to one call leads to; no answer at all is ``otherwise``."""

    otherwise: Reaction
    by_status: Mapping[int, Reaction] = field(default_factory=dict)
    by_error: Mapping[str, Reaction] = field(default_factory=dict)
    """By the title of the error; for statuses that are not named."""
    by_description: Mapping[str, Reaction] = field(default_factory=dict)
    """By the whole description of the error; for statuses that are not named."""

    def reaction(self, status: int | None, error: str = "", description: str = "") -> Reaction:
        """What follows; a status of None is a connection that failed."""
        if status is not None and status in self.by_status:
            return self.by_status[status]
        if error in self.by_error:
            return self.by_error[error]
        return self.by_description.get(description, self.otherwise)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long an SDK waits before it asks again; it never gives up."""

    first_seconds: float
    most_seconds: float

    def __iter__(self) -> Iterator[float]:
        """Each is twice as long as the last, and none longer than the longest."""
        wait = self.first_seconds
        while True:
            yield wait
            wait = min(wait * 2, self.most_seconds)


Query = Literal["replaced", "kept", "appended"]
"""What becomes of a query that the URL of the app's back end has already (§6)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One official SDK."""

    name: str
    platform: Platform
    sdk_version: str
    library: str | None
    """``X-Pusher-Library``; None: it is not sent."""
    content_type: str
    has_type_without_body: bool
    """Whether requests without a body have a content type too (§4.1)."""
    waits: Waits
    report_waits: Waits
    reports_apart: bool
    """Whether reports go out beside the queue, once for each publish, or in it."""
    replays_all: bool
    """Whether a registration looks at changes that were asked for after it, too."""
    needs_interests: bool
    """Whether a reply to a registration without ``initialInterestSet`` is a failure."""
    hash_separator: str
    """Between the names of a set of interests whose hash is taken (§4.4)."""
    query: Query
    answers: Mapping[Call, Answers]

    def interests_hash(self, interests: Iterable[str]) -> str:
        """A name for a set of interests, by which an SDK knows if it told the server (§4.4)."""
        joined = self.hash_separator.join(sorted(interests)).encode()
        digest = hashlib.md5(joined, usedforsecurity=False).hexdigest()
        return digest.upper() if self.platform == "apns" else f"{int(digest, 16):x}"

    def request(
        self,
        method: str,
        url: str,
        body: Mapping[str, object] | None = None,
        *,
        bearer: str | None = None,
    ) -> httpx.Request:
        """Write a request with the headers that this SDK sets (§4.1)."""
        headers = {} if self.library is None else {"x-pusher-library": self.library}
        if body is not None or self.has_type_without_body:
            headers["content-type"] = self.content_type
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return httpx.Request(method, url, headers=headers, content=content)


def _each(statuses: Iterable[int], reaction: Reaction) -> dict[int, Reaction]:
    return dict.fromkeys(statuses, reaction)


_BEAMS_WAITS: Final = 64.0
_DENIED: Final = (400, 401, 403)

_FATAL: Final = "Device could not be created"
"""What iOS gives up at, whatever the status (since March 2022)."""


def _ios(refused: Reaction, not_found: Reaction) -> Answers:
    return Answers(
        Reaction.RETRY,
        _each(_DENIED, refused) | {404: not_found},
        by_description={_FATAL: refused},
    )


IOS: Final = Profile(
    name="ios",
    platform="apns",
    sdk_version="4.0.0",
    library="push-notifications-swift 4.0.0",
    content_type="application/json",
    has_type_without_body=True,
    waits=Waits(0.4, _BEAMS_WAITS),
    report_waits=Waits(0.4, _BEAMS_WAITS),
    reports_apart=False,
    replays_all=True,
    needs_interests=False,
    hash_separator=",",
    query="replaced",
    answers={
        Call.REGISTER: _ios(Reaction.DROP, Reaction.DROP),
        Call.CHANGE: _ios(Reaction.DROP, Reaction.RECREATE),
        Call.RESTORE: _ios(Reaction.DROP, Reaction.DROP),
        Call.CATCH_UP: Answers(Reaction.DROP),
        Call.USER: _ios(Reaction.TELL, Reaction.TELL),
        Call.USER_AGAIN: _ios(Reaction.DROP, Reaction.DROP),
        Call.DELETE: _ios(Reaction.DROP, Reaction.DROP),
        Call.REPORT: _ios(Reaction.DROP, Reaction.RECREATE),
    },
)
"""iOS and macOS (§4.9, first table)."""

ANDROID: Final = Profile(
    name="android",
    platform="fcm",
    sdk_version="1.9.2",
    library="push-notifications-android 1.9.2",
    content_type="application/json; charset=UTF-8",
    has_type_without_body=False,
    waits=Waits(0.2, _BEAMS_WAITS),
    report_waits=Waits(30.0, 5 * 3600.0),  # WorkManager's own
    reports_apart=True,
    replays_all=False,
    needs_interests=True,
    hash_separator=", ",
    query="kept",
    answers={
        Call.REGISTER: Answers(Reaction.RETRY, by_error={"InvalidToken": Reaction.RESTART}),
        Call.CHANGE: Answers(Reaction.RETRY, {400: Reaction.DROP, 404: Reaction.RECREATE}),
        Call.RESTORE: Answers(Reaction.RETRY, _each((400, 404), Reaction.CRASH)),
        Call.CATCH_UP: Answers(Reaction.DROP),
        Call.USER: Answers(
            Reaction.RETRY, _each((*_DENIED, 422), Reaction.TELL) | {404: Reaction.RECREATE}
        ),
        Call.USER_AGAIN: Answers(Reaction.RETRY, _each((*_DENIED, 404, 422), Reaction.DROP)),
        Call.DELETE: Answers(Reaction.RETRY),
        Call.REPORT: Answers(Reaction.RETRY, _each(range(400, 500), Reaction.DROP)),
    },
)
"""Android (§4.9, second table)."""

WEB: Final = Profile(
    name="web",
    platform="web",
    sdk_version="2.1.0",
    library=None,
    content_type="application/json",
    has_type_without_body=False,
    waits=Waits(0.0, 0.0),
    report_waits=Waits(0.0, 0.0),
    reports_apart=True,
    replays_all=False,
    needs_interests=False,
    hash_separator="",
    query="appended",
    answers=dict.fromkeys(Call, Answers(Reaction.TELL)) | {Call.REPORT: Answers(Reaction.DROP)},
)
"""The web SDK: it repeats nothing, and every promise is rejected that should be (§4.9)."""

PROFILES: Final = {each.name: each for each in (IOS, ANDROID, WEB)}


def profile(name: str) -> Profile:
    """Read a profile's name; ValueError for one that we do not know."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"profile {name!r} is none of {', '.join(PROFILES)}") from None
