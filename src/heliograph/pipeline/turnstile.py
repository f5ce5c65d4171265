"""
The turnstile: what keeps the event loop long passes one at a time, and what is small between.

A step of a large batch takes some ten milliseconds, in which nothing else runs. A message to one
person is a dozen short steps; if it met all of a worker's large batches at each of them,
it would be a second on its way. Here it meets one of them once, or twice.
"""

import asyncio
from typing import Final

_ROUNDS: Final = 12
"""Of the event loop between two: about as many as a message to one person needs."""


class Turnstile:
    """Where large work waits until it may take its next step."""

    def __init__(self) -> None:
        """Let the first one pass."""
        self._gate = asyncio.Lock()

    async def passed(self) -> None:
        """Return when it is our turn, in the order of asking; a step that comes now is alone."""
        async with self._gate:
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
