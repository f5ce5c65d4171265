"""
What each official SDK does with each answer that the product really gives.

``docs/sdk-behaviour.md`` tells the same in words; a row of its table is a test here.
"""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from starlette.routing import Router
from starlette.types import ASGIApp

import heliograph.api
from client.fakes import Enough
from client.faulty import Clock, Faulty
from client.phones import GATEWAYS, Phone
from heliograph.api.beams import payloads, schema
from heliograph.api.beams.routes import Beams
from heliograph.app import database_url
from heliograph.client import device
from heliograph.client.profiles import PROFILES, Call
from heliograph.model import DeviceId, InstanceId, PublishId
from heliograph.storage import devices, instances
from heliograph.storage.database import Database
from support import ADMIN, Served, on_loopback, settings_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_DEVICES: Final = 2
EVERY = pytest.mark.parametrize("profile", GATEWAYS)
MOBILE = pytest.mark.parametrize("profile", ["ios", "android"])
NO_HTTPS: Final = {"endpoint": "ftp://push.example", "keys": {"p256dh": "", "auth": ""}}
_serial = count()


@pytest.fixture(scope="module")
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("product")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(folder: Path, faulty: Faulty) -> AsyncIterator[Served]:
    async with on_loopback(
        folder, behind=faulty.before, device_rate=100_000, max_devices_per_user=MOST_DEVICES
    ) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def phone(
    served: Served, faulty: Faulty, profile: str, tmp_path: Path
) -> AsyncIterator[Phone]:
    """A phone whose app is registered."""
    made = Phone(served, faulty, profile, tmp_path, clock=Clock(ends_at=600.0))
    await made.launch()
    faulty.calls.clear()
    yield made
    await made.http.aclose()


def somebody() -> str:
    return f"user-{next(_serial)}"


async def lose(phone: Phone) -> None:
    """Delete the device behind its back, as a back end does that deletes a user."""
    path = phone.beams.path(f"/devices/{GATEWAYS[phone.profile]}/{phone.app.device_id}")
    (await phone.served.http.delete(path)).raise_for_status()
    phone.faulty.calls.clear()


@MOBILE
async def test_a_lost_device_comes_back(phone: Phone) -> None:
    """§4.9, 404 of a change: registered again with interests and user, and asked once more."""
    user = somebody()
    await phone.log_in(user)
    await phone.add("hello")
    await lose(phone)
    await phone.add("more")

    again = ["interests", "register", "interests", "auth", "user", "interests"]
    assert again == phone.faulty.calls
    assert (user, {"hello", "more"}) == await phone.at_the_server()


@pytest.mark.parametrize("profile", ["web"])
async def test_a_lost_browser_is_the_sites(phone: Phone) -> None:
    """§4.9, 404 on the web: the site is told; must-do 6 lets it stop and start."""
    await lose(phone)
    with pytest.raises(device.NotFound):
        await phone.app.add_device_interest("hello")
    await phone.app.clear_all_state()

    assert ("", set()) == await phone.at_the_server()


@EVERY
async def test_a_lost_device_logs_out_at_once(phone: Phone) -> None:
    """Must-do 6: the deletion of an unknown device is a success, and nobody repeats it."""
    await phone.log_in(somebody())
    await lose(phone)
    await phone.app.stop()

    assert ["delete"] == phone.faulty.calls
    assert 0.0 == phone.clock.seconds


@EVERY
async def test_another_launch_is_the_same_device(phone: Phone) -> None:
    """Must-do 4: who installs anew under the same token finds device, interests and user."""
    user = somebody()
    await phone.log_in(user)
    await phone.add("hello")
    before = phone.app.device_id
    phone.store = device.MemoryStore()
    await phone.launch()

    assert before == phone.app.device_id
    assert ["hello"] == phone.app.get_device_interests()
    assert (user, {"hello"}) == await phone.at_the_server()


@EVERY
async def test_a_pruned_device_keeps_what_it_had(phone: Phone, profile: str, folder: Path) -> None:
    """§4.3: a push service that took a device for dead costs no interest at the next launch."""
    await phone.add("hello")
    await prune(folder, phone)
    if profile == "web":
        phone.store = device.MemoryStore()  # a browser registers only when it has to
    await phone.launch()
    await phone.add("more")  # Android asks for nothing before that

    assert ("", {"hello", "more"}) == await phone.at_the_server()


async def prune(folder: Path, phone: Phone) -> None:
    """Have a device taken out of service, as if its push service had called it gone."""
    name = DeviceId(str(phone.app.device_id))
    async with (
        Database.opened(database_url(settings_in(folder))) as database,
        database.write() as connection,
    ):
        home = await instances.find(connection, phone.served.instance.id)
        assert home is not None
        found = await devices.find(connection, home.number, name)
        assert found is not None
        await devices.prune(
            connection,
            found.number,
            reason="Unregistered",
            unless_registered_after=None,
            now=datetime.now(UTC),
        )


