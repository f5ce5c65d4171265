"""Settings of the platforms: put, told back without secrets, and forgotten."""

import base64
import json
from typing import Any

import httpx
import msgspec
import pytest

from api import credentials
from api.ibm.words import App
from heliograph.model import ApnsCertificate, ApnsCredentials, FcmCredentials, ServiceAccount
from heliograph.wire.jws import base64url

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAFARI: dict[str, str] = {
    "websiteName": "Shop",
    "urlFormatString": "https://shop.example/%@",
    "websitePushID": "web.com.example.shop",
    "webSiteUrl": "https://shop.example/",
}


def p12(topic: str = "com.example.app", **options: Any) -> bytes:
    """A file as Keychain exports it."""
    return base64.b64decode(credentials.apns_p12(topic=topic, **options)["p12"])


def service_account(**changes: str) -> dict[str, str]:
    """What Google gives to who may send for a project."""
    address = {"token_uri": "https://oauth2.googleapis.com/token"}
    account: dict[str, str] = credentials.fcm(**address | changes)["service_account"]
    return account


LONG_KEY = service_account() | {"private_key": "x" * 4097}


async def put_form(
    app: App, path: str, fields: dict[str, str], **files: tuple[str, bytes]
) -> httpx.Response:
    """Put a form with files."""
    return await app.http.put(
        app.path(f"/settings/{path}"), data=fields, files=files, headers=app.backend
    )


async def instance_of(app: App) -> Any:
    """The instance as it is now."""
    app.product.instances.forget()
    return await app.product.instances.find(app.instance.id)


# --- one after the other -------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["apnsConf", "gcmConf", "chromeWebConf", "firefoxWebConf", "safariWebConf", "chromeAppExtConf"],
)
async def test_what_was_never_put_is_told_so(app: App, path: str) -> None:
    """Contract §6: FPWSE0003E, to read it and to delete it."""
    for method in ("GET", "DELETE"):
        reply = await app.ask(method, f"/settings/{path}", as_backend=True)
        assert (404, "FPWSE0003E") == (reply.status_code, reply.json()["code"])


@pytest.mark.parametrize(
    "path, body",
    [
        ("gcmConf", {"apiKey": "K", "senderId": "1"}),
        ("chromeAppExtConf", {"apiKey": "K", "senderId": "2"}),
        ("chromeWebConf", {"apiKey": "K", "webSiteUrl": "https://shop.example"}),
        ("firefoxWebConf", {"webSiteUrl": "https://shop.example:8443"}),
    ],
)
async def test_settings_in_json(app: App, path: str, body: dict[str, str]) -> None:
    """Contract §6, 13.16: put, read and deleted; PUT answers the same as GET."""
    put = await app.ask("PUT", f"/settings/{path}", body, as_backend=True)
    shown = await app.ask("GET", f"/settings/{path}", as_backend=True)
    gone = await app.ask("DELETE", f"/settings/{path}", as_backend=True)
    missing = await app.ask("GET", f"/settings/{path}", as_backend=True)

    assert (200, body, body) == (put.status_code, put.json(), shown.json())
    assert (204, b"", 404) == (gone.status_code, gone.content, missing.status_code)


async def test_a_setting_leaves_the_others_alone(app: App) -> None:
    """All of them are one document; a change is of one."""
    await app.ask("PUT", "/settings/gcmConf", {"apiKey": "K", "senderId": "1"}, as_backend=True)
    site = {"webSiteUrl": "https://shop.example"}
    await app.ask("PUT", "/settings/firefoxWebConf", site, as_backend=True)
    await app.ask("DELETE", "/settings/firefoxWebConf", as_backend=True)

    shown = await app.ask("GET", "/settings/gcmConf", as_backend=True)
    assert {"apiKey": "K", "senderId": "1"} == shown.json()


@pytest.mark.parametrize("path", ["gcmConf", "chromeAppExtConf"])
async def test_the_sender_of_a_device(app: App, path: str) -> None:
    """Contract §3.3, §6, 13.5: with the client secret; Android asks at every registration."""
    missing = await app.ask("GET", f"/settings/{path}Public")
    body = {"apiKey": "K", "senderId": "123456789012"}
    await app.ask("PUT", f"/settings/{path}", body, as_backend=True)

    shown = await app.ask("GET", f"/settings/{path}Public")

    assert (404, "FPWSE0003E") == (missing.status_code, missing.json()["code"])
    assert (200, {"senderId": "123456789012"}) == (shown.status_code, shown.json())


