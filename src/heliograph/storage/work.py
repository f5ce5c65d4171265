"""
Queries on work: what is still to be done for a publish.

A row is an *expansion* (walk the target on from ``expanded_to``), a *batch* of
deliveries for one lane, or a *call* to somebody who wants to be told. Whoever works on a row
holds a lease on it, under a name; a lease that has run out belongs to a process that
died, and is anybody's. A row goes away in the same transaction that stores what came
of it. Whose turn it is to be leased, ``turns.py`` says.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    Text,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from heliograph.model import (
    CallLane,
    DeviceNumber,
    Environment,
    Gateway,
    InstanceNumber,
    Lane,
    PublishNumber,
    Sort,
    WorkNumber,
)
from heliograph.notices import CallNumber
from heliograph.storage import lanes
from heliograph.storage.columns import Instant
from heliograph.storage.insertion import Insertion
from heliograph.storage.tables import lanes as paused_lanes
from heliograph.storage.tables import work

LARGE_PUBLISH: Final = 1000
"""From how many devices on a publish is a large one."""


class Errand(Enum):
    """What a batch is taken for."""

    SEND = auto()
    PROBE = auto()
    """Its lane is paused, and this one message is to find out whether it goes on."""
    EXPIRE = auto()
    """Its lane is paused, and it is no longer worth anything: nothing is to be sent."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """A target still to be walked."""

    number: WorkNumber
    publish: PublishNumber
    instance: InstanceNumber
    expanded_to: int
    """Every device up to this number has its batch."""
    sort: Sort = Sort.SMALL
    failures: int = 0
    """How often it could not be done for a reason of our own."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries of one publish through one lane."""

    number: WorkNumber
    publish: PublishNumber
    instance: InstanceNumber
    gateway: Gateway
    environment: Environment | None
    devices: "array[int]"
    """Their numbers, ascending."""
    attempt: int
    """1 the first time."""
    sort: Sort = Sort.SMALL
    expires_at: datetime | None = None
    """From when on its message is worth nothing, if known."""
    failures: int = 0
    """How often it could not be done for a reason of our own."""
    errand: Errand = Errand.SEND

    @property
    def lane(self) -> Lane:
        """What it goes through."""
        return Lane(self.instance, self.gateway, self.environment)


@dataclass(frozen=True, slots=True)
class Call:
    """A notice to somebody outside, to be given."""

    number: WorkNumber
    publish: PublishNumber | None
    """None: it is about a device."""
    instance: InstanceNumber
    call: CallNumber
    lane: CallLane
    """What it goes through."""
    attempt: int
    """1 the first time."""
    sort: Sort = Sort.CALL
    failures: int = 0
    """How often it could not be done for a reason of our own."""


