"""Who takes part: a customer's back end, and devices whose apps were written for IBM's SDKs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from heliograph.client.ibm.device import AsyncPush, Crash, Handled
from heliograph.client.registration import DeviceToken
from heliograph.demo.stage import World
from heliograph.dev import Development

_SENDER_ID: Final = "123456789012"
"""The number of the Firebase project; Android's SDK wants to know it."""

_OLD_KEY: Final = "a-key-of-GCM"
"""Google takes none any more; ``dev`` has the credentials of a service account."""

_PLATFORMS: Final = {"ios": "apns", "android": "fcm", "firefox": "web"}
"""Where a device of a profile is bought."""

_OVER: Final = {"Dispatched", "Dispatching failed", "Failed"}
_PATIENCE_SECONDS: Final = 20.0
_LOOK_EVERY_SECONDS: Final = 0.02


class Backend:
    """The customer's back end: it knows the app secret, and sends by IBM's API."""

    def __init__(self, development: Development, http: httpx.AsyncClient) -> None:
        """Talk to the API of one instance."""
        self._api = f"{development.endpoint}/imfpush/v1/apps/{development.instance_id}"
        self._secrets = {
            "appSecret": development.app_secret,
            "clientSecret": development.client_secret,
        }
        self._http = http

    async def set_up(self) -> None:
        """Tell the instance its Firebase project, as IBM's console would."""
        await self._ask("PUT", "settings/gcmConf", {"apiKey": _OLD_KEY, "senderId": _SENDER_ID})

    async def send(self, users: Sequence[str], text: str) -> str:
        """Send people a message; its id."""
        body = {"message": {"alert": text}, "target": {"userIds": list(users)}}
        return str((await self._ask("POST", "messages", body))["messageId"])

    async def settled(self, message: str) -> dict[str, Any]:
        """What has become of a message, once that is known: its status, and counts of devices."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                report = await self.report(message)
                if report["status"] in _OVER:
                    return report
                await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def report(self, message: str) -> dict[str, Any]:
        """What has become of a message so far."""
        return await self._ask("GET", f"messages/{message}/report")

    async def owner(self, device_id: str) -> str:
        """Who is registered on a device; ``anonymous`` is nobody."""
        return str((await self._ask("GET", f"devices/{device_id}"))["userId"])

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self._http.request(
            method, f"{self._api}/{path}", headers=self._secrets, json=body
        )
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told


@dataclass(slots=True)
class Gadget:
    """A virtual phone, tablet or browser whose app uses one of IBM's SDKs."""

    name: str
    token: str
    """Its address, as its push service names it."""
    address: DeviceToken
    """The same, as its app is given it."""
    sdk: AsyncPush
    world: World
    app_state: str
    """Where its app is: a worker reports only while a page is open."""
    tray: list[Handled] = field(default_factory=list)
    """What its SDK has made of what arrived."""

    async def start(self) -> None:
        """What the app does when it is installed, before anybody has logged in."""
        development = self.world.development
        await self.sdk.initialize(development.instance_id, development.client_secret)
        await self.sdk.register(self.address)

    async def log_in(self, user: str) -> None:
        """What the app does after log-in, and at every launch."""
        await self.sdk.register_with_user_id(self.address, user)

    async def log_out(self) -> None:
        """What the app does before log-out."""
        await self.sdk.unregister()

    async def shows(self, text: str) -> bool:
        """Whether its SDK has shown a notification with this text, which it then reports."""
        for message in (await self.world.arrivals(self.token))[len(self.tray) :]:
            self.tray.append(await self._received(message))
        return any(each.is_shown and text in each.alert for each in self.tray)

    async def _received(self, message: Any) -> Handled:
        try:
            return await self.sdk.handle_notification(message, self.app_state)
        except Crash:  # then the person sees nothing
            return Handled()


@contextlib.asynccontextmanager
async def gadget(world: World, name: str, profile: str) -> AsyncIterator[Gadget]:
    """A new device that has the app installed, and nobody logged in."""
    platform = _PLATFORMS[profile]
    bought = await world.bought(name, platform)
    async with AsyncPush(world.development.endpoint, profile=profile) as sdk:
        address = bought.get("subscription", bought["token"])
        app_state = "active" if platform == "web" else "background"
        made = Gadget(name, bought["token"], address, sdk, world, app_state)
        await made.start()
        yield made
