"""
What sending costs: CPU of the sender for each notification, for several senders.

Unless its name says otherwise, a sender sends as to APNs (64 hex digits in the path, an
alert of about 200 bytes, a provider token), over one TLS connection with up to 1,000
requests under way, to a sink that answers without decoding header fields. The sink
answers in two shapes: ``coalesced``, all the replies to what came in one read together,
and ``records``, one TLS record for each, which is the bad case for a reader. Rounds are
interleaved, so that a noisy machine is unfair to nobody; trust ratios rather than
microseconds.

    python benchmarks/senders.py --rounds 5 --only wire/http2

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
from dataclasses import dataclass
from functools import partial
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


APNS_BLOCK: Final = b"\x88\x00\x07apns-id\x2401234567-89ab-4def-8123-456789abcdef"
"""200 and an apns-id (RFC 7541 appendix A)."""

FCM_BLOCK: Final = (
    b"\x88\x0f\x10\x1fapplication/json; charset=UTF-8"
    b"\x0f\x12\x1dMon, 05 Oct 2026 12:00:00 GMT\x0f\x27\x03ESF\x0f\x2c\x06Origin"
    b"\x00\x10x-xss-protection\x010\x00\x0fx-frame-options\x0aSAMEORIGIN"
    b"\x00\x16x-content-type-options\x07nosniff"
)
FCM_BODY: Final = b'{\n  "name": "projects/example/messages/0:%016d%%31bd1c9631bd1c96"\n}\n'


def apns_reply(stream_id: int, update: bytes) -> bytes:
    """A plain 200."""
    return frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream_id, update + APNS_BLOCK)


def fcm_reply(stream_id: int, update: bytes) -> bytes:
    """200, a small JSON body, and an empty frame at its end."""
    return (
        frame(Kind.HEADERS, END_HEADERS, stream_id, update + FCM_BLOCK)
        + frame(Kind.DATA, 0, stream_id, FCM_BODY % stream_id)
        + frame(Kind.DATA, END_STREAM, stream_id)
    )


def webpush_reply(stream_id: int, update: bytes) -> bytes:
    """201 with an address of its own."""
    location = b"https://push.example.com/m/gAAAAA%080x" % stream_id
    block = b"\x08\x03201\x0f\x1f%c%b\x00\x03ttl\x0286" % (len(location), location)
    return frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream_id, update + block)


REPLIES: Final = {"apns": apns_reply, "fcm": fcm_reply, "webpush": webpush_reply}


class Sink(asyncio.Protocol):
    """Answers well to each stream that ends, whatever its header fields say."""

    def __init__(self, shape: str, service: str) -> None:
        self._is_coalesced = shape == "coalesced"
        self._reply = REPLIES[service]
        self._update = b"\x20"
        """The first reply says that no table is used (RFC 7541 §4.2)."""
        self._rest = b""
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
                    replies.append(self._reply(stream_id, self._update))
                    self._update = b""
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


async def serve(shape: str, certificate: str) -> None:
    """Be a sink until killed, at a port for each service; print which."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    ports = {}
    for service in REPLIES:
        server = await loop.create_server(
            partial(Sink, shape, service), "127.0.0.1", 0, ssl=context
        )
        ports[service] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await loop.create_future()


# --- the senders ---------------------------------------------------------------------

Measured = tuple[int, float]
"""How many were sent, and the CPU seconds that it took."""


Requests = list[tuple[int, tuple[bytes, ...]]]


def apns(authority: bytes, count: int, *, has_id: bool = False) -> tuple[Template, Requests]:
    """Requests that differ in the path, and perhaps in their id."""
    fields = [(name.encode(), value.encode()) for name, value in HEADERS]
    holes: list[tuple[bytes, bytes | None]] = [(b"apns-id", None)] if has_id else []
    template = Template((*_pseudo(authority, None), *fields, *holes), BODY)
    identity = (b"01234567-89ab-4def-8123-456789abcdef",) if has_id else ()
    return template, [(at, (path.encode(), *identity)) for at, path in enumerate(paths(count))]


def fcm(authority: bytes, count: int) -> tuple[Template, Requests]:
    """Requests that differ in the middle of the body."""
    template = Template(
        (
            *_pseudo(authority, b"/v1/projects/example/messages:send"),
            (b"authorization", b"Bearer " + b"x" * 223),
            (b"content-type", b"application/json"),
        ),
        (b'{"message":{"notification":' + BODY + b',"token":"', b'"}}'),
    )
    return template, [
        (number, (b"c%022d:APA91b%0134d" % (number, number),)) for number in range(count)
    ]


def webpush(authority: bytes, count: int) -> tuple[Template, Requests]:
    """Requests that differ in path and body, as encrypted ones do."""
    template = Template(
        (
            *_pseudo(authority, None),
            (b"authorization", b"vapid t=" + b"x" * 223),
            (b"ttl", b"60"),
            (b"content-encoding", b"aes128gcm"),
        ),
        None,
    )
    return template, [
        (number, (b"/m/%0180d" % number, b"%0300d" % number)) for number in range(count)
    ]


