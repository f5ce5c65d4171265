"""News of work between processes that share a PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
import structlog

from builders import Clock, add_instance, add_publish
from heliograph.model import Sort
from heliograph.queue.database import DatabaseQueue
from heliograph.queue.news import LocalNews, PostgresNews, news_of
from heliograph.storage import work
from heliograph.storage.database import Database
from postgres import Postgres

PATIENCE_SECONDS = 20.0


async def soon(doing: Awaitable[object]) -> None:
    """Fail if it takes longer than a busy machine."""
    await asyncio.wait_for(doing, PATIENCE_SECONDS)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def listener(database: Database, stack: AsyncExitStack) -> PostgresNews:
    """A process that hears others from now on."""
    news = PostgresNews(database.connect_apart, sleep=_at_once)
    await stack.enter_async_context(news.listening())
    await soon(news.heard())  # the first is that it can hear
    return news


async def _at_once(_seconds: float) -> None:
    """No rest: the test says when something happens."""
    await asyncio.sleep(0)


async def test_who_waits_is_woken_by_another_process(
    shared_database: Database, stack: AsyncExitStack
) -> None:
    """And by its own; both hear of which sorts there is work."""
    ours, theirs = [await listener(shared_database, stack) for _ in range(2)]
    sorts = {Sort.SMALL, Sort.AGAIN}

    theirs.tell(sorts)

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert [sorts, sorts] == [set(await each.heard()) for each in (ours, theirs)]


async def test_ones_own_news_are_heard_once(
    shared_database: Database, stack: AsyncExitStack
) -> None:
    """They do not come back from the server to wake us again."""
    ours, theirs = [await listener(shared_database, stack) for _ in range(2)]
    ours.tell([Sort.SMALL])
    await soon(ours.heard())
    await soon(theirs.heard())
    theirs.tell([Sort.SMALL])  # what the server says of this comes after what it says of ours
    await soon(ours.heard())
    waiting = asyncio.create_task(ours.heard())
    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()


async def test_a_queue_is_woken_by_what_another_process_committed(
    shared_database: Database, shared_url: str, stack: AsyncExitStack
) -> None:
    """Its clock stands still, so that no nap ends by itself but the longest."""
    ours = await listener(shared_database, stack)
    other = await stack.enter_async_context(Database.opened(shared_url))
    there = await listener(other, stack)
    queue = DatabaseQueue(shared_database, Clock(), news=ours)
    publisher = DatabaseQueue(other, Clock(), news=there)
    waiting = asyncio.create_task(queue.wait())
    async with other.write() as connection:
        instance = await add_instance(connection)
        publish = await add_publish(connection, instance)
        made = await work.add_expansion(connection, publish, instance, now=Clock().now)
    await publisher.announce([made])

    await soon(waiting)

    assert 1 == len(await queue.take(Sort.SMALL, 1))


async def test_a_connection_that_is_lost_is_made_anew(
    shared_database: Database, postgres: Postgres, stack: AsyncExitStack
) -> None:
    """It is told once; who may have missed something looks at once, and hears again."""
    with structlog.testing.capture_logs() as logged:
        ours, theirs = [await listener(shared_database, stack) for _ in range(2)]
        await postgres.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
        )
        for each in (ours, theirs):
            await soon(each.heard())
        theirs.tell([Sort.SMALL])
        await soon(ours.heard())

    assert ["news_lost", "news_lost"] == [each["event"] for each in logged]


async def test_a_server_that_lets_nobody_listen_is_told_once(stack: AsyncExitStack) -> None:
    """Whoever waits looks by himself; news of one's own come through all the same."""
    tries = 0
    are_enough = asyncio.Event()

    async def connect() -> Any:
        nonlocal tries
        tries += 1
        if tries == 3:
            are_enough.set()
        raise OSError("nobody there")

    news = PostgresNews(connect, sleep=_at_once)
    with structlog.testing.capture_logs() as logged:
        await stack.enter_async_context(news.listening())
        await soon(are_enough.wait())
        news.tell([Sort.SMALL])
        await soon(news.heard())

    assert [("news_lost", "OSError")] == [(each["event"], each["problem"]) for each in logged]


async def test_much_news_is_told_as_one(shared_database: Database, stack: AsyncExitStack) -> None:
    """While others are being told, what comes meanwhile waits and is told together."""
    rests: list[float] = []
    told, may_go_on = asyncio.Event(), asyncio.Event()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        told.set()
        await may_go_on.wait()

    news = PostgresNews(shared_database.connect_apart, sleep=rest)
    await stack.enter_async_context(news.listening())
    for _ in range(1000):
        news.tell([Sort.SMALL])
    await soon(told.wait())
    for _ in range(1000):
        news.tell([Sort.SMALL])
    may_go_on.set()
    other = await listener(shared_database, stack)
    news.tell([Sort.SMALL])
    await soon(other.heard())

    assert len(rests) <= 3
    assert timedelta(seconds=rests[0]) <= timedelta(milliseconds=50)


@pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)
async def test_a_process_that_is_alone_needs_no_connection(either_database: Database) -> None:
    """Its news stay in it."""
    async with news_of(either_database) as news:
        assert isinstance(news, LocalNews)
