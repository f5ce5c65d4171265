"""What a device remembers from one launch to the next, and where."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, Self, get_args

from heliograph.client.files import read, replace
from heliograph.client.jobs import Job, jobs_from_json, jobs_to_json

Platform = Literal["apns", "fcm", "web"]
"""Which push service the device's address belongs to."""

PLATFORMS: Final[tuple[Platform, ...]] = get_args(Platform)

_VERSION: Final = 1


def platform(name: object) -> Platform:
    """Read a platform's name; ValueError for one that we do not know."""
    for known in PLATFORMS:
        if name == known:
            return known
    raise ValueError(f"platform {name!r} is none of {', '.join(PLATFORMS)}")


@dataclass(frozen=True, slots=True)
class Changes:
    """
    What the app did to a set of interests, whatever that set may be.

    Before registration we do not know the interests that the server has for us, so
    the app's changes are kept in this form and applied to them later.
    """

    replaces: bool = False
    """Nothing of the set remains but ``added``."""
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether every set stays as it is."""
        return not (self.replaces or self.added or self.removed)

    def adding(self, interest: str) -> Self:
        """These changes, and then one more interest."""
        return type(self)(self.replaces, self.added | {interest}, self.removed - {interest})

    def removing(self, interest: str) -> Self:
        """These changes, and then one interest less."""
        return type(self)(self.replaces, self.added - {interest}, self.removed | {interest})

    def setting(self, interests: Iterable[str]) -> Self:
        """Exactly these interests, whatever there was."""
        return type(self)(replaces=True, added=frozenset(interests))

    def apply(self, interests: frozenset[str]) -> frozenset[str]:
        """The set that the changes make of this one."""
        kept = frozenset[str]() if self.replaces else interests - self.removed
        return kept | self.added


@dataclass(frozen=True, slots=True)
class State:
    """All that a started device knows. The token provider is not part of it, as on iOS."""

    instance_id: str
    platform: Platform
    device_id: str | None = None
    """None until registered."""
    token: str | None = None
    """The address at the push service, as it was sent; None until registered once."""
    bundle_identifier: str | None = None
    user_id: str | None = None
    interests: frozenset[str] = frozenset()
    """What the server has, as far as we were told."""
    changes: Changes = field(default_factory=Changes)
    """What the app wants beyond that, and the server does not have yet."""
    is_certain: bool = True
    """False while the server may or may not have acted on a change of interests."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """As the server was told."""
    profile: str | None = None
    """The official SDK that is imitated; None: our own rules, and none of what follows."""
    claimed_user: str | None = None
    """Who was to be logged in since the last stop; ``user_id`` is who is."""
    confirmed_hash: str | None = None
    """Of the interests that the server was told when the app started."""
    jobs: tuple[Job, ...] = ()
    """What is still to be done, in order."""

    @property
    def wanted_interests(self) -> frozenset[str]:
        """The interests as the app sees them."""
        return self.changes.apply(self.interests)

    @property
    def is_in_step(self) -> bool:
        """Whether the server is known to have the interests that the app wants."""
        return self.is_certain and self.changes.is_empty


class Store(Protocol):
    """Where a state is kept."""

    def load(self) -> State | None:
        """Return what was saved last; None if nothing was."""

    def save(self, state: State | None) -> None:
        """Keep this state in place of the last; None forgets it."""


class MemoryStore:
    """Keeps the state as long as the process, or the test, lasts."""

    def __init__(self) -> None:
        self._state: State | None = None

    def load(self) -> State | None:
        """Return what was saved last; None if nothing was."""
        return self._state

    def save(self, state: State | None) -> None:
        """Keep this state in place of the last; None forgets it."""
        self._state = state


class FileStore:
    """Keeps the state in a JSON file (``files``); one file is for one device."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> State | None:
        """
        Read the file; None if there is none.

        Raises:
            StateError: It is not one of ours. It is left as it is: to begin anew would
                leave a device behind that still receives the user's notifications.
        """
        return read(self._path, state_from_json)

    def save(self, state: State | None) -> None:
        """Replace the file, or remove it for None."""
        replace(self._path, None if state is None else state_to_json(state))


def state_to_json(state: State) -> bytes:
    """Write a state as the JSON document that ``state_from_json`` reads."""
    document = {
        "version": _VERSION,
        "instance_id": state.instance_id,
        "platform": state.platform,
        "device_id": state.device_id,
        "token": state.token,
        "bundle_identifier": state.bundle_identifier,
        "user_id": state.user_id,
        "interests": sorted(state.interests),
        "changes": {
            "replaces": state.changes.replaces,
            "added": sorted(state.changes.added),
            "removed": sorted(state.changes.removed),
        },
        "is_certain": state.is_certain,
        "metadata": dict(state.metadata),
        "profile": state.profile,
        "claimed_user": state.claimed_user,
        "confirmed_hash": state.confirmed_hash,
        "jobs": jobs_to_json(state.jobs),
    }
    return json.dumps(document, indent=2).encode()


def state_from_json(content: bytes) -> State:
    """
    Read what ``state_to_json`` wrote.

    Raises:
        ValueError, KeyError, TypeError: It is something else.
    """
    document = _object(json.loads(content))
    if document["version"] != _VERSION:
        raise ValueError(f"version {document['version']!r} is not {_VERSION}")
    changes = _object(document["changes"])
    return State(
        instance_id=_text(document["instance_id"]),
        platform=platform(document["platform"]),
        device_id=_text_or_none(document["device_id"]),
        token=_text_or_none(document["token"]),
        bundle_identifier=_text_or_none(document["bundle_identifier"]),
        user_id=_text_or_none(document["user_id"]),
        interests=_texts(document["interests"]),
        changes=Changes(
            replaces=_claim(changes["replaces"]),
            added=_texts(changes["added"]),
            removed=_texts(changes["removed"]),
        ),
        is_certain=_claim(document["is_certain"]),
        metadata={key: _text(value) for key, value in _object(document["metadata"]).items()},
        # A file of 0.1.0 has none of these.
        profile=_text_or_none(document.get("profile")),
        claimed_user=_text_or_none(document.get("claimed_user")),
        confirmed_hash=_text_or_none(document.get("confirmed_hash")),
        jobs=jobs_from_json(_objects(document.get("jobs", []))),
    )


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value


def _objects(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return [_object(item) for item in value]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {type(value).__name__}")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _claim(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"true or false was expected, not {type(value).__name__}")
    return value


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return frozenset(_text(item) for item in value)
