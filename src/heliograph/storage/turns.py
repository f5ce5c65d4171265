"""
Whose turn it is: queries that choose, among the work that is due, what is leased next.

Instances take turns, and so do the lanes of an instance; within a lane the order is that
in which work fell due. What an instance has already begun comes before it begins more:
batches before expansions. A look costs what it takes, however much waits: the lanes that
have work are walked along an index, and of each only the head is read.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    func,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import CallLane, InstanceNumber, Lane, Sort, WorkNumber
from heliograph.storage import lanes
from heliograph.storage.columns import Instant
from heliograph.storage.lanes import Paused
from heliograph.storage.tables import lanes as paused_lanes
from heliograph.storage.tables import work
from heliograph.storage.work import Batch, Work, claim, is_free, to_probe

_LANES_AT_LEAST: Final = 8
"""Among how many lanes a look chooses, if there are that many."""

_LOOKS: Final = 3
"""How often to look again if somebody else was faster."""

Head = tuple[int, datetime, WorkNumber]
"""Work that its lane would give next: the lane's key, when it was due, and its number."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which work is leased."""

    holder: str
    """Who will be at it."""
    now: datetime
    """Leases that ended before this instant no longer count."""
    until: datetime
    """When the new leases end unless they are extended."""


async def lease(
    connection: AsyncConnection,
    sort: Sort,
    limit: int,
    terms: Terms,
    *,
    besides: Collection[Lane | CallLane] = (),
    after: InstanceNumber | None = None,
    with_expired: bool = True,
) -> Sequence[Work]:
    """
    Take work of a sort that is due and that nobody holds, in turns.

    Of a paused lane that is one message if its time to be tried has come, and what is no
    longer worth anything.

    Args:
        connection: The transaction.
        sort: Which sort.
        limit: How many pieces at most.
        terms: For whom, and for how long.
        besides: Lanes from which to take nothing.
        after: The instance that had the last turn.
        with_expired: Whether to look through what paused lanes hold.
    """
    paused = await lanes.paused(connection)
    open_to_us = [each for each in paused if each.lane not in besides]
    taken: list[Work] = []
    if open_to_us:
        taken += await _probes(connection, open_to_us, sort, limit, terms)
    closed = [*besides, *[each.lane for each in paused]]
    taken += await _fresh(connection, sort, limit - len(taken), terms, closed, after)
    if open_to_us and with_expired:
        taken += await _expired(connection, open_to_us, sort, limit - len(taken), terms)
    return taken


async def of_paused(
    connection: AsyncConnection,
    sort: Sort,
    limit: int,
    terms: Terms,
    *,
    besides: Collection[Lane | CallLane] = (),
) -> Sequence[Work]:
    """Take only what ``lease`` takes of paused lanes."""
    paused = [each for each in await lanes.paused(connection) if each.lane not in besides]
    if not paused:
        return []
    probes = await _probes(connection, paused, sort, limit, terms)
    expired = await _expired(connection, paused, sort, limit - len(probes), terms)
    return [*probes, *expired]


async def due(
    connection: AsyncConnection,
    sort: Sort,
    each: int,
    now: datetime,
    *,
    after: InstanceNumber | None = None,
) -> Sequence[WorkNumber]:
    """What ``lease`` would take next of lanes that go on; ``each`` at most of a lane."""
    closed = [lanes.key(paused.lane) for paused in await lanes.paused(connection)]
    terms = Terms("", now, now)
    heads = await _heads(connection, sort, each, terms, after=after, besides=closed)
    return [number for _, _, number in heads]


async def _fresh(
    connection: AsyncConnection,
    sort: Sort,
    limit: int,
    terms: Terms,
    besides: Iterable[Lane | CallLane],
    after: InstanceNumber | None,
) -> Sequence[Work]:
    """Take what waits in lanes that go on."""
    taken: list[Work] = []
    closed = [lanes.key(lane) for lane in besides]
    for _ in range(_LOOKS):
        left = limit - len(taken)
        heads = await _heads(connection, sort, left, terms, after=after, besides=closed)
        numbers = in_turns(heads)[:left]
        got = await _claim(connection, numbers, terms)
        taken += got
        if len(got) == len(numbers):
            break
    return taken


async def _probes(
    connection: AsyncConnection, paused: Iterable[Paused], sort: Sort, limit: int, terms: Terms
) -> Sequence[Batch]:
    """Take one message for each lane whose time to be tried has come; others leave it alone."""
    waiting = {lanes.key(each.lane): each.lane for each in paused if each.probe_at <= terms.now}
    heads = await _heads(connection, sort, 1, terms, only=list(waiting)) if waiting else []
    taken: list[Batch] = []
    for lane, _, number in heads[:limit]:
        begun = await lanes.begin_probe(connection, waiting[lane], now=terms.now, until=terms.until)
        for each in await _claim(connection, [number], terms) if begun else []:
            assert isinstance(each, Batch)  # noqa: S101  (an expansion is in no lane)
            taken.append(await to_probe(connection, each, now=terms.now))
    return taken


