"""The README's five minutes, as a newcomer goes through them."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from heliograph.client.publish import AsyncPushNotifications
from heliograph.demo.customer_backend import DEMO_USERS, build_app
from heliograph.serving import address_of, bind, serving
from processes import PATIENCE_SECONDS, heliograph

README: Final = (Path(__file__).parent.parent / "README.md").read_text()


def programs() -> list[str]:
    """The README's Python programs, in order."""
    indented = re.findall(r"^   ```python\n(.*?)^   ```", README, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^   ", "", program, flags=re.MULTILINE) for program in indented]


async def output_of(program: str, folder: Path) -> str:
    """What a program prints when it is run in a folder."""
    path = folder / "program.py"
    path.write_text(program)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(path),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert 0 == process.returncode, errors.decode()
    return printed.decode()


@asynccontextmanager
async def example_back_end(note: dict[str, Any]) -> AsyncIterator[str]:
    """The example back end on a free port."""
    listener = bind("127.0.0.1", 0)
    async with (
        AsyncPushNotifications(
            note["instance_id"], note["secret_key"], endpoint=note["endpoint"]
        ) as beams,
        serving(build_app(beams, DEMO_USERS), listener),
    ):
        yield f"http://{address_of(listener)}"


async def test_the_five_minutes_work_as_written(tmp_path: Path) -> None:
    """The phone logs in, the publish of the second program shows on it."""
    phone, publish = programs()
    async with (
        heliograph("dev", folder=tmp_path / "heliograph-data") as dev,
        httpx.AsyncClient() as http,
    ):
        note = await dev.note("dev.json")
        async with example_back_end(note) as address:
            logged_in = await output_of(phone.replace("http://127.0.0.1:8050", address), tmp_path)
            published = await output_of(publish, tmp_path)
        async with asyncio.timeout(PATIENCE_SECONDS):
            arrived: list[dict[str, Any]] = []
            while not arrived:
                arrived = (await http.get(note["sandbox"]["management"] + "/inbox")).json()

    assert logged_in.startswith("user-001 is logged in on apns-")
    assert published.startswith("published pubid-")
    assert {"title": "Hello", "body": "Again."} == arrived[0]["payload"]["aps"]["alert"]
