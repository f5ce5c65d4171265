"""Queries on webhooks, and on the hooks that single publishes have of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber, PublishNumber
from heliograph.notices import Subject, WebhookId, WebhookNumber
from heliograph.storage import locks
from heliograph.storage.tables import calls, own_hooks, webhooks, work


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook as it is kept."""

    number: WebhookNumber
    id: WebhookId
    instance: InstanceNumber
    dialect: str
    subjects: frozenset[Subject]
    url: bytes
    """Sealed."""
    secret: bytes
    """Sealed."""
    custom_data: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OwnHookRow:
    """A publish's own hook as it is kept."""

    dialect: str
    url: bytes
    """Sealed."""
    request: bytes
    """Sealed: the address stands in it, too."""


async def add(
    connection: AsyncConnection, instance: InstanceNumber, values: Mapping[str, Any], *, most: int
) -> bool:
    """
    Keep a new webhook; False if the instance has as many as it may have.

    Args:
        connection: The transaction.
        instance: Whose.
        values: Its columns but the number and the instance; ``subjects`` is a set.
        most: How many one instance may have.
    """
    await locks.hold_name(connection, "webhooks", int(instance))
    count = select(func.count()).where(webhooks.c.instance_number == instance)
    if int(await connection.scalar(count) or 0) >= most:
        return False
    await connection.execute(insert(webhooks).values(**_written(values), instance_number=instance))
    return True


async def of_instance(
    connection: AsyncConnection, instance: InstanceNumber
) -> Sequence[WebhookRow]:
    """The webhooks of an instance, oldest first."""
    query = select(webhooks).where(webhooks.c.instance_number == instance)
    return [_read(row) for row in await connection.execute(query.order_by(webhooks.c.number))]


async def keep(connection: AsyncConnection, instance: InstanceNumber) -> None:
    """Let nobody delete the webhooks that an instance has; they may be changed."""
    own = select(webhooks.c.number).where(webhooks.c.instance_number == instance)
    await locks.keep_rows(connection, own.order_by(webhooks.c.number))


async def find(connection: AsyncConnection, number: WebhookNumber) -> WebhookRow | None:
    """The webhook with this number; None if it is gone."""
    row = (await connection.execute(select(webhooks).where(webhooks.c.number == number))).first()
    return None if row is None else _read(row)


async def change(
    connection: AsyncConnection, number: WebhookNumber, values: Mapping[str, Any]
) -> None:
    """Change some of its columns; ``subjects`` is a set."""
    await connection.execute(
        update(webhooks).where(webhooks.c.number == number).values(**_written(values))
    )


async def remove(connection: AsyncConnection, number: WebhookNumber) -> None:
    """Delete a webhook, with its calls and what is still to be done of them."""
    own = select(calls.c.number).where(calls.c.webhook_number == number)
    await connection.execute(delete(work).where(work.c.call_number.in_(own)))
    await connection.execute(delete(webhooks).where(webhooks.c.number == number))


async def add_own(connection: AsyncConnection, publish: PublishNumber, hook: OwnHookRow) -> None:
    """Keep the hook that a publish has of its own."""
    await connection.execute(
        insert(own_hooks).values(
            publish_number=publish, dialect=hook.dialect, url=hook.url, request=hook.request
        )
    )


async def own_of(connection: AsyncConnection, publish: PublishNumber) -> OwnHookRow | None:
    """The hook that a publish has of its own, if it has one."""
    query = select(own_hooks).where(own_hooks.c.publish_number == publish)
    row = (await connection.execute(query)).first()
    return None if row is None else OwnHookRow(row.dialect, row.url, row.request)


def _written(values: Mapping[str, Any]) -> dict[str, Any]:
    if "subjects" not in values:
        return dict(values)
    return {**values, "subjects": ",".join(sorted(values["subjects"]))}


def _read(row: Row[Any]) -> WebhookRow:
    return WebhookRow(
        number=WebhookNumber(row.number),
        id=WebhookId(row.id),
        instance=InstanceNumber(row.instance_number),
        dialect=row.dialect,
        subjects=frozenset(Subject(each) for each in row.subjects.split(",")),
        url=row.url,
        secret=row.secret,
        custom_data=row.custom_data,
        created_at=row.created_at,
    )