async def test_the_key_with_which_browsers_subscribe(app: App) -> None:
    """Contract §6, 13.16: the VAPID key, in base64url."""
    shown = await app.ask("GET", "/settings/webpushServerKey")

    assert {"webpushServerKey": base64url(app.instance.vapid.public_key)} == shown.json()


async def test_a_service_account_is_what_sends(app: App) -> None:
    """An ``apiKey`` may be a service account's JSON: it sends, and its key is never told back."""
    account = service_account()
    body = {"apiKey": json.dumps(account), "senderId": "1"}

    put = await app.ask("PUT", "/settings/gcmConf", body, as_backend=True)

    assert {"apiKey": account["client_email"], "senderId": "1"} == put.json()
    assert account["project_id"] == (await instance_of(app)).fcm.service_account.project_id
    await app.ask("DELETE", "/settings/gcmConf", as_backend=True)
    assert (await instance_of(app)).fcm is None


async def test_a_certificate_for_apps(app: App) -> None:
    """Contract §6: a .p12 with its password; its name, its end and where it is for are told."""
    file = ("push.p12", p12(password="secret"))

    put = await put_form(
        app, "apnsConf", {"password": "secret", "isSandBox": "true"}, certificate=file
    )

    told = put.json()
    assert (200, "push.p12", True) == (put.status_code, told["certificate"], told["isSandBox"])
    assert told["validUntil"].endswith("Z")
    identity = (await instance_of(app)).apns
    assert isinstance(identity, ApnsCertificate)
    assert "com.example.app" == identity.topic
    assert told == (await app.ask("GET", "/settings/apnsConf", as_backend=True)).json()
    await app.ask("DELETE", "/settings/apnsConf", as_backend=True)
    assert (await instance_of(app)).apns is None


@pytest.mark.parametrize("called", ["AuthKey.p8", "filename"])
async def test_a_key_for_apps(app: App, called: str) -> None:
    """Contract §14.5: a .p8 with what Apple knows it by, in names of ours, whatever its own."""
    names = {"keyId": "KEY1234567", "teamId": "TEAM123456", "bundleId": "com.example.app"}
    file = (called, credentials.p256_key().encode())

    put = await put_form(app, "apnsConf", names, certificate=file)

    assert names == {name: put.json()[name] for name in names}
    identity = (await instance_of(app)).apns
    assert isinstance(identity, ApnsCredentials)
    assert ("KEY1234567", "com.example.app") == (identity.key_id, identity.topic)


@pytest.mark.parametrize(
    "address",
    ["http://oauth2.googleapis.com/token", "https://10.0.0.1/", "https://xgoogleapis.com"],
)
async def test_a_token_is_asked_for_at_google_only(app: App, address: str) -> None:
    """Who puts settings leads us nowhere else: not into the operator's network, say."""
    before = app.dump()
    account = json.dumps(service_account(token_uri=address))

    body = {"apiKey": account, "senderId": "1"}
    reply = await app.ask("PUT", "/settings/gcmConf", body, as_backend=True)

    assert (400, True) == (reply.status_code, "token_uri" in reply.json()["message"])
    assert before == app.dump()


async def test_an_account_goes_with_the_last_setting_that_names_it(app: App) -> None:
    """Android and Chrome's extensions share it; neither takes it from the other."""
    body = {"apiKey": json.dumps(service_account()), "senderId": "1"}
    for path in ("gcmConf", "chromeAppExtConf"):
        await app.ask("PUT", f"/settings/{path}", body, as_backend=True)

    await app.ask("DELETE", "/settings/gcmConf", as_backend=True)
    kept = (await instance_of(app)).fcm
    await app.ask("DELETE", "/settings/chromeAppExtConf", as_backend=True)

    assert (True, None) == (kept is not None, (await instance_of(app)).fcm)


async def test_an_account_of_the_operators_stays(app: App) -> None:
    """A setting that only had an older key takes no credentials with it."""
    body = {"apiKey": "an older key", "senderId": "1"}
    await app.ask("PUT", "/settings/gcmConf", body, as_backend=True)
    account = msgspec.convert(service_account(), ServiceAccount)
    await app.product.instances.set_fcm(app.instance.id, FcmCredentials(account))

    await app.ask("DELETE", "/settings/gcmConf", as_backend=True)

    assert (await instance_of(app)).fcm is not None


