"""The rules of webhooks: what can be called, with what secret, and how many there may be."""

from pathlib import Path

import pytest

from builders import Workshop, workshop_in
from heliograph.errors import InvalidInput
from heliograph.notices import Subject
from heliograph.webhooks import MOST_WEBHOOKS

URL = "https://hooks.example.com/x"


async def test_a_webhook_is_kept_as_it_was_made(tmp_path: Path) -> None:
    """With its secret, which opens again; a secret is made up where none is given."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        made = await shop.webhooks.create(
            instance,
            "beams",
            URL,
            subjects={Subject.OPENED},
            secret="s",
            custom_data={"a": 1},
        )
        other = await shop.webhooks.create(instance, "beams", URL, subjects=set(Subject))

        assert [made, other] == list(await shop.webhooks.of_instance(instance))
        assert made == await shop.webhooks.find(instance, made.id)
        assert ("s", {"a": 1}) == (made.secret, dict(made.custom_data))
        assert other.secret.startswith("whsec_")
        assert other.secret not in repr(other)


async def test_an_instance_knows_what_it_tells_of(tmp_path: Path) -> None:
    """At once in this process: publishes that are accepted now are watched for their end."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        webhook = await shop.webhooks.create(instance, "beams", URL, subjects={Subject.ENDED})
        told = await shop.instances.find(instance.id)
        await shop.webhooks.change(instance, webhook, subjects={Subject.OPENED})
        changed = await shop.instances.find(instance.id)
        await shop.webhooks.remove(webhook)
        silent = await shop.instances.find(instance.id)

    assert told is not None
    assert changed is not None
    assert silent is not None
    assert [{Subject.ENDED}, {Subject.OPENED}, set()] == [
        each.subjects for each in (told, changed, silent)
    ]


async def test_what_is_changed_is_changed_and_no_more(tmp_path: Path) -> None:
    """What is not given stays."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        made = await shop.webhooks.create(
            instance, "beams", URL, subjects={Subject.OPENED}, secret="s"
        )

        await shop.webhooks.change(instance, made)
        await shop.webhooks.change(instance, made, url=f"{URL}/y", custom_data={"b": 2})
        found = await shop.webhooks.find(instance, made.id)

    assert found is not None
    assert (f"{URL}/y", "s", {"b": 2}, made.subjects) == (
        found.url,
        found.secret,
        found.custom_data,
        found.subjects,
    )


@pytest.mark.parametrize(
    "field, changes",
    [
        ("url", {"url": "ftp://hooks.example.com/"}),
        ("url", {"url": "hooks.example.com"}),
        ("url", {"url": "https://"}),
        ("url", {"url": "https://hooks.example.com/a b"}),
        ("url", {"url": "https://hooks.example.com/" + "x" * 2048}),
        ("secret", {"secret": ""}),
        ("secret", {"secret": "ü"}),
        ("secret", {"secret": "s" * 257}),
        ("secret", {"secret": "whsec_not base64"}),
        ("custom_data", {"custom_data": {"a": "x" * 4096}}),
    ],
)
async def test_what_cannot_be_used_is_refused(
    tmp_path: Path, field: str, changes: dict[str, object]
) -> None:
    """Naming the field, when it is made as when it is changed, and nothing is kept."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        good = await shop.webhooks.create(instance, "beams", URL, subjects=set(Subject))

        with pytest.raises(InvalidInput, match=field):
            await create(shop, instance_id=str(instance.id), changes=changes)
        with pytest.raises(InvalidInput, match=field):
            await shop.webhooks.change(instance, good, **changes)  # type: ignore[arg-type]  # a table's

        assert [good] == list(await shop.webhooks.of_instance(instance))


async def create(shop: Workshop, *, instance_id: str, changes: dict[str, object]) -> None:
    instance = await shop.instances.find(instance_id)
    assert instance is not None
    options = {"url": URL, "subjects": set(Subject)} | changes
    await shop.webhooks.create(instance, "beams", **options)  # type: ignore[arg-type]  # a table's


async def test_there_are_so_many_and_no_more(tmp_path: Path) -> None:
    """Each event is told to all that want it, so there is a bound."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        for _ in range(MOST_WEBHOOKS):
            await shop.webhooks.create(instance, "beams", URL, subjects=set(Subject))

        with pytest.raises(InvalidInput, match=str(MOST_WEBHOOKS)):
            await shop.webhooks.create(instance, "beams", URL, subjects=set(Subject))
