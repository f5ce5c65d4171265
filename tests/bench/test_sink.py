"""The sink, as it answers clients of all kinds."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import pytest

from heliograph.bench.peers.ours import BATCH
from heliograph.bench.replies import REPLIES
from heliograph.bench.rounds import SinkProcess
from heliograph.bench.sink import Shape, Sink, Tally, alike
from heliograph.model import Gateway
from heliograph.sandbox.authority import Authority
from heliograph.transport.client import Client, Destination
from heliograph.wire import http2
from heliograph.wire.http2 import Connection, Template
from heliograph.wire.http2.frames import PREFACE, Kind, frame

TEMPLATE = Template(
    (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"127.0.0.1"),
        (b":path", None),
    ),
    None,
)


class Transport(asyncio.Transport):
    """Keeps what is written, and in which pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def writelines(self, list_of_data: object) -> None:
        assert isinstance(list_of_data, list)
        self.pieces += list_of_data


class Peer:
    """A sink and a client connection, without a network between them."""

    def __init__(self, shape: Shape = Shape.COALESCED) -> None:
        self.tally = Tally()
        self.client = Connection()
        self.transport = Transport()
        self.sink = Sink(REPLIES[Gateway.APNS], shape, self.tally)
        self.sink.connection_made(self.transport)

    def greet(self) -> Self:
        """Exchange settings and a first request, so that many may follow."""
        self.send([b"/"])
        self.exchange()
        self.send([b"/"])
        self.exchange()
        return self

    def send(self, paths: list[bytes], body: bytes = b"{}") -> None:
        requests = [(path, (path, body)) for path in paths]
        assert len(paths) == self.client.send(TEMPLATE, requests)

    def exchange(self, *, chunk: int = 2**18) -> list[object]:
        """Take to the sink what the client has to say, in chunks; who was answered."""
        data = self.client.data_to_send()
        for at in range(0, len(data), chunk):
            give(self.sink, data[at : at + chunk])
        pieces, self.transport.pieces = self.transport.pieces, []
        return [key for piece in pieces for key, _ in self.client.receive_data(piece)]


def give(sink: Sink, data: bytes) -> None:
    """As a transport does: into the sink's own buffer."""
    buffer = sink.get_buffer(-1)
    buffer[: len(data)] = data
    sink.buffer_updated(len(data))


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000, 2**18])
def test_every_request_is_answered_once_however_bytes_come(chunk: int) -> None:
    """Reads may end within a frame, and requests may be of one size or of several."""
    peer = Peer().greet()
    paths = [b"/%d" % number for number in range(1, 300)]
    peer.send(paths)

    answered = peer.exchange(chunk=chunk)

    assert (paths, 301) == (answered, peer.tally.requests)


def test_requests_are_answered_between_other_frames() -> None:
    """A PING among requests of one size is answered, too, and nobody is left out."""
    peer = Peer().greet()
    paths = [b"/%03d" % number for number in range(20)]
    peer.send(paths[:10])
    peer.client.ping()
    peer.send(paths[10:])

    answered = peer.exchange()

    assert (paths, False) == (answered, peer.client.is_ping_unanswered)


@pytest.mark.parametrize("shape, writes", [(Shape.COALESCED, 1), (Shape.RECORDS, 50)])
def test_a_shape_is_how_many_writes_there_are(shape: Shape, writes: int) -> None:
    """Replies go out together, or one by one; each write is a TLS record of its own."""
    peer = Peer(shape).greet()
    peer.send([b"/%02d" % number for number in range(50)])

    give(peer.sink, peer.client.data_to_send())

    assert writes == len(peer.transport.pieces)