async def test_what_the_operator_did_since_is_shown(app: App) -> None:
    """GET tells what is sent with now, not what was put here once."""
    await put_form(app, "apnsConf", {}, certificate=("push.p12", p12()))
    value = credentials.apns()
    key = ApnsCredentials(value["key"], value["key_id"], value["team_id"], value["topic"])

    await app.product.instances.set_apns(app.instance.id, key)
    put = (await app.ask("GET", "/settings/apnsConf", as_backend=True)).json()
    await app.product.instances.remove_credentials(app.instance.id, apns=True)
    taken = await app.ask("GET", "/settings/apnsConf", as_backend=True)

    assert ("", value["topic"]) == (put["certificate"], put["bundleId"])
    assert (404, "FPWSE0003E") == (taken.status_code, taken.json()["code"])


@pytest.mark.parametrize(
    "address, origin",
    [
        ("https://Shop.Example:443/a?b#c", "https://shop.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
async def test_a_site_is_kept_as_browsers_name_it(app: App, address: str, origin: str) -> None:
    """RFC 6454 §6.2: lower case, without the scheme's own port, or no browser is let in."""
    body = {"webSiteUrl": address}
    put = await app.ask("PUT", "/settings/firefoxWebConf", body, as_backend=True)

    assert {"webSiteUrl": origin} == put.json()


async def test_what_the_operator_put_is_shown(app: App) -> None:
    """Credentials of the admin API are the instance's, too."""
    value = credentials.apns()
    await app.product.instances.set_apns(
        app.instance.id,
        ApnsCredentials(value["key"], value["key_id"], value["team_id"], value["topic"]),
    )

    shown = (await app.ask("GET", "/settings/apnsConf", as_backend=True)).json()

    assert value["topic"] == shown["bundleId"]
    assert "PRIVATE" not in str(shown)


async def test_a_site_for_safari(app: App) -> None:
    """Contract §6: its certificate is for the site alone, and devices have its name as topic."""
    file = ("site.p12", p12("web.com.example.shop"))
    await put_form(app, "safariWebConf", SAFARI, certificate=file)

    shown = (await app.ask("GET", "/settings/safariWebConf", as_backend=True)).json()

    expected = SAFARI | {"webSiteUrl": "https://shop.example", "certificate": "site.p12"}
    assert expected == {name: shown[name] for name in expected}
    known = await instance_of(app)
    assert (None, "web.com.example.shop") == (known.apns, known.website.topic)
    await app.register("S", platform="WEB_SAFARI", token="ab" * 32)
    await app.ask("DELETE", "/settings/safariWebConf", as_backend=True)
    assert (await instance_of(app)).website is None


async def test_everything_there_is_to_set(app: App) -> None:
    """Contract §6: links, as text; and whether devices need the secret for everything."""
    shown = (await app.ask("GET", "/settings", as_backend=True)).json()

    assert shown["gcmConf"].endswith(f"/apps/{app.instance.id}/settings/gcmConf")
    assert shown["verifyClientSecret"]


async def test_whether_devices_need_the_secret(app: App) -> None:
    """Contract §2.2, §2.3: it is switched where settings are."""
    put = await app.ask("PUT", "/settings", {"verifyClientSecret": False}, as_backend=True)

    assert (200, False) == (put.status_code, put.json()["verifyClientSecret"])
    assert not (await instance_of(app)).verify_client_secret


@pytest.mark.parametrize(
    "path, body",
    [
        ("gcmConf", {"senderId": "1"}),
        ("gcmConf", {"apiKey": "K"}),
        ("gcmConf", {"apiKey": "{}", "senderId": "1"}),
        ("gcmConf", {"apiKey": 7, "senderId": "1"}),
        ("gcmConf", {"apiKey": "K" * 8193, "senderId": "1"}),
        ("gcmConf", {"apiKey": json.dumps(LONG_KEY), "senderId": "1"}),
        ("gcmConf", {"apiKey": "K", "senderId": "1" * 255}),
        ("gcmConf", {"apiKey": '{"a":' * 1300 + "1" + "}" * 1300, "senderId": "1"}),
        ("chromeWebConf", {"apiKey": "K" * 8193, "webSiteUrl": "https://shop.example"}),
        ("chromeWebConf", {"apiKey": "K", "webSiteUrl": "http://shop.example"}),
        ("firefoxWebConf", {"webSiteUrl": "nowhere"}),
        ("firefoxWebConf", {"webSiteUrl": "https://shop.example:x"}),
        ("firefoxWebConf", {"webSiteUrl": "https://[shop"}),
        ("firefoxWebConf", {"webSiteUrl": "https://shop .example"}),
        ("firefoxWebConf", {"webSiteUrl": "https://shop,example"}),
        ("firefoxWebConf", {}),
    ],
)
async def test_what_no_setting_can_be(app: App, path: str, body: dict[str, Any]) -> None:
    """400 with the parameter, and nothing is kept."""
    before = app.dump()

    reply = await app.ask("PUT", f"/settings/{path}", body, as_backend=True)

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])
    assert before == app.dump()


@pytest.mark.parametrize(
    "path, fields, files",
    [
        ("apnsConf", {}, {"other": ("a.p12", b"x")}),
        ("apnsConf", {}, {"certificate": ("a.p12", b"no p12")}),
        ("apnsConf", {"password": "wrong"}, {"certificate": ("a.p12", b"")}),
        ("apnsConf", {"isSandBox": "maybe"}, {"certificate": ("a.p12", b"")}),
        ("apnsConf", {"keyId": "K"}, {"certificate": ("a.p8", b"x")}),
        ("safariWebConf", {}, {"certificate": ("a.p12", b"x")}),
        ("safariWebConf", SAFARI | {"websitePushID": "com.a"}, {"certificate": ("a.p12", b"x")}),
        ("safariWebConf", SAFARI | {"urlFormatString": "x"}, {"certificate": ("a.p12", b"x")}),
        (
            "safariWebConf",
            SAFARI | {"urlFormatString": "http://["},
            {"certificate": ("a.p12", b"x")},
        ),
        (
            "safariWebConf",
            SAFARI | {"webSiteUrl": "https://["},
            {"certificate": ("a.p12", p12(""))},
        ),
        ("safariWebConf", SAFARI | {"websiteName": "x" * 255}, {"certificate": ("a.p12", p12(""))}),
        ("apnsConf", {}, {"certificate": ("a" * 255, p12())}),
        ("apnsConf", {"keyId": "K"}, {"certificate": ("a.p8", b"x" * 4097)}),
        ("safariWebConf", SAFARI, {"certificate": ("a.p12", b"x"), "icon_16x16": ("i", b"x")}),
    ],
)
async def test_what_no_form_can_be(
    app: App, path: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]]
) -> None:
    """400 with the parameter, and nothing is kept; no content of a file is told."""
    before = app.dump()

    reply = await put_form(app, path, fields | {"x": "y"}, **files)

    assert 400 == reply.status_code
    assert "FPWSE0005E" == reply.json()["code"]
    assert before == app.dump()


