"""
The hands of a worker: how much it does at once, of which sort, and for whom.

Each sort of work has hands of its own, so that a message to one person waits for no
broadcast, and what is fresh for nothing that is tried again. Of the hands of a sort one
lane has half at most, so that a gateway that hangs stops no other.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Final

from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.model import CallLane, Lane, Sort
from heliograph.queue.contract import Queue
from heliograph.storage.work import Expansion, Work

_BEATS: Final = 4
"""Signs of life that we give in the time of a lease."""

_REST: Final = timedelta(seconds=10)
"""How long we leave a queue alone that has failed us."""


class Hands:
    """Work in hand, and the hands that are free."""

    def __init__(
        self,
        queue: Queue,
        do: Callable[[Work], Awaitable[None]],
        hands: Mapping[Sort, int],
        metrics: Metrics,
        *,
        beat: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """
        Have hands; nothing is taken yet.

        Args:
            queue: Where work comes from.
            do: Does a piece of work to its end; never raises.
            hands: How many pieces of each sort at once.
            metrics: Where to count.
            beat: What to do besides, at each sign of life.
            sleep: Lets so many seconds pass.
        """
        self._queue = queue
        self._do = do
        self._hands = hands
        self._metrics = metrics
        self._beat = beat
        self._sleep = sleep
        self._in_hand: dict[asyncio.Task[None], Work] = {}
        self._look = set(Sort)
        """The sorts of which there may be something to take."""
        self._more = set(Sort)
        """Those of which there may be when a hand comes free."""
        self._stirred = asyncio.Event()

    async def work(self, stop: asyncio.Event, *, time_to_finish: timedelta) -> None:
        """Work until told to stop; then finish what is under way, and hand the rest back."""
        aside = [
            asyncio.create_task(self._keep_leases()),
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._heed(stop)),
        ]
        try:
            while not stop.is_set():
                self._stirred.clear()
                if await self._fill():
                    await self._stirred.wait()
                else:
                    await _first_of(self._sleep(_REST.total_seconds()), stop.wait())
        finally:
            await _end(aside[1:])
            await self._put_down(time_to_finish)
            await _end(aside[:1])

    async def _fill(self) -> bool:
        """Take what there is for the hands that are free; False if the queue fails."""
        try:
            for sort in Sort:
                if sort in self._look:
                    await self._fill_those_of(sort)
        except Exception as problem:  # noqa: BLE001  (a full disk may be emptied)
            _complain(problem)
            self._look = set(Sort)
            return False
        return True

    async def _fill_those_of(self, sort: Sort) -> None:
        self._look.discard(sort)
        self._more.add(sort)
        while free := self._hands[sort] - self._in_hand_of(sort).total():
            full, room = self._room(sort)
            limit = min(free, room)
            taken = await self._queue.take(sort, limit, besides=full)
            for each in taken:
                self._begin(each)
            if len(taken) < limit:
                if not full:
                    self._more.discard(sort)
                return

    def _room(self, sort: Sort) -> tuple[Collection[Lane | CallLane], int]:
        """The lanes that may have no further hand of a sort, and how many any other may."""
        half = max(1, self._hands[sort] // 2)
        held = self._in_hand_of(sort)
        full = [lane for lane, count in held.items() if lane is not None and count >= half]
        most = max((held[lane] for lane in held if lane not in (None, *full)), default=0)
        return full, half - most

    def _in_hand_of(self, sort: Sort) -> Counter[Lane | CallLane | None]:
        """How many hands of a sort each lane has; None: expansions."""
        return Counter(
            None if isinstance(each, Expansion) else each.lane
            for each in self._in_hand.values()
            if each.sort is sort
        )

    def _begin(self, work: Work) -> None:
        task = asyncio.create_task(self._do_it(work))
        self._in_hand[task] = work
        self._metrics.batches_in_hand.set(len(self._in_hand))
        task.add_done_callback(self._let_go)

    async def _do_it(self, work: Work) -> None:
        await self._do(work)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        work = self._in_hand.pop(task)
        self._metrics.batches_in_hand.set(len(self._in_hand))
        if work.sort in self._more:
            self._look.add(work.sort)
            self._stirred.set()

    async def _listen(self) -> None:
        while True:
            try:
                self._look |= set(await self._queue.wait())
                self._stirred.set()
            except Exception as problem:  # noqa: BLE001  (a full disk may be emptied)
                _complain(problem)
                await self._sleep(_REST.total_seconds())

    async def _heed(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stirred.set()

    async def _keep_leases(self) -> None:
        while True:
            await self._sleep((self._queue.lease / _BEATS).total_seconds())
            try:
                if self._in_hand:
                    await self._extend()
                await self._beat()
            except Exception as problem:  # noqa: BLE001  (the next beat may be in time)
                _complain(problem)

    async def _extend(self) -> None:
        for each in await self._queue.extend(list(self._in_hand.values())):
            if each in self._in_hand.values():  # and has not been settled meanwhile
                log().warning(Event.LEASE_LOST, work=each.number)

    async def _put_down(self, time_to_finish: timedelta) -> None:
        if not self._in_hand:
            return
        seconds = time_to_finish.total_seconds()
        _, unfinished = await asyncio.wait(list(self._in_hand), timeout=seconds)
        works = [self._in_hand[task] for task in unfinished]
        await _end(unfinished)
        if works:
            await self._queue.hand_back(works)


async def _first_of(*awaitables: Awaitable[object]) -> None:
    """Return when one of them has; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(tasks)


async def _end(
    tasks: "Collection[asyncio.Future[object]] | Collection[asyncio.Task[None]]",
) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _complain(problem: Exception) -> None:
    log().error(Event.WORKER_FAILED, problem=type(problem).__name__, exc_info=problem)
