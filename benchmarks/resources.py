"""What a process holds: tasks, file descriptors, memory."""

import asyncio
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process holds at one instant, with its rubbish collected."""

    tasks: int
    descriptors: int
    memory: int
    """Resident bytes."""

    @classmethod
    def now(cls) -> Self:
        """What is held by the process and its running loop."""
        gc.collect()
        return cls(len(asyncio.all_tasks()), _descriptors(), _resident_bytes())

    def is_within(self, other: Self) -> bool:
        """Whether no more tasks and descriptors are held than then."""
        return self.tasks <= other.tasks and self.descriptors <= other.descriptors


def _descriptors() -> int:
    """How many files and sockets are open."""
    return len(list(Path("/dev/fd").iterdir())) - 1  # without the one that reads the folder


def _resident_bytes() -> int:
    """From ``/proc``; 0 where there is none, so that nothing can be said of memory there."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
