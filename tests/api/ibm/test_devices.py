"""Devices of IBM's SDKs: registered, compared, switched and forgotten."""

import json
from typing import Any

import pytest

from api.ibm.words import WEB_TYPE, App, browser_token, new_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLATFORMS = ["A", "G", "WEB_CHROME", "WEB_FIREFOX", "WEB_SAFARI", "APPEXT_CHROME"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_device_of_every_platform_registers(app: App, platform: str) -> None:
    """Contract §3.1, §3.2: 201, and the device as it said it is; a user is always there."""
    token = new_token(platform)

    reply = await app.register("D", platform=platform, token=token)

    told = reply.json()
    assert 201 == reply.status_code
    expected = {"deviceId": "D", "token": token, "platform": platform, "userId": "anonymous"}
    assert expected == {name: told[name] for name in expected}
    assert ("API", told["createdTime"]) == (told["createdMode"], told["lastUpdatedTime"])
    assert told == (await app.ask("GET", "/devices/D")).json()


async def test_an_unknown_device_is_404_and_no_other_status(app: App) -> None:
    """Contract §2.5, §3.2: the SDKs register after a 404 only."""
    reply = await app.ask("GET", "/devices/nobody", headers=WEB_TYPE)

    assert (404, "FPWSE0001E") == (reply.status_code, reply.json()["code"])
    assert "'deviceId' does not exist" in reply.json()["message"]


async def test_variables_are_kept_and_told_back(app: App) -> None:
    """Contract §3.1: variables of parameterised pushes, until others come."""
    await app.register("D", user="u1", variables={"username": "x"})
    kept = (await app.ask("PUT", "/devices/D", {"userId": "u1"})).json()
    await app.ask("PUT", "/devices/D", {"userId": "u1", "variables": {"a": "b"}})

    assert {"username": "x"} == kept["variables"]
    assert {"a": "b"} == (await app.ask("GET", "/devices/D")).json()["variables"]


async def test_registering_again_is_no_conflict(app: App) -> None:
    """Contract §14.3: a known id takes the new token and user; still 201."""
    await app.register("D", user="u1")
    token = new_token("A")

    reply = await app.register("D", token=token, user="u2")

    assert (201, token, "u2") == (reply.status_code, reply.json()["token"], reply.json()["userId"])


async def test_an_address_is_one_device(app: App) -> None:
    """A token that comes with a new id takes it, keeps its tags, and is there once."""
    token = new_token("A")
    await app.tag("news")
    await app.register("old", token=token, user="u1")
    await app.ask("POST", "/subscriptions", {"deviceId": "old", "tagName": "news"})

    await app.register("new", token=token)

    listed = (await app.ask("GET", "/devices?expand=true", as_backend=True)).json()
    assert ["new"] == [each["deviceId"] for each in listed["devices"]]
    assert 404 == (await app.ask("GET", "/devices/old")).status_code
    tags = (await app.ask("GET", "/subscriptions?deviceId=new")).json()["subscriptions"]
    assert ["news", "Push.ALL"] == [each["tagName"] for each in tags]


async def test_two_devices_that_come_to_one_address_become_one(app: App) -> None:
    """The device that is asked for keeps its id; the one that had the token gives way."""
    token = new_token("G")
    await app.register("other", platform="G", token=token)
    await app.register("mine", platform="G")

    reply = await app.ask("PUT", "/devices/mine", {"deviceId": "mine", "token": token})

    assert (200, token) == (reply.status_code, reply.json()["token"])
    assert 404 == (await app.ask("GET", "/devices/other")).status_code


async def test_an_id_may_come_to_another_push_service(app: App) -> None:
    """Whoever reuses an id for another platform has a new device under it."""
    await app.register("D", platform="G", user="u1")

    reply = await app.register("D", platform="WEB_CHROME")

    assert (201, "WEB_CHROME") == (reply.status_code, reply.json()["platform"])
    assert "anonymous" == await app.user_of("D")


async def test_an_id_may_hold_anything(app: App) -> None:
    """Contract §3.1: all SDKs allow an id of the app's own."""
    name = "a/b c?d&é%"
    await app.register(name)

    reply = await app.ask("GET", "/devices/a%2Fb%20c%3Fd%26%C3%A9%25")

    assert (200, name) == (reply.status_code, reply.json()["deviceId"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"userId": ""}, id="the web SDK, after its flag stuck"),
        pytest.param({"userId": "anonymous"}, id="the literal"),
        pytest.param({"userId": None}, id="null"),
        pytest.param({}, id="Swift and Android"),
    ],
)
async def test_without_a_user_nobody_is_logged_in(app: App, body: dict[str, Any]) -> None:
    """Contract §3.2, §3.4, §10 (h): absent and empty mean anonymous; the token is the same."""
    token = new_token("A")
    await app.register("D", token=token, user="u1")

    reply = await app.ask("PUT", "/devices/D", {"deviceId": "D", "token": token} | body)

    assert (200, "anonymous") == (reply.status_code, reply.json()["userId"])
    assert "anonymous" == await app.user_of("D")
    nobodys = await app.ask("GET", "/devices?userId=anonymous&expand=true", as_backend=True)
    assert ["D"] == [each["deviceId"] for each in nobodys.json()["devices"]]


