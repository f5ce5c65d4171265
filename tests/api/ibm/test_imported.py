"""Devices that were moved in from IBM's own files, as their SDKs find them at the next launch."""

import csv
import io
import secrets

import pytest

from api.ibm.words import App, browser_token, new_token
from heliograph.app import now, storage
from heliograph.transfer.ibm import read_devices, read_subscriptions
from heliograph.transfer.importing import Import
from heliograph.transfer.subscribing import Subscribing
from support import settings_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {
    "A": new_token("A"),
    "G": new_token("G"),
    "WEB_FIREFOX": browser_token("https://updates.push.services.mozilla.com/wpush/v1/gAAAA"),
    "WEB_SAFARI": new_token("WEB_SAFARI"),
    "APPEXT_CHROME": new_token("APPEXT_CHROME"),
}


def written(*rows: tuple[str, ...]) -> list[str]:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().splitlines(keepends=True)


async def move_in(app: App, devices: list[str], subscriptions: list[str]) -> None:
    """What the operator's two commands do, beside the server."""
    async with storage(settings_in(app.folder)) as (database, _):
        mover = Import(
            database,
            app.instance,
            max_devices_per_user=100,
            clock=now,
            randomness=secrets.token_bytes,
        )
        moved = await mover.take(list(read_devices(devices)))
        subscriber = Subscribing(database, app.instance, clock=now)
        subscribed = await subscriber.take(list(read_subscriptions(subscriptions)))
    assert ([], []) == (moved.rejects, subscribed.rejects)


async def test_a_device_finds_itself_as_it_was(app: App) -> None:
    """Contract §3.3: the SDK compares id, token and user letter by letter, and writes nothing."""
    devices = written(
        *(
            (f"{platform}-1", "anonymous" if platform == "A" else "alice", token, platform)
            for platform, token in TOKENS.items()
        )
    )

    await move_in(app, devices, [])

    for platform, token in TOKENS.items():
        told = (await app.ask("GET", f"/devices/{platform}-1")).json()
        user = "anonymous" if platform == "A" else "alice"
        assert (f"{platform}-1", token, platform, user) == (
            told["deviceId"],
            told["token"],
            told["platform"],
            told["userId"],
        )


async def test_tags_come_along(app: App) -> None:
    """Contract §4: they are there to be chosen, and devices have what they had."""
    await move_in(
        app,
        written(("D-1", "alice", new_token("G"), "G")),
        written(("news", "D-1"), ("two words", "D-1"), ("Push.ALL", "D-1")),
    )

    tags = (await app.ask("GET", "/tags")).json()["tags"]
    had = (await app.ask("GET", "/subscriptions?deviceId=D-1")).json()["subscriptions"]
    again = await app.ask("POST", "/subscriptions", {"deviceId": "D-1", "tagName": "news"})

    assert ["news", "two words"] == [each["name"] for each in tags]
    assert {"news", "two words", "Push.ALL"} == {each["tagName"] for each in had}
    assert 409 == again.status_code


async def test_a_device_that_was_moved_in_is_switched_and_forgotten(app: App) -> None:
    """Contract §3.5: like one that registered itself."""
    token = new_token("A")
    await move_in(app, written(("D-2", "alice", token, "A")), [])

    switched = await app.ask("PUT", "/devices/D-2", {"deviceId": "D-2", "token": token})
    gone = await app.ask("DELETE", "/devices/D-2")

    assert (200, "anonymous", 204) == (
        switched.status_code,
        switched.json()["userId"],
        gone.status_code,
    )
