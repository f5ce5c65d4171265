"""Queries on outcomes: what came of each batch, in one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, PublishNumber
from heliograph.storage.tables import outcomes
from heliograph.storage.work import Batch

Result = Literal["sent", "failed", "expired", "cancelled", "again"]
"""What one attempt can come to."""

_LETTERS: Final[dict[Result, str]] = {
    "sent": "S",
    "failed": "F",
    "expired": "X",
    "cancelled": "C",
    "again": "R",
}
_RESULTS: Final = {letter: result for result, letter in _LETTERS.items()}

_EVERY: Final = "*"
"""Stands among the reasons for every device of the batch."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt at one delivery came to."""

    attempt: int
    at: datetime
    result: Result
    reason: str | None
    """The gateway's word for it; None when it was sent."""


async def add(
    connection: AsyncConnection,
    batch: Batch,
    results: Sequence[Result],
    reasons: Mapping[DeviceNumber, str],
    *,
    now: datetime,
) -> None:
    """Keep what came of a batch: a result for each of its devices, in their order."""
    await connection.execute(
        insert(outcomes).values(
            **_columns(batch, now),
            ends=_letters(results),
            reasons={str(number): reason for number, reason in reasons.items()} or None,
        )
    )


async def add_cancelled(
    connection: AsyncConnection, batch: Batch, reason: str, *, now: datetime
) -> None:
    """Keep that a whole batch was cancelled, for one reason."""
    await connection.execute(
        insert(outcomes).values(
            **_columns(batch, now),
            ends=_LETTERS["cancelled"],
            reasons={_EVERY: reason},
        )
    )


async def of_device(
    connection: AsyncConnection, publish: PublishNumber, device: DeviceNumber
) -> Sequence[Attempt]:
    """Every attempt at one delivery, in order; found by the range of its batch."""
    query = (
        select(outcomes)
        .where(
            outcomes.c.publish_number == publish,
            outcomes.c.first_device <= device,
            outcomes.c.last_device >= device,
        )
        .order_by(outcomes.c.number)
    )
    attempts = []
    for row in await connection.execute(query):
        if device in row.devices:
            place = 0 if len(row.ends) == 1 else row.devices.index(device)
            result = _RESULTS[row.ends[place]]
            reasons = row.reasons or {}
            reason = reasons.get(str(device), reasons.get(_EVERY))
            attempts.append(Attempt(row.attempt, row.settled_at, result, reason))
    return attempts


def _letters(results: Sequence[Result]) -> str:
    """A letter for each device, or one for all of them."""
    if len(set(results)) == 1:
        return _LETTERS[results[0]]
    return "".join([_LETTERS[result] for result in results])


def _columns(batch: Batch, now: datetime) -> dict[str, Any]:
    return {
        "publish_number": batch.publish,
        "gateway": str(batch.gateway),
        "environment": batch.environment,
        "attempt": batch.attempt,
        "settled_at": now,
        "devices": batch.devices,
        "first_device": batch.devices[0],
        "last_device": batch.devices[-1],
    }
