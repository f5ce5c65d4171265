"""What surrounds a demonstration: a product of its own, devices, and eyes for their screens."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import httpx

from heliograph.config import Settings
from heliograph.dev import Development, developing

_PATIENCE_SECONDS: Final = 20.0
_LOOK_EVERY_SECONDS: Final = 0.02


@contextlib.asynccontextmanager
async def rehearsed(settings: Settings) -> AsyncIterator[Development]:
    """Everything that ``dev`` starts, in a folder of its own and on free ports."""
    with tempfile.TemporaryDirectory(prefix="heliograph-demo-") as folder:
        own = replace(
            settings,
            data_dir=Path(folder),
            database_url=None,
            listen="127.0.0.1:0",
            listen_tls="127.0.0.1:0",
            sandbox_listen="127.0.0.1:0",
        )
        async with developing(own) as development:
            yield development


class World:
    """Everything outside the product: where devices come from, and what they show."""

    def __init__(self, development: Development, http: httpx.AsyncClient) -> None:
        """Look at a running ``dev``."""
        self.development = development
        self.http = http

    @classmethod
    @contextlib.asynccontextmanager
    async def watched(cls, development: Development) -> AsyncIterator[Self]:
        """The world, while somebody is looking."""
        async with httpx.AsyncClient() as http:
            yield cls(development, http)

    async def bought(self, name: str, platform: str) -> dict[str, Any]:
        """A new device: its ``token``, and what else its push service tells of it."""
        answer = await self.http.post(
            f"{self.development.sandbox['management']}/devices",
            json={"platform": platform, "name": name},
        )
        answer.raise_for_status()
        minted: dict[str, Any] = answer.json()
        return minted

    async def arrivals(self, token: str) -> list[Any]:
        """What has arrived on a device so far, as its app, or its worker, is given it."""
        answer = await self.http.get(
            f"{self.development.sandbox['management']}/inbox", params={"token": token}
        )
        answer.raise_for_status()
        return [arrival["payload"] for arrival in answer.json()]

    async def has(self, token: str, text: str) -> bool:
        """Whether a notification with this text has arrived on a device."""
        return any(text in str(payload) for payload in await self.arrivals(token))

    async def settled(self, publish: str) -> dict[str, Any]:
        """The counts of a publish, once every delivery of it is over."""
        url = (
            f"{self.development.endpoint}/admin/v1/instances/"
            f"{self.development.instance_id}/publishes/{publish}"
        )
        headers = {"authorization": f"Bearer {self.development.admin_token}"}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self.http.get(url, headers=headers)
                answer.raise_for_status()
                counts: dict[str, Any] = answer.json()
                if counts["state"] == "finished":
                    return counts
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
