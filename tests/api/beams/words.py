"""What SDKs and back ends of Beams say, so that a test says only what matters to it."""

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from api.tables import Dump, dump
from heliograph.app import Product
from heliograph.instances import Instance
from heliograph.wire import ece, jws

ALERT: Final[dict[str, Any]] = {"apns": {"aps": {"alert": "Hello"}}}
"""The shortest payload that shows something."""

ORIGIN: Final = {"origin": "https://site.example"}

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Beams:
    """One instance, and the HTTP client that SDKs and its customer's back end share."""

    product: Product
    instance: Instance
    http: httpx.AsyncClient
    folder: Path

    @property
    def secret(self) -> dict[str, str]:
        """What a customer's back end sends."""
        return {"authorization": f"Bearer {self.instance.secret_keys[0]}"}

    def path(self, rest: str, *, api: str = "device_api") -> str:
        """A path of the instance."""
        return f"/{api}/v1/instances/{self.instance.id}{rest}"

    async def publish(
        self, body: Mapping[str, Any], *, to: str = "/interests", **headers: str
    ) -> httpx.Response:
        """Publish with the secret key."""
        return await self.http.post(
            self.path(f"/publishes{to}", api="publish_api"),
            json=body,
            headers=self.secret | headers,
        )

    async def register(
        self, gateway: str = "fcm", token: str | None = None, **more: Any
    ) -> httpx.Response:
        """Register a device; a token is made up unless one is given."""
        return await self.http.post(
            self.path(f"/devices/{gateway}"),
            json={"token": token or new_token(gateway)} | more,
        )

    async def new_device(self, gateway: str = "fcm") -> str:
        """The path of a device that nobody has seen before."""
        device = (await self.register(gateway)).json()["id"]
        return self.path(f"/devices/{gateway}/{device}")

    async def log_in(self, device: str, user: str) -> httpx.Response:
        """Bind a user to the device with this path."""
        return await self.http.put(
            f"{device}/user", headers={"authorization": f"Bearer {self.token(user)}"}
        )

    async def interests(self, device: str) -> list[str]:
        """What the device with this path subscribes to."""
        names: list[str] = (await self.http.get(f"{device}/interests")).json()["interests"]
        return names

    def token(self, user: object = "u", **changes: object) -> str:
        """A Beams token as the server SDKs make it; a claim that is None is left out."""
        claims = {
            "sub": user,
            "iss": f"https://{self.instance.id}.pushnotifications.pusher.com",
            "exp": int((datetime.now(UTC) + timedelta(days=1)).timestamp()),
        } | changes
        return jws.sign_hs256(
            {"typ": "JWT"},
            {name: value for name, value in claims.items() if value is not None},
            self.instance.secret_keys[0],
        )

    def dump(self) -> Dump:
        """Everything that is kept."""
        return dump(self.folder)


def new_token(gateway: str) -> str:
    """A device token that has not been seen before."""
    number = next(_serial)
    match gateway:
        case "apns":
            return f"{number:064x}"
        case "web":
            return subscription(endpoint=f"https://push.example.com/{number}")
        case _:
            return f"fcm-token-{number}"


def subscription(**changes: object) -> str:
    """What the web SDK sends as a token: the base64 of a browser's PushSubscription."""
    point = ece.public_key_bytes(ec.derive_private_key(5, ec.SECP256R1()))
    value = {
        "endpoint": "https://push.example.com/abc",
        "expirationTime": None,
        "keys": {"p256dh": jws.base64url(point), "auth": jws.base64url(bytes(16))},
    } | changes
    return base64.b64encode(json.dumps(value).encode()).decode()


def problem(error: str, description: str) -> dict[str, str]:
    """The body of every error."""
    return {"error": error, "description": description}
