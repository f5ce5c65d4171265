import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import websockets
from websockets.typing import Origin, Subprotocol

from heliograph.sandbox import Authority, Credentials, Sandbox
from heliograph.sandbox.devices import Devices, Platform
from heliograph.sandbox.firefox import Browsers
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.management import Management
from heliograph.sandbox.scenario import Scenario
from heliograph.sandbox.server import utc_now
from heliograph.sandbox.stats import Stats
from sandbox.peer import PATIENCE_SECONDS
from sandbox.senders import VapidSender, sealed


@pytest.fixture
def desk(authority: Authority) -> Management:
    """The management port without its port."""
    devices = Devices(webpush_origin="https://push.example")
    inbox = Inbox()
    return Management(
        devices=devices,
        inbox=inbox,
        browsers=Browsers(devices, inbox, utc_now),
        scenario=Scenario(),
        stats=Stats(),
        clock=utc_now,
        ca_pem=authority.ca_pem,
        credentials={"apns": {"key": "made up"}, "fcm": {}},
        addresses={"management": "http://127.0.0.1:8050"},
    )


@pytest.fixture
async def management(desk: Management) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the application without a network."""
    transport = httpx.ASGITransport(desk.app(bound_host="127.0.0.1"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8050") as client:
        yield client


async def mint(management: httpx.AsyncClient, **order: object) -> dict[str, object]:
    response = await management.post("/devices", json=order)
    assert 200 == response.status_code
    body = response.json()
    assert isinstance(body, dict)
    return body


class TestDevices:
    @pytest.mark.parametrize(
        "platform,fields",
        [
            ("apns", {"token", "topic", "environment"}),
            ("fcm", {"token"}),
            ("web", {"token", "subscription"}),
        ],
    )
    async def test_one(
        self, management: httpx.AsyncClient, platform: str, fields: set[str]
    ) -> None:
        """One device is answered by itself."""
        assert fields == set(await mint(management, platform=platform))

    @pytest.mark.parametrize("environment", ["production", "sandbox"])
    async def test_environment(self, management: httpx.AsyncClient, environment: str) -> None:
        """An Apple device's token is of the environment that was asked for, and says so."""
        minted = await mint(management, platform="apns", environment=environment)
        (listed,) = (await management.get("/devices")).json()["devices"]

        assert (environment, environment) == (minted["environment"], listed["environment"])

    @pytest.mark.parametrize("count", [1, 2, 450])
    async def test_many(self, management: httpx.AsyncClient, count: int) -> None:
        """With a count there is a list, each with an address of its own."""
        body = await mint(management, platform="web", count=count, name="Laptop")
        devices = body["devices"]

        assert isinstance(devices, list)
        assert count == len({device["token"] for device in devices})

    async def test_names_are_numbered(self, management: httpx.AsyncClient) -> None:
        """Many devices of one name are told apart."""
        await mint(management, platform="fcm", count=2, name="Phone")
        listed = (await management.get("/devices")).json()

        assert ["Phone 2", "Phone 1"] == [device["name"] for device in listed["devices"]]
        assert 2 == listed["total"]

    async def test_listing_is_limited(self, management: httpx.AsyncClient) -> None:
        """A limit cuts the list, not the total."""
        await mint(management, platform="fcm", count=3)
        listed = (await management.get("/devices", params={"limit": 2})).json()

        assert (2, 3) == (len(listed["devices"]), listed["total"])

    @pytest.mark.parametrize(
        "body,problem",
        [
            ("", "truncated"),
            ("[]", "Expected `object`"),
            ("{}", "platform"),
            ('{"platform": "adm"}', "'adm'"),
            ('{"platform": "fcm", "count": 0}', "$.count"),
            ('{"platform": "fcm", "count": 100001}', "$.count"),
            ('{"platform": "fcm", "count": "2"}', "$.count"),
            ('{"platform": "fcm", "topic": "a.b"}', "`topic`"),
            ('{"platform": "apns", "topic": "a b"}', "$.topic"),
            ('{"platform": "web", "environment": "sandbox"}', "`environment`"),
            ('{"platform": "apns", "environment": "development"}', "$.environment"),
            ('{"platform": "fcm", "colour": "red"}', "colour"),
        ],
    )
    async def test_bad_orders(self, management: httpx.AsyncClient, body: str, problem: str) -> None:
        """A bad order is answered 400 and says what is wrong."""
        response = await management.post("/devices", content=body)

        assert (400, "bad_request") == (response.status_code, response.json()["error"])
        assert problem in response.json()["description"]

    async def test_uninstalling(self, desk: Management, management: httpx.AsyncClient) -> None:
        """A device whose app was taken off is gone, by any of its names."""
        device = await mint(management, platform="web")
        response = await management.delete("/devices", params={"token": str(device["token"])})
        (minted,) = desk.devices.newest(1)

        assert 204 == response.status_code
        assert minted.gone_since is not None
        assert 404 == (await management.delete("/devices", params={"token": "x"})).status_code

    async def test_huge_order(self, management: httpx.AsyncClient) -> None:
        """A body of more than a megabyte is not read."""
        response = await management.post("/devices", content=b" " * 1_100_000)

        assert (413, "too_large") == (response.status_code, response.json()["error"])


