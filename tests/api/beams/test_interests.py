"""Interests: what a device subscribes to, in pages."""

import json
from typing import Final

import pytest

from api.beams.words import Beams, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD_NAME: Final = problem(
    "Bad request", "Invalid interest name: 1 to 164 letters, digits and characters of _-=@,.;"
)
TOO_MANY: Final = problem("Bad request", "Interest set too large: a device can have at most 5000")


async def test_interests_come_in_ascending_order(beams: Beams) -> None:
    """Whatever the order of subscribing, the list is sorted by code points."""
    device = await beams.new_device()
    for name in ("zebra", "panda", "Zebra", "_x"):
        await beams.http.post(f"{device}/interests/{name}")

    reply = await beams.http.get(f"{device}/interests")

    assert {
        "interests": ["Zebra", "_x", "panda", "zebra"],
        "responseMetadata": {},
    } == reply.json()


async def test_subscribing_twice_is_subscribing_once(beams: Beams) -> None:
    """A repeat is answered like the first time, and changes nothing."""
    device = await beams.new_device()

    replies = [await beams.http.post(f"{device}/interests/hello") for _ in range(2)]

    assert [(200, b"")] * 2 == [(reply.status_code, reply.content) for reply in replies]
    assert ["hello"] == await beams.interests(device)


async def test_unsubscribing_from_what_one_does_not_have(beams: Beams) -> None:
    """It is gone already."""
    device = await beams.new_device()
    await beams.http.post(f"{device}/interests/hello")

    replies = [await beams.http.delete(f"{device}/interests/hello") for _ in range(2)]

    assert [(200, b"")] * 2 == [(reply.status_code, reply.content) for reply in replies]
    assert [] == await beams.interests(device)


async def test_a_set_replaces_the_one_before(beams: Beams) -> None:
    """What is not in the new set is gone, and what is twice in it is there once."""
    device = await beams.new_device()
    await beams.http.put(f"{device}/interests", json={"interests": ["a", "b"]})

    reply = await beams.http.put(f"{device}/interests", json={"interests": ["c", "b", "c"]})

    assert (200, b"") == (reply.status_code, reply.content)
    assert ["b", "c"] == await beams.interests(device)


@pytest.mark.parametrize("escaped,name", [("a%3Bb", "a;b"), ("a;b", "a;b"), ("%61%2Cb", "a,b")])
async def test_a_name_in_a_path_may_be_escaped(beams: Beams, escaped: str, name: str) -> None:
    """IOS sends names raw, Android and the web escape them; all mean the same."""
    device = await beams.new_device()

    await beams.http.post(f"{device}/interests/{escaped}")

    assert [name] == await beams.interests(device)


@pytest.mark.parametrize("length,status", [(164, 200), (165, 400)])
async def test_a_name_has_164_characters_at_most(beams: Beams, length: int, status: int) -> None:
    """The longest name is taken, one more character is refused; alone and in a set."""
    device = await beams.new_device()
    name = "n" * length

    replies = [
        await beams.http.post(f"{device}/interests/{name}"),
        await beams.http.delete(f"{device}/interests/{name}"),
        await beams.http.put(f"{device}/interests", json={"interests": [name]}),
    ]

    assert [status] * 3 == [reply.status_code for reply in replies]