Work = Expansion | Batch | Call


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is still to be made."""

    attempt: int
    due_at: datetime
    is_in_hand: bool


async def add_expansion(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    *,
    now: datetime,
) -> Expansion:
    """Ask for a target to be walked; the work that it is, small until more is known."""
    (added,) = await add_expansions(connection, [(publish, instance)], now=now)
    return added


async def add_expansions(
    connection: AsyncConnection,
    publishes: Collection[tuple[PublishNumber, InstanceNumber]],
    *,
    now: datetime,
) -> Sequence[Expansion]:
    """Ask for the targets of some publishes, 1 to 256, to be walked; the work that it is."""
    due_at = Instant.written(now)
    added = await _EXPANSIONS.add(
        connection,
        [
            (publish, instance, instance * lanes.LANES, due_at, b"")
            for publish, instance in publishes
        ],
    )
    return [
        Expansion(WorkNumber(number), PublishNumber(publish), InstanceNumber(instance), 0)
        for number, publish, instance in added
    ]


async def add_batch(
    connection: AsyncConnection,
    publish: PublishNumber,
    instance: InstanceNumber,
    gateway: Gateway,
    environment: Environment | None,
    devices: Sequence[DeviceNumber],
    *,
    attempt: int,
    due_at: datetime,
    sort: Sort = Sort.SMALL,
    expires_at: datetime | None = None,
) -> Batch:
    """Ask for deliveries; ``devices`` are in ascending order. The work that they are."""
    batch = Batch(
        number=WorkNumber(0),
        publish=publish,
        instance=instance,
        gateway=gateway,
        environment=environment,
        devices=array("q", devices),
        attempt=attempt,
        sort=sort,
        expires_at=expires_at,
    )
    return await _add(connection, batch, due_at=due_at)


async def add_calls(
    connection: AsyncConnection, calls: Collection[Call], *, due_at: datetime
) -> Sequence[Call]:
    """Ask for calls, 1 to 256, to be made; they, with the numbers of their work."""
    added = await _CALLS.add(
        connection,
        [
            (
                each.publish,
                each.instance,
                lanes.key(each.lane),
                Instant.written(due_at),
                b"",
                each.attempt,
                each.call,
            )
            for each in calls
        ],
    )
    numbers = {call: WorkNumber(number) for number, call in added}
    return [replace(each, number=numbers[each.call], failures=0) for each in calls]


async def claim(
    connection: AsyncConnection,
    numbers: Sequence[WorkNumber],
    *,
    holder: str,
    now: datetime,
    until: datetime,
    paused: Collection[Lane] = (),
) -> Sequence[Work]:
    """
    Lease those of some work that are due and in nobody's hand, in the order given.

    Args:
        connection: The transaction.
        numbers: Which.
        holder: Who will be at it.
        now: Leases that ended before this instant no longer count.
        until: When the new leases end unless they are extended.
        paused: Lanes of which only what has expired is to be had, and only to say so.
    """
    taken = await connection.execute(
        _claim(),
        {
            "numbers": list(numbers),
            "now": now,
            "closed": [lanes.key(lane) for lane in paused],
            "until": until,
            "by": holder,
        },
    )
    held = {each.number: each for each in map(_read, taken)}
    ordered = [held[number] for number in numbers if number in held]
    return [
        replace(each, errand=Errand.EXPIRE)
        if isinstance(each, Batch) and each.lane in paused
        else each
        for each in ordered
    ]


async def claim_open(
    connection: AsyncConnection,
    numbers: Collection[WorkNumber],
    *,
    holder: str,
    now: datetime,
    until: datetime,
    besides: Collection[Lane | CallLane] = (),
) -> Sequence[Work]:
    """As ``claim``, in any order, but only of lanes that go on, and not of those ``besides``."""
    taken = await connection.execute(
        _claim_open(),
        {
            "numbers": list(numbers),
            "now": now,
            "closed": [lanes.key(lane) for lane in besides],
            "until": until,
            "by": holder,
        },
    )
    return [_read(row) for row in taken]


@cache
def _claim_open() -> ReturningUpdate[Any]:
    now = bindparam("now", type_=Instant)
    closed: BindParameter[int] = bindparam("closed", expanding=True)
    free = (
        select(work.c.number)
        .where(work.c.number.in_(bindparam("numbers", expanding=True)), is_free(work.c, now))
        .where(work.c.lane.not_in(closed), work.c.lane.not_in(select(paused_lanes.c.lane)))
    )
    return _leased(free)


@cache
def _claim() -> ReturningUpdate[Any]:
    """Made once, which costs more than to run it."""
    now = bindparam("now", type_=Instant)
    closed: BindParameter[int] = bindparam("closed", expanding=True)
    free = (
        select(work.c.number)
        .where(work.c.number.in_(bindparam("numbers", expanding=True)), is_free(work.c, now))
        .where(or_(work.c.lane.not_in(closed), work.c.expires_at <= now))
    )
    return _leased(free)


def _leased(chosen: Select[tuple[int]]) -> ReturningUpdate[Any]:
    """
    A lease on chosen work, of which nobody else is choosing at the same time.

    What somebody died over counts as failed: it may be what they died of.
    """
    # Looked up once: a planner may repeat a subquery, and lock other rows.
    free = chosen.with_for_update(skip_locked=True).cte("free")
    return (
        update(work)
        .where(work.c.number.in_(select(free.c.number)))
        .values(
            leased_until=bindparam("until", type_=Instant),
            holder=bindparam("by", type_=Text),
            failures=_FAILURES,
        )
        .returning(work)
    )


_FAILURES: Final = work.c.failures + case((work.c.leased_until.is_not(None), 1), else_=0)
"""How often work has failed, if whoever holds it has died."""


def is_free(columns: Any, now: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    """Whether work is due and in nobody's hand."""
    due: ColumnElement[bool] = columns.due_at <= now
    return due & or_(columns.leased_until.is_(None), columns.leased_until <= now)


