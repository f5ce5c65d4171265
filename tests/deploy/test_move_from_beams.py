"""
Every snippet of the page about moving from Beams, run where its SDK can run here.

For the others the test says to the server what that SDK says, at the address that the
snippet's own setting leads it to. The page's host stands for wherever the server listens.
"""

import json
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest
import pytest_asyncio

from deployment import ROOT
from heliograph.transfer.records import Record, read
from judges.javascript import NODE, NODE_FOLDER
from moved import HOST, Server, a_server, request_in, said_by, snippets

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: Final = (ROOT / "docs" / "howto" / "move-from-beams.md").read_text()
ID: Final = "1b880590-6301-4bb5-b34f-45db1c5f5644"
HELLO: Final = {"users": ["user-001"], "web": {"notification": {"title": "Hello"}}}


def section(title: str, language: str) -> str:
    """The first snippet in a language under a heading."""
    return snippets(PAGE, title, language)[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with a_server(tmp_path_factory.mktemp("product"), ID) as server:
        yield server


async def publish(server: Server, path: str, body: object, **headers: str) -> httpx.Response:
    """What a server SDK says, wherever the page's host is."""
    secret = {"authorization": f"Bearer {server.instance.secret_keys[0]}"}
    return await server.http.post(path, json=body, headers=secret | headers)


def environment(server: Server) -> dict[str, str]:
    return {"SECRET_KEY": server.instance.secret_keys[0], "PATH": os.environ["PATH"]}


async def test_node(server: Server) -> None:
    """The snippet publishes, with the SDK from npm as it is."""
    snippet = section("Node", "js").replace(HOST, "127.0.0.1").replace("8040", str(server.port))

    said = await said_by(
        NODE,
        "--input-type=module",
        "--eval",
        snippet,
        environment=environment(server),
        cwd=NODE_FOLDER,
    )

    assert "publishId: 'pubid-" in said


async def test_python(server: Server) -> None:
    """The snippet publishes over https, with the SDK from PyPI as it is."""
    snippet = (
        section("Python", "python")
        .replace(HOST, f"localhost:{server.tls_port}")
        .replace("/etc/ssl/push-ca.pem", str(server.ca_file))
    )

    said = await said_by(sys.executable, "-c", snippet, environment=environment(server))

    assert "{'publishId': 'pubid-" in said


BASES: Final = {
    "Ruby": ("ruby", r"config\.endpoint = '([^']+)'"),
    "PHP": ("php", r"'endpoint' => '([^']+)'"),
    "Go": ("go", r'WithCustomBaseURL\("([^"]+)"\)'),
}


@pytest.mark.parametrize(
    "sdk, path, headers",
    [
        ("Ruby", "/publishes/users", {"x-pusher-library": "pusher-push-notifications-ruby 2.0.3"}),
        ("PHP", "/publishes/users", {"x-pusher-library": "pusher-push-notifications-php 2.0.0"}),
        ("Go", "/publishes/users", {"x-pusher-library": "pusher-push-notifications-go 1.1.1"}),
        ("Ruby", "/publishes", {"x-pusher-library": "pusher-push-notifications-ruby 2.0.3"}),
        ("Go", "/publishes", {"x-pusher-library": "pusher-push-notifications-go 1.1.1"}),
    ],
)
async def test_sdks_that_take_a_base_url(
    server: Server, sdk: str, path: str, headers: dict[str, str]
) -> None:
    """The base of the snippet, and what the SDK puts behind it; Go's body has both targets."""
    language, pattern = BASES[sdk]
    snippet = section(sdk, language)
    base = re.search(pattern, snippet)
    body = HELLO if path.endswith("users") else HELLO | {"interests": ["hello"]}

    assert base is not None
    assert (f"https://{HOST}", True) == (base[1], ID in snippet)
    answer = await publish(
        server, f"/publish_api/v1/instances/{ID}{path}", body, accept="application/json", **headers
    )
    assert (200, ["publishId"]) == (answer.status_code, list(answer.json()))


async def test_who_has_no_setting_publishes_by_hand(server: Server) -> None:
    """The request of the page, as it stands there."""
    request = request_in(
        section("Java, Kotlin and Swift", "http"), {"SECRET_KEY": server.instance.secret_keys[0]}
    )

    answer = await server.http.request(**request)

    assert (200, ["publishId"]) == (answer.status_code, list(answer.json()))


async def registered(server: Server, path: str, body: Any, **headers: str) -> str:
    """The id of a device that registers as its SDK does, and is there afterwards."""
    answer = await server.http.post(path, json=body, headers=headers)
    assert 200 == answer.status_code, answer.text
    found = answer.json()
    assert isinstance(found["initialInterestSet"], list)
    assert 200 == (await server.http.get(f"{path}/{found['id']}", headers=headers)).status_code
    return str(found["id"])


async def test_web(server: Server) -> None:
    """What the SDK asks first, below the override; and the worker is where the page says."""
    override = re.search(r"endpointOverride: '([^']+)'", section("Web", "js"))
    worker = re.search(r"importScripts\('([^']+)'\)", PAGE.partition("\n### Web\n")[2])
    assert override is not None
    assert worker is not None

    path = urlsplit(f"{override[1]}/device_api/v1/instances/{ID}/web-vapid-public-key").path
    key = await server.http.get(path, headers={"origin": "https://site.example"})
    script = await server.http.get(urlsplit(worker[1]).path)

    assert f"https://{HOST}" == override[1]
    assert ("*", 200) == (key.headers["access-control-allow-origin"], key.status_code)
    assert (200, True) == (script.status_code, "notificationclick" in script.text)


@pytest.mark.parametrize("has_path", [True, False])
async def test_android(server: Server, *, has_path: bool) -> None:
    """Retrofit puts its relative path behind the value of the manifest, with a path or without."""
    snippet = section("Android", "xml").replace("android:", "")
    found = ET.fromstring(snippet)  # noqa: S314  (our own page)
    assert "com.pusher.pushnotifications:override-host-url" in section("Android", "xml")
    value = found.attrib["value"]
    assert value.endswith("/")
    base = urlsplit(value).path if has_path else "/"

    body = {
        "token": f"fcm-token-{has_path}",
        "knownPreviousClientIds": [],
        "metadata": {"sdkVersion": "1.9.2", "androidVersion": "14"},
    }
    device = await registered(
        server,
        f"{base}instances/{ID}/devices/fcm",
        body,
        **{
            "x-pusher-library": "push-notifications-android 1.9.2",
            "content-type": "application/json; charset=UTF-8",
        },
    )

    assert device.startswith("fcm-")


async def test_ios(server: Server) -> None:
    """The fork's host has the instance id in front, and any host is served."""
    name = re.search(r'hostName = "([^"]+)"', section("iOS and macOS", "swift"))
    assert name is not None

    device = await registered(
        server,
        f"/device_api/v1/instances/{ID}/devices/apns",
        {
            "token": "e4ce6098",
            "bundleIdentifier": "com.example.app",
            "metadata": {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"},
        },
        **{"host": f"{ID}.{name[1]}", "x-pusher-library": "push-notifications-swift 4.0.0"},
    )

    assert HOST == name[1]
    assert device.startswith("apns-")


async def test_flutter_for_web(server: Server) -> None:
    """The wrapped constructor hands its override on, and everything else as it was."""
    script = section("Flutter", "html").replace("<script>", "").replace("</script>", "")
    program = (
        "globalThis.PusherPushNotifications = {Client: class { constructor(c) { this.c = c } }};"
        + script
        + "console.log(JSON.stringify(new PusherPushNotifications.Client({instanceId: 'I'}).c))"
    )

    said = await said_by(NODE, "--eval", program, environment=environment(server))

    assert {"instanceId": "I", "endpointOverride": f"https://{HOST}"} == json.loads(said)


async def test_the_sample_of_devices_can_be_imported() -> None:
    """Every line of the sample is a device."""
    sample = re.search(r"^```jsonl\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert sample is not None
    found = [each for _, each in read(sample[1].splitlines(keepends=True), "jsonl")]
    assert [Record, Record] == [type(each) for each in found]
