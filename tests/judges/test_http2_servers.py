"""
Our sender against an HTTP/2 server that we did not write: Node's own ``http2`` module.

The server (``node/http2_server.mjs``) notes everything that arrives, and does to each request
what the test's script says for its device. Nothing of ours is between the product's
delivery and it.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final  # what Node prints is JSON

import pytest

from heliograph.gateways.contract import Outcome, Rejected, Sent, Suspect, Unavailable
from heliograph.sandbox import Authority
from heliograph.transport.connection import Patience
from judges.javascript import PATIENCE_SECONDS, serving
from judges.senders import PAYLOAD, Sender, is_unanswered, kinds, tokens

BYSTANDERS: Final = 60
HASTE: Final = Patience(reply=1, stall=0.5, pong=0.5)


@dataclass(slots=True)
class Judge:
    """A server on Node, and what it says at its end."""

    process: asyncio.subprocess.Process
    origin: str

    async def verdict(self) -> dict[str, Any]:
        """What arrived; the server ends with this."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await _line(self.process)


@asynccontextmanager
async def judging(
    authority: Authority,
    script: Mapping[str, Sequence[str]] | None = None,
    settings: Mapping[str, int] | None = None,
) -> AsyncIterator[Judge]:
    """A server that does to the requests for each device what the script says."""
    cert, key = authority.server_certificate()
    order = {"key": key, "cert": cert, "settings": settings or {}, "script": script or {}}
    async with serving("http2_server", order) as process:
        port = (await _line(process))["port"]
        yield Judge(process, f"https://127.0.0.1:{port}")


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        said: dict[str, Any] = json.loads(await process.stdout.readline())
    return said


def taken(verdict: dict[str, Any]) -> Counter[str]:
    """How many messages each device got."""
    return Counter(each["token"] for each in verdict["arrived"] if each["taken"])


async def test_thousands_arrive_once_and_whole(authority: Authority, tmp_path: Path) -> None:
    """Of 5,000 messages, up to 1,000 under way at once, each arrives once, as it was written."""
    every = tokens(5000)
    async with judging(authority, settings={"maxConcurrentStreams": 1000}) as judge:
        async with Sender.to(judge.origin, authority.ca_pem, tmp_path) as sender:
            batches = [every[at::5] for at in range(5)]
            answers = await asyncio.gather(*[sender.send(batch) for batch in batches])
        verdict = await judge.verdict()

    assert [Counter(Sent=1000)] * 5 == [kinds(answer) for answer in answers]
    assert Counter(every) == taken(verdict)
    assert {PAYLOAD.decode()} == {each["body"] for each in verdict["arrived"]}
    assert {False} == {each["pushable"] for each in verdict["arrived"]}
    for arrival in verdict["arrived"]:
        token, headers = arrival["token"], arrival["headers"]
        authorization = headers.pop("authorization")
        assert authorization.startswith("bearer ")
        assert {
            ":method": "POST",
            ":scheme": "https",
            ":authority": judge.origin.removeprefix("https://"),
            ":path": f"/3/device/{token}",
            "apns-id": sender.apns_id(token),
            "apns-topic": "com.example.app",
            "apns-push-type": "alert",
            "apns-priority": "10",
            "content-length": str(len(PAYLOAD)),
        } == headers


RESETS: Final = [
    pytest.param(f"reset:{code}", Unavailable(f"RST_STREAM {name}"), 0, id=f"reset {name}")
    for code, name in enumerate(
        (
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            None,  # REFUSED_STREAM promises more
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        )
    )
    if name is not None
]
"""Resets that leave open whether the request was processed."""


