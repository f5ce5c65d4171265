"""Tokens for an API key, as IBM's identity service gave them."""

from datetime import timedelta

import httpx
import msgspec
import pytest

from api.ibm.words import App
from builders import NOW
from heliograph.api.ibm import tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

API_KEY = "urn:ibm:params:oauth:grant-type:apikey"


async def ask(app: App, **form: str) -> httpx.Response:
    """Ask for a token."""
    return await app.http.post("/identity/token", data=form)


async def test_a_key_is_exchanged_for_a_token(app: App) -> None:
    """Contract §1.4: everything that clients look for, the client on PyPI among them."""
    reply = await ask(app, grant_type=API_KEY, apikey=app.instance.app_secret)

    told = reply.json()
    assert 200 == reply.status_code
    assert ("Bearer", 3600, "ibm openid") == (
        told["token_type"],
        told["expires_in"],
        told["scope"],
    )
    assert isinstance(told["expiration"], int)
    assert "ims_user_id" in told
    assert told["access_token"] != told["refresh_token"]


async def test_a_token_says_what_tools_read_in_it(app: App) -> None:
    """Contract §1.4: IBM's Terraform provider does not go on without these claims."""
    grant = tokens.grant(app.instance, now=NOW)
    _, claims, _ = str(grant["access_token"]).split(".")

    read = msgspec.json.decode(msgspec.json.decode(b'"' + _padded(claims) + b'"', type=bytes))
    assert {"id", "iss", "account"} <= set(read)
    assert read["account"]["bss"]


def _padded(part: str) -> bytes:
    text = part.replace("-", "+").replace("_", "/")
    return (text + "=" * (-len(text) % 4)).encode()


@pytest.mark.parametrize("extra", [{}, {"response_type": "cloud_iam"}, {"unknown": "x"}])
async def test_what_some_clients_add_is_ignored(app: App, extra: dict[str, str]) -> None:
    """Contract §1.4: also the Basic credentials of IBM's own tools."""
    form = {"grant_type": API_KEY, "apikey": app.instance.app_secret} | extra

    reply = await app.http.post(
        "/identity/token", data=form, headers={"authorization": "Basic Yng6Yng="}
    )

    assert 200 == reply.status_code


async def test_a_token_is_renewed(app: App) -> None:
    """Contract §1.4: the client on PyPI does so all the time, with the key in a header."""
    first = (await ask(app, grant_type=API_KEY, apikey=app.instance.app_secret)).json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    renewed = await app.http.post(
        "/identity/token", data=form, headers={"apikey": app.instance.app_secret}
    )
    as_access = await app.http.get(
        app.path("/devices"), headers={"authorization": first["refresh_token"]}
    )

    assert 200 == renewed.status_code
    assert 401 == as_access.status_code


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": API_KEY, "apikey": "wrong"},
        {"grant_type": API_KEY},
        {"grant_type": "password", "apikey": "{key}"},
        {"apikey": "{key}"},
        {"grant_type": "refresh_token", "apikey": "{key}", "refresh_token": "x.y.z"},
        {"grant_type": "refresh_token", "apikey": "{key}"},
    ],
)
async def test_what_is_no_key(app: App, form: dict[str, str]) -> None:
    """Contract §1.4: 400, as at IBM, in the form of every error."""
    filled = {name: value.format(key=app.instance.app_secret) for name, value in form.items()}

    reply = await ask(app, **filled)

    assert (400, {"message", "code"}) == (reply.status_code, set(reply.json()))


async def test_what_is_no_form(app: App) -> None:
    """415 for JSON, 400 for what cannot be read, and another method is none."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    replies = [
        await app.http.post("/identity/token", json={}),
        await app.http.post("/identity/token", content=b"\xff", headers=form),
        await app.http.post("/identity/token", content=b"a=b&" * 30, headers=form),
        await app.http.post("/identity/token", content=b"a" * 20_000, headers=form),
        await app.http.get("/identity/token"),
    ]

    assert [415, 400, 400, 400, 405] == [each.status_code for each in replies]
    assert all({"message", "code"} == set(each.json()) for each in replies)


@pytest.mark.parametrize(
    "use, age, holds",
    [
        ("access", timedelta(minutes=59), True),
        ("access", timedelta(hours=1), False),
        ("refresh", timedelta(days=29), True),
        ("refresh", timedelta(days=30), False),
    ],
)
async def test_a_token_is_good_for_a_while(app: App, use: str, age: timedelta, holds: bool) -> None:
    """Contract §1.4: an hour; what renews it, thirty days."""
    token = str(tokens.grant(app.instance, now=NOW)[f"{use}_token"])
    kind = "access" if use == "access" else "refresh"

    assert holds == tokens.is_token(token, app.instance, now=NOW + age, use=kind)  # type: ignore[arg-type]  # one of the two
