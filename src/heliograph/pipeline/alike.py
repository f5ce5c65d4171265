"""Many values of which most are one and the same object."""

from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")


def different(values: Iterable[Value]) -> dict[int, Value]:
    """Each object once, under its ``id``: thousands share the one that says that they were sent."""
    listed = list(values)
    return dict(zip(map(id, listed), listed, strict=True))
