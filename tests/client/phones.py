"""Phones and browsers with an app, that imitate an official SDK before the real product."""

import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from api.beams.words import Beams, new_token
from client.fakes import Enough
from client.faulty import Clock, Faulty, Impatient
from heliograph.client import device
from support import ADMIN, Served

GATEWAYS: Final = {"ios": "apns", "android": "fcm", "web": "web"}

MOST_AFTERWARDS: Final = 30
"""Requests, until all is well after a fault."""


@dataclass
class Phone:
    """Somebody's phone, or browser, with an app that does what apps are told to do."""

    served: Served
    faulty: Faulty
    profile: str
    folder: Path
    store: device.MemoryStore = field(default_factory=device.MemoryStore)
    clock: Clock = field(default_factory=Clock)
    refused: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What the app was told to have failed, and will ask again."""

    def __post_init__(self) -> None:
        self.token = new_token(GATEWAYS[self.profile])
        self.beams = Beams(self.served.product, self.served.instance, self.served.http, self.folder)
        self.faulty.sign = self.beams.token
        self.endpoint = str(self.served.http.base_url).rstrip("/")
        self.http = httpx.AsyncClient(transport=Impatient(self.faulty))
        self.app = self.installed()

    def installed(self) -> device.AsyncPushNotifications:
        return device.AsyncPushNotifications(
            self.endpoint,
            store=self.store,
            profile=self.profile,
            os_version="17.5.1",
            http_client=self.http,
            sleep=self.clock.sleep,
        )

    hot = False
    """Whether something was asked again and again without a wait."""
    dead = False
    """Whether the app has crashed; what its user wants then waits for the next launch."""

    async def asks(self, call: Callable[[], Awaitable[None]], *, is_told: bool = False) -> None:
        """
        The app asks; what it is told to have failed it will ask again.

        Args:
            call: What.
            is_told: Whether a mobile SDK tells the app of failures; if not, it dies of them.
        """
        if self.dead:
            self.refused.append(call)
            return
        try:
            await call()
        except Enough:
            self.hot = True
        except device.DeviceError:
            self.dead = self.profile != "web" and not is_told
            self.refused.append(call)

    async def launch(self) -> None:
        """The app's process begins, and it does what it does each time."""
        self.dead = False
        self.app = self.installed()
        with suppress(Enough):
            await self.app.start(self.served.instance.id)
        await self.asks(self.register)

    async def register(self) -> None:
        token: object = self.token
        if self.profile == "web":
            token = _subscription(self.token)
        await self.app.register_device_token(token)  # type: ignore[arg-type]

    async def log_in(self, user: str) -> None:
        provider = device.BeamsTokenProvider(f"{self.endpoint}/pusher/beams-auth")
        await self.asks(lambda: self.app.set_user_id(user, provider), is_told=True)

    async def add(self, interest: str) -> None:
        await self.asks(lambda: self.app.add_device_interest(interest))

    async def remove(self, interest: str) -> None:
        await self.asks(lambda: self.app.remove_device_interest(interest))

    async def recovers(self, user: str | None) -> None:
        """The fault is over: the app is launched again, and asks again what it was refused."""
        self.faulty.plan = lambda _call: None
        self.faulty.calls.clear()
        refused, self.refused = self.refused, []
        await self.launch()
        for call in refused:
            await self.asks(call, is_told=True)
        if user is not None:
            await self.log_in(user)
        assert [] == self.refused
        assert len(self.faulty.calls) <= MOST_AFTERWARDS

    async def at_the_server(self) -> tuple[str, set[str]]:
        """Whose the device is, and what it subscribes to."""
        path = self.beams.path(f"/devices/{GATEWAYS[self.profile]}/{self.app.device_id}")
        found = (await self.served.http.get(path)).raise_for_status().json()
        return found["userId"], set(await self.beams.interests(path))

    async def devices_of(self, user: str) -> list[str]:
        """The ids of all devices that receive what is for a user."""
        url = f"/admin/v1/instances/{self.served.instance.id}/devices"
        answer = await self.served.http.get(url, params={"user": user}, headers=ADMIN)
        return [each["id"] for each in answer.raise_for_status().json()["devices"]]


def _subscription(token: str) -> dict[str, object]:
    """The subscription that the web SDK makes such a token of."""
    made: dict[str, object] = json.loads(base64.b64decode(token))
    return made
