"""
Queries on calls: what others are to be told, what they were, and how each attempt went.

A call that is to be made has work; one that has arrived, or is given up, has none. What is
over is removed in passing when its time has come.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    CallLane,
    InstanceNumber,
    PublishId,
    PublishNumber,
    WorkNumber,
    derived_uuid,
)
from heliograph.notices import CallId, CallNumber, Notice, WebhookNumber
from heliograph.storage import work
from heliograph.storage.columns import Instant
from heliograph.storage.insertion import Insertion
from heliograph.storage.lanes import CALL_LANES
from heliograph.storage.tables import call_attempts, calls, publishes, requests
from heliograph.storage.work import Call


class State(StrEnum):
    """What has become of a call."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """It was tried as often as is due, and can be sent again."""


KEPT: Final = {State.DELIVERED: timedelta(days=7), State.DEAD: timedelta(days=30)}
"""How long calls are kept that are over."""

_REMOVED_AT_ONCE: Final = 100
"""Old calls that go in passing, or two for each that is made: they become fewer."""


@dataclass(frozen=True, slots=True)
class New:
    """A call that is about to be kept."""

    instance: InstanceNumber
    publish: PublishNumber | None
    """None: it is about a device."""
    webhook: WebhookNumber | None
    """None: the publish's own hook."""
    notice: Notice
    event_id: str


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as it is kept."""

    number: CallNumber
    id: CallId
    instance: InstanceNumber
    publish: PublishNumber | None
    """None: it is about a device."""
    publish_id: PublishId | None
    publish_name: str | None
    """By which its caller finds it again, if it has one."""
    webhook: WebhookNumber | None
    notice: Notice
    event_id: str
    made_at: datetime
    state: State
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt at a call went."""

    at: datetime
    took_ms: int
    status: int | None
    """What was answered; None if nothing was."""
    problem: str | None
    """Why nothing was answered."""


async def add_all(
    connection: AsyncConnection, new: Sequence[New], *, now: datetime
) -> Sequence[Call]:
    """Keep calls, 1 to 256, and ask for them to be made; the work that they are."""
    made_at = Instant.written(now)
    ids = {
        derived_uuid("call", each.event_id, each.webhook or "own", int(each.publish or 0)): each
        for each in new
    }
    added = await _INSERTION.add(
        connection,
        [
            (
                identity,
                each.instance,
                each.publish,
                each.webhook,
                _notices.encode(each.notice),
                each.event_id,
                made_at,
            )
            for identity, each in ids.items()
        ],
    )
    await _remove_old(connection, now, at_most=max(_REMOVED_AT_ONCE, 2 * len(new)))
    asked = [_work_of(CallNumber(number), ids[identity]) for number, identity in added]
    return await work.add_calls(connection, asked, due_at=now)


async def find(connection: AsyncConnection, number: CallNumber) -> CallRow | None:
    """The call with this number; None if it is gone."""
    row = (await connection.execute(_query().where(calls.c.number == number))).first()
    return None if row is None else _read(row)


async def find_id(
    connection: AsyncConnection, instance: InstanceNumber, call: CallId
) -> CallRow | None:
    """The call with this id; None if the instance has none."""
    query = _query().where(calls.c.instance_number == instance, calls.c.id == call)
    row = (await connection.execute(query)).first()
    return None if row is None else _read(row)


