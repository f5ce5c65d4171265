"""
What the demonstration shows, with every claim checked on the screens.

A notification finds the person, on every device where they are logged in, and nobody
else.
"""

import contextlib
from collections.abc import Sequence
from typing import Final

import httpx
from rich.console import Console

from heliograph.client.errors import DeviceError
from heliograph.config import Settings
from heliograph.demo.beams.cast import Customer, Gadget, gadget
from heliograph.demo.stage import World, rehearsed
from heliograph.demo.telling import Telling

_ADA: Final = "user-001"
_BEN: Final = "user-002"


async def show(settings: Settings, console: Console) -> bool:
    """
    Play the demonstration in a folder of its own, on free ports.

    Returns:
        Whether everything was as it should be.
    """
    async with contextlib.AsyncExitStack() as stack:
        development = await stack.enter_async_context(rehearsed(settings))
        customer = await stack.enter_async_context(Customer.open_for_business(development))
        world = await stack.enter_async_context(World.watched(development))
        return await Story(console, customer, world).tell()


class Story:
    """What happens."""

    def __init__(self, console: Console, customer: Customer, world: World) -> None:
        """Tell it on a console."""
        self._telling = Telling(console)
        self._customer = customer
        self._world = world
        self._messages = 0

    async def tell(self) -> bool:
        """Every step in turn; whether all of them held."""
        self._telling.begin(
            "sends to a person. Here is what that means.",
            meanwhile="A customer's back end knows its users' passwords, and vouches for them.",
        )
        try:
            async with contextlib.AsyncExitStack() as stack:
                phone, tablet, browser, other = [
                    await stack.enter_async_context(gadget(self._world, name, platform))
                    for name, platform in (
                        ("user-001's phone", "apns"),
                        ("user-001's tablet", "fcm"),
                        ("user-001's browser", "web"),
                        ("user-002's phone", "apns"),
                    )
                ]
                await self._everybody_logs_in([phone, tablet, browser], other)
                await self._the_phone_changes_hands(phone, [tablet, browser], other)
                await self._ada_logs_out([tablet, browser], [phone, other])
        except (httpx.HTTPError, DeviceError, TimeoutError) as problem:
            claim = f"no error: {type(problem).__name__}: {problem}"
            self._telling.check(claim, holds=False)
        return self._telling.end()

    async def _everybody_logs_in(self, hers: Sequence[Gadget], his: Gadget) -> None:
        self._telling.step(
            "user-001 logs in on a phone (APNs), a tablet (FCM) and a browser (Web Push)."
        )
        for each in hers:
            await each.log_in(_ADA, self._customer)
            await self._check_owner(each, _ADA)
        self._telling.step("user-002 logs in on another phone.")
        await his.log_in(_BEN, self._customer)
        await self._check_owner(his, _BEN)
        await self._message(_ADA, shown_on=hers, not_on=[his])

    async def _the_phone_changes_hands(
        self, phone: Gadget, rest_of_hers: Sequence[Gadget], his: Gadget
    ) -> None:
        self._telling.step(
            "user-002 takes over user-001's phone: the app is cleared, and he logs in."
        )
        before = phone.sdk.device_id
        await phone.log_out()
        self._telling.check("the phone is a new device", holds=phone.sdk.device_id != before)
        await phone.log_in(_BEN, self._customer)
        await self._check_owner(phone, _BEN)
        await self._message(_ADA, shown_on=rest_of_hers, not_on=[phone, his])
        await self._message(_BEN, shown_on=[phone, his], not_on=rest_of_hers)

    async def _ada_logs_out(self, hers: Sequence[Gadget], his: Sequence[Gadget]) -> None:
        self._telling.step("user-001 logs out everywhere.")
        for each in hers:
            await each.log_out()
            await self._check_owner(each, None)
        await self._message(_ADA, shown_on=[], not_on=[*hers, *his])

    async def _message(
        self, user: str, *, shown_on: Sequence[Gadget], not_on: Sequence[Gadget]
    ) -> None:
        """Send somebody a message through the customer's back end, and look at every screen."""
        self._messages += 1
        text = f"Hello {user}, this is message {self._messages}."
        self._telling.step(f"The customer's back end publishes to {user}: “{text}”")
        session = await self._customer.log_in(_BEN)
        publish = await self._customer.send(session, to=user, text=text)
        counts = await self._world.settled(publish)
        sent, targeted = counts["sent"], counts["targeted"]
        self._telling.check(
            f"devices addressed: {targeted}, taken by their gateways: {sent}",
            holds=sent == targeted == len(shown_on),
        )
        for each in shown_on:
            self._telling.check(f"{each.name} shows it", holds=await each.shows(text))
        for each in not_on:
            self._telling.check(f"{each.name} does not", holds=not await each.shows(text))

    async def _check_owner(self, device: Gadget, user: str | None) -> None:
        claim = f"{device.name} belongs to {user or 'nobody'}"
        self._telling.check(claim, holds=await device.owner() == user)
