"""
Webhooks: where an instance wants to be told of what comes of its publishes.

Addresses and secrets are sealed at rest, each bound to its instance and its webhook. What
is sent there, ``pipeline/notify.py`` says; how, ``pipeline/call.py``.
"""

import base64
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from heliograph.credentials import check_url
from heliograph.errors import InvalidInput
from heliograph.instances import Instance, Instances, Randomness
from heliograph.model import PublishId, time_ordered_uuid
from heliograph.notices import OwnHook, Subject, Webhook, WebhookId, WebhookNumber
from heliograph.storage import calls
from heliograph.storage import webhooks as rows
from heliograph.storage.database import Database
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.webhooks import OwnHookRow, WebhookRow
from heliograph.storage.work import Call

MOST_WEBHOOKS: Final = 20
"""Webhooks of one instance: each event is told to all that want it."""

_LONGEST_SECRET: Final = 256
_MOST_CUSTOM_DATA_BYTES: Final = 4096


class Webhooks:
    """The webhooks of one database."""

    def __init__(
        self,
        database: Database,
        instances: Instances,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """Look at a database; nothing is read yet."""
        self._database = database
        self._instances = instances
        self._clock = clock
        self._randomness = randomness

    async def create(
        self,
        instance: Instance,
        dialect: str,
        url: str,
        *,
        subjects: Collection[Subject],
        secret: str | None = None,
        custom_data: Mapping[str, Any] | None = None,
    ) -> Webhook:
        """
        Make a webhook.

        Args:
            instance: Whose.
            dialect: In whose words it is told.
            url: An http(s) address; a name and a password in it become Basic credentials.
            subjects: Of what; at least one.
            secret: What its calls are signed with; None has one made.
            custom_data: What its owner wants to find in each call.

        Raises:
            InvalidInput: One of them cannot be used, or there are as many as there may be.
        """
        check_url("url", url)
        identity = WebhookId(time_ordered_uuid(self._clock(), self._randomness(10)))
        secret = self._new_secret() if secret is None else secret
        _check_secret(secret)
        _check_custom_data(custom_data or {})
        values = {
            "id": identity,
            "dialect": dialect,
            "subjects": frozenset(subjects),
            "custom_data": dict(custom_data or {}),
            "created_at": self._clock(),
        } | self._sealed(instance, identity, {"url": url, "secret": secret})
        async with self._database.write() as connection:
            if not await rows.add(connection, instance.number, values, most=MOST_WEBHOOKS):
                raise InvalidInput("webhooks", f"an instance has {MOST_WEBHOOKS} at most")
            *_, made = await rows.of_instance(connection, instance.number)
        self._instances.forget()
        return self.opened(instance, made)

    async def of_instance(self, instance: Instance) -> Sequence[Webhook]:
        """The webhooks of an instance, oldest first."""
        async with self._database.read() as connection:
            found = await rows.of_instance(connection, instance.number)
        return [self.opened(instance, row) for row in found]

    async def find(self, instance: Instance, webhook: str) -> Webhook | None:
        """The webhook with this id; None if the instance has none."""
        every = await self.of_instance(instance)
        return next((each for each in every if each.id == webhook), None)

    async def change(
        self,
        instance: Instance,
        webhook: Webhook,
        *,
        url: str | None = None,
        secret: str | None = None,
        subjects: Collection[Subject] | None = None,
        custom_data: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Change what is not None.

        Raises:
            InvalidInput: As for ``create``.
        """
        secrets: dict[str, str] = {}
        values: dict[str, Any] = {}
        if url is not None:
            check_url("url", url)
            secrets["url"] = url
        if secret is not None:
            _check_secret(secret)
            secrets["secret"] = secret
        if subjects is not None:
            values["subjects"] = frozenset(subjects)
        if custom_data is not None:
            _check_custom_data(custom_data)
            values["custom_data"] = dict(custom_data)
        values |= self._sealed(instance, webhook.id, secrets)
        if values:
            async with self._database.write() as connection:
                await rows.change(connection, webhook.number, values)
            self._instances.forget()

    async def remove(self, webhook: Webhook) -> None:
        """Delete a webhook; what it was still to be told, it is not."""
        async with self._database.write(long=True) as connection:
            await rows.remove(connection, WebhookNumber(webhook.number))
        self._instances.forget()

    async def resend_dead(self, webhook: Webhook) -> AsyncIterator[Sequence[Call]]:
        """
        Ask for every dead call of a webhook to be made again.

        Yields:
            The work that they are, some hundreds a commit, to be announced.
        """
        while True:
            async with self._database.write() as connection:
                made = await calls.resend_dead(
                    connection, webhook.number, limit=MOST_ROWS, now=self._clock()
                )
            if made:
                yield made
            if len(made) < MOST_ROWS:
                return

    def opened(self, instance: Instance, row: WebhookRow) -> Webhook:
        """A webhook with its secrets open."""

        def unsealed(name: str, value: bytes) -> str:
            return self._instances.unsealed(instance.id, _context(row.id, name), value).decode()

        return Webhook(
            number=row.number,
            id=row.id,
            dialect=row.dialect,
            subjects=row.subjects,
            url=unsealed("url", row.url),
            secret=unsealed("secret", row.secret),
            custom_data=row.custom_data,
            created_at=row.created_at,
        )

    def own(self, instance: Instance, publish: PublishId, hook: OwnHook) -> OwnHookRow:
        """A publish's own hook as it is kept."""
        context = _own_context(publish)
        return OwnHookRow(
            hook.dialect,
            self._instances.sealed(instance.id, f"{context}/url", hook.url.encode()),
            self._instances.sealed(instance.id, f"{context}/request", hook.request),
        )

    def own_opened(self, instance: Instance, publish: PublishId, row: OwnHookRow) -> OwnHook:
        """A publish's own hook as its caller gave it."""
        context = _own_context(publish)
        url = self._instances.unsealed(instance.id, f"{context}/url", row.url)
        request = self._instances.unsealed(instance.id, f"{context}/request", row.request)
        return OwnHook(row.dialect, url.decode(), request)

    def _sealed(
        self, instance: Instance, webhook: WebhookId, secrets: Mapping[str, str]
    ) -> dict[str, bytes]:
        return {
            name: self._instances.sealed(instance.id, _context(webhook, name), value.encode())
            for name, value in secrets.items()
        }

    def _new_secret(self) -> str:
        """As Standard Webhooks writes them: 24 random bytes in base64, after ``whsec_``."""
        return "whsec_" + base64.b64encode(self._randomness(24)).decode()


def _check_secret(secret: str) -> None:
    is_word = bool(secret) and secret.isascii() and secret.isprintable()
    if not is_word or len(secret) > _LONGEST_SECRET:
        raise InvalidInput("secret", f"must be 1 to {_LONGEST_SECRET} printable ASCII characters")
    if secret.startswith("whsec_"):
        try:
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            raise InvalidInput("secret", "must be base64 after whsec_") from None


def _check_custom_data(data: Mapping[str, Any]) -> None:
    if len(msgspec.json.encode(data)) > _MOST_CUSTOM_DATA_BYTES:
        sentence = f"must have at most {_MOST_CUSTOM_DATA_BYTES} bytes as JSON"
        raise InvalidInput("custom_data", sentence)


def _context(webhook: WebhookId, name: str) -> str:
    return f"webhooks/{webhook}/{name}"


def _own_context(publish: PublishId) -> str:
    return f"own_hooks/{publish}"
