"""
Bad input, at every endpoint of every API: a 4xx in the common shape, and nothing changes.

``EXAMPLES`` holds one good request for each route; everything here is made from those by
spoiling them. A route that the application has and the table has not fails a test, so a
new route is covered from its first day.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Mount, Route
from structlog.testing import capture_logs

from api import credentials
from api.asgi import Reply, ask
from api.beams.words import ALERT, Beams, subscription
from api.tables import Tables
from heliograph.api.middleware import Doorkeeper
from heliograph.wire import jws
from support import ADMIN_TOKEN, Served, in_process

JSON: Final = "application/json"
IBM: Final = ("/imfpush", "/identity")
"""Errors look otherwise there: ``tests/api/ibm/test_bad_input.py`` spoils its requests."""

bounded = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The same examples every time, few enough for every run of the tests."""


@dataclass(frozen=True)
class Example:
    """A good request to one route, and what there is to spoil in it."""

    body: dict[str, Any] | None = None
    key: str | None = None
    """Whose word it needs: ``secret``, ``admin`` or ``token``; None is nobody's."""
    most_bytes: int = 0
    """How long its body may be."""
    params: dict[str, str] = field(default_factory=dict)
    """What stands in its path where the world's own ids do not fit."""

    def __str__(self) -> str:
        return self.key or "open"


OPERATOR: Final = {"authorization": f"Bearer {ADMIN_TOKEN}"}
PUBLISH: Final = ALERT | {
    "fcm": {
        "notification": {"title": "t", "body_loc_args": ["1"]},
        "data": {"k": 1},
        "time_to_live": 60,
        "priority": "high",
    },
    "web": {"notification": {"title": "t", "hide_notification_if_site_has_focus": True}},
}
REGISTRATION: Final = {"token": "00ff", "metadata": {"sdkVersion": "4.0.0"}}

DEVICE_ROUTES: Final = {
    ("GET", "/web-vapid-public-key"): Example(),
    ("POST", "/devices/{gateway}"): Example(REGISTRATION, most_bytes=16_384),
    ("GET", "/devices/{gateway}/{device}"): Example(),
    ("DELETE", "/devices/{gateway}/{device}"): Example(),
    ("PUT", "/devices/{gateway}/{device}/metadata"): Example({"a": 1}, most_bytes=16_384),
    ("PUT", "/devices/{gateway}/{device}/token"): Example({"token": "t"}, most_bytes=16_384),
    ("PUT", "/devices/{gateway}/{device}/user"): Example(key="token"),
    ("GET", "/devices/{gateway}/{device}/interests"): Example(),
    ("PUT", "/devices/{gateway}/{device}/interests"): Example(
        {"interests": ["a", "b"]}, most_bytes=1_048_576
    ),
    ("POST", "/devices/{gateway}/{device}/interests/{interest:path}"): Example(),
    ("DELETE", "/devices/{gateway}/{device}/interests/{interest:path}"): Example(),
}

