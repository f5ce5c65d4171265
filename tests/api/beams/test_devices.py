"""Devices: registered, renewed, shown, changed, forgotten."""

import json
import re
from typing import Any, Final

import pytest

from api.beams.words import ORIGIN, Beams, new_token, problem, subscription

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAYS: Final = ("apns", "fcm", "web")
NOT_FOUND: Final = problem("Not found", "Device not found")
NO_INSTANCE: Final = problem("Instance not found", "Could not find the instance")


# --- registering ---------------------------------------------------------------------


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_a_new_device_has_an_id_of_its_gateway_and_no_interests(
    beams: Beams, gateway: str
) -> None:
    """The set of interests is there although it is empty: Android asks for ever without it."""
    reply = await beams.register(gateway)

    assert (200, ["id", "initialInterestSet"]) == (reply.status_code, list(reply.json()))
    assert re.fullmatch(gateway + r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reply.json()["id"])
    assert [] == reply.json()["initialInterestSet"]


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_registering_again_changes_nothing(beams: Beams, gateway: str) -> None:
    """The same token is the same device: id, interests and user stay, for iOS does so at launch."""
    token = new_token(gateway)
    first = (await beams.register(gateway, token)).json()["id"]
    device = beams.path(f"/devices/{gateway}/{first}")
    await beams.http.put(f"{device}/interests", json={"interests": ["zebra", "panda"]})
    await beams.log_in(device, "u")

    again = await beams.register(gateway, token, metadata={"sdkVersion": "9"})

    assert {"id": first, "initialInterestSet": ["panda", "zebra"]} == again.json()
    assert {"id": first, "userId": "u", "metadata": {"sdkVersion": "9"}} == (
        await beams.http.get(device)
    ).json()


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_a_device_that_was_deleted_is_another_when_it_comes_back(
    beams: Beams, gateway: str
) -> None:
    """After DELETE the same token has a new id, no interests and no user."""
    token = new_token(gateway)
    first = (await beams.register(gateway, token)).json()["id"]
    device = beams.path(f"/devices/{gateway}/{first}")
    await beams.http.post(f"{device}/interests/hello")
    await beams.log_in(device, "u")
    await beams.http.delete(device)

    again = (await beams.register(gateway, token)).json()
    shown = (await beams.http.get(beams.path(f"/devices/{gateway}/{again['id']}"))).json()

    assert again["id"] != first
    assert ([], "") == (again["initialInterestSet"], shown["userId"])


async def test_the_case_of_an_apple_token_does_not_matter(beams: Beams) -> None:
    """Hexadecimal is hexadecimal."""
    one = await beams.register("apns", "00FF")
    other = await beams.register("apns", "00ff")

    assert one.json() == other.json()


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://web.push.apple.com/QGuQyavXutnMH-9hRm7kVlJ2",  # Safari; home-screen apps of iOS
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABn",
        "https://fcm.googleapis.com/fcm/send/dpH5lCsTSSM:APA91bHqjZxM0VImWWqDRN7U0a3AycjUf4O",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAACc",
    ],
)
async def test_every_browser_registers(beams: Beams, endpoint: str) -> None:
    """The push services of Safari and iOS are as good as those of the others (contract §3.3)."""
    reply = await beams.register("web", subscription(endpoint=endpoint))

    assert (200, "web-") == (reply.status_code, reply.json()["id"][:4])


async def test_a_browser_is_known_by_its_endpoint(beams: Beams) -> None:
    """The same endpoint is the same browser, whatever else its subscription says."""
    one = await beams.register("web", subscription(expirationTime=None))
    other = await beams.register("web", subscription(expirationTime=1_700_000_000_000))

    assert one.json() == other.json()


async def test_a_token_may_be_registered_with_several_instances(beams: Beams) -> None:
    """An app may belong to two instances; each knows the device by an id of its own."""
    instance = await beams.product.instances.create("other")
    other = Beams(beams.product, instance, beams.http, beams.folder)

    ids = {(await each.register("fcm", "shared")).json()["id"] for each in (beams, other)}

    assert 2 == len(ids)


