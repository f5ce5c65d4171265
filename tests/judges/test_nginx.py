"""Our sender against nginx, whose reloads and limits end connections while they are in use."""

import asyncio
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from heliograph.gateways.contract import Outcome, Refused, Rejected, Sent, Unavailable
from heliograph.sandbox import Authority
from judges.nginx import PATIENCE_SECONDS, Nginx, nginx
from judges.senders import PAYLOAD, Sender, is_unanswered, kinds, tokens


def taken(server: Nginx) -> Counter[str]:
    """How many messages each device got."""
    return Counter(line["uri"].rpartition("/")[2] for line in server.log() if line["status"] == 200)


async def send_all(sender: Sender, every: list[str]) -> dict[str, list[Outcome]]:
    """What each device was told, attempt by attempt, until all of them were sent to."""
    told: defaultdict[str, list[Outcome]] = defaultdict(list)
    left = every
    async with asyncio.timeout(PATIENCE_SECONDS):
        while left:
            for token, outcome in (await sender.send(left)).items():
                told[token].append(outcome)
            left = [token for token in left if not isinstance(told[token][-1], Sent)]
    return told


async def test_thousands_arrive_once_and_whole(authority: Authority, tmp_path: Path) -> None:
    """Of 5,000 messages, up to 1,000 under way at once, each arrives once, as it was written."""
    every = tokens(5000)
    async with nginx(authority, tmp_path) as server:
        async with Sender.to(server.origin, authority.ca_pem, tmp_path) as sender:
            batches = [every[at::5] for at in range(5)]
            answers = await asyncio.gather(*[sender.send(batch) for batch in batches])
        await server.until_logged(len(every))
        log = server.log()

    assert [Counter(Sent=1000)] * 5 == [kinds(answer) for answer in answers]
    assert Counter(every) == taken(server)
    assert {(200, PAYLOAD.decode())} == {(line["status"], line["body"]) for line in log}
    assert {sender.apns_id(token) for token in every} == {line["id"] for line in log}


@pytest.mark.parametrize("requests_a_connection", [300, 1000])
async def test_a_connection_that_has_had_enough_loses_and_repeats_nothing(
    authority: Authority, tmp_path: Path, requests_a_connection: int
) -> None:
    """After so many requests nginx says GOAWAY and leaves the rest unprocessed: they go on."""
    every = tokens(3000)
    async with nginx(authority, tmp_path, requests_a_connection=requests_a_connection) as server:
        async with Sender.to(server.origin, authority.ca_pem, tmp_path) as sender:
            told = await send_all(sender, every)
        counts = taken(server)

    assert len(server.connections()) > 2
    for token in every:
        assert 1 <= counts[token] <= 1 + sum(map(is_unanswered, told[token])), told[token]


async def test_reloads_lose_and_repeat_nothing(authority: Authority, tmp_path: Path) -> None:
    """While messages are under way the server is reloaded again and again."""
    told: dict[str, list[Outcome]] = {}
    async with nginx(authority, tmp_path) as server:
        async with Sender.to(server.origin, authority.ca_pem, tmp_path) as sender:
            for part in range(8):
                sending = asyncio.create_task(send_all(sender, tokens(1000)))
                await server.until_logged(1000 * part + 100)
                server.reload()
                told |= await sending
        counts = taken(server)

    assert len(server.connections()) > 2
    for token, answers in told.items():
        assert 1 <= counts[token] <= 1 + sum(map(is_unanswered, answers)), answers


@pytest.mark.parametrize(
    "path, outcome",
    [
        ("dead", Unavailable("HTTP 502")),
        ("small", Rejected("HTTP 413")),
        ("moved", Refused("HTTP 307")),
        ("silent", Unavailable("RST_STREAM PROTOCOL_ERROR")),
    ],
)
async def test_nginx_speaks_for_a_gateway_behind_it(
    authority: Authority, tmp_path: Path, path: str, outcome: Outcome
) -> None:
    """Its own pages and its silence are outcomes of the messages, and nothing is thought sent."""
    every = tokens(300)
    async with (
        nginx(authority, tmp_path) as server,
        Sender.to(f"{server.origin}/{path}", authority.ca_pem, tmp_path) as sender,
    ):
        answers = await sender.send(every)

    assert dict.fromkeys(every, outcome) == answers
