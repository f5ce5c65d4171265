"""
Our own sender: what the product does between the devices of a batch and their outcomes.

The gateways' couriers pack and judge, in batches as large as the product's. Devices and
tokens are there before; the database is not in it.

Variants: ``engine`` (APNs) is ``wire/http2`` with a bare protocol around it, and
nothing of the product; ``shared key`` (Web Push) encrypts a batch with one key pair
instead of one for each message; ``two processes`` is two senders at once.
"""

import asyncio
import multiprocessing
import os
import time
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from ipaddress import ip_network
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from heliograph.bench.peers.browsers import browsers
from heliograph.bench.peers.meter import Meter, context, print_report, read_task
from heliograph.bench.work import FCM_MESSAGE, HOLE, PROJECT, Report, Task
from heliograph.encryption.bodies import Encryption
from heliograph.encryption.process import Processes
from heliograph.gateways.contract import Outcome, Sent
from heliograph.model import (
    Address,
    ApnsAddress,
    ApnsCredentials,
    ApnsMessage,
    DeviceNumber,
    FcmAddress,
    FcmCredentials,
    FcmMessage,
    Gateway,
    PublishId,
    ServiceAccount,
    VapidKeys,
    WebAddress,
    WebMessage,
)
from heliograph.pipeline.couriers.apns import ApnsCourier
from heliograph.pipeline.couriers.contract import Courier
from heliograph.pipeline.couriers.fcm import FcmCourier
from heliograph.pipeline.couriers.web import WebCourier
from heliograph.pipeline.deliver import Deliver
from heliograph.serving import collect_rarely
from heliograph.storage.devices import Recipient, recipient
from heliograph.transport.client import Client
from heliograph.transport.pace import Pace
from heliograph.transport.tokens import AccessTokens, ProviderTokens, VapidTokens
from heliograph.wire.http2 import Connection, Template

BATCH: Final = 1000
"""Devices in one batch, as the product has it unless told otherwise."""

BATCHES_IN_HAND: Final = 4

ENGINE: Final = "engine"
SHARED_KEY: Final = "shared key"
TWO_PROCESSES: Final = "two processes"

_UNLIMITED: Final = 10**12
"""Messages a minute."""

# --- the product ---------------------------------------------------------------------


async def send_by_product(task: Task, meter: Meter) -> Report:
    """Do a task as a worker does: a few batches at a time, from devices to outcomes."""
    client = Client(allowed=[ip_network("127.0.0.0/8")], extra_ca=_ca(task))
    encryption = Encryption(
        processes=Processes(0), share_key=task.variant == SHARED_KEY, randomness=os.urandom
    )
    deliver = Deliver(client, encryption, vapid_subject=task.subject, clock=_now)
    courier, devices = _courier(task, client, encryption), _devices(task)
    outcomes = await deliver.carry(courier, devices[:1])
    batches = iter([devices[at : at + BATCH] for at in range(1, len(devices), BATCH)])

    async def work() -> None:
        for batch in batches:
            outcomes.update(await deliver.carry(courier, batch))

    collect_rarely()
    with meter:
        await asyncio.gather(*[work() for _ in range(BATCHES_IN_HAND)])
    await encryption.close()
    await client.close()
    if failed := [each for each in outcomes.values() if not isinstance(each, Sent)]:
        raise SystemExit(str(failed[0]))
    return meter.report(sent=task.count, requests=len(outcomes))


def _courier(task: Task, client: Client, encryption: Encryption) -> Courier:
    match task.gateway:
        case Gateway.APNS:
            return ApnsCourier(
                PublishId("pubid-0b8e9a6e-6a55-4b1b-8a86-0e2c6d2f3f10"),
                ApnsMessage(task.body.encode(), expiration=0),
                ApnsCredentials(
                    key=task.key_pem,
                    key_id="ABCDE12345",
                    team_id="FGHIJ67890",
                    topic=task.topic,
                    endpoint=task.origin,
                    ca=_ca(task),
                ),
                tokens=ProviderTokens(_now),
            )
        case Gateway.FCM:
            account = ServiceAccount(PROJECT, "", "", "")
            return FcmCourier(
                FcmMessage(FCM_MESSAGE.encode()),
                FcmCredentials(account, endpoint=task.origin, ca=_ca(task)),
                tokens=_Granted(task, client),
                pace=Pace(_UNLIMITED, time.monotonic),
                clock=_now,
                sleep=asyncio.sleep,
            )
        case Gateway.WEB:
            keys = VapidKeys(_decoded(task.vapid_private), _decoded(task.vapid_public))
            return WebCourier(
                WebMessage(task.body.encode()),
                lambda _: keys,
                encryption=encryption,
                tokens=VapidTokens(task.subject, _now),
            )


