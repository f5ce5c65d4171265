"""The customer of a server under measurement: credentials, publishes and their counts, by HTTP."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from heliograph.bench.crowd import Audience
from heliograph.bench.program import ADMIN_TOKEN
from heliograph.bench.work import APNS_PAYLOAD, TOPIC, WEB_PAYLOAD, Task
from heliograph.errors import HeliographError
from heliograph.model import Gateway

_LOOK_SECONDS: Final = 0.1
_PATIENCE: Final = 360
"""How often to look without any progress before giving up."""


class Customer:
    """Speaks for an audience."""

    def __init__(self, http: httpx.AsyncClient, audience: Audience) -> None:
        """Over connections that are somebody else's to close."""
        self._http = http
        self._audience = audience
        self._admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        self._secret = {"authorization": f"Bearer {audience.secret_key}"}

    async def sends_to(self, origin: str, task: Task) -> None:
        """Have Apple's devices sent to through an imitation of Apple's server."""
        ca = await asyncio.to_thread(Path(task.ca_file).read_text, encoding="ascii")
        credentials = {
            "key": task.key_pem,
            "key_id": "ABCDE12345",
            "team_id": "FGHIJ67890",
            "topic": TOPIC,
            "endpoint": origin,
            "ca": ca,
        }
        url = f"/admin/v1/instances/{self._audience.instance}/credentials/apns"
        (await self._http.put(url, json=credentials, headers=self._admin)).raise_for_status()

    async def publish_to_interest(self, interest: str) -> str:
        """Publish to everybody who subscribes; the publish's id."""
        return await self._publish("interests", interest)

    async def publish_to_user(self, user: str) -> str:
        """Publish to one person; the publish's id."""
        return await self._publish("users", user)

    async def finished(self, publish: str, tell: Callable[[int], object]) -> dict[str, Any]:
        """
        The counts of a publish, once every delivery of it is over.

        Raises:
            HeliographError: Nothing happens any more, or not everybody was sent to.
        """
        url = f"/admin/v1/instances/{self._audience.instance}/publishes/{publish}"
        counts: dict[str, Any] = {}
        sent, looks = -1, 0
        while looks < _PATIENCE:
            counts = (await self._http.get(url, headers=self._admin)).raise_for_status().json()
            tell(counts["sent"])
            if counts["state"] == "finished":
                if counts["sent"] != counts["targeted"]:
                    raise HeliographError(f"not everybody was sent to: {counts}")
                return counts
            looks = looks + 1 if counts["sent"] == sent else 0
            sent = counts["sent"]
            await asyncio.sleep(_LOOK_SECONDS)
        raise HeliographError(f"nothing happens any more: {counts}")

    async def _publish(self, kind: str, name: str) -> str:
        payload = WEB_PAYLOAD if self._audience.gateway is Gateway.WEB else APNS_PAYLOAD
        body = {kind: [name], str(self._audience.gateway): msgspec.json.decode(payload)}
        answer = await self._http.post(
            f"/publish_api/v1/instances/{self._audience.instance}/publishes/{kind}",
            json=body,
            headers=self._secret,
        )
        return str(answer.raise_for_status().json()["publishId"])
