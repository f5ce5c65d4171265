"""
Certificates in .p12 files, opened where they hold nobody up.

A file says itself how often its password is to be hashed, up to thousands of millions of times,
and to hash it stops everything else in a process. Whoever has an app secret may bring such a
file, so a program of its own opens it (``unlocking.py``), which the system ends after a while.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from heliograph.api.ibm.unlocking import Locked, Opened
from heliograph.encryption.process import environment_of
from heliograph.errors import Overloaded

LARGEST_FILE: Final = 65_536
"""Bytes: Keychain's files have about 3,000."""

LONGEST_KEY: Final = 4096
"""Characters of PEM: room for RSA of 4,096 bits. Much longer ones take seconds to look at."""

_PATIENCE_SECONDS: Final = 60.0
"""Beside the time that the program may reckon: how long it may take to get so far."""

_MOST_WAITING: Final = 8

Unlock = Callable[[bytes, str], Awaitable[tuple[str, str]]]
"""Certificates and key of a .p12 file with its password, as ``Unlocker.unlock`` has them."""


class Unlocker:
    """Opens one file at a time."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def unlock(self, content: bytes, password: str) -> tuple[str, str]:
        """
        Certificates and key of a .p12 file, both in PEM.

        Raises:
            ValueError: It cannot be opened, or not in time, or is too large; the message says
                so and repeats nothing of it.
            Overloaded: Too many others wait.
        """
        if len(content) > LARGEST_FILE:
            raise ValueError(f"it must have at most {LARGEST_FILE} bytes")
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("too many certificates are to be opened")
        self._waiting += 1
        try:
            async with self._turn:
                answer = await _ask(msgspec.json.encode(Locked(content, password)))
        finally:
            self._waiting -= 1
        return _read(answer)


def _read(answer: bytes) -> tuple[str, str]:
    try:
        opened = msgspec.json.decode(answer, type=Opened)
    except msgspec.MsgspecError:
        raise ValueError("it takes too long to open") from None
    if opened.problem is not None:
        raise ValueError(opened.problem)
    if len(opened.key) > LONGEST_KEY:
        raise ValueError("its key is too long")
    return opened.certificate, opened.key


async def _ask(question: bytes) -> bytes:
    """What the program answers; nothing if it was ended first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "heliograph.api.ibm.unlocking"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment_of(os.environ),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answer, _ = await process.communicate(question)
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return answer
