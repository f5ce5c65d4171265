"""Queries on work: leased to one at a time, first attempts before repeats, never lost."""

from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from builders import HOLDER, MINUTE, NOW, SECOND, add_instance, add_publish, leased
from heliograph.model import (
    DeviceNumber,
    Environment,
    Gateway,
    InstanceNumber,
    PublishNumber,
    Sort,
    WorkNumber,
)
from heliograph.storage import tables, turns, work
from heliograph.storage.database import Database
from heliograph.storage.work import Batch, Expansion, Waiting, Work

INSTANCE, PUBLISH = InstanceNumber(1), PublishNumber(1)


@pytest.fixture(autouse=True)
async def publish(database: Database) -> None:
    """Instance 1 with publish 1, whose work this is."""
    async with database.write() as connection:
        assert INSTANCE == await add_instance(connection)
        assert PUBLISH == await add_publish(connection, INSTANCE)


async def put(
    database: Database, *devices: int, attempt: int = 1, due_at: datetime = NOW
) -> WorkNumber:
    """Add a batch; its number."""
    before = set(await numbers_of(database))
    async with database.write() as connection:
        await work.add_batch(
            connection,
            PUBLISH,
            INSTANCE,
            Gateway.APNS,
            Environment.SANDBOX,
            [DeviceNumber(each) for each in devices or (1,)],
            attempt=attempt,
            due_at=due_at,
            sort=Sort.SMALL if attempt == 1 else Sort.AGAIN,
        )
    (number,) = set(await numbers_of(database)) - before
    return number


async def numbers_of(database: Database) -> list[WorkNumber]:
    """All work there is, held or not, due or not."""
    async with database.read() as connection:
        rows = await connection.execute(tables.work.select())
        return [WorkNumber(row.number) for row in rows]


async def take(
    database: Database, limit: int = 10, *, now: datetime = NOW, until: datetime = NOW + MINUTE
) -> Sequence[Work]:
    async with database.write() as connection:
        return await leased(connection, limit, now=now, until=until)


async def taken(database: Database, limit: int = 10, *, now: datetime = NOW) -> set[WorkNumber]:
    return {each.number for each in await take(database, limit, now=now, until=now + MINUTE)}


async def test_work_is_read_as_it_was_written(database: Database) -> None:
    """A target to be walked and a batch of deliveries are told apart, and complete."""
    async with database.write() as connection:
        await work.add_expansion(connection, PUBLISH, INSTANCE, now=NOW)
    number = await put(database, 3, 5, 2**40, attempt=4)

    batch, expansion = await take(database)

    assert Expansion(WorkNumber(1), PUBLISH, INSTANCE, 0) == expansion
    assert (
        Batch(
            number,
            PUBLISH,
            INSTANCE,
            Gateway.APNS,
            Environment.SANDBOX,
            array("q", [3, 5, 2**40]),
            4,
            Sort.AGAIN,
        )
        == batch
    )


async def test_what_is_fresh_and_what_is_repeated_are_taken_apart(database: Database) -> None:
    """Whoever takes fresh work gets no repeat, however long it has been due."""
    repeat = await put(database, attempt=7, due_at=NOW - MINUTE)
    second = await put(database, attempt=2)
    fresh = await put(database)

    order = [await taken(database, 1) for _ in range(4)]

    assert [{fresh}, {repeat}, {second}, set()] == order


async def test_older_work_is_taken_before_younger(database: Database) -> None:
    """Among first attempts the order is that in which they were asked for."""
    numbers = [await put(database) for _ in range(3)]

    assert set(numbers[:2]) == await taken(database, 2)


async def test_work_that_is_not_due_waits(database: Database) -> None:
    """Work is taken from the instant on at which it is due."""
    number = await put(database, due_at=NOW + SECOND)

    early = await taken(database, now=NOW + SECOND - timedelta(microseconds=1))

    assert (set(), {number}) == (early, await taken(database, now=NOW + SECOND))


async def test_what_one_process_holds_no_other_takes(database: Database, either_url: str) -> None:
    """Two processes that take work from one database never hold the same."""
    numbers = {await put(database) for _ in range(5)}

    async with Database.opened(either_url) as other:
        ours, theirs = await taken(database, 3), await taken(other, 3)

    assert (set(), numbers, 3) == (ours & theirs, ours | theirs, len(ours))


async def test_a_lease_runs_out(database: Database) -> None:
    """Work whose holder gave no sign of life is somebody else's from the end of its lease on."""
    number = await put(database)
    await take(database, until=NOW + MINUTE)

    before = await taken(database, now=NOW + MINUTE - timedelta(microseconds=1))

    assert (set(), {number}) == (before, await taken(database, now=NOW + MINUTE))


async def test_a_lease_can_be_extended(database: Database) -> None:
    """Who is still at it holds the work for longer; other leases run on."""
    kept, other = await put(database), await put(database)
    await take(database, until=NOW + MINUTE)
    async with database.write() as connection:
        await work.extend(connection, [kept], holder=HOLDER, until=NOW + 2 * MINUTE)

    assert [{other}, {kept, other}] == [
        await taken(database, now=NOW + minutes * MINUTE) for minutes in (1, 2)
    ]


async def test_work_is_handed_back(database: Database) -> None:
    """Work that was not done can be taken again, at once or after a rest."""
    first, second = await put(database), await put(database)
    await take(database)
    async with database.write() as connection:
        await work.hand_back(connection, [first], holder=HOLDER, due_at=NOW)
        await work.hand_back(connection, [second], holder=HOLDER, due_at=NOW + SECOND)

    assert [{first}, {second}] == [
        await taken(database, now=NOW),
        await taken(database, now=NOW + SECOND),
    ]


