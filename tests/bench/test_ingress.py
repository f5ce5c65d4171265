"""The ingress measurement from end to end, for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heliograph.bench.load import Answers, Load
from heliograph.cli import commands


def test_ingress_is_measured(tmp_path: Path) -> None:
    """Each load has its line, the paced one too, and the folder is left as it was."""
    told = CliRunner().invoke(
        commands,
        ["bench", "ingress", "--seconds", "0.3", "--callers", "2", "--folder", str(tmp_path)],
    )

    assert 0 == told.exit_code, told.output
    assert ["the most", "half the most"] == [
        line.strip().rsplit("  2 ", 1)[0].strip()
        for line in told.output.splitlines()
        if "the most" in line
    ]
    assert [] == list(tmp_path.iterdir())


def test_a_share_of_all_answers_is_told() -> None:
    """The median of a hundred, and what one in a hundred exceeds."""
    answers = Answers(seconds=[float(each) for each in range(100)])

    assert (50.0, 99.0, 0.0) == (
        answers.quantile(0.5),
        answers.quantile(0.99),
        Answers().quantile(0.5),
    )


@asynccontextmanager
async def served(answer: bytes) -> AsyncIterator[Load]:
    """A load for a server that always says the same, in pieces; or hangs up on nothing."""
    calls: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.add(asyncio.current_task())
        while answer and await reader.read(100):
            for part in (answer[:20], answer[20:]):
                writer.write(part)
                await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(30):
        yield Load("127.0.0.1", port, lambda number: b"%d" % number)
        await asyncio.gather(*[call for call in calls if call is not None])


@pytest.mark.parametrize(
    "answer, is_taken, is_lost",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True, False),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", False, False),
        (b"", False, True),
    ],
    ids=["taken", "refused", "hung up"],
)
async def test_only_what_is_answered_200_counts(
    answer: bytes, is_taken: bool, is_lost: bool
) -> None:
    """Refusals and lost connections are counted apart, at either pace, and nothing hangs."""
    async with served(answer) as load:
        found = [await load.as_fast_as_it_goes(2, 0.05), await load.at_a_rate(100, 2, 0.05)]

    assert [(is_taken, not is_taken, is_lost)] * 2 == [
        (bool(each.seconds), bool(each.refused), each.lost) for each in found
    ]
