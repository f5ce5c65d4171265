"""Subscriptions: one at a time as Android asks, several as iOS and the web do."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.ibm.words import App
from support import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def ready(app: App) -> App:
    """An app with a device and two tags."""
    await app.register("D", user="u1")
    await app.tag("t1", "t2")
    return app


async def subscribe(app: App, *tags: str, device: str = "D", action: str = "") -> httpx.Response:
    """Ask for several at once."""
    body = {"deviceId": device, "tagNames": list(tags)}
    return await app.ask("POST", f"/subscriptions{action}", body)


async def tags_of(app: App, device: str = "D") -> list[str]:
    """The tags of a device, as its SDK reads them."""
    listed = (await app.ask("GET", f"/subscriptions?deviceId={device}")).json()
    return [each["tagName"] for each in listed["subscriptions"]]


async def test_one_at_a_time(ready: App) -> None:
    """Contract §4.3: 201 with its address, 204 with nothing; by its id as well."""
    made = await ready.ask("POST", "/subscriptions", {"deviceId": "D", "tagName": "t1"})
    one = f"/subscriptions/{made.json()['subscriptionId']}"
    shown = await ready.ask("GET", one)
    by_address = await ready.http.get(made.json()["href"], headers=ready.client)
    gone = await ready.ask("DELETE", "/subscriptions?deviceId=D&tagName=t1")
    missing = await ready.ask("GET", one)
    await ready.ask("POST", "/subscriptions", {"deviceId": "D", "tagName": "t1"})
    gone_by_id = await ready.ask("DELETE", one)

    assert (201, made.json()) == (made.status_code, shown.json())
    assert [made.json()] == by_address.json()["subscriptions"]
    assert (204, b"") == (gone.status_code, gone.content)
    assert (404, "FPWSE0012E") == (missing.status_code, missing.json()["code"])
    assert (204, ["Push.ALL"]) == (gone_by_id.status_code, await tags_of(ready))


@pytest.mark.parametrize(
    "method, path, body, status, code",
    [
        ("POST", "", {"deviceId": "D", "tagName": "t2"}, 409, "FPWSE0011E"),
        ("POST", "", {"deviceId": "D", "tagName": "none"}, 404, "FPWSE0001E"),
        ("POST", "", {"deviceId": "D", "tagName": "Push.ALL"}, 404, "FPWSE0001E"),
        ("POST", "", {"deviceId": "nobody", "tagName": "t1"}, 404, "FPWSE0001E"),
        ("POST", "", {"tagName": "t1"}, 400, "FPWSE0005E"),
        ("POST", "", {"deviceId": "D"}, 400, "FPWSE0005E"),
        ("POST", "", {"deviceId": "D", "tagNames": []}, 400, "FPWSE0005E"),
        ("POST", "", {"deviceId": "D", "tagNames": "t1"}, 400, "FPWSE0005E"),
        ("POST", "", {"deviceId": "D", "tagNames": ["x"] * 1001}, 400, "FPWSE0005E"),
        ("POST", "?action=other", {"deviceId": "D", "tagNames": ["t1"]}, 400, "FPWSE0005E"),
        ("DELETE", "?deviceId=D&tagName=t1", None, 404, "FPWSE0012E"),
        ("DELETE", "?deviceId=nobody&tagName=t1", None, 404, "FPWSE0012E"),
        ("DELETE", "?deviceId=D", None, 400, "FPWSE0008E"),
        ("DELETE", "?tagName=t1", None, 400, "FPWSE0008E"),
        ("DELETE", "?deviceId=D&tagName=t1&x=y", None, 400, "FPWSE0007E"),
        ("GET", "/nonsense", None, 404, "FPWSE0012E"),
    ],
)
async def test_one_that_is_there_or_is_not(
    ready: App, method: str, path: str, body: Any, status: int, code: str
) -> None:
    """Contract §2.8, §4.3: each mistake has its code, and nothing changes."""
    await subscribe(ready, "t2")
    before = ready.dump()

    reply = await ready.ask(method, f"/subscriptions{path}", body)

    assert (status, code) == (reply.status_code, reply.json()["code"])
    assert before == ready.dump()


async def test_several_at_once(ready: App) -> None:
    """Contract §4.4: 207, with what is new, what was there, and what there is not."""
    await subscribe(ready, "t1")

    reply = await subscribe(ready, "t1", "t2", "t2", "none", "Push.ALL")

    told = reply.json()
    assert 207 == reply.status_code
    assert ["t2"] == [each["tagName"] for each in told["subscribed"]]
    assert ["t1"] == [each["tagName"] for each in told["subscriptionExists"]]
    assert ["none", "Push.ALL"] == told["tagsNotFound"]["tags"]
    assert {"tags", "message", "code"} == set(told["tagsNotFound"])
    assert ["t1", "t2", "Push.ALL"] == await tags_of(ready)


async def test_several_taken_back(ready: App) -> None:
    """Contract §4.4: 207 again, with the keys that Swift knows."""
    await subscribe(ready, "t1")

    reply = await subscribe(ready, "t1", "t2", "none", "Push.ALL", action="?action=delete")

    told = reply.json()
    assert 207 == reply.status_code
    assert ["t1"] == [each["tagName"] for each in told["unsubscribed"]]
    assert ["t2"] == [each["tagName"] for each in told["subscriptionNotExists"]]
    assert ["none", "Push.ALL"] == told["tagsNotFound"]["tags"]
    assert ([], []) == (told["subscriptionExists"], told["subscribed"])
    assert ["Push.ALL"] == await tags_of(ready)


async def test_several_of_nobody(ready: App) -> None:
    """A device that there is not is 404, for giving and for taking."""
    for action in ("", "?action=delete"):
        reply = await subscribe(ready, "t1", device="nobody", action=action)
        assert (404, "FPWSE0001E") == (reply.status_code, reply.json()["code"])


async def test_the_built_in_tag(ready: App) -> None:
    """Contract §4.2: last in the list of a device, for nobody by name, and in no other list."""
    await subscribe(ready, "t1")

    own = (await ready.ask("GET", "/subscriptions?deviceId=D")).json()
    alone = (await ready.ask("GET", "/subscriptions?deviceId=D&tagName=Push.ALL")).json()
    everybody = (await ready.ask("GET", "/subscriptions")).json()
    shown = await ready.ask("GET", f"/subscriptions/{own['subscriptions'][-1]['subscriptionId']}")

    assert ("Push.ALL", "") == (
        own["subscriptions"][-1]["tagName"],
        own["subscriptions"][-1]["userId"],
    )
    assert (2, 2) == (own["pageInfo"]["count"], own["pageInfo"]["totalCount"])
    assert own["subscriptions"][-1:] == alone["subscriptions"] == [shown.json()]
    assert ["t1"] == [each["tagName"] for each in everybody["subscriptions"]]


async def test_the_built_in_tag_in_pages(ready: App) -> None:
    """Contract §4.2, §4.5: told once, no page is longer than asked, and lists end."""
    await subscribe(ready, "t1", "t2")

    pages = [
        (await ready.ask("GET", f"/subscriptions?deviceId=D&offset={offset}&size=2")).json()
        for offset in (0, 2, 3, 4)
    ]

    told = [[each["tagName"] for each in page["subscriptions"]] for page in pages]
    assert [["t1", "t2"], ["Push.ALL"], [], []] == told
    assert [True, False, False, False] == [bool(page["pageInfo"]["next"]) for page in pages]


async def test_every_value_is_text(ready: App) -> None:
    """Contract §4.1: Swift takes the list for empty otherwise."""
    told = (await subscribe(ready, "t1", "t2")).json()
    listed = (await ready.ask("GET", "/subscriptions?deviceId=D")).json()

    every = [*told["subscribed"], *listed["subscriptions"]]
    assert all(isinstance(value, str) for each in every for value in each.values())


@pytest.mark.parametrize(
    "query, expected",
    [
        ("", ["D t1", "E t1", "E t2"]),
        ("?tagName=t1", ["D t1", "E t1"]),
        ("?userId=u1", ["D t1"]),
        ("?userId=anonymous", ["E t1", "E t2"]),
        ("?deviceId=E&tagName=t2", ["E t2"]),
        ("?deviceId=nobody", []),
        ("?filter=tagName==t2", ["E t2"]),
        ("?filter=deviceId=@E", ["E t1", "E t2"]),
        ("?filter=platform==G", ["E t1", "E t2"]),
        ("?filter=platform==G&filter=tagName=@1", ["E t1"]),
        ("?filter=tagName==t2,deviceId==D", ["D t1", "E t2"]),
        ("?deviceId=&tagName=&offset=0&size=100&expand=False", ["D t1", "E t1", "E t2"]),
        ("?offset=1&size=1", ["E t1"]),
    ],
)
async def test_a_list_that_is_filtered(ready: App, query: str, expected: list[str]) -> None:
    """Contract §4.5: by device, tag, user and filters; empty parameters are none."""
    await ready.register("E", platform="G")
    await subscribe(ready, "t1")
    await subscribe(ready, "t1", "t2", device="E")

    listed = (await ready.ask("GET", f"/subscriptions{query}")).json()["subscriptions"]

    assert expected == [f"{each['deviceId']} {each['tagName']}" for each in listed]


async def test_tags_are_the_devices(ready: App) -> None:
    """Contract §10, §14.6: they stay when the user changes, and go with the device."""
    await subscribe(ready, "t1")

    await ready.ask("PUT", "/devices/D", {"userId": "u2"})
    kept = await tags_of(ready)
    await ready.ask("DELETE", "/devices/D")
    await ready.register("D")

    assert (["t1", "Push.ALL"], ["Push.ALL"]) == (kept, await tags_of(ready))


async def test_an_interest_that_nobody_declared(ready: App) -> None:
    """One registry: what a device has through another dialect is a subscription, and no tag."""
    listed = await ready.http.get(f"/admin/v1/instances/{ready.instance.id}/devices", headers=ADMIN)
    (device,) = listed.json()["devices"]
    base = f"/device_api/v1/instances/{ready.instance.id}/devices/apns/{device['id']}"
    added = await ready.http.post(f"{base}/interests/hello")
    assert 200 == added.status_code

    assert ["hello", "Push.ALL"] == await tags_of(ready)
    assert 404 == (await ready.ask("GET", "/tags/hello")).status_code
    refused = await subscribe(ready, "hello")
    assert ["hello"] == refused.json()["tagsNotFound"]["tags"]
    taken = await subscribe(ready, "hello", action="?action=delete")
    assert ["hello"] == [each["tagName"] for each in taken.json()["unsubscribed"]]
