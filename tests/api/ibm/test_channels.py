"""Channels of Android, and their groups."""

import asyncio
from typing import Any

import pytest

from api.ibm.words import App
from heliograph.api.ibm.channels import MOST, expanded

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANNEL: dict[str, Any] = {
    "channelId": "offers",
    "channelName": "Offers",
    "importance": 4,
    "enableLights": True,
    "enableVibration": False,
    "lightColor": "RED",
    "lockScreenVisibility": 1,
    "groupId": "shop",
    "bypassDND": False,
    "description": "What is cheap today",
    "showBadge": True,
    "sound": "bell.mp3",
    "vibrationPattern": [100, 200],
}
GROUP = {"groupId": "shop", "groupName": "The shop"}


@pytest.mark.parametrize(
    "kind, body", [("channels", CHANNEL), ("channelGroups", GROUP)], ids=["channel", "group"]
)
async def test_defined_changed_and_forgotten(app: App, kind: str, body: dict[str, Any]) -> None:
    """Contract §2.2, §14.5: paths and bodies are ours; codes are IBM's."""
    identity = body["channelId" if kind == "channels" else "groupId"]
    label = "channelName" if kind == "channels" else "groupName"

    made = await app.ask("POST", f"/{kind}", body, as_backend=True)
    again = await app.ask("POST", f"/{kind}", body, as_backend=True)
    listed = (await app.ask("GET", f"/{kind}", as_backend=True)).json()
    changed = await app.ask("PUT", f"/{kind}/{identity}", {label: "Other"}, as_backend=True)
    shown = await app.ask("GET", f"/{kind}/{identity}", as_backend=True)
    gone = await app.ask("DELETE", f"/{kind}/{identity}", as_backend=True)
    missing = await app.ask("GET", f"/{kind}/{identity}", as_backend=True)

    assert (201, body) == (made.status_code, made.json())
    assert (409, "FPWSE0002E") == (again.status_code, again.json()["code"])
    assert {kind: [body]} == listed
    assert (200, "Other", "Other") == (
        changed.status_code,
        changed.json()[label],
        shown.json()[label],
    )
    assert (204, 404) == (gone.status_code, missing.status_code)


async def test_a_message_takes_a_channel_with_its_group(app: App) -> None:
    """Contract §5.4: the group goes along, whether it is defined or not."""
    await app.ask("POST", "/channels", CHANNEL, as_backend=True)
    app.product.instances.forget()
    undefined = await app.product.instances.find(app.instance.id)
    await app.ask("POST", "/channelGroups", GROUP, as_backend=True)
    app.product.instances.forget()
    defined = await app.product.instances.find(app.instance.id)

    assert undefined is not None
    assert defined is not None
    assert {"groupId": "shop", "groupName": "shop"} == expanded(undefined)["offers"]["groupJson"]
    assert GROUP == expanded(defined)["offers"]["groupJson"]
    assert "groupId" not in expanded(defined)["offers"]


@pytest.mark.parametrize(
    "kind, change",
    [
        ("channels", {"channelId": None}),
        ("channels", {"channelName": None}),
        ("channels", {"importance": 6}),
        ("channels", {"importance": "high"}),
        ("channels", {"enableLights": "yes"}),
        ("channels", {"lightColor": "PINK"}),
        ("channels", {"lockScreenVisibility": 2}),
        ("channels", {"vibrationPattern": 7}),
        ("channels", {"vibrationPattern": [-1]}),
        ("channels", {"vibrationPattern": [1] * 33}),
        ("channels", {"description": "x" * 501}),
        ("channels", {"sound": "x" * 501}),
        ("channelGroups", {"groupName": None}),
    ],
)
async def test_what_android_could_not_read(app: App, kind: str, change: dict[str, Any]) -> None:
    """400 with the parameter, and nothing is kept."""
    before = app.dump()

    body = (CHANNEL if kind == "channels" else GROUP) | change
    reply = await app.ask("POST", f"/{kind}", body, as_backend=True)

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])
    assert before == app.dump()


async def test_channels_are_for_back_ends(app: App) -> None:
    """Contract §2.2: whoever has an app defines none."""
    assert 401 == (await app.ask("POST", "/channels", CHANNEL)).status_code


async def test_only_one_of_two_at_once_defines_a_channel(app: App) -> None:
    """Who looks and who writes are one step, also where another process remembers an older one."""
    replies = await asyncio.gather(
        *[app.ask("POST", "/channels", CHANNEL, as_backend=True) for _ in range(4)]
    )

    assert [201, 409, 409, 409] == sorted(each.status_code for each in replies)


async def test_there_is_an_end_to_channels(app: App) -> None:
    """At most 100 of an instance; one of them can still be changed."""
    for number in range(MOST):
        body = {"groupId": str(number), "groupName": "x"}
        assert 201 == (await app.ask("POST", "/channelGroups", body, as_backend=True)).status_code

    body = {"groupId": "one more", "groupName": "x"}
    more = await app.ask("POST", "/channelGroups", body, as_backend=True)
    changed = await app.ask("PUT", "/channelGroups/7", {"groupName": "y"}, as_backend=True)
    listed = (await app.ask("GET", "/channelGroups", as_backend=True)).json()["channelGroups"]

    assert [400, 200] == [more.status_code, changed.status_code]
    assert "7" == listed[7]["groupId"]
