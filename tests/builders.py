"""
What tests of the rooms build on: a clock to set, chance that repeats, rows to begin with.

Whatever a test does not mention has a default here, so that what it mentions matters.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.api.beams.events import BeamsEvents
from heliograph.api.ibm.events import IbmEvents
from heliograph.encryption.bodies import Encryption
from heliograph.encryption.process import Processes
from heliograph.errors import TransportError
from heliograph.instances import Instance, Instances
from heliograph.metrics import Metrics
from heliograph.model import (
    Address,
    ApnsAddress,
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    ApnsMessage,
    DeviceId,
    DeviceNumber,
    Environment,
    FcmAddress,
    FcmCredentials,
    FcmMessage,
    Gateway,
    InstanceId,
    InstanceNumber,
    Interest,
    Messages,
    Platform,
    PublishId,
    PublishNumber,
    ServiceAccount,
    Sort,
    Target,
    ToUsers,
    UserId,
    WebAddress,
    WebMessage,
    WorkNumber,
    gateway_of,
)
from heliograph.pipeline.accept import Accept
from heliograph.pipeline.call import Caller
from heliograph.pipeline.deliver import Deliver
from heliograph.pipeline.worker import Worker
from heliograph.queue.contract import Queue
from heliograph.queue.database import DatabaseQueue
from heliograph.registry import Registry
from heliograph.sandbox import provider_certificate
from heliograph.sandbox.authority import Authority
from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.server import Sandbox
from heliograph.storage import devices, instances, interests, publishes, users, vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.publishes import Progress, Publish
from heliograph.storage.turns import Terms, lease
from heliograph.storage.work import Batch, Work
from heliograph.transport.client import Client, Destination
from heliograph.webhooks import Webhooks
from heliograph.wire import ece, http2
from heliograph.wire.http import HttpRequest, HttpResponse
from heliograph.wire.http2 import Template
from heliograph.wire.seal import Seal
from heliograph.writes import Writes

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MASTER_KEY: Final = "the-master-key-of-all-tests"
SUBJECT: Final = "mailto:push@tests.example.com"
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)

in_one_database: Final = settings(
    # Examples share a database on purpose: each makes an instance of its own in it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=20,
)
"""For properties of what is stored."""


class Clock:
    """The time, which passes when told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def randomness(seed: int = 0) -> Callable[[int], bytes]:
    """Bytes that look random and are the same each time."""
    return Random(seed).randbytes


# --- databases -----------------------------------------------------------------------

_migrated: Final[list[bytes]] = []


async def migrated_in(folder: Path) -> str:
    """The address of a migrated database; migrations run once for all tests of a process."""
    path = folder / "heliograph.db"
    url = f"sqlite:///{path}"
    if not _migrated:
        async with Database.opened(url):
            pass
        _migrated.append(path.read_bytes())
    path.write_bytes(_migrated[0])
    return url


@asynccontextmanager
async def database_in(folder: Path) -> AsyncIterator[Database]:
    """A migrated database in a folder."""
    async with Database.opened(await migrated_in(folder)) as database:
        yield database


async def add_instance(
    connection: AsyncConnection, number: int = 1, *, vapid: bytes = b""
) -> InstanceNumber:
    """An instance whose sealed values are of no interest."""
    identity = InstanceId(f"00000000-0000-4000-8000-{number:012}")
    added = await instances.add(
        connection,
        {
            "id": identity,
            "name": f"instance {number}",
            "created_at": NOW,
            "secret_key": b"",
            "client_secret": b"",
            "app_secret": b"",
            "verify_client_secret": True,
        },
    )
    await vapid_keys.add(connection, added, public_key=vapid, private_key=b"", now=NOW)
    return added


_serial: Final = count(1)


def apns_address(token: str | None = None, **changes: Any) -> ApnsAddress:
    return ApnsAddress(token or f"{next(_serial):064x}", **changes)


def fcm_address(token: str | None = None) -> FcmAddress:
    return FcmAddress(token or f"fcm-{next(_serial)}:APA91b")


def web_address(endpoint: str | None = None, **changes: Any) -> WebAddress:
    """A subscription with keys that work."""
    return WebAddress(
        endpoint or f"https://push.example.com/{next(_serial)}",
        p256dh=ece.public_key_bytes(ec.derive_private_key(7, ec.SECP256R1())),
        auth=bytes(16),
        **changes,
    )


