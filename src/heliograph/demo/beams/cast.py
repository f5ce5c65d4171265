"""Who takes part: a customer's back end, and devices with the customer's app on them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import httpx

from heliograph.client.device import AsyncPushNotifications, AuthData, BeamsTokenProvider
from heliograph.client.publish import AsyncPushNotifications as Beams
from heliograph.demo.customer_backend import DEMO_USERS, build_app
from heliograph.demo.stage import World
from heliograph.dev import Development
from heliograph.serving import address_of, bind, serving


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
    world: World

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

    async def owner(self) -> str | None:
        """The person who is logged in on it, as the server knows it."""
        development = self.world.development
        answer = await self.world.http.get(
            f"{development.endpoint}/device_api/v1/instances/"
            f"{development.instance_id}/devices/{self.platform}/{self.sdk.device_id}"
        )
        answer.raise_for_status()
        return answer.json()["userId"] or None

    async def shows(self, text: str) -> bool:
        """Whether a notification with this text has arrived."""
        return await self.world.has(self.token, text)


@contextlib.asynccontextmanager
async def gadget(world: World, name: str, platform: str) -> AsyncIterator[Gadget]:
    """A new device that has the app installed and registered."""
    bought = await world.bought(name, platform)
    development = world.development
    async with AsyncPushNotifications(development.endpoint, platform=platform) as sdk:
        await sdk.start(development.instance_id)
        if platform == "apns":
            await sdk.register_device_token(bought["token"], bought["topic"])
        else:
            await sdk.register_device_token(bought.get("subscription", bought["token"]))
        yield Gadget(name, platform, bought["token"], sdk, world)
