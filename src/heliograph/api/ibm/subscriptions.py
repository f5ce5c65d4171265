"""
Subscriptions: which device has which tag (contract §4.2 to §4.5).

Android asks for one at a time and is answered 201 and 204; iOS and the web ask for many and are
answered 207, exactly. Every device has the tag ``Push.ALL``, which nobody can give or take.
"""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm import queries, shapes
from heliograph.api.ibm.answers import (
    json_response,
    read_body,
)
from heliograph.api.ibm.devices import base_of
from heliograph.api.ibm.door import (
    Door,
    Entry,
)
from heliograph.api.ibm.names import read_subscription_id
from heliograph.api.ibm.problems import Code, invalid, not_found, problem
from heliograph.api.ibm.queries import Page
from heliograph.api.ibm.schema import ANONYMOUS, EVERYBODY, LONGEST_DEVICE_ID, tag_name
from heliograph.api.ibm.values import list_of, name
from heliograph.errors import InvalidInput
from heliograph.instances import Instance
from heliograph.model import Interest, UserId
from heliograph.roster import Choice, Roster
from heliograph.storage.named import Subscription

MOST_TAGS: Final = 1000
"""Of one request."""

_FIELDS: Final = {"tagName": "interest", "deviceId": "device", "platform": "platform"}
_PARAMETERS: Final = ("deviceId", "tagName", "userId")


