"""Which queue the settings ask for, and its way to NATS if that is the one."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Final

from heliograph.config import Settings, variable
from heliograph.errors import ConfigurationError
from heliograph.metrics import Metrics
from heliograph.queue.broker import Address, Broker
from heliograph.queue.contract import Queue
from heliograph.queue.database import DatabaseQueue
from heliograph.queue.jetstream import JetStreamQueue
from heliograph.queue.tickets import Names
from heliograph.storage.database import Database

_AFTER_THE_LEASE: Final = timedelta(seconds=5)
"""How long after that a ticket is given to somebody else: the lease has ended by then."""


@contextlib.asynccontextmanager
async def queue_of(
    settings: Settings,
    database: Database,
    leases: DatabaseQueue,
    metrics: Metrics,
    *,
    clock: Callable[[], datetime],
) -> AsyncIterator[Queue]:
    """
    The queue in the database, or on NATS in front of it.

    Raises:
        ConfigurationError: NATS cannot be reached, or has no JetStream.
    """
    if settings.queue_url is None:
        yield leases
        return
    queue = JetStreamQueue(
        leases, database, broker(settings), Names(settings.queue_name), metrics, clock=clock
    )
    await queue.open()
    try:
        yield queue
    finally:
        await queue.close()


def broker(settings: Settings) -> Broker:
    """
    The way to NATS that the settings name; nothing is opened yet.

    Raises:
        ConfigurationError: The address or the authorities cannot be used.
    """
    try:
        address = Address.parse(settings.queue_url or "")
    except ValueError as problem:
        raise ConfigurationError(f"{variable('queue_url')} {problem}") from None
    return Broker(
        address,
        Names(settings.queue_name),
        replicas=settings.queue_replicas,
        ack_wait=timedelta(seconds=settings.lease_seconds) + _AFTER_THE_LEASE,
        tls=_trust(settings) if address.is_tls else None,
    )


def _trust(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.queue_ca_file is not None:
        try:
            context.load_verify_locations(settings.queue_ca_file)
        except (OSError, ssl.SSLError) as problem:
            raise ConfigurationError(f"{variable('queue_ca_file')}: {problem}") from None
    return context
