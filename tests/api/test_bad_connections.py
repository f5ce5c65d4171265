"""
Bad connections: what is not HTTP, or does not end, sent to the real server as bytes.

Whatever comes, it is answered 4xx or the connection is closed; nothing is logged as a
fault, and the next caller is served.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from api.tables import dump
from support import Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_SECONDS = 10
"""How long a reply may take on a busy machine; nothing here takes as long."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("product")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(folder: Path) -> AsyncIterator[Served]:
    async with on_loopback(folder) as served:
        yield served


async def send(served: Served, parts: Iterable[bytes]) -> bytes:
    """The server's whole reply to some bytes; nothing if it closed the connection instead."""
    url = served.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for part in parts:
                writer.write(part)
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            return head + await reader.readexactly(int(length[1]) if length else 0)
    except (ConnectionError, asyncio.IncompleteReadError):  # it closed, perhaps while we talked
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def status(said: bytes) -> int:
    """The status of a reply; 0 if the connection was closed without one."""
    return int(said.split(b" ", 2)[1]) if said else 0


HEAD = (
    b"POST /publish_api/v1/instances/{instance}/publishes HTTP/1.1\r\nhost: product\r\n"
    b"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
)
"""The beginning of a publish; what stands in braces is filled in."""

BODY = b'{"interests":["a"],"fcm":{}}'

GET = b"GET /healthz HTTP/1.1\r\nhost: a\r\n"

ENDLESS = 1000
"""How often a part is repeated that should not have been let go on for as long."""

