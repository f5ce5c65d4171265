"""The door: who comes in, how errors look, and what browsers may read."""

from typing import cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.asgi import ask
from api.ibm.words import WEB_TYPE, App, new_token
from builders import NOW
from heliograph.api.ibm import tokens
from heliograph.api.ibm.door import Door, answered
from heliograph.errors import Overloaded
from heliograph.instances import Instances

pytestmark = pytest.mark.asyncio(loop_scope="module")

SITE = "https://shop.example"


def is_told(reply: httpx.Response, status: int, code: str) -> bool:
    """Whether an error is IBM's in form, with this status and this code."""
    told = reply.json()
    return (
        {"message", "code"} == set(told)
        and (status, code) == (reply.status_code, told["code"])
        and "application/json" == reply.headers["content-type"]
    )


# --- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, path, headers, status, code",
    [
        ("GET", "/nothing", {}, 404, "FPWSE0001E"),
        ("GET", "/", {}, 404, "FPWSE0001E"),
        ("PATCH", "/devices", {}, 405, "FPWSE0415E"),
        ("DELETE", "/messages", {}, 405, "FPWSE0415E"),
        ("GET", "/tags", {"accept": "text/html"}, 406, "FPWSE0415E"),
        ("GET", "/devices?size=0", {}, 400, "FPWSE1080E"),
        ("GET", "/devices?offset=-1", {}, 400, "FPWSE1079E"),
        ("GET", "/devices?sort=name", {}, 400, "FPWSE0007E"),
        ("DELETE", "/subscriptions?deviceId=D", {}, 400, "FPWSE0008E"),
    ],
)
async def test_an_error_has_a_message_and_a_code(
    app: App, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Contract §2.8: always JSON, with a code of IBM's and the status that HTTP has for it."""
    reply = await app.ask(method, path, headers=headers, as_backend=True)

    assert is_told(reply, status, code)


async def test_only_json_is_taken(app: App) -> None:
    """Contract §2.7, §2.8: with a charset however it is written; 415 for anything else."""
    body = f'{{"deviceId": "D", "token": "{new_token("A")}", "platform": "A"}}'
    for kind in ("application/json;charset=utf-8", WEB_TYPE["content-type"], "Application/JSON"):
        headers = app.client | {"content-type": kind}
        taken = await app.http.post(app.path("/devices"), content=body, headers=headers)
        assert 201 == taken.status_code
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = app.client | {"content-type": kind}
        refused = await app.http.post(app.path("/devices"), content=body, headers=headers)
        assert is_told(refused, 415, "FPWSE0415E")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, */*;q=0.1", ""])
async def test_who_reads_json_is_served(app: App, accept: str) -> None:
    """Contract §2.8: 406 is only for those who cannot."""
    assert 200 == (await app.ask("GET", "/tags", headers={"accept": accept})).status_code


async def test_an_unknown_app_is_not_found(app: App) -> None:
    """Contract §2.4: 404, before any credential is looked at."""
    path = "/imfpush/v1/apps/00000000-0000-4000-8000-000000000000/tags"

    assert is_told(await app.http.get(path), 404, "FPWSE0001E")


async def test_a_fault_of_ours_is_told_as_one() -> None:
    """Contract §2.8: FPWSE0010E, and what went wrong is not told."""

    async def fails(_request: Request) -> Response:
        raise RuntimeError("a secret detail")

    response = await answered(fails, Request({"type": "http", "headers": [], "method": "GET"}))

    assert 500 == response.status_code
    assert b"FPWSE0010E" in response.body
    assert b"secret" not in response.body


@pytest.mark.parametrize("problem", [Overloaded("x"), ConnectionRefusedError()])
async def test_too_much_is_told_as_such(problem: Exception) -> None:
    """Contract §2.8: FPWSE0025E, and when to try again; also while the database is away."""

    async def fails(_request: Request) -> Response:
        raise problem

    response = await answered(fails, Request({"type": "http", "headers": [], "method": "GET"}))

    assert (503, "1") == (response.status_code, response.headers["retry-after"])
    assert b"FPWSE0025E" in response.body


async def test_who_asks_too_often_waits(app: App) -> None:
    """Contract §2.8: FPWSE0025E with 429; of a back end and of a device's address."""
    door = Door(app.product.instances, publish_rate=1, device_rate=2, clock=lambda: NOW)

    async def backend(request: Request) -> Response:
        await door.backend(request)
        return Response()

    async def device(request: Request) -> Response:
        await door.client(request)
        return Response()

    routes = door.routes([("GET", "/backend", backend), ("GET", "/device", device)])
    headers = [(k.lower().encode(), v.encode()) for k, v in (app.client | app.backend).items()]
    statuses = {}
    for path in ("/backend", "/device"):
        replies = [
            await ask(routes, "GET", app.path(path).encode(), headers=headers) for _ in range(3)
        ]
        statuses[path] = [each.status for each in replies]
        assert replies[-1].json()["code"] == "FPWSE0025E"

    assert {"/backend": [200, 429, 429], "/device": [200, 200, 429]} == statuses


# --- paths ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/tags/", "/devices/?size=5", "/subscriptions/", "/messages/"])
async def test_a_slash_at_the_end_is_no_other_path(app: App, path: str) -> None:
    """Contract §2.7: the client on PyPI writes one."""
    assert 200 == (await app.ask("GET", path, as_backend=True)).status_code


async def test_headers_of_the_sdks_are_ignored(app: App) -> None:
    """Contract §1.3, §2.7: also an empty one, and those of analytics; no agent is needed."""
    odd = {
        "X-REWRITE-DOMAIN": "",
        "x-wl-analytics-tracking-id": "1",
        "x-mfp-analytics-metadata": "{}",
        "user-agent": "",
        "accept-language": "ja",
    }

    assert 200 == (await app.ask("GET", "/tags", headers=odd)).status_code


async def test_head_is_answered_like_get(app: App) -> None:
    """RFC 9110 §9.3.2."""
    assert 200 == (await app.ask("HEAD", "/tags")).status_code


# --- credentials ---------------------------------------------------------------------


async def test_a_back_end_proves_itself_in_two_ways(app: App) -> None:
    """Contract §2.1, §2.2: the app secret, or a token with ``Bearer`` before it or without."""
    token = (
        await app.http.post(
            "/identity/token",
            data={
                "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
                "apikey": app.instance.app_secret,
            },
        )
    ).json()["access_token"]

    for headers in (
        app.backend,
        {"authorization": token},
        {"authorization": f"Bearer {token}"},
        {"authorization": f"bearer  {token}"},
        app.client | {"authorization": f"Bearer {token}"},
    ):
        reply = await app.http.get(app.path("/devices"), headers=headers)
        assert 200 == reply.status_code, headers


async def test_the_secret_of_another_app_opens_nothing(app: App) -> None:
    """Contract §2.4: 401; also a token of another instance's."""
    other = await app.product.instances.create("other")
    for headers in (
        {"appSecret": other.app_secret},
        {"clientSecret": other.client_secret},
        {"appSecret": app.instance.client_secret},
        {"authorization": f"Bearer {tokens.grant(other, now=NOW)['access_token']}"},
    ):
        reply = await app.http.get(app.path("/devices"), headers=headers)
        assert is_told(reply, 401, "FPWSE0401E")


async def test_back_ends_may_do_what_devices_do(app: App) -> None:
    """Contract §2.2: IAM was good for those calls, too."""
    reply = await app.http.get(app.path("/tags"), headers=app.backend)

    assert 200 == reply.status_code


# --- browsers ------------------------------------------------------------------------


async def preflight(app: App, origin: str = SITE) -> httpx.Response:
    """What a browser asks before the web SDK's first call."""
    headers = {
        "origin": origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "clientsecret,content-type",
    }
    return await app.http.options(app.path("/devices/D"), headers=headers)


async def test_a_browser_may_ask_from_anywhere_at_first(app: App) -> None:
    """Contract §2.6: where no site is set, any origin may read; errors, too."""
    asked = await preflight(app)
    refused = await app.http.get(app.path("/devices/D"), headers={"origin": SITE})

    assert (204, "*") == (asked.status_code, asked.headers["access-control-allow-origin"])
    methods = asked.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "POST", "PUT", "DELETE"} == set(methods)
    fields = asked.headers["access-control-allow-headers"].split(", ")
    assert {"clientsecret", "content-type"} <= set(fields)
    assert (401, "*") == (refused.status_code, refused.headers["access-control-allow-origin"])


@pytest.mark.parametrize("path", ["chromeWebConf", "firefoxWebConf"])
async def test_a_browser_may_ask_from_the_site_that_is_set(app: App, path: str) -> None:
    """Contract §2.6: the site's origin alone, however its address was written."""
    await app.ask("PUT", f"/settings/{path}", {"webSiteUrl": f"{SITE}/shop"}, as_backend=True)

    site, stranger = await preflight(app), await preflight(app, "https://evil.example")

    assert SITE == site.headers["access-control-allow-origin"]
    assert SITE == stranger.headers["access-control-allow-origin"]
    assert "origin" == site.headers["vary"]


async def test_an_unknown_app_answers_browsers_too(app: App) -> None:
    """Contract §2.4: so that a page reads what is wrong, and not a status of 0."""
    path = "/imfpush/v1/apps/00000000-0000-4000-8000-000000000000/devices/D"
    asked = await app.http.options(path, headers={"origin": SITE})
    told = await app.http.get(path, headers={"origin": SITE})

    assert (204, 404) == (asked.status_code, told.status_code)
    assert "*" == told.headers["access-control-allow-origin"]


async def test_browsers_hear_that_the_database_is_away(app: App) -> None:
    """Contract §2.6, §2.8: FPWSE0025E from any origin, for nobody knows which is the app's."""

    class Away:
        async def find(self, _instance: str) -> None:
            raise ConnectionRefusedError

    nowhere = cast("Instances", Away())
    door = Door(nowhere, publish_rate=9, device_rate=9, clock=lambda: NOW)

    async def device(request: Request) -> Response:
        await door.client(request)
        return Response()

    routes = door.routes([("GET", "/device", device)])
    reply = await ask(routes, "GET", app.path("/device").encode())
    asked = await ask(routes, "OPTIONS", app.path("/device").encode())

    assert (503, "FPWSE0025E") == (reply.status, reply.json()["code"])
    assert (204, "*") == (asked.status, asked.headers["access-control-allow-origin"])
