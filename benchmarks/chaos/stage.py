"""What a run takes place on: a sandbox, devices that are registered, and the parts to be killed."""

import asyncio
import itertools
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import httpx
from benchmarks.chaos.hook import EVENT, Hook, hooked
from benchmarks.chaos.parts import PATIENCE_SECONDS, Nats, Part, Postgres, Server
from benchmarks.chaos.script import DEVICES_OF_A_USER, Order, interests, user

from builders import MASTER_KEY
from heliograph.api.beams import schema
from heliograph.app import now, storage
from heliograph.client.publish import AsyncPushNotifications
from heliograph.config import Settings
from heliograph.errors import ConfigurationError
from heliograph.model import DeviceId, Gateway, Interest, UserId
from heliograph.pipeline.worker import SMALL_HANDS
from heliograph.registry import Registry
from heliograph.writes import Writes
from processes import heliograph
from support import ADMIN

Mode = Literal["embedded", "cluster"]

BATCH_SIZE: Final = 10
CONCURRENCY: Final = 1

MOST_IN_HAND: Final = BATCH_SIZE * CONCURRENCY * (SMALL_HANDS + 2)
"""Deliveries that one process has in hand, and so can repeat: small, large, and once more."""

LEASE_SECONDS: Final = 10
"""How long what a dead worker held rests; no living one may be kept from the CPU for so long."""

_PLATFORMS: Final = ("apns", "fcm", "web")


@dataclass(slots=True)
class Device:
    """A virtual device, and the app on it."""

    platform: str
    address: str
    """What the app registers, and what the sandbox calls it."""
    user: int
    """The place of the one who is logged in."""
    id: str = ""
    """What the product calls it."""


@dataclass(slots=True)
class Stage:
    """Everything that is there."""

    http: httpx.AsyncClient
    management: str
    devices: list[Device]
    """By user, one for each platform."""
    parts: dict[str, Part]
    """In the order in which they are started."""
    hook: Hook
    """Who is told of what comes of publishes."""
    instance: dict[str, str] = field(default_factory=dict)

    @property
    def front(self) -> Server:
        """The process that answers requests."""
        return next(each for each in self.servers if each.name in {"server", "api"})

    @property
    def servers(self) -> list[Server]:
        """Those of the parts that are the product."""
        return [each for each in self.parts.values() if isinstance(each, Server)]

    @property
    def workers(self) -> list[Server]:
        """The processes that deliver."""
        return [each for each in self.servers if each.name != "api"]

    def audience(self, order: Order) -> frozenset[str]:
        """The addresses of the devices that a publish is for."""
        wanted = set(order.interests)
        return frozenset(
            each.address
            for each in self.devices
            if user(each.user) in order.users or wanted.intersection(interests(each.user))
        )

    def client(self) -> AsyncPushNotifications:
        """The back end's SDK, for wherever the product was last seen to answer."""
        secrets = self.instance["instance_id"], self.instance["secret_key"]
        where = self.front.endpoint or _NOWHERE
        return AsyncPushNotifications(*secrets, where, http_client=self.http)

    def admin(self, path: str) -> str:
        """The URL of something of the instance's."""
        base = self.front.endpoint or _NOWHERE
        return f"{base}/admin/v1/instances/{self.instance['instance_id']}{path}"

    async def register_again(self, device: Device) -> None:
        """Do as the app does at its start: register, subscribe, log in."""
        token = self.client().generate_token(user(device.user))["token"]
        instance = f"/device_api/v1/instances/{self.instance['instance_id']}"
        url = f"{self.front.endpoint}{instance}/devices/{device.platform}"
        made = await self.http.post(url, json={"token": device.address})
        if made.raise_for_status().json()["id"] != device.id:
            raise AssertionError(f"{device} has become {made.text}")
        mine = {"interests": interests(device.user)}
        put = await self.http.put(f"{url}/{device.id}/interests", json=mine)
        put.raise_for_status()
        bearer = {"authorization": f"Bearer {token}"}
        bound = await self.http.put(f"{url}/{device.id}/user", headers=bearer)
        bound.raise_for_status()


_NOWHERE: Final = "http://127.0.0.1:1"
"""Where nobody answers."""


