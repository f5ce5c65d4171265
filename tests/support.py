"""What many tests build on: the product in a folder of its own, on the network or not."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from heliograph.app import Product, Role, on_the_network, product, working
from heliograph.config import Settings
from heliograph.instances import Instance

ADMIN_TOKEN: Final = "an-admin-token-of-tests"
ADMIN: Final = {"authorization": f"Bearer {ADMIN_TOKEN}"}


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings for a product of its own: a free port, an open admin API."""
    defaults: dict[str, Any] = {
        "data_dir": folder,
        "listen": "127.0.0.1:0",
        "admin_token": ADMIN_TOKEN,
    }
    return Settings(**(defaults | changes))


@dataclass(frozen=True, slots=True)
class Served:
    """A product that answers."""

    product: Product
    instance: Instance
    http: httpx.AsyncClient

    @property
    def secret(self) -> dict[str, str]:
        """The header of a customer's back end."""
        return {"authorization": f"Bearer {self.instance.secret_keys[0]}"}


@asynccontextmanager
async def in_process(folder: Path, *, role: Role = "all", **changes: Any) -> AsyncIterator[Served]:
    """The product without a network or a worker: requests go straight to its application."""
    async with product(settings_in(folder, **changes), role=role) as built:
        instance = await built.instances.create("test")
        transport = httpx.ASGITransport(app=built.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://product") as http:
            yield Served(built, instance, http)


@asynccontextmanager
async def on_loopback(
    folder: Path, *, behind: Callable[[ASGIApp], ASGIApp] = lambda app: app, **changes: Any
) -> AsyncIterator[Served]:
    """The product with its worker, on a free port; behind what ``behind`` makes of it."""
    settings = settings_in(folder, **changes)
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(product(settings))
        addresses = await stack.enter_async_context(on_the_network(behind(built.app), settings))
        await stack.enter_async_context(working(built.worker))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=addresses["endpoint"]))
        yield Served(built, await built.instances.create("test"), http)
