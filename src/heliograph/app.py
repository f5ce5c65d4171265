"""
The composition root: everything is built here, once, and passed down.

Nobody below looks for what they need; they are given it. To see what the product
consists of, read ``product``.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from heliograph import __version__
from heliograph.api import health, reference
from heliograph.api.admin import Admin
from heliograph.api.beams import openapi
from heliograph.api.beams.events import BeamsEvents
from heliograph.api.beams.reporting import Reporting
from heliograph.api.beams.routes import Beams
from heliograph.api.express import Express, Handler
from heliograph.api.ibm import routes as ibm_routes
from heliograph.api.ibm.events import IbmEvents
from heliograph.api.limits import Rate
from heliograph.api.middleware import Doorkeeper
from heliograph.api.problems import Problem, answer_http_exception, answer_problem
from heliograph.api.webhooks import WebhookAdmin
from heliograph.catalogue import Catalogue
from heliograph.config import Settings, parse_listen, variable
from heliograph.encryption.bodies import Encryption
from heliograph.encryption.process import Processes
from heliograph.errors import ConfigurationError
from heliograph.instances import Instances
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.metrics import Metrics
from heliograph.notices import Dialect
from heliograph.pipeline.accept import Accept
from heliograph.pipeline.acknowledge import Acknowledge
from heliograph.pipeline.call import Caller
from heliograph.pipeline.deliver import Deliver
from heliograph.pipeline.fleet import Fleet
from heliograph.pipeline.ledger import Ledger
from heliograph.pipeline.worker import Worker
from heliograph.queue.contract import Queue
from heliograph.queue.database import DatabaseQueue
from heliograph.queue.news import news_of
from heliograph.queue.opening import queue_of
from heliograph.registry import Registry
from heliograph.roster import Roster
from heliograph.serving import Tls, address_of, bind, collect_rarely, serving, stop_signals
from heliograph.storage.database import SQLITE, Database
from heliograph.storage.workers import WorkerRow
from heliograph.transport.client import Client
from heliograph.transport.shelf import SharedShelf
from heliograph.webhooks import Webhooks
from heliograph.wire import vapid
from heliograph.wire.seal import Seal
from heliograph.writes import Writes

Role = Literal["all", "api", "worker"]

DIALECTS: Final[Sequence[Dialect]] = (BeamsEvents(), IbmEvents())
"""Whose words webhooks can be told in."""

_KEY_FILE: Final = "master.key"
_LOCK_FILE: Final = "heliograph.lock"


@dataclass(frozen=True, slots=True)
class Product:
    """The built product: what the network talks to, and what works behind it."""

    app: ASGIApp
    instances: Instances
    worker: Worker | None
    """None in a process that only answers."""
    draining: asyncio.Event
    """Set when we are about to stop, so that nothing new should come here."""


def now() -> datetime:
    """The clock that everything is given."""
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def storage(settings: Settings) -> AsyncIterator[tuple[Database, Instances]]:
    """The database and the instances in it: all that the short commands need."""
    async with Database.opened(
        database_url(settings), migrate=settings.migrate_at_start
    ) as database:
        instances = Instances(
            database, Seal(master_key(settings)), clock=now, randomness=secrets.token_bytes
        )
        try:
            await instances.every()
            await shelf(settings, database).check_key()
        except ValueError:
            raise ConfigurationError(
                f"{variable('master_key')} is not the key that this database was written with"
            ) from None
        yield database, instances


def webhooks_of(database: Database, instances: Instances) -> Webhooks:
    """The webhooks of those instances."""
    return Webhooks(database, instances, clock=now, randomness=secrets.token_bytes)


def shelf(settings: Settings, database: Database) -> SharedShelf:
    """Where tokens for push services lie, for all processes of a database."""
    seal = Seal(master_key(settings))
    return SharedShelf(database, seal, randomness=secrets.token_bytes)


@contextlib.asynccontextmanager
async def product(
    settings: Settings, *, role: Role = "all", extra_ca: str | None = None
) -> AsyncIterator[Product]:
    """
    Build everything that a role needs, and take it down again.

    Args:
        settings: What the operator decided.
        role: ``api`` has nothing that sends; ``worker`` answers to orchestrators only.
        extra_ca: PEM of authorities to trust in web push besides the settings' own.

    Raises:
        ConfigurationError: Naming what is wrong with the settings.
    """
    check_vapid_subject(settings)
    check_role(settings, role)
    metrics, draining = Metrics(), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        if database_url(settings).startswith(SQLITE):
            stack.enter_context(_only_one(settings))
        database, instances = await stack.enter_async_context(storage(settings))
        us = WorkerRow(secrets.token_hex(8), socket.gethostname(), __version__, now(), now())
        news = await stack.enter_async_context(news_of(database))
        leases = DatabaseQueue(
            database, now, lease=timedelta(seconds=settings.lease_seconds), news=news
        )
        queue = await stack.enter_async_context(
            queue_of(settings, database, leases, metrics, clock=now)
        )
        routes: list[BaseRoute] = []
        routes += health.routes(
            metrics,
            ping=database.ping,
            is_draining=draining.is_set,
            is_queue_there=lambda: queue.is_there,
        )
        posts: dict[str, Handler] = {}
        if role != "worker":
            public, posts = _public(settings, database, queue, instances, metrics, us)
            routes += public
        worker = None
        if role != "api":
            worker = await stack.enter_async_context(
                _delivering(settings, database, queue, instances, metrics, us, extra_ca)
            )
        app = Starlette(
            routes=routes,
            exception_handlers={
                Problem: answer_problem,
                HTTPException: answer_http_exception,
            },
        )
        app.router.redirect_slashes = False  # SDKs take a redirection for an answer
        if not database.is_shared:  # in a shared one they may be those of the living
            await leases.reclaim()
        door = Doorkeeper(Express(app, posts), metrics)
        yield Product(door, instances, worker, draining)


def _public(
    settings: Settings,
    database: Database,
    queue: Queue,
    instances: Instances,
    metrics: Metrics,
    us: WorkerRow,
) -> tuple[list[BaseRoute], dict[str, Handler]]:
    """What callers talk to, and those of it that are posted to so often that they go first."""
    writes = Writes(
        database,
        clock=now,
        randomness=secrets.token_bytes,
        instances=instances,
        queue=queue,
    )
    registry = Registry(writes, max_devices_per_user=settings.max_devices_per_user)
    accept = Accept(database, queue, metrics, clock=now, randomness=secrets.token_bytes)
    webhooks = webhooks_of(database, instances)
    beams = Beams(
        instances,
        registry,
        accept,
        webhooks,
        publish_rate=settings.publish_rate,
        device_rate=settings.device_rate,
        clock=now,
    )
    acknowledge = Acknowledge(database, queue, metrics, clock=now)
    reporting = Reporting(
        instances,
        acknowledge,
        Rate(settings.device_rate),
        metrics,
        clock=now,
    )
    admin = Admin(
        database,
        instances,
        registry,
        webhooks=WebhookAdmin(database, queue, instances, webhooks, DIALECTS, clock=now),
        metrics=metrics,
        token=settings.admin_token,
        alone=None if database.is_shared else us,
        clock=now,
    )
    ibm = ibm_routes.routes(
        ibm_routes.Product(
            database,
            instances,
            Roster(writes, registry),
            Catalogue(writes),
            Ledger(database, metrics, clock=now),
            accept,
            acknowledge,
            webhooks,
        ),
        publish_rate=settings.publish_rate,
        device_rate=settings.device_rate,
        clock=now,
        randomness=secrets.token_bytes,
    )
    described = reference.routes(openapi.describe(__version__))
    return [
        *beams.routes(),
        *reporting.routes(),
        *ibm,
        *admin.routes(),
        *described,
    ], beams.publish_routes()


@contextlib.asynccontextmanager
async def _delivering(
    settings: Settings,
    database: Database,
    queue: Queue,
    instances: Instances,
    metrics: Metrics,
    us: WorkerRow,
    extra_ca: str | None,
) -> AsyncIterator[Worker]:
    """What takes messages to gateways, together with the others that do."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(outgoing(settings, metrics, extra_ca))
        encryption = Encryption(
            processes=Processes(settings.web_push_processes),
            share_key=settings.web_push_shared_key,
            randomness=secrets.token_bytes,
        )
        stack.push_async_callback(encryption.close)
        deliver = Deliver(
            client,
            encryption,
            vapid_subject=settings.vapid_subject,
            fcm_rate=settings.fcm_rate,
            shelf=shelf(settings, database),
            clock=now,
        )
        caller = Caller(
            database,
            instances,
            webhooks_of(database, instances),
            client,
            DIALECTS,
            metrics,
            clock=now,
        )
        if database.is_shared:
            fleet = Fleet(database, deliver.paces, us, clock=now)
            await stack.enter_async_context(fleet.joined())
        yield Worker(
            database,
            queue,
            instances,
            deliver,
            caller,
            metrics,
            concurrency=settings.worker_concurrency,
            batch_size=settings.batch_size,
            clock=now,
        )


