"""
Accept: the publish is committed, and only then answered.

From the commit on it survives whatever happens to this process. Publishes that come
while a commit is under way share the next one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.errors import KeyReused, NameTaken
from heliograph.instances import Instance, Randomness
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import (
    Messages,
    PublishId,
    PublishNumber,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    time_ordered_uuid,
)
from heliograph.notices import Subject
from heliograph.pipeline import notify
from heliograph.queue.contract import Queue
from heliograph.storage import idempotency, publishes, requests, webhooks, work
from heliograph.storage.database import Database
from heliograph.storage.grouped import Grouped
from heliograph.storage.idempotency import Claim, Once
from heliograph.storage.insertion import MOST_ROWS
from heliograph.storage.publishes import New
from heliograph.storage.requests import Asked
from heliograph.storage.webhooks import OwnHookRow
from heliograph.storage.work import Work

MOST_WAITING: Final = 2048
"""Publishes that wait for a commit: some MB as they are usually, 400 MB of the largest."""


_KINDS: Final[Mapping[type[Target], str]] = {
    ToUsers: "users",
    ToInterests: "interests",
    ToMatching: "matching",
}


@dataclass(frozen=True, slots=True)
class _Wish:
    new: New
    once: Once | None
    hook: OwnHookRow | None
    asked: Asked | None


class Accept:
    """The beginning of every publish, whatever dialect it was asked for in."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """Put publishes into a database and tell its queue."""
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._randomness = randomness
        self._wishes = Grouped(self._commit, most_together=MOST_ROWS, most_waiting=MOST_WAITING)

    def new_id(self) -> PublishId:
        """An id for a publish; its messages carry it, so it comes before them."""
        return PublishId(f"pubid-{time_ordered_uuid(self._clock(), self._randomness(10))}")

    async def accept(
        self,
        instance: Instance,
        publish: PublishId,
        target: Target,
        messages: Messages,
        *,
        once: Once | None = None,
        hook: OwnHookRow | None = None,
        asked: Asked | None = None,
    ) -> PublishId:
        """
        Commit a publish and the work of expanding it, in one transaction with others.

        Whoever is cancelled meanwhile does not learn whether it was accepted.

        Args:
            instance: Whose publish.
            publish: Its id.
            target: Whom it addresses.
            messages: What they are shown.
            once: The caller's key for it, if it may be asked for more than once.
            hook: Where this publish is told of besides.
            asked: The request, if it is to be found again by a name.

        Returns:
            Its id; or, with nothing done, that of the publish which its key has made before.

        Raises:
            KeyReused: Its key belongs to another request.
            NameTaken: Another publish of the instance has the request's name.
            Overloaded: Too many wait for a commit already.
        """
        is_watched = hook is not None or (
            isinstance(target, ToUsers) and Subject.ENDED in instance.subjects
        )
        new = New(publish, instance.number, target, messages, self._clock(), is_watched)
        accepted = await self._wishes.add(_Wish(new, once, hook, asked))
        if accepted == publish:
            kind = _KINDS[type(target)]
            self._metrics.publishes.labels(kind).inc()
            log().debug(Event.PUBLISH_ACCEPTED, instance=instance.id, publish=publish, target=kind)
        return accepted

    async def _commit(self, wishes: Sequence[_Wish]) -> Sequence[PublishId | KeyReused | NameTaken]:
        made: list[Work] = []
        async with self._database.write() as connection:
            answers: list[PublishId | KeyReused | NameTaken] = []
            answers += await self._claim(connection, wishes)
            new = [
                wish for wish, answer in zip(wishes, answers, strict=True) if answer == wish.new.id
            ]
            numbers: Mapping[PublishId, PublishNumber] = {}
            if new:
                numbers = await publishes.add_all(connection, [wish.new for wish in new])
            if nameless := await _name(connection, new, numbers):
                new = [wish for wish in new if wish.new.id not in nameless]
                answers = [
                    NameTaken("another publish has this name") if answer in nameless else answer
                    for answer in answers
                ]
            if new:
                pairs = [(numbers[wish.new.id], wish.new.instance) for wish in new]
                made += await work.add_expansions(connection, pairs, now=self._clock())
                for wish, pair in zip(new, pairs, strict=True):
                    if wish.hook is not None:
                        await webhooks.add_own(connection, pair[0], wish.hook)
                        made += await notify.started(connection, *pair, now=self._clock())
        if made:
            self._metrics.publishes_per_commit.observe(len(new))
            await self._queue.announce(made)
        return answers

    async def _claim(
        self, connection: AsyncConnection, wishes: Sequence[_Wish]
    ) -> Sequence[PublishId | KeyReused]:
        """The publish by which each wish is answered: its own, unless its key has another."""
        claims = [
            Claim(wish.new.instance, wish.once, wish.new.id)
            for wish in wishes
            if wish.once is not None
        ]
        if not claims:
            return [wish.new.id for wish in wishes]
        held = iter(await idempotency.claim(connection, claims, now=self._clock()))
        return [wish.new.id if wish.once is None else next(held) for wish in wishes]


async def _name(
    connection: AsyncConnection, wishes: Sequence[_Wish], numbers: Mapping[PublishId, PublishNumber]
) -> set[PublishId]:
    """Keep the requests of publishes by their names; undo those whose name is taken."""
    asked = {
        numbers[wish.new.id]: (wish.new.id, wish.new.instance, wish.asked)
        for wish in wishes
        if wish.asked is not None
    }
    if not asked:
        return set()
    rows = [(number, instance, each) for number, (_, instance, each) in asked.items()]
    named = await requests.add_all(connection, rows)
    for number in asked.keys() - named:
        await publishes.remove(connection, number)
    return {asked[number][0] for number in asked.keys() - named}
