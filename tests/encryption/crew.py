"""Waiting for processes, which say nothing of themselves."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from heliograph.encryption.process import Processes

PATIENCE_SECONDS: Final = 30


async def at_work(crew: Processes, count: int, *, without: int = 0) -> None:
    """Wait until so many processes can be asked, the one of a certain number not among them."""

    def is_so() -> bool:
        pids = [process.pid for process in crew.ready()]
        return len(pids) == count and without not in pids

    await until(is_so)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  (what a process does is no event of ours)
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
