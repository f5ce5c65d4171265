"""
Group commit: what arrives while a transaction is under way is written by the next one.

No timer is needed. A write that comes alone begins at once; the more there are, the
more of them share the cost of a transaction, which is mostly that of its commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from heliograph.errors import Overloaded
from heliograph.storage.database import is_away

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
"""
Commits items in one transaction; for each, in their order, what came of it.

An exception among the results is one item's own, and the others are written. One that is
raised means that nothing is.
"""


class Grouped(Generic[Item, Result]):
    """Writes of one kind, one transaction at a time."""

    def __init__(
        self, write: Write[Item, Result], *, most_together: int, most_waiting: int
    ) -> None:
        """
        Write by a function.

        Args:
            write: One transaction.
            most_together: Items in one transaction.
            most_waiting: Items that wait for one, which bounds what they take of memory.
        """
        self._write = write
        self._most_together = most_together
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """
        Write an item; return when it is committed.

        Whoever is cancelled meanwhile does not learn whether it was.

        Raises:
            Overloaded: Too many wait already; this one was not written.
            Exception: Its own, or the transaction's; it was not written.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded("too many writes wait for the database")
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                number = min(len(self._waiting), self._most_together)
                group = [self._waiting.popleft() for _ in range(number)]
                await self._write_group([each for each in group if not each[1].done()])
        finally:
            self._writer = None
            for _, written in self._waiting:  # we were cancelled: the process is going down
                written.cancel()
            self._waiting.clear()

    async def _write_group(self, group: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """
        Write a group; if that fails, each of it alone, so that only the guilty fail.

        What is the database's own trouble is everybody's at once: there is no use in
        meeting it again for each of them.
        """
        if not group:
            return
        try:
            results = await self._write([item for item, _ in group])
        except Exception as problem:  # noqa: BLE001  (it is passed on to who asked)
            if len(group) > 1 and not is_away(problem):
                for each in group:
                    await self._write_group([each])
                return
            results = [problem] * len(group)
        except BaseException:
            for _, written in group:
                written.cancel()
            raise
        for (_, written), result in zip(group, results, strict=True):
            _tell(written, result)


def _tell(written: "asyncio.Future[Result]", result: Result | Exception) -> None:
    if written.done():  # whoever asked is gone
        return
    if isinstance(result, Exception):
        written.set_exception(result)
    else:
        written.set_result(result)