class TestInbox:
    async def test_by_any_name_of_a_browser(
        self,
        sandbox: Sandbox,
        management_client: httpx.AsyncClient,
        http2_client: httpx.AsyncClient,
    ) -> None:
        """What a browser received is found by token, endpoint and channel, decrypted."""
        device = sandbox.devices.mint(Platform.WEB, now=utc_now())
        headers = VapidSender(sandbox.addresses()["webpush"]).headers(now=utc_now())
        assert device.endpoint is not None
        content = sealed(device, {"title": "Hello"})
        await http2_client.post(device.endpoint, content=content, headers=headers)
        found = [
            (await management_client.get("/inbox", params={"token": name})).json()
            for name in (device.token, device.endpoint, device.key)
        ]
        everything = (await management_client.get("/inbox")).json()

        assert [everything] * 3 == found
        assert {"title": "Hello"} == everything[0]["payload"]
        assert "vapid" == everything[0]["headers"]["authorization"]

    async def test_after(self, desk: Management, management: httpx.AsyncClient) -> None:
        """Only what is newer than an entry can be asked for."""
        device = desk.devices.mint(Platform.FCM, now=utc_now())
        for _ in range(3):
            desk.inbox.record(device, headers={}, payload=None, now=utc_now())
        newer = (await management.get("/inbox", params={"after": 2})).json()

        assert [3] == [entry["id"] for entry in newer]

    async def test_clearing(self, desk: Management, management: httpx.AsyncClient) -> None:
        """An emptied inbox is an empty list."""
        device = desk.devices.mint(Platform.FCM, now=utc_now())
        desk.inbox.record(device, headers={}, payload=None, now=utc_now())

        assert 204 == (await management.delete("/inbox")).status_code
        assert [] == (await management.get("/inbox")).json()

    @pytest.mark.parametrize(
        "query,status", [("token=x", 404), ("after=x", 400), ("after=-1", 400)]
    )
    async def test_bad_questions(
        self, management: httpx.AsyncClient, query: str, status: int
    ) -> None:
        """An unknown token is not found; a number must be one."""
        response = await management.get(f"/inbox?{query}")

        assert status == response.status_code
        assert {"error", "description"} == set(response.json())