async def test_every_lease_can_be_ended(database: Database) -> None:
    """The only process there is takes over at once whatever its predecessor held."""
    numbers = {await put(database) for _ in range(3)}
    await taken(database, 2)

    async with database.write() as connection:
        ended = [await work.release_all(connection), await work.release_all(connection)]

    assert ([2, 0], numbers) == (ended, await taken(database))


async def test_the_next_due_work_is_the_soonest_that_nobody_holds(database: Database) -> None:
    """A queue can sleep until the soonest work is due; what is held does not wake it."""

    async def next_due() -> datetime | None:
        async with database.read() as connection:
            return await turns.next_due(connection, after=NOW - SECOND)

    empty = await next_due()
    await put(database, due_at=NOW)
    await put(database, due_at=NOW + MINUTE)
    await put(database, due_at=NOW + SECOND)
    all_free = await next_due()
    await take(database)

    assert (None, NOW, NOW + SECOND) == (empty, all_free, await next_due())


async def test_an_expansion_moves_on_and_lets_go(database: Database) -> None:
    """After each page an expansion is free again, with how far it has come."""
    async with database.write() as connection:
        await work.add_expansion(connection, PUBLISH, INSTANCE, now=NOW)
    (expansion,) = await take(database)
    async with database.write() as connection:
        assert isinstance(expansion, Expansion)
        left = await work.move_on(connection, expansion, expanded_to=42, sort=Sort.LARGE)

    assert [Expansion(expansion.number, PUBLISH, INSTANCE, 42, Sort.LARGE)] == [left]
    assert [left] == await take(database)


async def test_work_is_finished_once(database: Database) -> None:
    """Of two who finish the same work, the second is told that it was done."""
    number = await put(database)

    async with database.write() as connection:
        answers = [await work.remove(connection, number) for _ in range(2)]

    assert ([True, False], []) == (answers, await numbers_of(database))


async def test_a_number_of_work_is_never_given_again(database: Database) -> None:
    """Who holds the number of finished work cannot finish other work with it."""
    finished = await put(database)
    async with database.write() as connection:
        await work.remove(connection, finished)

    assert finished < await put(database)


@pytest.mark.parametrize("numbers", [[], [WorkNumber(99)]])
async def test_letting_go_of_what_is_gone_is_no_matter(
    database: Database, numbers: list[WorkNumber]
) -> None:
    """Extending or handing back work that was finished meanwhile does nothing."""
    await put(database)
    await take(database)

    async with database.write() as connection:
        await work.extend(connection, numbers, holder=HOLDER, until=NOW)
        await work.hand_back(connection, numbers, holder=HOLDER, due_at=NOW)

    assert set() == await taken(database)


async def test_what_waits_for_a_device_is_found_in_its_batch(database: Database) -> None:
    """Each device is found where it stands, with whether somebody is at it; others are not."""
    await put(database, 1, 3, 5)
    await put(database, 7, attempt=2, due_at=NOW + MINUTE)
    async with database.write() as connection:
        await work.add_expansion(connection, PUBLISH, INSTANCE, now=NOW + MINUTE)
        await leased(connection, 1)

    async with database.read() as connection:
        found = await work.waiting(connection, PUBLISH, [DeviceNumber(each) for each in range(9)])
        other = await work.waiting(connection, PublishNumber(2), [DeviceNumber(1)])

    first = Waiting(1, NOW, is_in_hand=True)
    assert {1: first, 3: first, 5: first, 7: Waiting(2, NOW + MINUTE, is_in_hand=False)} == found
    assert {} == other


async def test_work_in_nobodys_hand_is_removed(database: Database) -> None:
    """What is held stays, whoever holds it; what was removed is told."""
    held = await put(database, 1)
    async with database.write() as connection:
        await leased(connection, 1)
    waiting = [await put(database, 2), await put(database, 3, due_at=NOW + MINUTE)]

    async with database.write() as connection:
        removed = await work.remove_waiting(connection, PUBLISH)

    assert (waiting, [held]) == ([each.number for each in removed], await numbers_of(database))


async def test_only_its_holder_extends_or_hands_back_work(database: Database) -> None:
    """Whoever lost it to somebody else is told, and takes nothing from them."""
    number = await put(database)
    await take(database)
    async with database.write() as connection:
        kept = await work.extend(connection, [number], holder="another", until=NOW)
        await work.hand_back(connection, [number], holder="another", due_at=NOW)
        ours = await work.extend(connection, [number], holder=HOLDER, until=NOW + MINUTE)

    assert (set(), {number}, set()) == (kept, ours, await taken(database))


async def test_failures_are_counted(database: Database) -> None:
    """Work that is handed back because it failed tells how often; other work does not."""
    number = await put(database)
    counts = []
    for has_failed in (True, False, True):
        async with database.write() as connection:
            (held,) = await leased(connection, 1)
            await work.hand_back(
                connection, [number], holder=HOLDER, due_at=NOW, has_failed=has_failed
            )
        counts.append(held.failures)
    (last,) = await take(database)

    assert ([0, 1, 1], 2) == (counts, last.failures)


async def test_only_work_that_is_due_and_free_is_claimed(database: Database) -> None:
    """Of those asked for, in the order in which they were asked for."""
    held = await put(database)
    await take(database)
    later, second, first = (
        await put(database, due_at=NOW + SECOND),
        await put(database),
        await put(database),
    )
    async with database.write() as connection:
        claimed = await work.claim(
            connection,
            [first, held, WorkNumber(99), second, later],
            holder="another",
            now=NOW,
            until=NOW + MINUTE,
        )

    assert [first, second] == [each.number for each in claimed]
