"""
The processes that encrypt, as their owner sees them.

They are programs of their own rather than a ``ProcessPoolExecutor``: its workers import
the program that started them (92 MB and more than a second for ``heliograph``; these
take 27 MB and a tenth of one), and stay behind when it is killed.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from heliograph.config import PREFIX
from heliograph.encryption.chunk import LENGTH_BYTES, Bodies, Chunk, bodies_of, to_wire
from heliograph.logs import Event
from heliograph.logs import get as log

PAUSE: Final = timedelta(seconds=5)
"""How long a process that was lost is missing: it may not be able to start at all."""

_PATIENCE_SECONDS: Final = 5.0
"""How long a process may take to finish what it has in hand when it is to end."""

_BUFFER_BYTES: Final = 2**20


class Processes:
    """As many processes as asked for, started at the first need, replaced when lost."""

    def __init__(
        self, count: int, *, pause: timedelta = PAUSE, python: str = sys.executable
    ) -> None:
        """Start nothing yet."""
        self._count = count
        self._pause = pause
        self._python = python
        self._keepers: list[asyncio.Task[None]] = []
        self._ready: list[Process] = []

    def ready(self) -> "list[Process]":
        """Those that can be asked now. The first call finds none, and starts them."""
        if not self._keepers:
            self._keepers = [asyncio.create_task(self._keep()) for _ in range(self._count)]
        return list(self._ready)

    async def close(self) -> None:
        """End them; what they have in hand is finished."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                process = await Process.started(self._python)
            except OSError as problem:
                log().warning(Event.ENCRYPTION_PROCESS_LOST, problem=type(problem).__name__)
            else:
                status = await self._serve(process)
                log().warning(Event.ENCRYPTION_PROCESS_LOST, pid=process.pid, status=status)
            await asyncio.sleep(self._pause.total_seconds())

    async def _serve(self, process: "Process") -> int:
        """Offer a process to whoever asks, until it has ended; its exit status."""
        try:
            if await process.is_ready():
                self._ready.append(process)
            return await process.ended()
        finally:
            if process in self._ready:
                self._ready.remove(process)
            await process.stop()


class Process:
    """One process, which answers in the order in which it is asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Speak to a process through its pipes."""
        assert process.stdin is not None  # noqa: S101  (``started`` asked for both)
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._writer, self._reader = process.stdin, process.stdout
        self._turn = asyncio.Lock()

    @classmethod
    async def started(cls, python: str = sys.executable) -> "Process":
        """
        A process that no terminal stops.

        Raises:
            OSError: There can be none.
        """
        return cls(
            await asyncio.create_subprocess_exec(
                *(python, "-P", "-m", "heliograph.encryption"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment_of(os.environ),
                start_new_session=True,
                limit=_BUFFER_BYTES,
            )
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def is_ready(self) -> bool:
        """True once it can be asked; False if it ended first."""
        return await self._read() is not None

    async def encrypt(self, chunk: Chunk) -> Bodies | None:
        """The chunk's bodies; None if the process ended, and nothing came of it."""
        if self._writer.is_closing():  # uvloop's transport would say RuntimeError
            return None
        data = to_wire(chunk)
        self._writer.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
        try:
            async with self._turn:  # whose waiters are served in the order of their writes
                answer = await self._read()
        except asyncio.CancelledError:
            self._kill()  # what it answers now would be taken for the next one's
            raise
        return None if answer is None else bodies_of(answer)

    async def ended(self) -> int:
        """The exit status once it has ended: minus its number if a signal did it."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Let it finish and end, or make it."""
        self._writer.close()
        ended = asyncio.create_task(self.ended())
        await asyncio.wait([ended], timeout=_PATIENCE_SECONDS)
        self._kill()
        await ended

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _read(self) -> bytes | None:
        try:
            length = await self._reader.readexactly(LENGTH_BYTES)
            return await self._reader.readexactly(int.from_bytes(length, "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


def environment_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process: none of our settings, and the modules that we have."""
    rest = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    return rest | {"PYTHONPATH": os.pathsep.join(sys.path)}
