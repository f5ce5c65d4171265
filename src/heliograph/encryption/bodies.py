"""
What each browser gets: the text of a message, encrypted for it alone.

A message costs one or two products on P-256, and nothing in Python makes them cheaper. Threads
make it worse, since what surrounds a product needs the interpreter. So a large batch goes
to processes, in chunks. A small one is encrypted here, and so is every batch while no
process is ready: nothing waits for one to come back.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from heliograph.encryption.chunk import (
    Bodies,
    Browser,
    Chunk,
    NewKey,
    Randomness,
    encrypt,
    new_key,
    senders,
)
from heliograph.encryption.process import Process, Processes
from heliograph.model import WebAddress
from heliograph.wire.ece import MAX_PLAINTEXT_BYTES

SMALL: Final = 16
"""
A batch of this many is encrypted here; processes are for larger ones.

To ask a process takes as long as one or two messages, so that for fewer it is faster to
encrypt them, and a server that never sends to more does not pay for a process.
"""

SLICE: Final = 16
"""Messages that are encrypted here before others have their turn: two or three ms."""

CHUNK: Final = 64
"""Messages that a process is asked for at once, at most; to ask costs as much as one."""

AHEAD: Final = 2
"""Chunks of one batch that a process has at once: one waits for it while we are busy."""


class Encryption:
    """Encrypts for browsers, here and in processes."""

    def __init__(
        self,
        *,
        processes: Processes,
        share_key: bool,
        randomness: Randomness,
        new_key: NewKey = new_key,
        small: int = SMALL,
    ) -> None:
        """
        Start nothing yet.

        Args:
            processes: For large batches. They are ours to close.
            share_key: Whether messages of one text have one key pair rather than one
                each. ``ece.Sender`` says what that means.
            randomness: For the salts of what is encrypted here.
            new_key: For the key pairs of what is encrypted here.
            small: The largest batch that no process is asked for.
        """
        self._processes = processes
        self._share_key = share_key
        self._randomness = randomness
        self._new_key = new_key
        self._small = small
        self._turn = asyncio.Lock()

    async def bodies(self, plaintext: bytes, addresses: Sequence[WebAddress]) -> Bodies:
        """
        The encrypted body for each browser, in order; None where its key is unusable.

        Raises:
            ValueError: The text is longer than ``MAX_PLAINTEXT_BYTES``.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"{len(plaintext)} bytes is more than {MAX_PLAINTEXT_BYTES}")
        browsers = [(address.p256dh, address.auth) for address in addresses]
        processes = self._processes.ready() if len(browsers) > self._small else []
        if not processes:
            return await self._here(plaintext, browsers)
        return await self._there(plaintext, browsers, processes)

    async def close(self) -> None:
        """End the processes; what they have in hand is finished."""
        await self._processes.close()

    async def _here(self, plaintext: bytes, browsers: Sequence[Browser]) -> Bodies:
        """One slice at each turn of the event loop, whoever's it is."""
        ours = senders(self._new_key, share_key=self._share_key)
        bodies: Bodies = []
        for start in range(0, len(browsers), SLICE):
            async with self._turn:
                some = browsers[start : start + SLICE]
                bodies += encrypt(plaintext, some, ours, randomness=self._randomness)
                await asyncio.sleep(0)
        return bodies

    async def _there(
        self, plaintext: bytes, browsers: Sequence[Browser], processes: list[Process]
    ) -> Bodies:
        """Each process takes chunks as fast as it can; what one dies with is done here."""
        size = min(CHUNK, -(-len(browsers) // len(processes)))
        starts = range(0, len(browsers), size)
        waiting = deque(starts)
        done: dict[int, Bodies] = {}

        async def feed(process: Process) -> None:
            is_there = True
            while waiting and is_there:
                start = waiting.popleft()
                some = browsers[start : start + size]
                bodies = await process.encrypt(Chunk(plaintext, some, self._share_key))
                is_there = bodies is not None
                done[start] = await self._here(plaintext, some) if bodies is None else bodies

        await asyncio.gather(*map(feed, processes * AHEAD))
        for start in waiting:
            done[start] = await self._here(plaintext, browsers[start : start + size])
        return [body for start in starts for body in done[start]]
