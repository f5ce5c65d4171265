"""Several connections to one origin, and what happens when they fail."""

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from h2.errors import ErrorCodes

from heliograph.errors import Ambiguous, NotProcessed, TransportError
from heliograph.metrics import Metrics
from heliograph.sandbox import Authority
from heliograph.transport.client import Client, Destination
from heliograph.transport.connection import Patience
from heliograph.transport.pool import OLDEST, Batch
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse
from transport.scripted import AUTHORITY, Asked, Connection, ScriptedServer, listening, scripted
from transport.senders import send_all


@asynccontextmanager
async def client_of(patience: Patience | None = None) -> AsyncIterator[Client]:
    client = Client(patience=patience)
    try:
        yield client
    finally:
        await client.close()


async def send(
    client: Client, server: ScriptedServer, authority: Authority, count: int
) -> list[HttpResponse | TransportError]:
    """Send requests for ``/0``, ``/1``, ..."""
    return await send_all(
        client,
        [HttpRequest("POST", f"{server.origin}/{number}", (), b"{}") for number in range(count)],
        ca=authority.ca_pem,
    )


def statuses(results: list[HttpResponse | TransportError]) -> list[object]:
    return [each.status if isinstance(each, HttpResponse) else type(each) for each in results]


async def test_more_work_than_one_connection_carries_opens_more() -> None:
    """Connections are added while more waits than those open take at once, up to a few."""
    async with scripted(AUTHORITY, streams=2) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 200)

        assert [200] * 200 == statuses(results)
        assert 1 < len(server.connections) <= 4


async def test_little_work_stays_on_one_connection() -> None:
    """A connection is kept, and used again."""
    async with scripted(AUTHORITY) as server, client_of() as client:
        for _ in range(3):
            await send(client, server, AUTHORITY, 5)

        assert 1 == len(server.connections)


async def test_a_refused_stream_is_sent_again() -> None:
    """The peer has promised that it did nothing with it."""

    def refuse_the_first(asked: Asked) -> None:
        if len(asked.connection.server.asked) == 1:
            asked.reset(ErrorCodes.REFUSED_STREAM)
        else:
            asked.answer()

    async with scripted(AUTHORITY, refuse_the_first) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 3)

        assert [200] * 3 == statuses(results)
        assert 4 == len(server.asked)


async def test_the_place_of_a_request_that_is_given_up_is_used() -> None:
    """A peer that allows one request and never answers it does not hold up the rest."""

    def be_silent_once(asked: Asked) -> None:
        if len(asked.connection.server.asked) > 1:
            asked.answer()

    patience = Patience(reply=0.3, queue=3)
    async with (
        scripted(AUTHORITY, be_silent_once, streams=1) as server,
        client_of(patience) as client,
    ):
        results = await send(client, server, AUTHORITY, 3)

        assert [Ambiguous, 200, 200] == statuses(results)
        assert 1 == len(server.connections)


async def test_a_request_is_not_sent_again_for_ever() -> None:
    """After a few refusals it is given back, as not processed."""

    def refuse(asked: Asked) -> None:
        asked.reset(ErrorCodes.REFUSED_STREAM)

    async with scripted(AUTHORITY, refuse) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 1)

        assert [NotProcessed] == statuses(results)
        assert 3 == len(server.asked)


async def test_a_reset_request_is_not_sent_again() -> None:
    """The peer may have acted on it: only the caller can decide."""

    def reset(asked: Asked) -> None:
        asked.reset(ErrorCodes.INTERNAL_ERROR)

    async with scripted(AUTHORITY, reset) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 2)

        assert [Ambiguous] * 2 == statuses(results)
        assert 2 == len(server.asked)


async def test_goaway_moves_requests_to_another_connection() -> None:
    """What is above the last stream goes out again, and nothing is answered twice."""

    def go_away_once(asked: Asked) -> None:
        asked.answer()
        if len(asked.connection.server.connections) == 1 and asked.stream_id == 5:
            asked.connection.go_away(5)

    async with scripted(AUTHORITY, go_away_once) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 10)

        assert [200] * 10 == statuses(results)
        assert 2 == len(server.connections)


async def test_a_broken_connection_leaves_doubt() -> None:
    """Requests that were written when the peer vanished may have been acted on."""

    def vanish(asked: Asked) -> None:
        asked.connection.transport.abort()

    async with scripted(AUTHORITY, vanish) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 1)

        assert [Ambiguous] == statuses(results)


async def test_the_streams_of_a_peer_may_become_fewer() -> None:
    """Requests wait for their turn when a peer lowers its limit in mid-flight."""

    def lower(asked: Asked) -> None:
        if asked.stream_id == 1:
            asked.connection.set(max_concurrent_streams=1)
        asked.answer()

    async with scripted(AUTHORITY, lower, streams=50) as server, client_of() as client:
        results = await send(client, server, AUTHORITY, 60)

        assert [200] * 60 == statuses(results)