class TestScenario:
    async def test_set_show_clear(self, management: httpx.AsyncClient) -> None:
        """A scenario is set, shown and cleared."""
        plan = {"seed": 7, "faults": [{"fault": "unavailable", "retry_after": 30}]}
        put = await management.put("/scenario", json=plan)
        shown = (await management.get("/scenario")).json()
        cleared = (await management.delete("/scenario")).json()

        assert 200 == put.status_code
        assert shown == put.json()
        assert [{"fault": "unavailable", "retry_after": 30, "met": 0}] == shown["faults"]
        assert [] == cleared["faults"]

    async def test_bad_scenario_changes_nothing(self, management: httpx.AsyncClient) -> None:
        """A scenario that cannot be followed leaves the one before in force."""
        await management.put("/scenario", json={"seed": 7})
        response = await management.put("/scenario", json={"faults": [{"fault": "explode"}]})

        assert (400, "bad_request") == (response.status_code, response.json()["error"])
        assert "explode" in response.json()["description"]
        assert 7 == (await management.get("/scenario")).json()["seed"]


async def test_facts(desk: Management, management: httpx.AsyncClient) -> None:
    """Credentials, addresses, statistics and the root certificate are to be had."""
    assert desk.credentials == (await management.get("/credentials")).json()
    assert desk.addresses == (await management.get("/addresses")).json()
    assert desk.stats.as_json() == (await management.get("/stats")).json()
    assert desk.ca_pem == (await management.get("/ca.pem")).text


async def test_unknown_places(management: httpx.AsyncClient) -> None:
    """Refusals of the router are JSON as well."""
    missing = await management.get("/nothing")
    wrong = await management.post("/stats")

    assert (404, "not_found") == (missing.status_code, missing.json()["error"])
    assert (405, "method_not_allowed") == (wrong.status_code, wrong.json()["error"])


class TestDoorway:
    async def test_foreign_host_names_are_refused(self, management: httpx.AsyncClient) -> None:
        """A name that was rebound to this address is not served."""
        response = await management.get("/inbox", headers={"host": "evil.example"})

        assert (403, "forbidden") == (response.status_code, response.json()["error"])

    async def test_foreign_pages_are_refused(self, management: httpx.AsyncClient) -> None:
        """A page of another origin can neither read nor write."""
        headers = {"origin": "https://evil.example"}
        response = await management.put("/scenario", content=b"", headers=headers)

        assert 403 == response.status_code
        assert "access-control-allow-origin" not in response.headers

    async def test_foreign_websockets_are_refused(self, sandbox: Sandbox) -> None:
        """A page of another origin cannot pretend to be Firefox."""
        connection = websockets.connect(
            sandbox.addresses()["webpush_ws"], origin=Origin("https://evil.example")
        )
        with pytest.raises(websockets.InvalidStatus, match="403"):
            await connection


class TestPage:
    async def test_front_door(self, management: httpx.AsyncClient) -> None:
        """The address alone leads to the page."""
        response = await management.get("/")

        assert (307, "/screens") == (response.status_code, response.headers["location"])

    async def test_page_is_locked_down(
        self, desk: Management, management: httpx.AsyncClient
    ) -> None:
        """The page runs its own script only, and tells how to begin."""
        response = await management.get("/screens")
        policy = response.headers["content-security-policy"]

        assert "default-src 'none'; script-src 'self'" in policy
        assert "unsafe" not in policy
        assert f"{desk.addresses['management']}/devices" in response.text

    @pytest.mark.parametrize(
        "name,kind",
        [
            ("screens.js", "text/javascript"),
            ("screens.css", "text/css"),
            ("icon.svg", "image/svg+xml"),
        ],
    )
    async def test_parts(self, management: httpx.AsyncClient, name: str, kind: str) -> None:
        """Script, style and icon are served as what they are."""
        response = await management.get(f"/static/{name}")

        assert 200 == response.status_code
        assert response.headers["content-type"].startswith(kind)

    async def test_live_events(
        self, sandbox: Sandbox, management_client: httpx.AsyncClient
    ) -> None:
        """The page is given everything first, then what is new, and everything after a clearing."""
        device = sandbox.devices.mint(Platform.APNS, now=utc_now(), name="Ada the first")
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            management_client.stream("GET", "/events") as stream,
        ):
            lines = stream.aiter_lines()

            async def next_event() -> tuple[str, dict[str, list[dict[str, object]]]]:
                name = (await anext(lines)).removeprefix("event: ")
                data = json.loads((await anext(lines)).removeprefix("data: "))
                await anext(lines)
                return name, data

            first = await next_event()
            payload = {"aps": {"alert": "<b>words</b>"}}
            sandbox.inbox.record(device, headers={}, payload=payload, now=utc_now())
            second = await next_event()
            sandbox.inbox.clear()
            third = await next_event()

        assert ["snapshot", "news", "snapshot"] == [first[0], second[0], third[0]]
        assert "Ada the first" == first[1]["devices"][0]["name"]
        assert payload == second[1]["entries"][0]["payload"]
        assert [] == first[1]["entries"] == third[1]["entries"]


