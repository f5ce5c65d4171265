"""Accept: committed, then announced; never the other way round."""

import asyncio

import pytest
from sqlalchemy.exc import IntegrityError

from builders import EVERYTHING, NOW, Workshop, always, ends, rows_of, to_users
from heliograph.errors import KeyReused
from heliograph.model import Interest, Target, ToInterests
from heliograph.storage.idempotency import Once
from heliograph.wire.http import HttpResponse


async def test_an_accepted_publish_is_there_with_its_work(workshop: Workshop) -> None:
    """From the answer on the publish and the work of expanding it are in the database."""
    instance = await workshop.instance()

    publish = await workshop.publish(instance, to_users("alice", "bob"))

    found = await workshop.found(instance, publish)
    assert (to_users("alice", "bob"), EVERYTHING, NOW) == (
        found.target,
        found.messages,
        found.accepted_at,
    )
    assert 1 == await rows_of(workshop.database, "work")


async def test_ids_of_publishes_sort_by_time(workshop: Workshop) -> None:
    """An id is Beams' word and a UUID, and no two are the same."""
    made = [workshop.accept.new_id() for _ in range(10)]

    assert (10, {"pubid"}) == (len(set(made)), {each.partition("-")[0] for each in made})


async def test_accepting_wakes_who_waits_for_work(workshop: Workshop) -> None:
    """A worker that has nothing to do hears of a publish at once."""
    instance = await workshop.instance()
    waiting = asyncio.create_task(workshop.queue.wait())
    await asyncio.sleep(0)

    await workshop.publish(instance, to_users("alice"))

    await asyncio.wait_for(waiting, 4)
    assert waiting.done()


async def test_an_id_is_used_once(workshop: Workshop) -> None:
    """A second publish under one id is refused and leaves no work behind."""
    instance = await workshop.instance()
    publish = await workshop.publish(instance, to_users("alice"))

    with pytest.raises(IntegrityError):
        await workshop.accept.accept(instance, publish, to_users("bob"), EVERYTHING)

    assert 1 == await rows_of(workshop.database, "work")


@pytest.mark.parametrize(
    "target, kind",
    [(to_users("alice"), "users"), (ToInterests((Interest("news"),)), "interests")],
    ids=["users", "interests"],
)
async def test_publishes_are_counted_by_what_they_address(
    workshop: Workshop, target: Target, kind: str
) -> None:
    """The metric tells users from interests."""
    await workshop.publish(await workshop.instance(), target)

    assert 1.0 == workshop.metrics.registry.get_sample_value(
        "heliograph_publishes_total", {"target": kind}
    )


async def test_a_publish_to_nobody_finishes(workshop: Workshop) -> None:
    """A target without devices is walked, and over, with nothing counted."""
    instance = await workshop.instance()
    publish = await workshop.publish(instance, to_users("nobody"))

    await workshop.worker(always(HttpResponse(200))).run_until_idle()

    progress = await workshop.progress(instance, publish)
    assert ({}, NOW, 0) == (
        ends(progress),
        progress.expanded_at,
        await rows_of(workshop.database, "work"),
    )


async def test_publishes_that_come_together_are_all_there(workshop: Workshop) -> None:
    """However many commits they share, each is answered with its own id, and has its work."""
    instance, accept = await workshop.instance(), workshop.accept
    wanted = {accept.new_id(): to_users(f"user-{number}") for number in range(300)}

    answers = await asyncio.gather(
        *[
            accept.accept(instance, publish, target, EVERYTHING)
            for publish, target in wanted.items()
        ]
    )

    found = [await workshop.found(instance, publish) for publish in answers]
    assert list(wanted.items()) == [(each.id, each.target) for each in found]
    assert 300 == await rows_of(workshop.database, "work")
    commits = workshop.metrics.registry.get_sample_value("heliograph_publishes_per_commit_count")
    assert 2.0 == commits


