"""Messages from IBM's back ends to devices in the sandbox, over real HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.ibm.sandbox import World, world_in
from api.ibm.sendings import EVERY_SETTING

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALERT: dict[str, Any] = {"message": {"alert": "hi"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One product with its sandbox for the module."""
    async with world_in(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    """The same without devices and tags of the test before."""
    yield running
    listed = await running.http.get(running.url("/devices?size=500"), headers=running.backend)
    for each in listed.json()["devices"]:
        await running.http.delete(each["href"], headers=running.client)
    tags = await running.http.get(running.url("/tags?size=500"), headers=running.backend)
    for each in tags.json()["tags"]:
        await running.http.delete(each["href"], headers=running.backend)


def to_users(*users: str) -> dict[str, Any]:
    return ALERT | {"target": {"userIds": list(users)}}


# --- the scenarios of contract §10 ----------------------------------------------------


SCENARIOS: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "a": ([("d1", "u1")], "u1", "d1"),
    "b, to u1": ([("d1", "u1"), ("d1", "u2")], "u1", ""),
    "b, to u2": ([("d1", "u1"), ("d1", "u2")], "u2", "d1"),
    "c, to u1": ([("d1", "u1"), ("d1", "anonymous")], "u1", ""),
    "c, to everybody": ([("d1", "u1"), ("d1", "anonymous")], "", "d1 other"),
    "c, to the device": ([("d1", "u1"), ("d1", "anonymous")], "d1", "d1"),
    "d": ([("d1", "u1"), ("d1", "gone")], "u1", ""),
    "d, to everybody": ([("d1", "u1"), ("d1", "gone")], "", "other"),
    "e": ([("d1", "u1"), ("d2", "u1")], "u1", "d1 d2"),
    "f": ([("d1", "u1"), ("d1", "u2 with a wrong secret")], "u1", "d1"),
    "h": ([("d1", "u1"), ("d1", "")], "u1", ""),
}
"""What happens on which device, whom a message is for, and which devices have it then."""


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_scenario_of_the_contract(world: World, scenario: str) -> None:
    """Contract §10: who has a message follows from who was last logged in where."""
    steps, addressee, expected = SCENARIOS[scenario]
    tokens = {"other": await world.device("other", "A", "u9")}
    for device, what in steps:
        url = world.url(f"/devices/{device}")
        if device not in tokens:
            tokens[device] = await world.device(device, "A", what)
        elif what == "gone":
            await world.http.delete(url, headers=world.client)
        elif what.endswith("wrong secret"):
            headers = {"clientSecret": "wrong"}
            reply = await world.http.put(url, json={"userId": "u2"}, headers=headers)
            assert 401 == reply.status_code
        else:
            reply = await world.http.put(url, json={"userId": what}, headers=world.client)
            assert 200 == reply.status_code
    kind = {"u": "userIds", "d": "deviceIds", "": None}[addressee[:1]]

    await world.send(ALERT if kind is None else ALERT | {"target": {kind: [addressee]}})

    reached = [name for name, token in tokens.items() if await world.shows(token, "hi")]
    assert sorted(expected.split()) == sorted(reached)


async def test_a_message_to_a_user(world: World) -> None:
    """Contract §10 (a), (e): it reaches both devices of the user, and nobody else's."""
    first = await world.device("d1", "A", "u1")
    second = await world.device("d2", "G", "u1")
    other = await world.device("d3", "WEB_FIREFOX", "u2")

    await world.send(to_users("u1"))

    assert [True, True, False] == [await world.shows(each, "hi") for each in (first, second, other)]


async def test_a_device_changes_hands(world: World) -> None:
    """Contract §10 (b): after u2 has registered on it, u1 has nothing there and u2 has."""
    token = await world.device("d1", "A", "u1")
    await world.log_in("d1", "u2")

    to_first = await world.send(to_users("u1"))
    nobody = await world.payloads(token)
    await world.send(to_users("u2"))

    assert ("Failed", []) == (await world.settled(to_first), nobody)
    assert await world.shows(token, "hi")


