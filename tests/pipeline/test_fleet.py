"""The processes that deliver know of each other, and share what is given to all of them once."""

import asyncio
from datetime import timedelta

import structlog

from builders import Clock
from heliograph.pipeline.fleet import BEAT, LIFE, Fleet, living
from heliograph.storage.database import Database
from heliograph.storage.workers import WorkerRow
from heliograph.transport.pace import RAMP_SECONDS, Paces

A_MINUTE = 600_000
A_SECOND = A_MINUTE / 60
MOMENT = timedelta(microseconds=1)


class Process:
    """One of the fleet, with its paces; both know the same time."""

    def __init__(self, database: Database, clock: Clock, name: str) -> None:
        self._clock = clock
        self.paces = Paces(A_MINUTE, lambda: clock().timestamp())
        us = WorkerRow(name, f"host-{name}", "1", started_at=clock(), seen_at=clock())
        self.fleet = Fleet(database, self.paces, us, clock=clock)

    def sends(self, seconds: float) -> int:
        """How many messages of one project it sends in a time, wanting more."""
        pace, sent = self.paces.of("project"), 0
        end = self._clock() + timedelta(seconds=seconds)
        while self._clock() < end:
            sent += pace.grant(10**9)
            self._clock.advance(timedelta(seconds=max(pace.wait(10**9), 0.001)))
        return sent


async def names(database: Database, clock: Clock) -> list[str]:
    return [each.id for each in await living(database, now=clock())]


async def test_who_works_is_listed(shared_database: Database) -> None:
    """Oldest first, with what an operator wants to know."""
    clock = Clock()
    first = Process(shared_database, clock, "b")
    started = clock()
    clock.advance(BEAT)
    second = Process(shared_database, clock, "a")
    for each in (first, second):
        await each.fleet.beat()

    found = await living(shared_database, now=clock())
    assert [("b", "host-b", "1", started, clock()), ("a", "host-a", "1", clock(), clock())] == [
        (each.id, each.host, each.version, each.started_at, each.seen_at) for each in found
    ]


async def test_who_is_silent_is_dead(shared_database: Database) -> None:
    """After a while it is not listed, and the next beat of another removes it."""
    clock = Clock()
    dead, alive = (Process(shared_database, clock, name) for name in ("dead", "alive"))
    await dead.fleet.beat()
    clock.advance(LIFE - MOMENT)
    before = await names(shared_database, clock)
    clock.advance(MOMENT)
    after = await names(shared_database, clock)
    await alive.fleet.beat()
    clock.advance(-LIFE + MOMENT)

    assert (["dead"], [], ["alive"]) == (before, after, await names(shared_database, clock))


async def test_who_was_taken_for_dead_comes_back(shared_database: Database) -> None:
    """A process that slept shows itself again."""
    clock = Clock()
    sleeper, other = (Process(shared_database, clock, name) for name in ("sleeper", "other"))
    await sleeper.fleet.beat()
    clock.advance(LIFE)
    await other.fleet.beat()
    await sleeper.fleet.beat()

    assert {"sleeper", "other"} == set(await names(shared_database, clock))


async def test_who_stops_leaves(shared_database: Database) -> None:
    """Within the block a process is listed, after it no more."""
    clock = Clock()
    async with Process(shared_database, clock, "one").fleet.joined():
        during = await names(shared_database, clock)

    assert (["one"], []) == (during, await names(shared_database, clock))


async def test_two_do_not_send_twice_as_fast_as_one_may(shared_database: Database) -> None:
    """The budget is halved for both when a second comes, and whole again when one has gone."""
    clock = Clock()
    first, second = (Process(shared_database, clock, name) for name in ("first", "second"))
    await first.fleet.beat()
    first.sends(2 * RAMP_SECONDS)
    await second.fleet.beat()
    await first.fleet.beat()
    halves = [first.sends(10), first.sends(10)]
    await second.fleet.leave()
    await first.fleet.beat()
    first.sends(RAMP_SECONDS)

    assert [True, True] == [0.9 < 2 * each / (10 * A_SECOND) < 1.1 for each in halves]
    assert 0.95 < first.sends(10) / (10 * A_SECOND) < 1.05


async def test_who_joins_is_cold_until_the_others_know(shared_database: Database) -> None:
    """Then it goes on where they are, with its part, and the ramp is not climbed again."""
    clock = Clock()
    first, second = (Process(shared_database, clock, name) for name in ("first", "second"))
    await first.fleet.beat()
    first.sends(2 * RAMP_SECONDS)
    await first.fleet.beat()
    first.sends(1)
    await first.fleet.beat()
    await second.fleet.beat()
    cold = second.sends(1)
    await second.fleet.beat()
    warm = second.sends(1)

    assert cold < 0.1 * A_SECOND / 2
    assert 0.9 < warm / (A_SECOND / 2) < 1.3


async def test_a_restart_keeps_a_project_warm(shared_database: Database) -> None:
    """But not a minute later: Google asks for a ramp after a pause."""
    clock = Clock()
    before = Process(shared_database, clock, "before")
    await before.fleet.beat()
    before.sends(2 * RAMP_SECONDS)
    await before.fleet.beat()
    before.sends(1)
    await before.fleet.beat()
    await before.fleet.leave()
    after, later = (Process(shared_database, clock, name) for name in ("after", "later"))

    async def takes_over(process: Process) -> float:
        pace = process.paces.of("project")
        await process.fleet.beat()
        return pace.warmth

    at_once = await takes_over(after)
    await after.fleet.leave()
    clock.advance(timedelta(seconds=RAMP_SECONDS) + BEAT)

    assert (1.0, 0.0) == (at_once, await takes_over(later))


async def test_many_beat_at_once(shared_database: Database) -> None:
    """None of them gets into another's way, the first time or later."""
    clock = Clock()
    processes = [Process(shared_database, clock, f"process-{number}") for number in range(8)]
    for each in processes:
        each.paces.of("project").grant(1)
    for _ in range(2):
        await asyncio.gather(*[each.fleet.beat() for each in processes])
        clock.advance(LIFE)

    assert 8 == len(await living(shared_database, now=clock() - MOMENT))


async def test_a_beat_that_fails_is_not_the_last(shared_database: Database) -> None:
    """The database may be away for a while: it is told, and the next beat tries again."""
    clock, beats = Clock(), asyncio.Queue[None]()

    async def sleep(_seconds: float) -> None:
        await beats.get()

    us = WorkerRow("one", "host", "1", started_at=clock(), seen_at=clock())
    fleet = Fleet(shared_database, Paces(A_MINUTE, lambda: 0.0), us, clock=clock, sleep=sleep)
    with structlog.testing.capture_logs() as logged:
        async with fleet.joined():
            clock.now = clock.now.replace(tzinfo=None)  # what no query takes
            beats.put_nowait(None)
            while not logged:  # noqa: ASYNC110  (a log line has no event)
                await asyncio.sleep(0)
            clock.now = Clock().now + LIFE
            beats.put_nowait(None)
            later = Clock(Clock().now + LIFE)
            while not await names(shared_database, later):  # noqa: ASYNC110  (nor has a beat)
                await asyncio.sleep(0)

    assert ["beat_missed"] == [each["event"] for each in logged]
