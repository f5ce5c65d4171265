"""
Web push as a person sees it: a real Firefox, a site, and notifications that are clicked.

The site is the example's, with its service worker, which takes ours in. Its pages use Beams' own
SDK from npm, unmodified, and ours. Firefox's push service is the sandbox's.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from heliograph.client.publish import AsyncPushNotifications
from heliograph.demo.customer_backend import DEMO_USERS, build_app
from heliograph.dev import Development, developing
from heliograph.serving import address_of, bind, serving
from judges import firefox
from judges.firefox import Firefox
from support import ADMIN, settings_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

NPM: Final = (
    Path(__file__).parent
    / "node/node_modules/@pusher/push-notifications-web/dist/push-notifications-esm.js"
)

PATIENCE_SECONDS: Final = 30.0

PAGE: Final = "site"
"""All visits are in one tab: Firefox opens no other while it shows a notification."""

_ONCE: Final = """
    while (!({condition})) await new Promise((resolve) => setTimeout(resolve, 20));
"""

ALICE, BOB = sorted(DEMO_USERS)


@dataclass(frozen=True, slots=True)
class Visit:
    """A person's visit to a site of its own origin, where no browser has been before."""

    browser: Firefox
    site: str
    development: Development
    beams: AsyncPushNotifications
    http: httpx.AsyncClient

    async def load(self, sdk: str) -> None:
        """Have a client of an SDK on the page: ``npm`` for Beams' own, ``ours`` for ours."""
        endpoint, instance = self.development.endpoint, self.development.instance_id
        config = {"instanceId": instance}
        if sdk == "npm":
            config["endpointOverride"] = endpoint
        script = "/npm.js" if sdk == "npm" else f"{endpoint}/sdk/push-notifications.js"
        await self.browser.open(PAGE, f"{self.site}/bare")
        await self.run(f"window.sdk = await import({json.dumps(script)})")
        await self.run(f"window.client = new sdk.Client({json.dumps(config)})")

    async def log_in(self, user: str) -> None:
        """Log somebody in to the site, and on this browser through its auth endpoint."""
        fields = json.dumps({"username": user, "password": DEMO_USERS[user]})
        await self.run(f"""
            const response = await fetch('/login', {{
                method: 'POST',
                headers: {{ 'Content-Type': 'application/json' }},
                body: JSON.stringify({fields}),
            }});
            const {{ session_token: session }} = await response.json();
            const headers = {{ Authorization: `Bearer ${{session}}` }};
            const provider = new sdk.TokenProvider({{ url: '/pusher/beams-auth', headers }});
            await client.setUserId({json.dumps(user)}, provider);
        """)

    async def run(self, script: str) -> Any:
        """What some lines return in the page."""
        return await self.browser.evaluate(PAGE, f"(async () => {{ {script} }})()")

    async def notify(self, user: str, title: str, body: str = "Hello") -> str:
        """Publish to somebody, with a link into the site; the publish id, once all is sent."""
        notification = {"title": title, "body": body, "deep_link": f"{self.site}/bare?{title}"}
        answer = await self.beams.publish_to_users([user], {"web": {"notification": notification}})
        publish = str(answer["publishId"])
        await self.until(publish, lambda seen: seen["state"] == "finished")
        return publish

    async def shown(self, title: str) -> list[list[str]]:
        """Title and body of all that the site shows, as soon as one with this title is there."""
        shown: list[list[str]] = await self.run(f"""
            const registration = await navigator.serviceWorker.ready;
            for (;;) {{
                const all = await registration.getNotifications();
                const texts = all.map(({{ title, body }}) => [title, body]);
                if (texts.some(([title]) => title === {json.dumps(title)})) return texts;
                await new Promise((resolve) => setTimeout(resolve, 20));
            }}
        """)
        return shown

    async def reported(self, publish: str, *, delivered: int, opened: int) -> None:
        """Wait until a publish counts so many deliveries and openings, which pages reported."""
        web = {"sent": 1, "delivered": delivered, "opened": opened}
        seen = await self.until(publish, lambda seen: seen["gateways"].get("web") == web)

        assert (delivered, opened) == (seen["delivered"], seen["opened"])

    async def until(self, publish: str, condition: Any) -> dict[str, Any]:
        """What the operator sees of a publish, as soon as it fulfils a condition."""
        instance = self.development.instance_id
        url = f"{self.development.endpoint}/admin/v1/instances/{instance}/publishes/{publish}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                seen: dict[str, Any] = (await self.http.get(url, headers=ADMIN)).json()
                if condition(seen):
                    return seen
                await asyncio.sleep(0.02)

    async def opens(self, url: str) -> None:
        """Wait until a tab shows a URL."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while url not in await self.browser.urls():
                pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def development(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Development]:
    folder = tmp_path_factory.mktemp("dev")
    async with developing(settings_in(folder, sandbox_listen="127.0.0.1:0")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(
    development: Development, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Firefox]:
    program = firefox.executable()
    if program is None:
        (pytest.fail if firefox.is_required() else pytest.skip)(firefox.MISSING)
    push = development.sandbox["webpush_ws"]
    folder = tmp_path_factory.mktemp("firefox")
    async with Firefox.running(program, push=push, folder=folder) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def visit(development: Development, browser: Firefox) -> AsyncIterator[Visit]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient())
        beams = await stack.enter_async_context(
            AsyncPushNotifications(
                development.instance_id, development.secret_key, development.endpoint
            )
        )
        site = await stack.enter_async_context(site_of(beams))
        yield Visit(browser, site, development, beams, http)
        for user in DEMO_USERS:
            await beams.delete_user(user)


@asynccontextmanager
async def site_of(beams: AsyncPushNotifications) -> AsyncIterator[str]:
    """The example's site on a free port, with a page that does nothing by itself, and npm's SDK."""

    async def bare(_request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>Bare</title>")

    async def npm(_request: Request) -> Response:
        return Response(NPM.read_bytes(), media_type="text/javascript")

    example = build_app(beams, DEMO_USERS).routes
    app = Starlette(routes=[Route("/bare", bare), Route("/npm.js", npm), *example])
    listener = bind("127.0.0.1", 0)
    async with serving(app, listener):
        yield f"http://{address_of(listener)}"


async def session_of(visit: Visit, user: str) -> dict[str, str]:
    """The header of somebody's session, who is elsewhere."""
    fields = {"username": user, "password": DEMO_USERS[user]}
    answer = await visit.http.post(f"{visit.site}/login", json=fields)
    return {"authorization": f"Bearer {answer.json()['session_token']}"}


