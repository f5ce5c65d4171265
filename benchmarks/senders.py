"""
What sending costs: CPU of the sender for each notification, for several senders.

All of them send the same request (64 hex digits in the path, an alert of about 200
bytes, a provider token) over one TLS connection with up to 1,000 requests under way,
to a sink that answers without decoding header fields. The sink answers in two shapes:
``coalesced``, all the replies to what came in one read together, and ``records``, one
TLS record for each, which is the bad case for a reader. Rounds are interleaved, so
that a noisy machine is unfair to nobody; trust ratios rather than microseconds.

    python benchmarks/senders.py --rounds 5

Connecting, handshake and the first request are not counted.
"""

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, cast

import httpx
import uvloop
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from heliograph.sandbox import Authority
from heliograph.transport.client import Client
from heliograph.wire.http import HttpRequest
from heliograph.wire.http2 import Connection, Template
from heliograph.wire.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    PREFACE,
    Kind,
    Setting,
    frame,
    settings,
    window_update,
)

SHAPES: Final = ("coalesced", "records")
STREAMS: Final = 1000
BODY: Final = b'{"aps":{"alert":{"title":"Hello","body":"' + b"x" * 160 + b'"}}}'
HEADERS: Final = (
    ("authorization", "bearer " + "x" * 223),
    ("apns-topic", "com.example.app"),
    ("apns-push-type", "alert"),
    ("apns-priority", "10"),
    ("apns-expiration", "0"),
)


def paths(count: int) -> list[str]:
    """As many addresses, none twice."""
    return [f"/3/device/{number:064x}" for number in range(count)]


# --- the sink ------------------------------------------------------------------------


class Sink(asyncio.Protocol):
    """Answers 200 to each stream that ends, whatever its header fields say."""

    def __init__(self, shape: str) -> None:
        self._is_coalesced = shape == "coalesced"
        self._rest = b""
        self._has_greeted = False
        self._consumed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Allow a thousand streams and large windows."""
        self._transport = cast("asyncio.Transport", transport)
        greeting = settings(
            {Setting.MAX_CONCURRENT_STREAMS: STREAMS, Setting.INITIAL_WINDOW_SIZE: 2**20}
        )
        self._transport.write(greeting + window_update(0, 2**30))

    def data_received(self, data: bytes) -> None:
        """Answer the streams that end in these bytes."""
        data = self._rest + data
        at = 0
        if data.startswith(PREFACE[:3]):
            at = len(PREFACE)
        replies = []
        while len(data) - at >= HEAD_BYTES:
            head, flags, stream_id = HEAD.unpack_from(data, at)
            if len(data) - at - HEAD_BYTES < head >> 8:
                break
            kind = head & 0xFF
            if kind == Kind.DATA:
                self._consumed += head >> 8
                if flags & END_STREAM:
                    replies.append(self._reply(stream_id))
            elif kind == Kind.SETTINGS and not flags & ACK:
                replies.append(frame(Kind.SETTINGS, ACK, 0))
            at += HEAD_BYTES + (head >> 8)
        self._rest = data[at:]
        if self._consumed > 2**24:
            replies.append(window_update(0, self._consumed))
            self._consumed = 0
        if self._is_coalesced:
            replies = [b"".join(replies)]
        for reply in replies:
            self._transport.write(reply)

    def _reply(self, stream_id: int) -> bytes:
        # 200 and an apns-id; the first reply says that no table is used (RFC 7541 §4.2)
        block = b"\x88\x00\x07apns-id\x2401234567-89ab-4def-8123-456789abcdef"
        if not self._has_greeted:
            self._has_greeted = True
            block = b"\x20" + block
        return frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream_id, block)


async def serve(shape: str, certificate: str) -> None:
    """Be a sink until killed; print the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(shape), "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# --- the senders ---------------------------------------------------------------------

Measured = tuple[int, float]
"""How many were sent, and the CPU seconds that it took."""


class Engine(asyncio.Protocol):
    """Our connection rules with as little around them as possible."""

    def __init__(self, origin: str, count: int) -> None:
        authority = origin.removeprefix("https://").encode()
        fields: list[tuple[bytes, bytes | None]] = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority),
            (b":path", None),
        ]
        fields += [(name.encode(), value.encode()) for name, value in HEADERS]
        self._template = Template(tuple(fields), BODY)
        self._waiting = [(path, (path.encode(),)) for path in paths(count)]
        self._sent = self._ended = 0
        self._connection = Connection()
        self._started = 0.0
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request, which is not counted."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=2**22)
        self._feed()

    def data_received(self, data: bytes) -> None:
        """Count replies and send what there is room for."""
        connection = self._connection
        self._ended += len(connection.receive_data(data))
        if self._ended and not self._started:
            self._started = time.process_time()
        if self._ended == len(self._waiting):
            self.done.set_result(time.process_time() - self._started)
        elif connection.room >= 64 or not connection.open_streams:  # noqa: PLR2004
            self._feed()

    def _feed(self) -> None:
        batch = self._waiting[self._sent : self._sent + self._connection.room]
        self._sent += self._connection.send(self._template, batch)
        self._transport.write(self._connection.data_to_send())


async def engine(origin: str, ca: str, count: int) -> Measured:
    """Our rules on a bare asyncio protocol."""
    loop = asyncio.get_running_loop()
    _, sender = await loop.create_connection(
        lambda: Engine(origin, count),
        "127.0.0.1",
        int(origin.rpartition(":")[2]),
        ssl=_context(ca),
    )
    return count, await sender.done


