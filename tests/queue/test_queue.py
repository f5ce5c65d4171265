"""What every queue promises: the same, in the database and on JetStream."""

import asyncio
from datetime import timedelta

import pytest

from builders import MINUTE, NOW, SECOND
from heliograph.model import Gateway, Sort
from heliograph.queue.contract import Queue
from heliograph.queue.database import LEASE
from heliograph.storage import lanes
from heliograph.storage.work import Batch, Errand
from queues import Stage


async def test_what_is_taken_is_held_for_a_lease(stage: Stage) -> None:
    """Nobody else takes it before the lease has run out without a sign of life."""
    await stage.put()
    first = await stage.taken(at_least=1)
    stage.clock.advance(LEASE - SECOND)
    during = await stage.taken()
    stage.clock.advance(SECOND)

    assert ([1], [], [1]) == (first, during, await stage.taken(at_least=1))


async def test_another_process_takes_over_what_a_dead_one_held(stage: Stage) -> None:
    """Work is nobody's for longer than a lease, whoever had it."""
    await stage.put()
    survivor = await stage.another()
    first = await stage.taken(at_least=1)
    during = await stage.taken(queue=survivor)
    stage.clock.advance(LEASE)

    assert ([1], [], [1]) == (first, during, await stage.taken(queue=survivor, at_least=1))


async def test_no_more_is_taken_than_asked_for(stage: Stage) -> None:
    """Who has no hand free takes nothing; who has one takes one."""
    for _ in range(3):
        await stage.put()

    none, one = await stage.take(limit=0), await stage.take(limit=1, at_least=1)

    assert (0, 1, 2) == (len(none), len(one), len(await stage.take(at_least=2)))


async def test_a_sign_of_life_holds_work_for_another_lease(stage: Stage) -> None:
    """An extended lease counts from the sign of life on."""
    await stage.put()
    held = await stage.take(at_least=1)
    stage.clock.advance(LEASE - SECOND)
    lost = await stage.queue.extend(held)
    stage.clock.advance(LEASE - SECOND)
    during = await stage.taken()
    stage.clock.advance(SECOND)

    assert ([], [], [1]) == (list(lost), during, await stage.taken(at_least=1))


async def test_what_was_lost_to_somebody_else_is_told(stage: Stage) -> None:
    """Who was away for longer than a lease learns that another is at it now."""
    await stage.put()
    held = await stage.take(at_least=1)
    stage.clock.advance(LEASE)
    other = await stage.another()
    await stage.take(queue=other, at_least=1)

    assert held == list(await stage.queue.extend(held))


@pytest.mark.parametrize("rest", [timedelta(0), 10 * SECOND])
async def test_what_is_handed_back_is_due_after_its_rest(stage: Stage, rest: timedelta) -> None:
    """Work that was not done is free again at once, or when it has rested."""
    await stage.put()
    held = await stage.take(at_least=1)
    await stage.queue.hand_back(held, after=rest)
    stage.clock.advance(rest - timedelta(microseconds=1))
    early = await stage.taken()
    stage.clock.advance(timedelta(microseconds=1))

    assert ([], [1]) == (early, await stage.taken(at_least=1))


async def test_what_has_failed_comes_back_with_its_count(stage: Stage) -> None:
    """Whoever takes it up again knows how often it has gone wrong."""
    await stage.put()
    for _ in range(3):
        held = await stage.take(at_least=1)
        await stage.queue.hand_back(held, has_failed=True)

    assert [3] == [each.failures for each in await stage.take(at_least=1)]


async def test_what_is_settled_does_not_come_back(stage: Stage) -> None:
    """Not when its lease would have ended, either."""
    await stage.put()
    await stage.settle(*await stage.take(at_least=1))
    stage.clock.advance(2 * LEASE)

    assert [] == await stage.taken()


async def test_what_is_due_later_is_taken_later(stage: Stage) -> None:
    """A retry is announced when it is made, and heard of when it is due."""
    await stage.put(after=10 * SECOND, sort=Sort.AGAIN)
    early = await stage.taken(Sort.AGAIN)
    stage.clock.advance(10 * SECOND)

    assert ([], [1]) == (early, await stage.taken(Sort.AGAIN, at_least=1))


async def test_sorts_are_apart(stage: Stage) -> None:
    """What is taken by other hands is left to them."""
    numbers = {sort: (await stage.put(sort=sort)).number for sort in Sort}

    for sort in Sort:
        assert [numbers[sort]] == await stage.taken(sort, at_least=1)
        assert [] == await stage.taken(sort)


