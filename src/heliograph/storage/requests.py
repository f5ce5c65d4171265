"""Queries on requests: what callers asked for in their own words, by a short name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, PublishId, PublishNumber
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import publishes, requests


@dataclass(frozen=True, slots=True)
class Asked:
    """What a publish was asked for in, and the name by which its caller finds it again."""

    name: str
    """One of its instance's publishes has it."""
    body: bytes
    """UTF-8 JSON."""


@dataclass(frozen=True, slots=True)
class Request:
    """A publish that can be found by its name."""

    publish: PublishNumber
    id: PublishId
    name: str
    body: bytes
    accepted_at: datetime


async def add_all(
    connection: AsyncConnection, asked: Sequence[tuple[PublishNumber, InstanceNumber, Asked]]
) -> set[PublishNumber]:
    """Keep requests of publishes, 1 to 256; those whose name was free."""
    added = await connection.execute(
        INSERTS[connection.dialect.name](requests)
        .on_conflict_do_nothing(index_elements=["instance_number", "name"])
        .returning(requests.c.publish_number),
        [
            {
                "publish_number": publish,
                "instance_number": instance,
                "name": each.name,
                "body": each.body,
            }
            # In one order everywhere, so that no two transactions wait for each other.
            for publish, instance, each in sorted(asked, key=lambda one: (one[1], one[2].name))
        ],
    )
    return {PublishNumber(number) for (number,) in added}


async def find(connection: AsyncConnection, instance: InstanceNumber, name: str) -> Request | None:
    """The request with this name; None if there is none."""
    query = _QUERY.where(requests.c.instance_number == instance, requests.c.name == name)
    row = (await connection.execute(query)).first()
    return None if row is None else _read(row)


async def find_all(
    connection: AsyncConnection, instance: InstanceNumber, names: Collection[str]
) -> dict[str, Request]:
    """Requests by their names, up to 1,000; those there are."""
    query = _QUERY.where(requests.c.instance_number == instance, requests.c.name.in_(names))
    return {row.name: _read(row) for row in await connection.execute(query)}


async def remove(connection: AsyncConnection, instance: InstanceNumber, name: str) -> bool:
    """Forget a request, not its publish; False if there is none with this name."""
    removed = await connection.execute(
        delete(requests).where(requests.c.instance_number == instance, requests.c.name == name)
    )
    return removed.rowcount == 1


async def page(
    connection: AsyncConnection, instance: InstanceNumber, *, offset: int, limit: int
) -> Sequence[Request]:
    """Requests of an instance, the latest first."""
    query = _QUERY.where(requests.c.instance_number == instance)
    query = query.order_by(requests.c.publish_number.desc()).offset(offset).limit(limit)
    return [_read(row) for row in await connection.execute(query)]


async def count(connection: AsyncConnection, instance: InstanceNumber) -> int:
    """How many requests of an instance there are."""
    query = select(func.count()).where(requests.c.instance_number == instance)
    return int(await connection.scalar(query) or 0)


async def names(
    connection: AsyncConnection, numbers: Collection[PublishNumber]
) -> dict[PublishNumber, str]:
    """The names of some publishes, up to 1,000, of those that have one."""
    query = select(requests.c.publish_number, requests.c.name)
    rows = await connection.execute(query.where(requests.c.publish_number.in_(numbers)))
    return {PublishNumber(number): name for number, name in rows}


_QUERY: Final[Select[Any]] = select(
    requests.c.publish_number,
    requests.c.name,
    requests.c.body,
    publishes.c.id,
    publishes.c.accepted_at,
).join(publishes, publishes.c.number == requests.c.publish_number)


def _read(row: Row[Any]) -> Request:
    return Request(
        publish=PublishNumber(row.publish_number),
        id=PublishId(row.id),
        name=row.name,
        body=row.body,
        accepted_at=row.accepted_at,
    )
