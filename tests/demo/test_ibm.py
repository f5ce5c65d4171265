"""The demonstration with apps of IBM Push Notifications."""

import io
from pathlib import Path

from rich.console import Console

from heliograph.config import Settings
from heliograph.demo.beams.cast import Customer
from heliograph.demo.ibm import story
from heliograph.demo.ibm.cast import Backend
from heliograph.demo.stage import World
from heliograph.dev import developing
from support import settings_in


async def test_the_demonstration_holds() -> None:
    """Every claim holds: nobody, log-ins, a forger, a switch in place, one person, log-outs."""
    told = io.StringIO()

    held = await story.show(Settings(), Console(file=told, width=200))

    assert held, told.getvalue()
    assert "✗" not in told.getvalue()
    assert told.getvalue().count("✓") > 60


async def test_the_demonstration_notices_a_failure(tmp_path: Path) -> None:
    """A message that shows nowhere is told as a failure, and the story as not held."""
    told = io.StringIO()
    settings = settings_in(tmp_path, sandbox_listen="127.0.0.1:0")

    class BlindWorld(World):
        async def arrivals(self, token: str) -> list[object]:
            del token
            return []

    async with (
        developing(settings) as development,
        Customer.open_for_business(development) as customer,
        BlindWorld.watched(development) as world,
    ):
        backend = Backend(development, world.http)
        held = await story.Story(Console(file=told, width=200), backend, customer, world).tell()

    assert not held
    assert "✗ the phone shows it" in told.getvalue()
