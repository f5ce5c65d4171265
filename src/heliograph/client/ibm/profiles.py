"""
What IBM's client SDKs do with each answer, as data.

The sources are contract §2.5 and §3.2 to §4.5, and behind them the SDKs: BMSPush 3.6.0 for
iOS, push 3.x for Android, BMSPushSDK.js. None of them ever asks again by itself.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

Kind = Literal["ios", "android", "web"]
"""Whose code it is."""


class Call(StrEnum):
    """The calls that an SDK tells apart by what it makes of their answers."""

    SENDER = "sender"
    """Who sends through FCM; Android asks before each registration (§3.3)."""
    VERIFY = "verify"
    """Is this device registered?"""
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    TAGS = "tags"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SUBSCRIPTIONS = "subscriptions"


class Reaction(StrEnum):
    """What an SDK does when a call is not answered as it should be."""

    TELL = "tell"
    """Calls the app back with a failure."""
    CREATE = "create"
    """Takes the device for one that is not registered."""
    SILENCE = "silence"
    """Does nothing more; the app waits for ever."""
    CRASH = "crash"
    """Ends the app."""


class Code(StrEnum):
    """The number that goes with a failure, where it is not the SDK's own."""

    STATUS = "status"
    BLANK = "blank"
    """None: the web SDK means to give the status, and gives ``window.status`` (§2.5)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What each answer to one call leads to."""

    good: Container[int]
    """The statuses that are a success."""
    otherwise: Reaction = Reaction.TELL
    unanswered: Reaction = Reaction.TELL
    by_status: Mapping[int, Reaction] = field(default_factory=dict)
    code: int | Code = Code.STATUS
    """What the app is told with a failure."""
    code_unanswered: int | Code = 0

    def reaction(self, status: int | None) -> Reaction | None:
        """What follows; None is a success. A status of None is a connection that failed."""
        if status is None:
            return self.unanswered
        if status in self.good:
            return None
        return self.by_status.get(status, self.otherwise)

    def told(self, status: int | None) -> int | None:
        """The number that the app is told."""
        match self.code_unanswered if status is None else self.code:
            case Code.STATUS:
                return status
            case Code.BLANK:
                return None
            case int(code):
                return code


@dataclass(frozen=True, slots=True)
class Profile:
    """One of IBM's SDKs, on one platform."""

    name: str
    kind: Kind
    platform: str
    """Its letter, or word, in a registration (§3.1)."""
    content_type: str
    accept: str | None
    """``Accept``; None: it is not sent."""
    is_rewriting: bool
    """Whether ``X-REWRITE-DOMAIN`` is sent (§1.3)."""
    needs_secret: bool
    """Whether it refuses to start without a ``clientSecret`` (§2.3)."""
    answers: Mapping[Call, Answers]


def _each(statuses: Iterable[int], reaction: Reaction) -> dict[int, Reaction]:
    return dict.fromkeys(statuses, reaction)


_SPACED: Final = "application/json; charset = UTF-8"
_ANY_SUCCESS: Final = range(200, 300)
_ALMOST_ANY: Final = range(200, 301)
"""What the web SDK takes for a success of tags and subscriptions (§4.4)."""
_ODD: Final = (*range(201, 300), *range(300, 400))
"""Answers to the first call that are neither 200 nor an error: iOS has no error to show then."""

IOS: Final = Profile(
    name="ios",
    kind="ios",
    platform="A",
    content_type=_SPACED,
    accept=None,
    is_rewriting=True,
    needs_secret=True,
    answers={
        Call.VERIFY: Answers(
            {200},
            by_status={404: Reaction.CREATE} | _each(_ODD, Reaction.CRASH),
            code_unanswered=3,
        ),
        Call.CREATE: Answers({201}, code=4, code_unanswered=4),
        Call.UPDATE: Answers({200}, code=4, code_unanswered=5),
        Call.DELETE: Answers({204}, code=10, code_unanswered=10),
        Call.TAGS: Answers({200}, code=7, code_unanswered=7),
        Call.SUBSCRIBE: Answers({207}, code=8, code_unanswered=8),
        Call.UNSUBSCRIBE: Answers(range(100, 600), code_unanswered=9),
        Call.SUBSCRIPTIONS: Answers({200}, code=6, code_unanswered=6),
    },
)

ANDROID: Final = Profile(
    name="android",
    kind="android",
    platform="G",
    content_type="application/json",
    accept="application/json",
    is_rewriting=True,
    needs_secret=True,
    answers=dict.fromkeys(Call, Answers(_ANY_SUCCESS))
    | {Call.VERIFY: Answers(_ANY_SUCCESS, Reaction.CREATE, Reaction.CREATE)},
)


def _browser(name: str, platform: str) -> Profile:
    listing = Answers(_ALMOST_ANY)
    return Profile(
        name=name,
        kind="web",
        platform=platform,
        content_type=_SPACED,
        accept=None,
        is_rewriting=False,
        needs_secret=False,
        answers={
            Call.VERIFY: Answers(
                {200},
                Reaction.SILENCE,
                by_status={404: Reaction.CREATE} | _each((406, 500), Reaction.TELL),
                code=Code.BLANK,
                code_unanswered=Code.BLANK,
            ),
            Call.CREATE: Answers({201}, code=Code.BLANK, code_unanswered=Code.BLANK),
            Call.UPDATE: Answers({200, 201}, code=Code.BLANK, code_unanswered=Code.BLANK),
            Call.DELETE: Answers({204}),
            Call.TAGS: listing,
            Call.SUBSCRIBE: listing,
            Call.UNSUBSCRIBE: listing,
            Call.SUBSCRIPTIONS: listing,
        },
    )


CHROME: Final = _browser("chrome", "WEB_CHROME")
FIREFOX: Final = _browser("firefox", "WEB_FIREFOX")
SAFARI: Final = _browser("safari", "WEB_SAFARI")

PROFILES: Final = {each.name: each for each in (IOS, ANDROID, CHROME, FIREFOX, SAFARI)}


def profile(name: str) -> Profile:
    """Read a profile's name; ValueError for one that we do not know."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"profile {name!r} is none of {', '.join(PROFILES)}") from None