@pytest.mark.parametrize(
    "name", ["", "a%20b", "a:b", "a/b", "a%2Fb", "%C3%A9", "%00", "%FF", "a%09"]
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_is_no_name_is_refused(beams: Beams, method: str, name: str) -> None:
    """A path that names no interest is answered 400 and nothing changes."""
    device = await beams.new_device()
    before = beams.dump()

    reply = await beams.http.request(method, f"{device}/interests/{name}")

    assert (400, BAD_NAME, before) == (reply.status_code, reply.json(), beams.dump())


@pytest.mark.parametrize("name", ["", "a b", "é", "a\n", "x" * 165])
async def test_a_set_with_what_is_no_name_is_refused_whole(beams: Beams, name: str) -> None:
    """One bad name and the set stays as it was."""
    device = await beams.new_device()
    await beams.http.put(f"{device}/interests", json={"interests": ["a"]})

    reply = await beams.http.put(f"{device}/interests", json={"interests": ["b", name]})

    assert (400, BAD_NAME) == (reply.status_code, reply.json())
    assert ["a"] == await beams.interests(device)


async def test_a_device_has_5000_interests_at_most(beams: Beams) -> None:
    """The 5,000th is taken and the 5,001st refused, in a set or alone; one it has is no more."""
    device = await beams.new_device()
    most = [f"{number:0164}" for number in range(5000)]

    replies = [
        await beams.http.put(f"{device}/interests", json={"interests": [*most, "more"]}),
        await beams.http.put(f"{device}/interests", json={"interests": most}),
        await beams.http.put(f"{device}/interests", json={"interests": [*most, most[0]]}),
        await beams.http.post(f"{device}/interests/{most[0]}"),
        await beams.http.post(f"{device}/interests/more"),
        await beams.http.delete(f"{device}/interests/{most[0]}"),
        await beams.http.post(f"{device}/interests/more"),
    ]

    assert [400, 200, 200, 200, 400, 200, 200] == [reply.status_code for reply in replies]
    assert [TOO_MANY, TOO_MANY] == [replies[0].json(), replies[4].json()]


async def test_a_set_has_at_most_a_mebibyte(beams: Beams) -> None:
    """§10: the largest body is taken, and one byte more is refused."""
    device = await beams.new_device()
    empty = len(json.dumps({"interests": [], "padding": ""}, separators=(",", ":")))

    async def put(size: int) -> tuple[int, str]:
        body = {"interests": [], "padding": "x" * (size - empty)}
        reply = await beams.http.put(f"{device}/interests", json=body)
        return reply.status_code, reply.text

    assert (200, "") == await put(1024 * 1024)
    assert 400 == (await put(1024 * 1024 + 1))[0]


# --- pages ---------------------------------------------------------------------------


async def walk(beams: Beams, device: str, **query: str | int) -> list[list[str]]:
    """The pages of a device's interests, by the cursors that they tell."""
    pages = []
    cursor: dict[str, str | int] = {}
    while True:
        reply = (await beams.http.get(f"{device}/interests", params=query | cursor)).json()
        pages.append(reply["interests"])
        if "nextCursor" not in reply["responseMetadata"]:
            return pages
        cursor = {"cursor": reply["responseMetadata"]["nextCursor"]}


@pytest.mark.parametrize(
    "query,sizes",
    [
        ({}, [100, 100, 50]),
        ({"limit": 100}, [100, 100, 50]),
        ({"limit": 99}, [99, 99, 52]),
        ({"limit": 50}, [50] * 5),
        ({"limit": 10}, [10] * 25),
    ],
)
async def test_250_interests_are_walked_by_cursors(
    beams: Beams, query: dict[str, str | int], sizes: list[int]
) -> None:
    """Each is met once, in order, and the last page tells no cursor even if it is full."""
    device = await beams.new_device()
    names = sorted(f"i{number}" for number in range(250))
    await beams.http.put(f"{device}/interests", json={"interests": names})

    pages = await walk(beams, device, **query)

    assert sizes == [len(page) for page in pages]
    assert names == [name for page in pages for name in page]


async def test_a_cursor_survives_what_happens_meanwhile(beams: Beams) -> None:
    """It names a place in the order, so that the name it stands for may go."""
    device = await beams.new_device()
    await beams.http.put(f"{device}/interests", json={"interests": ["a", "b", "c"]})
    page = (await beams.http.get(f"{device}/interests?limit=2")).json()
    await beams.http.delete(f"{device}/interests/b")

    rest = await beams.http.get(
        f"{device}/interests", params={"cursor": page["responseMetadata"]["nextCursor"]}
    )

    assert ["c"] == rest.json()["interests"]


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "x", "", "1e1", "000000001999999999999999999999"]
)
async def test_a_page_has_1_to_100_names(beams: Beams, limit: str) -> None:
    """Any other limit is answered 400."""
    device = await beams.new_device()

    reply = await beams.http.get(f"{device}/interests", params={"limit": limit})

    assert (400, problem("Bad request", "`limit` must be 1 to 100")) == (
        reply.status_code,
        reply.json(),
    )


@pytest.mark.parametrize("cursor", ["!", "AA==", "é", "_w=="])
async def test_a_cursor_of_somebody_elses(beams: Beams, cursor: str) -> None:
    """What we cannot have told is answered 400, or leads somewhere in the list."""
    device = await beams.new_device()

    reply = await beams.http.get(f"{device}/interests", params={"cursor": cursor})

    assert reply.status_code in {200, 400}