async def add_device(
    connection: AsyncConnection,
    instance: InstanceNumber,
    address: Address | None = None,
    *,
    user: str | None = None,
    subscribed: Sequence[str] = (),
    platform: Platform | None = None,
    now: datetime = NOW,
) -> DeviceNumber:
    """A device, logged in and subscribed if so told."""
    address = address or apns_address()
    identity = DeviceId(f"{gateway_of(address)}-{next(_serial)}")
    number = await devices.add(
        connection, instance, identity, address, {}, now=now, platform=platform
    )
    if user is not None:
        owner = await users.obtain(connection, instance, UserId(user), now=now)
        await devices.change(connection, number, user_number=owner)
    await interests.add(connection, instance, number, [Interest(name) for name in subscribed])
    return number


EVERYTHING: Final = Messages(
    apns=ApnsMessage(b'{"aps":{"alert":"Hello"}}'),
    fcm=FcmMessage(b'{"notification":{"title":"Hello"}}'),
    web=WebMessage(b'{"notification":{"title":"Hello"}}'),
)
"""A message for each gateway."""


def to_users(*names: str) -> ToUsers:
    return ToUsers(tuple(UserId(name) for name in names))


async def add_publish(
    connection: AsyncConnection,
    instance: InstanceNumber,
    target: Target | None = None,
    messages: Messages = EVERYTHING,
    *,
    identity: str | None = None,
    now: datetime = NOW,
) -> PublishNumber:
    return await publishes.add(
        connection,
        instance,
        PublishId(identity or f"pubid-{next(_serial)}"),
        target or to_users("alice"),
        messages,
        now=now,
    )


def batch(
    *numbers: int,
    number: int = 1,
    publish: int = 1,
    instance: int = 1,
    gateway: Gateway = Gateway.APNS,
    environment: Environment | None = None,
    attempt: int = 1,
) -> Batch:
    """A batch as a worker holds it."""
    return Batch(
        number=WorkNumber(number),
        publish=PublishNumber(publish),
        instance=InstanceNumber(instance),
        gateway=gateway,
        environment=environment,
        devices=array("q", numbers),
        attempt=attempt,
    )


HOLDER: Final = "somebody"
"""Who has the leases of tests that lease by hand."""


async def leased(
    connection: AsyncConnection, limit: int, *, now: datetime = NOW, until: datetime | None = None
) -> list[Work]:
    """Hold up to so many pieces of work of any sort, what is fresh first."""
    terms = Terms(HOLDER, now, until or now + MINUTE)
    taken: list[Work] = []
    for sort in Sort:
        taken += await lease(connection, sort, limit - len(taken), terms)
    return taken


def ends(progress: Progress) -> dict[str, int]:
    """The counts of a publish that are not zero."""
    names = ("targeted", "sent", "failed", "expired", "cancelled", "pending")
    return {name: count for name in names if (count := getattr(progress, name))}


async def rows_of(database: Database, table: str) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608


# --- credentials and gateways --------------------------------------------------------


@cache
def sandbox_credentials() -> Credentials:
    """One set for all tests of a process: a Google key takes a while to make."""
    return Credentials.generate()


@cache
def _authority() -> Authority:
    return Authority()


@cache
def apple_key() -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ec.derive_private_key(7, ec.SECP256R1()).private_bytes(*form).decode()


def apns_credentials(**changes: Any) -> ApnsCredentials:
    base: dict[str, Any] = {
        "key": apple_key(),
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "com.example.app",
    }
    return ApnsCredentials(**(base | changes))


def apns_certificate(topic: str = "com.example.app", **form: Any) -> ApnsCertificate:
    """A certificate as Apple issues them, but by the sandbox's authority, and its key."""
    certificate, key = provider_certificate.issue(_authority(), topic, **form)
    return ApnsCertificate(certificate=certificate, key=key, topic=topic)


def fcm_credentials(**changes: Any) -> FcmCredentials:
    base: dict[str, Any] = {
        "project_id": "tests",
        "client_email": "push@tests.example.com",
        "private_key": sandbox_credentials().google_key_pem,
        "private_key_id": "key-1",
        "token_uri": "https://oauth.example.com/token",
    }
    return FcmCredentials(ServiceAccount(**(base | changes)))


