"""What each browser gets: the same, whoever encrypts it, and whatever happens meanwhile."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from encryption.crew import at_work
from heliograph.encryption.bodies import CHUNK, SLICE, Encryption
from heliograph.encryption.process import Process, Processes
from heliograph.model import WebAddress
from heliograph.wire import ece

AUTH = bytes(range(16))
SCALARS = [bytes(31) + bytes([number]) for number in range(1, 4)]
POINTS = [ece.public_key_bytes(ece.private_key_of(scalar)) for scalar in SCALARS]


def addresses(count: int) -> list[WebAddress]:
    """Subscriptions of three browsers in turn."""
    return [WebAddress("https://push.example.com/", POINTS[n % 3], AUTH) for n in range(count)]


def texts(bodies: list[bytes | None]) -> list[bytes | None]:
    """What the three browsers read; None where there is nothing to read."""
    return [
        body and ece.decrypt(body, private_key=SCALARS[number % 3], auth=AUTH)
        for number, body in enumerate(bodies)
    ]


@asynccontextmanager
async def encrypting(
    processes: int, *, share_key: bool = False
) -> AsyncIterator[tuple[Encryption, Processes]]:
    """An encryption that asks its processes even for a single message, once they are there."""
    crew = Processes(processes)
    encryption = Encryption(
        processes=crew, share_key=share_key, randomness=secrets.token_bytes, small=0
    )
    try:
        await at_work(crew, processes)
        yield encryption, crew
    finally:
        await encryption.close()


@pytest.mark.parametrize("share_key", [False, True])
@pytest.mark.parametrize("processes", [0, 1, 2])
@pytest.mark.parametrize("count", [0, 1, SLICE + 1, 2 * CHUNK + 1])
async def test_each_browser_reads_its_own_body(
    processes: int, count: int, *, share_key: bool
) -> None:
    """However many browsers and processes, each browser's body is in its place and opens."""
    async with encrypting(processes, share_key=share_key) as (encryption, _):
        bodies = await encryption.bodies(b"text", addresses(count))

    assert [b"text"] * count == texts(bodies)


@pytest.mark.parametrize("processes", [0, 1])
async def test_the_longest_text_fits(processes: int) -> None:
    """A whole chunk of the longest messages goes through the pipe."""
    text = os.urandom(ece.MAX_PLAINTEXT_BYTES)
    async with encrypting(processes) as (encryption, _):
        bodies = await encryption.bodies(text, addresses(CHUNK))

    assert [text] * CHUNK == texts(bodies)


async def test_a_longer_text_is_nobodys_fault() -> None:
    """A text that fits no push is an error, not so many bad subscriptions."""
    async with encrypting(0) as (encryption, _):
        with pytest.raises(ValueError, match="more than 3993"):
            await encryption.bodies(bytes(ece.MAX_PLAINTEXT_BYTES + 1), addresses(1))


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(
    "p256dh, auth",
    [
        pytest.param(b"\x04" + bytes(64), AUTH, id="not on the curve"),
        pytest.param(POINTS[0][:-1], AUTH, id="short key"),
        pytest.param(b"", AUTH, id="no key"),
        pytest.param(POINTS[0], AUTH[:-1], id="short secret"),
        pytest.param(POINTS[0], b"", id="no secret"),
    ],
)
async def test_an_unusable_subscription_is_alone(
    processes: int, p256dh: bytes, auth: bytes
) -> None:
    """None stands for the browser whose key or secret cannot be used; the rest get theirs."""
    crowd = addresses(30)
    crowd[13] = WebAddress("https://push.example.com/", p256dh, auth)
    async with encrypting(processes) as (encryption, _):
        bodies = await encryption.bodies(b"text", crowd)

    assert [*[b"text"] * 13, None, *[b"text"] * 16] == texts(bodies)


async def test_a_batch_shares_its_key_pair_as_asked() -> None:
    """Encrypted here, the messages of one batch have one sender, those of the next another."""
    async with encrypting(0, share_key=True) as (encryption, _):
        batches = [await encryption.bodies(b"text", addresses(SLICE + 1)) for _ in range(2)]

    senders = [{body[21:86] for body in bodies if body} for bodies in batches]
    assert (1, 1, 2) == (len(senders[0]), len(senders[1]), len(senders[0] | senders[1]))


@pytest.mark.parametrize("processes", [0, 2])
async def test_no_salt_is_used_twice_under_a_shared_key(processes: int) -> None:
    """Wherever its messages are encrypted, no two of a batch have a salt in common."""
    async with encrypting(processes, share_key=True) as (encryption, _):
        bodies = await encryption.bodies(b"text", addresses(4 * CHUNK))

    assert 4 * CHUNK == len({body[:16] for body in bodies if body})


async def test_nothing_is_started_for_small_batches() -> None:
    """A process is started by the first large batch, which does not wait for it."""
    started: list[bool] = []

    class Watched(Processes):
        def ready(self) -> list[Process]:
            started.append(True)
            return []

    encryption = Encryption(
        processes=Watched(1), share_key=False, randomness=secrets.token_bytes, small=3
    )
    await encryption.bodies(b"text", addresses(3))
    before = len(started)
    bodies = await encryption.bodies(b"text", addresses(4))

    assert (0, 1, [b"text"] * 4) == (before, len(started), texts(bodies))


async def test_others_have_their_turn() -> None:
    """
    Between two slices, of whichever batches, the event loop turns.

    Two batches of three slices each leave room for at least six turns of another.
    """
    turns_at: list[int] = []
    turns = 0

    def randomness(size: int) -> bytes:
        turns_at.append(turns)
        return secrets.token_bytes(size)

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    encryption = Encryption(processes=Processes(0), share_key=False, randomness=randomness)
    task = asyncio.create_task(other())
    await asyncio.gather(*[encryption.bodies(b"", addresses(3 * SLICE)) for _ in range(2)])
    task.cancel()

    assert 6 == len(set(turns_at))
