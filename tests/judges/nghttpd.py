"""
Our sender against Debian's ``nghttpd``, which is not on PyPI: ``make judges-debian``.

It echoes what it is sent, so that every reply proves which request it belongs to.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from heliograph.errors import Ambiguous, NotProcessed, TransportError
from heliograph.sandbox import Authority
from heliograph.transport.client import Client
from heliograph.transport.connection import Patience
from heliograph.wire.http import HttpRequest, HttpResponse
from judges.nginx import PATIENCE_SECONDS, free_port, until_listening

_PATH: Final = re.compile(r"recv \(stream_id=\d+, sensitive\) :path: (\S+)")
"""What nghttpd says of a path that was marked as never to be indexed (RFC 7541 §6.2.3)."""


@dataclass(slots=True)
class Nghttpd:
    """A running server."""

    process: asyncio.subprocess.Process
    origin: str
    said: Path

    def seen(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(_PATH.findall(self.said.read_text()))

    async def until(self, is_so: Callable[[Counter[str]], bool]) -> None:
        """Wait until what was seen is enough."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so(self.seen()):  # noqa: ASYNC110  (a file tells nobody)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def nghttpd(
    authority: Authority, folder: Path, *, streams: int = 1000, port: int | None = None
) -> AsyncIterator[Nghttpd]:
    """A server that echoes."""
    chain, key = authority.server_certificate()
    port = port or free_port()
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_text(key)
    options = ["--echo-upload", "--verbose", "--no-content-length", f"-m{streams}", "-a127.0.0.1"]
    with (folder / "said").open("a") as said:
        process = await asyncio.create_subprocess_exec(
            "nghttpd",
            *options,
            str(port),
            folder / "key.pem",
            folder / "chain.pem",
            stdout=said,
        )
        try:
            await until_listening(process, port)
            yield Nghttpd(process, f"https://127.0.0.1:{port}", folder / "said")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def request(origin: str, number: int) -> HttpRequest:
    """A request whose body no other has."""
    return HttpRequest("POST", f"{origin}/{number}", (("x-n", "1"),), b"%d," % number * 200)


async def answer(client: Client, ca: str, asked: HttpRequest) -> HttpResponse | TransportError:
    """What came of a request."""
    try:
        return await client.send(asked, ca=ca)
    except TransportError as problem:
        return problem


@pytest.mark.parametrize("streams", [1, 100, 1000])
async def test_thousands_are_echoed(authority: Authority, tmp_path: Path, streams: int) -> None:
    """Each reply is that of its request, and each request arrived once."""
    client = Client()
    async with nghttpd(authority, tmp_path, streams=streams) as server:
        asked = [request(server.origin, number) for number in range(3000)]
        answers = await asyncio.gather(*[answer(client, authority.ca_pem, each) for each in asked])
        await client.close()
        seen = server.seen()

    replies = [each for each in answers if isinstance(each, HttpResponse)]
    assert [(200, each.body) for each in asked] == [(each.status, each.body) for each in replies]
    assert Counter(f"/{number}" for number in range(3000)) == seen


async def test_a_server_that_is_stopped_and_started_loses_and_repeats_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    """What was under way is uncertain, what comes meanwhile unprocessed, and later all is well."""
    client = Client(patience=Patience(connect=1, reply=5))
    port = free_port()
    async with nghttpd(authority, tmp_path, port=port) as server:
        first = [
            asyncio.create_task(answer(client, authority.ca_pem, request(server.origin, number)))
            for number in range(2000)
        ]
        await server.until(lambda seen: seen.total() > 100)
        server.process.kill()
        answers = await asyncio.gather(*first)
    unsent = [number for number, each in enumerate(answers) if isinstance(each, NotProcessed)]
    unsure = {number for number, each in enumerate(answers) if isinstance(each, Ambiguous)}
    async with nghttpd(authority, tmp_path, port=port) as server:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while unsent or unsure:
                left = [*unsent, *sorted(unsure)]
                again = await asyncio.gather(
                    *[
                        answer(client, authority.ca_pem, request(server.origin, number))
                        for number in left
                    ]
                )
                sent = [isinstance(each, HttpResponse) for each in again]
                if all(sent):
                    break
                await asyncio.sleep(0.1)  # openings that fail are paced
        await client.close()
        seen = server.seen()

    assert unsure
    assert set(range(2000)) == {int(path[1:]) for path in seen}
    assert {path for path, times in seen.items() if times > 1} <= {f"/{n}" for n in unsure}
