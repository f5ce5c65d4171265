"""Users: logged in with a Beams token, deleted by the customer's back end."""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from api.beams.words import Beams, problem
from heliograph.wire import jws
from support import in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW: Final = int(datetime.now(UTC).timestamp())
DAY: Final = 86_400
FORGED: Final = (401, "Unauthorized", "Invalid JWT: it is not signed by this instance")


async def bind(beams: Beams, device: str, token: str) -> tuple[int, str, str]:
    """The answer to logging in with a token: its status, and what it says."""
    reply = await beams.http.put(f"{device}/user", headers={"authorization": f"Bearer {token}"})
    said = reply.json() if reply.content else {"error": "", "description": ""}
    return reply.status_code, said["error"], said["description"]


async def user_of(beams: Beams, device: str) -> str:
    """Who is logged in on a device."""
    user: str = (await beams.http.get(device)).json()["userId"]
    return user


# --- logging in ----------------------------------------------------------------------


@pytest.mark.parametrize("gateway", ["apns", "fcm", "web"])
async def test_the_user_is_the_one_the_token_names(beams: Beams, gateway: str) -> None:
    """The request itself names nobody; answering is an empty 200."""
    device = await beams.new_device(gateway)

    answer = await bind(beams, device, beams.token("cucas"))

    assert ((200, "", ""), "cucas") == (answer, await user_of(beams, device))


async def test_the_same_user_may_log_in_again(beams: Beams) -> None:
    """SDKs repeat the call at every launch."""
    device = await beams.new_device()
    await beams.log_in(device, "u")
    before = beams.dump()

    answer = await bind(beams, device, beams.token("u"))

    assert ((200, "", ""), before) == (answer, beams.dump())


async def test_another_user_must_wait_until_the_device_is_cleared(beams: Beams) -> None:
    """A device belongs to one person until it is deleted."""
    device = await beams.new_device()
    await beams.log_in(device, "one")

    answer = await bind(beams, device, beams.token("other"))

    assert (400, "Bad request", "A User Id is already associated with this device") == answer
    assert "one" == await user_of(beams, device)


async def test_a_person_has_so_many_devices_and_no_more(tmp_path: Path) -> None:
    """The last device that is allowed is taken; one more is 422, until one of them is cleared."""
    async with in_process(tmp_path, max_devices_per_user=2) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        devices = [await beams.new_device() for _ in range(3)]

        answers = [await bind(beams, device, beams.token("u")) for device in devices]
        again = await bind(beams, devices[0], beams.token("u"))
        other = await bind(beams, devices[2], beams.token("another"))
        await beams.http.delete(devices[2])
        await beams.http.delete(devices[0])
        third = await bind(beams, await beams.new_device(), beams.token("u"))

    refusal = "User has reached the maximum of 2 devices"
    assert [(200, "", ""), (200, "", ""), (422, "Unprocessable Entity", refusal)] == answers
    assert [(200, "", "")] * 3 == [again, other, third]


@pytest.mark.parametrize("user", ["u", "é" * 164, "Stop!' said/Fred", "\U0001f600"])
async def test_any_text_may_be_a_user(beams: Beams, user: str) -> None:
    """A user id has 1 to 164 characters of any kind."""
    device = await beams.new_device()

    await beams.log_in(device, user)

    assert user == await user_of(beams, device)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iat": NOW}, id="Node tells when it was made"),
        pytest.param({"iat": NOW + 240}, id="a clock that is four minutes ahead"),
        pytest.param({"iss": "{}.pushnotifications.pusher.com"}, id="Swift leaves the scheme out"),
        pytest.param({"nbf": NOW}, id="a time from which it holds"),
        pytest.param({"exp": NOW + DAY + 0.5}, id="a fraction of a second"),
        pytest.param({"exp": NOW + 30 * DAY}, id="a month"),
        pytest.param({"aud": "x", "unknown": [1]}, id="claims that we do not know"),
    ],
)
async def test_tokens_that_hold(beams: Beams, changes: dict[str, Any]) -> None:
    """What the server SDKs write differs, and all of it is taken."""
    device = await beams.new_device()
    if "iss" in changes:
        changes = {"iss": changes["iss"].format(beams.instance.id)}

    assert (200, "", "") == await bind(beams, device, beams.token("u", **changes))


