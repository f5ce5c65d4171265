"""
Every snippet of the page about moving from IBM, run where its SDK can run here.

For the others the test says to the server what that SDK says (contract §1.3, §3.3), at the
address that the snippet's own setting leads it to.
"""

import json
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from deployment import ROOT
from heliograph.wire.jws import base64url
from judges.javascript import NODE, NODE_FOLDER
from moved import HOST, Server, a_server, request_in, said_by, snippets

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: Final = (ROOT / "docs" / "howto" / "move-from-ibm.md").read_text()
ID: Final = "0f3c3f1e-8c1b-4b39-9d0a-5a8e2c6f7b10"
BASE: Final = f"/imfpush/v1/apps/{ID}"
SITE: Final = "https://www.example.com"
HELLO: Final = {"message": {"alert": "Hello"}, "target": {"userIds": ["user-001"]}}


def section(title: str, language: str) -> str:
    """The first snippet in a language under a heading."""
    return snippets(PAGE, title, language)[0]


def override(snippet: str) -> str:
    """What a snippet sets the host to: scheme and host, without a slash at the end."""
    found = re.search(r"overrideServerHost(?: =|:) [\"']([^\"']+)[\"']", snippet)
    assert found is not None
    assert f"https://{HOST}" == found[1]
    return found[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The page's server, set up as the page says."""
    async with a_server(tmp_path_factory.mktemp("product"), ID) as server:
        for snippet in snippets(PAGE, "What to set up", "http"):
            answer = await server.http.request(**request_in(snippet, secrets(server)))
            assert 200 == answer.status_code, answer.text
        yield server


def secrets(server: Server) -> dict[str, str]:
    return {
        "APP_SECRET": server.instance.app_secret,
        "CLIENT_SECRET": server.instance.client_secret,
    }


def environment(server: Server) -> dict[str, str]:
    home = str(server.ca_file.parent)  # Node's SDK does not start without one
    return secrets(server) | {"PATH": os.environ["PATH"], "HOME": home}


async def send(server: Server, path: str, **headers: str) -> httpx.Response:
    """What a server SDK sends, wherever the page's host is."""
    return await server.http.post(path, json=HELLO, headers=headers)


def is_sent(answer: httpx.Response) -> bool:
    return (202, 8) == (answer.status_code, len(answer.json().get("messageId", "")))


async def test_node(server: Server) -> None:
    """The snippet sends, with the SDK from npm as it is."""
    snippet = section("Node", "js")
    leads_to_us = snippet.replace(override(snippet), f"http://127.0.0.1:{server.port}")

    said = await said_by(
        *(NODE, "--input-type=module", "--eval", leads_to_us),
        environment=environment(server),
        cwd=NODE_FOLDER,
    )

    assert 8 == len(json.loads(said)["messageId"])


async def test_python(server: Server) -> None:
    """The snippet sends, with the client from PyPI as it is."""
    snippet = section("Python", "python").replace(
        f"https://{HOST}", f"http://127.0.0.1:{server.port}"
    )

    said = await said_by(sys.executable, "-c", snippet, environment=environment(server))

    assert re.fullmatch(r"\w{8}", said.strip())


@pytest.mark.parametrize(
    "sdk, language, headers",
    [
        ("Java", "java", {"content-type": "application/json", "accept": "application/json"}),
        ("Swift", "swift", {"content-type": "application/json"}),
    ],
)
async def test_back_ends_with_an_app_secret(
    server: Server, sdk: str, language: str, headers: dict[str, str]
) -> None:
    """The SDK puts the path behind the override, and the secret into its header."""
    snippet = section(sdk, language)
    path = urlsplit(f"{override(snippet)}{BASE}/messages").path

    answer = await send(server, path, appSecret=server.instance.app_secret, **headers)

    assert snippet.index("overrideServerHost") < snippet.index(ID)
    assert is_sent(answer), answer.text


async def token(server: Server, url: str) -> str:
    """What IBM's Go core gets at an IAM address, to which it adds the path."""
    answer = await server.http.post(
        urlsplit(f"{url}/identity/token").path,
        data={
            "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
            "apikey": server.instance.app_secret,
            "response_type": "cloud_iam",
        },
        headers={"accept": "application/json"},
    )
    assert {"access_token", "refresh_token", "token_type", "expires_in", "expiration"} <= set(
        answer.json()
    )
    return f"Bearer {answer.json()['access_token']}"


async def test_go(server: Server) -> None:
    """Both addresses of the snippet: a token from the one, and a message to the other."""
    service, iam = re.findall(r'URL: +"([^"]+)"', section("Go", "go"))

    authorization = await token(server, iam)
    answer = await send(
        server, urlsplit(f"{service}/apps/{ID}/messages").path, authorization=authorization
    )

    assert {HOST} == {urlsplit(each).hostname for each in (service, iam)}
    assert is_sent(answer), answer.text


async def test_terraform(server: Server) -> None:
    """The provider reads and writes settings below one address, with a token from the other."""
    given = dict(re.findall(r"export (\w+)=(\S+)", section("Terraform", "sh")))

    authorization = await token(server, given["IBMCLOUD_IAM_API_ENDPOINT"])
    path = urlsplit(f"{given['IBMCLOUD_PUSH_API_ENDPOINT']}/apps/{ID}/settings/gcmConf").path
    headers = {"authorization": authorization, "accept": "application/json"}
    written = await server.http.put(
        path, json={"apiKey": "unused", "senderId": "123456789012"}, headers=headers
    )
    read = await server.http.get(path, headers=headers)

    assert (200, 200) == (written.status_code, read.status_code), written.text
    assert "123456789012" == read.json()["senderId"]


async def test_openwhisk(server: Server) -> None:
    """The action's host is bare, and what it posts has the app secret."""
    given = dict(re.findall(r"--param (\w+) (\S+)", section("OpenWhisk", "sh")))
    path = f"/imfpush/v1/apps/{given['appGuid']}/messages"

    answer = await send(server, path, appSecret=server.instance.app_secret)

    assert (HOST, ID) == (given["apiHost"], given["appGuid"])
    assert is_sent(answer), answer.text


async def test_by_hand(server: Server) -> None:
    """The request of the page, as it stands there."""
    answer = await server.http.request(**request_in(section("By hand", "http"), secrets(server)))

    assert is_sent(answer), answer.text


async def registers(
    server: Server, device: str, token: str, platform: str, **headers: str
) -> httpx.Response:
    """What every client SDK does at its first launch: it asks for its device, and makes it."""
    own = {"clientSecret": server.instance.client_secret} | headers
    asked = await server.http.get(f"{BASE}/devices/{device}", headers=own)
    assert 404 == asked.status_code, asked.text
    body = {"deviceId": device, "token": token, "platform": platform, "userId": "user-001"}
    return await server.http.post(f"{BASE}/devices", json=body, headers=own)


async def test_ios(server: Server) -> None:
    """Contract §1.3: the override goes into each URL and, needlessly, into a header."""
    snippet = section("iOS", "swift")

    answer = await registers(
        server, "IOS-1", "00ff", "A", **{"x-rewrite-domain": override(snippet)}
    )

    assert snippet.index("overrideServerHost") < snippet.index(ID)
    assert (201, "user-001") == (answer.status_code, answer.json()["userId"])


async def test_android(server: Server) -> None:
    """Contract §1.3: the SDK asks for the sender first, and counts the slashes of its address."""
    snippet = section("Android", "java")
    messages = f"{override(snippet)}{BASE}/messages"
    secret = {"clientSecret": server.instance.client_secret}

    sender = await server.http.get(f"{BASE}/settings/gcmConfPublic", headers=secret)
    answer = await registers(server, "ANDROID-1", "token", "G", **{"x-rewrite-domain": ""})

    assert (ID, True) == (
        messages.split("/")[6],
        snippet.index("overrideServerHost") < snippet.index("initialize("),
    )
    assert (200, {"senderId": "123456789012"}) == (sender.status_code, sender.json())
    assert (201, "ANDROID-1") == (answer.status_code, answer.json()["deviceId"])


@pytest.mark.parametrize("language, sdk", [("java", "MFPPush"), ("swift", "BMSPushClient")])
async def test_cordova(language: str, sdk: str) -> None:
    """Contract §1.3: its native halves are the SDKs above, with the same statics."""
    snippet = section("Cordova", language)

    override(snippet)
    assert f"{sdk}.overrideServerHost" in snippet


async def test_web(server: Server) -> None:
    """Contract §2.6: each of the SDK's requests is asked for beforehand, from the site named."""
    override(section("Web", "js"))
    secret = {"clientSecret": server.instance.client_secret}

    preflight = await server.http.options(
        f"{BASE}/devices",
        headers={
            "origin": SITE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "clientsecret,content-type",
        },
    )
    key = await server.http.get(f"{BASE}/settings/webpushServerKey", headers=secret)
    asked = await server.http.get(
        f"{BASE}/devices/WEB-1",
        headers=secret | {"origin": SITE, "content-type": "application/json; charset = UTF-8"},
    )

    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] in {"*", SITE}
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert ("clientsecret" in allowed, "content-type" in allowed) == (True, True)
    assert base64url(server.instance.vapid.public_key) == key.json()["webpushServerKey"]
    assert (404, True) == (asked.status_code, "access-control-allow-origin" in asked.headers)


