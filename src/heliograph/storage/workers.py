"""Queries on workers, the processes that deliver, and on what they share of Google's projects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import locks
from heliograph.storage.tables import fcm_projects, workers


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A process that delivers."""

    id: str
    """Random, and another one at each start."""
    host: str
    version: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Warmth:
    """How far a project's ramp was climbed, and when it was."""

    percent: int
    used_at: datetime


async def show(connection: AsyncConnection, worker: WorkerRow) -> None:
    """Say that a worker lives, for the first time or again; one at a time."""
    await locks.hold_name(connection, "workers")
    seen = update(workers).where(workers.c.id == worker.id).values(seen_at=worker.seen_at)
    if not (await connection.execute(seen)).rowcount:
        await connection.execute(
            insert(workers).values(
                id=worker.id,
                host=worker.host,
                version=worker.version,
                started_at=worker.started_at,
                seen_at=worker.seen_at,
            )
        )


async def remove(connection: AsyncConnection, worker: str) -> None:
    """Forget a worker that stops."""
    await connection.execute(delete(workers).where(workers.c.id == worker))


async def remove_silent(connection: AsyncConnection, *, since: datetime) -> None:
    """Forget those that have not shown themselves since then."""
    await connection.execute(delete(workers).where(workers.c.seen_at <= since))


async def living(connection: AsyncConnection, *, since: datetime) -> Sequence[WorkerRow]:
    """Those that have shown themselves since then, oldest first."""
    query = select(
        workers.c.id,
        workers.c.host,
        workers.c.version,
        workers.c.started_at,
        workers.c.seen_at,
    ).where(workers.c.seen_at > since)
    rows = await connection.execute(query.order_by(workers.c.started_at, workers.c.id))
    return [WorkerRow(*row) for row in rows]


async def warmth(connection: AsyncConnection, projects: Collection[str]) -> dict[str, Warmth]:
    """How warm projects are, of those that are known."""
    query = select(fcm_projects.c.project, fcm_projects.c.warmth, fcm_projects.c.used_at)
    rows = await connection.execute(query.where(fcm_projects.c.project.in_(projects)))
    return {project: Warmth(percent, used_at) for project, percent, used_at in rows}


async def keep_warmth(connection: AsyncConnection, projects: Mapping[str, Warmth]) -> None:
    """Say how warm projects are now."""
    for project in sorted(projects):
        await locks.hold_name(connection, "fcm_project", project)
        await connection.execute(delete(fcm_projects).where(fcm_projects.c.project == project))
        await connection.execute(
            insert(fcm_projects).values(
                project=project,
                warmth=projects[project].percent,
                used_at=projects[project].used_at,
            )
        )
