"""The processes that encrypt: started when needed, replaced when lost, gone with their owner."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
import structlog
import uvloop

from encryption.crew import PATIENCE_SECONDS, at_work, is_alive, until
from heliograph.encryption.bodies import CHUNK, Encryption
from heliograph.encryption.chunk import Bodies, Chunk
from heliograph.encryption.process import Process, Processes, environment_of
from heliograph.logs import Event
from heliograph.model import WebAddress
from heliograph.wire import ece

AUTH = bytes(range(16))
SCALAR = bytes(31) + b"\x07"
POINT = ece.public_key_bytes(ece.private_key_of(SCALAR))
ADDRESS = WebAddress("https://push.example.com/", POINT, AUTH)
CHUNK_OF_ONE = Chunk(b"text", [(POINT, AUTH)], shares_key=False)

NewEventLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop, as in the server"),
]

AN_OWNER = """
import asyncio, signal, sys
from heliograph.encryption.process import Processes

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have had ignored

async def main():
    crew = Processes(1)
    while not crew.ready():
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def opened(body: bytes | None) -> bytes:
    return ece.decrypt(body or b"", private_key=SCALAR, auth=AUTH)


@pytest.fixture
async def crew() -> AsyncIterator[Processes]:
    """Two processes at work, which are replaced at once."""
    crew = Processes(2, pause=timedelta(0))
    await at_work(crew, 2)
    yield crew
    await crew.close()


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """One process at work, which nobody replaces."""
    process = await Process.started()
    await process.is_ready()
    yield process
    await process.stop()


async def test_what_a_process_is_asked_at_once_it_answers_in_turn(process: Process) -> None:
    """Those who ask at the same time get an answer each, to what they asked."""
    questions = [Chunk(bytes([n]), [(POINT, AUTH)] * n, shares_key=True) for n in range(20)]
    answers = await asyncio.gather(*[process.encrypt(question) for question in questions])

    assert [[bytes([n])] * n for n in range(20)] == [
        [opened(body) for body in answer or []] for answer in answers
    ]


@pytest.mark.parametrize("new_event_loop", LOOPS)
def test_a_process_that_ended_has_no_answer(new_event_loop: NewEventLoop) -> None:
    """Asking it is no error, at once or when that is known, whatever the loop says of pipes."""

    async def ask_the_dead() -> list[Bodies | None]:
        process = await Process.started()
        await process.is_ready()
        os.kill(process.pid, signal.SIGKILL)
        at_once = await process.encrypt(CHUNK_OF_ONE)
        await process.ended()
        answers = [at_once, await process.encrypt(CHUNK_OF_ONE)]
        await process.stop()
        return answers

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        answers = runner.run(ask_the_dead())

    assert [None, None] == answers


async def test_who_goes_away_takes_the_process_along(process: Process) -> None:
    """An answer that nobody waits for is not taken for the answer to the next question."""
    asking = asyncio.create_task(
        process.encrypt(Chunk(b"first", [(POINT, AUTH)] * 500, shares_key=False))
    )
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])

    assert None is await process.encrypt(CHUNK_OF_ONE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_process_finishes_whatever_the_terminal_says(
    process: Process, number: signal.Signals
) -> None:
    """Signals that ask everybody to end are its owner's to answer."""
    os.kill(process.pid, number)

    assert [b"text"] == [opened(each) for each in await process.encrypt(CHUNK_OF_ONE) or []]


def test_a_process_has_no_settings_of_ours() -> None:
    """Of the environment, our settings are not handed on, for there are secrets among them."""
    environ = {"HELIOGRAPH_MASTER_KEY": "a-master-key-of-tests", "LANG": "C", "PYTHONPATH": "x"}

    assert {"LANG": "C", "PYTHONPATH": ":".join(sys.path)} == environment_of(environ)


def test_a_process_imports_no_server() -> None:
    """It knows of encryption alone, so that it is small."""
    code = (
        "import sys, heliograph.encryption.__main__; "
        "print(sorted(name for name in sys.modules if name.startswith('heliograph.')))"
    )
    printed = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    expected = ["encryption", "encryption.__main__", "encryption.chunk", "wire", "wire.ece"]
    assert f"{[f'heliograph.{name}' for name in expected]}\n" == printed


@pytest.mark.parametrize("new_event_loop", LOOPS)
def test_no_message_is_lost_with_a_process(new_event_loop: NewEventLoop) -> None:
    """What a killed process had in hand, and what it was yet to get, is encrypted all the same."""

    async def lose_processes() -> list[Bodies]:
        crew = Processes(2)
        await at_work(crew, 2)
        encryption = Encryption(
            processes=crew, share_key=False, randomness=secrets.token_bytes, small=0
        )
        batches = asyncio.gather(*[encryption.bodies(b"x", [ADDRESS] * 6 * CHUNK) for _ in "ab"])
        await asyncio.sleep(0)
        for process in crew.ready():
            os.kill(process.pid, signal.SIGKILL)
        bodies = await batches
        await encryption.close()
        return bodies

    with structlog.testing.capture_logs(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        bodies = runner.run(lose_processes())

    assert [[b"x"] * 6 * CHUNK] * 2 == [[opened(body) for body in each] for each in bodies]


async def test_a_killed_process_is_replaced(crew: Processes) -> None:
    """There is another instead soon, and the log says what happened."""
    killed = crew.ready()[0]
    with structlog.testing.capture_logs() as logged:
        os.kill(killed.pid, signal.SIGKILL)
        await at_work(crew, 2, without=killed.pid)

    expected = [
        {
            "event": Event.ENCRYPTION_PROCESS_LOST,
            "log_level": "warning",
            "pid": killed.pid,
            "status": -signal.SIGKILL,
        }
    ]
    assert expected == logged


async def test_without_a_program_there_is_no_process() -> None:
    """Where none can be started, everything is encrypted all the same, and the log says so."""
    crew = Processes(1, python="/nowhere/python")
    encryption = Encryption(
        processes=crew, share_key=False, randomness=secrets.token_bytes, small=0
    )
    with structlog.testing.capture_logs() as logged:
        crew.ready()
        await until(lambda: bool(logged))
        bodies = await encryption.bodies(b"text", [ADDRESS])
    await encryption.close()

    assert ("FileNotFoundError", [b"text"]) == (
        logged[0]["problem"],
        [opened(body) for body in bodies],
    )


async def test_closing_leaves_no_process(crew: Processes) -> None:
    """Once closed, they have ended, and nothing is logged of it."""
    pids = [process.pid for process in crew.ready()]
    with structlog.testing.capture_logs() as logged:
        await crew.close()

    assert ([False, False], [], []) == ([is_alive(pid) for pid in pids], crew.ready(), logged)


async def test_closing_waits_for_what_is_in_hand(crew: Processes) -> None:
    """A chunk that a process has when it is told to end is still answered."""
    chunk = Chunk(b"text", [(POINT, AUTH)] * 100, shares_key=False)
    asking = asyncio.create_task(crew.ready()[0].encrypt(chunk))
    await asyncio.sleep(0)
    await crew.close()

    assert [b"text"] * 100 == [opened(body) for body in await asking or []]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_process_does_not_outlive_its_owner(number: signal.Signals) -> None:
    """
    However the server ends, its processes end, and say nothing.

    They hold its standard error open for as long as they live.
    """
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AN_OWNER),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        await owner.stdout.readline()
        owner.send_signal(number)
        _, said = await owner.communicate()

    assert b"heliograph/encryption/__main__" not in said
