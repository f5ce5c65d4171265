"""Queries on outcomes: what came of each batch, in one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

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
            publish_number=batch.publish,
            gateway=str(batch.gateway),
            environment=batch.environment,
            attempt=batch.attempt,
            settled_at=now,
            devices=batch.devices,
            first_device=batch.devices[0],
            last_device=batch.devices[-1],
            ends="".join(_LETTERS[result] for result in results),
            reasons={str(number): reason for number, reason in reasons.items()} or None,
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
            result = _RESULTS[row.ends[row.devices.index(device)]]
            reason = (row.reasons or {}).get(str(device))
            attempts.append(Attempt(row.attempt, row.settled_at, result, reason))
    return attempts
