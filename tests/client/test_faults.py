"""
The official SDKs, imitated, before the product on real connections, under faults.

Of each it is held that it does not loop, that no interest is lost, and that a device is
bound to nobody whom the app has not logged in. Where an official SDK cannot keep that
by its own rules, the table says so, and that the product does not answer so.
"""

import base64
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio

from api.beams.words import Beams, new_token
from client.fakes import Enough
from client.faulty import FAULTS, Clock, Fault, Faulty, Impatient
from heliograph.client import device
from support import ADMIN, Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

LASTS: Final = 600.0
"""Seconds of a fault."""
MOST_WHILE_IT_LASTS: Final = 70
"""Requests: what waits doubles to a minute, and a handful of things is asked."""
MOST_AFTERWARDS: Final = 30

HOT: Final = {("ios", "interests"), ("android", "user")}
"""Where 404, if it stays, makes a device be created again without a wait (§4.9)."""

TYPICAL: Final = [each for each in FAULTS if each.status not in {403, 409, 410, 500}]
"""One of each kind; all of them come in ``test_everything_at_once``."""
FEW: Final = [Fault(401), Fault(503), Fault(acts=True, manner="cut")]

DENIED: Final = {"400", "401", "403", "404"}

GATEWAYS: Final = {"ios": "apns", "android": "fcm", "web": "web"}
_serial = count()


@pytest.fixture(scope="module")
def faulty() -> Faulty:
    async def nobody(*_: object) -> None:
        raise AssertionError("the product comes later")

    return Faulty(nobody)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, faulty: Faulty) -> AsyncIterator[Served]:
    def behind(app: object) -> Faulty:
        faulty.app = app  # type: ignore[assignment]
        return faulty

    folder = tmp_path_factory.mktemp("product")
    async with on_loopback(folder, behind=behind, device_rate=100_000) as made:
        yield made


@dataclass
class Phone:
    """Somebody's phone, or browser, with an app that does what apps are told to do."""

    served: Served
    faulty: Faulty
    profile: str
    folder: Path
    store: device.MemoryStore = field(default_factory=device.MemoryStore)
    clock: Clock = field(default_factory=Clock)
    refused: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What the app was told to have failed, and will ask again."""

    def __post_init__(self) -> None:
        self.token = new_token(GATEWAYS[self.profile])
        self.beams = Beams(self.served.product, self.served.instance, self.served.http, self.folder)
        self.faulty.sign = self.beams.token
        self.endpoint = str(self.served.http.base_url).rstrip("/")
        self.http = httpx.AsyncClient(transport=Impatient(self.faulty))
        self.app = self.installed()

    def installed(self) -> device.AsyncPushNotifications:
        return device.AsyncPushNotifications(
            self.endpoint,
            store=self.store,
            profile=self.profile,
            os_version="17.5.1",
            http_client=self.http,
            sleep=self.clock.sleep,
        )

    hot = False
    """Whether something was asked again and again without a wait."""
    dead = False
    """Whether the app has crashed; what its user wants then waits for the next launch."""

    async def asks(self, call: Callable[[], Awaitable[None]], *, is_told: bool = False) -> None:
        """
        The app asks; what it is told to have failed it will ask again.

        Args:
            call: What.
            is_told: Whether a mobile SDK tells the app of failures; if not, it dies of them.
        """
        if self.dead:
            self.refused.append(call)
            return
        try:
            await call()
        except Enough:
            self.hot = True
        except device.DeviceError:
            self.dead = self.profile != "web" and not is_told
            self.refused.append(call)

    async def launch(self) -> None:
        """The app's process begins, and it does what it does each time."""
        self.dead = False
        self.app = self.installed()
        with suppress(Enough):
            await self.app.start(self.served.instance.id)
        await self.asks(self.register)

    async def register(self) -> None:
        token: object = self.token
        if self.profile == "web":
            token = _subscription(self.token)
        await self.app.register_device_token(token)  # type: ignore[arg-type]

    async def log_in(self, user: str) -> None:
        provider = device.BeamsTokenProvider(f"{self.endpoint}/pusher/beams-auth")
        await self.asks(lambda: self.app.set_user_id(user, provider), is_told=True)

    async def add(self, interest: str) -> None:
        await self.asks(lambda: self.app.add_device_interest(interest))

    async def remove(self, interest: str) -> None:
        await self.asks(lambda: self.app.remove_device_interest(interest))

    async def recovers(self, user: str | None) -> None:
        """The fault is over: the app is launched again, and asks again what it was refused."""
        self.faulty.plan = lambda _call: None
        self.faulty.calls.clear()
        refused, self.refused = self.refused, []
        await self.launch()
        for call in refused:
            await self.asks(call, is_told=True)
        if user is not None:
            await self.log_in(user)
        assert [] == self.refused
        assert len(self.faulty.calls) <= MOST_AFTERWARDS

    async def at_the_server(self) -> tuple[str, set[str]]:
        """Whose the device is, and what it subscribes to."""
        path = self.beams.path(f"/devices/{GATEWAYS[self.profile]}/{self.app.device_id}")
        found = (await self.served.http.get(path)).raise_for_status().json()
        return found["userId"], set(await self.beams.interests(path))

    async def devices_of(self, user: str) -> list[str]:
        """The ids of all devices that receive what is for a user."""
        url = f"/admin/v1/instances/{self.served.instance.id}/devices"
        answer = await self.served.http.get(url, params={"user": user}, headers=ADMIN)
        return [each["id"] for each in answer.raise_for_status().json()["devices"]]