class _Granted(AccessTokens):
    """An access token that was fetched before: the sink has none to give."""

    def __init__(self, task: Task, client: Client) -> None:
        super().__init__(client, _now)
        self._token = dict(task.headers)["authorization"].removeprefix("Bearer ")

    async def current(self, credentials: FcmCredentials) -> str | Outcome:
        """The token."""
        del credentials
        return self._token


def _devices(task: Task) -> list[Recipient]:
    return [
        recipient(DeviceNumber(number), address)
        for number, address in enumerate(_addresses(task), start=1)
    ]


def _addresses(task: Task) -> Sequence[Address]:
    match task.gateway:
        case Gateway.APNS:
            return [ApnsAddress(each) for each in task.tokens()]
        case Gateway.FCM:
            return [FcmAddress(each) for each in task.tokens()]
        case Gateway.WEB:
            return [
                WebAddress(endpoint, _decoded(p256dh), _decoded(auth))
                for endpoint, p256dh, auth in browsers(task)
            ]


def _now() -> datetime:
    return datetime.now(UTC)


def _ca(task: Task) -> str:
    return Path(task.ca_file).read_text(encoding="ascii")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- the engine alone ----------------------------------------------------------------


class Engine(asyncio.Protocol):
    """A connection's rules with as little around them as possible."""

    def __init__(self, task: Task, meter: Meter) -> None:
        authority = task.origin.removeprefix("https://").encode()
        fields: list[tuple[bytes, bytes | None]] = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority),
            (b":path", None),
        ]
        fields += [(name.encode(), value.encode()) for name, value in task.headers]
        self._template = Template(tuple(fields), task.body.encode())
        paths = [task.path.replace(HOLE, token).encode() for token in task.tokens()]
        self._waiting: list[tuple[bytes, tuple[bytes, ...]]] = [(each, (each,)) for each in paths]
        self._meter = meter
        self._sent = self._ended = 0
        self._connection = Connection()
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request, which is not measured."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=2**22)
        self._feed(1)

    def data_received(self, data: bytes) -> None:
        """Count replies and send what there is room for."""
        connection = self._connection
        ended = connection.receive_data(data)
        if ended and not self._ended:
            self._meter.__enter__()
        self._ended += len(ended)
        if self._ended == len(self._waiting):
            self._meter.__exit__(None, None, None)
            self.done.set_result(self._ended)
        elif self._ended and (connection.room >= 64 or not connection.open_streams):  # noqa: PLR2004
            self._feed(connection.room)
        else:
            self._transport.write(connection.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if that was too early."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError())

    def _feed(self, room: int) -> None:
        batch = self._waiting[self._sent : self._sent + room]
        self._sent += self._connection.send(self._template, batch)
        self._transport.write(self._connection.data_to_send())


async def send_by_engine(task: Task, meter: Meter) -> Report:
    """Do a task by the bare engine, over one connection."""
    _, engine = await asyncio.get_running_loop().create_connection(
        lambda: Engine(task, meter),
        "127.0.0.1",
        urlsplit(task.origin).port or 443,
        ssl=context(task, "h2"),
    )
    return meter.report(requests=await engine.done, sent=task.count)


# --- how often -----------------------------------------------------------------------


def send(task: Task, meter: Meter) -> Report:
    """Do a task in this process."""
    way = send_by_engine if task.variant == ENGINE else send_by_product
    return uvloop.run(way(task, meter))


def send_twice(task: Task) -> Report:
    """Do a task in each of two processes that begin together, on a core each."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    with ProcessPoolExecutor(2, spawn, _remember, (barrier,)) as pool:
        halves = list(pool.map(_send_half, [(task, 0), (task, 1)]))
    reports = [report for report, _, _ in halves]
    seconds = max(end for _, _, end in halves) - min(begin for _, begin, _ in halves)
    return Report(
        sent=sum(each.sent for each in reports),
        requests=sum(each.requests for each in reports),
        cpu_seconds=sum(each.cpu_seconds for each in reports),
        wall_seconds=seconds,
        peak_bytes=sum(each.peak_bytes for each in reports),
    )


_barriers: list[Barrier] = []


def _remember(barrier: Barrier) -> None:
    """Keep what can be handed only to a process that starts."""
    _barriers.append(barrier)


def _send_half(half: tuple[Task, int]) -> tuple[Report, float, float]:
    task, number = half
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    meter = Meter(ready=_barriers[0].wait)
    return send(task, meter), meter.began_at, meter.ended_at


if __name__ == "__main__":
    given = read_task()
    print_report(send_twice(given) if given.variant == TWO_PROCESSES else send(given, Meter()))
