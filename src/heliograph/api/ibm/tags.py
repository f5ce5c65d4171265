"""Tags: the interests that an instance has declared (contract §4.1)."""

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
from heliograph.api.ibm.problems import Code, invalid, not_found, problem
from heliograph.api.ibm.schema import EVERYBODY, tag_name
from heliograph.api.ibm.values import boolean_or_word
from heliograph.catalogue import Catalogue
from heliograph.model import Interest

_LONGEST_DESCRIPTION: Final = 1024
_FIELDS: Final = {"name": "name", "description": "description"}


class Tags:
    """The handlers, and what they need."""

    def __init__(self, door: Door, catalogue: Catalogue) -> None:
        """Serve a catalogue behind a door."""
        self._door = door
        self._catalogue = catalogue

    def entries(self) -> list[Entry]:
        """Every path."""
        return [
            ("GET", "/tags", self.list_all),
            ("POST", "/tags", self.create),
            ("GET", "/tags/{tag:path}", self.show),
            ("PUT", "/tags/{tag:path}", self.change),
            ("DELETE", "/tags/{tag:path}", self.delete),
        ]

    async def create(self, request: Request) -> Response:
        """Declare a tag, which devices can then subscribe to."""
        instance = await self._door.backend(request)
        body = await read_body(request)
        tag = tag_name("name", body.get("name"))
        made = None
        if tag != EVERYBODY:
            made = await self._catalogue.declare(instance.number, tag, _description(body))
        if made is None:
            raise problem(Code.EXISTS, f"Conflict - The tag '{tag}' exists already")
        return json_response(shapes.tag(made, base_of(request)), status=201)

    async def show(self, request: Request) -> Response:
        """Answer what is known of a tag."""
        instance = await self._door.client(request)
        found = await self._catalogue.find(instance.number, _tag(request))
        if found is None:
            raise not_found("tagName", "tagName")
        return json_response(shapes.tag(found, base_of(request)))

    async def change(self, request: Request) -> Response:
        """Describe a tag anew; its name stays what it is, and so does what is not said."""
        instance = await self._door.backend(request)
        body = await read_body(request)
        tag = _tag(request)
        if body.get("name") not in (None, tag):
            raise invalid("name", "a tag keeps its name")
        if body.get("description") is None:
            changed = await self._catalogue.find(instance.number, tag)
        else:
            changed = await self._catalogue.describe(instance.number, tag, _description(body))
        if changed is None:
            raise not_found("tagName", "tagName")
        return json_response(shapes.tag(changed, base_of(request)))

    async def delete(self, request: Request) -> Response:
        """Delete a tag with its subscriptions."""
        instance = await self._door.backend(request)
        if not await self._catalogue.take_back(instance.number, _tag(request)):
            raise not_found("tagName", "tagName")
        return Response(status_code=204)

    async def list_all(self, request: Request) -> Response:
        """A page of tags, all of each; the built-in one is not among them."""
        instance = await self._door.client(request)
        page = queries.read_page(request.query_params, _FIELDS, also=["subscriptionCount"])
        rows, total = await self._catalogue.page(
            instance.number, page.wanted, offset=page.offset, limit=page.size
        )
        base = base_of(request)
        shown = [shapes.tag(each, base) for each in rows]
        if boolean_or_word(
            "subscriptionCount", page.named.get("subscriptionCount", "false").lower()
        ):
            counts = await self._catalogue.subscribers(
                instance.number, [each.name for each in rows]
            )
            # In text like all the rest, which Swift insists on.
            shown = [
                each | {"subscriptionCount": str(counts.get(Interest(each["name"]), 0))}
                for each in shown
            ]
        info = queries.page_info(page, f"{base}/tags", count=len(rows), total=total)
        return json_response({"tags": shown, "pageInfo": info})


def _tag(request: Request) -> Interest:
    """The tag in the path; one that none can be called is none."""
    return Interest(request.path_params["tag"].replace("\x00", ""))


def _description(body: dict[str, Any]) -> str:
    value = body.get("description")
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value or len(value) > _LONGEST_DESCRIPTION:
        rule = f"it must be text of at most {_LONGEST_DESCRIPTION} characters"
        raise invalid("description", rule)
    return value