EXAMPLES: Final[dict[tuple[str, str], Example]] = {
    **{
        ("POST", f"/publish_api/v1/instances/{{instance}}/publishes{to}"): Example(
            PUBLISH | {names: ["a", "b"]}, key="secret", most_bytes=most_bytes
        )
        for to, names, most_bytes in (
            ("", "interests", 10_240),
            ("/interests", "interests", 10_240),
            ("/users", "users", 204_800),
        )
    },
    **{
        ("DELETE", f"/{api}/v1/instances/{{instance}}/users/{{user:path}}"): Example(key="secret")
        for api in ("customer_api", "user_api")
    },
    **{
        (method, f"{prefix}/instances/{{instance}}{rest}"): example
        for prefix in ("/device_api/v1", "")
        for (method, rest), example in DEVICE_ROUTES.items()
    },
    **{
        (method, f"/admin/v1/instances{rest}"): replace(example, key="admin", most_bytes=65_536)
        for (method, rest), example in {
            ("POST", ""): Example({"name": "made"}),
            ("GET", ""): Example(),
            ("GET", "/{instance}"): Example(),
            ("PATCH", "/{instance}"): Example({"name": "n", "verify_client_secret": True}),
            ("DELETE", "/{instance}"): Example(params={"instance": "{spare}"}),
            ("POST", "/{instance}/rotate-key"): Example(params={"instance": "{spare}"}),
            ("POST", "/{instance}/vapid/rotate"): Example(params={"instance": "{spare}"}),
            ("PUT", "/{instance}/credentials/apns"): Example(credentials.apns()),
            ("DELETE", "/{instance}/credentials/apns"): Example(),
            ("PUT", "/{instance}/credentials/fcm"): Example(credentials.fcm()),
            ("DELETE", "/{instance}/credentials/fcm"): Example(),
            ("GET", "/{instance}/lanes"): Example(),
            ("GET", "/{instance}/devices"): Example(),
            ("GET", "/{instance}/publishes/{publish}"): Example(),
            ("GET", "/{instance}/publishes/{publish}/trace"): Example(),
            ("POST", "/{instance}/publishes/{publish}/cancel"): Example(),
            ("GET", "/{instance}/devices/{device}"): Example(),
            ("POST", "/{instance}/devices/{device}/restore"): Example(),
            ("POST", "/{instance}/resume-pruning"): Example(),
            ("GET", "/{instance}/insights"): Example(),
            ("GET", "/{instance}/publishes"): Example(),
            ("POST", "/{instance}/webhooks"): Example(
                {"url": "https://hooks.example.com/", "events": ["v1.UserNotificationOpen"]}
            ),
            ("GET", "/{instance}/webhooks"): Example(),
            ("GET", "/{instance}/webhooks/{webhook}"): Example(),
            ("PATCH", "/{instance}/webhooks/{webhook}"): Example({"secret": "s"}),
            ("DELETE", "/{instance}/webhooks/{webhook}"): Example(),
            ("POST", "/{instance}/webhooks/{webhook}/resend"): Example(),
            ("GET", "/{instance}/calls"): Example(),
            ("GET", "/{instance}/calls/{call}"): Example(),
            ("POST", "/{instance}/calls/{call}/resend"): Example(),
        }.items()
    },
    **{
        ("POST", f"/reporting_api/v{version}/instances/{{instance}}/events"): Example(
            {"event": "Open", "publishId": "pubid-1", "deviceId": "fcm-1"}, most_bytes=16_384
        )
        for version in (1, 2)
    },
    ("GET", "/admin/v1/workers"): Example(key="admin", most_bytes=65_536),
    ("GET", "/sdk/{file}"): Example(params={"file": "service-worker.js"}),
    ("GET", "/docs"): Example(),
    ("GET", "/docs/openapi.json"): Example(),
    ("GET", "/healthz"): Example(),
    ("GET", "/readyz"): Example(),
    ("GET", "/metrics"): Example(),
}

WITH_BODY: Final = [route for route, example in EXAMPLES.items() if example.body is not None]
WITH_KEY: Final = [route for route, example in EXAMPLES.items() if example.key is not None]
WITH_NAMES: Final = [route for route in EXAMPLES if "{" in route[1]]

Spot = tuple[str, str]
"""A route: its method and the template of its path."""


def spot_id(spot: object) -> str:
    return " ".join(spot) if isinstance(spot, tuple) else str(spot)