@pytest.mark.parametrize(
    "changes,status,description",
    [
        ({"exp": NOW - 1}, 401, "Invalid JWT claims: Token is expired"),
        ({"exp": 0}, 401, "Invalid JWT claims: Token is expired"),
        ({"iat": NOW + 3600}, 401, "Invalid JWT claims: Token used before issued"),
        ({"nbf": NOW + 3600}, 401, "Invalid JWT claims: Token used before issued"),
        ({"exp": None}, 400, "Invalid JWT claims: exp is missing or not a number"),
        ({"exp": "tomorrow"}, 400, "Invalid JWT claims: exp is missing or not a number"),
        ({"exp": True}, 400, "Invalid JWT claims: exp is missing or not a number"),
        ({"exp": 2**53}, 400, "Invalid JWT claims: exp is missing or not a number"),
        ({"sub": None}, 400, "Invalid JWT claims: sub is missing or not text"),
        ({"sub": 7}, 400, "Invalid JWT claims: sub is missing or not text"),
        ({"sub": ""}, 400, "Invalid JWT claims: sub must not be empty"),
        ({"sub": "a" * 165}, 400, "Invalid JWT claims: sub is too long, max length is 164"),
        (
            {"sub": "a\nb"},
            400,
            "Invalid JWT claims: sub must be Unicode text without control characters",
        ),
        (
            {"sub": "\x00"},
            400,
            "Invalid JWT claims: sub must be Unicode text without control characters",
        ),
        ({"iss": None}, 400, "Invalid JWT claims: iss is missing or not text"),
        ({"iss": 7}, 400, "Invalid JWT claims: iss is missing or not text"),
        ({"iss": ""}, 403, "Invalid JWT claims: iss is not this instance"),
        (
            {"iss": "https://1b880590-6301-4bb5-b34f-45db1c5f5644.pushnotifications.pusher.com"},
            403,
            "Invalid JWT claims: iss is not this instance",
        ),
    ],
)
async def test_a_token_whose_claims_do_not_hold(
    beams: Beams, changes: dict[str, Any], status: int, description: str
) -> None:
    """What is missing is 400, another instance's 403, out of its time 401; nobody is logged in."""
    device = await beams.new_device()

    answer = await bind(beams, device, beams.token(**({"user": "u"} | renamed(changes))))

    titles = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden"}
    assert (status, titles[status], description) == answer
    assert "" == await user_of(beams, device)


def renamed(changes: dict[str, Any]) -> dict[str, Any]:
    """The subject is an argument of its own."""
    return {"user" if name == "sub" else name: value for name, value in changes.items()}


async def test_a_token_that_we_did_not_sign(beams: Beams) -> None:
    """Without our signature it is nobody's word, whatever it says about how it was signed."""
    device = await beams.new_device()
    good = beams.token("u")
    header, claims, signature = good.split(".")
    none = jws.base64url(b'{"alg":"none","typ":"JWT"}')
    other = await beams.product.instances.create("other")
    theirs = Beams(beams.product, other, beams.http, beams.folder).token(
        "u", iss=f"https://{beams.instance.id}.pushnotifications.pusher.com"
    )

    answers = [
        await bind(beams, device, token)
        for token in (
            "x",
            "a.b.c",
            f"{header}.{claims}.",
            f"{header}.{claims}",
            f"{none}.{claims}.",
            f"{none}.{claims}.{signature}",
            f"{header}.{jws.base64url(b'[]')}.{signature}",
            f"{header}.{claims}.{signature[:-1]}",
            f"{good}.{signature}",
            theirs,
        )
    ]

    assert [FORGED] * 10 == answers
    assert "" == await user_of(beams, device)


