"""
Call: one notice goes to one webhook, and what came of it is settled in one commit.

A dialect writes the letter; here it is signed, sent, and judged. Whatever is not a 2xx
within three seconds is tried again after 10, 30, 120 and 300 seconds; then the call is
dead, until somebody sends it again. The address is a stranger's word, so it is resolved and
checked at every attempt, and a redirection is an answer like any other.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from heliograph.errors import TransportError
from heliograph.instances import Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.notices import Dialect, Facts, Letter
from heliograph.pipeline.verdict import call_again_at
from heliograph.storage import calls, webhooks
from heliograph.storage import work as works
from heliograph.storage.calls import Attempt, CallRow, State
from heliograph.storage.database import Database
from heliograph.storage.webhooks import OwnHookRow, WebhookRow
from heliograph.storage.work import Call, Work
from heliograph.transport.client import Client
from heliograph.webhooks import Webhooks
from heliograph.wire.http import HttpRequest
from heliograph.wire.signatures import standard_headers

SECONDS: Final = 3.0
"""How long an answer may take, connection and all."""

_TAKEN: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class _Addressed:
    """A letter, where it goes, and what it is signed with."""

    letter: Letter
    url: str
    secret: str | None


class Caller:
    """What makes calls."""

    def __init__(
        self,
        database: Database,
        instances: Instances,
        webhooks: Webhooks,
        client: Client,
        dialects: Collection[Dialect],
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
    ) -> None:
        """
        Make no call yet.

        Args:
            database: Where calls are kept.
            instances: Whose they are.
            webhooks: What opens their secrets.
            client: The way out.
            dialects: The words in which they can be written.
            metrics: Where to count.
            clock: The time.
            monotonic: Seconds from wherever, for how long an answer took.
            seconds: How long that may be.
        """
        self._database = database
        self._instances = instances
        self._webhooks = webhooks
        self._client = client
        self._dialects = {each.name: each for each in dialects}
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._seconds = seconds

    async def make(self, work: Call) -> Sequence[Work]:
        """Make a call, and settle it; what is to be done next."""
        async with self._database.read() as connection:
            row = await calls.find(connection, work.call)
            hook: WebhookRow | OwnHookRow | None = None
            if row is not None and row.webhook is not None:
                hook = await webhooks.find(connection, row.webhook)
            elif row is not None and row.publish is not None:
                hook = await webhooks.own_of(connection, row.publish)
        if row is None or hook is None:
            return await self._drop(work)
        addressed = await self._addressed(row, hook)
        if addressed is None:
            return []  # its instance was deleted, and the work with it
        return await self._settle(work, row, await self._send(row, addressed))

    async def give_up(self, work: Call) -> None:
        """End a call that we cannot make for a reason of our own."""
        async with self._database.write() as connection:
            await calls.end(connection, work, State.DEAD, now=self._clock())
        self._metrics.calls.labels("dead").inc()

    async def _drop(self, work: Call) -> Sequence[Work]:
        """Forget work whose webhook was deleted just as the work was asked for."""
        async with self._database.write() as connection:
            await works.remove(connection, work.number)
        return []

    async def _addressed(self, row: CallRow, hook: WebhookRow | OwnHookRow) -> _Addressed | None:
        instance = await self._instances.find_numbered(row.instance)
        if instance is None:
            return None
        facts = Facts(
            instance.id, row.publish_id, row.id, row.event_id, row.made_at, row.publish_name
        )
        dialect = self._dialects[hook.dialect]
        if isinstance(hook, OwnHookRow):
            assert row.publish_id is not None  # noqa: S101  (whose own it is)
            own = self._webhooks.own_opened(instance, row.publish_id, hook)
            return _Addressed(dialect.to_own_hook(row.notice, facts, own), own.url, None)
        webhook = self._webhooks.opened(instance, hook)
        letter = dialect.to_webhook(row.notice, facts, webhook)
        return _Addressed(letter, webhook.url, webhook.secret)

    async def _send(self, row: CallRow, addressed: _Addressed) -> Attempt:
        at, began = self._clock(), self._monotonic()
        status, problem = None, None
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._client.send(_request(row, addressed, at), guarded=True)
            status = reply.status
        except TimeoutError:
            problem = f"no answer within {self._seconds:g} seconds"
        except TransportError as error:
            problem = str(error)
        return Attempt(at, round((self._monotonic() - began) * 1000), status, problem)

    async def _settle(self, work: Call, row: CallRow, attempt: Attempt) -> Sequence[Work]:
        now = self._clock()
        is_taken = attempt.status in _TAKEN
        again_at = None if is_taken else call_again_at(work.attempt, now=now)
        state = State.DELIVERED if is_taken else State.DEAD
        async with self._database.write() as connection:
            left = await calls.settle(
                connection, work, attempt, state=state, again_at=again_at, now=now
            )
        if left is None:
            return []
        self._metrics.calls.labels("again" if left else str(state)).inc()
        if state is State.DEAD and not left:
            log().warning(
                Event.CALL_DEAD, call=row.id, status=attempt.status, problem=attempt.problem
            )
        return left


def _request(row: CallRow, addressed: _Addressed, at: datetime) -> HttpRequest:
    url, authorization = _split_userinfo(addressed.url)
    headers = [*addressed.letter.headers, *authorization]
    if addressed.secret is not None:
        headers += standard_headers(addressed.secret, row.id, addressed.letter.body, at=at)
    return HttpRequest("POST", url, tuple(headers), addressed.letter.body)


def _split_userinfo(url: str) -> tuple[str, list[tuple[str, str]]]:
    """An address without name and password, and the field that carries them (RFC 7617 §2)."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    place = parts.netloc.rpartition("@")[2]
    credentials = base64.b64encode(pair.encode()).decode()
    return urlunsplit(parts._replace(netloc=place)), [("authorization", f"Basic {credentials}")]
