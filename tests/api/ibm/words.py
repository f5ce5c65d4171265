"""What SDKs and back ends of IBM's say, so that a test says only what matters to it."""

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from api.tables import Dump, dump
from heliograph.app import Product
from heliograph.instances import Instance
from heliograph.wire import ece

WEB_TYPE: Final = {"content-type": "application/json; charset = UTF-8"}
"""How Swift and the web SDK write it (contract §2.7)."""

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class App:
    """One instance, and the HTTP client that its devices and its back end share."""

    product: Product
    instance: Instance
    http: httpx.AsyncClient
    folder: Path

    @property
    def client(self) -> dict[str, str]:
        """What every call of a device bears."""
        return {"clientSecret": self.instance.client_secret}

    @property
    def backend(self) -> dict[str, str]:
        """What every call of a back end bears."""
        return {"appSecret": self.instance.app_secret}

    def path(self, rest: str) -> str:
        """A path of the instance."""
        return f"/imfpush/v1/apps/{self.instance.id}{rest}"

    async def ask(
        self,
        method: str,
        rest: str,
        body: Any = None,
        *,
        as_backend: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask as a device, or as a back end."""
        own = self.backend if as_backend else self.client
        content = None if body is None else json.dumps(body)
        kind = {} if content is None else {"content-type": "application/json"}
        return await self.http.request(
            method, self.path(rest), content=content, headers=kind | own | dict(headers or {})
        )

    async def register(
        self, device: str, *, platform: str = "A", user: str | None = None, **more: Any
    ) -> httpx.Response:
        """Register a device; its token is made up unless one is given."""
        body = {"deviceId": device, "platform": platform, "token": new_token(platform)} | more
        return await self.ask("POST", "/devices", body | ({} if user is None else {"userId": user}))

    async def tag(self, *names: str) -> None:
        """Make tags."""
        for name in names:
            reply = await self.ask("POST", "/tags", {"name": name}, as_backend=True)
            assert 201 == reply.status_code

    async def user_of(self, device: str) -> str:
        """Who is logged in on a device, as the API tells it."""
        user: str = (await self.ask("GET", f"/devices/{device}")).json()["userId"]
        return user

    def dump(self) -> Dump:
        """Everything that is stored."""
        return dump(self.folder)


def new_token(platform: str) -> str:
    """A token of a platform, which no device has had."""
    number = next(_serial)
    if platform in ("A", "WEB_SAFARI"):
        return f"{number:064x}"
    if platform in ("G", "APPEXT_CHROME"):
        return f"ibm-{number}:APA91b"
    return browser_token(f"https://push.example.com/ibm/{number}")


def browser_token(endpoint: str) -> str:
    """A browser's token as IBM's web SDK writes it: keys in standard base64 (contract §3.1)."""
    key = ece.public_key_bytes(ec.derive_private_key(7, ec.SECP256R1()))
    return json.dumps(
        {
            "endpoint": endpoint,
            "userPublicKey": base64.b64encode(key).decode(),
            "userAuth": base64.b64encode(bytes(range(16))).decode(),
        },
        separators=(",", ":"),
    )