async def extend(
    connection: AsyncConnection, numbers: Collection[WorkNumber], *, holder: str, until: datetime
) -> set[WorkNumber]:
    """Hold some work for longer; that which is still in this holder's hand."""
    extended = await connection.execute(
        update(work)
        .where(work.c.number.in_(numbers), work.c.holder == holder)
        .values(leased_until=until)
        .returning(work.c.number)
    )
    return {WorkNumber(row.number) for row in extended}


async def hand_back(
    connection: AsyncConnection,
    numbers: Collection[WorkNumber],
    *,
    holder: str,
    due_at: datetime,
    has_failed: bool = False,
) -> None:
    """Let go of what is still in this holder's hand, to be taken up from an instant on."""
    await connection.execute(
        update(work)
        .where(work.c.number.in_(numbers), work.c.holder == holder)
        .values(
            leased_until=None,
            holder=None,
            due_at=due_at,
            failures=work.c.failures + int(has_failed),
        )
    )


async def release_all(connection: AsyncConnection) -> int:
    """End every lease, because the only process that could hold one has just started."""
    ended = await connection.execute(
        update(work)
        .where(work.c.leased_until.is_not(None))
        .values(leased_until=None, holder=None, failures=_FAILURES)
    )
    return int(ended.rowcount)


async def to_probe(connection: AsyncConnection, batch: Batch, *, now: datetime) -> Batch:
    """Keep one device of a batch in hand; the others wait on as a batch of their own."""
    first, others = batch.devices[:1], batch.devices[1:]
    if others:
        await connection.execute(
            update(work).where(work.c.number == batch.number).values(devices=first, pending=1)
        )
        await _add(connection, replace(batch, devices=others), due_at=now)
    return replace(batch, devices=first, errand=Errand.PROBE)


async def hold(connection: AsyncConnection, expansion: Expansion) -> bool:
    """
    Let nobody else take this step; False if somebody has.

    Whoever was away for longer than their lease finds that out here.
    """
    query = select(work.c.number).where(
        work.c.number == expansion.number, work.c.expanded_to == expansion.expanded_to
    )
    return await connection.scalar(query.with_for_update()) is not None


async def move_on(
    connection: AsyncConnection,
    expansion: Expansion,
    *,
    expanded_to: int,
    sort: Sort,
    keep: bool = False,
) -> Expansion:
    """
    Note how far an expansion has come; unless we keep it, let go so that others get their turn.

    Returns:
        The work that is left; what failed before is forgotten.
    """
    freed: dict[str, Any] = {} if keep else {"leased_until": None, "holder": None}
    await connection.execute(
        update(work)
        .where(work.c.number == expansion.number)
        .values(expanded_to=expanded_to, sort=str(sort), failures=0, **freed)
    )
    return replace(expansion, expanded_to=expanded_to, sort=sort, failures=0)


async def remove(connection: AsyncConnection, number: WorkNumber) -> bool:
    """Finish a piece of work; False if somebody else has already finished it."""
    removed = await connection.execute(delete(work).where(work.c.number == number))
    return removed.rowcount == 1