async def _expired(
    connection: AsyncConnection, paused: Iterable[Paused], sort: Sort, limit: int, terms: Terms
) -> Sequence[Work]:
    """Take what is no longer worth anything and waits in paused lanes, in order to say so."""
    closed = [each.lane for each in paused]
    found = await connection.scalars(
        select(work.c.number)
        .where(
            work.c.sort == str(sort),
            work.c.lane.in_([lanes.key(lane) for lane in closed]),
            work.c.expires_at <= terms.now,
            is_free(work.c, terms.now),
        )
        .limit(limit)
    )
    return await _claim(connection, [WorkNumber(number) for number in found], terms, closed)


async def _claim(
    connection: AsyncConnection,
    numbers: Sequence[WorkNumber],
    terms: Terms,
    paused: Collection[Lane] = (),
) -> Sequence[Work]:
    if not numbers:
        return []
    return await claim(
        connection,
        numbers,
        holder=terms.holder,
        now=terms.now,
        until=terms.until,
        paused=paused,
    )


async def next_due(connection: AsyncConnection, *, after: datetime) -> datetime | None:
    """When something falls due next, after an instant: work in nobody's hand, or a probe."""
    instants = [
        await connection.scalar(
            select(func.min(work.c.due_at)).where(
                work.c.due_at > after, work.c.leased_until.is_(None)
            )
        ),
        await connection.scalar(
            select(func.min(paused_lanes.c.probe_at)).where(paused_lanes.c.probe_at > after)
        ),
    ]
    return min((each for each in instants if each is not None), default=None)


def in_turns(heads: Iterable[Head]) -> list[WorkNumber]:
    """
    Put work in order, so that instances take turns, and their lanes.

    The instance that comes first has the first turn; its batches come before expansions.
    """
    instances: dict[int, dict[int, list[Head]]] = defaultdict(lambda: defaultdict(list))
    for head in heads:
        instances[head[0] // lanes.LANES][head[0]].append(head)
    queues = []
    for number, own in instances.items():
        expansions = own.pop(number * lanes.LANES, [])
        queues.append(_round([sorted(lane) for lane in own.values()]) + sorted(expansions))
    return [number for _, _, number in _round(queues)]


def _round(queues: Iterable[Sequence[Head]]) -> list[Head]:
    """One from each, then the next from each, until all are empty."""
    left, order = deque(deque(queue) for queue in queues if queue), []
    while left:
        queue = left.popleft()
        order.append(queue.popleft())
        if queue:
            left.append(queue)
    return order


async def _heads(
    connection: AsyncConnection,
    sort: Sort,
    each: int,
    terms: Terms,
    *,
    after: InstanceNumber | None = None,
    only: Collection[int] | None = None,
    besides: Collection[int] = (),
) -> list[Head]:
    """The next work of each lane, and ``each`` at most; those after an instance first."""
    if each < 1:
        return []
    rows = await connection.execute(
        _query(connection.dialect.name, is_chosen=only is not None),
        {
            "sort": str(sort),
            "after": (after or 0) * lanes.LANES + lanes.LANES - 1,
            "now": terms.now,
            "each": each,
            "most": each * _LANES_AT_LEAST,
            "lanes": list(besides if only is None else only),
        },
    )
    return [(row.lane, row.due_at, WorkNumber(row.number)) for row in rows]


@cache
def _query(dialect: str, *, is_chosen: bool) -> Select[tuple[int, datetime, int]]:
    """Lanes, and the head of each; made once, which costs more than to ask it."""
    walk, own = _walk(), work.alias("own")
    queue = (
        select(own.c.due_at, own.c.number)
        .where(own.c.sort == bindparam("sort"), own.c.lane == walk.c.lane)
        .where(is_free(own.c, bindparam("now", type_=Instant)))
        .order_by(own.c.due_at, own.c.number)
        .limit(bindparam("each", type_=Integer))
    )
    if dialect == "sqlite":  # knows no LATERAL, and has no need of it
        numbers = queue.with_only_columns(queue.selected_columns.number).correlate(walk)
        query = select(walk.c.lane, work.c.due_at, work.c.number).select_from(
            walk.join(work, work.c.number.in_(numbers))
        )
    else:
        heads = queue.lateral("heads")
        query = select(walk.c.lane, heads.c.due_at, heads.c.number).select_from(
            walk.join(heads, true())
        )
    listed = walk.c.lane.in_(bindparam("lanes", expanding=True))
    return query.where(listed if is_chosen else ~listed).limit(bindparam("most", type_=Integer))


def _walk() -> CTE:
    """The lanes that have work of a sort: from the one after a key to the last, and around."""

    def least(than: ColumnElement[int]) -> ColumnElement[int]:
        every = select(func.min(work.c.lane)).where(work.c.sort == bindparam("sort"))
        following = every.where(work.c.lane > than).scalar_subquery()
        return func.coalesce(following, every.scalar_subquery())

    first = least(bindparam("after", type_=BigInteger))
    walk = select(first.label("lane"), first.label("first")).cte("walk", recursive=True)
    step = least(walk.c.lane)
    return walk.union_all(select(step, walk.c.first).where(step != walk.c.first))