async def test_instances_take_turns(stage: Stage) -> None:
    """However much one has waiting, another's only piece is among the next two."""
    for _ in range(20):
        await stage.put(instance=1)
    lone = await stage.put(instance=2)

    taken = await stage.take(limit=2, at_least=2)

    assert lone.number in [each.number for each in taken]


async def test_a_lane_that_has_enough_hands_is_left_out(stage: Stage) -> None:
    """Others are taken meanwhile, and its own when it may have more."""
    full = await stage.put(gateway=Gateway.APNS)
    other = await stage.put(gateway=Gateway.FCM)

    besides = await stage.taken(besides=[full.lane], at_least=1)

    assert ([other.number], [full.number]) == (besides, await stage.taken(at_least=1))


async def test_nothing_of_a_paused_lane_is_taken(stage: Stage) -> None:
    """It waits; what goes through other lanes does not."""
    held = await stage.put(gateway=Gateway.APNS)
    other = await stage.put(gateway=Gateway.FCM)
    await stage.pause(held.lane, probe_in=MINUTE)

    assert [other.number] == await stage.taken(at_least=1)
    assert [] == await stage.taken()


async def test_a_paused_lane_is_probed_by_one_message(stage: Stage) -> None:
    """When its time has come, one process takes one piece, and another none."""
    held = [await stage.put() for _ in range(3)]
    await stage.pause(held[0].lane, probe_in=MINUTE)
    none = await stage.take()
    stage.clock.advance(MINUTE)
    other = await stage.another()

    (probe,) = await stage.take(at_least=1)

    assert isinstance(probe, Batch)
    assert ([], Errand.PROBE, [], []) == (
        none,
        probe.errand,
        await stage.taken(),
        await stage.taken(queue=other),
    )


async def test_what_expires_in_a_paused_lane_is_taken_to_say_so(stage: Stage) -> None:
    """Nothing waits for ever behind credentials that nobody mends."""
    held = await stage.put(expires_at=NOW + SECOND)
    await stage.pause(held.lane, probe_in=MINUTE)
    stage.clock.advance(10 * SECOND)

    (expired,) = await stage.take(at_least=1)

    assert isinstance(expired, Batch)
    assert (held.number, Errand.EXPIRE) == (expired.number, expired.errand)


async def test_what_a_lane_held_is_free_when_it_goes_on(stage: Stage) -> None:
    """Tickets that nobody could use meanwhile are made anew."""
    held = [await stage.put() for _ in range(3)]
    await stage.pause(held[0].lane, probe_in=MINUTE)
    paused = await stage.take()
    async with stage.database.write() as connection:
        await lanes.resume(connection, held[0].lane)
    await stage.queue.announce([])

    assert ([], {1, 2, 3}) == (paused, set(await stage.taken(at_least=3)))


async def test_work_that_nobody_announced_is_found(stage: Stage) -> None:
    """A commit is enough; an announcement only saves time."""
    queue, stage.queue = stage.queue, await stage.another()
    await stage.put()

    assert [1] == await stage.taken(queue=queue, at_least=1)


async def test_each_piece_is_taken_by_one(stage: Stage) -> None:
    """Two that take at the same time share the work; nothing is taken twice or left."""
    numbers = [(await stage.put(instance=n % 5 + 1)).number for n in range(40)]
    other = await stage.another()

    async def all_there_is(queue: Queue) -> list[int]:
        mine: list[int] = []
        while got := await queue.take(Sort.SMALL, 3):
            mine += [each.number for each in got]
        return mine

    both = await asyncio.gather(all_there_is(stage.queue), all_there_is(other))
    rest = await stage.taken(limit=40, at_least=40 - sum(map(len, both)))

    assert sorted(numbers) == sorted([*both[0], *both[1], *rest])


async def test_waiting_ends_with_an_announcement(stage: Stage) -> None:
    """Whoever has hands free hears of what is new, and of which sort."""
    await stage.take()
    waiting = asyncio.create_task(stage.queue.wait())
    await asyncio.sleep(0)
    await stage.put()

    assert Sort.SMALL in await asyncio.wait_for(waiting, 10)
    assert [1] == await stage.taken(at_least=1)


async def test_work_announced_before_the_wait_is_not_slept_through(stage: Stage) -> None:
    """An announcement between looking and waiting is not lost."""
    nothing = await stage.take()
    await stage.put()

    assert Sort.SMALL in await asyncio.wait_for(stage.queue.wait(), 10)
    assert ([], [1]) == (nothing, await stage.taken(at_least=1))