async def waiting(
    connection: AsyncConnection, publish: PublishNumber, devices: Collection[DeviceNumber]
) -> dict[DeviceNumber, Waiting]:
    """What is still to be done for some devices of a publish; nothing for those left out."""
    query = select(work).where(work.c.publish_number == publish, work.c.gateway.is_not(None))
    found: dict[DeviceNumber, Waiting] = {}
    for row in await connection.execute(query):
        item = Waiting(row.attempt, row.due_at, row.leased_until is not None)
        found |= {device: item for device in devices if _has(row.devices, device)}
    return found


async def is_any_left(connection: AsyncConnection, publish: PublishNumber) -> bool:
    """Whether anything is left to expand or to deliver of a publish."""
    query = select(work.c.number).where(work.c.publish_number == publish, IS_FOR_DEVICES)
    return await connection.scalar(query.limit(1)) is not None


async def remove_waiting(connection: AsyncConnection, publish: PublishNumber) -> Sequence[Work]:
    """Remove what waits in nobody's hand to be expanded or delivered; what it was."""
    removed = await connection.execute(
        delete(work)
        .where(work.c.publish_number == publish, work.c.leased_until.is_(None), IS_FOR_DEVICES)
        .returning(work)
    )
    return sorted((_read(row) for row in removed), key=lambda item: item.number)


async def _add(connection: AsyncConnection, batch: Batch, *, due_at: datetime) -> Batch:
    number = await connection.scalar(
        insert(work)
        .values(
            publish_number=batch.publish,
            instance_number=batch.instance,
            gateway=str(batch.gateway),
            environment=batch.environment,
            expanded_to=0,
            devices=batch.devices,
            pending=len(batch.devices),
            attempt=batch.attempt,
            due_at=due_at,
            sort=str(batch.sort),
            lane=lanes.key(batch.lane),
            expires_at=batch.expires_at,
        )
        .returning(work.c.number)
    )
    return replace(batch, number=WorkNumber(int(number or 0)), failures=0, errand=Errand.SEND)


_EXPANSIONS: Final = Insertion(
    work.name,
    ("publish_number", "instance_number", "lane", "due_at", "devices"),
    constant={"expanded_to": "0", "pending": "0", "attempt": "1", "sort": f"'{Sort.SMALL}'"},
    returning=("number", "publish_number", "instance_number"),
)


_CALLS: Final = Insertion(
    work.name,
    ("publish_number", "instance_number", "lane", "due_at", "devices", "attempt", "call_number"),
    constant={"expanded_to": "0", "pending": "0", "sort": f"'{Sort.CALL}'"},
    returning=("number", "call_number"),
)

IS_FOR_DEVICES: Final = work.c.call_number.is_(None)
"""What tells the rest from calls."""


def _has(devices: "array[int]", device: DeviceNumber) -> bool:
    """Whether a device is among those of a batch, which are in ascending order."""
    place = bisect_left(devices, device)
    return place < len(devices) and devices[place] == device


def _read(row: Row[Any]) -> Work:
    number, instance = WorkNumber(row.number), InstanceNumber(row.instance_number)
    sort = Sort(row.sort)
    if row.call_number is not None:
        call, lane = CallNumber(row.call_number), lanes.call_lane(row.lane)
        of = None if row.publish_number is None else PublishNumber(row.publish_number)
        return Call(number, of, instance, call, lane, row.attempt, sort, row.failures)
    publish = PublishNumber(row.publish_number)
    if row.gateway is None:
        return Expansion(number, publish, instance, row.expanded_to, sort, row.failures)
    return Batch(
        number=number,
        publish=publish,
        instance=instance,
        gateway=Gateway(row.gateway),
        environment=None if row.environment is None else Environment(row.environment),
        devices=row.devices,
        attempt=row.attempt,
        sort=sort,
        expires_at=row.expires_at,
        failures=row.failures,
    )
