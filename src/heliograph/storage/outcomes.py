"""Queries on outcomes: what came of each batch, in one row."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, bindparam, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceNumber, Gateway, PublishNumber
from heliograph.storage.columns import Milliseconds
from heliograph.storage.tables import outcomes, suspicions
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

_NUMBER_BYTES: Final = 8
"""Of one device in a row's list of them."""

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
    status: int | None = None
    """The HTTP status of its answer; None if none came, or nobody noted it."""
    latency_ms: int | None = None
    """How long the answer took, up to 65,534; None as for the status."""


USUAL_STATUS: Final = {Gateway.APNS: 200, Gateway.FCM: 200, Gateway.WEB: 201}
"""What a gateway answers when it takes a message: not kept for each device."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back from the gateway, besides what it means; of one batch."""

    took: "array[int] | None" = None
    """Milliseconds for each device, in their order; None if nobody measured."""
    statuses: Mapping[DeviceNumber, int] = field(default_factory=dict)
    """Those that were not the gateway's usual one for "taken"."""


NO_ANSWERS: Final = Answers()

# Made once: to make a statement costs more than to run it.
_KEEP: Final = insert(outcomes).returning(
    exists().where(
        suspicions.c.device_number.between(bindparam("first_suspect"), bindparam("last_suspect"))
    )
)


async def add(
    connection: AsyncConnection,
    batch: Batch,
    results: Sequence[Result],
    reasons: Mapping[DeviceNumber, str],
    *,
    answers: Answers = NO_ANSWERS,
    now: datetime,
) -> bool:
    """
    Keep what came of a batch: a result for each of its devices, in their order.

    Returns:
        Whether any device in their range is under suspicion. It is asked in the same
        statement, because almost always nobody is.
    """
    found = await connection.scalar(
        _KEEP,
        {
            **_columns(batch, now),
            "ends": _letters(results),
            "reasons": _by_name(reasons),
            "took": answers.took,
            "statuses": _by_name(answers.statuses),
            "first_suspect": batch.devices[0],
            "last_suspect": batch.devices[-1],
        },
    )
    return bool(found)


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
    return [_read(row, device) for row in await connection.execute(query) if device in row.devices]


async def counts(
    connection: AsyncConnection, publish: PublishNumber
) -> "Counter[tuple[Gateway, Result]]":
    """How many attempts of a publish came to what, through each gateway."""
    columns = (outcomes.c.gateway, outcomes.c.ends, func.length(outcomes.c.devices))
    found: Counter[tuple[Gateway, Result]] = Counter()
    for gateway, ends, size in await connection.execute(
        select(*columns).where(outcomes.c.publish_number == publish)
    ):
        letters = {ends: size // _NUMBER_BYTES} if len(ends) == 1 else Counter(ends)
        for letter, count in letters.items():
            found[Gateway(gateway), _RESULTS[letter]] += count
    return found


def _read(row: Row[Any], device: DeviceNumber) -> Attempt:
    place, name = row.devices.index(device), str(device)
    result = _RESULTS[row.ends if len(row.ends) == 1 else row.ends[place]]
    reasons, statuses = row.reasons or {}, row.statuses or {}
    took = Milliseconds.UNKNOWN if row.took is None else row.took[place]
    is_answered = took != Milliseconds.UNKNOWN
    usual = USUAL_STATUS[Gateway(row.gateway)] if result == "sent" and is_answered else None
    return Attempt(
        attempt=row.attempt,
        at=row.settled_at,
        result=result,
        reason=reasons.get(name, reasons.get(_EVERY)),
        status=statuses.get(name, usual),
        latency_ms=took if is_answered else None,
    )


def _by_name(values: Mapping[DeviceNumber, object]) -> dict[str, object] | None:
    """JSON's keys are text; nothing is kept of nothing."""
    return {str(number): value for number, value in values.items()} or None


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
