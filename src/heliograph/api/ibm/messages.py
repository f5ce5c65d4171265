"""
Messages: sent, asked for and taken back; and what devices say of them (contract §5).

A message is a publish with a name of eight letters and digits, under which its devices report
and its sender finds it again, in the words in which it was sent.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm import payloads, queries, shapes
from heliograph.api.ibm.answers import (
    MESSAGE_BODY_BYTES,
    json_response,
    read_anything,
    read_body,
)
from heliograph.api.ibm.channels import expanded
from heliograph.api.ibm.devices import base_of
from heliograph.api.ibm.door import (
    Door,
    Entry,
)
from heliograph.api.ibm.problems import Code, invalid, not_found, problem
from heliograph.api.ibm.schema import LONGEST_DEVICE_ID, Sending, read_sending, to_target
from heliograph.api.ibm.status import status_word
from heliograph.api.ibm.values import name
from heliograph.errors import NameTaken
from heliograph.instances import Instance, Randomness
from heliograph.model import Messages, Platform, Target, ToMatching, UserId
from heliograph.pipeline.accept import Accept
from heliograph.pipeline.acknowledge import Acknowledge, Report
from heliograph.pipeline.ledger import Ledger
from heliograph.roster import Roster
from heliograph.storage.receipts import What
from heliograph.storage.requests import Asked

MOST_MESSAGES: Final = 500
"""Of one bulk request."""

BULK_BODY_BYTES: Final = 4 * MESSAGE_BODY_BYTES
ID_LENGTH: Final = 8

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAMES_TRIED: Final = 8
_SAID: Final[dict[str, What]] = {"SEEN": "delivered", "OPEN": "opened"}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that was found good, and whom it addresses."""

    sending: Sending
    target: Target
    name: str
    """Its id, unless that turns out to be taken."""
    messages: Messages
    """What is sent under that id."""


