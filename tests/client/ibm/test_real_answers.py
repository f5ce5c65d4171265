"""What each SDK of IBM's does with the answers that the product really gives."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from heliograph.client.ibm import device
from heliograph.client.ibm.profiles import PROFILES
from support import Served, on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY = pytest.mark.parametrize("profile", PROFILES)
PHONES = pytest.mark.parametrize("profile", ["ios", "android"])
BROWSERS = pytest.mark.parametrize("profile", ["chrome", "firefox", "safari"])
P256DH: Final = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
"""RFC 8291's own (§5)."""


def new_address(profile: str) -> Any:
    """An address that no other device has."""
    match profile:
        case "ios":
            return secrets.token_bytes(32)
        case "safari":
            return secrets.token_hex(32)
        case "android":
            return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"
        case _:
            return {
                "endpoint": f"https://push.example/{secrets.token_urlsafe(16)}",
                "expirationTime": None,
                "keys": {"p256dh": P256DH, "auth": secrets.token_urlsafe(16)},
            }


@dataclass
class App:
    """An app on a device, before the real product."""

    served: Served
    profile: str
    address: Any
    store: device.MemoryStore = field(default_factory=device.MemoryStore)
    asked: list[str] = field(default_factory=list)
    """What its SDK asked, as ``METHOD path``."""

    def __post_init__(self) -> None:
        async def note(request: httpx.Request) -> None:
            path = request.url.path.removeprefix(f"{base(self.served)}/")
            self.asked.append(f"{request.method} {path.replace(self.sdk.device_id or '-', 'D')}")

        self.http = httpx.AsyncClient(event_hooks={"request": [note]})

    async def launch(self, *, secret: str | None = None, **settings: Any) -> None:
        """The app's process begins."""
        self.sdk = device.AsyncPush(
            str(self.served.http.base_url).rstrip("/"),
            profile=self.profile,
            store=self.store,
            http_client=self.http,
        )
        kept = self.served.instance
        await self.sdk.initialize(kept.id, secret or kept.client_secret, **settings)
        self.asked.clear()

    async def register(self, user: str | None = None) -> device.Device:
        """The app registers, for this user or for nobody."""
        self.asked.clear()
        if user is None:
            return await self.sdk.register(self.address)
        return await self.sdk.register_with_user_id(self.address, user)

    async def stored(self, name: str | None = None) -> Any:
        """The device as the server has it; None if it has none."""
        answer = await self.served.http.get(
            f"{base(self.served)}/devices/{name or self.sdk.device_id}",
            headers={"clientSecret": self.served.instance.client_secret},
        )
        return None if answer.status_code == 404 else answer.raise_for_status().json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with on_loopback(tmp_path_factory.mktemp("product"), device_rate=100_000) as made:
        await tell(made, "PUT", "settings/gcmConf", {"apiKey": "K", "senderId": "123456789012"})
        for name in ("news", "sport"):
            await tell(made, "POST", "tags", {"name": name, "description": "of interest"})
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def app(served: Served, profile: str) -> AsyncIterator[App]:
    """An app that is launched."""
    made = App(served, profile, new_address(profile))
    await made.launch()
    yield made
    await made.http.aclose()


def base(served: Served) -> str:
    return f"/imfpush/v1/apps/{served.instance.id}"


async def tell(served: Served, method: str, path: str, body: object = None) -> Any:
    """Ask what a customer's back end asks."""
    secret = {"appSecret": served.instance.app_secret}
    answer = await served.http.request(method, f"{base(served)}/{path}", json=body, headers=secret)
    return answer.raise_for_status().json()


@EVERY
async def test_a_first_registration(app: App) -> None:
    """Contract §3.3: unknown, so registered, for nobody."""
    made = await app.register()

    assert ["GET devices/D", "POST devices"] == app.asked[-2:]
    assert ("anonymous", app.sdk.device_id) == (made["userId"], made["deviceId"])
    assert PROFILES[app.profile].platform == (await app.stored())["platform"]