async def page(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    webhook: WebhookNumber | None = None,
    publish: PublishNumber | None = None,
    state: State | None = None,
    before: CallNumber | None = None,
    limit: int,
) -> Sequence[CallRow]:
    """Calls of an instance, the latest first: all, or those of a webhook, a publish, a state."""
    query = _query().where(calls.c.instance_number == instance)
    for column, value in (
        (calls.c.webhook_number, webhook),
        (calls.c.publish_number, publish),
        (calls.c.state, state and str(state)),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(calls.c.number < before)
    rows = await connection.execute(query.order_by(calls.c.number.desc()).limit(limit))
    return [_read(row) for row in rows]


async def attempts(
    connection: AsyncConnection, numbers: Collection[CallNumber]
) -> Mapping[CallNumber, Sequence[Attempt]]:
    """How the attempts at some calls went, in their order."""
    query = select(call_attempts).where(call_attempts.c.call_number.in_(numbers))
    found: dict[CallNumber, list[Attempt]] = {number: [] for number in numbers}
    for row in await connection.execute(query.order_by(call_attempts.c.number)):
        attempt = Attempt(row.at, row.took_ms, row.status, row.problem)
        found[CallNumber(row.call_number)].append(attempt)
    return found


async def settle(
    connection: AsyncConnection,
    call: Call,
    attempt: Attempt,
    *,
    state: State,
    again_at: datetime | None,
    now: datetime,
) -> Sequence[Call] | None:
    """
    Store how an attempt went; the work that is left.

    Args:
        connection: The transaction.
        call: The work, which is gone afterwards.
        attempt: How it went.
        state: What has become of the call by that.
        again_at: When to try again; None: not again.
        now: When.

    Returns:
        None, and nothing is stored, if somebody else has settled it already.
    """
    if not await work.remove(connection, call.number):
        return None
    await connection.execute(
        insert(call_attempts).values(
            call_number=call.call,
            at=attempt.at,
            took_ms=attempt.took_ms,
            status=attempt.status,
            problem=attempt.problem,
        )
    )
    if again_at is not None:
        asked = [replace(call, attempt=call.attempt + 1)]
        return await work.add_calls(connection, asked, due_at=again_at)
    await connection.execute(
        update(calls).where(calls.c.number == call.call).values(state=str(state), ended_at=now)
    )
    return []


async def resend(
    connection: AsyncConnection, instance: InstanceNumber, call: CallId, *, now: datetime
) -> Sequence[Call]:
    """Ask anew for a call that is over, whatever has become of it; nothing if it is not."""
    chosen = select(calls.c.number).where(
        calls.c.instance_number == instance,
        calls.c.id == call,
        calls.c.state != str(State.PENDING),
    )
    return await _ask_anew(connection, chosen, now=now)


async def resend_dead(
    connection: AsyncConnection, webhook: WebhookNumber, *, limit: int, now: datetime
) -> Sequence[Call]:
    """Ask anew for dead calls of a webhook, oldest first; not more than ``limit``, up to 256."""
    chosen = select(calls.c.number).where(
        calls.c.webhook_number == webhook, calls.c.state == str(State.DEAD)
    )
    return await _ask_anew(connection, chosen.order_by(calls.c.number).limit(limit), now=now)


async def end(connection: AsyncConnection, call: Call, state: State, *, now: datetime) -> None:
    """Have a call over without an attempt, unless somebody else has settled it already."""
    if not await work.remove(connection, call.number):
        return
    await connection.execute(
        update(calls).where(calls.c.number == call.call).values(state=str(state), ended_at=now)
    )


async def _ask_anew(
    connection: AsyncConnection, chosen: Select[tuple[int]], *, now: datetime
) -> Sequence[Call]:
    free = chosen.with_for_update(skip_locked=True).cte("free")
    rows = await connection.execute(
        update(calls)
        .where(calls.c.number.in_(select(free.c.number)))
        .values(state=str(State.PENDING), ended_at=None)
        .returning(
            calls.c.number,
            calls.c.instance_number,
            calls.c.publish_number,
            calls.c.webhook_number,
        )
    )
    asked = []
    for number, owner, of, webhook in rows:
        instance, publish = InstanceNumber(owner), None if of is None else PublishNumber(of)
        lane = _lane(instance, publish, webhook)
        asked.append(Call(WorkNumber(0), publish, instance, CallNumber(number), lane, attempt=1))
    return await work.add_calls(connection, asked, due_at=now) if asked else []


async def _remove_old(connection: AsyncConnection, now: datetime, *, at_most: int) -> None:
    for state, kept in KEPT.items():
        old = (
            select(calls.c.number)
            .where(calls.c.state == str(state), calls.c.ended_at <= now - kept)
            .order_by(calls.c.ended_at)
            .limit(at_most)
            .with_for_update(skip_locked=True)
        )
        await connection.execute(delete(calls).where(calls.c.number.in_(old)))


def _work_of(number: CallNumber, new: New) -> Call:
    return Call(
        number=WorkNumber(0),
        publish=new.publish,
        instance=new.instance,
        call=number,
        lane=_lane(new.instance, new.publish, new.webhook),
        attempt=1,
    )


def _lane(instance: InstanceNumber, publish: PublishNumber | None, webhook: int | None) -> CallLane:
    """Each webhook has its lane, and so has each publish's own hook; few share one."""
    return CallLane(instance, ((publish or 0) if webhook is None else webhook) % CALL_LANES)


_notices: Final = msgspec.json.Encoder()
_read_notice: Final = msgspec.json.Decoder(Notice)
_INSERTION: Final = Insertion(
    calls.name,
    ("id", "instance_number", "publish_number", "webhook_number", "notice", "event_id", "made_at"),
    constant={"state": f"'{State.PENDING}'"},
    returning=("number", "id"),
)


def _query() -> Select[Any]:
    return (
        select(calls, publishes.c.id.label("publish_id"), requests.c.name.label("publish_name"))
        .outerjoin(publishes, publishes.c.number == calls.c.publish_number)
        .outerjoin(requests, requests.c.publish_number == calls.c.publish_number)
    )


def _read(row: Row[Any]) -> CallRow:
    return CallRow(
        number=CallNumber(row.number),
        id=CallId(row.id),
        instance=InstanceNumber(row.instance_number),
        publish=None if row.publish_number is None else PublishNumber(row.publish_number),
        publish_id=None if row.publish_id is None else PublishId(row.publish_id),
        publish_name=row.publish_name,
        webhook=None if row.webhook_number is None else WebhookNumber(row.webhook_number),
        notice=_read_notice.decode(row.notice),
        event_id=row.event_id,
        made_at=row.made_at,
        state=State(row.state),
        ended_at=row.ended_at,
    )