@dataclass(frozen=True, slots=True)
class Gateways:
    """A running sandbox, in our own words."""

    sandbox: Sandbox
    management: httpx.AsyncClient
    clock: Callable[[], datetime]

    @property
    def ca(self) -> str:
        return self.sandbox.authority.ca_pem

    @property
    def apns(self) -> ApnsCredentials:
        return msgspec.convert(self.sandbox.credentials()["apns"], ApnsCredentials)

    @property
    def apns_certificate(self) -> ApnsCertificate:
        return msgspec.convert(self.sandbox.credentials()["apns_certificate"], ApnsCertificate)

    @property
    def fcm(self) -> FcmCredentials:
        return msgspec.convert(self.sandbox.credentials()["fcm"], FcmCredentials)

    async def mint(self, gateway: Gateway, **order: str) -> Address:
        """The address of a new virtual device."""
        answer = await self.management.post("/devices", json={"platform": str(gateway)} | order)
        minted = answer.raise_for_status().json()
        return address_of(gateway, minted)

    async def inbox(self) -> list[dict[str, Any]]:
        """What every device received, oldest first."""
        answer = await self.management.get("/inbox")
        entries: list[dict[str, Any]] = answer.raise_for_status().json()
        return entries

    async def go_wrong(self, *faults: dict[str, Any]) -> None:
        """Put these faults in force, and no others."""
        answer = await self.management.put("/scenario", json={"faults": list(faults)})
        answer.raise_for_status()


def address_of(gateway: Gateway, minted: dict[str, Any]) -> Address:
    """The address of a virtual device, from what the sandbox says of it."""
    match gateway:
        case Gateway.APNS:
            return ApnsAddress(minted["token"])
        case Gateway.FCM:
            return FcmAddress(minted["token"])
        case Gateway.WEB:
            keys = minted["subscription"]["keys"]
            return WebAddress(
                minted["subscription"]["endpoint"],
                from_base64url(keys["p256dh"]),
                from_base64url(keys["auth"]),
            )


def from_base64url(name: str) -> bytes:
    """Base64url without padding, read."""
    return msgspec.convert(name.replace("-", "+").replace("_", "/") + "=" * (-len(name) % 4), bytes)


@asynccontextmanager
async def gateways_running(clock: Callable[[], datetime]) -> AsyncIterator[Gateways]:
    """The three imitated services on loopback, whose time is ours."""
    async with (
        Sandbox.running(
            clock=clock, authority=_authority(), credentials=sandbox_credentials()
        ) as sandbox,
        httpx.AsyncClient(base_url=sandbox.addresses()["management"]) as management,
    ):
        yield Gateways(sandbox, management, clock)


Reply = HttpResponse | Exception
"""What a scripted gateway does; an exception is raised."""


TOOK_MS: Final = 7
"""How long a scripted gateway takes for an answer, it says."""


class ScriptedClient(Client):
    """A way out that leads nowhere: it answers as told, and keeps what it was given."""

    def __init__(self, answer: Callable[[HttpRequest], Reply | Awaitable[Reply]]) -> None:
        super().__init__()
        self._answer = answer
        self.sent: list[HttpRequest] = []
        self.trusted: list[tuple[str | None, bool]] = []

    async def exchange(
        self,
        destination: Destination,
        template: Template,
        values: Sequence[Sequence[bytes]],
        *,
        took: "array[int] | None" = None,
    ) -> list[HttpResponse | TransportError]:
        if took is not None:
            took.extend([TOOK_MS] * len(values))
        return [await self._reply(destination, http2.request(template, own)) for own in values]

    async def _reply(
        self, destination: Destination, request: HttpRequest
    ) -> HttpResponse | TransportError:
        self.sent.append(request)
        self.trusted.append((destination.ca, destination.is_guarded))
        reply = self._answer(request)
        if not isinstance(reply, HttpResponse | Exception):
            reply = await reply
        if isinstance(reply, HttpResponse | TransportError):
            return reply
        raise reply

    def headers(self, name: str) -> list[str]:
        """One header of every request, in the order sent."""
        return [value for each in self.sent for key, value in each.headers if key == name]


