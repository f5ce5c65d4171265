"""
What the mobile SDKs still have to do: a queue that outlives the app. Pure.

The app's calls become jobs, which are done one after the other. Before the device is
registered nothing but a registration is done; it then takes into account what waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Register:
    """Register under an address."""

    token: str


@dataclass(frozen=True, slots=True)
class Launch:
    """The app was started: tell the server what it does not know yet."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Add an interest."""

    interest: str
    is_news: bool = True
    """Whether the device did not have it; if it had, there is nothing to be told."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Remove an interest."""

    interest: str
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class SetInterests:
    """Have exactly these interests."""

    interests: frozenset[str]
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class Refresh:
    """Tell the address that the device has now (Android)."""

    token: str


@dataclass(frozen=True, slots=True)
class LogIn:
    """Bind the device to a user. Forgotten when the app ends: its token provider is."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Delete the device."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell of a notification that arrived, or was opened."""

    event: Mapping[str, object]


Job: TypeAlias = (
    Register | Launch | Subscribe | Unsubscribe | SetInterests | Refresh | LogIn | Stop | Report
)

_KINDS: Final[dict[str, type[Job]]] = {
    each.__name__: each
    for each in (Register, Launch, Subscribe, Unsubscribe, SetInterests, Refresh, Stop, Report)
}

_TYPES: Final[dict[str, type]] = {
    "token": str,
    "interest": str,
    "interests": list,
    "is_news": bool,
    "event": dict,
}


def replay(jobs: Iterable[Job], interests: frozenset[str]) -> tuple[frozenset[str], list[Job]]:
    """
    Lay what waits in the queue over the interests that the server has (§4.3).

    Returns:
        The interests that the device is to have, and what is to be done once it has
        them. A stop undoes all that was asked before it.
    """
    wanted, outstanding = interests, list[Job]()
    for job in jobs:
        match job:
            case Subscribe(interest):
                wanted |= {interest}
            case Unsubscribe(interest):
                wanted -= {interest}
            case SetInterests(names):
                wanted = names
            case Stop():
                wanted, outstanding = interests, []
            case LogIn() | Refresh():
                outstanding.append(job)
            case Register() | Launch() | Report():
                pass
    return wanted, outstanding


def is_registered_after(jobs: Iterable[Job], is_registered: bool) -> bool:
    """Whether a device will be registered when these are done."""
    for job in jobs:
        match job:
            case Register():
                is_registered = True
            case Stop():
                is_registered = False
            case _:
                pass
    return is_registered


def lasting(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """The jobs that outlive the app."""
    return tuple(job for job in jobs if not isinstance(job, LogIn))


def jobs_to_json(jobs: Iterable[Job]) -> list[dict[str, object]]:
    """Write the jobs that outlive the app, as ``jobs_from_json`` reads them."""
    return [_to_json(job) for job in lasting(jobs)]


def jobs_from_json(documents: Iterable[Mapping[str, Any]]) -> tuple[Job, ...]:
    """
    Read what ``jobs_to_json`` wrote.

    Raises:
        KeyError, TypeError: It is something else.
    """
    return tuple(_from_json(each) for each in documents)


def _to_json(job: Job) -> dict[str, object]:
    fields = asdict(job)
    if isinstance(job, SetInterests):
        fields["interests"] = sorted(job.interests)
    return {"kind": type(job).__name__, **fields}


def _from_json(document: Mapping[str, Any]) -> Job:
    fields = {name: value for name, value in document.items() if name != "kind"}
    for name, value in fields.items():
        if not isinstance(value, _TYPES[name]):
            raise TypeError(f"{name} is a {type(value).__name__}")
    if "interests" in fields:
        fields["interests"] = frozenset(map(str, fields["interests"]))
    return _KINDS[document["kind"]](**fields)