def signed(beams: Beams, header: dict[str, str], key: bytes) -> str:
    """A good token, but for what is given."""
    claims = beams.token("u").split(".")[1]
    signed = f"{jws.base64url(json.dumps(header).encode())}.{claims}"
    return f"{signed}.{jws.base64url(hmac.digest(key, signed.encode(), 'sha256'))}"


async def test_a_token_need_not_say_that_it_is_one(beams: Beams) -> None:
    """§6: Ruby's SDK leaves ``typ`` out."""
    token = signed(beams, {"alg": "HS256"}, beams.instance.secret_keys[0].encode())

    assert (200, "", "") == await bind(beams, await beams.new_device(), token)


async def test_a_key_is_its_text(beams: Beams) -> None:
    """§6: a token that was signed with what the key's digits stand for is not signed by it."""
    token = signed(beams, {"alg": "HS256"}, bytes.fromhex(beams.instance.secret_keys[0]))

    assert FORGED == await bind(beams, await beams.new_device(), token)


async def test_a_token_of_the_key_that_is_being_replaced(beams: Beams) -> None:
    """Back ends may go on signing with the old key until the next rotation."""
    device = await beams.new_device()
    token = beams.token("u")
    await beams.product.instances.rotate_key(beams.instance.id)

    assert (200, "", "") == await bind(beams, device, token)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic x", "{}"])
async def test_without_a_bearer_there_is_no_user(beams: Beams, authorization: str | None) -> None:
    """A header that is missing or of another kind is answered 401."""
    device = await beams.new_device()
    headers = {} if authorization is None else {"authorization": authorization.format("x")}

    reply = await beams.http.put(f"{device}/user", headers=headers)

    assert (
        401,
        problem("Unauthorized", "The Authorization header must hold a Beams token"),
    ) == (reply.status_code, reply.json())


@pytest.mark.parametrize("device", ["fcm-unknown", "fcm-"])
async def test_a_token_is_judged_before_its_device(beams: Beams, device: str) -> None:
    """Who may not speak for a user does not learn which devices there are."""
    path = beams.path(f"/devices/fcm/{device}")

    answers = [await bind(beams, path, "x"), await bind(beams, path, beams.token("u"))]

    assert [FORGED, (404, "Not found", "Device not found")] == answers


# --- deleting ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "escaped,user",
    [
        pytest.param("Stop!'%20said%2FFred", "Stop!' said/Fred", id="Node"),
        pytest.param("Stop%21%27%20said%2FFred", "Stop!' said/Fred", id="Go"),
        pytest.param("Stop%21%27%20said/Fred", "Stop!' said/Fred", id="Python"),
        pytest.param("Stop%21%27+said%2FFred", "Stop!'+said/Fred", id="Ruby, PHP and Java"),
        pytest.param("a+b", "a+b", id="Go's plus"),
        pytest.param("a%2Bb", "a+b", id="Node's plus"),
        pytest.param("%C3%A9" * 164, "é" * 164, id="the longest"),
        pytest.param("%E2%82%AC", "€", id="UTF-8"),
        pytest.param("a%2F%2E%2E%2Fb", "a/../b", id="dots"),
        pytest.param("a//b/", "a//b/", id="slashes"),
        pytest.param("a%3Fb?x=1", "a?b", id="question marks"),
    ],
)
@pytest.mark.parametrize("api", ["customer_api", "user_api"])
async def test_deleting_a_user_deletes_their_devices(
    beams: Beams, api: str, escaped: str, user: str
) -> None:
    """Percent escapes are decoded and nothing else; the user of exactly that name goes."""
    theirs, others = await beams.new_device(), await beams.new_device()
    await beams.log_in(theirs, user)
    neighbour = user.replace("+", " ") if "+" in user else user[:-1] + "~"
    await beams.log_in(others, neighbour)

    reply = await beams.http.delete(beams.path(f"/users/{escaped}", api=api), headers=beams.secret)

    assert (200, b"", "0") == (reply.status_code, reply.content, reply.headers["content-length"])
    assert (404, 200) == (
        (await beams.http.get(theirs)).status_code,
        (await beams.http.get(others)).status_code,
    )