@pytest.mark.parametrize(
    "fate, outcome, taken_by_it",
    [
        *RESETS,
        ("reset:7", Sent(), 1),
        ("early_refusal", Sent(), 1),
        ("goaway:Shutdown", Sent(), 1),
        ("farewell", Sent(), 1),
        ("settings:maxConcurrentStreams=1", Sent(), 1),
        ("settings:initialWindowSize=7", Sent(), 1),
        ("settings:headerTableSize=0", Sent(), 1),
        ("settings:headerTableSize=65536", Sent(), 1),
        ("informational", Sent(), 1),
        ("trailers", Sent(), 1),
        ("long_headers", Sent(), 1),
        ("ping", Sent(), 1),
        ("unknown_frames", Sent(), 1),
        ("slow_read", Sent(), 1),
        ("take_and_reset:2", Unavailable("RST_STREAM INTERNAL_ERROR"), 1),
        ("half_an_answer", Unavailable("RST_STREAM INTERNAL_ERROR"), 0),
        ("no_answer", Unavailable("no reply in time"), 0),
        ("pieces", Suspect("BadDeviceToken"), 0),
        ("early_error", Rejected("PayloadTooLarge"), 0),
        ("truncated", Unavailable("HTTP 503"), 0),
        ("html", Unavailable("HTTP 502"), 0),
        ("empty:500", Unavailable("HTTP 500"), 0),
        ("empty:410", Suspect("HTTP 410"), 0),
        ("empty:400", Rejected("HTTP 400"), 0),
    ],
)
async def test_a_fault_is_its_own_requests_only(
    authority: Authority, tmp_path: Path, fate: str, outcome: Outcome, taken_by_it: int
) -> None:
    """
    One request meets a fault, and its outcome is the right one; its neighbours are sent once.

    That includes those that come after it, on the same connection or on the next.
    """
    every, later = tokens(BYSTANDERS), tokens(BYSTANDERS)
    struck = every[BYSTANDERS // 2]
    async with judging(authority, {struck: [fate]}) as judge:
        async with Sender.to(judge.origin, authority.ca_pem, tmp_path, HASTE) as sender:
            answers = await sender.send(every)
            answers |= await sender.send(later)
        verdict = await judge.verdict()

    told = answers.pop(struck)
    assert outcome == (Sent() if isinstance(told, Sent) else told)
    assert Counter(Sent=2 * BYSTANDERS - 1) == kinds(answers)
    assert Counter(answers.keys()) + Counter({struck: taken_by_it}) == taken(verdict)
    assert {PAYLOAD.decode()} == {each["body"] for each in verdict["arrived"] if each["taken"]}
    assert ("ping" == fate) == bool(verdict["pongs"])


@pytest.mark.parametrize("fate", ["destroy", "take_and_destroy"])
async def test_a_connection_that_breaks_loses_and_repeats_nothing(
    authority: Authority, tmp_path: Path, fate: str
) -> None:
    """What was under way is uncertain, and said to be; nothing is sent twice behind our back."""
    every, later = tokens(BYSTANDERS), tokens(BYSTANDERS)
    struck = every[BYSTANDERS // 2]
    async with judging(authority, {struck: [fate]}) as judge:
        async with Sender.to(judge.origin, authority.ca_pem, tmp_path, HASTE) as sender:
            answers = await sender.send(every)
            afterwards = await sender.send(later)
        verdict = await judge.verdict()

    counts = taken(verdict)
    sent = {token for token, outcome in answers.items() if isinstance(outcome, Sent)}
    assert isinstance(answers[struck], Unavailable)
    assert {"Sent", "Unavailable"} >= set(kinds(answers))
    assert Counter(Sent=BYSTANDERS) == kinds(afterwards)
    assert {1} == set(counts.values())
    assert set(later) | sent <= set(counts)


async def test_a_storm_of_faults_repeats_nothing_that_was_answered(
    authority: Authority, tmp_path: Path
) -> None:
    """
    Among thousands of requests, many of them faulty, every message gets through in the end.

    More than once only where an answer was lost, and then under the same id.
    """
    chance, every = Random(7), tokens(3000)
    faults = (
        *("goaway:Shutdown", "farewell", "destroy", "take_and_destroy", "reset:2", "reset:7"),
        *("take_and_reset:8", "half_an_answer", "early_refusal", "informational", "trailers"),
        *("settings:maxConcurrentStreams=20", "settings:initialWindowSize=100", "slow_read"),
        *("settings:maxConcurrentStreams=500", "settings:headerTableSize=0", "unknown_frames"),
    )
    script = {token: chance.choices(faults, k=2) for token in chance.sample(every, 100)}
    told: defaultdict[str, list[Outcome]] = defaultdict(list)
    async with judging(authority, script, {"maxConcurrentStreams": 500}) as judge:
        async with Sender.to(judge.origin, authority.ca_pem, tmp_path, HASTE) as sender:
            left = every
            async with asyncio.timeout(PATIENCE_SECONDS):
                while left:
                    for token, outcome in (await sender.send(left)).items():
                        told[token].append(outcome)
                    left = [token for token in left if not isinstance(told[token][-1], Sent)]
        verdict = await judge.verdict()

    counts = taken(verdict)
    for token in every:
        assert 1 <= counts[token] <= 1 + sum(map(is_unanswered, told[token])), told[token]
    assert all(
        sender.apns_id(each["token"]) == each["headers"]["apns-id"] for each in verdict["arrived"]
    )
    met = {each["fate"] for each in verdict["arrived"]}
    assert {fate.partition(":")[0] for fate in faults} <= met