@pytest_asyncio.fixture(loop_scope="module")
async def phone(
    served: Served, faulty: Faulty, profile: str, tmp_path: Path
) -> AsyncIterator[Phone]:
    made = Phone(served, faulty, profile, tmp_path)
    yield made
    faulty.plan = lambda _call: None
    faulty.calls.clear()
    await made.http.aclose()


def spoils(phone: Phone, fault: Fault, call: str) -> None:
    """Let one call fail from now on, for a while."""
    ends_at = phone.clock.seconds + LASTS

    def plan(asked: str) -> Fault | None:
        return fault if asked == call and phone.clock.seconds < ends_at else None

    phone.faulty.plan = plan
    phone.faulty.calls.clear()


@pytest.mark.parametrize("profile", GATEWAYS)
@pytest.mark.parametrize(
    "call, fault",
    [
        *product(["register", "interests", "user"], TYPICAL),
        *product(["metadata", "auth", "key"], FEW),
    ],
    ids=str,
)
async def test_nothing_is_lost(phone: Phone, call: str, fault: Fault, profile: str) -> None:
    """§4.9, §4.10: after the fault the server has what the app asked for; no loop before."""
    user = f"alice-{next(_serial)}"
    spoils(phone, fault, call)
    await phone.app.start(phone.served.instance.id)
    if profile != "web":
        await phone.add("early")
    await phone.asks(phone.register)
    await phone.add("hello")
    await phone.add("news")
    await phone.remove("news")
    await phone.log_in(user)
    is_hot = fault == Fault(404) and (profile, call) in HOT
    assert is_hot == phone.hot
    assert is_hot or len(phone.faulty.calls) <= MOST_WHILE_IT_LASTS
    await phone.recovers(user)

    wanted = {"hello"} if profile == "web" else {"hello", "early"}
    if (profile, call) == ("ios", "register") and str(fault) in DENIED:
        wanted = {"hello"}  # iOS forgets what waited for a registration that is refused
    assert (user, wanted) == await phone.at_the_server()
    assert [phone.app.device_id] == await phone.devices_of(user)


@pytest.mark.parametrize("profile", GATEWAYS)
@pytest.mark.parametrize(
    "call, fault", [*product(["delete"], TYPICAL), *product(["register"], FEW)], ids=str
)
async def test_who_logs_out_is_logged_out(
    phone: Phone, call: str, fault: Fault, profile: str
) -> None:
    """§4.12: after clearAllState a device is nobody's, and then whose the app says."""
    alice, bob = f"alice-{next(_serial)}", f"bob-{next(_serial)}"
    await phone.launch()
    await phone.log_in(alice)
    await phone.add("hello")
    spoils(phone, fault, call)
    await phone.asks(phone.app.clear_all_state)
    assert not phone.hot
    assert len(phone.faulty.calls) <= MOST_WHILE_IT_LASTS
    await phone.recovers(None)

    if (profile, call) == ("ios", "delete") and str(fault) in DENIED:
        # iOS takes a refusal for a success (§4.9), and the server knows the token again.
        assert (alice, {"hello"}) == await phone.at_the_server()
        return
    if profile == "web" and phone.app.user_id is not None:
        await phone.app.clear_all_state()  # the site was told that it failed
    assert ("", set()) == await phone.at_the_server()
    await phone.log_in(bob)
    assert (bob, set()) == await phone.at_the_server()
    assert [] == await phone.devices_of(alice)


@pytest.mark.parametrize("profile", GATEWAYS)
@pytest.mark.parametrize("seed", range(5))
async def test_everything_at_once(phone: Phone, seed: int) -> None:
    """Every other request meets some fault; what the product can answer leads nowhere wrong."""
    chance = random.Random(seed)
    alice, bob = f"alice-{next(_serial)}", f"bob-{next(_serial)}"
    possible = [each for each in FAULTS if str(each) not in DENIED]

    def plan(_call: str) -> Fault | None:
        return chance.choice(possible) if chance.random() < 0.5 else None

    async def goes_on(user: str) -> None:
        await phone.launch()
        for step in chance.sample(
            [
                lambda: phone.add("hello"),
                lambda: phone.add("news"),
                lambda: phone.log_in(user),
                lambda: phone.remove("news"),
            ],
            4,
        ):
            await step()

    phone.faulty.plan = plan
    await goes_on(alice)
    await phone.launch()
    await phone.recovers(alice)
    assert alice == (await phone.at_the_server())[0]
    phone.faulty.plan = plan
    await phone.asks(phone.app.clear_all_state)
    await phone.recovers(None)
    if phone.app.user_id is not None:
        await phone.app.clear_all_state()
    assert ("", set()) == await phone.at_the_server()
    phone.faulty.plan = plan
    await goes_on(bob)
    await phone.recovers(bob)

    user, interests = await phone.at_the_server()
    assert bob == user
    assert set(phone.app.get_device_interests()) == interests
    assert "hello" in interests
    assert [] == await phone.devices_of(alice)


def _subscription(token: str) -> dict[str, object]:
    """The subscription that the web SDK makes such a token of."""
    made: dict[str, object] = json.loads(base64.b64decode(token))
    return made