@pytest.mark.parametrize("api", ["customer_api", "user_api"])
async def test_a_user_whom_nobody_knows_is_deleted_already(beams: Beams, api: str) -> None:
    """It is answered 200, like any other."""
    before = beams.dump()

    reply = await beams.http.delete(beams.path("/users/nobody", api=api), headers=beams.secret)

    assert (200, b"", before) == (reply.status_code, reply.content, beams.dump())


async def test_a_user_of_another_instance_stays(beams: Beams) -> None:
    """The same name in two instances is two people."""
    instance = await beams.product.instances.create("other")
    other = Beams(beams.product, instance, beams.http, beams.folder)
    device = await other.new_device()
    await other.log_in(device, "u")

    await beams.http.delete(beams.path("/users/u", api="customer_api"), headers=beams.secret)

    assert 200 == (await beams.http.get(device)).status_code


@pytest.mark.parametrize(
    "escaped,status,error,description",
    [
        ("", 404, "Not found", "The path must end with a user id"),
        ("a" * 165, 400, "Bad request", "'User id' is too long, max length is 164"),
        ("a%0Ab", 404, "Not found", "There is nothing at this path"),
        ("%FF", 400, "Bad request", "'User id' is not valid UTF-8"),
        ("%00", 400, "Bad request", "'User id' must be Unicode text without control characters"),
    ],
)
@pytest.mark.parametrize("api", ["customer_api", "user_api"])
async def test_a_path_that_names_no_user(
    beams: Beams, api: str, escaped: str, status: int, error: str, description: str
) -> None:
    """An empty name is no path; what cannot be a user id is told in the recorded words."""
    reply = await beams.http.delete(beams.path(f"/users/{escaped}", api=api), headers=beams.secret)

    assert (status, problem(error, description)) == (reply.status_code, reply.json())


@pytest.mark.parametrize("api", ["customer_api", "user_api"])
async def test_only_the_back_end_deletes_users(beams: Beams, api: str) -> None:
    """Without the key 400, with another 401, and of an unknown instance 404, in that order."""
    device = await beams.new_device()
    await beams.log_in(device, "u")
    path = beams.path("/users/u", api=api)
    wrong = {"authorization": "Bearer wrong"}

    replies = [
        await beams.http.delete(path),
        await beams.http.delete(path, headers=wrong),
        await beams.http.delete(path.replace(beams.instance.id, "x"), headers=wrong),
        await beams.http.delete(path.replace(beams.instance.id, "x")),
    ]

    assert [
        (400, problem("Incomplete Request", "The Authorization header is missing")),
        (401, problem("Unauthorized", "Incorrect Secret Key")),
        (404, problem("Instance not found", "Could not find the instance")),
        (400, problem("Incomplete Request", "The Authorization header is missing")),
    ] == [(reply.status_code, reply.json()) for reply in replies]
    assert 200 == (await beams.http.get(device)).status_code


async def test_deleting_users_has_a_rate(tmp_path: Path) -> None:
    """More often than the rate is answered 429 with a time to wait."""
    async with in_process(tmp_path, publish_rate=1) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        path = beams.path("/users/u", api="customer_api")

        replies = [await beams.http.delete(path, headers=beams.secret) for _ in range(10)]

    refused = [reply for reply in replies if reply.status_code != 200]
    assert (429, "1", problem("Rate Limited", "Too many requests for this instance")) == (
        refused[0].status_code,
        refused[0].headers["retry-after"],
        refused[0].json(),
    )
