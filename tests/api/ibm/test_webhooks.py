"""Webhooks in IBM's words: made by name, and told of devices, tags and messages."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.ibm.hearing import Ear, listening
from api.ibm.sandbox import World, world_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOOK: dict[str, Any] = {"name": "w1", "url": "https://u:p@hooks.example.com/cb"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One product with its sandbox for the module."""
    async with world_in(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def ear(world: World) -> AsyncIterator[Ear]:
    """A customer's server that is told of everything."""
    async with listening() as ear:
        body = {"name": "all", "url": ear.url, "eventTypes": "*"}
        made = await world.http.post(world.url("/webhooks"), json=body, headers=world.backend)
        assert 201 == made.status_code, made.text
        yield ear
        await world.http.delete(world.url("/webhooks/all"), headers=world.backend)


async def test_a_webhook_is_made_and_deleted_by_name(world: World) -> None:
    """Contract §7, 13.17: what was asked for is told back; the name finds it, once."""
    body = HOOK | {"eventTypes": "onDeviceRegister,onSubscribe"}
    url = world.url("/webhooks")

    made = await world.http.post(url, json=body, headers=world.backend)
    again = await world.http.post(url, json=body, headers=world.backend)
    listed = (await world.http.get(url, headers=world.backend)).json()["webhooks"]
    gone = await world.http.delete(f"{url}/w1", headers=world.backend)
    missing = await world.http.get(f"{url}/w1", headers=world.backend)

    assert (201, body) == (made.status_code, {name: made.json()[name] for name in body})
    assert (409, "FPWSE0002E") == (again.status_code, again.json()["code"])
    assert [made.json()] == listed
    assert (204, 404) == (gone.status_code, missing.status_code)


async def test_a_webhook_is_changed(world: World) -> None:
    """Contract §7: another address and other events, the same name."""
    url = world.url("/webhooks")
    await world.http.post(url, json=HOOK | {"eventTypes": "*"}, headers=world.backend)
    change = {"url": "https://hooks.example.com/other", "eventTypes": "onSubscribe"}

    changed = await world.http.put(f"{url}/w1", json=change, headers=world.backend)
    refused = await world.http.put(f"{url}/w1", json={"name": "w2"}, headers=world.backend)
    await world.http.delete(f"{url}/w1", headers=world.backend)

    assert (200, change) == (
        changed.status_code,
        {name: changed.json()[name] for name in change},
    )
    assert 400 == refused.status_code


async def test_a_webhook_is_found_at_its_address(world: World) -> None:
    """Contract §7: the address that is told leads to it, whatever its name has in it."""
    body = HOOK | {"name": "a b/c?d#e%", "eventTypes": "*"}
    made = (await world.http.post(world.url("/webhooks"), json=body, headers=world.backend)).json()

    found = await world.http.get(made["href"], headers=world.backend)
    gone = await world.http.delete(made["href"], headers=world.backend)

    assert (200, made, 204) == (found.status_code, found.json(), gone.status_code)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"url": None},
        {"url": "ftp://x"},
        {"eventTypes": None},
        {"eventTypes": ""},
        {"eventTypes": "onSomething"},
        {"eventTypes": [1]},
    ],
)
async def test_what_no_webhook_can_be(world: World, change: dict[str, Any]) -> None:
    """400, with the parameter's name."""
    body = HOOK | {"eventTypes": "*"} | change

    reply = await world.http.post(world.url("/webhooks"), json=body, headers=world.backend)

    assert (400, "FPWSE0005E") == (reply.status_code, reply.json()["code"])


async def test_webhooks_are_for_back_ends(world: World) -> None:
    """Contract §2.2: not for whoever has an app."""
    reply = await world.http.get(world.url("/webhooks"), headers=world.client)

    assert 401 == reply.status_code


