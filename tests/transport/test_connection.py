"""One connection on the network: deadlines, signs of life, back-pressure."""

import asyncio
import ipaddress
from collections.abc import Callable
from typing import cast

from heliograph.errors import Ambiguous
from heliograph.transport.client import Client
from heliograph.transport.connection import Patience
from heliograph.wire.http import HttpRequest, HttpResponse
from transport.scripted import AUTHORITY, Asked, scripted
from transport.senders import send_all


def request(origin: str, path: str = "/", body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", origin + path, (), body)


async def test_a_request_without_reply_is_given_up_alone() -> None:
    """After the deadline it is in doubt; the connection, and later requests, go on."""

    def answer_all_but_one(asked: Asked) -> None:
        if asked.path != "/never":
            asked.answer()

    client = Client(patience=Patience(reply=0.1))
    async with scripted(AUTHORITY, answer_all_but_one) as server:
        late, reply = await send_all(
            client,
            [request(server.origin, "/never"), request(server.origin, "/soon")],
            ca=AUTHORITY.ca_pem,
        )
        again = await client.send(request(server.origin, "/soon"), ca=AUTHORITY.ca_pem)
        await client.close()

        assert isinstance(late, Ambiguous)
        assert isinstance(reply, HttpResponse)
        assert 200 == again.status
        assert 1 == len(server.connections)


async def test_a_dead_connection_is_replaced() -> None:
    """A peer that answers neither requests nor a PING is left, long before the deadline."""

    def fall_silent(asked: Asked) -> None:
        if asked.path == "/silence":
            asked.connection.is_deaf = True
        else:
            asked.answer()

    client = Client(patience=Patience(stall=0.05, pong=0.05))
    async with scripted(AUTHORITY, fall_silent) as server:
        await client.send(request(server.origin), ca=AUTHORITY.ca_pem)
        (lost,) = await send_all(client, [request(server.origin, "/silence")], ca=AUTHORITY.ca_pem)
        reply = await client.send(request(server.origin), ca=AUTHORITY.ca_pem)
        await client.close()

        assert isinstance(lost, Ambiguous)
        assert 200 == reply.status
        assert 2 == len(server.connections)


async def test_a_slow_peer_that_is_alive_is_waited_for() -> None:
    """It answers the PING, so the connection stays, until the reply comes."""
    held: list[Asked] = []
    client = Client(patience=Patience(stall=0.02, pong=5))
    async with scripted(AUTHORITY, held.append) as server:
        sending = asyncio.create_task(client.send(request(server.origin), ca=AUTHORITY.ca_pem))
        await server.until(lambda: bool(held))
        await server.until_pinged()
        held[0].answer()
        reply = await sending
        await client.close()

        assert 200 == reply.status
        assert 1 == len(server.connections)


async def test_an_idle_connection_is_asked_for_a_sign_of_life() -> None:
    """So that the next publish does not find it dead."""
    client = Client(patience=Patience(stall=0.02, idle=0.02))
    async with scripted(AUTHORITY) as server:
        await client.send(request(server.origin), ca=AUTHORITY.ca_pem)
        await server.until_pinged()
        await client.close()

        assert 1 == len(server.connections)


async def test_a_connection_on_a_strangers_word_is_not_kept() -> None:
    """Without traffic it is closed, and opened again when needed."""
    client = Client(
        allowed=[ipaddress.ip_network("127.0.0.0/8")],
        extra_ca=AUTHORITY.ca_pem,
        patience=Patience(stall=0.02, unused=0.02),
    )
    async with scripted(AUTHORITY) as server:
        await client.send(request(server.origin), guarded=True)
        await server.until_left()
        reply = await client.send(request(server.origin), guarded=True)
        await client.close()

        assert 200 == reply.status
        assert 2 == len(server.connections)


async def test_a_peer_that_does_not_read_is_not_drowned() -> None:
    """Large bodies to a peer that stops reading wait with us, and arrive when it reads on."""
    pause: list[Callable[[], None]] = []

    def stop_reading(asked: Asked) -> None:
        asked.answer()
        if not pause:
            transport = asked.connection.transport
            transport.pause_reading()
            pause.append(transport.resume_reading)
            asyncio.get_running_loop().call_soon(transport.resume_reading)

    client = Client()
    async with scripted(AUTHORITY, stop_reading, streams=1000) as server:
        results = await send_all(
            client,
            [request(server.origin, f"/{number}", bytes(60_000)) for number in range(100)],
            ca=AUTHORITY.ca_pem,
        )
        await client.close()

        assert [200] * 100 == [cast("HttpResponse", each).status for each in results]
        assert {60_000} == {len(asked.body) for asked in server.asked}