@pytest.mark.parametrize(
    "key, is_given_up", [("own", False), ("another's", True), ("none", False), ("no one", False)]
)
async def test_a_subscription_of_old(server: Server, key: str, *, is_given_up: bool) -> None:
    """The site gives up what is bound to another's key, and nothing else."""
    own = list(server.instance.vapid.public_key)
    keys = {"own": own, "another's": [4, *own[:0:-1]], "none": None}
    subscription: Any = {"options": {"applicationServerKey": keys.get(key)}}
    program = (
        f"const found = {json.dumps(None if key == 'no one' else subscription)};"
        "if (found?.options.applicationServerKey)"
        " found.options.applicationServerKey ="
        " Uint8Array.from(found.options.applicationServerKey).buffer;"
        "let isGivenUp = false;"
        "if (found) found.unsubscribe = async () => { isGivenUp = true; };"
        "const pushManager = { getSubscription: async () => found };"
        "Object.defineProperty(globalThis, 'navigator',"
        " { value: { serviceWorker: { ready: Promise.resolve({ pushManager }) } } });"
        + snippets(PAGE, "Web", "js")[1].replace(
            "VAPID_PUBLIC_KEY", base64url(server.instance.vapid.public_key)
        )
        + "console.log(JSON.stringify(isGivenUp))"
    )

    said = await said_by(
        *(NODE, "--input-type=module", "--eval", program), environment=environment(server)
    )

    assert is_given_up == json.loads(said)


async def test_the_page_speaks_of_one_instance() -> None:
    """Every GUID on it is the one that the tests use."""
    assert {ID} == set(re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", PAGE))