@pytest.mark.parametrize(
    "claims, status",
    [
        ({"exp": 1}, 401),
        ({"iat": 4_000_000_000}, 401),
        ({"iss": "https://somebody.else"}, 403),
        ({"exp": None}, 400),
    ],
)
@EVERY
async def test_a_bad_token_is_the_apps(phone: Phone, claims: dict[str, Any], status: int) -> None:
    """§4.9, 400, 401 and 403 of the user call: the app is told, nothing is repeated."""
    phone.faulty.sign = lambda user: phone.beams.token(user, **claims)
    provider = device.BeamsTokenProvider(f"{phone.endpoint}/pusher/beams-auth")
    with pytest.raises(device.RequestRefused) as refused:
        await phone.app.set_user_id(somebody(), provider)

    assert status == refused.value.status
    assert ["auth", "user"] == phone.faulty.calls
    assert ("", set()) == await phone.at_the_server()


@EVERY
async def test_somebody_elses_device_is_the_apps(phone: Phone) -> None:
    """§4.6, 400: a token that is another user's already is not given away, nor asked again."""
    alice = somebody()
    await phone.log_in(alice)
    phone.store = device.MemoryStore()
    await phone.launch()
    phone.faulty.calls.clear()
    provider = device.BeamsTokenProvider(f"{phone.endpoint}/pusher/beams-auth")
    with pytest.raises(device.RequestRefused, match="already associated"):
        await phone.app.set_user_id(somebody(), provider)

    assert ["auth", "user"] == phone.faulty.calls
    assert alice == (await phone.at_the_server())[0]


async def crowd(phone: Phone, user: str) -> None:
    """Log a user in on as many other devices as allowed."""
    for _ in range(MOST_DEVICES):
        other = await phone.beams.new_device()
        (await phone.beams.log_in(other, user)).raise_for_status()
    phone.faulty.calls.clear()


@pytest.mark.parametrize("profile", ["android", "web"])
async def test_one_device_too_many_is_the_apps(phone: Phone) -> None:
    """§4.9, 422 of the user call: Android and the web tell the app."""
    user = somebody()
    await crowd(phone, user)
    provider = device.BeamsTokenProvider(f"{phone.endpoint}/pusher/beams-auth")
    with pytest.raises(device.RequestRefused, match="reached the maximum"):
        await phone.app.set_user_id(user, provider)

    assert ["auth", "user"] == phone.faulty.calls


@pytest.mark.parametrize("profile", ["ios"])
async def test_one_device_too_many_stops_the_queue_of_ios(phone: Phone) -> None:
    """
    §4.9, 422 of the user call: iOS asks for ever, ever more slowly, and nothing comes after it.

    Once there is room it goes on by itself, with all that waited.
    """
    user = somebody()
    await crowd(phone, user)
    phone.clock.at_the_end = lambda: phone.served.http.delete(
        phone.beams.path(f"/users/{user}", api="customer_api"), headers=phone.served.secret
    )
    await phone.log_in(user)
    await phone.add("hello")

    assert 17 == phone.faulty.calls.count("user")
    assert (user, {"hello"}) == await phone.at_the_server()


def strict(served: Served) -> ASGIApp:
    """The device API, when it has heard enough of every address: nothing else is asked."""
    nothing: Any = None
    beams = Beams(
        served.product.instances,
        nothing,
        nothing,
        nothing,
        publish_rate=0,
        device_rate=0,
        clock=lambda: datetime.now(UTC),
    )
    return Router(beams.routes())


@EVERY
async def test_who_asks_too_much_waits(phone: Phone, profile: str) -> None:
    """§4.9, 429: mobile SDKs wait by their own rules, whatever Retry-After says; the web fails."""
    patient = phone.faulty.app

    async def relents() -> None:
        phone.faulty.app = patient

    phone.clock.at_the_end = relents
    phone.faulty.app = strict(phone.served)
    try:
        await phone.add("hello")
    finally:
        await relents()

    asked = {"ios": 17, "android": 18, "web": 1}[profile]
    assert asked == phone.faulty.calls.count("interests")
    assert bool(phone.refused) == (profile == "web")
    assert ("", set() if profile == "web" else {"hello"}) == await phone.at_the_server()


@pytest.mark.parametrize("profile", ["ios"])
async def test_ios_leaves_a_deleted_instance_alone(served: Served, phone: Phone) -> None:
    """§4.9, 404 of a registration: what an instance is gone for is dropped, request by request."""
    made = (await served.http.post("/admin/v1/instances", json={"name": "x"}, headers=ADMIN)).json()
    phone.store = device.MemoryStore()
    phone.app = phone.installed()
    await phone.app.start(made["instance_id"])
    await phone.register()
    await served.http.delete(f"/admin/v1/instances/{made['instance_id']}", headers=ADMIN)
    phone.faulty.calls.clear()
    await phone.add("hello")
    await phone.app.stop()

    assert ["interests", "register", "delete"] == phone.faulty.calls
    assert 0.0 == phone.clock.seconds


