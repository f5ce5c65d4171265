"""
The official SDKs, imitated, before the product on real connections, under faults.

Of each it is held that it does not loop, that no interest is lost, and that a device is
bound to nobody whom the app has not logged in. Where an official SDK cannot keep that
by its own rules, the table says so, and that the product does not answer so.
"""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from client.faulty import FAULTS, Fault, Faulty
from client.phones import GATEWAYS, Phone
from support import Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

LASTS: Final = 600.0
"""Seconds of a fault."""
MOST_WHILE_IT_LASTS: Final = 70
"""Requests: what waits doubles to a minute, and a handful of things is asked."""

HOT: Final = {("ios", "interests"), ("android", "user")}
"""Where 404, if it stays, makes a device be created again without a wait (§4.9)."""

TYPICAL: Final = [each for each in FAULTS if each.status not in {403, 409, 410, 500}]
"""One of each kind; all of them come in ``test_everything_at_once``."""
FEW: Final = [Fault(401), Fault(503), Fault(acts=True, manner="cut")]

DENIED: Final = {"400", "401", "403", "404"}

_serial = count()


@pytest.fixture(scope="module")
def faulty() -> Faulty:
    return Faulty()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, faulty: Faulty) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("product")
    async with on_loopback(folder, behind=faulty.before, device_rate=100_000) as made:
        yield made


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
@pytest.mark.parametrize("fault", [*FEW, Fault(404), Fault(429)], ids=str)
async def test_a_report_may_fail(phone: Phone, fault: Fault, profile: str) -> None:
    """§7: reports are repeated, dropped or ignored; only 404, on iOS, is asked without end."""
    await phone.launch()
    spoils(phone, fault, "report")
    pusher = {"instanceId": phone.served.instance.id, "publishId": "pubid-1"}
    extra = json.dumps(pusher) if profile == "android" else pusher
    await phone.asks(partial(_arrives, phone, {"data": {"pusher": extra}}))
    asked = phone.faulty.calls.count("report")
    await phone.add("hello")
    await phone.recovers(None)

    is_dropped = fault.status in {401, 404, 429} if profile == "android" else fault.status == 401
    is_hot = (profile, fault) == ("ios", Fault(404))
    assert is_hot == phone.hot
    assert (asked == 1) == (profile == "web" or is_dropped)
    assert asked <= MOST_WHILE_IT_LASTS
    assert ("", {"hello"}) == await phone.at_the_server()


async def _arrives(phone: Phone, payload: dict[str, object]) -> None:
    await phone.app.handle_notification(payload)


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
        steps: list[Callable[[], Awaitable[None]]] = [
            lambda: phone.add("hello"),
            lambda: phone.add("news"),
            lambda: phone.log_in(user),
            lambda: phone.remove("news"),
        ]
        for step in chance.sample(steps, len(steps)):
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
