"""How often somebody may ask: a bucket of tokens for each key. Pure but for its memory."""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Final

from starlette.requests import Request

from heliograph.api.problems import Problem

_MOST_KEYS: Final = 10_000


def address_of(request: Request) -> str:
    """The network address that asks; a trusted proxy speaks for whom it names."""
    return request.client.host if request.client else ""


class Rate:
    """
    At most so many requests a second for each key, with bursts of one second's worth.

    The least recently seen keys are forgotten, which refills them.
    """

    def __init__(self, per_second: int) -> None:
        """Begin with every bucket full."""
        self._per_second = per_second
        self._buckets: OrderedDict[Hashable, tuple[float, datetime]] = OrderedDict()

    def check(self, key: Hashable, whose: str, *, now: datetime) -> None:
        """
        Take a token from a key's bucket; ``whose`` it is, the answer says if it is empty.

        Raises:
            Problem: 429.
        """
        if not self.allows(key, now=now):
            sentence = f"Too many requests for this {whose}"
            raise Problem(429, "Rate Limited", sentence, retry_after=1)

    def allows(self, key: Hashable, *, now: datetime) -> bool:
        """Take a token from a key's bucket; False if it is empty."""
        tokens, since = self._buckets.pop(key, (float(self._per_second), now))
        elapsed = max((now - since).total_seconds(), 0.0)
        tokens = min(tokens + elapsed * self._per_second, float(self._per_second))
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return allowed