@pytest.mark.parametrize("sdk", ["npm", "ours"])
async def test_a_notification_finds_who_is_logged_in(visit: Visit, sdk: str) -> None:
    """
    It is shown, and its delivery and its opening are reported; a click leads to its link.

    Who logs out gets nothing more, and who comes next on the same browser gets only their own.
    """
    await visit.load(sdk)
    await visit.run("await client.start()")
    first = await visit.run("return client.getDeviceId()")
    await visit.log_in(ALICE)

    publish = await visit.notify(ALICE, "One", body="For Alice")

    assert [["One", "For Alice"]] == await visit.shown("One")
    await visit.reported(publish, delivered=1, opened=0)

    await visit.browser.press_notification("One")

    await visit.opens(f"{visit.site}/bare?One")
    await visit.reported(publish, delivered=1, opened=1)

    await visit.run("await client.clearAllState()")
    await visit.notify(ALICE, "Two")
    await visit.log_in(BOB)
    await visit.notify(ALICE, "Three")
    await visit.notify(BOB, "Four", body="For Bob")

    assert [["Four", "For Bob"]] == await visit.shown("Four")
    assert first != await visit.run("return client.getDeviceId()")


async def test_a_site_changes_from_one_sdk_to_the_other(visit: Visit) -> None:
    """What npm's SDK has kept in the browser ours takes over, and the other way round."""
    known = "return [await client.getDeviceId(), await client.getUserId()]"
    await visit.load("npm")
    await visit.run("await client.start()")
    await visit.log_in(ALICE)
    before = await visit.run(known)

    await visit.load("ours")
    await visit.run("await client.start(); await client.addDeviceInterest('hello')")
    between = await visit.run(known)
    await visit.load("npm")
    after = [await visit.run(known), await visit.run("return client.getDeviceInterests()")]

    assert (before, [before, {"interests": ["hello"]}]) == (between, after)


async def test_a_browser_that_the_server_lost_comes_back(visit: Visit) -> None:
    """Ours registers it again with its interests and its user, and pushes reach it."""
    await visit.load("ours")
    await visit.run("await client.start(); await client.setDeviceInterests(['a', 'b'])")
    await visit.log_in(ALICE)
    lost = await visit.run("return client.getDeviceId()")
    devices = f"/device_api/v1/instances/{visit.development.instance_id}/devices/web"
    await visit.http.delete(f"{visit.development.endpoint}{devices}/{lost}")

    interests = await visit.run("return client.getDeviceInterests()")
    await visit.notify(ALICE, "Back")

    assert {"interests": ["a", "b"]} == interests
    assert [["Back", "Hello"]] == await visit.shown("Back")
    assert lost != await visit.run("return client.getDeviceId()")


async def test_the_example_site_rings_for_its_visitor(visit: Visit) -> None:
    """A person logs in, turns notifications on, and gets a friend's message; log-out ends it."""
    browser, page = visit.browser, PAGE
    await browser.open(page, visit.site)
    await browser.write(page, "[name=password]", DEMO_USERS[ALICE])
    await browser.press(page, "#log-in button")
    await browser.press(page, "#turn-on")
    await visit.run(_ONCE.format(condition="document.getElementById('turn-on').hidden"))
    await visit.http.post(
        f"{visit.site}/messages",
        json={"to": ALICE, "text": "Wish you were here"},
        headers=await session_of(visit, BOB),
    )

    title = f"Message from {BOB}"
    assert [[title, "Wish you were here"]] == await visit.shown(title)

    await browser.press_notification(title)
    await visit.opens(f"{visit.site}/?from={BOB}")
    await browser.write(page, "[name=text]", "So do I")
    await browser.press(page, "#message button")
    await visit.run(_ONCE.format(condition=f"document.body.innerText.includes('Sent to {BOB}')"))
    await browser.press(page, "#log-out")
    await browser.press(page, "#log-in [name=username]")
    answer = await visit.beams.publish_to_users([ALICE], {"web": {"notification": {"title": "x"}}})
    seen = await visit.until(answer["publishId"], lambda seen: seen["state"] == "finished")

    assert 0 == seen["targeted"]