async def test_an_anonymous_device(world: World) -> None:
    """Contract §10 (c): reached by its id and by a broadcast, and by no user."""
    token = await world.device("d1", "A", "u1")
    await world.log_in("d1", "")

    await world.send(to_users("u1"))
    nobody = await world.payloads(token)
    await world.send(ALERT | {"target": {"deviceIds": ["d1"]}})
    await world.send(ALERT)

    assert ([], 2) == (nobody, len(await world.payloads(token)))


async def test_a_device_that_has_logged_out(world: World) -> None:
    """Contract §10 (d), §3.5: after it has unregistered nothing reaches it."""
    token = await world.device("d1", "A", "u1")
    await world.device("d2", "A", "u2")
    await world.http.delete(world.url("/devices/d1"), headers=world.client)

    for body in (to_users("u1"), ALERT, ALERT | {"target": {"deviceIds": ["d1"]}}):
        await world.send(body)

    assert [] == await world.payloads(token)


# --- whom a message addresses --------------------------------------------------------


@pytest.mark.parametrize(
    "target, expected",
    [
        ({}, "abcd"),
        (None, "abcd"),
        ({"tagNames": ["Push.ALL"]}, "abcd"),
        ({"tagNames": ["news"]}, "ab"),
        ({"tagNames": ["news", "sport"]}, "abc"),
        ({"platforms": ["A"]}, "a"),
        ({"platforms": ["G", "WEB_CHROME"]}, "bc"),
        ({"platform": ["WEB_FIREFOX"]}, "d"),
        ({"deviceIds": ["a", "d"]}, "ad"),
        ({"userIds": ["u1"]}, "ab"),
        ({"userIds": ["u1"], "platforms": ["G"]}, "b"),
        ({"userIds": ["u1"], "tagNames": ["sport"]}, "b"),
        ({"tagNames": ["news", "sport"], "deviceIds": ["a", "c"]}, "ac"),
        ({"deviceIds": ["a", "nobody"], "platforms": ["A"]}, "a"),
        ({"deviceIds": ["nobody"]}, ""),
        ({"userIds": ["nobody"]}, ""),
        ({"tagNames": ["unknown"]}, ""),
    ],
)
async def test_targets(world: World, target: dict[str, Any] | None, expected: str) -> None:
    """Contract §5.2, §14.2: one of each kind that is named; within a kind, any."""
    for tag in ("news", "sport"):
        await world.http.post(world.url("/tags"), json={"name": tag}, headers=world.backend)
    tokens = {
        "a": await world.device("a", "A", "u1"),
        "b": await world.device("b", "G", "u1"),
        "c": await world.device("c", "WEB_CHROME", "u2"),
        "d": await world.device("d", "WEB_FIREFOX"),
    }
    for device, tags in (("a", ["news"]), ("b", ["news", "sport"]), ("c", ["sport"])):
        await world.http.post(
            world.url("/subscriptions"),
            json={"deviceId": device, "tagNames": tags},
            headers=world.client,
        )

    message = await world.send(ALERT if target is None else ALERT | {"target": target})

    reached = [name for name, token in tokens.items() if await world.shows(token, "hi")]
    assert list(expected) == reached
    expected_word = "Dispatched" if expected else "Failed"
    assert expected_word == await world.settled(message)


async def test_what_was_unsubscribed_does_not_arrive(world: World) -> None:
    """Contract §4.4: a device that has given a tag back is not of it any more."""
    await world.http.post(world.url("/tags"), json={"name": "news"}, headers=world.backend)
    token = await world.device("a", "A")
    body = {"deviceId": "a", "tagNames": ["news"]}
    await world.http.post(world.url("/subscriptions"), json=body, headers=world.client)
    await world.http.post(
        world.url("/subscriptions?action=delete"), json=body, headers=world.client
    )

    await world.send(ALERT | {"target": {"tagNames": ["news"]}})

    assert [] == await world.payloads(token)


# --- what arrives --------------------------------------------------------------------


