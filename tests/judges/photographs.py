"""
Takes the pictures of ``docs/images`` that a browser shows: ``make photographs``.

A person is logged in on the example site in a real Firefox, and on a virtual phone and tablet.
Somebody writes to them.
"""

import asyncio
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from heliograph.demo.beams.cast import Customer, gadget
from heliograph.demo.customer_backend import DEMO_USERS
from heliograph.demo.stage import World
from heliograph.dev import developing
from judges import firefox
from judges.firefox import Firefox
from support import settings_in

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"

ADA, BEN = sorted(DEMO_USERS)
TITLE: Final = f"Message from {BEN}"
TEXT: Final = "The lighthouse is as tall as you said. I counted 217 steps."


_ONCE_SHOWN: Final = f"""new Promise((resolve) => {{
    const look = () => document.body.innerText.includes({json.dumps(TEXT)}) && resolve(null);
    setInterval(look, 20);
}})"""


async def take(program: Path, folder: Path) -> None:
    """Have it all happen, and take the pictures."""
    async with AsyncExitStack() as stack:
        settings = settings_in(folder, sandbox_listen="127.0.0.1:0")
        development = await stack.enter_async_context(developing(settings))
        customer = await stack.enter_async_context(Customer.open_for_business(development))
        world = await stack.enter_async_context(World.watched(development))
        for name, platform in (("Her tablet", "fcm"), ("Her phone", "apns")):
            bought = await stack.enter_async_context(gadget(world, name, platform))
            await bought.log_in(ADA, customer)
        push = development.sandbox["webpush_ws"]
        browser = await stack.enter_async_context(
            Firefox.running(program, push=push, folder=folder)
        )
        await _turn_notifications_on(browser, customer.address)
        publish = await customer.send(await customer.log_in(BEN), to=ADA, text=TEXT)
        await world.settled(publish)
        await browser.photograph_notification(TITLE, IMAGES / "firefox-notification.png")
        await browser.photograph("site", IMAGES / "example-site.webp", width=620, height=720)
        await browser.open("site", development.sandbox["management"] + "/screens")
        await browser.evaluate("site", _ONCE_SHOWN)
        await browser.photograph("site", IMAGES / "sandbox-inbox.webp", width=1280, height=740)


async def _turn_notifications_on(browser: Firefox, site: str) -> None:
    await browser.open("site", site)
    await browser.write("site", "[name=password]", DEMO_USERS[ADA])
    await browser.press("site", "#log-in button")
    await browser.press("site", "#turn-on")
    await browser.write("site", "[name=text]", "Wish you were here!")
    await browser.press("site", "#message button")
    await browser.press("site", "#notifications-title")


def main() -> int:
    """Take the pictures; the exit status."""
    program = firefox.executable()
    if program is None:
        sys.stderr.write(firefox.MISSING + "\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(program, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
