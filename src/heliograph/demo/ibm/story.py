"""
What the demonstration shows, with every claim checked on the screens.

A device is shared: whoever logs in on it gets their own notifications, and nobody else's;
and a person is one, whichever SDK their devices have.
"""

import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import httpx
from rich.console import Console

from heliograph.client.errors import DeviceError
from heliograph.client.ibm.device import AsyncPush, SdkError
from heliograph.config import Settings
from heliograph.demo.beams import cast as beams
from heliograph.demo.ibm.cast import Backend, Gadget, gadget
from heliograph.demo.stage import World, rehearsed
from heliograph.demo.telling import Telling

_ADA: Final = "user-001"
_BEN: Final = "user-002"
_NOBODY: Final = "anonymous"


async def show(settings: Settings, console: Console) -> bool:
    """
    Play the demonstration in a folder of its own, on free ports.

    Returns:
        Whether everything was as it should be.
    """
    async with contextlib.AsyncExitStack() as stack:
        development = await stack.enter_async_context(rehearsed(settings))
        customer = await stack.enter_async_context(beams.Customer.open_for_business(development))
        world = await stack.enter_async_context(World.watched(development))
        return await Story(console, Backend(development, world.http), customer, world).tell()


class Story:
    """What happens."""

    def __init__(
        self, console: Console, backend: Backend, customer: beams.Customer, world: World
    ) -> None:
        """Tell it on a console."""
        self._telling = Telling(console)
        self._backend = backend
        self._customer = customer
        self._world = world
        self._messages = 0

    async def tell(self) -> bool:
        """Every step in turn; whether all of them held."""
        self._telling.begin(
            "sends to a person, also where the apps were written for IBM Push Notifications.",
            meanwhile="The apps hold the client secret, a customer's back end the app secret.",
        )
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._act(stack)
        except (httpx.HTTPError, DeviceError, TimeoutError) as problem:
            claim = f"no error: {type(problem).__name__}: {problem}"
            self._telling.check(claim, holds=False)
        return self._telling.end()

    async def _act(self, stack: contextlib.AsyncExitStack) -> None:
        await self._backend.set_up()
        phone, tablet, browser, other = [
            await stack.enter_async_context(gadget(self._world, name, profile))
            for name, profile in (
                ("the phone", "ios"),
                ("the tablet", "android"),
                ("the browser", "firefox"),
                ("user-002's phone", "ios"),
            )
        ]
        everything = [phone, tablet, browser, other]
        await self._nobody_is_logged_in(everything)
        await self._everybody_logs_in([phone, tablet, browser], other)
        await self._somebody_has_no_secret(phone)
        await self._the_phone_changes_hands(phone, [tablet, browser], other)
        watch = await stack.enter_async_context(
            beams.gadget(self._world, "user-001's other phone", "apns")
        )
        await self._a_person_is_one(watch, [tablet, browser], [phone, other])
        await self._everybody_logs_out(everything, watch)

    async def _nobody_is_logged_in(self, devices: Sequence[Gadget]) -> None:
        self._telling.step(
            "The app is installed on a phone (APNs), a tablet (FCM), a browser (Web Push) and "
            "another phone, and registers."
        )
        for each in devices:
            await self._check_owner(each, _NOBODY)
        await self._message(_ADA, shown_on=[], not_on=devices)

    async def _everybody_logs_in(self, hers: Sequence[Gadget], his: Gadget) -> None:
        self._telling.step("user-001 logs in on the first three, user-002 on the other phone.")
        for each, user in [*((each, _ADA) for each in hers), (his, _BEN)]:
            await each.log_in(user)
            await self._check_owner(each, user)
        await self._message(_ADA, shown_on=hers, not_on=[his])

    async def _somebody_has_no_secret(self, phone: Gadget) -> None:
        self._telling.step("Somebody without the client secret claims the phone for user-002.")
        development = self._world.development
        async with AsyncPush(development.endpoint, profile="ios") as forged:
            await forged.initialize(
                development.instance_id, "not-the-secret", device_id=phone.sdk.device_id
            )
            try:
                await forged.register_with_user_id(phone.address, _BEN)
            except SdkError as refusal:
                refused = refusal.status == HTTPStatus.UNAUTHORIZED
                self._telling.check(f"the answer is {refusal.status}", holds=refused)
            else:
                self._telling.check("it is refused", holds=False)
        await self._check_owner(phone, _ADA)

    async def _the_phone_changes_hands(
        self, phone: Gadget, rest_of_hers: Sequence[Gadget], his: Gadget
    ) -> None:
        self._telling.step("user-002 logs in on user-001's phone, without a log-out.")
        before = phone.sdk.device_id
        await phone.log_in(_BEN)
        self._telling.check("it is the same device", holds=phone.sdk.device_id == before)
        await self._check_owner(phone, _BEN)
        await self._message(_ADA, shown_on=rest_of_hers, not_on=[phone, his])
        await self._message(_BEN, shown_on=[phone, his], not_on=rest_of_hers)

    async def _a_person_is_one(
        self, other: beams.Gadget, hers: Sequence[Gadget], his: Sequence[Gadget]
    ) -> None:
        self._telling.step("user-001 logs in on one more phone, whose app uses Pusher Beams.")
        await other.log_in(_ADA, self._customer)
        text = await self._message(_ADA, shown_on=hers, not_on=his, others=1)
        self._telling.check(f"{other.name} shows it", holds=await other.shows(text))
        text = f"Hello {_ADA}, this is from Beams."
        self._telling.step(f"Another back end publishes to {_ADA} by Beams' API: “{text}”")
        session = await self._customer.log_in(_BEN)
        publish = await self._customer.send(session, to=_ADA, text=text)
        counts = await self._world.settled(publish)
        sent, targeted = counts["sent"], counts["targeted"]
        self._telling.check(
            f"devices addressed: {targeted}, taken by their gateways: {sent}",
            holds=sent == targeted == len(hers) + 1,
        )
        for name, token in [(other.name, other.token), *((each.name, each.token) for each in hers)]:
            self._telling.check(f"{name} has it", holds=await self._world.has(token, text))
        for each in his:
            has_it = await self._world.has(each.token, text)
            self._telling.check(f"{each.name} has not", holds=not has_it)

    async def _everybody_logs_out(self, devices: Sequence[Gadget], other: beams.Gadget) -> None:
        self._telling.step("Everybody logs out: each app unregisters first.")
        for each in devices:
            await each.log_out()
        await other.log_out()
        for user in (_ADA, _BEN):
            text = await self._message(user, shown_on=[], not_on=devices)
            self._telling.check(f"{other.name} does not", holds=not await other.shows(text))

    async def _message(
        self, user: str, *, shown_on: Sequence[Gadget], not_on: Sequence[Gadget], others: int = 0
    ) -> str:
        """
        Send somebody a message by IBM's API, and look at every screen.

        Args:
            user: Whom it is for.
            shown_on: Whose screens show it.
            not_on: Whose do not.
            others: How many devices of another dialect are theirs, too.

        Returns:
            Its text.
        """
        self._messages += 1
        text = f"Hello {user}, this is message {self._messages}."
        self._telling.step(f"The customer's back end sends to {user}: “{text}”")
        message = await self._backend.send([user], text)
        report = await self._backend.settled(message)
        sent, targeted = report["sent"], report["targeted"]
        self._telling.check(
            f"devices addressed: {targeted}, taken by their gateways: {sent}",
            holds=sent == targeted == len(shown_on) + others,
        )
        for each in shown_on:
            self._telling.check(f"{each.name} shows it", holds=await each.shows(text))
        for each in not_on:
            self._telling.check(f"{each.name} does not", holds=not await each.shows(text))
        seen = (await self._backend.report(message))["seen"]
        self._telling.check(f"devices that report it as seen: {seen}", holds=seen == len(shown_on))
        return text

    async def _check_owner(self, device: Gadget, user: str) -> None:
        owner = await self._backend.owner(device.sdk.device_id or "")
        self._telling.check(f"{device.name} is registered to {user}", holds=owner == user)