BAD = {
    "noise": [bytes(range(256)) * 4],
    "a TLS greeting": [bytes.fromhex("160301020001000001fc0303") + b"\x00" * 500],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "words": [b"hello there\r\n\r\n"],
    "HTTP/9.9": [b"GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n"],
    "a space in the path": [b"GET /heal thz HTTP/1.1\r\nhost: a\r\n\r\n"],
    "no target": [b"GET HTTP/1.1\r\nhost: a\r\n\r\n"],
    "a target that is no path": [b"GET healthz HTTP/1.1\r\nhost: a\r\n\r\n"],
    "an asterisk": [b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"],
    "an authority": [b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n"],
    "bytes beyond ASCII in a path": [b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n"],
    "a header without a colon": [GET + b"x\r\n\r\n"],
    "a header with NUL": [GET + b"x: \x00\r\n\r\n"],
    "no host": [b"GET /healthz HTTP/1.1\r\n\r\n"],
    "two hosts": [GET + b"host: b\r\n\r\n"],
    "two lengths": [HEAD + b"content-length: 5\r\ncontent-length: 28\r\n\r\n", BODY],
    "a negative length": [HEAD + b"content-length: -1\r\n\r\n", BODY],
    "a length that is no number": [HEAD + b"content-length: many\r\n\r\n", BODY],
    "a huge length": [HEAD + b"content-length: " + b"9" * 40 + b"\r\n\r\n", BODY],
    "a length and chunks": [
        HEAD + b"content-length: 28\r\ntransfer-encoding: chunked\r\n\r\n",
        BODY,
    ],
    "chunks that are none": [HEAD + b"transfer-encoding: chunked\r\n\r\n", b"xyz\r\n\r\n"],
    "a chunk of a huge size": [
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        b"f" * 40 + b"\r\n",
    ],
    "a header of 70 KB": [GET + b"x: " + b"y" * 70_000 + b"\r\n\r\n"],
    "a header of 20 KB": [GET + b"x: " + b"y" * 20_000 + b"\r\n\r\n"],
    "a path of 10 KB": [b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n"],
    "many headers": [GET + b"x: y\r\n" * 20_000 + b"\r\n"],
    "an endless header": [GET + b"x: ", *[b"y" * 4096] * ENDLESS],
    "an endless name of a header": [GET, *[b"x" * 4096] * ENDLESS],
    "an endless path": [b"GET /", *[b"x" * 4096] * ENDLESS],
    "an endless method": [b"G" * 4096] * ENDLESS,
    "an endless chunked body": [
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        *[b"1000\r\n" + b" " * 4096 + b"\r\n"] * ENDLESS,
    ],
    "an endless size of a chunk": [
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        *[b"0" * 4096] * ENDLESS,
    ],
    "endless trailers": [
        HEAD + b"transfer-encoding: chunked\r\n\r\n1c\r\n" + BODY + b"\r\n0\r\n",
        *[b"x: " + b"y" * 4096 + b"\r\n"] * ENDLESS,
    ],
    "a body of a megabyte": [HEAD + b"content-length: 1000000\r\n\r\n", b" " * 1_000_000],
    "a body that is packed": [
        HEAD + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"
    ],
}
"""What must be refused, by what is wrong with it."""


def filled(served: Served, part: bytes) -> bytes:
    """Some bytes, with the instance and its key filled in."""
    instance = served.instance
    return part.replace(b"{instance}", instance.id.encode()).replace(
        b"{key}", instance.secret_keys[0].encode()
    )


async def check_alive(served: Served) -> None:
    """The next caller must be served."""
    assert 200 == (await served.http.get("/readyz")).status_code


@pytest.fixture(autouse=True)
def nothing_is_wrong(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No fault may be logged, by us or by the server below us, and no task may die unheard."""
    caplog.set_level(logging.WARNING)
    with capture_logs() as logs:
        yield
    assert [] == [log for log in logs if log["log_level"] in {"error", "critical"}]
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", BAD)
async def test_bytes_that_are_no_request(served: Served, folder: Path, name: str) -> None:
    """It is answered 4xx in the common shape, or closed; nothing changes."""
    before = dump(folder)

    said = await send(served, [filled(served, part) for part in BAD[name]])

    assert 400 <= status(said) < 500 or said == b""
    if said:
        head, _, body = said.partition(b"\r\n\r\n")
        assert b"content-type: application/json" in head
        assert {"error", "description"} == set(json.loads(body))
    assert before == dump(folder)
    await check_alive(served)


@pytest.mark.parametrize("name", ["noise", "an endless header", "an endless path", "words"])
async def test_who_does_not_speak_http_is_not_listened_to(served: Served, name: str) -> None:
    """The connection is closed after the answer."""
    said = await send(served, [filled(served, part) for part in BAD[name]])

    assert said == b"" or b"connection: close" in said


@pytest.mark.parametrize(
    "name",
    [
        "words",
        "no host",
        "two hosts",
        "a header of 70 KB",
        "a header of 20 KB",
        "a path of 10 KB",
        "an endless header",
    ],
)
async def test_a_browser_may_read_what_the_door_says(served: Served, name: str) -> None:
    """§4.1: what is refused before any route is readable from every origin, like the rest."""
    said = await send(served, BAD[name])

    assert said == b"" or b"\r\naccess-control-allow-origin: *\r\n" in said


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"GET /hea"],
        [HEAD],
        [HEAD + b"content-length: 28\r\n\r\n"],
        [HEAD + b"content-length: 28\r\n\r\n", BODY[:10]],
        [HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1c\r\n" + BODY[:10]],
        [HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1c\r\n" + BODY + b"\r\n"],
        [HEAD + b"expect: 100-continue\r\ncontent-length: 28\r\n\r\n"],
    ],
)
async def test_who_hangs_up_has_asked_for_nothing(
    served: Served, folder: Path, parts: list[bytes]
) -> None:
    """A request that was not finished is not acted upon."""
    before = dump(folder)
    url = served.http.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)

    for part in parts:
        writer.write(filled(served, part))
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    await check_alive(served)

    assert before == dump(folder)


async def test_a_connection_that_is_reset_harms_nobody(served: Served) -> None:
    """A caller who vanishes instead of closing leaves the others alone."""
    url = served.http.base_url
    for _ in range(20):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(filled(served, HEAD + b"content-length: 28\r\n\r\n" + BODY[:5]))
        await writer.drain()
        writer.transport.abort()

    await check_alive(served)


async def test_idle_connections_are_in_nobodys_way(served: Served) -> None:
    """A hundred callers who have not finished their first line do not keep the next one out."""
    url = served.http.base_url
    idle = [await asyncio.open_connection(url.host, url.port) for _ in range(100)]
    for _, writer in idle:
        writer.write(b"GET /hea")
        await writer.drain()

    await check_alive(served)

    for _, writer in idle:
        writer.close()
        await writer.wait_closed()


async def test_a_body_may_come_byte_by_byte(served: Served) -> None:
    """Where the network cuts does not matter."""
    whole = filled(served, HEAD + b"content-length: 28\r\nconnection: close\r\n\r\n") + BODY

    said = await send(served, [bytes([byte]) for byte in whole])

    assert 200 == status(said)


async def test_who_asks_to_go_on_is_told_to(served: Served) -> None:
    """A caller who waits for 100 Continue before the body gets it."""
    url = served.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        filled(
            served,
            HEAD + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: 28\r\n\r\n",
        )
    )

    async with asyncio.timeout(PATIENCE_SECONDS):
        told = await reader.readuntil(b"\r\n\r\n")
        writer.write(BODY)
        said = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert (b"HTTP/1.1 100 Continue\r\n\r\n", 200) == (told, status(said))


async def read_all(served: Served, whole: bytes) -> bytes:
    """All that the server says to some bytes until it closes."""
    url = served.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(whole)
    async with asyncio.timeout(PATIENCE_SECONDS):
        said = await reader.read()
    writer.close()
    await writer.wait_closed()
    return said


async def test_requests_may_follow_each_other_without_waiting(served: Served) -> None:
    """Pipelined requests are answered one after another, in their order."""
    publish = filled(served, HEAD + b"content-length: 28\r\n\r\n") + BODY
    last = b"GET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"

    said = await read_all(served, publish + GET + b"\r\n" + last)

    assert [b"200", b"200", b"404"] == re.findall(rb"HTTP/1\.1 (\d+)", said)
    assert said.index(b"publishId") < said.index(b"alive") < said.index(b"Not found")


async def test_garbage_after_a_request(served: Served) -> None:
    """The connection ends there; whatever was answered before is no fault."""
    said = await read_all(served, GET + b"\r\n" + b"\x00garbage\r\n\r\n")

    assert {b"200", b"400"} >= set(re.findall(rb"HTTP/1\.1 (\d+)", said))
    await check_alive(served)


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.0"])
async def test_another_protocol_is_not_spoken(served: Served, protocol: str) -> None:
    """Who asks to change the protocol is answered in the one that they asked in."""
    upgrade = f"connection: upgrade\r\nupgrade: {protocol}\r\n\r\n".encode()

    said = await send(served, [GET + upgrade])

    assert status(said) == 200 or 400 <= status(said) < 500
    await check_alive(served)


async def test_an_old_protocol_without_a_host_is_spoken(served: Served) -> None:
    """HTTP/1.0 has no Host header, and load balancers ask for health in it."""
    said = await send(served, [b"GET /healthz HTTP/1.0\r\n\r\n"])

    assert 200 == status(said)