@EVERY
@pytest.mark.parametrize("user", [None, "ada"])
async def test_another_launch_tells_nothing(app: App, user: str | None) -> None:
    """Contract §3.3: token, id and user come back letter by letter, so nothing is told again."""
    await app.register(user)
    await app.launch()
    again = await app.register(user)

    assert "GET devices/D" == app.asked[-1]
    assert (user or "anonymous") == again["userId"]


@pytest.mark.parametrize("profile", ["safari"])
async def test_safaris_capitals(app: App) -> None:
    """Contract §3.3: digits are kept small, so capitals are told at each launch, and do no harm."""
    app.address = app.address.upper()
    await app.register("ada")
    made = await app.register("ada")

    assert ["GET devices/D", "PUT devices/D"] == app.asked
    assert "ada" == made["userId"]


@EVERY
async def test_another_token_is_told(app: App) -> None:
    """Contract §3.3: a new address is told by PUT, and is then the device's."""
    await app.register("ada")
    app.address = new_address(app.profile)
    await app.register("ada")
    await app.launch()
    told = list(app.asked)
    await app.register("ada")

    assert [] == told
    assert "GET devices/D" == app.asked[-1]


@EVERY
async def test_a_device_changes_hands(app: App) -> None:
    """Contract §10 (b): another user takes the device over, in place."""
    await app.register("ada")
    await app.register("ben")

    assert ["GET devices/D", "PUT devices/D"] == app.asked[-2:]
    assert "ben" == (await app.stored())["userId"]


@PHONES
async def test_a_phone_becomes_nobodys(app: App) -> None:
    """Contract §13.3: a PUT without a user, once; then the stored device is as it should be."""
    await app.register("ada")
    await app.register()
    told = list(app.asked)
    await app.register()

    assert "PUT devices/D" == told[-1]
    assert "GET devices/D" == app.asked[-1]
    assert "anonymous" == (await app.stored())["userId"]


@BROWSERS
async def test_a_browser_becomes_nobodys(app: App) -> None:
    """Contract §3.4, §10 (h): a PUT with an empty user, each time anew."""
    await app.register("ada")
    for _ in range(2):
        await app.register()
        assert ["GET devices/D", "PUT devices/D"] == app.asked

    assert "anonymous" == (await app.stored())["userId"]


@EVERY
@pytest.mark.parametrize("user", [None, "ben"])
async def test_a_wrong_secret(app: App, user: str | None) -> None:
    """Contract §2.4, §10 (f): refused as each SDK takes it, and nothing changes."""
    await app.register("ada")
    await app.launch(secret="wrong")
    with pytest.raises(device.DeviceError) as refused:
        await app.register(user)

    if app.profile in {"ios", "android"}:
        assert isinstance(refused.value, device.SdkError)
        assert 401 == refused.value.code
        assert '"message"' in refused.value.text
    else:
        assert isinstance(refused.value, device.NoCallback)
        assert 401 == refused.value.status
    assert "ada" == (await app.stored())["userId"]


@EVERY
async def test_unregistering(app: App) -> None:
    """Contract §3.5, §10 (d): the device is gone; a phone comes back as it was called before."""
    await app.register("ada")
    before = app.sdk.device_id
    await app.sdk.unregister()

    assert await app.stored(before) is None
    await app.launch()
    await app.register()
    assert (before == app.sdk.device_id) == (app.profile in {"ios", "android"})
    assert "anonymous" == (await app.stored())["userId"]


@EVERY
async def test_tags(app: App) -> None:
    """Contract §4.3, §4.4: subscribed, known, unknown; listed, with ``Push.ALL``."""
    await app.register()
    first = await app.sdk.subscribe(["news"])

    assert ("news",) == first.done
    assert {"news", "sport"} <= set(await app.sdk.retrieve_available_tags())
    assert {"news", "Push.ALL"} == set(await app.sdk.retrieve_subscriptions())
    if app.profile != "android":
        assert device.Subscribed(("sport",), ("news",), ("none",)) == (
            await app.sdk.subscribe(["news", "sport", "none"])
        )
        assert device.Subscribed(("news", "sport"), (), ("none",)) == (
            await app.sdk.unsubscribe(["news", "sport", "none"])
        )
    else:
        await app.sdk.unsubscribe(["news"])
    assert ["Push.ALL"] == await app.sdk.retrieve_subscriptions()