async def test_what_is_told_of_a_device(world: World, ear: Ear) -> None:
    """Contract §7: registered, changed, and gone; with the address's name and password."""
    token = await world.device("d1", "A", "u1")
    await world.log_in("d1", "u2")
    await world.http.delete(world.url("/devices/d1"), headers=world.client)

    await ear.wait_for("onDeviceRegister", "onDeviceUpdate", "onDeviceUnregister")

    told = {each["type"]: each for each in ear.events}
    entity = told["onDeviceRegister"]["entity"]
    app = world.development.instance_id
    expected = {"deviceId": "d1", "userId": "u1", "token": token, "platform": "A"}
    assert expected | {"applicationId": app, "id": entity["id"]} == entity
    assert expected | {"userId": "u2"} == told["onDeviceUpdate"]["entity"]
    assert "u2" == told["onDeviceUnregister"]["entity"]["userId"]
    assert entity["id"] == told["onDeviceUnregister"]["entity"]["id"]
    assert isinstance(entity["id"], int)
    assert {app} == {each["applicationId"] for each in ear.events}
    assert all(isinstance(each["eventTimeStamp"], int) for each in ear.events)
    assert {"Basic dXNlcjpwYXNz"} == {each["authorization"] for each in ear.headers}


async def test_what_is_told_of_a_subscription(world: World, ear: Ear) -> None:
    """Contract §7: the device, the tag and the id of the subscription."""
    await world.http.post(world.url("/tags"), json={"name": "news"}, headers=world.backend)
    await world.device("d2", "WEB_FIREFOX", "u1")
    body = {"deviceId": "d2", "tagName": "news"}
    made = await world.http.post(world.url("/subscriptions"), json=body, headers=world.client)
    await world.http.request(
        "DELETE", world.url("/subscriptions"), params=body, headers=world.client
    )

    await ear.wait_for("onSubscribe", "onUnsubscribe")

    told = {each["type"]: each["entity"] for each in ear.events}
    assert ("news", "d2") == (told["onSubscribe"]["tagName"], told["onUnsubscribe"]["deviceId"])
    assert made.json()["subscriptionId"] == told["onSubscribe"]["subscriptionId"]
    known = await world.http.get(world.url("/devices/d2"), headers=world.client)
    assert known.json()["token"] == told["onSubscribe"]["device"]["token"]


async def test_what_is_told_of_a_message(world: World, ear: Ear) -> None:
    """Contract §7: that it was sent, seen and opened, each with the devices and the message."""
    await world.device("d3", "A", "u3")
    message = await world.send({"message": {"alert": "hi"}, "target": {"userIds": ["u3"]}})
    for status in ("SEEN", "OPEN"):
        await world.http.put(
            world.url(f"/messages/{message}"),
            json={"deviceId": "d3", "status": status},
            headers=world.client,
        )

    while len(await ear.wait_for("onNotificationStatusChange")) < 3:
        ear.news.clear()
        await ear.news.wait()

    told = [each["entity"] for each in ear.events if each["type"] == "onNotificationStatusChange"]
    common = {"deviceIds": ["d3"], "platform": "A", "messageId": message}
    by_status = {each["msgStatus"]: each for each in told}
    expected = {word: common | {"msgStatus": word} for word in ("SENT", "SEEN", "OPEN")}
    assert expected == by_status


async def test_what_is_told_of_a_failure(world: World, ear: Ear) -> None:
    """Contract §7: why a device could not be sent a message, in its push service's word."""
    token = await world.device("d4", "G", "u4")
    fault = {"faults": [{"fault": "unregistered", "token": token}]}
    management = world.development.sandbox["management"]
    assert (await world.http.put(f"{management}/scenario", json=fault)).is_success

    await world.send({"message": {"alert": "hi"}, "target": {"userIds": ["u4"]}})

    await ear.wait_for("onNotificationFailure", "onNotificationStatusChange")
    told = {each["type"]: each["entity"] for each in ear.events}
    assert "FAILED" == told["onNotificationStatusChange"]["msgStatus"]
    failure = told["onNotificationFailure"]
    assert ("failure", ["d4"], "G") == (
        failure["msgStatus"],
        failure["deviceIds"],
        failure["platform"],
    )
    assert failure["failureReason"]
