"""How the device's SDK repeats a request: a few times, each wait longer, none endless."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from heliograph.client.errors import Unreachable
from heliograph.client.steps import Operation, Pause

_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Retry:
    """
    A policy of bounded attempts.

    Every request of the device API can be repeated without harm, so what is repeated
    is decided by the reply alone: none at all, 5xx, and 429.
    """

    attempts: int = 3
    """How often a request is sent at most; at least 1."""

    first_seconds: float = 0.4
    """The longest first wait; each further one may be twice as long."""

    max_seconds: float = 10.0
    """The longest wait."""

    jitter: Callable[[], float] = random.random
    """Draws from 0 to 1. A wait is between half and all of its longest."""

    def waits(self) -> Iterator[float]:
        """Seconds to wait after each attempt but the last."""
        for attempt in range(self.attempts - 1):
            longest = min(self.first_seconds * 2**attempt, self.max_seconds)
            yield longest * (1 + self.jitter()) / 2


ONCE = Retry(attempts=1)
"""For what can as well wait for another occasion."""


def exchange(request: httpx.Request, retry: Retry) -> Operation[httpx.Response]:
    """
    Send a request until it is answered, as often as the policy allows.

    Returns:
        The first reply that is neither 5xx nor 429, whatever it says.

    Raises:
        Unreachable: There was none.
    """
    waits = retry.waits()
    where = f"{request.method} {request.url.copy_with(query=None)}"
    while True:
        cause: Exception | None = None
        try:
            reply: httpx.Response = yield request
        except httpx.RequestError as error:
            cause = error
            failure = Unreachable(f"{where}: {type(error).__name__}: {error}")
        else:
            if not (reply.is_server_error or reply.status_code == _TOO_MANY_REQUESTS):
                return reply
            failure = Unreachable(f"{where}: status {reply.status_code}", status=reply.status_code)
        wait = next(waits, None)
        if wait is None:
            raise failure from cause
        yield Pause(wait)
