"""How each SDK reacts to the answer to its first call: each cell of contract §2.5."""

import pytest

from client.ibm.scripts import TOKENS, Reply, Script, before, ok, text, told, unknown
from heliograph.client.ibm.device import Crash, NoCallback, SdkError
from heliograph.client.ibm.profiles import PROFILES

BROWSERS = ("chrome", "firefox", "safari")
REFUSED = (400, 401, 403)


def registering(profile: str, *replies: Reply) -> Script:
    """A registration whose first call is answered so; what it raises, it raises."""
    script = Script(*before(profile), *replies)
    script.device(profile).register(TOKENS[profile])
    return script


@pytest.mark.parametrize("profile", PROFILES)
def test_200_is_compared(profile: str) -> None:
    """Contract §2.5, 200: what is the same is not told again."""
    script = registering(profile, ok(told(profile)))

    assert "GET devices/D" == script.asked[-1]


@pytest.mark.parametrize("profile", PROFILES)
def test_404_registers(profile: str) -> None:
    """Contract §2.5, 404: the device is registered."""
    script = registering(profile, unknown(), ok(told(profile), 201))

    assert ["GET devices/D", "POST devices"] == script.asked[-2:]


@pytest.mark.parametrize("status", [*REFUSED, 406, 500, 503])
def test_ios_tells_the_app(status: int) -> None:
    """Contract §2.5: iOS tells status and text of any error, and asks nothing more."""
    script = Script(text(status, "because"))
    with pytest.raises(SdkError) as told:
        script.device("ios").register(TOKENS["ios"])

    assert (status, "because", status) == (told.value.code, told.value.text, told.value.status)
    assert ["GET devices/D"] == script.asked


@pytest.mark.parametrize("status", [201, 202, 204, 304, 307])
def test_ios_dies_of_what_is_no_error(status: int) -> None:
    """Contract §2.5: iOS has no error to show for a status below 400, and crashes."""
    with pytest.raises(Crash):
        registering("ios", text(status))


def test_ios_without_an_answer() -> None:
    """Contract §2.5, network error: iOS tells its number 3."""
    with pytest.raises(SdkError) as told:
        registering("ios", None)

    assert (3, None) == (told.value.code, told.value.status)


@pytest.mark.parametrize("reply", [*map(text, (*REFUSED, 406, 500, 503)), None])
def test_android_registers_all_the_same(reply: Reply) -> None:
    """Contract §2.5: whatever fails means to Android that there is no such device."""
    script = registering("android", reply, ok(told("android"), 201))

    assert ["GET settings/gcmConfPublic", "GET devices/D", "POST devices"] == script.asked


def test_android_fails_there() -> None:
    """Contract §2.5, 401: the POST fails as well, and the app is told status and text."""
    with pytest.raises(SdkError) as told:
        registering("android", text(401), text(401, "no secret"))

    assert (401, "no secret") == (told.value.code, told.value.text)


@pytest.mark.parametrize("profile", BROWSERS)
@pytest.mark.parametrize("status", [*REFUSED, 503, 204])
def test_the_web_says_nothing(profile: str, status: int) -> None:
    """Contract §2.5, 400, 401, 403: the web SDK never calls its page back."""
    with pytest.raises(NoCallback) as silent:
        registering(profile, text(status))

    assert status == silent.value.status


@pytest.mark.parametrize("profile", BROWSERS)
@pytest.mark.parametrize("status", [406, 500, None])
def test_the_web_forgets_the_status(profile: str, status: int | None) -> None:
    """Contract §2.5, 406, 500, and no answer: the page is told a failure without its status."""
    with pytest.raises(SdkError) as told:
        registering(profile, None if status is None else text(status))

    assert (None, status) == (told.value.code, told.value.status)


@pytest.mark.parametrize(
    "profile, error",
    [("ios", Crash), ("android", NoCallback), ("chrome", NoCallback)],
)
def test_what_is_not_json(profile: str, error: type[Exception]) -> None:
    """Contract §2.5, §3.2: a 200 that is not JSON kills iOS, and silences the others."""
    with pytest.raises(error):
        registering(profile, text(200, "<html>"))


@pytest.mark.parametrize("profile, error", [("ios", Crash), ("android", NoCallback)])
@pytest.mark.parametrize("device", [{"userId": None}, {"token": 1}, {"deviceId": None}])
def test_what_is_not_text(profile: str, error: type[Exception], device: dict[str, object]) -> None:
    """Contract §3.2: deviceId, token and userId are texts, or the app dies, or waits for ever."""
    with pytest.raises(error):
        registering(profile, ok(told(profile) | device))