class MessagesApi:
    """The handlers, and what they need."""

    def __init__(
        self,
        door: Door,
        roster: Roster,
        ledger: Ledger,
        accept: Accept,
        acknowledge: Acknowledge,
        *,
        randomness: Randomness,
    ) -> None:
        """
        Serve the messages of instances behind a door.

        Args:
            door: Who may ask.
            roster: Whose devices are named.
            ledger: Where messages are found again.
            accept: Where they go.
            acknowledge: Where it goes what devices say.
            randomness: For their names.
        """
        self._door = door
        self._roster = roster
        self._ledger = ledger
        self._accept = accept
        self._acknowledge = acknowledge
        self._randomness = randomness

    def entries(self) -> list[Entry]:
        """Every path."""
        one = "/messages/{message}"
        return [
            ("GET", "/messages", self.list_all),
            ("POST", "/messages", self.send),
            ("POST", "/messages/bulk", self.send_all),
            ("GET", one, self.show),
            ("PUT", one, self.report),
            ("DELETE", one, self.delete),
            ("PUT", one + "/deliverystatus", self.report),
        ]

    # --- sending ---------------------------------------------------------------------

    async def send(self, request: Request) -> Response:
        """Accept a message; 202, with all of the request told back (contract §5.1)."""
        instance = await self._door.backend(request)
        body = await read_anything(request, most_bytes=MESSAGE_BODY_BYTES)
        ready = await self._ready(instance, read_sending(body))
        await self._check_not_empty(instance)
        message = await self._publish(instance, ready)
        return json_response({"message": ready.sending.request, "messageId": message}, status=202)

    async def send_all(self, request: Request) -> Response:
        """Accept several messages, or none of them if one is wrong (contract §5.6)."""
        instance = await self._door.backend(request)
        body = await read_anything(request, most_bytes=BULK_BODY_BYTES)
        if not isinstance(body, list) or not 1 <= len(body) <= MOST_MESSAGES:
            sentence = f"The body must be a list of 1 to {MOST_MESSAGES} messages"
            raise problem(Code.INVALID_JSON, sentence)
        read = [read_sending(each, place=f"[{place}].") for place, each in enumerate(body)]
        ready = [await self._ready(instance, each) for each in read]
        await self._check_not_empty(instance)
        made = await asyncio.gather(*[self._publish(instance, each) for each in ready])
        known = await self._ledger.find_all(instance.number, made)
        base = base_of(request)
        shown = [shapes.message_summary(each, base) for each in known]
        return json_response({"messages": shown}, status=202)

    async def _ready(self, instance: Instance, sending: Sending) -> _Ready:
        """
        A message whose gateways would take it, with whom it addresses in our words.

        Raises:
            Problem: 400; or 404, if the caller wants its devices to be there (``validate``).
        """
        message, built = self._built(instance, sending)
        wanted = sending.target
        devices = None
        if wanted.devices is not None:
            devices = await self._roster.numbers(instance.number, wanted.devices)
        ready = _Ready(sending, to_target(wanted, devices), message, built)
        if sending.validate:
            if wanted.devices is not None and len(devices or ()) < len(wanted.devices):
                raise not_found("deviceIds", "target.deviceIds")
            if wanted.tags is not None:
                known = await self._roster.declared(instance.number, wanted.tags)
                if len(known) < len(wanted.tags):
                    raise not_found("tagNames", "target.tagNames")
            if not await self._ledger.is_anybody(instance.number, ready.target):
                raise _nobody()
        return ready

    async def _check_not_empty(self, instance: Instance) -> None:
        """
        Refuse to send where there is no device at all (contract §2.8).

        Raises:
            Problem: 404.
        """
        if not await self._roster.is_any(instance.number):
            raise _nobody()

    async def _publish(self, instance: Instance, ready: _Ready) -> str:
        """Have a message accepted under a name that is free; the name."""
        body = msgspec.json.encode(ready.sending.request)
        message, built = ready.name, ready.messages
        for _ in range(_NAMES_TRIED):
            publish = self._accept.new_id()
            try:
                await self._accept.accept(
                    instance, publish, ready.target, built, asked=Asked(message, body)
                )
            except NameTaken:
                message, built = self._built(instance, ready.sending)
            else:
                return message
        raise problem(Code.OVERLOADED, "No free message id was found. Try again", retry_after=1)

    def _built(self, instance: Instance, sending: Sending) -> tuple[str, Messages]:
        """A new id, and what is sent under it."""
        message = message_id(self._randomness(16))
        return message, payloads.build(sending, message, channels=expanded(instance))

    # --- asking ----------------------------------------------------------------------

    async def list_all(self, request: Request) -> Response:
        """A page of the messages that were sent here, the latest first (contract §5.7)."""
        instance = await self._door.backend(request)
        page = queries.read_page(request.query_params, {})
        rows, total = await self._ledger.page(instance.number, offset=page.offset, limit=page.size)
        base = base_of(request)
        info = queries.page_info(page, f"{base}/messages", count=len(rows), total=total)
        shown = [shapes.message_summary(each, base) for each in rows]
        return json_response({"messages": shown, "pageInfo": info})

    async def show(self, request: Request) -> Response:
        """A message as it was sent, and how far it has come."""
        instance = await self._door.client(request)
        found = await self._ledger.find(instance.number, request.path_params["message"])
        if found is None:
            raise not_found("messageId", "messageId")
        request_body = msgspec.json.decode(found.request.body)
        return json_response(
            {
                **request_body,
                "messageId": found.request.name,
                "createdTime": shapes.instant(found.request.accepted_at),
                "status": status_word(found.progress),
            }
        )

    async def delete(self, request: Request) -> Response:
        """Forget a message; what was not sent of it yet will not be."""
        instance = await self._door.backend(request)
        if not await self._ledger.strike(instance.number, request.path_params["message"]):
            raise not_found("messageId", "messageId")
        return Response(status_code=204)

    async def report(self, request: Request) -> Response:
        """Hear from a device that it has a message, or that it was opened (contract §5.8)."""
        instance = await self._door.client(request)
        body = await read_body(request)
        device = name(LONGEST_DEVICE_ID)("deviceId", body.get("deviceId"))
        status = body.get("status")
        what = _SAID.get(status.upper()) if isinstance(status, str) else None
        if what is None:
            raise invalid("status", f"it must be one of {', '.join(_SAID)}")
        asked = await self._ledger.request(instance.number, request.path_params["message"])
        known = await self._roster.find(instance.number, device)
        if asked is None:
            raise not_found("messageId", "messageId")
        if known is None:
            raise not_found("deviceId", "deviceId")
        heard = await self._acknowledge.hear(instance, Report(what, asked.id, known.id, None))
        if (what, heard) == ("opened", "counted") and known.user and is_in_step(asked.body):
            await self._dismiss(instance, asked.name, known.user)
        return json_response({})

    async def _dismiss(self, instance: Instance, message: str, user: UserId) -> None:
        """
        Take a message that somebody has opened off their other Android devices (contract §5.4).

        IBM's service heard of the opening through Google, which has closed that way.
        """
        target = ToMatching(users=(user,), platforms=(Platform.ANDROID,))
        dismissal = Messages(fcm=payloads.dismissal(message))
        await self._accept.accept(instance, self._accept.new_id(), target, dismissal)


def is_in_step(request: bytes) -> bool:
    """Whether a message that was asked for so is to vanish everywhere when it is opened once."""
    gcm = (msgspec.json.decode(request).get("settings") or {}).get("gcm") or {}
    return gcm.get("sync") in (True, "true")


def message_id(randomness: bytes) -> str:
    """
    A message's id: eight letters and digits (contract §9), each as likely as any.

    Args:
        randomness: At least 16 unpredictable bytes.
    """
    rest, found = int.from_bytes(randomness), ""
    for _ in range(ID_LENGTH):
        rest, place = divmod(rest, len(_ALPHABET))
        found += _ALPHABET[place]
    return found


def _nobody() -> Exception:
    return problem(Code.NO_DEVICES, "Not Found - There are no devices to send to")