def test_requests_of_one_size_are_known_together() -> None:
    """They are counted with their size, and the bytes of a body."""
    peer = Peer().greet()
    peer.send([b"/%02d" % number for number in range(50)])
    data = peer.client.data_to_send()

    assert (50, len(data) // 50, 2) == alike(data, 0)
    assert (49, len(data) // 50, 2) == alike(data[:-1], 0)


@pytest.mark.parametrize("at", range(5))
def test_a_frame_of_another_kind_among_them_is_noticed(at: int) -> None:
    """Where length, kind or flags of one differ, they are not taken for one of a kind."""
    peer = Peer().greet()
    peer.send([b"/%02d" % number for number in range(50)])
    data = bytearray(peer.client.data_to_send())
    data[len(data) // 50 * 25 + at] ^= 0x08

    assert (0, 0, 0) == alike(bytes(data), 0)


def test_a_body_of_another_stream_is_noticed() -> None:
    """A DATA frame belongs to the HEADERS frame before it, or the frames are read singly."""
    peer = Peer().greet()
    peer.send([b"/%02d" % number for number in range(50)])
    data = bytearray(peer.client.data_to_send())
    data[-len(b"{}") - 1] ^= 0x02

    assert (0, 0, 0) == alike(bytes(data), 0)


def test_a_body_without_an_end_is_no_request() -> None:
    """What ends no stream is not answered."""
    peer = Peer()
    give(peer.sink, PREFACE + frame(Kind.HEADERS, 0x4, 1, b"\x82") + frame(Kind.DATA, 0, 1, b"{}"))

    assert 0 == peer.tally.requests


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def sink(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SinkProcess]:
    certificate: Path = tmp_path_factory.mktemp("sink") / "server.pem"
    certificate.write_text("".join(authority.server_certificate()))
    with SinkProcess.running(certificate) as running:
        yield running


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("gateway, status", [("apns", 200), ("fcm", 200), ("web", 201)])
async def test_our_client_is_answered(
    sink: SinkProcess, authority: Authority, gateway: str, status: int, shape: Shape
) -> None:
    """A batch through the product's client is answered and counted, in every shape."""
    before = sink.tally()
    origin = sink.origin(Gateway(gateway), shape)
    client = Client()
    template = http2.template("POST", origin, None, (), b"{}")
    paths = [(f"/{number}".encode(),) for number in range(BATCH)]
    destination = Destination(origin, ca=authority.ca_pem)
    results = await client.exchange(destination, template, paths)
    await client.close()

    assert {status} == {getattr(each, "status", each) for each in results}
    assert BATCH == sink.tally().requests - before.requests


@pytest.mark.parametrize("is_http2", [False, True])
async def test_any_client_is_answered(
    sink: SinkProcess, authority: Authority, is_http2: bool
) -> None:
    """A library that is not ours is answered in either HTTP, again and again."""
    before = sink.tally()
    origin = sink.origin(Gateway.WEB, Shape.RECORDS)
    async with httpx.AsyncClient(verify=authority.client_context(), http2=is_http2) as client:
        answers = [await client.post(f"{origin}/{number}", content=b"{}") for number in range(3)]

    assert [("HTTP/2" if is_http2 else "HTTP/1.1", 201)] * 3 == [
        (each.http_version, each.status_code) for each in answers
    ]
    assert 3 == sink.tally().requests - before.requests


async def test_each_reply_is_a_record(sink: SinkProcess, authority: Authority) -> None:
    """In the shape *records*, what is read at once on the client's side is one reply."""
    address = urlsplit(sink.origin(Gateway.APNS, Shape.RECORDS))
    client = Connection()

    def talk() -> list[int]:
        with Dialogue(authority, address.port or 0) as stream:
            while client.room < 50:
                stream.sendall(client.data_to_send())
                client.receive_data(stream.recv(2**16))
            client.send(TEMPLATE, [(n, (b"/%02d" % n, b"{}")) for n in range(2)])
            stream.sendall(client.data_to_send())
            while client.open_streams:
                client.receive_data(stream.recv(2**16))
            client.send(TEMPLATE, [(n, (b"/%02d" % n, b"{}")) for n in range(50)])
            stream.sendall(client.data_to_send())
            counts: list[int] = []
            while client.open_streams:
                counts.append(len(client.receive_data(stream.recv(2**16))))
            return counts

    assert [1] * 50 == [count for count in await asyncio.to_thread(talk) if count]


class Dialogue:
    """A TLS socket, whose ``recv`` gives one record at a time."""

    def __init__(self, authority: Authority, port: int) -> None:
        context = authority.client_context()
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._stream = context.wrap_socket(plain, server_hostname="127.0.0.1")

    def __enter__(self) -> ssl.SSLSocket:
        return self._stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
