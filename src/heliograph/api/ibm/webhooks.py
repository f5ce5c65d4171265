"""
Webhooks as IBM's API has them: by name, with the names of events in one text (contract §7).

They are the instance's webhooks like any others, so that the operator's API and commands show
them and their calls, and can send these again.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm.answers import (
    json_response,
    read_body,
)
from heliograph.api.ibm.devices import base_of
from heliograph.api.ibm.document import DIALECT
from heliograph.api.ibm.door import (
    Door,
    Entry,
)
from heliograph.api.ibm.events import EVENTS
from heliograph.api.ibm.problems import Code, invalid, not_found, problem
from heliograph.api.ibm.values import Reader, filled_text
from heliograph.api.ibm.values import name as name_of
from heliograph.errors import InvalidInput
from heliograph.instances import Instance
from heliograph.notices import Subject, Webhook
from heliograph.webhooks import Webhooks

LONGEST_NAME: Final = 100
_EVERY: Final = "*"


class WebhooksApi:
    """The handlers, and what they need."""

    def __init__(self, door: Door, webhooks: Webhooks) -> None:
        """Serve the webhooks of instances behind a door."""
        self._door = door
        self._webhooks = webhooks

    def entries(self) -> list[Entry]:
        """Every path."""
        one = "/webhooks/{webhook:path}"
        return [
            ("GET", "/webhooks", self.list_all),
            ("POST", "/webhooks", self.create),
            ("GET", one, self.show),
            ("PUT", one, self.change),
            ("DELETE", one, self.delete),
        ]

    async def create(self, request: Request) -> Response:
        """Make a webhook; 201, and what was asked for."""
        instance = await self._door.backend(request)
        body = await read_body(request)
        name = _NAME("name", body.get("name"))
        url, subjects = filled_text("url", body.get("url")), read_events(body.get("eventTypes"))
        if await self._find(instance, name) is not None:
            raise problem(Code.EXISTS, f"Conflict - The webhook '{name}' exists already")
        try:
            made = await self._webhooks.create(
                instance, DIALECT, url, subjects=subjects, custom_data={"name": name}
            )
        except InvalidInput as found:
            raise invalid(found.field, found.problem) from None
        return json_response(_shown(made, base_of(request)), status=201)

    async def list_all(self, request: Request) -> Response:
        """Every webhook of this dialect."""
        instance = await self._door.backend(request)
        base = base_of(request)
        return json_response(
            {"webhooks": [_shown(each, base) for each in await self._own(instance)]}
        )

    async def show(self, request: Request) -> Response:
        """One webhook."""
        _, webhook = await self._named(request)
        return json_response(_shown(webhook, base_of(request)))

    async def change(self, request: Request) -> Response:
        """Change where a webhook is, and what it is told of; it keeps its name."""
        instance, webhook = await self._named(request)
        body = await read_body(request)
        if body.get("name") not in (None, _name(webhook)):
            raise invalid("name", "a webhook keeps its name")
        url, events = body.get("url"), body.get("eventTypes")
        try:
            await self._webhooks.change(
                instance,
                webhook,
                url=None if url is None else filled_text("url", url),
                subjects=None if events is None else read_events(events),
            )
        except InvalidInput as found:
            raise invalid(found.field, found.problem) from None
        return await self.show(request)

    async def delete(self, request: Request) -> Response:
        """Delete a webhook; what it was still to be told, it is not."""
        _, webhook = await self._named(request)
        await self._webhooks.remove(webhook)
        return Response(status_code=204)

    async def _named(self, request: Request) -> tuple[Instance, Webhook]:
        instance = await self._door.backend(request)
        found = await self._find(instance, request.path_params["webhook"])
        if found is None:
            raise not_found("webhook", "name")
        return instance, found

    async def _find(self, instance: Instance, name: str) -> Webhook | None:
        return next((each for each in await self._own(instance) if _name(each) == name), None)

    async def _own(self, instance: Instance) -> Sequence[Webhook]:
        every = await self._webhooks.of_instance(instance)
        return [each for each in every if each.dialect == DIALECT]


def read_events(value: Any) -> set[Subject]:
    """
    What a webhook is told of: names with commas between them, or a list of names; ``*`` is all.

    Raises:
        Problem: 400.
    """
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise invalid("eventTypes", "it must be text: names of events, with commas between them")
    names = [each.strip() for each in texts if each.strip()]
    if _EVERY in names:
        return set(EVENTS.values())
    if not names or not set(names) <= set(EVENTS):
        raise invalid("eventTypes", f"it must be * or some of {', '.join(EVENTS)}")
    return {EVENTS[each] for each in names}


def _shown(webhook: Webhook, base: str) -> dict[str, str]:
    events = [name for name, subject in EVENTS.items() if subject in webhook.subjects]
    return {
        "name": _name(webhook),
        "url": webhook.url,
        "eventTypes": _EVERY if len(events) == len(EVENTS) else ",".join(events),
        "href": f"{base}/webhooks/{quote(_name(webhook), safe='')}",
    }


def _name(webhook: Webhook) -> str:
    """What a webhook is called; one that was made elsewhere, by its id."""
    return str(webhook.custom_data.get("name") or webhook.id)


_NAME: Final[Reader] = name_of(LONGEST_NAME)