@asynccontextmanager
async def staged(mode: Mode, users: int) -> AsyncIterator[Stage]:
    """A stage with everything running, and everybody registered; nothing of it is left."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(_folder())
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=PATIENCE_SECONDS))
        sandbox = await stack.enter_async_context(heliograph("sandbox", folder=folder / "sandbox"))
        management = (await sandbox.note("sandbox.json"))["management"]
        ca = folder / "ca.pem"
        ca.write_text((await http.get(f"{management}/ca.pem")).text)
        parts, database = _parts(mode, folder, _settings(ca))
        hook = await stack.enter_async_context(hooked())
        devices = await _devices(http, management, users)
        stage = Stage(http, management, devices, parts, hook)
        for floor in floors(parts.values()):
            for part in floor:
                await part.start()
                stack.push_async_callback(part.stop)
            await asyncio.gather(*[part.ready() for part in floor])
        await _introduce(stage)
        await _populate(stage, Settings(**database))
        yield stage


def floors(parts: Iterable[Part]) -> list[list[Part]]:
    """What the product stands on, and then the product."""
    below: list[Part] = []
    above: list[Part] = []
    for part in parts:
        (above if isinstance(part, Server) else below).append(part)
    return [below, above]


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder through which everybody may go: PostgreSQL has a user of its own."""
    with tempfile.TemporaryDirectory(prefix="heliograph-chaos-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def _parts(
    mode: Mode, folder: Path, settings: dict[str, str]
) -> tuple[dict[str, Part], dict[str, Any]]:
    """The parts, in the order in which they are started; where their database is."""
    if mode == "embedded":
        server = Server("server", "all", folder / "server", settings)
        return {server.name: server}, {"data_dir": folder / "server"}
    postgres = Postgres(folder / "postgresql")
    parts: list[Part] = [postgres]
    settings = settings | {
        "HELIOGRAPH_DATABASE_URL": postgres.url,
        "HELIOGRAPH_MASTER_KEY": MASTER_KEY,
    }
    if _knows_nats(postgres.url):
        nats = Nats(folder / "nats")
        settings["HELIOGRAPH_QUEUE_URL"] = nats.url
        parts.append(nats)
    for name, role in (("api", "api"), ("worker-1", "worker"), ("worker-2", "worker")):
        parts.append(Server(name, role, folder / name, settings))
    database = {"database_url": postgres.url, "master_key": MASTER_KEY}
    return {part.name: part for part in parts}, database


def _knows_nats(database_url: str) -> bool:
    """Whether this version can keep its queue there."""
    try:
        Settings(database_url=database_url, queue_url="nats://127.0.0.1:4222")
    except ConfigurationError:
        return False
    return True


def _settings(ca: Path) -> dict[str, str]:
    return {
        "HELIOGRAPH_EGRESS_ALLOW": "127.0.0.0/8",
        "HELIOGRAPH_EXTRA_CA_FILE": str(ca),
        "HELIOGRAPH_BATCH_SIZE": str(BATCH_SIZE),
        "HELIOGRAPH_WORKER_CONCURRENCY": str(CONCURRENCY),
        "HELIOGRAPH_LEASE_SECONDS": str(LEASE_SECONDS),
        "HELIOGRAPH_PUBLISH_RATE": "100000",
        "HELIOGRAPH_DEVICE_RATE": "100000",
    }


async def _devices(http: httpx.AsyncClient, management: str, users: int) -> list[Device]:
    by_platform = []
    for platform in _PLATFORMS:
        order = {"platform": platform, "count": users}
        minted = (await http.post(f"{management}/devices", json=order)).raise_for_status()
        by_platform.append([each["token"] for each in minted.json()["devices"]])
    assert len(_PLATFORMS) == DEVICES_OF_A_USER  # noqa: S101  (places tell whose a device is)
    return list(
        itertools.chain.from_iterable(
            [
                Device(name, addresses[place], place)
                for name, addresses in zip(_PLATFORMS, by_platform, strict=True)
            ]
            for place in range(users)
        )
    )


async def _introduce(stage: Stage) -> None:
    """Make an instance that sends to the sandbox."""
    http, url = stage.http, f"{stage.front.endpoint}/admin/v1/instances"
    made = await http.post(url, json={"name": "chaos"}, headers=ADMIN)
    stage.instance = made.raise_for_status().json()
    known = (await http.get(f"{stage.management}/credentials")).json()
    for gateway in ("apns", "fcm"):
        body: dict[str, Any] = known[gateway]
        put = await http.put(stage.admin(f"/credentials/{gateway}"), json=body, headers=ADMIN)
        put.raise_for_status()
    wish = {"url": stage.hook.url, "events": [EVENT]}
    (await http.post(stage.admin("/webhooks"), json=wish, headers=ADMIN)).raise_for_status()


async def _populate(stage: Stage, settings: Settings) -> None:
    """Register everybody. In the database itself: by HTTP it would take longer than all else."""
    async with storage(settings) as (database, instances):
        instance = await instances.find(stage.instance["instance_id"])
        assert instance is not None  # noqa: S101  (it was made a moment ago)
        registry = Registry(
            Writes(database, clock=now, randomness=secrets.token_bytes),
            max_devices_per_user=settings.max_devices_per_user,
        )
        for device in stage.devices:
            address = schema.read_address(Gateway(device.platform), {"token": device.address})
            device.id = (await registry.register(instance.number, address, {})).id
            mine = [Interest(name) for name in interests(device.user)]
            await registry.set_interests(instance.number, DeviceId(device.id), mine)
            name = UserId(user(device.user))
            await registry.bind_user(instance.number, DeviceId(device.id), name)