def _pseudo(authority: bytes, path: bytes | None) -> tuple[tuple[bytes, bytes | None], ...]:
    return (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority),
        (b":path", path),
    )


class Engine(asyncio.Protocol):
    """Our connection rules with as little around them as possible."""

    def __init__(self, template: Template, requests: Requests, pause: float) -> None:
        self._template = template
        self._waiting = requests
        self._pause = pause
        self._sent = self._ended = 0
        self._connection = Connection()
        self._started = 0.0
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[float] = self._loop.create_future()

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
            return
        if connection.room >= 64 or not connection.open_streams:  # noqa: PLR2004
            self._feed()
        if self._pause:
            self._transport.pause_reading()
            self._loop.call_later(self._pause, self._transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail rather than wait for ever."""
        if not self.done.done():
            self.done.set_exception(exc or self._connection.failure or EOFError())

    def _feed(self) -> None:
        batch = self._waiting[self._sent : self._sent + self._connection.room]
        self._sent += self._connection.send(self._template, batch)
        self._transport.write(self._connection.data_to_send())


async def engine(
    origin: str,
    ca: str,
    count: int,
    *,
    make: Callable[[bytes, int], tuple[Template, Requests]] = apns,
    pause: float = 0.0,
) -> Measured:
    """Our rules on a bare asyncio protocol."""
    authority = origin.removeprefix("https://").encode()
    template, requests = make(authority, count)
    _, sender = await asyncio.get_running_loop().create_connection(
        lambda: Engine(template, requests, pause),
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


@dataclass(frozen=True, slots=True)
class Sender:
    """How to send, how many, as to which service, and whether on uvloop."""

    send: Callable[[str, str, int], Awaitable[Measured]]
    count: int
    service: str = "apns"
    on_uvloop: bool = True


SENDERS: Final = {
    "wire/http2 on uvloop": Sender(engine, 100_000),
    "the same, with an apns-id each": Sender(
        partial(engine, make=partial(apns, has_id=True)), 100_000
    ),
    "the same, reading once a ms": Sender(partial(engine, pause=0.001), 100_000),
    "the same, as to FCM": Sender(partial(engine, make=fcm), 100_000, "fcm"),
    "the same, as to a browser": Sender(partial(engine, make=webpush), 100_000, "webpush"),
    "wire/http2 on asyncio": Sender(engine, 100_000, on_uvloop=False),
    "transport/client on uvloop": Sender(client, 50_000),
    "h2 library": Sender(h2_library, 5_000, on_uvloop=False),
    "httpx, http2": Sender(httpx_http2, 1_000, on_uvloop=False),
}


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    return context


# --- the rounds ----------------------------------------------------------------------


def measure(name: str, origin: str, ca: str) -> None:
    """Be a sender, and print microseconds for each notification."""
    sender = SENDERS[name]
    factory = uvloop.new_event_loop if sender.on_uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:

        async def run() -> Measured:
            return await sender.send(origin, ca, sender.count)

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


def rounds(count: int, names: list[str]) -> dict[tuple[str, str], list[float]]:
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
            ports = {}
            for shape, sink in sinks.items():
                assert sink.stdout is not None  # noqa: S101
                ports[shape] = json.loads(sink.stdout.readline())
            everything = [(shape, name) for shape in SHAPES for name in names]
            bar = progress.add_task("sending", total=count * len(everything))
            for _ in range(count):
                for shape, name in everything:
                    origin = f"https://127.0.0.1:{ports[shape][SENDERS[name].service]}"
                    process = child(0, "--send", name, origin, str(ca))
                    output, _ = process.communicate(timeout=120)
                    found.setdefault((shape, name), []).append(float(output))
                    progress.advance(bar)
        finally:
            for sink in sinks.values():
                sink.kill()
                sink.wait()
    return found


def show(found: dict[tuple[str, str], list[float]], names: list[str]) -> None:
    """A table a shape."""
    for shape in SHAPES:
        table = Table("sender", "min", "median", "max", "relative", title=f"µs of CPU, {shape}")
        best = min(statistics.median(found[shape, name]) for name in names)
        for name in names:
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
    parser.add_argument("--only", default="", metavar="NAMES", help="senders named like that")
    parser.add_argument("--sink", nargs=2, metavar=("SHAPE", "CERTIFICATE"), help="be a sink")
    parser.add_argument("--send", nargs=3, metavar=("NAME", "ORIGIN", "CA"), help="be a sender")
    arguments = parser.parse_args()
    if arguments.sink:
        asyncio.run(serve(*arguments.sink))
    elif arguments.send:
        measure(*arguments.send)
    else:
        names = [name for name in SENDERS if arguments.only in name]
        show(rounds(arguments.rounds, names), names)


if __name__ == "__main__":
    main()