async def test_forgetting_a_device(app: App) -> None:
    """Contract §3.2, §2.7: 204 with no body, whatever the web SDK sends; then it is unknown."""
    await app.register("D")
    headers = app.client | WEB_TYPE
    path = app.path("/devices/D")

    gone = await app.http.request("DELETE", path, content="null", headers=headers)
    again = await app.http.request("DELETE", path, content="null", headers=headers)

    assert (204, b"") == (gone.status_code, gone.content)
    assert (404, "FPWSE0001E") == (again.status_code, again.json()["code"])


# --- secrets -------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [None, "", "wrong"])
async def test_a_user_needs_the_client_secret(app: App, secret: str | None) -> None:
    """Contract §2.4, §10 (f): 401, and what was stored stays, in both models."""
    await app.register("D", user="u1")
    headers = {} if secret is None else {"clientSecret": secret}
    body = {"deviceId": "D", "token": new_token("A"), "platform": "A", "userId": "u2"}

    for verifies in (True, False):
        await app.product.instances.change(app.instance.id, verify_client_secret=verifies)
        before = app.dump()
        for method, path in (("POST", "/devices"), ("PUT", "/devices/D")):
            reply = await app.http.request(method, app.path(path), json=body, headers=headers)
            assert 401 == reply.status_code
            assert {"message", "code"} == set(reply.json())
        assert before == app.dump()
    assert "u1" == await app.user_of("D")


async def test_an_instance_may_let_anonymous_devices_in(app: App) -> None:
    """Contract §2.3, §10 (g): without a user, and where it is told so, no secret is needed."""
    body = {"deviceId": "D", "token": new_token("A"), "platform": "A"}
    refused = await app.http.post(app.path("/devices"), json=body)
    await app.product.instances.change(app.instance.id, verify_client_secret=False)

    taken = await app.http.post(app.path("/devices"), json=body)

    assert (401, 201) == (refused.status_code, taken.status_code)
    assert "anonymous" == taken.json()["userId"]


async def test_the_list_of_devices_is_for_back_ends(app: App) -> None:
    """Contract §2.2: tokens of all devices are not for whoever has an app."""
    assert 401 == (await app.ask("GET", "/devices")).status_code


# --- lists ---------------------------------------------------------------------------


