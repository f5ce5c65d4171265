"""The hands of a worker: how many, for whom, and what becomes of what they hold."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

import structlog

from builders import batch
from heliograph.metrics import Metrics
from heliograph.model import CallLane, Gateway, Lane, Sort
from heliograph.pipeline.hands import Hands
from heliograph.queue.database import LEASE
from heliograph.storage.work import Batch, Work

HANDS = {Sort.SMALL: 8, Sort.LARGE: 2, Sort.AGAIN: 2, Sort.CALL: 2}


class Shelf:
    """A queue in memory: it gives what it has, in order, and hears of nothing new."""

    def __init__(self, *works: Batch) -> None:
        self.left = list(works)
        self.asked: list[Sort] = []
        self.is_searched = asyncio.Event()
        self.finished: list[Work] = []
        self.handed_back: list[Work] = []
        self.lost: list[Work] = []
        self._news: asyncio.Queue[Collection[Sort]] = asyncio.Queue()

    is_there, lease = True, LEASE

    async def take(
        self, sort: Sort, limit: int, *, besides: Collection[Lane | CallLane] = ()
    ) -> Sequence[Work]:
        self.asked.append(sort)
        if len(self.asked) == len(Sort):
            self.is_searched.set()
        taken = [each for each in self.left if each.sort is sort and each.lane not in besides]
        for each in taken[:limit]:
            self.left.remove(each)
        return taken[:limit]

    async def extend(self, works: Collection[Work]) -> Collection[Work]:
        return [each for each in works if each in self.lost]

    async def hand_back(
        self,
        works: Collection[Work],
        *,
        after: timedelta = timedelta(0),
        has_failed: bool = False,
    ) -> None:
        assert (timedelta(0), False) == (after, has_failed)
        self.handed_back += works

    async def finish(self, works: Collection[Work], *, given_up: bool = False) -> None:
        assert not given_up
        self.finished += works

    async def announce(self, works: Collection[Work]) -> None:
        self._news.put_nowait({each.sort for each in works})

    async def wait(self) -> Collection[Sort]:
        return await self._news.get()


class Bench:
    """Where work lies that is in hand, until it is let go."""

    def __init__(self, *, full: int) -> None:
        self._full = full
        self.held: list[Work] = []
        self.is_full, self.may_end = asyncio.Event(), asyncio.Event()

    async def do(self, work: Work) -> None:
        self.held.append(work)
        if len(self.held) == self._full:
            self.is_full.set()
        await self.may_end.wait()


async def nothing() -> None:
    """What there is to do besides."""


async def for_ever(_seconds: float) -> None:
    await asyncio.Event().wait()


def hands(
    shelf: Shelf, bench: Bench, *, sleep: Callable[[float], Awaitable[None]] = for_ever
) -> Hands:
    return Hands(shelf, bench.do, HANDS, Metrics(), beat=nothing, sleep=sleep)


def some(count: int, *, sort: Sort = Sort.SMALL, instance: int = 1) -> list[Batch]:
    """Batches of one lane."""
    made = (batch(1, number=100 * instance + each, instance=instance) for each in range(count))
    return [
        Batch(
            number=each.number,
            publish=each.publish,
            instance=each.instance,
            gateway=Gateway.APNS,
            environment=None,
            devices=each.devices,
            attempt=1,
            sort=sort,
        )
        for each in made
    ]


async def held_of(shelf: Shelf, *, full: int) -> list[Work]:
    """What is in hand when so much is, and then all is let go."""
    stop, bench = asyncio.Event(), Bench(full=full)
    task = asyncio.create_task(hands(shelf, bench).work(stop, time_to_finish=timedelta(seconds=9)))
    await asyncio.wait_for(bench.is_full.wait(), 30)
    for _ in range(10):  # nothing more comes, however often everybody has a turn
        await asyncio.sleep(0)
    held = list(bench.held)
    stop.set()
    bench.may_end.set()
    await task
    return held


async def test_no_lane_has_more_than_half_of_a_sorts_hands() -> None:
    """However much waits for it, the other half is there for others."""
    held = await held_of(Shelf(*some(20), *some(2, instance=2)), full=6)

    assert {1: 4, 2: 2} == Counter(each.instance for each in held)


async def test_each_sort_has_hands_of_its_own() -> None:
    """As many as it was given, however many of the others are busy."""
    shelf = Shelf(
        *[
            each
            for sort in Sort
            for instance in (1, 2)
            for each in some(10, sort=sort, instance=instance)
        ]
    )

    held = await held_of(shelf, full=sum(HANDS.values()))

    assert HANDS == Counter(each.sort for each in held)


async def test_a_hand_that_comes_free_takes_the_next() -> None:
    """What there was no hand for is taken without anybody announcing it."""
    shelf, stop = Shelf(*some(20)), asyncio.Event()
    done: list[Work] = []

    async def do(work: Work) -> None:
        done.append(work)
        if len(done) == 20:
            stop.set()

    working = Hands(shelf, do, HANDS, Metrics(), beat=nothing, sleep=for_ever)
    await asyncio.wait_for(working.work(stop, time_to_finish=timedelta(seconds=9)), 30)

    assert ([], 20) == (shelf.left, len(done))


async def test_only_what_was_announced_is_looked_for() -> None:
    """News of a small message is no reason to look for what is tried again."""
    shelf, stop, bench = Shelf(), asyncio.Event(), Bench(full=1)
    bench.may_end.set()
    task = asyncio.create_task(hands(shelf, bench).work(stop, time_to_finish=timedelta(0)))
    await asyncio.wait_for(shelf.is_searched.wait(), 30)
    shelf.left += some(1)
    await shelf.announce(shelf.left)
    await asyncio.wait_for(bench.is_full.wait(), 30)
    stop.set()
    await task

    assert [*Sort, Sort.SMALL] == shelf.asked[: len(Sort) + 1]
    assert {Sort.SMALL} == set(shelf.asked[len(Sort) :])


async def test_what_does_not_end_in_time_is_handed_back() -> None:
    """All that is in hand, and nothing that was left."""
    shelf, bench, stop = Shelf(*some(6)), Bench(full=4), asyncio.Event()
    task = asyncio.create_task(hands(shelf, bench).work(stop, time_to_finish=timedelta(0)))
    await asyncio.wait_for(bench.is_full.wait(), 30)
    stop.set()
    await task

    assert (4, 2) == (len(shelf.handed_back), len(shelf.left))


async def test_a_lease_that_was_lost_is_told() -> None:
    """Somebody else is at it: an operator may want to know why we gave no sign of life."""
    shelf, bench, stop = Shelf(*some(2)), Bench(full=2), asyncio.Event()
    beats: asyncio.Queue[None] = asyncio.Queue()
    slept: list[float] = []
    is_over = asyncio.Event()
    shelf.lost = list(shelf.left[:1])

    async def beat(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:
            is_over.set()
        await beats.get()

    with structlog.testing.capture_logs() as logged:
        working = hands(shelf, bench, sleep=beat).work(stop, time_to_finish=timedelta(0))
        task = asyncio.create_task(working)
        await asyncio.wait_for(bench.is_full.wait(), 30)
        beats.put_nowait(None)
        await asyncio.wait_for(is_over.wait(), 30)
        stop.set()
        await task

    assert [("lease_lost", 100)] == [(line["event"], line["work"]) for line in logged]
