"""A customer of ours, as Pusher's server SDKs find one: an instance, its key, and addresses."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pusher_push_notifications as pusher
import trustme

from heliograph.app import on_the_network, product
from heliograph.instances import Instance, Instances
from support import ADMIN, settings_in

PAYLOAD: Final[dict[str, Any]] = {
    "apns": {"aps": {"alert": "Hello"}},
    "fcm": {"notification": {"title": "Hello"}},
    "web": {"notification": {"title": "Hello"}},
}


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of ours: the SDK as they use it, and what else there is to look at."""

    folder: Path
    instances: Instances
    instance: Instance
    addresses: dict[str, str]
    ca_file: str
    http: httpx.AsyncClient

    def sdk(
        self, *, instance: str | None = None, key: str | None = None
    ) -> pusher.PushNotifications:
        """A client of theirs, with other credentials if some are given."""
        client = pusher.PushNotifications(
            instance or str(self.instance.id),
            key or self.instance.secret_keys[0],
            endpoint=self.addresses["tls_endpoint"].removeprefix("https://"),
        )
        client.session.verify = self.ca_file
        return client

    async def call(self, name: str, *arguments: object, **credentials: str) -> Any:
        """What a method of the SDK returns or raises."""
        client = self.sdk(**credentials)
        method: Callable[..., Any] = getattr(client, name)
        try:
            return await asyncio.to_thread(method, *arguments)
        finally:
            client.session.close()

    def lose_tables(self) -> None:
        """Have every request fail that needs what the database keeps of publishes and users."""
        with closing(sqlite3.connect(self.folder / "heliograph.db")) as database:
            database.execute("DROP TABLE publishes")
            database.execute("DROP TABLE users")

    async def target_of(self, published: dict[str, str]) -> Any:
        """Whom a publish addressed, as the operator sees it."""
        reply = await self.http.get(
            f"/admin/v1/instances/{self.instance.id}/publishes/{published['publishId']}",
            headers=ADMIN,
        )
        return reply.json()["target"]

    async def new_device(self, token: str) -> str:
        """The path of a device that has just registered."""
        base = f"/device_api/v1/instances/{self.instance.id}/devices/fcm"
        reply = await self.http.post(base, json={"token": token})
        return f"{base}/{reply.json()['id']}"


@asynccontextmanager
async def a_customer(
    folder: Path, *, hosts: Sequence[str] = (), **changes: Any
) -> AsyncIterator[Customer]:
    """A customer of a product on the network, by http and by https, which has more hosts' names."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", *hosts)
    for name, blob in (
        ("ca.pem", authority.cert_pem),
        ("cert.pem", certificate.cert_chain_pems[0]),
        ("key.pem", certificate.private_key_pem),
    ):
        blob.write_to_path(folder / name)
    settings = settings_in(
        folder,
        **changes,
        listen_tls="127.0.0.1:0",
        tls_cert_file=folder / "cert.pem",
        tls_key_file=folder / "key.pem",
    )
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(product(settings))
        addresses = await stack.enter_async_context(on_the_network(built.app, settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=addresses["endpoint"]))
        yield Customer(
            folder,
            built.instances,
            await built.instances.create("customer"),
            addresses,
            str(folder / "ca.pem"),
            http,
        )