def always(reply: Reply) -> ScriptedClient:
    """A gateway that says the same to everybody."""
    return ScriptedClient(lambda _request: reply)


def in_turn(*replies: Reply) -> ScriptedClient:
    """A gateway that gives one answer after another, the last one for good."""
    left = list(replies)
    return ScriptedClient(lambda _request: left.pop(0) if len(left) > 1 else left[0])


def apns_error(status: int, reason: str, **more: Any) -> HttpResponse:
    return HttpResponse(status, (), msgspec.json.encode({"reason": reason} | more))


# --- the product without its doors ---------------------------------------------------


@dataclass
class Workshop:
    """Everything behind the API, in a database of its own, at a time that we set."""

    database: Database
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)
    random: Callable[[int], bytes] = field(default_factory=randomness)
    another_queue: Queue | None = None
    """Where work comes from, if that is not the database."""

    def __post_init__(self) -> None:
        self.instances = Instances(
            self.database, Seal(MASTER_KEY), clock=self.clock, randomness=self.random
        )
        self.registry = Registry(
            Writes(self.database, clock=self.clock, randomness=self.random),
            max_devices_per_user=100,
        )
        self.webhooks = Webhooks(
            self.database, self.instances, clock=self.clock, randomness=self.random
        )
        self.leases = DatabaseQueue(self.database, self.clock)
        self.queue: Queue = self.another_queue or self.leases
        self.accept = Accept(
            self.database, self.queue, self.metrics, clock=self.clock, randomness=self.random
        )

    async def instance(
        self, *, apns: ApnsIdentity | None = None, fcm: FcmCredentials | None = None
    ) -> Instance:
        """A new instance; it has an APNs key unless another is given."""
        made = await self.instances.create("shop")
        await self.instances.set_apns(made.id, apns or apns_credentials())
        if fcm is not None:
            await self.instances.set_fcm(made.id, fcm)
        found = await self.instances.find(made.id)
        assert found is not None
        return found

    async def log_in(self, instance: Instance, user: str, address: Address) -> DeviceId:
        """A device at an address, on which a person is logged in."""
        registration = await self.registry.register(instance.number, address, {})
        await self.registry.bind_user(instance.number, registration.id, UserId(user))
        return registration.id

    async def publish(
        self, instance: Instance, target: Target, messages: Messages = EVERYTHING
    ) -> PublishId:
        identity = self.accept.new_id()
        await self.accept.accept(instance, identity, target, messages)
        return identity

    def deliver(self, client: Client, **pace: Any) -> Deliver:
        return Deliver(
            client,
            Encryption(processes=Processes(0), share_key=False, randomness=self.random),
            vapid_subject=SUBJECT,
            clock=self.clock,
            **pace,
        )

    def worker(
        self,
        client: Client,
        *,
        concurrency: int = 8,
        batch_size: int = 1000,
        dice: Callable[[], float] = lambda: 0.5,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Worker:
        return Worker(
            self.database,
            self.queue,
            self.instances,
            self.deliver(client),
            Caller(
                self.database,
                self.instances,
                self.webhooks,
                client,
                [BeamsEvents(), IbmEvents()],
                self.metrics,
                clock=self.clock,
            ),
            self.metrics,
            concurrency=concurrency,
            batch_size=batch_size,
            clock=self.clock,
            dice=dice,
            sleep=sleep,
        )

    async def take(self, limit: int) -> list[Work]:
        """Hold up to so many pieces of work of any sort, what is fresh first; oldest first."""
        taken: list[Work] = []
        for sort in Sort:
            taken += await self.queue.take(sort, limit - len(taken))
        return sorted(taken, key=lambda each: each.number)

    async def progress(self, instance: Instance, publish: PublishId) -> Progress:
        async with self.database.read() as connection:
            found = await publishes.progress(connection, instance.number, publish)
        assert found is not None
        return found

    async def found(self, instance: Instance, publish: PublishId) -> Publish:
        """The publish itself, as a worker reads it."""
        async with self.database.read() as connection:
            number = await publishes.find_id(connection, instance.number, publish)
            assert number is not None
            read = await publishes.find(connection, number)
        assert read is not None
        return read


@asynccontextmanager
async def workshop_in(folder: Path) -> AsyncIterator[Workshop]:
    async with database_in(folder) as database:
        yield Workshop(database, Clock())
