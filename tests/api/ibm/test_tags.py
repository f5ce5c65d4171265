"""Tags: made, told and deleted."""

from typing import Any

import pytest

from api.ibm.words import App

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_tags_whole_life(app: App) -> None:
    """Contract §4.1: 201 with its address, 409, 200, 200, 204, and then 404."""
    body = {"name": "news", "description": "what is new"}

    made = await app.ask("POST", "/tags", body, as_backend=True)
    again = await app.ask("POST", "/tags", body, as_backend=True)
    shown = await app.ask("GET", "/tags/news")
    changed = await app.ask("PUT", "/tags/news", {"description": "d"}, as_backend=True)
    renamed = await app.ask("PUT", "/tags/news", {"name": "other"}, as_backend=True)
    kept = await app.ask("PUT", "/tags/news", {"name": "news"}, as_backend=True)
    gone = await app.ask("DELETE", "/tags/news", as_backend=True)
    missing = [
        await app.ask(method, "/tags/news", {"description": "d"}, as_backend=True)
        for method in ("GET", "PUT", "DELETE")
    ]

    assert (201, made.json()) == (made.status_code, shown.json())
    assert made.json()["href"].endswith(f"/apps/{app.instance.id}/tags/news")
    assert (409, "FPWSE0002E") == (again.status_code, again.json()["code"])
    assert (200, "d", "news") == (
        changed.status_code,
        changed.json()["description"],
        changed.json()["name"],
    )
    assert "d" == kept.json()["description"]
    assert (400, 204, b"") == (renamed.status_code, gone.status_code, gone.content)
    assert [(404, "FPWSE0001E")] * 3 == [(e.status_code, e.json()["code"]) for e in missing]


async def test_every_value_is_text(app: App) -> None:
    """Contract §4.1: one that were not would empty Swift's whole list; counts, too."""
    await app.tag("a", "b")
    await app.register("D")
    await app.ask("POST", "/subscriptions", {"deviceId": "D", "tagName": "a"})

    listed = (await app.ask("GET", "/tags?subscriptionCount=true&expand=true")).json()

    assert all(isinstance(value, str) for tag in listed["tags"] for value in tag.values())
    assert ["1", "0"] == [tag["subscriptionCount"] for tag in listed["tags"]]
    assert all(isinstance(listed["pageInfo"][each], int) for each in ("count", "totalCount"))


async def test_the_built_in_tag_is_nobodys(app: App) -> None:
    """Contract §4.2: it is in no list, and nobody makes, reads or deletes it."""
    made = await app.ask("POST", "/tags", {"name": "Push.ALL"}, as_backend=True)
    gone = await app.ask("DELETE", "/tags/Push.ALL", as_backend=True)
    listed = (await app.ask("GET", "/tags")).json()["tags"]

    assert (409, 404, []) == (made.status_code, gone.status_code, listed)


async def test_a_tag_goes_with_its_subscriptions(app: App) -> None:
    """Contract §4.1: and one that is made anew has none."""
    await app.tag("news")
    await app.register("D")
    await app.ask("POST", "/subscriptions", {"deviceId": "D", "tagName": "news"})
    await app.ask("DELETE", "/tags/news", as_backend=True)
    await app.tag("news")

    listed = (await app.ask("GET", "/subscriptions?tagName=news")).json()

    assert ([], 0) == (listed["subscriptions"], listed["pageInfo"]["totalCount"])


@pytest.mark.parametrize(
    "query, expected",
    [
        ("", ["News", "a,b", "news", "sport"]),
        ("?filter=name==news", ["news"]),
        ("?filter=name=@ews", ["News", "news"]),
        ("?filter=name==news,name==sport", ["news", "sport"]),
        ("?filter=name=@s&filter=description==ball", ["sport"]),
        ("?filter=name==a\\,b", ["a,b"]),
        ("?filter=name==n%25", []),
        ("?offset=1&size=2", ["a,b", "news"]),
        ("?size=1000", ["News", "a,b", "news", "sport"]),
    ],
)
async def test_tags_that_are_asked_for(app: App, query: str, expected: list[str]) -> None:
    """Contract §4.5: to the letter, on every engine; in the order of their names."""
    await app.tag("news", "News", "a,b")
    body = {"name": "sport", "description": "ball"}
    await app.ask("POST", "/tags", body, as_backend=True)

    listed = (await app.ask("GET", f"/tags{query}")).json()

    assert expected == [tag["name"] for tag in listed["tags"]]


async def test_pages_of_tags(app: App) -> None:
    """Contract §4.1, §4.5: next and previous lead on and back, and are empty at the ends."""
    await app.tag(*"abcde")

    first = (await app.ask("GET", "/tags?size=2")).json()["pageInfo"]
    second = (await app.http.get(first["next"], headers=app.client)).json()
    third = (await app.http.get(second["pageInfo"]["next"], headers=app.client)).json()
    back = (await app.http.get(second["pageInfo"]["previous"], headers=app.client)).json()

    assert (2, 5, "") == (first["count"], first["totalCount"], first["previous"])
    assert ["c", "d"] == [tag["name"] for tag in second["tags"]]
    assert (["e"], "") == ([tag["name"] for tag in third["tags"]], third["pageInfo"]["next"])
    assert ["a", "b"] == [tag["name"] for tag in back["tags"]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 165},
        {"name": "a\nb"},
        {"name": 7},
        {"name": "a", "description": 7},
        {"name": "a", "description": "\x00"},
        {"name": "a", "description": "x" * 1025},
    ],
)
async def test_what_no_tag_can_be(app: App, body: dict[str, Any]) -> None:
    """400 with the parameter; nothing is kept."""
    before = app.dump()

    reply = await app.ask("POST", "/tags", body, as_backend=True)

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])
    assert before == app.dump()


async def test_a_tag_may_be_called_anything(app: App) -> None:
    """Names of apps in stores are what they are: spaces, slashes, any language."""
    name = "Über uns / about us?"
    made = await app.ask("POST", "/tags", {"name": name}, as_backend=True)

    shown = await app.http.get(made.json()["href"], headers=app.client)

    assert (200, name) == (shown.status_code, shown.json()["name"])
