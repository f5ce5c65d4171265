"""What a device keeps from one launch to the next: its id. All else an app says each time."""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Protocol

from heliograph.client.files import read, replace

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """What is stored."""

    profile: str
    device_id: str | None
    """None after a browser has unregistered: it then forgets its id (§3.5)."""


class Store(Protocol):
    """Where a state is kept."""

    def load(self) -> State | None:
        """Return what was saved last; None if nothing was."""

    def save(self, state: State) -> None:
        """Keep this state in place of the last."""


class MemoryStore:
    """Keeps the state as long as the process, or the test, lasts."""

    def __init__(self) -> None:
        self._state: State | None = None

    def load(self) -> State | None:
        """Return what was saved last; None if nothing was."""
        return self._state

    def save(self, state: State) -> None:
        """Keep this state in place of the last."""
        self._state = state


class FileStore:
    """Keeps the state in a JSON file (``client.files``); one file is for one device."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> State | None:
        """Read the file; None if there is none. Raises StateError: it is not one of ours."""
        return read(self._path, _from_json)

    def save(self, state: State) -> None:
        """Replace the file."""
        document = {
            "version": _VERSION,
            "dialect": "ibm",
            "profile": state.profile,
            "device_id": state.device_id,
        }
        replace(self._path, json.dumps(document, indent=2).encode())


def _from_json(content: bytes) -> State:
    document = json.loads(content)
    if (document["dialect"], document["version"]) != ("ibm", _VERSION):
        raise ValueError(f"dialect and version are {document['dialect']}, {document['version']}")
    profile, device_id = document["profile"], document["device_id"]
    if not isinstance(profile, str) or not isinstance(device_id, str | None):
        raise TypeError("profile and device_id are strings")
    return State(profile, device_id)
