"""Webhooks, for the operator: where an instance is told of things, and how its calls went."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.problems import json_response
from heliograph.api.questions import PAGE, Entry, instance_of, not_found, number, read
from heliograph.errors import InvalidInput
from heliograph.instances import Instance, Instances
from heliograph.model import PublishId
from heliograph.notices import (
    CallId,
    CallNumber,
    Dialect,
    Subject,
    Webhook,
    WebhookNumber,
    subject_of,
)
from heliograph.queue.contract import Queue
from heliograph.storage import calls, publishes
from heliograph.storage.calls import Attempt, CallRow, State
from heliograph.storage.database import Database
from heliograph.storage.work import Call
from heliograph.webhooks import Webhooks


class _NewWebhook(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    secret: str | None = None
    events: list[str] | None = None
    custom_data: dict[str, Any] | None = None


class _WebhookChange(msgspec.Struct, forbid_unknown_fields=True):
    url: str | None = None
    secret: str | None = None
    events: list[str] | None = None
    custom_data: dict[str, Any] | None = None


class WebhookAdmin:
    """The handlers, and what they need."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        instances: Instances,
        webhooks: Webhooks,
        dialects: Sequence[Dialect],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        """Answer for the webhooks of these instances, in the words of these dialects."""
        self._database = database
        self._queue = queue
        self._instances = instances
        self._webhooks = webhooks
        self._dialects = dialects
        self._clock = clock

    def table(self, one: str) -> list[Entry]:
        """Every path, below that of one instance."""
        hook = one + "/webhooks/{webhook}"
        return [
            ("POST", one + "/webhooks", self.create),
            ("GET", one + "/webhooks", self.list_all),
            ("GET", hook, self.show),
            ("PATCH", hook, self.change),
            ("DELETE", hook, self.delete),
            ("POST", hook + "/resend", self.resend_dead),
            ("GET", one + "/calls", self.list_calls),
            ("GET", one + "/calls/{call}", self.show_call),
            ("POST", one + "/calls/{call}/resend", self.resend),
        ]

    async def create(self, request: Request) -> Response:
        """Make a webhook; its secret is answered here and nowhere else."""
        instance = await instance_of(request, self._instances)
        body = await read(request, _NewWebhook)
        dialect = dialect_of(self._dialects, body.events)
        made = await self._webhooks.create(
            instance,
            dialect.name,
            body.url,
            subjects=subjects_of(dialect, body.events),
            secret=body.secret,
            custom_data=body.custom_data,
        )
        answer = describe_webhook(made, self._dialects) | {"secret": made.secret}
        return json_response(answer, status=201)

    async def list_all(self, request: Request) -> Response:
        """Every webhook of an instance, without its secret."""
        instance = await instance_of(request, self._instances)
        every = await self._webhooks.of_instance(instance)
        return json_response(
            {"webhooks": [describe_webhook(each, self._dialects) for each in every]}
        )

    async def show(self, request: Request) -> Response:
        """One webhook, without its secret."""
        _, webhook = await self._webhook(request)
        return json_response(describe_webhook(webhook, self._dialects))

    async def change(self, request: Request) -> Response:
        """Change a webhook; what is not given stays."""
        instance, webhook = await self._webhook(request)
        body = await read(request, _WebhookChange)
        dialect = next(each for each in self._dialects if each.name == webhook.dialect)
        await self._webhooks.change(
            instance,
            webhook,
            url=body.url,
            secret=body.secret,
            subjects=None if body.events is None else subjects_of(dialect, body.events),
            custom_data=body.custom_data,
        )
        return await self.show(request)

    async def delete(self, request: Request) -> Response:
        """Delete a webhook, with its calls."""
        _, webhook = await self._webhook(request)
        await self._webhooks.remove(webhook)
        return Response(status_code=204)

    # --- calls -----------------------------------------------------------------------

    async def list_calls(self, request: Request) -> Response:
        """A page of calls, the latest first: all, or those of a webhook, a publish, a state."""
        instance = await instance_of(request, self._instances)
        query = request.query_params
        limit = number(query.get("limit"), "limit", default=PAGE, most=PAGE)
        before = number(query.get("cursor"), "cursor", default=2**63 - 1, most=2**63 - 1)
        every = await self._by_number(instance)
        webhook = _named(every.values(), query.get("webhook"))
        async with self._database.read(long=True) as connection:
            publish = None
            if (named := query.get("publish")) is not None:
                publish = await publishes.find_id(connection, instance.number, PublishId(named))
                if publish is None:
                    raise not_found("publish")
            found = await calls.page(
                connection,
                instance.number,
                webhook=webhook,
                publish=publish,
                state=_state(query.get("state")),
                before=CallNumber(before),
                limit=limit + 1,
            )
            tries = await calls.attempts(connection, [each.number for each in found[:limit]])
        answer: dict[str, Any] = {
            "calls": [
                describe_call(each, tries[each.number], _of(each, every), self._dialects)
                for each in found[:limit]
            ]
        }
        if len(found) > limit:
            answer["next_cursor"] = str(found[limit - 1].number)
        return json_response(answer)

    async def show_call(self, request: Request) -> Response:
        """One call, and how each attempt at it went."""
        instance = await instance_of(request, self._instances)
        every = await self._by_number(instance)
        async with self._database.read() as connection:
            found = await calls.find_id(
                connection, instance.number, CallId(request.path_params["call"])
            )
            if found is None:
                raise not_found("call")
            tries = await calls.attempts(connection, [found.number])
        return json_response(
            describe_call(found, tries[found.number], _of(found, every), self._dialects)
        )

    async def resend(self, request: Request) -> Response:
        """Make a call again that is over, whatever became of it; one under way stays so."""
        instance = await instance_of(request, self._instances)
        call = CallId(request.path_params["call"])
        async with self._database.write() as connection:
            if await calls.find_id(connection, instance.number, call) is None:
                raise not_found("call")
            made = await calls.resend(connection, instance.number, call, now=self._clock())
        await self._announce(made)
        return await self.show_call(request)

    async def resend_dead(self, request: Request) -> Response:
        """Make every dead call of a webhook again; how many those are."""
        _, webhook = await self._webhook(request)
        count = 0
        async for made in self._webhooks.resend_dead(webhook):
            await self._announce(made)
            count += len(made)
        return json_response({"resent": count})

    async def _announce(self, made: Sequence[Call]) -> None:
        if made:
            await self._queue.announce(made)

    async def _by_number(self, instance: Instance) -> Mapping[WebhookNumber, Webhook]:
        return {each.number: each for each in await self._webhooks.of_instance(instance)}

    async def _webhook(self, request: Request) -> tuple[Instance, Webhook]:
        instance = await instance_of(request, self._instances)
        webhook = await self._webhooks.find(instance, request.path_params["webhook"])
        if webhook is None:
            raise not_found("webhook")
        return instance, webhook