async def test_what_reaches_an_iphone(world: World) -> None:
    """Contract §5.3: every setting at once, as the iOS SDK reads it; headers as Apple does."""
    token = await world.device("a", "A")
    message = await world.send(
        ALERT | {"message": {"alert": "hi", "url": "https://x"}} | {"settings": EVERY_SETTING}
    )

    (arrival,) = await world.inbox(token)
    payload = arrival["payload"]
    assert "hi" == payload["aps"]["alert"]["body"]
    assert (1, 1) == (payload["aps"]["content-available"], payload["aps"]["mutable-content"])
    assert "https://x" == payload["url"]
    assert "https://pictures.example/icon.png" == payload["attachment-url"]
    assert {"offer": {"percent": 20}, "nid": message} == json.loads(payload["payload"])
    assert "offer" == arrival["headers"]["apns-collapse-id"]


async def test_what_reaches_android(world: World) -> None:
    """Contract §5.4: data only, all of it text; lights renamed, a channel expanded."""
    token = await world.device("a", "G")
    message = await world.send(ALERT | {"settings": EVERY_SETTING})

    (arrival,) = await world.inbox(token)
    told = arrival["payload"]["message"] if "message" in arrival["payload"] else arrival["payload"]
    data = told["data"]
    assert "notification" not in told
    assert {str} == {type(value) for value in data.values()}
    assert {"offer": {"percent": 20}, "nid": message} == json.loads(data["payload"])
    assert {"ledARGB", "ledOnMS", "ledOffMS"} == set(json.loads(data["lights"]))
    assert "offers" == json.loads(data["channel"])["channelId"]
    assert ("hi", "0") == (data["alert"], data["has-template"])


async def test_what_reaches_browsers(world: World) -> None:
    """Contract §5.5: each browser has the title of its own block, and the id as text of JSON."""
    chrome = await world.device("c", "WEB_CHROME")
    firefox = await world.device("f", "WEB_FIREFOX")
    message = await world.send(ALERT | {"settings": EVERY_SETTING})

    (in_chrome,), (in_firefox,) = await world.payloads(chrome), await world.payloads(firefox)
    assert ("For Chrome", "For Firefox") == (in_chrome["title"], in_firefox["title"])
    assert message == json.loads(in_chrome["payload"])["nid"]
    assert message == json.loads(in_firefox["payload"])["nid"]


async def test_what_reaches_safari_and_apps_of_chrome(world: World) -> None:
    """Contract §5.5: Safari has Apple's form for web sites, an extension the data of one."""
    safari = await world.device("s", "WEB_SAFARI")
    extension = await world.device("e", "APPEXT_CHROME")
    message = await world.send(ALERT | {"settings": EVERY_SETTING})

    (in_safari,) = await world.payloads(safari)
    (in_extension,) = await world.payloads(extension)
    block = EVERY_SETTING["safariWeb"]
    assert block["urlArgs"] == in_safari["aps"]["url-args"]
    expected = {"title": block["title"], "body": "hi", "action": block["action"]}
    assert expected == in_safari["aps"]["alert"]
    told = in_extension.get("message", in_extension)
    assert message == json.loads(told["data"]["payload"])["nid"]


# --- what is answered ----------------------------------------------------------------


async def test_the_answer_tells_the_request_back(world: World) -> None:
    """Contract §5.1, 13.12: 202, the whole request below ``message``, an id of eight."""
    await world.device("a", "A", "u1")
    body = ALERT | {"target": {"userIds": ["u1"]}, "settings": {"apns": {"badge": 1}}}

    reply = await world.http.post(world.url("/messages"), json=body, headers=world.backend)

    assert 202 == reply.status_code
    assert body == reply.json()["message"]
    assert reply.json()["messageId"].isalnum()
    assert 8 == len(reply.json()["messageId"])


async def test_several_at_once(world: World) -> None:
    """Contract §5.6, 13.13: a list in, a list out; each is a message of its own."""
    token = await world.device("a", "A", "u1")
    bodies = [to_users("u1"), {"message": {"alert": "second"}}]

    reply = await world.http.post(world.url("/messages/bulk"), json=bodies, headers=world.backend)

    told = reply.json()["messages"]
    assert (202, ["hi", "second"]) == (reply.status_code, [each["alert"] for each in told])
    for each in told:
        assert {"createdTime", "messageId", "alert", "href"} == set(each)
        await world.settled(each["messageId"])
        shown = await world.http.get(each["href"], headers=world.backend)
        assert each["messageId"] == shown.json()["messageId"]
    assert 2 == len(await world.payloads(token))


