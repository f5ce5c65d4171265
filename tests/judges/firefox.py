"""A real Firefox, headless, with a profile of its own; ``node/firefox.mjs`` drives it."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final  # what a page answers is JSON

from judges import javascript

MISSING: Final = "Firefox is missing: apt-get install firefox-esr"

PATIENCE_SECONDS: Final = 60.0

_PREFERENCES: Final[dict[str, object]] = {
    "dom.push.testing.allowInsecureServerURL": True,  # the sandbox's is ws:
    "dom.push.connection.enabled": True,
    "permissions.default.desktop-notification": 1,  # the person says yes
    "alerts.useSystemBackend": False,  # there is no desktop
    "ui.prefersReducedMotion": 1,  # an alert stays as it is until it is pressed
}


def executable() -> Path | None:
    """Where Firefox is on this machine; Debian's long-lived version is preferred."""
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    return Path(found) if found else None


def is_required() -> bool:
    """Whether this is continuous integration, where nothing may be missing."""
    return os.environ.get("CI") == "true"


class PageError(Exception):
    """A step failed, with what browser or page said."""


@dataclass(frozen=True, slots=True)
class Firefox:
    """A running browser. Its pages have names, which are ours."""

    process: asyncio.subprocess.Process

    @classmethod
    @asynccontextmanager
    async def running(cls, program: Path, *, push: str, folder: Path) -> AsyncIterator["Firefox"]:
        """
        A browser with a new profile.

        Args:
            program: The executable.
            push: The push service that it uses in place of Mozilla's, a ``ws:`` URL.
            folder: For the profile, and for what Firefox logs.
        """
        order = {
            "executable": str(program),
            "profile": str(folder / "profile"),
            "preferences": _PREFERENCES | {"dom.push.serverURL": push},
        }
        async with javascript.serving("firefox", order) as process:
            firefox = cls(process)
            assert process.stdin is not None
            try:
                await firefox._heard()
                yield firefox
            finally:
                process.stdin.close()  # with the driver killed, the browser would stay
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await process.wait()

    async def open(self, page: str, url: str) -> None:
        """Show a URL; a page of a new name is a new tab."""
        await self._step("open", page=page, url=url)

    async def evaluate(self, page: str, script: str) -> Any:
        """What an expression comes to in a page; of a promise, what it is fulfilled with."""
        return await self._step("evaluate", page=page, script=script)

    async def press(self, page: str, selector: str) -> None:
        """Click what a selector finds, once it can be clicked."""
        await self._step("press", page=page, selector=selector)

    async def write(self, page: str, selector: str, text: str) -> None:
        """Fill a field that a selector finds."""
        await self._step("write", page=page, selector=selector, text=text)

    async def urls(self) -> list[str]:
        """What all tabs show."""
        urls: list[str] = await self._step("urls")
        return urls

    async def press_notification(self, title: str) -> None:
        """Click the notification with this title in Firefox's own window, once it is there."""
        await self._step("pressNotification", title=title)

    async def photograph(self, page: str, path: Path, *, width: int, height: int) -> None:
        """Keep what the middle of a page's top looks like, as PNG."""
        inner = await self.evaluate(page, "innerWidth")
        clip = {"x": (inner - width) / 2, "y": 0, "width": width, "height": height}
        await self._step("photograph", page=page, path=str(path), clip=clip)

    async def photograph_notification(self, title: str, path: Path) -> None:
        """Keep what the notification with this title looks like, as PNG."""
        await self._step("photographNotification", title=title, path=str(path))

    async def _step(self, name: str, **fields: object) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": name} | fields).encode() + b"\n")
        return await self._heard()

    async def _heard(self) -> Any:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self.process.stdout.readline()
        answer = json.loads(line or b'{"error": "Firefox could not be driven: see above"}')
        if "error" in answer:
            raise PageError(answer["error"])
        return answer.get("value")
