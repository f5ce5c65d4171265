"""
The server that every sender sends to: it takes all there is, and looks at little of it.

Requests of one sender are mostly of one size, so a read is mostly the same pair of
frames again and again. That is checked for all of them at once, by columns, and their
stream ids cut out. What is not so is read frame by frame. Header fields are never
decoded, but for the one client that waits for its own ``apns-id`` to come back.

It answers in two shapes. *Coalesced*: the replies to all that came in one read go out
together. *Records*: each reply is a TLS record of its own.
"""

import asyncio
import functools
import json
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

import uvloop
from hpack import Decoder

from heliograph.bench.replies import HTTP1, REPLIES, Reply, echo
from heliograph.model import Gateway
from heliograph.wire.http2.frames import (
    ACK,
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


class Shape(StrEnum):
    """How replies come."""

    COALESCED = "coalesced"
    RECORDS = "records"


MAX_STREAMS: Final = 1000
"""What Apple has been seen to allow."""

_BUFFER_BYTES: Final = 2**18

_CREDIT: Final = 2**24
"""Bytes to take before the connection's window is opened again."""

_FEWEST_ALIKE: Final = 4
"""Requests of one size in one read for which it pays to check them all at once."""

_DATA: Final = int(Kind.DATA)
_HEADERS: Final = int(Kind.HEADERS)
_ASKING: Final = frozenset({int(Kind.SETTINGS), int(Kind.PING)})
"""As numbers: an enumeration's members are slow to come by."""

_GREETING: Final = settings(
    {Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS, Setting.INITIAL_WINDOW_SIZE: 2**20}
) + window_update(0, 2**30)


@dataclass(slots=True)
class Tally:
    """What the sink has done so far."""

    requests: int = 0


class Sink(asyncio.BufferedProtocol):
    """One connection; it tells by the first bytes whether it is of HTTP/2."""

    def __init__(self, reply: Reply, shape: Shape, tally: Tally, *, is_echo: bool = False) -> None:
        self._reply = reply
        self._shape = shape
        self._tally = tally
        self._echoes = Echoes() if is_echo else None
        self._looked_into = _ASKING | {_HEADERS} if is_echo else _ASKING
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._filled = 0
        self._is_new = True
        self._is_http1 = False
        self._has_replied = False
        self._consumed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: behind the beginning of a request, if one is there."""
        del sizehint
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer every request that ends in these bytes, and keep what is left."""
        data = bytes(self._buffer[: self._filled + nbytes])
        rest = data[self._receive(data) :]
        self._filled = len(rest)
        self._buffer[: self._filled] = rest

    def _receive(self, data: bytes) -> int:
        """Take bytes; how many are done with."""
        at = 0
        if self._is_new and len(data) >= len(PREFACE):
            self._is_new = False
            self._is_http1 = not data.startswith(PREFACE)
            if not self._is_http1:
                self._transport.write(_GREETING)
                at = len(PREFACE)
        if self._is_new:
            return 0
        return self._receive_http1(data) if self._is_http1 else self._receive_frames(data, at)

    # --- HTTP/2 ----------------------------------------------------------------------

    def _receive_frames(self, data: bytes, at: int) -> int:
        end = len(data)
        ended: list[bytes] = []
        are_alike = self._echoes is None
        while end - at >= HEAD_BYTES:
            head, flags, _ = HEAD.unpack_from(data, at)
            length, kind = head >> 8, head & 0xFF
            if are_alike and kind == _HEADERS:
                count, size, body = alike(data, at)
                if count:
                    first = at + 5
                    at += count * size
                    ended += [data[each : each + 4] for each in range(first, at, size)]
                    self._consumed += count * body
                    continue
                are_alike = False  # not in this read
            following = at + HEAD_BYTES + length
            if following > end:
                break
            if kind in self._looked_into:
                self._look(kind, flags, data[at:following])
            elif kind == _DATA:
                self._consumed += length
            if kind <= _HEADERS and flags & END_STREAM:
                ended.append(data[at + 5 : at + HEAD_BYTES])
            at = following
        if self._consumed > _CREDIT:
            self._transport.write(window_update(0, self._consumed))
            self._consumed = 0
        if ended:
            self._answer(ended)
        return at

    def _look(self, kind: int, flags: int, whole: bytes) -> None:
        """Take a frame that says something."""
        if self._echoes is not None and kind == _HEADERS:
            self._echoes.read(whole[5:HEAD_BYTES], flags, whole[HEAD_BYTES:])
        elif not flags & ACK:
            payload = whole[HEAD_BYTES:] if kind == Kind.PING else b""
            self._transport.write(frame(Kind(kind), ACK, 0, payload))

    def _answer(self, stream_ids: list[bytes]) -> None:
        self._tally.requests += len(stream_ids)
        replies = []
        if not self._has_replied:
            self._has_replied = True
            reply = self._reply_to(stream_ids[0])
            replies.append(reply.first(stream_ids.pop(0)))
        if self._echoes is None:
            replies += self._reply.to(stream_ids)
        else:
            replies += [self._reply_to(each).to([each])[0] for each in stream_ids]
        if self._shape is Shape.COALESCED:
            self._transport.write(b"".join(replies))
        else:
            self._transport.writelines(replies)

    def _reply_to(self, stream_id: bytes) -> Reply:
        return self._reply if self._echoes is None else self._echoes.reply(stream_id)

    # --- HTTP/1.1 --------------------------------------------------------------------

    def _receive_http1(self, data: bytes) -> int:
        """Requests of a head and a body of the length that it says, one after the other."""
        at = 0
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            _, _, value = data[at:end].lower().partition(b"\r\ncontent-length:")
            following = end + 4 + int(value.partition(b"\r\n")[0] or 0)
            if following > len(data):
                break
            at = following
            self._tally.requests += 1
            self._transport.write(HTTP1)
        return at


def alike(data: bytes, at: int) -> tuple[int, int, int]:
    """
    How many whole requests of one size follow each other from a HEADERS frame on.

    Returns:
        The count, the bytes of each, and those of its body. A request is a HEADERS
        frame and a DATA frame that ends the stream. The count is 0 if any that begins
        where one should is otherwise, or if there are too few to be worth it.
    """
    second = at + HEAD_BYTES + int.from_bytes(data[at : at + 3])
    if len(data) < second + HEAD_BYTES:
        return 0, 0, 0
    head, flags, _ = HEAD.unpack_from(data, second)
    size = second + HEAD_BYTES + (head >> 8) - at
    count = (len(data) - at) // size
    if head & 0xFF != Kind.DATA or not flags & END_STREAM or count < _FEWEST_ALIKE:
        return 0, 0, 0
    end = at + count * size
    lengths_kinds_and_flags = (*range(at, at + 5), *range(second, second + 5))
    same = all(
        data[each:end:size] == data[each : each + 1] * count for each in lengths_kinds_and_flags
    )
    if same and all(
        data[at + each : end : size] == data[second + each : end : size] for each in range(5, 9)
    ):
        return count, size, head >> 8
    return 0, 0, 0


async def serve(certificate: str) -> None:
    """
    Be the sink: print the ports as JSON, then what was done whenever a line is read.

    It ends with its standard input, so that it never outlives who started it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    tally = Tally()
    ports = {}
    for gateway, shape, is_echo in doors():
        made = functools.partial(Sink, REPLIES[gateway], shape, tally, is_echo=is_echo)
        server = await loop.create_server(made, "127.0.0.1", 0, ssl=context, backlog=1024)
        ports[door(gateway, shape, is_echo=is_echo)] = server.sockets[0].getsockname()[1]
    _say(ports)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        done = {"requests": tally.requests, "cpu_seconds": time.process_time()}
        _say(done)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def doors() -> Iterator[tuple[Gateway, Shape, bool]]:
    """Every service in each shape; APNs also with an echo of ``apns-id``."""
    for gateway in Gateway:
        for shape in Shape:
            yield gateway, shape, False
    for shape in Shape:
        yield Gateway.APNS, shape, True


def door(gateway: Gateway, shape: Shape, *, is_echo: bool = False) -> str:
    """What a port is called."""
    return f"{gateway}/{shape}{'/echo' if is_echo else ''}"


class Echoes:
    """The ``apns-id`` of each request, for the client that cannot do without (aioapns)."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._ids: dict[bytes, bytes] = {}

    def read(self, stream_id: bytes, flags: int, payload: bytes) -> dict[bytes, bytes]:
        """Take the header fields of a request, whole and without padding or priority."""
        assert flags & ~END_STREAM == 0x4, "a header block in an unforeseen form"  # noqa: S101, PLR2004
        fields = dict(self._decoder.decode(payload, raw=True))
        self._ids[stream_id] = fields[b"apns-id"]
        return fields

    def reply(self, stream_id: bytes) -> Reply:
        """The reply to a request that was read."""
        return echo(self._ids.pop(stream_id))


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