async def test_one_bad_message_stops_all(world: World) -> None:
    """Nothing is sent of a bulk request in which one message is wrong; which, it says."""
    token = await world.device("a", "A")
    bodies = [ALERT, {"message": {}}]

    reply = await world.http.post(world.url("/messages/bulk"), json=bodies, headers=world.backend)

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])
    assert "[1].message.alert" in reply.json()["message"]
    assert [] == await world.payloads(token)


@pytest.mark.parametrize(
    "target, code",
    [
        ({"deviceIds": ["a", "nobody"]}, "FPWSE0001E"),
        ({"tagNames": ["unknown"]}, "FPWSE0001E"),
        ({"userIds": ["nobody"]}, "FPWSE0009E"),
        ({"platforms": ["G"]}, "FPWSE0009E"),
    ],
)
async def test_who_wants_to_know_is_told_that_nobody_is_there(
    world: World, target: dict[str, Any], code: str
) -> None:
    """Contract §5.2: with ``validate`` what is not there is 404, and nothing is sent."""
    token = await world.device("a", "A")
    body = ALERT | {"target": target, "validate": True}

    reply = await world.http.post(world.url("/messages"), json=body, headers=world.backend)

    assert (404, code) == (reply.status_code, reply.json()["code"])
    assert [] == await world.payloads(token)


async def test_without_any_device_nothing_is_sent(world: World) -> None:
    """Contract §2.8: FPWSE0009E."""
    reply = await world.http.post(world.url("/messages"), json=ALERT, headers=world.backend)

    assert (404, "FPWSE0009E") == (reply.status_code, reply.json()["code"])


async def test_devices_send_nothing(world: World) -> None:
    """Contract §2.2: the client secret is not for sending."""
    await world.device("a", "A")
    reply = await world.http.post(world.url("/messages"), json=ALERT, headers=world.client)

    assert 401 == reply.status_code


# --- what is told of it later --------------------------------------------------------


async def test_a_message_is_found_again(world: World) -> None:
    """Contract §5.7: as it was sent, with its status; the list has the latest first."""
    await world.device("a", "A", "u1")
    first = await world.send(to_users("u1"))
    second = await world.send(ALERT)

    shown = (await world.http.get(world.url(f"/messages/{first}"), headers=world.client)).json()
    listed = await world.http.get(world.url("/messages/?offset=0"), headers=world.backend)

    assert to_users("u1") == {name: shown[name] for name in ("message", "target")}
    assert ("Dispatched", first) == (shown["status"], shown["messageId"])
    assert [second, first] == [each["messageId"] for each in listed.json()["messages"][:2]]


async def test_a_message_that_was_deleted(world: World) -> None:
    """Contract §5.7: 204; then it is unknown."""
    await world.device("a", "A")
    url = world.url(f"/messages/{await world.send(ALERT)}")

    gone = await world.http.delete(url, headers=world.backend)
    again = await world.http.delete(url, headers=world.backend)
    shown = await world.http.get(url, headers=world.backend)

    assert [204, 404, 404] == [each.status_code for each in (gone, again, shown)]


async def test_what_devices_say(world: World) -> None:
    """Contract §5.8, 13.14: SEEN and OPEN, once each; told of the device, its user and in all."""
    await world.device("a", "A", "u1")
    await world.device("b", "G", "u1")
    message = await world.send(ALERT)
    url = world.url(f"/messages/{message}")

    async def says(device: str, status: str, place: str = "") -> None:
        reply = await world.http.put(
            url + place, json={"deviceId": device, "status": status}, headers=world.client
        )
        assert (200, {}) == (reply.status_code, reply.json())

    async def told(query: str) -> dict[str, Any]:
        reply = await world.http.get(f"{url}/deliverystatus?{query}", headers=world.backend)
        answer: dict[str, Any] = reply.json()
        return answer

    before = await told("deviceId=a")
    await says("a", "SEEN")
    await says("a", "SEEN", "/deliverystatus")
    await says("b", "OPEN")

    assert ["SENT"] == [each["status"] for each in before["devices"]]
    assert {"a": "SEEN", "b": "OPEN"} == {
        each["deviceId"]: each["status"] for each in (await told("userId=u1"))["devices"]
    }
    summary = await told("deviceId=")
    assert (2, 1, 1) == (summary["sent"], summary["seen"], summary["open"])
    assert "devices" not in summary
    report = (await world.http.get(f"{url}/report", headers=world.backend)).json()
    assert {"sent": 1, "seen": 1, "open": 0} == report["platforms"]["apns"]


