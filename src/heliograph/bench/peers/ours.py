"""
Our own sender: what the product does between the devices of a batch and their outcomes.

One function for each gateway builds the requests and reads the replies as
``pipeline/deliver.py`` does, in batches as large as the product's. Tokens and
addresses are there before; the database is not in it.

Variants: ``engine`` (APNs) is ``wire/http2`` with a bare protocol around it, and
nothing of the product; ``shared key`` (Web Push) encrypts a batch with one key pair
instead of one for each message; ``two processes`` is two senders at once.
"""

import asyncio
import multiprocessing
import os
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from heliograph.bench.peers.browsers import browsers
from heliograph.bench.peers.meter import Meter, context, print_report, read_task
from heliograph.bench.work import FCM_MESSAGE, HOLE, PROJECT, Report, Task
from heliograph.errors import TransportError
from heliograph.gateways import apns, fcm, webpush
from heliograph.gateways.contract import Outcome, Sent
from heliograph.model import (
    ApnsAddress,
    ApnsCredentials,
    ApnsMessage,
    DeviceId,
    FcmAddress,
    FcmCredentials,
    FcmMessage,
    Gateway,
    PublishId,
    ServiceAccount,
    VapidKeys,
    WebAddress,
    WebMessage,
    delivery_id,
)
from heliograph.transport.client import Client
from heliograph.wire import ece, vapid
from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Connection, Template

BATCH: Final = 1000
"""Devices in one batch, as the product has it unless told otherwise."""

BATCHES_IN_HAND: Final = 4

ENGINE: Final = "engine"
SHARED_KEY: Final = "shared key"
TWO_PROCESSES: Final = "two processes"

_NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_PUBLISH: Final = PublishId("pubid-0b8e9a6e-6a55-4b1b-8a86-0e2c6d2f3f10")

Send = Callable[[range], Awaitable[list[Outcome]]]
"""Sends to the devices of these numbers."""


# --- the three gateways --------------------------------------------------------------


def apns_sender(task: Task, client: Client) -> Send:
    """APNs: an id derived for each device, and the token in the path."""
    credentials = ApnsCredentials(
        key=task.key_pem,
        key_id="ABCDE12345",
        team_id="FGHIJ67890",
        topic=task.topic,
        endpoint=task.origin,
        ca=_ca(task),
    )
    message = ApnsMessage(payload=task.body.encode(), expiration=0)
    token = apns.provider_token(credentials, now=_NOW)
    devices = [
        (DeviceId(f"apns-{number:036d}"), ApnsAddress(each))
        for number, each in enumerate(task.tokens())
    ]

    async def send(numbers: range) -> list[Outcome]:
        requests = [
            apns.request(
                message,
                address,
                credentials=credentials,
                token=token,
                apns_id=delivery_id(_PUBLISH, device),
            )
            for device, address in devices[numbers.start : numbers.stop]
        ]
        results = await client.send_batch(requests, ca=credentials.ca)
        return [apns.outcome(_reply(each), now=_NOW) for each in results]

    return send


def fcm_sender(task: Task, client: Client) -> Send:
    """FCM: the token in the body, and a name in the reply."""
    account = ServiceAccount(project_id=PROJECT, client_email="", private_key="", private_key_id="")
    credentials = FcmCredentials(account, endpoint=task.origin, ca=_ca(task))
    message = FcmMessage(FCM_MESSAGE.encode())
    token = dict(task.headers)["authorization"].removeprefix("Bearer ")
    addresses = [FcmAddress(each) for each in task.tokens()]

    async def send(numbers: range) -> list[Outcome]:
        requests = [
            fcm.request(message, address, credentials=credentials, token=token)
            for address in addresses[numbers.start : numbers.stop]
        ]
        results = await client.send_batch(requests, ca=credentials.ca)
        return [fcm.outcome(_reply(each), now=_NOW) for each in results]

    return send


def web_sender(task: Task, client: Client) -> Send:
    """Web Push: encrypted for each browser, with a key pair for each message or batch."""
    message = WebMessage(task.body.encode())
    keys = VapidKeys(_decoded(task.vapid_private), _decoded(task.vapid_public))
    authorization = vapid.authorization(
        keys,
        audience=vapid.audience_of(task.origin),
        subject=task.subject,
        expires_at=datetime.now(UTC) + timedelta(hours=12),
    )
    addresses = [
        WebAddress(endpoint, _decoded(p256dh), _decoded(auth))
        for endpoint, p256dh, auth in browsers(task)
    ]

    async def send(numbers: range) -> list[Outcome]:
        key = ece.private_key_of(os.urandom(32))
        is_shared = task.variant == SHARED_KEY
        requests = [
            webpush.request(
                message,
                address,
                authorization=authorization,
                private_key=key if is_shared else ece.private_key_of(os.urandom(32)),
                salt=os.urandom(16),
            )
            for address in addresses[numbers.start : numbers.stop]
        ]
        results = await client.send_batch(requests, guarded=True)
        return [webpush.outcome(_reply(each), now=_NOW) for each in results]

    return send


_SENDERS: Final = {
    Gateway.APNS: apns_sender,
    Gateway.FCM: fcm_sender,
    Gateway.WEB: web_sender,
}


async def send_through_client(task: Task, meter: Meter) -> Report:
    """Do a task by the product's client, a few batches at a time."""
    client = Client(allowed=[ip_network("127.0.0.0/8")], extra_ca=_ca(task))
    send = _SENDERS[task.gateway](task, client)
    outcomes = await send(range(1))
    end = task.count + 1
    batches = iter([range(at, min(at + BATCH, end)) for at in range(1, end, BATCH)])

    async def work() -> None:
        for batch in batches:
            outcomes.extend(await send(batch))

    with meter:
        await asyncio.gather(*[work() for _ in range(BATCHES_IN_HAND)])
    await client.close()
    if failed := [each for each in outcomes if not isinstance(each, Sent)]:
        raise SystemExit(str(failed[0]))
    return meter.report(sent=task.count, requests=len(outcomes))


def _reply(result: HttpResponse | TransportError) -> HttpResponse:
    if isinstance(result, TransportError):
        raise SystemExit(f"{type(result).__name__}: {result}")
    return result


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
    way = send_by_engine if task.variant == ENGINE else send_through_client
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
