"""
Bad input, at every path of IBM's API: a 4xx in IBM's shape, and nothing changes.

``EXAMPLES`` holds one good request for each path and method; everything here is made from those by
spoiling them. A route without an example fails a test, so a new one is covered from its first day.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Mount, Route
from structlog.testing import capture_logs

from api.asgi import Reply, ask
from api.ibm.sendings import EVERY_SETTING
from api.ibm.test_channels import CHANNEL, GROUP
from api.ibm.words import App, new_token
from api.tables import Tables
from heliograph.api.ibm.door import (
    BASE,
)
from support import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

bounded = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The same examples every time, few enough for every run of the tests."""

SEND: Final = {
    "message": {"alert": "hi", "url": "https://x"},
    "target": {"userIds": ["u"], "platforms": ["A"]},
    "settings": EVERY_SETTING,
}
REGISTRATION: Final = {
    "deviceId": "D",
    "token": "00ff",
    "platform": "A",
    "userId": "u",
    "variables": {"a": "b"},
}


@dataclass(frozen=True)
class Example:
    """A good request to one path, and who may make it."""

    body: Any = None
    who: str | None = "backend"
    """``client``, ``backend``, or None for anybody."""

    def __str__(self) -> str:
        return self.who or "open"


CLIENT: Final = Example(who="client")
REPORT: Final = Example({"deviceId": "D", "status": "SEEN"}, "client")
HOOK: Final = {"name": "w", "url": "https://hooks.example.com/", "eventTypes": "*"}
SITE: Final = {"webSiteUrl": "https://shop.example"}
GOOGLE: Final = {"apiKey": "K", "senderId": "1"}
SAFARI: Final = "/settings/safariWebConf/{version}"
CONFIGURATIONS: Final = {
    "apnsConf": Example(),
    "gcmConf": Example(GOOGLE),
    "chromeWebConf": Example(SITE),
    "firefoxWebConf": Example(SITE),
    "safariWebConf": Example(),
    "chromeAppExtConf": Example(GOOGLE),
}
"""Two are put by forms: what is spoilt of those, ``test_settings.py`` says."""

Spot = tuple[str, str]

EXAMPLES: Final[dict[Spot, Example]] = {
    ("POST", "/devices"): Example(REGISTRATION, "client"),
    ("GET", "/devices"): Example(),
    ("GET", "/devices/report"): Example(),
    ("GET", "/devices/{device:path}"): CLIENT,
    ("PUT", "/devices/{device:path}"): Example(REGISTRATION, "client"),
    ("DELETE", "/devices/{device:path}"): CLIENT,
    ("GET", "/tags"): CLIENT,
    ("POST", "/tags"): Example({"name": "new", "description": "d"}),
    ("GET", "/tags/{tag:path}"): CLIENT,
    ("PUT", "/tags/{tag:path}"): Example({"description": "d"}),
    ("DELETE", "/tags/{tag:path}"): Example(),
    ("GET", "/subscriptions"): CLIENT,
    ("POST", "/subscriptions"): Example({"deviceId": "D", "tagNames": ["news"]}, "client"),
    ("DELETE", "/subscriptions"): CLIENT,
    ("GET", "/subscriptions/{subscription}"): CLIENT,
    ("DELETE", "/subscriptions/{subscription}"): CLIENT,
    ("GET", "/messages"): Example(),
    ("POST", "/messages"): Example(SEND),
    ("POST", "/messages/bulk"): Example([SEND]),
    ("GET", "/messages/report"): Example(),
    ("GET", "/messages/{message}"): CLIENT,
    ("PUT", "/messages/{message}"): REPORT,
    ("DELETE", "/messages/{message}"): Example(),
    ("PUT", "/messages/{message}/deliverystatus"): REPORT,
    ("GET", "/messages/{message}/deliverystatus"): Example(),
    ("GET", "/messages/{message}/status"): Example(),
    ("GET", "/messages/{message}/report"): Example(),
    ("GET", "/webhooks"): Example(),
    ("POST", "/webhooks"): Example(HOOK),
    ("GET", "/webhooks/{webhook:path}"): Example(),
    ("PUT", "/webhooks/{webhook:path}"): Example({"eventTypes": "onSubscribe"}),
    ("DELETE", "/webhooks/{webhook:path}"): Example(),
    ("GET", "/settings"): Example(),
    ("PUT", "/settings"): Example({"verifyClientSecret": True}),
    ("GET", "/settings/gcmConfPublic"): CLIENT,
    ("GET", "/settings/chromeAppExtConfPublic"): CLIENT,
    ("GET", "/settings/webpushServerKey"): CLIENT,
    **{
        (method, f"/settings/{path}"): example if method == "PUT" else Example()
        for path, example in CONFIGURATIONS.items()
        for method in ("GET", "PUT", "DELETE")
    },
    ("POST", SAFARI + "/pushPackages/{push_id}"): Example({"deviceId": "D"}, None),
    ("POST", SAFARI + "/devices/{token}/registrations/{push_id}"): Example(who=None),
    ("DELETE", SAFARI + "/devices/{token}/registrations/{push_id}"): Example(who=None),
    ("POST", SAFARI + "/log"): Example(who=None),
    **{
        (method, f"/{kind}{rest}"): Example(body if method in ("POST", "PUT") else None)
        for kind, body in (("channels", CHANNEL), ("channelGroups", GROUP))
        for method, rest in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{id:path}"),
            ("PUT", "/{id:path}"),
            ("DELETE", "/{id:path}"),
        )
    },
}
MOST_BYTES: Final = {"/messages": 1_048_576, "/messages/bulk": 4_194_304}
"""How long a body may be; others may be no longer than 256 KiB."""