class World:
    """A product with something of everything in it, and a loop to ask it in."""

    def __init__(self, loop: asyncio.AbstractEventLoop, served: Served, folder: Path) -> None:
        self.loop = loop
        self.tables = Tables(folder)
        self.beams = Beams(served.product, served.instance, served.http, folder)
        self.names: dict[str, str] = {}

    @classmethod
    async def made(cls, loop: asyncio.AbstractEventLoop, served: Served, folder: Path) -> "World":
        world = cls(loop, served, folder)
        other = await served.product.instances.create("other")
        world.names = {
            "instance": str(served.instance.id),
            "gateway": "fcm",
            "user": "u",
            "interest": "hello",
            "foreign_key": other.secret_keys[0],
            "foreign": str(other.id),
            "publish": (
                await world.beams.publish(
                    PUBLISH | {"interests": ["a"], "webhookUrl": "https://hooks.example.com/own"}
                )
            ).json()["publishId"],
        }
        return world

    def routes(self) -> set[Spot]:
        """What the application serves, from its own table; but for IBM's API."""
        app: Any = self.beams.product.app
        while not hasattr(app, "routes"):
            app = app.app
        return {spot for spot in walk(app.routes) if not spot[1].startswith(IBM)}

    def restore(self) -> None:
        """Make what a good request may have taken away."""
        self.loop.run_until_complete(self._restore())

    async def _restore(self) -> None:
        device = (await self.beams.register("fcm", "t")).json()["id"]
        spare = (
            await self.beams.product.instances.find(self.names["spare"])
            if "spare" in self.names
            else None
        ) or await self.beams.product.instances.create("spare")
        self.names |= {"device": device, "spare": str(spare.id)}
        self.names |= {"webhook": await self._webhook(), "call": await self._call()}

    async def _webhook(self) -> str:
        """A webhook that is there: the first, or a new one where there is none."""
        path = f"/admin/v1/instances/{self.names['instance']}/webhooks"
        known = (await self.beams.http.get(path, headers=OPERATOR)).json()["webhooks"]
        if known:
            return str(known[0]["id"])
        body = {"url": "https://hooks.example.com/1"}
        made = await self.beams.http.post(path, headers=OPERATOR, json=body)
        return str(made.json()["id"])

    async def _call(self) -> str:
        """A call that is there: to the hook of the publish that named one."""
        path = f"/admin/v1/instances/{self.names['instance']}/calls"
        known = (await self.beams.http.get(path, headers=OPERATOR)).json()["calls"]
        return str(known[-1]["id"])

    def path(self, spot: Spot, **names: str) -> bytes:
        """A route's path, with the world's own ids unless others are given."""
        example = EXAMPLES[spot]
        filled = self.names | example.params | names
        text = spot[1].replace(":path", "")
        while "{" in text:
            text = text.format_map(filled)
        return text.encode("utf-8", "surrogateescape")

    def headers(self, spot: Spot) -> dict[bytes, bytes]:
        """What a good request to a route has."""
        example = EXAMPLES[spot]
        bearer = {
            "secret": self.beams.instance.secret_keys[0],
            "admin": ADMIN_TOKEN,
            "token": self.beams.token("u"),
            None: None,
        }[example.key]
        headers = {} if bearer is None else {b"authorization": b"Bearer " + bearer.encode()}
        if example.body is not None:
            headers[b"content-type"] = JSON.encode()
        return headers

    def ask(
        self,
        spot: Spot,
        *,
        method: str | None = None,
        path: bytes | None = None,
        headers: dict[bytes, bytes] | None = None,
        body: bytes | list[bytes] | None = None,
        leave: bool = False,
    ) -> Reply:
        """A request that is good but for what is given."""
        example = EXAMPLES[spot]
        good = b"" if example.body is None else json.dumps(example.body).encode()
        return self.loop.run_until_complete(
            ask(
                self.beams.product.app,
                method or spot[0],
                self.path(spot) if path is None else path,
                headers=list((self.headers(spot) if headers is None else headers).items()),
                body=good if body is None else body,
                leave=leave,
            )
        )

    def check_refused(self, spot: Spot, **spoilt: Any) -> Reply:
        """A request must be refused in the common shape, and nothing may change."""
        reply = self.check_answered(spot, **spoilt)
        assert reply.status != 200, "it was taken"
        return reply

    def check_answered(self, spot: Spot, **spoilt: Any) -> Reply:
        """A request must be taken, or refused in the common shape with nothing changed."""
        before = self.tables.dump()
        with capture_logs() as logs:
            reply = self.ask(spot, **spoilt)
        assert "request_failed" not in {log["event"] for log in logs}, logs
        if 200 <= reply.status < 300:
            if before != self.tables.dump():
                self.restore()
            return reply
        assert 400 <= reply.status < 500, reply
        assert reply.headers["content-type"] == JSON, reply
        told = reply.json()
        assert set(told) == {"error", "description"}
        assert all(isinstance(text, str) and text for text in told.values())
        assert before == self.tables.dump()
        return reply


