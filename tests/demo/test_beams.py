"""The demonstration with apps of Beams'."""

import io
from pathlib import Path

from rich.console import Console

from heliograph.config import Settings
from heliograph.demo.beams import story
from heliograph.demo.beams.cast import Customer
from heliograph.demo.stage import World
from heliograph.dev import developing
from support import settings_in


async def test_the_demonstration_holds() -> None:
    """Every claim holds: four log-ins, three screens, a phone that changes hands, a log-out."""
    told = io.StringIO()

    held = await story.show(Settings(), Console(file=told, width=200))

    assert held, told.getvalue()
    assert "✗" not in told.getvalue()
    assert told.getvalue().count("✓") > 25


async def test_the_demonstration_notices_a_failure(tmp_path: Path) -> None:
    """A message that shows nowhere is told as a failure, and the story as not held."""
    told = io.StringIO()
    settings = settings_in(tmp_path, sandbox_listen="127.0.0.1:0")

    class BlindWorld(World):
        async def has(self, token: str, text: str) -> bool:
            del token, text
            return False

    async with (
        developing(settings) as development,
        Customer.open_for_business(development) as customer,
        BlindWorld.watched(development) as world,
    ):
        held = await story.Story(Console(file=told, width=200), customer, world).tell()

    assert not held
    assert "✗ user-001's phone shows it" in told.getvalue()