def dialect_of(dialects: Sequence[Dialect], events: Sequence[str] | None) -> Dialect:
    """
    The dialect in which all of these events are named; the first one if none is named.

    Raises:
        InvalidInput: There is none.
    """
    for dialect in dialects:
        if set(events or ()) <= set(dialect.events):
            return dialect
    kinds = ", or some of ".join(", ".join(dialect.events) for dialect in dialects)
    raise InvalidInput("events", f"must be some of {kinds}")


def subjects_of(dialect: Dialect, events: Sequence[str] | None) -> set[Subject]:
    """
    What events are about; all that a dialect has if none are named.

    Raises:
        InvalidInput: The list is empty, or one is not the dialect's.
    """
    names = list(dialect.events) if events is None else events
    if not names or not set(names) <= set(dialect.events):
        raise InvalidInput("events", f"must be some of {', '.join(dialect.events)}")
    return {dialect.events[name] for name in names}


def describe_webhook(webhook: Webhook, dialects: Sequence[Dialect]) -> dict[str, Any]:
    """A webhook without its secret, and without a password that its address may hold."""
    return {
        "id": webhook.id,
        "url": _without_password(webhook.url),
        "events": _events(webhook, dialects),
        "custom_data": webhook.custom_data,
        "created_at": webhook.created_at,
    }


def describe_call(
    call: CallRow,
    tries: Sequence[Attempt],
    webhook: Webhook | None,
    dialects: Sequence[Dialect],
) -> dict[str, Any]:
    """A call and its attempts, for the API and the command line."""
    subject = subject_of(call.notice)
    names = {
        each: name
        for dialect in dialects
        if webhook is not None and dialect.name == webhook.dialect
        for name, each in dialect.events.items()
    }
    return {
        "id": call.id,
        "webhook_id": webhook and webhook.id,
        "publish_id": call.publish_id,
        "event": names.get(subject, str(subject)),
        "event_id": call.event_id,
        "made_at": call.made_at,
        "state": str(call.state),
        "ended_at": call.ended_at,
        "attempts": [
            {
                "at": each.at,
                "took_ms": each.took_ms,
                "status": each.status,
                "problem": each.problem,
            }
            for each in tries
        ],
    }


def _events(webhook: Webhook, dialects: Sequence[Dialect]) -> list[str]:
    return [
        name
        for dialect in dialects
        if dialect.name == webhook.dialect
        for name, subject in dialect.events.items()
        if subject in webhook.subjects
    ]


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    place = f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=place))


def _of(call: CallRow, every: Mapping[WebhookNumber, Webhook]) -> Webhook | None:
    return None if call.webhook is None else every.get(call.webhook)


def _named(every: Collection[Webhook], name: str | None) -> WebhookNumber | None:
    if name is None:
        return None
    found = next((each.number for each in every if each.id == name), None)
    if found is None:
        raise not_found("webhook")
    return found


def _state(text: str | None) -> State | None:
    if text is None:
        return None
    try:
        return State(text)
    except ValueError:
        raise InvalidInput("state", f"must be one of {', '.join(State)}") from None
