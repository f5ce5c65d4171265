"""The SDKs' calls one after another, as §4.10 and §4.12 of the contract tell them."""

from typing import Any, Final

import httpx
import pytest

from api.beams.words import Beams, new_token, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON: Final = {"content-type": "application/json"}


class Phone:
    """An SDK as far as the network sees it: what it sends, and what was last answered."""

    def __init__(self, beams: Beams, gateway: str) -> None:
        self.beams, self.gateway = beams, gateway
        self.token = new_token(gateway)
        self.id = ""
        self.interests: list[str] = []

    async def register(self) -> None:
        """Take the id and the interests of the answer instead of its own."""
        reply = await self.beams.register(self.gateway, self.token, metadata={"sdkVersion": "1"})
        self.id, self.interests = reply.json()["id"], reply.json()["initialInterestSet"]

    async def call(self, method: str, rest: str = "", **more: Any) -> httpx.Response:
        """A call on the device; iOS names a content type on all of them, body or not."""
        headers = (JSON if self.gateway == "apns" else {}) | more.pop("headers", {})
        path = self.beams.path(f"/devices/{self.gateway}/{self.id}{rest}")
        return await self.beams.http.request(method, path, headers=headers, **more)

    async def log_in(self, user: str) -> httpx.Response:
        """What follows a visit to the customer's own server."""
        bearer = {"authorization": f"Bearer {self.beams.token(user)}"}
        return await self.call("PUT", "/user", headers=bearer)

    async def shown(self) -> tuple[str, list[str]]:
        """The user and the interests that the server knows of."""
        user: str = (await self.call("GET")).json()["userId"]
        return user, (await self.call("GET", "/interests")).json()["interests"]


async def test_an_apps_first_run_and_its_next_launch_on_ios(beams: Beams) -> None:
    """The second registration gives back what the first run had brought about."""
    phone = Phone(beams, "apns")
    await phone.register()
    first = phone.id
    replies = [await phone.call("POST", "/interests/hello"), await phone.log_in("u")]

    replies += [
        await phone.call("PUT", "/metadata", json={"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}),
        await phone.call("PUT", "/interests", json={"interests": ["hello", "world"]}),
    ]
    await phone.register()
    replies += [await phone.log_in("u")]

    assert [(200, b"")] * 5 == [(reply.status_code, reply.content) for reply in replies]
    assert (first, ["hello", "world"]) == (phone.id, phone.interests)
    assert ("u", ["hello", "world"]) == await phone.shown()


async def test_a_start_on_android(beams: Beams) -> None:
    """Later starts register no more: a new token moves the device, which keeps all it has."""
    phone = Phone(beams, "fcm")
    await phone.register()
    await phone.call("PUT", "/interests", json={"interests": ["hello"]})
    await phone.log_in("u")
    first = phone.id

    phone.token = new_token("fcm")
    replies = [
        await phone.call("PUT", "/token", json={"token": phone.token}),
        await phone.call("PUT", "/metadata", json={"sdkVersion": "2", "androidVersion": "14"}),
    ]
    await phone.register()

    assert [200, 200] == [reply.status_code for reply in replies]
    assert (first, ["hello"]) == (phone.id, phone.interests)
    assert ("u", ["hello"]) == await phone.shown()


async def test_a_start_in_a_browser(beams: Beams) -> None:
    """The key, the registration, the user; a changed subscription is another device."""
    key = await beams.http.get(beams.path("/web-vapid-public-key"))
    phone = Phone(beams, "web")
    await phone.register()
    first = phone.id
    logged_in = await phone.log_in("u")

    phone.token = new_token("web")
    await phone.register()

    assert (200, 200) == (key.status_code, logged_in.status_code)
    assert (True, []) == (phone.id != first, phone.interests)


@pytest.mark.parametrize("gateway", ["apns", "fcm", "web"])
async def test_clearing_all_state(beams: Beams, gateway: str) -> None:
    """It is a deletion and a registration: a clean device, on which somebody else logs in."""
    phone = Phone(beams, gateway)
    await phone.register()
    first = phone.id
    await phone.call("POST", "/interests/hello")
    await phone.log_in("one")

    stopped = await phone.call("DELETE")
    await phone.register()
    other = await phone.log_in("other")

    assert (200, b"", 200) == (stopped.status_code, stopped.content, other.status_code)
    assert (True, []) == (phone.id != first, phone.interests)
    assert ("other", []) == await phone.shown()


@pytest.mark.parametrize("gateway", ["apns", "fcm"])
async def test_a_lost_device_comes_back(beams: Beams, gateway: str) -> None:
    """§4.10: 404 makes the SDK register, put its interests, log in, and say it again."""
    phone = Phone(beams, gateway)
    await phone.register()
    await phone.call("DELETE")
    lost = await phone.call("POST", "/interests/hello")

    await phone.register()
    replies = [
        await phone.call("PUT", "/interests", json={"interests": ["before"]}),
        await phone.log_in("u"),
        await phone.call("POST", "/interests/hello"),
    ]

    assert (404, problem("Not found", "Device not found")) == (lost.status_code, lost.json())
    assert [200] * 3 == [reply.status_code for reply in replies]
    assert ("u", ["before", "hello"]) == await phone.shown()