async def test_devices_in_pages(app: App) -> None:
    """Contract §3.2, 13.15: counts are numbers, and next leads on until it is empty."""
    for number in range(5):
        await app.register(f"D{number}", user=f"u{number % 2}")
    found, pages, url = [], 0, app.path("/devices?expand=true&offset=0&size=2")

    while url:
        page = (await app.http.get(url, headers=app.backend)).json()
        found += [each["deviceId"] for each in page["devices"]]
        assert 5 == page["pageInfo"]["totalCount"]
        url = page["pageInfo"]["next"]
        pages += 1

    assert (3, [f"D{number}" for number in range(5)]) == (pages, found)


@pytest.mark.parametrize(
    "query, expected",
    [
        ("userId=u1", ["A1", "G1"]),
        ("userId=anonymous", ["W1"]),
        ("filter=platform==A", ["A1", "A2"]),
        ("filter=platform==A,platform==G", ["A1", "A2", "G1"]),
        ("filter=platform==A&userId=u2", ["A2"]),
        ("filter=platform==A&filter=platform==G", []),
        ("offset=1&size=2", ["A2", "G1"]),
        ("userId=&filter=", ["A1", "A2", "G1", "W1"]),
    ],
)
async def test_devices_that_are_asked_for(app: App, query: str, expected: list[str]) -> None:
    """Contract §3.2, §4.5: by user and by platform; without ``expand`` ids and addresses only."""
    for device, platform, user in (
        ("A1", "A", "u1"),
        ("A2", "A", "u2"),
        ("G1", "G", "u1"),
        ("W1", "WEB_FIREFOX", None),
    ):
        await app.register(device, platform=platform, user=user)

    reply = await app.ask("GET", f"/devices?{query}", as_backend=True)

    assert expected == [each["deviceId"] for each in reply.json()["devices"]]
    assert all({"deviceId", "href"} == set(each) for each in reply.json()["devices"])


# --- what is wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, code",
    [
        ({"token": None}, "FPWSE0005E"),
        ({"token": "not hexadecimal"}, "FPWSE0005E"),
        ({"deviceId": None}, "FPWSE0005E"),
        ({"deviceId": 7}, "FPWSE0005E"),
        ({"deviceId": "report"}, "FPWSE0005E"),
        ({"deviceId": "a\x00b"}, "FPWSE0005E"),
        ({"platform": "W"}, "FPWSE0005E"),
        ({"userId": "u" * 255}, "FPWSE0005E"),
        ({"userId": 7}, "FPWSE0005E"),
        ({"variables": {"a": 1}}, "FPWSE0005E"),
        ({"platform": "WEB_CHROME"}, "FPWSE0005E"),
        ({"platform": "WEB_CHROME", "token": json.dumps({"endpoint": "x"})}, "FPWSE0005E"),
        ({"platform": "WEB_CHROME", "token": browser_token("http://a.b/")}, "FPWSE0005E"),
    ],
)
async def test_what_no_device_can_be(app: App, change: dict[str, Any], code: str) -> None:
    """Contract §2.8: 400 with the parameter's name; nothing is stored."""
    body = {"deviceId": "D", "token": new_token("A"), "platform": "A"} | change
    before = app.dump()

    reply = await app.ask("POST", "/devices", body)

    assert (400, code) == (reply.status_code, reply.json()["code"])
    assert before == app.dump()


async def test_a_body_that_swift_broke(app: App) -> None:
    """Contract §2.7: an unescaped quotation mark is no JSON; 400."""
    broken = '{"deviceId": "D", "token": "aa", "platform": "A", "userId": "say "hi""}'

    reply = await app.http.post(app.path("/devices"), content=broken, headers=app.client | WEB_TYPE)

    assert (400, "FPWSE0004E") == (reply.status_code, reply.json()["code"])


async def test_a_user_has_no_more_devices_than_allowed(app: App) -> None:
    """The registry's limit is every dialect's; the answer names the setting, nothing changes."""
    for number in range(100):
        await app.register(f"D{number}", user="crowd")
    before = app.dump()

    reply = await app.register("D100", user="crowd")

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])
    assert "HELIOGRAPH_MAX_DEVICES_PER_USER" in reply.json()["message"]
    assert before == app.dump()