@pytest.mark.parametrize("profile", ["android"])
async def test_android_asks_for_a_deleted_instance_for_ever(served: Served, phone: Phone) -> None:
    """§4.9, 404 of a registration: Android waits, in the end a minute each time."""
    made = (await served.http.post("/admin/v1/instances", json={"name": "x"}, headers=ADMIN)).json()
    phone.store = device.MemoryStore()
    phone.app = phone.installed()
    await phone.app.start(made["instance_id"])
    await phone.register()
    await served.http.delete(f"/admin/v1/instances/{made['instance_id']}", headers=ADMIN)
    phone.faulty.calls.clear()
    phone.clock.at_the_end = enough
    with pytest.raises(Enough):
        await phone.app.add_device_interest("hello")

    assert ["interests", *["register"] * 17] == phone.faulty.calls


@pytest.mark.parametrize(
    "profile, token, asked",
    [("ios", "no hexadecimal digits", 1), ("android", "a\x00b", 17), ("web", NO_HTTPS, 1)],
)
async def test_a_token_that_cannot_be_one(phone: Phone, token: Any, asked: int) -> None:
    """§4.9, 400 of a registration: iOS does not start, Android waits, the web's site is told."""
    phone.store = device.MemoryStore()
    phone.app = phone.installed()
    await phone.app.start(phone.served.instance.id)
    phone.clock.at_the_end = enough
    with suppress(Enough, device.RequestRefused):
        await phone.app.register_device_token(token)

    assert asked == phone.faulty.calls.count("register")
    assert phone.app.device_id is None


async def enough() -> None:
    """Break a wait off."""
    raise Enough


@EVERY
async def test_what_it_reports_is_counted(phone: Phone, profile: str) -> None:
    """§3, §7: a payload of the product's leads to reports that the product understands."""
    user = somebody()
    await phone.log_in(user)
    body: dict[str, Any] = {
        "apns": {"aps": {"alert": "Hello"}},
        "fcm": {"notification": {"title": "Hello", "click_action": "ORDER"}},
        "web": {"notification": {"title": "Hello", "deep_link": "https://site.example"}},
    }
    accepted = await phone.beams.publish({"users": [user], **body}, to="/users")
    publish = PublishId(accepted.json()["publishId"])
    payload = _payload(profile, body, phone.served.instance.id, publish)
    phone.faulty.calls.clear()
    arrived = await phone.app.handle_notification(payload, "background")
    opened = await phone.app.handle_notification(payload, "inactive")

    assert ["report", "report"] == phone.faulty.calls
    assert (profile != "ios") == arrived.should_process  # its author did not wake it
    assert {"ios": None, "android": "ORDER", "web": "https://site.example"}[profile] == opened.opens
    url = f"/admin/v1/instances/{phone.served.instance.id}/publishes/{publish}"
    progress = (await phone.served.http.get(url, headers=ADMIN)).json()
    assert (1, 1) == (progress["delivered"], progress["opened"])


def _payload(
    profile: str, body: dict[str, Any], instance: InstanceId, publish: PublishId
) -> dict[str, Any]:
    """What a device receives of a publish."""
    built = payloads.build(schema.read_payloads(body), instance=instance, publish=publish)
    assert built.apns is not None
    assert built.fcm is not None
    assert built.web is not None
    sent = {"ios": built.apns.payload, "android": built.fcm.message, "web": built.web.payload}
    received: dict[str, Any] = json.loads(sent[profile])
    return received


@EVERY
async def test_a_report_is_never_repeated(served: Served, phone: Phone, profile: str) -> None:
    """§7, must-do 7: of a device, a publish or an instance that is gone, too, one is enough."""
    pusher = {"instanceId": phone.served.instance.id, "publishId": "pubid-unknown"}
    extra = json.dumps(pusher) if profile == "android" else pusher
    payload = {"aps": {}, "notification": {}, "data": {"pusher": extra}}
    await phone.app.handle_notification(payload)
    await lose(phone)
    await phone.app.handle_notification(payload)
    made = (await served.http.post("/admin/v1/instances", json={"name": "x"}, headers=ADMIN)).json()
    await phone.app.stop()
    await phone.app.start(made["instance_id"])
    await phone.register()
    await served.http.delete(f"/admin/v1/instances/{made['instance_id']}", headers=ADMIN)
    phone.faulty.calls.clear()
    pusher["instanceId"] = made["instance_id"]
    payload["data"] = {"pusher": json.dumps(pusher) if profile == "android" else pusher}
    await phone.app.handle_notification(payload)

    assert ["report"] == phone.faulty.calls
    assert 0.0 == phone.clock.seconds


@EVERY
async def test_no_text_is_a_trap(profile: str) -> None:
    """§4.9: the product never says what makes iOS give up, or Android start without end."""
    register = PROFILES[profile].answers[Call.REGISTER]
    texts = {*register.by_error, *register.by_description}
    sources = [
        path.read_text()
        for folder in heliograph.api.__path__
        for path in Path(folder).rglob("*.py")
    ]

    assert sources
    assert [] == [text for text in texts if any(text in source for source in sources)]
