"""Group commit: who is written together, and what each of them hears."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from heliograph.errors import Overloaded
from heliograph.storage.grouped import Grouped


class Disk:
    """Writes groups, each when it is told to; remembers them."""

    def __init__(self, fails: Callable[[Sequence[str]], Exception | None] = lambda _: None) -> None:
        self.groups: list[list[str]] = []
        self.turn = asyncio.Event()
        self._fails = fails

    async def write(self, items: Sequence[str]) -> list[str | Exception]:
        self.groups.append(list(items))
        await self.turn.wait()
        problem = self._fails(items)
        if problem is not None:
            raise problem
        return [ValueError(each) if each == "odd" else each.upper() for each in items]


def grouped(disk: Disk, *, most_together: int = 10, most_waiting: int = 10) -> Grouped[str, str]:
    return Grouped(disk.write, most_together=most_together, most_waiting=most_waiting)


async def begun(*calls: Coroutine[Any, Any, Any]) -> list["asyncio.Task[Any]"]:
    """Calls that are under way, as far as they come by themselves."""
    tasks = [asyncio.create_task(call) for call in calls]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def all_of(tasks: Sequence["asyncio.Task[Any]"]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_comes_during_a_write_shares_the_next() -> None:
    """The first is written at once and alone; those that come meanwhile, together."""
    disk = Disk()
    writes = grouped(disk)
    tasks = await begun(writes.add("a"))
    tasks += await begun(writes.add("b"), writes.add("c"))

    disk.turn.set()

    assert ["A", "B", "C"] == await all_of(tasks)
    assert [["a"], ["b", "c"]] == disk.groups


async def test_a_write_has_an_end() -> None:
    """No more than the most are written together; the rest has its turn after them."""
    disk = Disk()
    writes = grouped(disk, most_together=2)
    tasks = await begun(*[writes.add(each) for each in "abcde"])

    disk.turn.set()

    assert ["A", "B", "C", "D", "E"] == await all_of(tasks)
    assert [["a", "b"], ["c", "d"], ["e"]] == disk.groups


async def test_an_exception_among_results_is_ones_own() -> None:
    """Whoever it is for has it raised, and the others have their results."""
    disk = Disk()
    writes = grouped(disk)
    tasks = await begun(writes.add("odd"), writes.add("b"))

    disk.turn.set()

    problem, result = await all_of(tasks)
    assert ("odd", "B") == (str(problem), result)


async def test_a_group_that_fails_is_tried_one_by_one() -> None:
    """Only the guilty one fails."""
    disk = Disk(lambda items: KeyError("bad") if "bad" in items else None)
    writes = grouped(disk)
    tasks = await begun(*[writes.add(each) for each in ("a", "bad", "c")])

    disk.turn.set()

    first, problem, last = await all_of(tasks)
    assert ("A", KeyError, "C") == (first, type(problem), last)
    assert [["a", "bad", "c"], ["a"], ["bad"], ["c"]] == disk.groups


@pytest.mark.parametrize(
    "trouble",
    [OSError("disk full"), OperationalError("", {}, Exception("database is locked"))],
    ids=lambda each: type(each).__name__,
)
async def test_trouble_of_the_database_is_everybodys_at_once(trouble: Exception) -> None:
    """What would meet each of them is not met again for each; the next try is the next group's."""
    disk = Disk(lambda items: trouble if "c" not in items else None)
    writes = grouped(disk)
    tasks = await begun(writes.add("a"), writes.add("b"))
    disk.turn.set()

    assert [trouble, trouble] == await all_of(tasks)

    assert "C" == await writes.add("c")
    assert [["a", "b"], ["c"]] == disk.groups


async def test_whoever_goes_away_does_not_disturb_the_others() -> None:
    """What is under way is finished; what has not begun is left out."""
    disk = Disk()
    writes = grouped(disk)
    tasks = await begun(writes.add("a"))
    tasks += await begun(writes.add("b"), writes.add("c"))
    tasks[0].cancel()
    tasks[1].cancel()

    disk.turn.set()

    assert "C" == await tasks[2]
    assert [["a"], ["c"]] == disk.groups


async def test_too_many_are_refused() -> None:
    """Those that wait are bounded; who is refused was not written, and later there is room."""
    disk = Disk()
    writes = grouped(disk, most_waiting=2)
    tasks = await begun(writes.add("a"))
    tasks += await begun(writes.add("b"), writes.add("c"))

    with pytest.raises(Overloaded):
        await writes.add("d")

    disk.turn.set()
    assert ["A", "B", "C"] == await all_of(tasks)
    assert "E" == await writes.add("e")
    assert [["a"], ["b", "c"], ["e"]] == disk.groups