class TestFirefox:
    async def test_subscribe_and_receive(
        self, sandbox: Sandbox, http2_client: httpx.AsyncClient
    ) -> None:
        """A browser connects, subscribes, and gets what is pushed to its endpoint."""
        sender = VapidSender(sandbox.addresses()["webpush"])
        channel_id = str(uuid4())
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            websockets.connect(
                sandbox.addresses()["webpush_ws"], subprotocols=[Subprotocol("push-notification")]
            ) as browser,
        ):
            await browser.send(json.dumps({"messageType": "hello", "use_webpush": True}))
            hello = json.loads(await browser.recv())
            await browser.send(json.dumps({"messageType": "register", "channelID": channel_id}))
            registered = json.loads(await browser.recv())
            response = await http2_client.post(
                registered["pushEndpoint"], content=b"sealed", headers=sender.headers(now=utc_now())
            )
            notification = json.loads(await browser.recv())
            await browser.send("{}")
            ping = json.loads(await browser.recv())

            assert "push-notification" == browser.subprotocol
        assert (200, 201, {}) == (hello["status"], response.status_code, ping)
        assert (channel_id, "c2VhbGVk") == (notification["channelID"], notification["data"])
        assert 1 == len(sandbox.inbox)

    async def test_own_address_is_its_origin(self, sandbox: Sandbox) -> None:
        """Firefox gives the address it calls as its origin."""
        url = sandbox.addresses()["webpush_ws"]
        async with websockets.connect(url, origin=Origin(url.removesuffix("/firefox"))) as browser:
            await browser.send("{}")

            assert "{}" == await browser.recv()

    @pytest.mark.parametrize("frame", ["nonsense", b"\x00"])
    async def test_violation_ends_the_connection(
        self, sandbox: Sandbox, frame: str | bytes
    ) -> None:
        """A frame that is not of the protocol ends the connection with a protocol error."""
        async with websockets.connect(sandbox.addresses()["webpush_ws"]) as browser:
            await browser.send(frame)
            with pytest.raises(websockets.ConnectionClosed):
                await browser.recv()

            assert 1002 == browser.close_code

    async def test_second_connection_hangs_up_the_first(self, sandbox: Sandbox) -> None:
        """A browser that connects again loses its older connection."""
        url = sandbox.addresses()["webpush_ws"]
        async with websockets.connect(url) as first, websockets.connect(url) as second:
            await first.send(json.dumps({"messageType": "hello"}))
            uaid = json.loads(await first.recv())["uaid"]
            await second.send(json.dumps({"messageType": "hello", "uaid": uaid}))
            again = json.loads(await second.recv())
            with pytest.raises(websockets.ConnectionClosed):
                await first.recv()

        assert uaid == again["uaid"]

    async def test_stop_hangs_up(self, credentials: Credentials) -> None:
        """A sandbox stops although a browser and a page are connected."""
        async with Sandbox.running(credentials=credentials) as sandbox:
            browser = await websockets.connect(sandbox.addresses()["webpush_ws"])
            client = httpx.AsyncClient(base_url=sandbox.addresses()["management"])
            request = client.build_request("GET", "/events")
            stream = await client.send(request, stream=True)
        with pytest.raises(websockets.ConnectionClosed):
            await browser.recv()
        await stream.aclose()
        await client.aclose()