@pytest.mark.parametrize("part", ["websiteName", "\\ud800"])
async def test_a_form_in_a_charset_that_makes_no_text(app: App, part: str) -> None:
    """400: a client may name any charset, and one of them writes halves of characters."""
    kind = {"content-type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    body = f'--x\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n\\ud800\r\n--x--\r\n'

    reply = await app.http.put(
        app.path("/settings/safariWebConf"), content=body.encode(), headers=app.backend | kind
    )

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])


async def test_another_sites_certificate(app: App) -> None:
    """The answer names the parameter that is wrong, as it is called in this setting."""
    file = ("site.p12", p12("web.com.example.other"))

    reply = await put_form(app, "safariWebConf", SAFARI, certificate=file)

    assert 400 == reply.status_code
    assert "'websitePushID'" in reply.json()["message"]


async def test_what_is_no_form(app: App) -> None:
    """415 for JSON; 400 for a broken form, and for one that is too large."""
    url, headers = app.path("/settings/apnsConf"), app.backend
    broken = headers | {"content-type": "multipart/form-data; boundary=x"}

    json_body = await app.http.put(url, json={}, headers=headers)
    replies = [
        await app.http.put(url, content=content, headers=broken)
        for content in (b"nonsense", b"--x\r\nno: name\r\n\r\n1\r\n--x--", b"x" * 1_048_577)
    ]
    unbounded = headers | {"content-type": "multipart/form-data"}
    replies.append(await app.http.put(url, content=b"--x", headers=unbounded))

    assert 415 == json_body.status_code
    assert [400] * 4 == [each.status_code for each in replies]
    assert {"FPWSE0004E", "FPWSE0005E"} >= {each.json()["code"] for each in replies}


async def test_settings_are_for_back_ends(app: App) -> None:
    """Contract §2.2: a device sees its sender and the server's key, and nothing else."""
    for path in ("/settings", "/settings/gcmConf", "/settings/apnsConf"):
        assert 401 == (await app.ask("GET", path)).status_code


async def test_nothing_is_kept_in_clear(app: App) -> None:
    """Keys lie sealed in the database."""
    body = {"apiKey": "a-key-of-google", "senderId": "1"}
    await app.ask("PUT", "/settings/gcmConf", body, as_backend=True)

    assert "a-key-of-google" not in str(app.dump())
