"""Declared interests, and lists of devices and of what they subscribe to, on every engine."""

import pytest

from builders import SECOND, Clock, Workshop, fcm_address, randomness, web_address
from heliograph.catalogue import Catalogue
from heliograph.instances import Instance
from heliograph.model import DeviceNumber, Interest, Platform, UserId
from heliograph.registry import Registry
from heliograph.roster import Entry, Roster
from heliograph.storage.database import Database
from heliograph.storage.filters import Condition, Filter
from heliograph.writes import Writes

NEWS, SPORT, SPORTS = Interest("news"), Interest("sport"), Interest("Sports")


class Shelf:
    """A catalogue and a roster of one instance, in which there is somebody."""

    def __init__(self, workshop: Workshop, instance: Instance) -> None:
        writes = Writes(workshop.database, clock=workshop.clock, randomness=randomness())
        self.clock, self.instance = workshop.clock, instance
        self.catalogue = Catalogue(writes)
        self.roster = Roster(writes, Registry(writes, max_devices_per_user=100))

    async def declare(self, *names: Interest) -> None:
        for each in names:
            assert await self.catalogue.declare(self.instance.number, each, f"about {each}")

    async def fill(self) -> None:
        """Two named devices, of which the first is alice's, and what they subscribe to."""
        await self.declare(NEWS, SPORT)
        number = self.instance.number
        for name, address, platform, user in (
            ("phone", fcm_address(), Platform.ANDROID, UserId("alice")),
            ("fox", web_address(), Platform.FIREFOX, None),
        ):
            await self.roster.enter(number, Entry(name, address, platform, user, None))
        await self.roster.subscribe(number, "phone", [NEWS, SPORT])
        await self.roster.subscribe(number, "fox", [NEWS])

    async def names(
        self, wanted: Filter, *, offset: int = 0, limit: int = 9
    ) -> tuple[list[str], int]:
        rows, total = await self.catalogue.page(
            self.instance.number, wanted, offset=offset, limit=limit
        )
        return [each.name for each in rows], total

    async def subscriptions(
        self,
        *,
        device: str | None = None,
        interest: Interest | None = None,
        user: UserId | None = None,
        has_no_user: bool = False,
        wanted: Filter = (),
        offset: int = 0,
        limit: int = 9,
    ) -> tuple[list[tuple[str, str]], int]:
        rows, total = await self.roster.subscriptions(
            self.instance.number,
            device=device,
            interest=interest,
            user=user,
            has_no_user=has_no_user,
            wanted=wanted,
            offset=offset,
            limit=limit,
        )
        return [(each.interest, each.device) for each in rows], total


@pytest.fixture
async def shelf(either_database: Database) -> Shelf:
    workshop = Workshop(either_database, Clock())
    return Shelf(workshop, await workshop.instance())


async def test_an_interest_is_declared_once(shelf: Shelf) -> None:
    """The second time changes nothing; described anew it says so, and since when."""
    number = shelf.instance.number
    await shelf.declare(NEWS)
    shelf.clock.advance(SECOND)

    again = await shelf.catalogue.declare(number, NEWS, "other")
    before = await shelf.catalogue.find(number, NEWS)
    after = await shelf.catalogue.describe(number, NEWS, "new")

    assert before is not None
    assert after is not None
    assert (None, "about news", "new") == (again, before.description, after.description)
    assert (before.created_at, SECOND) == (after.created_at, after.changed_at - after.created_at)
    assert await shelf.catalogue.describe(number, SPORT, "new") is None


async def test_declared_interests_are_paged_in_the_order_of_their_names(shelf: Shelf) -> None:
    """By code points, whatever the engine's language; the count is of all that match."""
    await shelf.declare(SPORT, SPORTS, NEWS)

    assert (["Sports", "news"], 3) == await shelf.names([], limit=2)
    assert (["sport"], 3) == await shelf.names([], offset=2)
    assert ([], 3) == await shelf.names([], offset=9)


async def test_all_that_is_wanted_must_hold_and_of_each_one(shelf: Shelf) -> None:
    """As a whole, or as a part with its capitals, and no sign stands for another."""
    await shelf.declare(SPORT, SPORTS, NEWS, Interest("50%_off"))
    part = [Condition("name", "port", is_part=True)]
    either = [Condition("name", "news"), Condition("name", "sport")]

    assert (["Sports", "sport"], 2) == await shelf.names([part])
    assert (["news", "sport"], 2) == await shelf.names([either])
    assert (["sport"], 1) == await shelf.names([part, either])
    assert (["Sports"], 1) == await shelf.names([[Condition("name", "S", is_part=True)]])
    assert (["50%_off"], 1) == await shelf.names([[Condition("name", "%_", is_part=True)]])
    assert ([], 0) == await shelf.names([[Condition("description", "none")]])


async def test_subscriptions_are_chosen(shelf: Shelf) -> None:
    """By device, interest, person and platform; by interest first, and counted."""
    await shelf.fill()
    every = [("news", "phone"), ("news", "fox"), ("sport", "phone")]
    fox = [[Condition("platform", "firefox")]]

    assert (every, 3) == await shelf.subscriptions()
    assert (every[1:2], 3) == await shelf.subscriptions(offset=1, limit=1)
    assert (every[1:2], 1) == await shelf.subscriptions(device="fox")
    assert ([], 0) == await shelf.subscriptions(device="none")
    assert (every[2:], 1) == await shelf.subscriptions(interest=SPORT)
    assert ([every[0], every[2]], 2) == await shelf.subscriptions(user=UserId("alice"))
    assert (every[1:2], 1) == await shelf.subscriptions(has_no_user=True)
    assert (every[1:2], 1) == await shelf.subscriptions(wanted=fox)


@pytest.mark.parametrize(
    "user, has_no_user, platform, expected",
    [
        (None, False, None, ["phone", "fox"]),
        (UserId("alice"), False, None, ["phone"]),
        (UserId("bob"), False, None, []),
        (None, True, None, ["fox"]),
        (None, False, "firefox", ["fox"]),
        (UserId("alice"), False, "firefox", []),
    ],
)
async def test_devices_are_chosen(
    shelf: Shelf,
    user: UserId | None,
    has_no_user: bool,
    platform: str | None,
    expected: list[str],
) -> None:
    """By person and platform, and counted as they are chosen."""
    await shelf.fill()

    rows, total = await shelf.roster.page(
        shelf.instance.number,
        user=user,
        has_no_user=has_no_user,
        wanted=[[Condition("platform", platform)]] if platform else [],
        after=DeviceNumber(0),
        offset=0,
        limit=9,
    )

    assert (expected, len(expected)) == ([each.own_name for each in rows], total)


async def test_subscribers_are_counted(shelf: Shelf) -> None:
    """Of each interest that has any."""
    await shelf.fill()

    assert {NEWS: 2, SPORT: 1} == await shelf.catalogue.subscribers(
        shelf.instance.number, [NEWS, SPORT, SPORTS]
    )