async def client(origin: str, ca: str, count: int) -> Measured:
    """The product's client: pool, deadlines, resending, and a request object for each."""
    sender = Client()
    text = Path(ca).read_text(encoding="ascii")  # noqa: ASYNC240  (nobody else waits yet)
    await sender.send(HttpRequest("POST", origin + "/", HEADERS, BODY), ca=text)
    started = time.process_time()
    requests = [HttpRequest("POST", origin + path, HEADERS, BODY) for path in paths(count)]
    results = await sender.send_batch(requests, ca=text)
    spent = time.process_time() - started
    assert {200} == {getattr(result, "status", result) for result in results}  # noqa: S101
    await sender.close()
    return count, spent


async def h2_library(origin: str, ca: str, count: int) -> Measured:
    """The h2 library, fed in batches."""
    port = int(origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_context(ca))
    connection = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    connection.initiate_connection()
    fields = [(":method", "POST"), (":scheme", "https"), (":authority", f"127.0.0.1:{port}")]
    rest = iter(paths(count + 1))
    open_streams = ended = 0
    started = 0.0
    room = 1
    while ended <= count:
        while open_streams < room and (path := next(rest, None)) is not None:
            stream_id = connection.get_next_available_stream_id()
            connection.send_headers(stream_id, [*fields, (":path", path), *HEADERS])
            connection.send_data(stream_id, BODY, end_stream=True)
            open_streams += 1
        writer.write(connection.data_to_send())
        for event in connection.receive_data(await reader.read(65_536)):
            if isinstance(event, StreamEnded):
                open_streams -= 1
                ended += 1
        if ended and not started:
            started, room = time.process_time(), STREAMS
    spent = time.process_time() - started
    writer.close()
    return count, spent


async def httpx_http2(origin: str, ca: str, count: int) -> Measured:
    """httpx, with a hundred requests at a time."""
    async with httpx.AsyncClient(http1=False, http2=True, verify=_context(ca)) as sender:
        await sender.post(origin + "/", headers=HEADERS, content=BODY)
        places = asyncio.Semaphore(100)

        async def post(path: str) -> None:
            async with places:
                await sender.post(origin + path, headers=HEADERS, content=BODY)

        started = time.process_time()
        await asyncio.gather(*[post(path) for path in paths(count)])
        return count, time.process_time() - started


SENDERS: Final[dict[str, tuple[Callable[[str, str, int], Awaitable[Measured]], bool, int]]] = {
    "wire/http2 on uvloop": (engine, True, 100_000),
    "wire/http2 on asyncio": (engine, False, 100_000),
    "transport/client on uvloop": (client, True, 50_000),
    "h2 library": (h2_library, False, 5_000),
    "httpx, http2": (httpx_http2, False, 1_000),
}
"""How to send, whether on uvloop, and how many."""


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    return context


# --- the rounds ----------------------------------------------------------------------


def measure(name: str, origin: str, ca: str) -> None:
    """Be a sender, and print microseconds for each notification."""
    send, on_uvloop, count = SENDERS[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if on_uvloop else None) as runner:

        async def run() -> Measured:
            return await send(origin, ca, count)

        sent, seconds = runner.run(run())
    print(json.dumps(seconds / sent * 1e6))


def child(core: int, *arguments: str) -> subprocess.Popen[str]:
    """This program in another role, on a core of its own if there are two."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = {cores[core % len(cores)]}
    return subprocess.Popen(  # noqa: S603  (ourselves)
        [sys.executable, __file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, pinned),  # noqa: PLW1509  (no threads here)
    )


def rounds(count: int) -> dict[tuple[str, str], list[float]]:
    """Microseconds by sender and shape."""
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        authority = Authority()
        ca, certificate = Path(folder, "ca.pem"), Path(folder, "server.pem")
        ca.write_text(authority.ca_pem)
        chain, key = authority.server_certificate()
        certificate.write_text(chain + key)
        sinks = {shape: child(1, "--sink", shape, str(certificate)) for shape in SHAPES}
        try:
            origins = {}
            for shape, sink in sinks.items():
                assert sink.stdout is not None  # noqa: S101
                origins[shape] = f"https://127.0.0.1:{sink.stdout.readline().strip()}"
            everything = [(shape, name) for shape in SHAPES for name in SENDERS]
            bar = progress.add_task("sending", total=count * len(everything))
            for _ in range(count):
                for shape, name in everything:
                    process = child(0, "--send", name, origins[shape], str(ca))
                    output, _ = process.communicate(timeout=120)
                    found.setdefault((shape, name), []).append(float(output))
                    progress.advance(bar)
        finally:
            for sink in sinks.values():
                sink.kill()
                sink.wait()
    return found


def show(found: dict[tuple[str, str], list[float]]) -> None:
    """A table a shape."""
    for shape in SHAPES:
        table = Table("sender", "min", "median", "max", "relative", title=f"µs of CPU, {shape}")
        best = min(statistics.median(found[shape, name]) for name in SENDERS)
        for name in SENDERS:
            each = found[shape, name]
            middle = statistics.median(each)
            table.add_row(
                name, *[f"{x:.2f}" for x in (min(each), middle, max(each))], f"{middle / best:.1f}"
            )
        Console().print(table)


def main() -> None:
    """Play the role that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sink", nargs=2, metavar=("SHAPE", "CERTIFICATE"), help="be a sink")
    parser.add_argument("--send", nargs=3, metavar=("NAME", "ORIGIN", "CA"), help="be a sender")
    arguments = parser.parse_args()
    if arguments.sink:
        asyncio.run(serve(*arguments.sink))
    elif arguments.send:
        measure(*arguments.send)
    else:
        show(rounds(arguments.rounds))


if __name__ == "__main__":
    main()
