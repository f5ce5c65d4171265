"""
Notification channels of Android, and the groups they are shown in (contract §2.2, §5.4).

IBM had them; their paths and bodies are in no source, so both are ours. A message names a channel
by its ``channelId``, and its devices get all of it, so that their SDK can create it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm import document
from heliograph.api.ibm.blocks import COLOURS
from heliograph.api.ibm.document import DIALECT, Document
from heliograph.api.ibm.door import Door, Entry, json_response, read_body
from heliograph.api.ibm.problems import Code, invalid, not_found, problem
from heliograph.api.ibm.values import Reader, boolean, integer, list_of, name, one_of, text
from heliograph.instances import Change, Instance, Instances

Kind = Literal["channels", "channelGroups"]

MOST: Final = 100
"""Channels of one instance, and as many groups."""

_LONGEST: Final = 254
_LONGEST_TEXT: Final = 500
_LONGEST_VIBRATION: Final = 60_000
_MOST_VIBRATIONS: Final = 32
_HIGHEST_IMPORTANCE: Final = 5


class Channels:
    """The handlers, and what they need."""

    def __init__(self, door: Door, instances: Instances) -> None:
        """Serve the channels of instances behind a door."""
        self._door = door
        self._instances = instances

    def entries(self) -> list[Entry]:
        """Every path."""
        return [
            entry
            for kind in ("channels", "channelGroups")
            for entry in (
                ("GET", f"/{kind}", self.list_all),
                ("POST", f"/{kind}", self.create),
                ("GET", f"/{kind}/{{id:path}}", self.show),
                ("PUT", f"/{kind}/{{id:path}}", self.change),
                ("DELETE", f"/{kind}/{{id:path}}", self.delete),
            )
        ]

    async def create(self, request: Request) -> Response:
        """Define a channel, or a group."""
        instance = await self._door.backend(request)
        kind = _kind(request)
        given = read(kind, await read_body(request))
        await self._instances.change_document(instance.id, DIALECT, _added(kind, given))
        return json_response(given, status=201)

    async def list_all(self, request: Request) -> Response:
        """All of them, in the order in which they were defined."""
        instance = await self._door.backend(request)
        kind = _kind(request)
        return json_response({kind: list(_of(document.of(instance), kind).values())})

    async def show(self, request: Request) -> Response:
        """One of them."""
        instance = await self._door.backend(request)
        kind = _kind(request)
        known = _of(document.of(instance), kind).get(request.path_params["id"])
        if known is None:
            raise not_found(_ID[kind], _ID[kind])
        return json_response(known)

    async def change(self, request: Request) -> Response:
        """Define it anew; Android changes nothing but its name where it is there already."""
        instance = await self._door.backend(request)
        kind, identity = _kind(request), request.path_params["id"]
        given = read(kind, {_ID[kind]: identity} | await read_body(request))
        if given[_ID[kind]] != identity:
            raise invalid(_ID[kind], "it stays what it is")
        change = _replaced(kind, identity, given)
        await self._instances.change_document(instance.id, DIALECT, change)
        return json_response(given)

    async def delete(self, request: Request) -> Response:
        """Forget it here; devices keep what they have."""
        instance = await self._door.backend(request)
        change = _replaced(_kind(request), request.path_params["id"], None)
        await self._instances.change_document(instance.id, DIALECT, change)
        return Response(status_code=204)


def read(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """
    A channel or a group, checked to be what Android's SDK can read.

    Raises:
        Problem: 400.
    """
    given: dict[str, Any] = {}
    for each in _NEEDED[kind]:
        if body.get(each) is None:
            raise invalid(each, "it is required")
    for each, read_one in _READERS[kind].items():
        if body.get(each) is not None:
            value = read_one(each, body[each])
            given[each] = list(value) if isinstance(value, tuple) else value
    return given


def expanded(instance: Instance) -> dict[str, dict[str, Any]]:
    """The channels of an instance as messages take them: each with the group that it names."""
    known = document.of(instance)
    return {
        identity: _with_group(channel, known.channel_groups)
        for identity, channel in known.channels.items()
    }


def _with_group(
    channel: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    rest = {key: value for key, value in channel.items() if key != "groupId"}
    if "groupId" not in channel:
        return rest
    unnamed = {"groupId": channel["groupId"], "groupName": channel["groupId"]}
    return rest | {"groupJson": dict(groups.get(channel["groupId"], unnamed))}


def _added(kind: Kind, given: Mapping[str, Any]) -> Change:
    """Define one that there is not yet; looked at where nobody else changes it."""
    identity = given[_ID[kind]]

    def change(before: bytes | None) -> bytes | None:
        known = document.read(before)
        kept = _of(known, kind)
        if identity in kept:
            raise problem(Code.EXISTS, f"Conflict - '{identity}' exists already")
        if len(kept) >= MOST:
            raise invalid(_ID[kind], f"there may be at most {MOST}")
        return _written(known, kind, kept | {identity: dict(given)})

    return change


def _replaced(kind: Kind, identity: str, given: Mapping[str, Any] | None) -> Change:
    """Define one anew that there is, in its place; None forgets it."""

    def change(before: bytes | None) -> bytes | None:
        known = document.read(before)
        kept = _of(known, kind)
        if identity not in kept:
            raise not_found(_ID[kind], _ID[kind])
        if given is not None:
            return _written(known, kind, kept | {identity: dict(given)})
        rest = {each: value for each, value in kept.items() if each != identity}
        return _written(known, kind, rest)

    return change


def _written(known: Document, kind: Kind, kept: dict[str, dict[str, Any]]) -> bytes | None:
    if kind == "channels":
        return document.write(Document(known.settings, kept, known.channel_groups))
    return document.write(Document(known.settings, known.channels, kept))


def _of(known: Document, kind: Kind) -> dict[str, dict[str, Any]]:
    return known.channels if kind == "channels" else known.channel_groups


def _kind(request: Request) -> Kind:
    """Which of the two a path is about: its first part below the instance says so."""
    rest = request.url.path.split("/apps/", 1)[1].split("/")
    return "channels" if rest[1] == "channels" else "channelGroups"


def _short_text(parameter: str, value: Any) -> str:
    """Text that leaves room for a message beside it: Google takes 4,096 bytes of both."""
    read = text(parameter, value)
    if len(read) > _LONGEST_TEXT:
        raise invalid(parameter, f"it must have at most {_LONGEST_TEXT} characters")
    return read


def _vibration(parameter: str, value: Any) -> tuple[int, ...]:
    read: tuple[int, ...] = list_of(integer(0, _LONGEST_VIBRATION))(parameter, value)
    if len(read) > _MOST_VIBRATIONS:
        raise invalid(parameter, f"it must have at most {_MOST_VIBRATIONS} numbers")
    return read


_ID: Final[Mapping[Kind, str]] = {"channels": "channelId", "channelGroups": "groupId"}
_NAME: Final[Reader] = name(_LONGEST)
_NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "channels": ("channelId", "channelName"),
    "channelGroups": ("groupId", "groupName"),
}
_READERS: Final[Mapping[Kind, Mapping[str, Reader]]] = {
    "channels": {
        "channelId": _NAME,
        "channelName": _NAME,
        "importance": integer(0, _HIGHEST_IMPORTANCE),
        "enableLights": boolean,
        "enableVibration": boolean,
        "lightColor": one_of(*COLOURS),
        "lockScreenVisibility": integer(-1, 1),
        "groupId": _NAME,
        "bypassDND": boolean,
        "description": _short_text,
        "showBadge": boolean,
        "sound": _short_text,
        "vibrationPattern": _vibration,
    },
    "channelGroups": {"groupId": _NAME, "groupName": _NAME},
}