def walk(routes: list[BaseRoute], prefix: str = "") -> Iterator[Spot]:
    """Every method and path of a table of routes; HEAD comes with GET."""
    for route in routes:
        match route:
            case Mount():
                yield from walk(route.routes, prefix + route.path)
            case Route():
                for method in (route.methods or set()) - {"HEAD"}:
                    yield method, prefix + route.path
            case _:
                raise AssertionError(f"what is {route}?")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("product")
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    served = loop.run_until_complete(
        stack.enter_async_context(in_process(folder, publish_rate=1_000_000))
    )
    made = loop.run_until_complete(World.made(loop, served, folder))
    made.restore()
    yield made
    with made.tables:
        loop.run_until_complete(stack.aclose())
    loop.close()


# --- the table -----------------------------------------------------------------------


def test_every_route_has_an_example(world: World) -> None:
    """A route without an example would not be tested with bad input."""
    assert set(EXAMPLES) == world.routes()


def test_the_doorkeeper_stands_before_every_route(world: World) -> None:
    """What is asked here is the application as it is served."""
    assert isinstance(world.beams.product.app, Doorkeeper)


@pytest.mark.parametrize("spot", EXAMPLES, ids=spot_id)
def test_the_examples_are_good(world: World, spot: Spot) -> None:
    """Spoiling means something only if the request was good before."""
    reply = world.ask(
        spot,
        path=world.path(spot)
        + (f"?device={world.names['device']}".encode() if spot[1].endswith("trace") else b""),
    )
    world.restore()

    assert reply.status in {200, 201, 204}


# --- bodies --------------------------------------------------------------------------

SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, 5.0, 1e308, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\x00", "\u202e", "\U0001f600", "a" * 5000, "'; DROP TABLE devices;--"]),
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def mutations(draw: Any, value: Any) -> Any:
    """A JSON value made from another: a member dropped, added, replaced or changed within."""
    match value:
        case dict() if value and draw(st.integers(0, 3)):
            name = draw(st.sampled_from(sorted(value)))
            match draw(st.integers(0, 2)):
                case 0:
                    return {each: value[each] for each in value if each != name}
                case 1:
                    return value | {draw(st.text(max_size=8)): draw(VALUES)}
                case _:
                    return value | {name: draw(mutations(value[name]))}
        case list() if value and draw(st.integers(0, 3)):
            at = draw(st.integers(0, len(value) - 1))
            return [*value[:at], draw(mutations(value[at])), *value[at + draw(st.integers(0, 1)) :]]
        case _:
            return draw(VALUES)


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
def test_bodies_made_from_good_ones_by_mutation(world: World, spot: Spot) -> None:
    """A body that is almost right is taken if it is right, or else refused."""

    @bounded
    @given(mutations(EXAMPLES[spot].body))
    def check(value: Any) -> None:
        world.check_answered(spot, body=json.dumps(value).encode("utf-8", "surrogatepass"))

    check()


