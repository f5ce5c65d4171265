"""The exchanges of the contract, over real HTTP against the real product."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from api.ibm.exchanges import ROWS, Row
from api.ibm.words import App, browser_token
from support import Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS: Final = sorted({row.number for row in ROWS})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(folder: Path) -> AsyncIterator[Served]:
    """A product on the network; no rate is in the table's way."""
    async with on_loopback(folder, publish_rate=100_000) as served:
        yield served


async def names_of(app: App) -> dict[str, str]:
    """What stands for the names in braces."""
    form = {
        "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
        "apikey": app.instance.app_secret,
    }
    granted = await app.http.post("/identity/token", data=form)
    return {
        "B": app.path(""),
        "client": app.instance.client_secret,
        "app": app.instance.app_secret,
        "token": granted.json()["access_token"],
        "browser": browser_token(f"https://push.example/{app.instance.id}"),
    }


def filled(value: Any, names: dict[str, str]) -> Any:
    """A value with the names in braces filled in, in all of its texts."""
    match value:
        case str():
            return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), value)
        case dict():
            return {key: filled(each, names) for key, each in value.items()}
        case list():
            return [filled(each, names) for each in value]
        case _:
            return value


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
        case list():
            return (
                isinstance(actual, list)
                and len(expected) == len(actual)
                and all(map(is_like, expected, actual))
            )
        case _:
            return expected == actual


async def ask(app: App, row: Row, names: dict[str, str]) -> httpx.Response:
    """Send a row's request."""
    headers = {"user-agent": "SDK"} | filled(row.headers, names)
    content = None if row.body is ... else json.dumps(filled(row.body, names))
    return await app.http.request(
        row.method, filled(row.path, names), headers=headers, content=content
    )


@pytest.mark.parametrize("number", NUMBERS)
async def test_an_exchange_of_the_contract(app: App, number: int) -> None:
    """Contract §13: each request is answered with this status and this body, exactly."""
    names = await names_of(app)

    for row in (row for row in ROWS if row.number == number):
        reply = await ask(app, row, names)

        assert row.status == reply.status_code, reply.text
        if row.reply is None:
            assert b"" == reply.content
            continue
        assert "application/json" == reply.headers["content-type"]
        told = reply.json()
        assert is_like(filled(row.reply, names), told), told
        if "messageId" in told:
            names["message"] = told["messageId"]


async def test_every_exchange_of_the_contract_is_here() -> None:
    """Contract §13 has 17."""
    assert [*range(1, 18)] == NUMBERS