async def serve(settings: Settings, *, role: Role = "all") -> None:
    """Run the product until Ctrl-C or SIGTERM."""
    with stop_signals() as stop:
        async with contextlib.AsyncExitStack() as stack:
            built = await stack.enter_async_context(product(settings, role=role))
            addresses = await stack.enter_async_context(on_the_network(built.app, settings))
            async with working(built.worker):
                collect_rarely()
                log().info(Event.READY, role=role, **addresses)
                await stop.wait()
                built.draining.set()
                if settings.drain_seconds:
                    log().info(Event.DRAINING, seconds=settings.drain_seconds)
                answering = asyncio.create_task(asyncio.sleep(settings.drain_seconds))
            await answering
    log().info(Event.STOPPED)


@contextlib.asynccontextmanager
async def on_the_network(
    app: ASGIApp, settings: Settings, *, tls: Tls | None = None
) -> AsyncIterator[dict[str, str]]:
    """
    Serve http, and https where the settings say so.

    Args:
        app: What to serve.
        settings: Where.
        tls: The certificate; None means the settings' own.

    Yields:
        The base URLs: ``endpoint`` and, if there is one, ``tls_endpoint``.
    """
    if settings.tls_cert_file is not None and settings.tls_key_file is not None:
        tls = Tls(settings.tls_cert_file, settings.tls_key_file)
    if settings.listen_tls is not None and tls is None:
        raise ConfigurationError(
            f"{variable('listen_tls')} needs {variable('tls_cert_file')} "
            f"and {variable('tls_key_file')}"
        )
    async with contextlib.AsyncExitStack() as stack:
        listener = bind(*parse_listen("listen", settings.listen))
        on = partial(
            serving,
            app,
            proxies=settings.trusted_proxies,
            patience=timedelta(seconds=settings.request_seconds),
        )
        await stack.enter_async_context(on(listener))
        addresses = {"endpoint": f"http://{address_of(listener)}"}
        if settings.listen_tls is not None:
            secure = bind(*parse_listen("listen_tls", settings.listen_tls))
            await stack.enter_async_context(on(secure, tls=tls))
            addresses["tls_endpoint"] = f"https://{address_of(secure)}"
        yield addresses