def spoilt_bodies(body: dict[str, Any], most_bytes: int) -> dict[str, bytes]:
    """What no endpoint that takes a body may take, by what is wrong with it."""
    good = json.dumps(body)
    deep = 100_000 if most_bytes > 300_000 else 3_000
    return {
        "empty": b"",
        "blank": b" \n",
        "oversized": b'{"padding":"' + b"x" * most_bytes + b'"}',
        "deep list": b'{"a":' + b"[" * deep,
        "deep closed list": b'{"a":' + b"[" * deep + b"]" * deep + b"}",
        "deep object": b'{"a":' * deep,
        "list": b"[" + good.encode() + b"]",
        "text": json.dumps(good).encode(),
        "null": b"null",
        "number": b"1",
        "twice": good.encode() * 2,
        "trailing": good.encode() + b"\x00",
        "byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "utf-16": good.encode("utf-16"),
        "utf-16-be": good.encode("utf-16-be"),
        "utf-32": good.encode("utf-32"),
        "latin-1": b'{"\xe9":1}',
        "overlong": b'{"\xc0\xaf":1}',
        "surrogate bytes": b'{"a":"\xed\xa0\x80"}',
        "lone surrogate": b'{"a":"\\ud800"}',
        "lone low surrogate": b'{"a":"\\udc00xxxxxxxx"}',
        "raw NUL": b'{"a":"\x00"}',
        "NaN": b'{"a":NaN}',
        "infinity": b'{"a":-Infinity}',
        "huge float": b'{"a":1e999}',
        "huge integer": b'{"a":' + b"9" * 5_000 + b"}",
        "single quotes": b"{'a':1}",
        "comment": b'{"a":1/**/}',
        "trailing comma": b'{"a":1,}',
        "form": b"a=1&b=2",
        "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a/>",
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    }


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
def test_bodies_that_are_no_json_objects(world: World, spot: Spot) -> None:
    """Wrong encodings, numbers that are none, nesting without end: 400, and nothing changes."""
    example = EXAMPLES[spot]
    assert example.body is not None

    for name, body in spoilt_bodies(example.body, example.most_bytes).items():
        reply = world.check_refused(spot, body=body)
        assert 400 == reply.status, name


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
def test_a_body_that_is_cut_short_is_refused_wherever_it_is_cut(world: World, spot: Spot) -> None:
    """No beginning of a body is a body."""
    body = json.dumps(EXAMPLES[spot].body).encode()

    for end in range(0, len(body), max(1, len(body) // 25)):
        world.check_refused(spot, body=body[:end])


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
def test_a_sender_who_hangs_up_has_asked_for_nothing(world: World, spot: Spot) -> None:
    """A good body is not acted upon unless it was said that it is whole."""
    before = world.tables.dump()

    reply = world.ask(spot, body=[json.dumps(EXAMPLES[spot].body).encode()], leave=True)

    assert (0, before) == (reply.status, world.tables.dump())


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
def test_a_body_with_two_of_a_name(world: World, spot: Spot) -> None:
    """The last one counts; the first changes nothing about that."""
    body = EXAMPLES[spot].body
    assert body is not None
    name = next(iter(body))

    @settings(bounded, max_examples=5)
    @given(VALUES)
    def check(value: Any) -> None:
        twice = f"{{{json.dumps(name)}:{json.dumps(value)},{json.dumps(body)[1:]}"
        reply = world.check_answered(spot, body=twice.encode("utf-8", "surrogatepass"))
        assert reply.status in {200, 201, 400}

    check()


@pytest.mark.parametrize("spot", WITH_BODY, ids=spot_id)
@pytest.mark.parametrize(
    "content_type", [None, b"", b"text/plain", b"application/x-www-form-urlencoded", b"\xff;\x00"]
)
def test_a_body_of_another_type(world: World, spot: Spot, content_type: bytes | None) -> None:
    """Good JSON that does not say so is refused."""
    headers = world.headers(spot) | {b"content-type": content_type or b""}
    if content_type is None:
        del headers[b"content-type"]

    reply = world.check_refused(spot, headers=headers)

    assert (400, "Invalid content type") == (reply.status, reply.json()["error"])


@bounded
@given(st.data())
def test_subscriptions_made_from_a_good_one_by_mutation(world: World, data: st.DataObject) -> None:
    """A browser's token is JSON within JSON: spoilt inside, it is refused as well."""
    good = json.loads(base64.b64decode(subscription()))
    value = data.draw(mutations(good))
    token = base64.b64encode(json.dumps(value).encode("utf-8", "surrogatepass")).decode()
    spot = ("POST", "/device_api/v1/instances/{instance}/devices/{gateway}")

    world.check_answered(
        spot, path=world.path(spot, gateway="web"), body=json.dumps({"token": token}).encode()
    )


# --- paths ---------------------------------------------------------------------------

ODD_NAMES: Final = (
    "%00",
    "%0A",
    "a%0D%0Ab",
    "%FF",
    "%C0%AF",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "%",
    "%zz",
    "%2",
    "%2F",
    "%2e%2e",
    "..",
    ".",
    "a/b",
    "//",
    "%252F",
    "+",
    "%20",
    "'",
    "%22%3B%20DROP%20TABLE%20devices%3B--",
    "%E2%80%AE",
    "{instance}",
    "a" * 200,
    "a" * 7000,
    "1b880590-6301-4bb5-b34f-45db1c5f5644",
    "fcm-1b880590-6301-4bb5-b34f-45db1c5f5644",
    "pubid-1b880590-6301-4bb5-b34f-45db1c5f5644",
    "9" * 400,
    "-1",
    "",
)


def names_in(spot: Spot) -> list[str]:
    """What stands in braces in a route's path."""
    return [part.partition("}")[0].partition(":")[0] for part in spot[1].split("{")[1:]]


@pytest.mark.parametrize("spot", WITH_NAMES, ids=spot_id)
def test_odd_names_in_paths(world: World, spot: Spot) -> None:
    """Whatever stands in a path, escaped well or badly, is found, or refused."""
    for name in names_in(spot):
        for odd in ODD_NAMES:
            path = world.path(spot, **{name: "@@"}).replace(b"@@", odd.encode())
            world.check_answered(spot, path=path)


@pytest.mark.parametrize("spot", WITH_NAMES, ids=spot_id)
def test_random_bytes_in_paths(world: World, spot: Spot) -> None:
    """Any byte may come escaped in any place of a path."""

    @bounded
    @given(st.sampled_from(names_in(spot)), st.binary(max_size=30))
    def check(name: str, odd: bytes) -> None:
        escaped = "".join(f"%{byte:02x}" for byte in odd).encode()
        path = world.path(spot, **{name: "@@"}).replace(b"@@", escaped)
        world.check_answered(spot, path=path)

    check()


@pytest.mark.parametrize("spot", EXAMPLES, ids=spot_id)
def test_odd_queries(world: World, spot: Spot) -> None:
    """A query is read where it means something, and cannot do harm anywhere."""
    odd = "0000000000000000000001" + "9" * 5000
    for query in (
        "%FF=%FF",
        "&&==&",
        "limit=" + odd,
        "limit=%00&limit=1",
        "limit=٣",
        "cursor=" + odd,
        "cursor=%00",
        "cursor=////",
        "user=" + "a" * 500,
        "user=%ED%A0%80",
        "user=%00",
        "device=%00",
        "device=" + "x" * 5000,
    ):
        world.check_answered(spot, path=world.path(spot) + b"?" + query.encode())


@pytest.mark.parametrize("spot", EXAMPLES, ids=spot_id)
def test_other_methods(world: World, spot: Spot) -> None:
    """A method that a path does not have is 405, and tells those that it has."""
    here = {method for method, template in EXAMPLES if template == spot[1]}
    others = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO", "get"}

    for method in others - here:
        reply = world.check_refused(spot, method=method)
        assert 405 == reply.status, method
        assert set(reply.headers["allow"].split(", ")) & here


@pytest.mark.parametrize("spot", WITH_NAMES, ids=spot_id)
def test_paths_beside_a_route(world: World, spot: Spot) -> None:
    """Another version, a slash too many, letters in another case: not found, not redirected."""
    path = world.path(spot)
    swallows = spot[1].endswith(":path}")
    beside = [path.upper(), b"/" + path, path.replace(b"/v1/", b"/v3/"), path + b"/x/y/z"]

    for other in [*beside, path + b"/"]:
        reply = world.check_answered(spot, path=other)
        assert swallows or other == path or reply.status in {404, 405}


# --- credentials ---------------------------------------------------------------------


def wrong_credentials(world: World) -> list[bytes]:
    """What opens nothing."""
    good = world.beams.instance.secret_keys[0]
    day = timedelta(days=1)
    issuer = f"https://{world.beams.instance.id}.pushnotifications.pusher.com"
    header, claims, _ = world.beams.token("u").split(".")
    none = jws.base64url(b'{"alg":"none"}')
    foreign = {"sub": "u", "iss": issuer, "exp": int((datetime.now(UTC) + day).timestamp())}
    return [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Bearer wrong",
        b"Bearer " + world.names["foreign_key"].encode(),
        b"Basic " + base64.b64encode(f"user:{good}".encode()),
        good.encode(),
        b"Bearer " + good.lower().encode(),
        b"Bearer " + good[:-1].encode(),
        b"Bearer " + good.encode() + b"0",
        b"Bearer " + good.encode() + b" x",
        b"Bearer \xff\xfe",
        b"Bearer \x00",
        b"Bearer " + b"x" * 10_000,
        b"Bearer ..",
        f"Bearer {none}.{claims}.".encode(),
        f"Bearer {none}.{claims}.{'A' * 43}".encode(),
        f"Bearer {header}.{claims}.{'A' * 43}".encode(),
        f"Bearer {world.beams.token('u', exp=1)}".encode(),
        f"Bearer {world.beams.token('u', exp=float(2**60))}".encode(),
        f"Bearer {world.beams.token('u', exp=[])}".encode(),
        f"Bearer {world.beams.token('u', iss='https://other.pushnotifications.pusher.com')}".encode(),
        f"Bearer {world.beams.token({'a': 1})}".encode(),
        f"Bearer {jws.sign_hs256({}, foreign, world.names['foreign_key'])}".encode(),
        f"Bearer {jws.sign_hs256({'crit': ['x']}, foreign, good)}".encode(),
    ]


@pytest.mark.parametrize("spot", WITH_KEY, ids=spot_id)
def test_wrong_credentials(world: World, spot: Spot) -> None:
    """Nothing but the right word opens a door: forged, expired, foreign and unsigned do not."""
    for credential in wrong_credentials(world):
        reply = world.check_refused(
            spot, headers=world.headers(spot) | {b"authorization": credential}
        )
        assert reply.status in {400, 401, 403}, credential


@pytest.mark.parametrize("spot", WITH_KEY, ids=spot_id)
def test_no_credentials(world: World, spot: Spot) -> None:
    """Without a word the door stays shut."""
    headers = world.headers(spot)
    del headers[b"authorization"]

    assert world.check_refused(spot, headers=headers).status in {400, 401}


@pytest.mark.parametrize("spot", WITH_KEY, ids=spot_id)
def test_random_credentials(world: World, spot: Spot) -> None:
    """Any bytes may stand in the header."""

    @bounded
    @given(st.binary(max_size=60))
    def check(credential: bytes) -> None:
        world.check_refused(
            spot, headers=world.headers(spot) | {b"authorization": b"Bearer " + credential}
        )

    check()


# --- heads ---------------------------------------------------------------------------


@pytest.mark.parametrize("spot", EXAMPLES, ids=spot_id)
def test_heads_that_are_too_large(world: World, spot: Spot) -> None:
    """Headers of more than 16 KiB and paths of more than 8 are turned away at the door."""
    many = {f"x-{number}".encode(): b"y" * 100 for number in range(200)}

    replies = [
        world.check_refused(spot, headers=world.headers(spot) | {b"x-large": b"y" * 17_000}),
        world.check_refused(spot, headers=world.headers(spot) | many),
        world.check_refused(spot, path=world.path(spot) + b"?" + b"y" * 9_000),
    ]

    assert [431, 431, 414] == [reply.status for reply in replies]


@pytest.mark.parametrize("spot", EXAMPLES, ids=spot_id)
def test_odd_headers(world: World, spot: Spot) -> None:
    """Headers that mean something to somebody cannot do harm."""
    odd = {
        b"accept": b"\xff\x00",
        b"cookie": b"=;=;\xff",
        b"origin": b"null\xff",
        b"range": b"bytes=0-0",
        b"content-length": b"-1",
        b"transfer-encoding": b"gzip, chunked",
        b"x-http-method-override": b"DELETE",
        b"x-forwarded-for": b"127.0.0.1",
        b"host": b"\xff%00",
        b"x-pusher-library": b"\xff" * 500,
    }

    for name, value in odd.items():
        world.check_answered(spot, headers=world.headers(spot) | {name: value})