async def test_one_that_cannot_be_kept_does_not_fail_the_others(workshop: Workshop) -> None:
    """Of publishes that come together, only the guilty one is refused."""
    instance, accept = await workshop.instance(), workshop.accept
    taken = await workshop.publish(instance, to_users("alice"))
    ids = [accept.new_id(), taken, accept.new_id()]

    answers = await asyncio.gather(
        *[accept.accept(instance, each, to_users("bob"), EVERYTHING) for each in ids],
        return_exceptions=True,
    )

    assert [ids[0], ids[2]] == [answers[0], answers[2]]
    assert isinstance(answers[1], IntegrityError)
    assert 3 == await rows_of(workshop.database, "work")


async def test_a_reused_key_does_not_fail_the_others(workshop: Workshop) -> None:
    """Of publishes that come together, each with a key, one may have it from another."""
    instance, accept = await workshop.instance(), workshop.accept
    ids = [accept.new_id() for _ in range(4)]
    keys = [ONCE, Once("order-17", b"other"), None, Once("order-18", b"digest")]

    answers = await asyncio.gather(
        *[
            accept.accept(instance, publish, to_users("bob"), EVERYTHING, once=once)
            for publish, once in zip(ids, keys, strict=True)
        ],
        return_exceptions=True,
    )

    assert [ids[0], ids[2], ids[3]] == [answers[0], answers[2], answers[3]]
    assert isinstance(answers[1], KeyReused)
    assert 3 == await rows_of(workshop.database, "publishes")


async def test_a_caller_who_goes_away_leaves_no_half_publish(workshop: Workshop) -> None:
    """Cancelled while a commit is under way, it is there with its work, or not at all."""
    instance, accept = await workshop.instance(), workshop.accept
    going = asyncio.create_task(
        accept.accept(instance, accept.new_id(), to_users("alice"), EVERYTHING)
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    going.cancel()

    stays = await workshop.publish(instance, to_users("bob"))

    assert going.cancelled()
    assert to_users("bob") == (await workshop.found(instance, stays)).target
    assert await rows_of(workshop.database, "publishes") == await rows_of(workshop.database, "work")


ONCE = Once("order-17", b"digest")


async def test_a_publish_with_a_key_is_made_once(workshop: Workshop) -> None:
    """The same key again is answered by the first publish; nothing is kept or counted."""
    instance = await workshop.instance()
    accept, target = workshop.accept, to_users("alice")

    first, second = [
        await accept.accept(instance, accept.new_id(), target, EVERYTHING, once=ONCE)
        for _ in range(2)
    ]

    assert first == second
    assert (1, 1) == (
        await rows_of(workshop.database, "publishes"),
        await rows_of(workshop.database, "work"),
    )
    assert 1.0 == workshop.metrics.registry.get_sample_value(
        "heliograph_publishes_total", {"target": "users"}
    )


async def test_a_key_used_by_many_at_once_makes_one_publish(workshop: Workshop) -> None:
    """However they overlap, all of them are answered by the same one."""
    instance = await workshop.instance()
    accept, target = workshop.accept, to_users("alice")

    answers = await asyncio.gather(
        *[
            accept.accept(instance, accept.new_id(), target, EVERYTHING, once=ONCE)
            for _ in range(10)
        ]
    )

    assert 1 == len(set(answers))
    assert 1 == await rows_of(workshop.database, "publishes")


async def test_a_publish_that_is_not_kept_leaves_its_key_free(workshop: Workshop) -> None:
    """Key and publish are one commit: what fails can be asked for again."""
    instance = await workshop.instance()
    taken = await workshop.publish(instance, to_users("alice"))
    accept, target = workshop.accept, to_users("bob")
    with pytest.raises(IntegrityError):
        await accept.accept(instance, taken, target, EVERYTHING, once=ONCE)
    identity = accept.new_id()

    accepted = await accept.accept(instance, identity, target, EVERYTHING, once=ONCE)

    assert identity == accepted