@pytest.mark.parametrize("sync", [True, "true", False])
async def test_a_message_that_was_opened_leaves_the_other_devices(
    world: World, sync: bool | str
) -> None:
    """Contract §5.4: with ``sync``, the user's Android devices are told to take it away."""
    tokens = [await world.device(name, "G", "u1") for name in ("a", "b")]
    stranger = await world.device("c", "G", "u2")
    message = await world.send(ALERT | {"settings": {"gcm": {"sync": sync}}})

    for _ in range(2):
        await world.http.put(
            world.url(f"/messages/{message}"),
            json={"deviceId": "a", "status": "OPEN"},
            headers=world.client,
        )
    await world.send(to_users("u1"))
    while sync and len(await world.payloads(tokens[1])) < 3:
        pass

    told = [each.get("message", each)["data"] for each in await world.payloads(tokens[1])]
    dismissals = [each for each in told if "action" in each]
    assert (1 if sync else 0) == len(dismissals)
    for each in dismissals:
        assert message == each["nid"]
        assert each["action"].endswith("DISMISS_NOTIFICATION")
    assert 1 == len(await world.payloads(stranger))


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("{message}", {"deviceId": "a", "status": "GONE"}, 400),
        ("{message}", {"status": "SEEN"}, 400),
        ("{message}", {"deviceId": "nobody", "status": "SEEN"}, 404),
        ("AAAAAAAA", {"deviceId": "a", "status": "SEEN"}, 404),
    ],
)
async def test_what_no_device_can_say(
    world: World, path: str, body: dict[str, Any], status: int
) -> None:
    """It is answered at once, whatever it is: Android waits for the answer (contract §5.8)."""
    await world.device("a", "A")
    message = await world.send(ALERT)

    reply = await world.http.put(
        world.url(f"/messages/{path.format(message=message)}"), json=body, headers=world.client
    )

    assert status == reply.status_code


async def test_reports_by_the_day(world: World) -> None:
    """Contract §8: messages and registrations of today."""
    await world.device("a", "A")
    await world.send(ALERT)

    messages = await world.http.get(world.url("/messages/report?days=2"), headers=world.backend)
    devices = await world.http.get(world.url("/devices/report?days=2"), headers=world.backend)

    assert 1 <= messages.json()["reports"][0]["sent"]
    assert 1 <= devices.json()["reports"][0]["platforms"]["A"]


async def test_a_message_and_a_device_of_other_words(world: World) -> None:
    """One person: what Beams publishes reaches a device of IBM's, and the other way round."""
    ours = await world.device("a", "A", "u1")
    minted = await world.http.post(
        f"{world.development.sandbox['management']}/devices", json={"platform": "apns"}
    )
    base = f"{world.development.endpoint}/{{}}/v1/instances/{world.development.instance_id}"
    theirs = minted.json()["token"]
    made = await world.http.post(
        base.format("device_api") + "/devices/apns",
        json={"token": theirs, "bundleIdentifier": "com.example.app"},
    )
    await world.log_in(made.json()["id"], "u1")

    message = await world.send(to_users("u1"))
    await world.http.post(
        base.format("publish_api") + "/publishes/users",
        json={"users": ["u1"], "apns": {"aps": {"alert": "from Beams"}}},
        headers={"authorization": f"Bearer {world.development.secret_key}"},
    )
    listed = await world.http.get(world.url("/devices?userId=u1"), headers=world.backend)

    assert "Dispatched" == await world.settled(message)
    assert {"a", made.json()["id"]} == {each["deviceId"] for each in listed.json()["devices"]}
    assert await world.shows(theirs, "hi")
    while not await world.shows(ours, "from Beams"):
        pass