async def test_failed_openings_are_paced() -> None:
    """Just after a failure nobody knocks again: requests fail at once, unsent."""
    attempts = 0

    class Slammed(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal attempts
            attempts += 1
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    async with listening(Slammed, None) as port, client_of() as client:
        request = HttpRequest("POST", f"https://127.0.0.1:{port}/", (), b"{}")
        results = [await send_all(client, [request], ca=AUTHORITY.ca_pem) for _ in range(5)]

    assert [[NotProcessed]] * 5 == [statuses(each) for each in results]
    assert 1 == attempts


async def test_a_silent_handshake_is_given_up() -> None:
    """A peer that accepts and says nothing has processed nothing."""
    impatient = Patience(connect=0.05)
    async with listening(asyncio.Protocol, None) as port, client_of(impatient) as client:
        request = HttpRequest("POST", f"https://127.0.0.1:{port}/", (), b"{}")

        with pytest.raises(NotProcessed):
            await client.send(request, ca=AUTHORITY.ca_pem)


async def test_a_request_waits_only_so_long_for_its_turn() -> None:
    """What never found a place on a connection was not processed."""
    impatient = Patience(queue=0.5, reply=1)

    def answer_the_first(asked: Asked) -> None:
        if len(asked.connection.server.asked) == 1:
            asked.answer()

    async with (
        scripted(AUTHORITY, answer_the_first, streams=1) as server,
        client_of(impatient) as client,
    ):
        assert [200] == statuses(await send(client, server, AUTHORITY, 1))
        results = await send(client, server, AUTHORITY, 5)

        assert {Ambiguous, NotProcessed} == set(statuses(results))
        assert len(server.asked) - 1 == statuses(results).count(Ambiguous)


async def test_who_no_longer_waits_is_not_sent_for() -> None:
    """Requests of a cancelled caller that have not gone out are dropped."""
    held: list[Asked] = []
    async with scripted(AUTHORITY, held.append, streams=1) as server, client_of() as client:
        sending = asyncio.create_task(send(client, server, AUTHORITY, 50))
        await server.until(lambda: bool(held))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        another = asyncio.create_task(send(client, server, AUTHORITY, 1))
        held[0].answer()
        await server.until(lambda: len(held) > 1)
        held[1].answer()

        assert [200] == statuses(await another)
        assert 2 == len(server.asked)


class Flooding(Connection):
    """Breaks the rules as soon as it is asked for something."""

    def flush(self) -> None:
        super().flush()
        if self.server.asked:
            self.transport.write(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00")


async def test_a_peer_that_breaks_the_rules_is_left() -> None:
    """Its requests are in doubt, and the next go out on a new connection."""
    server = ScriptedServer(lambda _: None, streams=10)
    context = AUTHORITY.server_context(alpn=["h2"])
    async with (
        listening(lambda: Flooding(server), context) as port,
        client_of() as client,
    ):
        server.origin = f"https://127.0.0.1:{port}"
        results = await send(client, server, AUTHORITY, 1)

        assert [Ambiguous] == statuses(results)


async def test_connections_are_counted_and_their_end_is_told() -> None:
    """An operator sees how many are open, and why one has ended, in the peer's own word."""

    def say_why(asked: Asked) -> None:
        asked.answer()
        asked.connection.h2.close_connection(additional_data=b'{"reason":"Shutdown"}')
        asked.connection.flush()

    metrics = Metrics()

    def opened() -> float | None:
        labels = {"gateway": "apns"}
        return metrics.registry.get_sample_value("heliograph_connections", labels)

    client = Client(metrics=metrics)
    async with scripted(AUTHORITY, say_why) as server:
        destination = Destination(server.origin, ca=AUTHORITY.ca_pem, gateway="apns")
        template = http2.template("POST", server.origin, "/", (), b"{}")
        with structlog.testing.capture_logs() as logged:
            await client.exchange(destination, template, [()])
            await server.until_left()
            await client.close()  # which waits for what is on its way out
        ended = opened()

    told = [(line["event"], line.get("reason")) for line in logged]
    assert (0, [("connection_opened", None), ("connection_lost", "GOAWAY Shutdown")]) == (
        ended,
        told,
    )


async def test_an_open_connection_is_counted() -> None:
    """From its handshake to its end."""
    metrics = Metrics()
    client = Client(metrics=metrics)
    async with scripted(AUTHORITY) as server:
        await send(client, server, AUTHORITY, 1)
        labels = {"gateway": "other"}
        during = metrics.registry.get_sample_value("heliograph_connections", labels)
        await client.close()
        after = metrics.registry.get_sample_value("heliograph_connections", labels)

    assert (1, 0) == (during, after)


async def test_time_is_counted_from_when_a_request_went_out() -> None:
    """Not from when it began to wait; the first of them went out at once."""
    batch = Batch(http2.template("POST", "https://push.example", "/", (), b""), [()] * 5)
    now = asyncio.get_running_loop().time()
    start = batch.age(now)

    batch.went_out(0, 5, now - start / 1000)
    batch.went_out(1, 2, now + 1)
    batch.went_out(2, 1, now + 3)
    batch.ages[:] = array("H", [start + 4000] * 4 + [OLDEST])

    assert [4000 + start, 3000, 1000, 4000 + start, OLDEST] == list(batch.took())
