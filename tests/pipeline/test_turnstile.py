"""The turnstile: large steps one at a time, and small ones between."""

import asyncio

from heliograph.pipeline.turnstile import Turnstile


async def test_large_steps_pass_in_the_order_of_asking() -> None:
    """Nobody is overtaken."""
    turnstile, passed = Turnstile(), list[int]()

    async def step(number: int) -> None:
        await turnstile.passed()
        passed.append(number)

    await asyncio.gather(*[step(number) for number in range(5)])

    assert [0, 1, 2, 3, 4] == passed


async def test_a_message_to_one_person_overtakes_what_waits() -> None:
    """Ten short steps go by between two large ones, however many of those there are."""
    turnstile, story = Turnstile(), list[str]()

    async def large() -> None:
        await turnstile.passed()
        story.append("large")

    async def small() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        story.append("small")

    await asyncio.gather(*[large() for _ in range(8)], small())

    assert "small" in story[:2]


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    """A step that is cancelled on its way leaves the turnstile open."""
    turnstile = Turnstile()
    first = asyncio.create_task(turnstile.passed())
    await asyncio.sleep(0)
    first.cancel()

    await turnstile.passed()

    assert first.cancelled()