async def test_equal_tokens_of_two_gateways_are_two_devices(beams: Beams) -> None:
    """A token means something only at its gateway."""
    ids = {(await beams.register(gateway, "00ff")).json()["id"] for gateway in ("apns", "fcm")}

    assert 2 == len(ids)


@pytest.mark.parametrize("gateway", ["safari", "gcm", "APNS", "apns%20"])
async def test_there_are_three_platforms(beams: Beams, gateway: str) -> None:
    """Anything else is not found, at registration and at every other call."""
    expected = (404, problem("Not found", "The platforms are apns, fcm and web"))
    device = beams.path(f"/devices/{gateway}/{gateway}-x")

    replies = [
        await beams.http.post(beams.path(f"/devices/{gateway}"), json={"token": "00"}),
        await beams.http.get(device),
        await beams.http.delete(device),
        await beams.http.put(f"{device}/user", headers={"authorization": "Bearer x"}),
        await beams.http.get(f"{device}/interests"),
    ]

    assert [expected] * 5 == [(reply.status_code, reply.json()) for reply in replies]


async def test_a_registration_says_what_it_is(beams: Beams) -> None:
    """A body needs the content type of JSON, after the platform and the instance are right."""
    headers = {"content-type": "text/plain"}

    reply = await beams.http.post(beams.path("/devices/fcm"), content="{}", headers=headers)

    assert (400, problem("Invalid content type", "Only application/json is supported")) == (
        reply.status_code,
        reply.json(),
    )


async def test_a_registration_has_at_most_16_kib(beams: Beams) -> None:
    """The largest body is taken, and one byte more is refused."""
    empty = len(json.dumps({"token": "t", "padding": ""}, separators=(",", ":")))

    taken = await beams.register("fcm", "t", padding="x" * (16 * 1024 - empty))
    refused = await beams.register("fcm", "t", padding="x" * (16 * 1024 - empty + 1))

    assert 200 == taken.status_code
    assert (400, problem("Bad request", "The body is too large: at most 16384 bytes")) == (
        refused.status_code,
        refused.json(),
    )


# --- showing and changing ------------------------------------------------------------


async def test_metadata_is_replaced(beams: Beams) -> None:
    """What a device says about itself last is what is known of it."""
    device = await beams.new_device("apns")

    reply = await beams.http.put(f"{device}/metadata", json={"sdkVersion": "4.0.0"})

    assert (200, b"") == (reply.status_code, reply.content)
    assert {"sdkVersion": "4.0.0"} == (await beams.http.get(device)).json()["metadata"]


async def test_a_devices_token_is_never_shown(beams: Beams) -> None:
    """Who knows a device's id does not learn what it is reached by."""
    reply = await beams.http.get(await beams.new_device("apns"))

    assert {"id", "userId", "metadata"} == reply.json().keys()


async def test_an_android_device_moves_to_the_token_it_is_given(beams: Beams) -> None:
    """Interests and user stay, and the new token is the same device from now on."""
    device = await beams.new_device("fcm")
    await beams.http.post(f"{device}/interests/hello")

    reply = await beams.http.put(f"{device}/token", json={"token": "moved"})

    assert (200, b"") == (reply.status_code, reply.content)
    assert {"id": device.rpartition("/")[2], "initialInterestSet": ["hello"]} == (
        await beams.register("fcm", "moved")
    ).json()


async def test_a_device_gives_way_to_one_that_moves_to_its_token(beams: Beams) -> None:
    """A token is one device: the one that had it before is gone."""
    gone, stays = await beams.new_device("fcm"), await beams.new_device("fcm")
    await beams.http.put(f"{gone}/token", json={"token": "contested"})

    reply = await beams.http.put(f"{stays}/token", json={"token": "contested"})

    assert (200, 404, 200) == (
        reply.status_code,
        (await beams.http.get(gone)).status_code,
        (await beams.http.get(stays)).status_code,
    )


@pytest.mark.parametrize("gateway", ["apns", "web"])
async def test_only_an_android_device_moves(beams: Beams, gateway: str) -> None:
    """An Apple device or a browser with another token is another device."""
    device = await beams.new_device(gateway)

    reply = await beams.http.put(f"{device}/token", json={"token": new_token(gateway)})

    assert (404, problem("Not found", "Only FCM tokens change while a device stays")) == (
        reply.status_code,
        reply.json(),
    )


