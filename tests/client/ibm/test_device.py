"""A device of IBM's from launch to launch, and its two skins."""

import inspect
from pathlib import Path

import httpx
import pytest

from client.ibm.scripts import (
    APP,
    HOST,
    SECRET,
    TOKENS,
    WIRE_TOKENS,
    Script,
    before,
    counted,
    ok,
    told,
    unknown,
)
from heliograph.client.ibm import device
from heliograph.client.ibm.addresses import new_device_id
from heliograph.client.ibm.profiles import PROFILES
from heliograph.client.ibm.state import FileStore, State


@pytest.mark.parametrize("profile", PROFILES)
def test_an_id_lasts(profile: str) -> None:
    """Contract §3.1: the SDK makes an id once, and has it again at each launch."""
    store, script = device.MemoryStore(), Script()
    names = []
    for _ in range(2):
        launched = script.switched_off(profile, store)
        launched.initialize(APP, SECRET)
        names.append(launched.device_id)

    assert [new_device_id(PROFILES[profile], counted(32))] * 2 == names


@pytest.mark.parametrize("profile", PROFILES)
def test_an_id_of_the_apps(profile: str) -> None:
    """Contract §3.1: an app's own id is a browser's from then on, on a phone for this launch."""
    store, script = device.MemoryStore(), Script()
    first = script.switched_off(profile, store)
    first.initialize(APP, SECRET, device_id="mine")
    second = script.switched_off(profile, store)
    second.initialize(APP, SECRET)

    assert "mine" == first.device_id
    assert (PROFILES[profile].kind == "web") == (second.device_id == "mine")


@pytest.mark.parametrize("profile", ["ios", "android"])
def test_a_phone_keeps_its_id(profile: str) -> None:
    """Contract §3.5: after unregistering, iOS and Android have the same id."""
    launched = Script(httpx.Response(204)).device(profile, device_id=None)
    before = launched.device_id
    launched.unregister()

    assert before == launched.device_id


@pytest.mark.parametrize("profile", ["chrome", "firefox", "safari"])
def test_a_browser_forgets_its_id(profile: str) -> None:
    """Contract §3.5: after unregistering, the web SDK has no id until it is initialised."""
    store, script = device.MemoryStore(), Script(httpx.Response(204))
    launched = script.switched_off(profile, store)
    launched.initialize(APP, SECRET, device_id="mine")
    launched.unregister()

    assert launched.device_id is None
    with pytest.raises(device.NotInitialized):
        launched.register(TOKENS[profile])
    launched.initialize(APP, SECRET)
    assert new_device_id(PROFILES[profile], counted(32)) == launched.device_id


def test_a_browser_reports_what_was_on_its_way() -> None:
    """Contract §5.8: the page knows the id that it had, until it is initialised again."""
    script = Script(httpx.Response(204), ok({}))
    launched = script.device("chrome")
    launched.unregister()
    launched.handle_notification({"payload": '{"nid":"AbC12345"}'}, "active")

    assert '{"deviceId":"D","status":"SEEN"}' == script.bodies[-1]


def test_a_browser_that_was_not_unregistered_keeps_its_id() -> None:
    """Contract §3.2: anything but 204 is a failure, and nothing is forgotten."""
    launched = Script(httpx.Response(500, text="sorry")).device("chrome")
    with pytest.raises(device.SdkError) as error:
        launched.unregister()

    assert (500, "sorry") == (error.value.code, error.value.text)
    assert "D" == launched.device_id


@pytest.mark.parametrize("profile", ["ios", "android"])
def test_a_phone_needs_a_secret(profile: str) -> None:
    """Contract §2.3: Swift and Android do not start without a secret."""
    with pytest.raises(ValueError, match="client_secret"):
        Script().switched_off(profile).initialize(APP, "")


def test_initialisation_comes_first() -> None:
    """Before it nothing is asked."""
    script = Script()
    with pytest.raises(device.NotInitialized, match="initialize"):
        script.switched_off("ios").register(TOKENS["ios"])

    assert [] == script.asked


def test_android_allows_no_path() -> None:
    """Contract §1.3: Android finds the app again in a fixed place of its URL."""
    with pytest.raises(ValueError, match="no path"):
        device.Push(f"{HOST}/prefix", profile="android")
    device.Push(f"{HOST}/prefix", profile="ios").close()


def test_no_such_profile() -> None:
    """A profile is one of five."""
    with pytest.raises(ValueError, match="none of"):
        device.Push(HOST, profile="blackberry")


class TestFile:
    """The file that a device id is kept in."""

    def test_it_lasts(self, tmp_path: Path) -> None:
        """A state comes back as it was, and is its owner's only."""
        file = tmp_path / "a" / "state.json"
        FileStore(file).save(State("chrome", None))

        assert State("chrome", None) == FileStore(file).load()
        assert 0o600 == file.stat().st_mode & 0o777
        assert FileStore(tmp_path / "none").load() is None

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{}",
            '{"dialect": "ibm", "version": 2, "profile": "ios", "device_id": "D"}',
            '{"dialect": "beams", "version": 1, "profile": "ios", "device_id": "D"}',
            '{"dialect": "ibm", "version": 1, "profile": "ios", "device_id": 1}',
        ],
    )
    def test_what_is_none(self, tmp_path: Path, content: str) -> None:
        """A file that is not one of ours is left as it is."""
        file = tmp_path / "state.json"
        file.write_text(content)
        with pytest.raises(device.StateError):
            FileStore(file).load()

        assert content == file.read_text()

    def test_another_profile(self, tmp_path: Path) -> None:
        """The state of an iPhone is not a browser's."""
        file = tmp_path / "state.json"
        FileStore(file).save(State("ios", "D"))
        with (
            device.Push(HOST, profile="chrome", state_file=file) as launched,
            pytest.raises(device.StateError, match="profile ios"),
        ):
            launched.initialize(APP, SECRET)


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_asynchronous_skin_does_the_same(profile: str) -> None:
    """Both skins send the same, byte for byte."""
    script, other = (
        Script(
            *before(profile),
            unknown(),
            ok(told(profile, "u1"), 201),
            ok({"tags": []}),
            httpx.Response(204),
        )
        for _ in range(2)
    )
    launched = script.device(profile)
    launched.register_with_user_id(TOKENS[profile], "u1")
    launched.retrieve_available_tags()
    launched.unregister()
    http = httpx.AsyncClient(transport=httpx.MockTransport(other.handle))
    async with device.AsyncPush(HOST, profile=profile, http_client=http) as also:
        await also.initialize(APP, SECRET, device_id="D")
        registered = await also.register_with_user_id(TOKENS[profile], "u1")
        await also.retrieve_available_tags()
        await also.unregister()

    assert WIRE_TOKENS[profile] == registered["token"]
    assert [(each.method, each.url, each.content) for each in script.requests] == [
        (each.method, each.url, each.content) for each in other.requests
    ]
    await http.aclose()


def test_both_skins_have_the_same_methods() -> None:
    """What one can, the other can, with the same arguments."""

    def public(skin: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(skin, inspect.isfunction)
            if not name.startswith("_") and not name.endswith("close")
        }

    assert public(device.Push) == public(device.AsyncPush)
