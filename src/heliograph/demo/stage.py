"""Who takes part in the demonstration, each doing only what they could do in real life."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from heliograph.client.device import AsyncPushNotifications, AuthData, BeamsTokenProvider
from heliograph.client.publish import AsyncPushNotifications as Beams
from heliograph.demo.customer_backend import DEMO_USERS, build_app
from heliograph.dev import Development
from heliograph.serving import address_of, bind, serving

_PATIENCE_SECONDS: Final = 20.0
_LOOK_EVERY_SECONDS: Final = 0.02


class Customer:
    """The customer's back end, as their apps see it: log-in, auth endpoint, messages."""

    def __init__(self, address: str, http: httpx.AsyncClient) -> None:
        """Talk to the back end at an address."""
        self.address = address
        self._http = http

    @classmethod
    @contextlib.asynccontextmanager
    async def open_for_business(cls, development: Development) -> AsyncIterator[Self]:
        """The example back end on a port of its own, with the instance's secret key."""
        async with contextlib.AsyncExitStack() as stack:
            beams = await stack.enter_async_context(
                Beams(
                    development.instance_id,
                    development.secret_key,
                    endpoint=development.endpoint,
                )
            )
            listener = bind("127.0.0.1", 0)
            await stack.enter_async_context(serving(build_app(beams, DEMO_USERS), listener))
            address = f"http://{address_of(listener)}"
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=address))
            yield cls(address, http)

    async def log_in(self, user: str) -> str:
        """A session of the customer's own, by name and password."""
        answer = await self._http.post(
            "/login", json={"username": user, "password": DEMO_USERS[user]}
        )
        answer.raise_for_status()
        return str(answer.json()["session_token"])

    async def send(self, session: str, *, to: str, text: str) -> str:
        """Send somebody a message, through the customer's back end; the publish id."""
        answer = await self._http.post(
            "/messages",
            json={"to": to, "text": text},
            headers={"authorization": f"Bearer {session}"},
        )
        answer.raise_for_status()
        return str(answer.json()["publishId"])


@dataclass(slots=True)
class Gadget:
    """A virtual phone, tablet or browser with the customer's app on it."""

    name: str
    platform: str
    token: str
    """Its address, as its push service names it."""
    sdk: AsyncPushNotifications

    async def log_in(self, user: str, customer: Customer) -> None:
        """What the app does after log-in, and at every launch."""
        session = await customer.log_in(user)
        provider = BeamsTokenProvider(
            f"{customer.address}/pusher/beams-auth",
            lambda: AuthData(headers={"authorization": f"Bearer {session}"}, query_params={}),
        )
        await self.sdk.set_user_id(user, provider)

    async def log_out(self) -> None:
        """What the app does at log-out."""
        await self.sdk.clear_all_state()


class World:
    """Everything outside the product: where gadgets come from, and what they show."""

    def __init__(self, development: Development, http: httpx.AsyncClient) -> None:
        """Look at a running ``dev``."""
        self._development = development
        self._http = http

    @classmethod
    @contextlib.asynccontextmanager
    async def watched(cls, development: Development) -> AsyncIterator[Self]:
        """The world, while somebody is looking."""
        async with httpx.AsyncClient() as http:
            yield cls(development, http)

    @contextlib.asynccontextmanager
    async def gadget(self, name: str, platform: str) -> AsyncIterator[Gadget]:
        """A new device that has the app installed and registered."""
        answer = await self._http.post(
            f"{self._development.sandbox['management']}/devices",
            json={"platform": platform, "name": name},
        )
        answer.raise_for_status()
        minted = answer.json()
        async with AsyncPushNotifications(self._development.endpoint, platform=platform) as sdk:
            await sdk.start(self._development.instance_id)
            if platform == "apns":
                await sdk.register_device_token(minted["token"], minted["topic"])
            else:
                await sdk.register_device_token(minted.get("subscription", minted["token"]))
            yield Gadget(name, platform, minted["token"], sdk)

    async def owner(self, gadget: Gadget) -> str | None:
        """The person who is logged in on a device, as the server knows it."""
        answer = await self._http.get(
            f"{self._development.endpoint}/device_api/v1/instances/"
            f"{self._development.instance_id}/devices/{gadget.platform}/{gadget.sdk.device_id}"
        )
        answer.raise_for_status()
        return answer.json()["userId"] or None

    async def settled(self, publish: str) -> dict[str, Any]:
        """The counts of a publish, once every delivery of it is over."""
        url = (
            f"{self._development.endpoint}/admin/v1/instances/"
            f"{self._development.instance_id}/publishes/{publish}"
        )
        headers = {"authorization": f"Bearer {self._development.admin_token}"}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self._http.get(url, headers=headers)
                answer.raise_for_status()
                counts: dict[str, Any] = answer.json()
                if counts["state"] == "finished":
                    return counts
                await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def shows(self, gadget: Gadget, text: str) -> bool:
        """Whether a notification with this text has arrived on a device."""
        answer = await self._http.get(
            f"{self._development.sandbox['management']}/inbox", params={"token": gadget.token}
        )
        answer.raise_for_status()
        return any(text in str(arrival["payload"]) for arrival in answer.json())