CALLS: Final[list[tuple[str, str, Any]]] = [
    ("GET", "", None),
    ("PUT", "/metadata", {}),
    ("PUT", "/token", {"token": "t"}),
    ("PUT", "/user", None),
    ("GET", "/interests", None),
    ("PUT", "/interests", {"interests": []}),
    ("POST", "/interests/hello", None),
    ("DELETE", "/interests/hello", None),
]
"""Every call on a device that asks for it to be there."""


@pytest.mark.parametrize("method,call,body", CALLS)
@pytest.mark.parametrize("device", ["fcm-unknown", "apns-x", "x", "fcm-%C3%A9", "fcm-%00", "fcm-"])
async def test_a_device_that_is_not_there(
    beams: Beams, method: str, call: str, body: object, device: str
) -> None:
    """A lost device is told so in the words that make the SDKs register again."""
    reply = await beams.http.request(
        method,
        beams.path(f"/devices/fcm/{device}{call}"),
        json=body,
        headers={"authorization": f"Bearer {beams.token()}"},
    )

    assert (404, NOT_FOUND) == (reply.status_code, reply.json())


@pytest.mark.parametrize("method,call,body", CALLS)
async def test_a_device_of_another_instance_is_not_there(
    beams: Beams, method: str, call: str, body: object
) -> None:
    """An id opens nothing in an instance that it does not belong to."""
    instance = await beams.product.instances.create("other")
    other = Beams(beams.product, instance, beams.http, beams.folder)
    device = (await other.new_device("fcm")).rpartition("/")[2]

    reply = await beams.http.request(
        method,
        beams.path(f"/devices/fcm/{device}{call}"),
        json=body,
        headers={"authorization": f"Bearer {beams.token()}"},
    )

    assert (404, NOT_FOUND) == (reply.status_code, reply.json())


# --- forgetting ----------------------------------------------------------------------


async def test_a_device_is_forgotten(beams: Beams) -> None:
    """After DELETE nothing is left of it but its user's name."""
    device = await beams.new_device("web")
    await beams.http.post(f"{device}/interests/hello")
    number = len(beams.dump()["devices"])

    reply = await beams.http.delete(device)

    assert (200, b"", "0") == (reply.status_code, reply.content, reply.headers["content-length"])
    assert 404 == (await beams.http.get(device)).status_code
    assert number - 1 == len(beams.dump()["devices"])


@pytest.mark.parametrize("device", ["fcm-unknown", "apns-x", "x", "%00"])
async def test_a_device_that_is_not_there_is_forgotten_already(beams: Beams, device: str) -> None:
    """DELETE answers 200 whatever the id: Android repeats anything else for ever."""
    reply = await beams.http.delete(beams.path(f"/devices/fcm/{device}"))

    assert (200, b"") == (reply.status_code, reply.content)


async def test_a_device_is_not_forgotten_through_another_platform(beams: Beams) -> None:
    """The path must name the platform that the device belongs to."""
    device = await beams.new_device("fcm")

    await beams.http.delete(device.replace("/devices/fcm/", "/devices/apns/"))

    assert 200 == (await beams.http.get(device)).status_code


# --- the instance --------------------------------------------------------------------


async def test_the_vapid_key_is_an_instances_own(beams: Beams) -> None:
    """It is an uncompressed point in base64url, and the same whenever it is asked for."""
    path = beams.path("/web-vapid-public-key")

    first, again = (await beams.http.get(path)).json(), (await beams.http.get(path)).json()

    assert first == again
    assert re.fullmatch(r"B[A-Za-z0-9_-]{86}", first["vapidPublicKey"])