SPOTS: Final = list(EXAMPLES)
WITH_BODY: Final = [spot for spot, example in EXAMPLES.items() if example.body is not None]
WITH_NAMES: Final = [spot for spot in EXAMPLES if "{" in spot[1]]
NAMES: Final = {
    "device": "D",
    "tag": "news",
    "subscription": "bmV3cwBE",
    "message": "AbC12345",
    "webhook": "w",
    "version": "v2",
    "push_id": "web.com.example.shop",
    "token": "00ff",
    "id": "offers",
}


def spot_id(spot: object) -> str:
    return " ".join(spot) if isinstance(spot, tuple) else str(spot)


def path_of(spot: Spot, names: dict[str, str]) -> str:
    """A path below the instance, with names in place of the braces."""
    return spot[1].replace(":path", "").format_map(names)


@dataclass
class World:
    """An instance with something in it, and a watch on all that is stored."""

    app: App
    tables: Tables

    def headers(self, example: Example) -> dict[bytes, bytes]:
        """What a good request has."""
        own = {"client": self.app.client, "backend": self.app.backend, None: {}}[example.who]
        found = {name.lower().encode(): value.encode() for name, value in own.items()}
        if example.body is not None:
            found[b"content-type"] = b"application/json"
        return found

    async def ask(
        self,
        spot: Spot,
        *,
        path: bytes | None = None,
        headers: dict[bytes, bytes] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """A request that is good but for what is given; refused in IBM's shape, or taken."""
        example = EXAMPLES[spot]
        good = b"" if example.body is None else json.dumps(example.body).encode()
        before = self.tables.dump()
        with capture_logs() as logs:
            reply = await ask(
                self.app.product.app,
                spot[0],
                self.app.path(path_of(spot, NAMES)).encode() if path is None else path,
                headers=list((self.headers(example) if headers is None else headers).items()),
                body=good if body is None else body,
            )
        assert "request_failed" not in {log["event"] for log in logs}, logs
        if 200 <= reply.status < 300:
            return reply
        assert 400 <= reply.status < 500, reply
        assert "application/json" == reply.headers["content-type"], reply
        assert {"message", "code"} == set(reply.json())
        assert all(isinstance(text, str) and text for text in reply.json().values())
        assert before == self.tables.dump()
        return reply


@pytest_asyncio.fixture(loop_scope="module")
async def world(app: App, shared: Served, folder: Path) -> AsyncIterator[World]:
    """A world in which most of the examples are good."""
    await app.ask("POST", "/devices", REGISTRATION | {"token": new_token("A")})
    await app.tag("news")
    del shared
    with Tables(folder) as tables:
        yield World(app, tables)


def served(product: Any) -> Iterator[Spot]:
    """Every method and path that the door has, from its own table."""
    app = product.app
    while not hasattr(app, "routes"):
        app = app.app
    (mount,) = [each for each in app.routes if isinstance(each, Mount) and each.path == BASE]
    for route in mount.routes:
        assert isinstance(route, Route)
        assert isinstance(route.endpoint, partial)
        for method in route.endpoint.args[0]:
            yield method, route.path.removeprefix("/{instance}").rstrip("/")


async def test_every_route_has_an_example(world: World) -> None:
    """A route without an example would not be tested with bad input."""
    assert set(EXAMPLES) == set(served(world.app.product))


@pytest.mark.parametrize("spot", SPOTS, ids=spot_id)
async def test_without_credentials(world: World, spot: Spot) -> None:
    """Whoever has none, or wrong ones, is told so before anything else is looked at."""
    if EXAMPLES[spot].who is None:
        return
    kept = {b"content-type": b"application/json"}
    for wrong in (
        {},
        {b"clientsecret": b"x", b"appsecret": b"\xff"},
        {b"authorization": b"Bearer x.y.z"},
        {b"authorization": b"Basic Yng6Yng="},
    ):
        reply = await world.ask(spot, headers=kept | wrong)
        assert 401 == reply.status


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
async def test_bodies_that_are_none(world: World, spot: Spot) -> None:
    """No JSON, another kind of JSON, too deep, too long, cut short, of another type."""
    good = json.dumps(EXAMPLES[spot].body).encode()
    for body in (
        b"",
        b"\xff\xfe",
        b"nonsense",
        b'"text"',
        b"7",
        b"NaN",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 100_000,
        good[: len(good) // 2],
        b" " * MOST_BYTES.get(spot[1], 270_000) + good,
    ):
        reply = await world.ask(spot, body=body)
        assert reply.status in ((400, 404) if "{" in spot[1] else (400,)), (body[:20], reply)
    other = world.headers(EXAMPLES[spot]) | {b"content-type": b"text/plain"}
    assert (await world.ask(spot, headers=other)).status in (404, 415)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def mutated(value: Any) -> st.SearchStrategy[Any]:
    """A value with some part of it replaced by anything."""
    if isinstance(value, dict) and value:
        return (
            st.sampled_from(sorted(value)).flatmap(
                lambda key: mutated(value[key]).map(lambda each: value | {key: each})
            )
            | values
        )
    if isinstance(value, list) and value:
        return mutated(value[0]).map(lambda each: [each, *value[1:]]) | values
    return values


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
async def test_bodies_made_from_good_ones_by_mutation(world: World, spot: Spot) -> None:
    """Whatever stands anywhere in a body is taken, or refused in IBM's shape; never a fault."""
    bodies: list[bytes] = []

    @bounded
    @given(mutated(EXAMPLES[spot].body))
    def collect(body: Any) -> None:
        bodies.append(json.dumps(body).encode())

    collect()
    for body in bodies:
        assert (await world.ask(spot, body=body)).status < 500


ODD_NAMES: Final = ["%00", "%ff", "a%00b", "%ed%a0%80", "..", "%2e%2e%2f", "x" * 1500, "%09", "😀"]


@pytest.mark.parametrize("spot", WITH_NAMES, ids=spot_id)
async def test_odd_names_in_paths(world: World, spot: Spot) -> None:
    """What can be nobody's name is not found, or not valid; on every engine."""
    for name in ODD_NAMES:
        path = path_of(spot, NAMES | dict.fromkeys(NAMES, name))
        assert (await world.ask(spot, path=world.app.path(path).encode())).status < 500


@pytest.mark.parametrize("spot", SPOTS, ids=spot_id)
async def test_another_instance(world: World, spot: Spot) -> None:
    """An app that there is not is 404, whatever is asked of it."""
    for app in ("nobody", "00000000-0000-4000-8000-000000000000", "%00"):
        path = f"{BASE}/{app}{path_of(spot, NAMES)}"
        reply = await world.ask(spot, path=path.encode())
        assert 404 == reply.status


QUERIES: Final = [
    "offset=-1",
    "offset=x",
    "offset=99999999999999999999",
    "size=0",
    "size=x",
    "filter=x",
    "filter=platform==X",
    "filter=platform=@A",
    "filter=%00==%00",
    "filter=" + "a," * 500,
    "unknown=1",
    "expand=maybe",
    "days=0",
    "days=9999",
    "days=0001999999999",
    "days=00091",
    "days=%00",
    "deviceId=%00",
    "tagName=%00&deviceId=%ff",
    "userId=" + "u" * 3000,
    "action=other",
    "after=x",
    "%ff=%ff",
    "=&&=",
]


@pytest.mark.parametrize("spot", SPOTS, ids=spot_id)
async def test_odd_queries(world: World, spot: Spot) -> None:
    """A query that nobody can mean is refused or ignored."""
    for query in QUERIES:
        path = f"{world.app.path(path_of(spot, NAMES))}?{query}"
        assert (await world.ask(spot, path=path.encode())).status < 500