class Subscriptions:
    """The handlers, and what they need."""

    def __init__(self, door: Door, roster: Roster) -> None:
        """Serve the subscriptions of a roster behind a door."""
        self._door = door
        self._roster = roster

    def entries(self) -> list[Entry]:
        """Every path."""
        one = "/subscriptions/{subscription}"
        return [
            ("GET", "/subscriptions", self.list_all),
            ("POST", "/subscriptions", self.subscribe),
            ("DELETE", "/subscriptions", self.unsubscribe),
            ("GET", one, self.show),
            ("DELETE", one, self.delete),
        ]

    async def subscribe(self, request: Request) -> Response:
        """Give a device one tag or several, or take several from it (``action=delete``)."""
        instance = await self._door.client(request)
        queries.check_known(request.query_params, ["action"])
        action = request.query_params.get("action", "")
        if action not in ("", "delete"):
            raise invalid("action", "it must be delete, or not there")
        body = await read_body(request, most_bytes=_BODY_BYTES)
        device = name(LONGEST_DEVICE_ID)("deviceId", body.get("deviceId"))
        if action or body.get("tagNames") is not None:
            tags = _tags(body.get("tagNames"))
            if action:
                return await self._take_all(request, instance, device, tags)
            return await self._give_all(request, instance, device, tags)
        return await self._give(request, instance, device, tag_name("tagName", body.get("tagName")))

    async def unsubscribe(self, request: Request) -> Response:
        """Take one tag from a device; both stand behind the question mark."""
        instance = await self._door.client(request)
        queries.check_known(request.query_params, ["deviceId", "tagName"])
        for each in ("deviceId", "tagName"):
            if not request.query_params.get(each):
                raise problem(Code.MISSING_QUERY, f"The query parameter '{each}' is required")
        device, tag = request.query_params["deviceId"], request.query_params["tagName"]
        return await self._take(instance, device, Interest(tag))

    async def show(self, request: Request) -> Response:
        """One subscription."""
        instance = await self._door.client(request)
        device, tag = _named(request)
        found = await self._find(instance, device, tag)
        if found is None:
            raise _no_subscription()
        return json_response(shapes.subscription(found, base_of(request)))

    async def delete(self, request: Request) -> Response:
        """Take a tag from a device, by the id of the subscription."""
        instance = await self._door.client(request)
        return await self._take(instance, *_named(request))

    async def list_all(self, request: Request) -> Response:
        """
        A page of subscriptions.

        That to ``Push.ALL`` is among them if they are one device's: of all devices together it
        would say nothing.
        """
        instance = await self._door.client(request)
        page = queries.read_page(request.query_params, _FIELDS, also=_PARAMETERS)
        built_in = await self._built_in(instance, page)
        user = page.named.get("userId")
        rows, total = await self._roster.subscriptions(
            instance.number,
            device=page.named.get("deviceId"),
            interest=_interest(page),
            user=None if user in (None, ANONYMOUS) else UserId(user),
            has_no_user=user == ANONYMOUS,
            wanted=page.wanted,
            offset=page.offset,
            limit=page.size,
        )
        # It stands behind all others, on the one page that has room for it there.
        is_here = page.offset <= total < page.offset + page.size
        rows = [*rows, *(built_in if is_here else [])]
        total += len(built_in)
        base = base_of(request)
        info = queries.page_info(page, f"{base}/subscriptions", count=len(rows), total=total)
        shown = [shapes.subscription(each, base) for each in rows]
        return json_response({"subscriptions": shown, "pageInfo": info})

    async def _give(
        self, request: Request, instance: Instance, device: str, tag: Interest
    ) -> Response:
        choice = await self._chosen(instance, device, [tag])
        if choice.undeclared:
            raise not_found("tagName", "tagName")
        if choice.unchanged:
            raise problem(
                Code.SUBSCRIPTION_EXISTS, f"Conflict - The device has the tag '{tag}' already"
            )
        found = await self._find(instance, device, tag) or Subscription(device, tag, None)
        return json_response(shapes.subscription(found, base_of(request)), status=201)

    async def _give_all(
        self, request: Request, instance: Instance, device: str, tags: Sequence[Interest]
    ) -> Response:
        choice = await self._chosen(instance, device, tags)
        found = await self._roster.find(instance.number, device)
        user = None if found is None else found.user
        base = base_of(request)

        def shown(names: Sequence[Interest]) -> list[dict[str, str]]:
            return [shapes.subscription(Subscription(device, each, user), base) for each in names]

        answer = {
            "tagsNotFound": shapes.tags_not_found(choice.undeclared),
            "subscriptionExists": shown(choice.unchanged),
            "subscribed": shown(choice.changed),
        }
        return json_response(answer, status=207)

    async def _take_all(
        self, request: Request, instance: Instance, device: str, tags: Sequence[Interest]
    ) -> Response:
        choice = await self._roster.unsubscribe(instance.number, device, tags)
        if choice is None:
            raise not_found("deviceId", "deviceId")
        base = base_of(request)

        def shown(names: Sequence[Interest]) -> list[dict[str, str]]:
            return [shapes.subscription(Subscription(device, each, None), base) for each in names]

        answer: dict[str, Any] = {
            "tagsNotFound": shapes.tags_not_found(choice.undeclared),
            "subscriptionNotExists": shown(choice.unchanged),
            "unsubscribed": shown(choice.changed),
            # Swift looks for these two whatever it has asked for.
            "subscriptionExists": [],
            "subscribed": [],
        }
        return json_response(answer, status=207)

    async def _take(self, instance: Instance, device: str, tag: Interest) -> Response:
        choice = await self._roster.unsubscribe(instance.number, device, [tag])
        if choice is None or not choice.changed:
            raise _no_subscription()
        return Response(status_code=204)

    async def _chosen(self, instance: Instance, device: str, tags: Sequence[Interest]) -> Choice:
        try:
            choice = await self._roster.subscribe(instance.number, device, tags)
        except InvalidInput as found:
            raise invalid("tagNames", found.problem) from None
        if choice is None:
            raise not_found("deviceId", "deviceId")
        return choice

    async def _find(self, instance: Instance, device: str, tag: Interest) -> Subscription | None:
        if tag == EVERYBODY:
            known = await self._roster.find(instance.number, device)
            return None if known is None else Subscription(device, tag, None)
        rows, _ = await self._roster.subscriptions(
            instance.number,
            device=device,
            interest=tag,
            user=None,
            has_no_user=False,
            wanted=[],
            offset=0,
            limit=1,
        )
        return rows[0] if rows else None

    async def _built_in(self, instance: Instance, page: Page) -> list[Subscription]:
        device = page.named.get("deviceId")
        if device is None or page.wanted or "userId" in page.named:
            return []
        if page.named.get("tagName", EVERYBODY) != EVERYBODY:
            return []
        found = await self._find(instance, device, Interest(EVERYBODY))
        return [] if found is None else [found]


_BODY_BYTES: Final = 262_144


def _interest(page: Page) -> Interest | None:
    tag = page.named.get("tagName")
    return None if tag is None else Interest(tag)


def _tags(value: Any) -> tuple[Interest, ...]:
    tags: tuple[Interest, ...] = list_of(tag_name)("tagNames", value)
    if not 1 <= len(tags) <= MOST_TAGS:
        raise invalid("tagNames", f"there must be 1 to {MOST_TAGS}")
    return tags


def _named(request: Request) -> tuple[str, Interest]:
    found = read_subscription_id(request.path_params["subscription"])
    if found is None:
        raise _no_subscription()
    return found


def _no_subscription() -> Exception:
    sentence = "Not Found - The subscription does not exist. Check deviceId and tagName"
    return problem(Code.SUBSCRIPTION_NOT_FOUND, sentence)
