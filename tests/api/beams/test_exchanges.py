"""The exchanges of the contract's table, over real HTTP against the real product."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from api.beams.exchanges import ROWS, Row
from api.beams.words import ALERT, Beams, new_token
from support import Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(folder: Path) -> AsyncIterator[Served]:
    """A product on the network; no rate is in the table's way."""
    async with on_loopback(folder, publish_rate=100_000) as served:
        yield served


async def fill(beams: Beams, row: Row) -> dict[str, str]:
    """What stands for the names in braces, as far as a row speaks of it."""
    said = row.path + json.dumps(row.headers) + json.dumps(row.body)
    names = {
        "instance": str(beams.instance.id),
        "key": beams.instance.secret_keys[0],
        "token": beams.token("cucas"),
        "apple": new_token("apns"),
        "google": new_token("fcm"),
        "foreign": beams.token("cucas", iss="https://x.pushnotifications.pusher.com"),
        "subscription": new_token("web"),
    }
    for name in ("apns", "fcm", "web", "taken"):
        if f"{{{name}}}" in said:
            gateway = "web" if name == "taken" else name
            metadata = {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}
            names[name] = (await beams.register(gateway, metadata=metadata)).json()["id"]
            device = beams.path(f"/devices/{gateway}/{names[name]}")
            await beams.http.put(f"{device}/interests", json={"interests": ["b", "a"]})
            if name == "taken":
                await beams.log_in(device, "somebody")
    return names


def filled(text: str, names: dict[str, str]) -> str:
    """A text with its names in braces filled in; other braces are left alone."""
    return re.sub(r"\{([a-z]+)\}", lambda found: names.get(found[1], found[0]), text)


def is_like(expected: object, actual: object) -> bool:
    """Whether a reply is what was expected; a pattern stands for the texts that match it."""
    match expected:
        case re.Pattern():
            return isinstance(actual, str) and expected.fullmatch(actual) is not None
        case dict():
            return (
                isinstance(actual, dict)
                and expected.keys() == actual.keys()
                and all(is_like(value, actual[name]) for name, value in expected.items())
            )
        case _:
            return expected == actual


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
async def test_an_exchange_of_the_contract(beams: Beams, row: Row) -> None:
    """§14: each request is answered with this status, this body and these headers, exactly."""
    names = await fill(beams, row)

    reply = await beams.http.request(
        row.method,
        filled(row.path, names),
        headers={name: filled(value, names) for name, value in row.headers.items()},
        content=None if row.body is None else filled(json.dumps(row.body), names),
    )

    assert row.status == reply.status_code
    if row.reply is None:
        assert (b"", "0") == (reply.content, reply.headers["content-length"])
    elif row.reply is not ...:
        assert "application/json" == reply.headers["content-type"]
        assert reply.content.endswith(b"}\n")
        assert is_like(row.reply, reply.json()), reply.text
    assert row.reply_headers == {name: reply.headers.get(name) for name in row.reply_headers}


WEBHOOKS: Final = {36, 37}
"""Requests that we make; the tests of webhooks have them."""


async def test_every_exchange_of_the_contract_is_here() -> None:
    """§14 has 39 rows, and each is in the table but those that are requests of ours."""
    numbers = {int(row.number.partition(":")[0]) for row in ROWS}

    assert {*range(1, 40)} - WEBHOOKS == numbers


# --- hosts ---------------------------------------------------------------------------


async def talk(beams: Beams, host: str) -> list[Any]:
    """What is answered to a back end, a device and a browser that name this host."""
    headers = {"host": host}
    publish = await beams.publish(ALERT | {"interests": ["a"]}, **headers)
    registered = await beams.http.post(
        beams.path("/devices/fcm"), json={"token": new_token("fcm")}, headers=headers
    )
    key = await beams.http.get(beams.path("/web-vapid-public-key"), headers=headers)
    deleted = await beams.http.delete(
        beams.path("/users/u", api="customer_api"), headers=beams.secret | headers
    )
    replies = [publish, registered, key, deleted]
    return [*[reply.status_code for reply in replies], key.json()]


async def test_an_instance_may_have_a_host_of_its_own(beams: Beams) -> None:
    """§1: who keeps ``{instance}.`` before a name is served as without; so is the iOS fork."""
    plain = await talk(beams, "push.example.com")

    assert [200] * 4 == plain[:4]
    assert plain == await talk(beams, f"{beams.instance.id}.push.example.com")


async def test_the_path_says_which_instance_is_meant(beams: Beams) -> None:
    """Must-do 1: a host that names another instance, or none that there is, changes nothing."""
    other = await beams.product.instances.create("other")

    answers = [
        await talk(beams, host)
        for host in (
            f"{other.id}.push.example.com",
            "00000000-0000-0000-0000-000000000000.push.example.com",
            f"{beams.instance.id}.pushnotifications.pusher.com",
        )
    ]

    assert [await talk(beams, "push.example.com")] * 3 == answers
