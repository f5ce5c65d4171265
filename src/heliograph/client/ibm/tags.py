"""How IBM's SDKs subscribe, and what they make of the lists (§4). Operations without I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httpx

from heliograph.client.endpoint import json_object
from heliograph.client.errors import UnexpectedReply
from heliograph.client.ibm.asking import ask
from heliograph.client.ibm.errors import Crash, SdkError
from heliograph.client.ibm.profiles import Call, Profile
from heliograph.client.ibm.requests import Requests
from heliograph.client.steps import Operation

_NO_TAGS: Final = {"ios": 2, "web": 401}
"""What an app is told that subscribes to nothing."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What became of tags that were to be subscribed to, or unsubscribed from."""

    done: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    """Those that the device had already, or did not have."""
    not_found: tuple[str, ...] = ()
    """Those that do not exist."""


def available(requests: Requests) -> Operation[list[str]]:
    """The names of the tags that there are."""
    reply = yield from ask(requests.profile, Call.TAGS, requests.tags())
    return _listed(requests.profile, reply, "tags", "name")


def subscriptions(requests: Requests, device_id: str) -> Operation[list[str]]:
    """The names of the tags that the device has."""
    request = requests.subscriptions(device_id)
    reply = yield from ask(requests.profile, Call.SUBSCRIPTIONS, request)
    return _listed(requests.profile, reply, "subscriptions", "tagName")


def subscribe(requests: Requests, device_id: str, names: Iterable[str]) -> Operation[Subscribed]:
    """Subscribe to tags; Android asks for one after the other, and stops at a failure."""
    tags = _some(requests.profile, names)
    asked = requests.subscribe(device_id, tags)
    return (yield from _changed(requests.profile, Call.SUBSCRIBE, asked, tags))


def unsubscribe(requests: Requests, device_id: str, names: Iterable[str]) -> Operation[Subscribed]:
    """Unsubscribe from tags; as ``subscribe``, but iOS looks at no status."""
    tags = _some(requests.profile, names)
    asked = requests.unsubscribe(device_id, tags)
    return (yield from _changed(requests.profile, Call.UNSUBSCRIBE, asked, tags))


def _changed(
    profile: Profile, call: Call, asked: list[httpx.Request], tags: list[str]
) -> Operation[Subscribed]:
    if profile.kind != "android":
        return _outcome(profile, (yield from ask(profile, call, asked[0])))
    for request in asked:
        yield from ask(profile, call, request)
    return Subscribed(tuple(tags))


def _some(profile: Profile, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError("tags are several strings, not one")
    tags = list(names)
    if not tags and profile.kind in _NO_TAGS:
        raise SdkError(_NO_TAGS[profile.kind], "there are no tags to subscribe to")
    return tags


def _outcome(profile: Profile, reply: httpx.Response) -> Subscribed:
    """Read the reply to a bulk: three keys, or four (§4.4)."""
    body = json_object(reply)
    if body is None:
        if profile.kind == "ios":
            raise Crash("the reply is taken for JSON by force")
        raise UnexpectedReply("the reply to the subscription is not JSON")
    missing = body.get("tagsNotFound")
    return Subscribed(
        done=_names(body.get("subscribed")) + _names(body.get("unsubscribed")),
        already=_names(body.get("subscriptionExists")) + _names(body.get("subscriptionNotExists")),
        not_found=_names(missing.get("tags")) if isinstance(missing, dict) else (),
    )


def _names(value: object) -> tuple[str, ...]:
    """The names in a list of names, or of subscriptions."""
    if not isinstance(value, list):
        return ()
    found = [each.get("tagName") if isinstance(each, dict) else each for each in value]
    return tuple(each for each in found if isinstance(each, str))


def _listed(profile: Profile, reply: httpx.Response, key: str, field: str) -> list[str]:
    body = json_object(reply)
    items = body.get(key) if body is not None else None
    match profile.kind:
        case "ios":
            return _cast(items, field)
        case "android":
            return _strict(items, field, reply)
        case "web":
            if not isinstance(items, list):
                raise UnexpectedReply(f"the reply has no {key}")
            return _strict(items, field, reply)


def _cast(items: object, field: str) -> list[str]:
    """Swift casts the whole list: one value that is no string, and it is empty (§4.1)."""
    if not isinstance(items, list):
        return []
    for item in items:
        if not isinstance(item, dict) or not all(isinstance(each, str) for each in item.values()):
            return []
    return [item[field] for item in items if field in item]


def _strict(items: object, field: str, reply: httpx.Response) -> list[str]:
    if not isinstance(items, list):
        raise SdkError(0, "the reply has no list", status=reply.status_code)
    names = [item.get(field) if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) for name in names):
        raise SdkError(0, f"an element has no {field}", status=reply.status_code)
    return [str(name) for name in names]
