"""Devices of the sandbox, registered in IBM's words, and what reaches them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from heliograph.addresses import from_base64url
from heliograph.api.ibm.names import browser_token
from heliograph.dev import Development, developing
from support import settings_in

_SERVICES: Final = {
    "A": "apns",
    "G": "fcm",
    "WEB_CHROME": "web",
    "WEB_FIREFOX": "web",
    "WEB_SAFARI": "apns",
    "APPEXT_CHROME": "fcm",
}


@dataclass(frozen=True, slots=True)
class World:
    """A running product with its sandbox, and somebody who watches both."""

    development: Development
    http: httpx.AsyncClient

    @property
    def client(self) -> dict[str, str]:
        """What every call of a device bears."""
        return {"clientSecret": self.development.client_secret}

    @property
    def backend(self) -> dict[str, str]:
        """What every call of a back end bears."""
        return {"appSecret": self.development.app_secret}

    def url(self, rest: str) -> str:
        """An address of the instance."""
        return f"{self.development.endpoint}/imfpush/v1/apps/{self.development.instance_id}{rest}"

    async def device(self, name: str, platform: str, user: str | None = None, **more: Any) -> str:
        """A device that has registered; under which token its push service knows it."""
        minted = await self.http.post(
            f"{self.development.sandbox['management']}/devices",
            json={"platform": _SERVICES[platform]},
        )
        token = known = minted.json()["token"]
        if _SERVICES[platform] == "web":
            subscription = minted.json()["subscription"]
            keys = subscription["keys"]
            known = browser_token(
                subscription["endpoint"],
                from_base64url(keys["p256dh"]),
                from_base64url(keys["auth"]),
            )
        body = {"deviceId": name, "token": known, "platform": platform} | more
        if user is not None:
            body["userId"] = user
        reply = await self.http.post(self.url("/devices"), json=body, headers=self.client)
        assert 201 == reply.status_code, reply.text
        return str(token)

    async def log_in(self, name: str, user: str) -> None:
        """Say that somebody is logged in on a device now."""
        reply = await self.http.put(
            self.url(f"/devices/{name}"), json={"userId": user}, headers=self.client
        )
        assert (200, user or "anonymous") == (reply.status_code, reply.json()["userId"])

    async def send(self, body: dict[str, Any]) -> str:
        """Send a message, wait until nothing is left to do for it, and answer its id."""
        reply = await self.http.post(self.url("/messages"), json=body, headers=self.backend)
        assert 202 == reply.status_code, reply.text
        message: str = reply.json()["messageId"]
        await self.settled(message)
        return message

    async def settled(self, message: str) -> str:
        """The word for how a message ended, once it has."""
        async with asyncio.timeout(30):
            while True:
                reply = await self.http.get(
                    self.url(f"/messages/{message}/status"), headers=self.backend
                )
                word: str = reply.json()["status"]
                if word not in ("Accepted", "Processing", "Dispatching"):
                    return word
                await asyncio.sleep(0.02)

    async def inbox(self, token: str) -> list[dict[str, Any]]:
        """Everything that has reached a device."""
        reply = await self.http.get(
            f"{self.development.sandbox['management']}/inbox", params={"token": token}
        )
        arrivals: list[dict[str, Any]] = reply.json()
        return arrivals

    async def payloads(self, token: str) -> list[Any]:
        """What has reached a device, as its app reads it."""
        return [as_value(arrival["payload"]) for arrival in await self.inbox(token)]

    async def shows(self, token: str, text: str) -> bool:
        """Whether a text has reached a device."""
        return any(text in str(payload) for payload in await self.payloads(token))


def as_value(payload: Any) -> Any:
    """A payload as a value, whether the sandbox tells it as text or not."""
    return json.loads(payload) if isinstance(payload, str) else payload


@asynccontextmanager
async def world_in(folder: Path, **changes: Any) -> AsyncIterator[World]:
    """A product with its sandbox."""
    settings = settings_in(
        folder, sandbox_listen="127.0.0.1:0", publish_rate=100_000, device_rate=100_000, **changes
    )
    async with developing(settings) as development, httpx.AsyncClient() as http:
        yield World(development, http)