@pytest.mark.parametrize("profile", ["android"])
async def test_androids_refusals(app: App) -> None:
    """Contract §4.3: 409 for a tag that it has, 404 for one that there is not."""
    await app.register()
    await app.sdk.subscribe(["news"])
    codes = []
    for tag in ("news", "none"):
        with pytest.raises(device.SdkError) as refused:
            await app.sdk.subscribe([tag])
        codes.append(refused.value.code)

    assert [409, 404] == codes


@EVERY
async def test_tags_are_the_devices(app: App) -> None:
    """Contract §10: tags survive a user's switch, and not the device."""
    await app.register("ada")
    await app.sdk.subscribe(["news"])
    await app.register("ben")
    after_a_switch = await app.sdk.retrieve_subscriptions()
    await app.sdk.unregister()
    await app.launch()
    await app.register("ben")

    assert "news" in after_a_switch
    assert ["Push.ALL"] == await app.sdk.retrieve_subscriptions()


async def test_android_without_a_sender(served: Served) -> None:
    """Contract §3.3: where no sender is set, Android does not register, and says so."""
    bare = await served.product.instances.create("bare")
    http = httpx.AsyncClient()
    async with device.AsyncPush(
        str(served.http.base_url).rstrip("/"), profile="android", http_client=http
    ) as sdk:
        await sdk.initialize(bare.id, bare.client_secret)
        with pytest.raises(device.SdkError) as refused:
            await sdk.register(new_address("android"))

    assert 404 == refused.value.code
    assert "FPWSE0003E" in refused.value.text
    await http.aclose()


@pytest.mark.parametrize("profile", ["android"])
async def test_a_device_is_created_again(app: App) -> None:
    """Contract §3.2: what is there already may be registered once more, as Android does."""
    await app.register("ada")
    await app.launch(secret="wrong")
    with pytest.raises(device.SdkError):
        await app.register("ben")
    settings = app.served.instance
    await app.sdk.initialize(settings.id, settings.client_secret)
    made = await app.register("ben")

    assert ("ben", "ben") == (made["userId"], (await app.stored())["userId"])


@PHONES
async def test_variables(app: App) -> None:
    """Contract §3.1: what Swift and Android tell of variables is taken."""
    await app.launch(variables={"username": "Ada"})
    await app.register("ada")

    assert {"username": "Ada"} == (await app.stored())["variables"]


@pytest.mark.parametrize("profile", ["ios"])
async def test_swifts_quotation_mark(app: App) -> None:
    """Contract §2.7: what is not JSON is a 400, and makes nothing."""
    with pytest.raises(device.SdkError) as refused:
        await app.register('a"b')

    assert 400 == refused.value.status
    assert await app.stored() is None


@pytest.mark.parametrize("profile", ["ios", "android", "chrome", "firefox"])
async def test_what_it_reports_is_counted(app: App) -> None:
    """Contract §5.8: seen, then opened, each counted once for the device."""
    await app.register("ada")
    wanted = {"message": {"alert": "Hi"}, "target": {"deviceIds": [app.sdk.device_id]}}
    message = (await tell(app.served, "POST", "messages", wanted))["messageId"]
    payload = {"payload": f'{{"nid":"{message}"}}'}
    arrived = {"data": payload | {"alert": "Hi"}} if app.profile == "android" else payload
    is_phone = app.profile in {"ios", "android"}
    for state in ["background" if is_phone else "active", "inactive"] * 2:
        await app.sdk.handle_notification(arrived, state)

    report = await tell(app.served, "GET", f"messages/{message}/report")
    assert (1, 1) == (report["seen"], report["open"])