@pytest.mark.parametrize(
    "instance",
    ["x", "safari", "00000000-0000-0000-0000-000000000000", "%00", "%C3%A9"],
)
@pytest.mark.parametrize(
    "method,rest",
    [("GET", "/web-vapid-public-key"), ("POST", "/devices/fcm"), ("DELETE", "/devices/fcm/x")],
)
async def test_an_instance_that_is_not_there(
    beams: Beams, instance: str, method: str, rest: str
) -> None:
    """Whatever stands where an instance should be is answered 404."""
    reply = await beams.http.request(method, f"/device_api/v1/instances/{instance}{rest}")

    assert (404, NO_INSTANCE) == (reply.status_code, reply.json())


async def test_an_instance_is_found_in_capital_letters_too(beams: Beams) -> None:
    """A UUID is the same in whatever case it is written."""
    path = beams.path("/web-vapid-public-key").replace(beams.instance.id, beams.instance.id.upper())

    assert 200 == (await beams.http.get(path)).status_code


# --- Android's alias -----------------------------------------------------------------


async def test_everything_is_also_there_without_the_apis_name(beams: Beams) -> None:
    """Android's override may have no path; the whole device API is served at the root then."""
    root = f"/instances/{beams.instance.id}"
    registered = await beams.http.post(f"{root}/devices/fcm", json={"token": "rooted"})
    device = f"{root}/devices/fcm/{registered.json()['id']}"

    replies = [
        await beams.http.get(f"{root}/web-vapid-public-key"),
        await beams.http.get(device),
        await beams.http.put(f"{device}/metadata", json={}),
        await beams.http.put(f"{device}/token", json={"token": "rooted-2"}),
        await beams.log_in(device, "u"),
        await beams.http.put(f"{device}/interests", json={"interests": ["a"]}),
        await beams.http.post(f"{device}/interests/b"),
        await beams.http.delete(f"{device}/interests/a"),
        await beams.http.get(f"{device}/interests"),
        await beams.http.delete(device),
    ]

    assert [200] * 10 == [reply.status_code for reply in replies]
    assert ["b"] == replies[8].json()["interests"]


# --- browsers ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("prefix", ["/device_api/v1", ""])
async def test_a_browser_may_ask_before_it_calls(beams: Beams, method: str, prefix: str) -> None:
    """A preflight is allowed from any origin, for every method and header that the SDK uses."""
    reply = await beams.http.options(
        f"{prefix}/instances/{beams.instance.id}/devices/web/x/user",
        headers=ORIGIN
        | {
            "access-control-request-method": method,
            "access-control-request-headers": "authorization,content-type",
        },
    )

    assert (200, "*", "authorization,content-type", "86400") == (
        reply.status_code,
        reply.headers["access-control-allow-origin"],
        reply.headers["access-control-allow-headers"],
        reply.headers["access-control-max-age"],
    )
    assert method in reply.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "method,rest,status",
    [
        ("GET", "/web-vapid-public-key", 200),
        ("POST", "/devices/web", 400),
        ("GET", "/devices/web/web-x", 404),
        ("PUT", "/devices/web/web-x/user", 401),
        ("PUT", "/devices/web/web-x/interests", 400),
        ("GET", "/devices/web/web-x/interests?limit=x", 400),
        ("DELETE", "/devices/web/web-x", 200),
        ("POST", "/devices/web/web-x/interests/a%20b", 400),
        ("POST", "/devices/safari", 404),
        ("GET", "/safari-website-push-id", 404),
        ("GET", "/devices/web/", 404),
        ("PATCH", "/devices/web", 405),
    ],
)
@pytest.mark.parametrize("prefix", ["/device_api/v1", ""])
async def test_a_browser_may_read_every_answer(
    beams: Beams, method: str, rest: str, status: int, prefix: str
) -> None:
    """Successes and errors alike allow any origin, or the SDK could not tell what is wrong."""
    reply = await beams.http.request(
        method, f"{prefix}/instances/{beams.instance.id}{rest}", headers=ORIGIN
    )

    assert (status, "*") == (reply.status_code, reply.headers.get("access-control-allow-origin"))


async def test_a_browser_has_no_business_with_the_publish_api(beams: Beams) -> None:
    """A secret key in a web page would be everybody's; no other origin may read the answer."""
    reply = await beams.publish({}, **ORIGIN)

    assert "access-control-allow-origin" not in reply.headers