@contextlib.asynccontextmanager
async def working(worker: Worker | None) -> AsyncIterator[None]:
    """Let a worker work, if there is one; on exit it finishes what it has in hand."""
    if worker is None:
        yield
        return
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def database_url(settings: Settings) -> str:
    """Where everything is kept."""
    return settings.database_url or f"sqlite:///{settings.data_dir.absolute()}/heliograph.db"


def master_key(settings: Settings) -> str:
    """The key of secrets at rest: from the settings, or from a file that is made once."""
    if settings.master_key is not None:
        return settings.master_key
    path = settings.data_dir / _KEY_FILE
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_urlsafe(32))
        log().info(Event.KEY_FILE_MADE, path=str(path))
    return path.read_text().strip()


def check_vapid_subject(settings: Settings) -> None:
    """
    Refuse a contact address that push services would refuse.

    Raises:
        ConfigurationError: Naming the setting.
    """
    try:
        vapid.check_subject(settings.vapid_subject)
    except ValueError as problem:
        raise ConfigurationError(f"{variable('vapid_subject')}: {problem}") from None


def check_role(settings: Settings, role: Role) -> None:
    """
    Refuse a part of the product where the other parts could not be.

    Raises:
        ConfigurationError: Naming the setting.
    """
    if role != "all" and database_url(settings).startswith(SQLITE):
        raise ConfigurationError(
            f"--role {role} needs a database that several processes may serve: "
            f"set {variable('database_url')} to a PostgreSQL, or leave the role out"
        )


@contextlib.asynccontextmanager
async def outgoing(
    settings: Settings, metrics: Metrics | None = None, extra_ca: str | None = None
) -> AsyncIterator[Client]:
    """The way out: a client with the settings' networks and authorities."""
    authorities = [extra_ca] if extra_ca else []
    if settings.extra_ca_file is not None:
        authorities.append(_read_ca(settings.extra_ca_file))
    client = Client(
        allowed=[ipaddress.ip_network(network) for network in settings.egress_allow],
        extra_ca="\n".join(authorities) or None,
        metrics=metrics,
    )
    try:
        yield client
    finally:
        await client.close()


def _read_ca(path: Path) -> str:
    try:
        authorities = path.read_text()
        x509.load_pem_x509_certificates(authorities.encode())
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"{variable('extra_ca_file')}: {problem}") from None
    return authorities


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """
    Hold a data directory for ourselves: SQLite has one writer, and leases are ours to end.

    Raises:
        ConfigurationError: Another process serves it.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another process serves {settings.data_dir}; "
                f"give this one a {variable('data_dir')} of its own"
            ) from None
        yield
