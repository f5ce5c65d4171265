"""The flow of a registration: what is compared, what is told, what counts (contract §3)."""

from collections.abc import Callable

import pytest

from client.ibm.scripts import (
    TOKENS,
    WIRE_TOKENS,
    Reply,
    Script,
    before,
    ok,
    same,
    text,
    told,
    unknown,
)
from heliograph.client.ibm.device import Crash, NoCallback, Push, SdkError
from heliograph.client.ibm.profiles import PROFILES

BROWSERS = ["chrome", "firefox", "safari"]


def answering(profile: str, *replies: Reply) -> tuple[Script, Push]:
    """A device, and a server that answers its registrations so."""
    script = Script(*before(profile), *replies)
    return script, script.device(profile)


class TestComparing:
    """Contract §3.3, step 4."""

    @pytest.mark.parametrize("profile", PROFILES)
    def test_another_token_is_told(self, profile: str) -> None:
        """A token that differs, if only by its case, is told by PUT."""
        other = told(profile, token=WIRE_TOKENS[profile].swapcase())
        script, device = answering(profile, ok(other), ok(told(profile)))
        device.register(TOKENS[profile])

        assert "PUT devices/D" == script.asked[-1]

    @pytest.mark.parametrize("profile", PROFILES)
    def test_another_user_is_told(self, profile: str) -> None:
        """A user that differs, if only by its case, is told by PUT: it changes hands in place."""
        script, device = answering(profile, ok(told(profile, "U1")), ok(told(profile, "u1")))
        device.register_with_user_id(TOKENS[profile], "u1")

        assert "PUT devices/D" == script.asked[-1]
        assert '"u1"' in script.bodies[-1]

    @pytest.mark.parametrize("profile", PROFILES)
    def test_the_same_user_is_not_told(self, profile: str) -> None:
        """Who is registered already is a success without a write, with what is stored."""
        script, device = answering(profile, ok(told(profile, "u1")))

        assert told(profile, "u1") == device.register_with_user_id(TOKENS[profile], "u1")
        assert "GET devices/D" == script.asked[-1]

    @pytest.mark.parametrize("profile", ["ios", "android"])
    def test_somebody_on_a_mobile_device_leaves(self, profile: str) -> None:
        """``register`` says nothing of a user unless the stored one is ``anonymous``."""
        script, device = answering(profile, ok(told(profile, "u1")), ok(told(profile)))
        device.register(TOKENS[profile])

        assert "PUT devices/D" == script.asked[-1]
        assert "userId" not in script.bodies[-1]

    @pytest.mark.parametrize("profile", BROWSERS)
    def test_somebody_in_a_browser_stays(self, profile: str) -> None:
        """Web's ``register`` compares users only if it has one."""
        script, device = answering(profile, ok(told(profile, "u1")))
        device.register(TOKENS[profile])

        assert ["GET devices/D"] == script.asked

    @pytest.mark.parametrize("profile", ["ios", "android"])
    def test_variables_are_not_compared(self, profile: str) -> None:
        """Variables go along with what is told; they are no reason to tell."""
        script = Script(*before(profile), ok(told(profile)))
        script.device(profile, variables={"name": "x"}).register(TOKENS[profile])

        assert "GET devices/D" == script.asked[-1]


class TestTheWebsUser:
    """Contract §3.4: the flag that sticks."""

    @pytest.mark.parametrize("profile", BROWSERS)
    def test_it_sticks(self, profile: str) -> None:
        """After a user, ``register`` names nobody, each time anew: the server says anonymous."""
        script, device = answering(
            profile,
            unknown(),
            ok(told(profile, "u1"), 201),
            *[ok(told(profile, "u1")), ok(told(profile))],
            *[ok(told(profile)), ok(told(profile))],
        )
        device.register_with_user_id(TOKENS[profile], "u1")
        device.register(TOKENS[profile])
        device.register(TOKENS[profile])

        assert ["GET devices/D", "POST devices", *["GET devices/D", "PUT devices/D"] * 2] == (
            script.asked
        )
        for body in script.bodies[3::2]:
            assert '"userId":""' in body

    def test_nobody_is_nobody_at_first(self) -> None:
        """``registerWithUserId("")`` is a registration without a user, if there was none."""
        script, device = answering("chrome", unknown(), ok(told("chrome"), 201))
        device.register_with_user_id(TOKENS["chrome"], "")

        assert "userId" not in script.bodies[-1]

    def test_nobody_is_the_last_one_later(self) -> None:
        """``registerWithUserId("")`` after a user registers that user again."""
        script, device = answering("chrome", *[ok(told("chrome", "u1"))] * 2)
        device.register_with_user_id(TOKENS["chrome"], "u1")
        device.register_with_user_id(TOKENS["chrome"], "")

        assert ["GET devices/D"] * 2 == script.asked

    def test_a_user_needs_a_secret(self) -> None:
        """Contract §2.3: without a secret the web SDK refuses a user by itself."""
        script = Script()
        device = script.switched_off("chrome")
        device.initialize("app1", "")
        with pytest.raises(SdkError) as refused:
            device.register_with_user_id(TOKENS["chrome"], "u1")

        assert 401 == refused.value.code
        assert [] == script.asked


def test_an_empty_user_on_ios() -> None:
    """Contract §3.4: iOS refuses an empty user id by itself."""
    script = Script()
    with pytest.raises(SdkError):
        script.device("ios").register_with_user_id(TOKENS["ios"], "")

    assert [] == script.asked


def test_an_empty_user_on_android() -> None:
    """Contract §3.4: Android takes an empty user id for nobody."""
    script, device = answering("android", unknown(), ok(told("android"), 201))
    device.register_with_user_id("T", "")

    assert '{"deviceId":"D","token":"T","platform":"G"}' == script.bodies[-1]


class TestWhatCounts:
    """Contract §3.2: which statuses are a success, and to whom."""

    @pytest.mark.parametrize(
        "profile, statuses",
        [("ios", [201]), ("android", [200, 201, 204]), *[(each, [201]) for each in BROWSERS]],
    )
    def test_of_a_registration(self, profile: str, statuses: list[int]) -> None:
        """Of 201 and nothing else iOS and the web make one; Android of any 2xx."""
        made = [each for each in (200, 201, 204, 409) if self.holds(profile, each, unknown())]

        assert statuses == made

    @pytest.mark.parametrize(
        "profile, statuses",
        [("ios", [200]), ("android", [200, 201, 204]), *[(each, [200, 201]) for each in BROWSERS]],
    )
    def test_of_an_update(self, profile: str, statuses: list[int]) -> None:
        """Of 200 iOS makes one, the web of 200 or 201, Android of any 2xx."""
        made = [
            each
            for each in (200, 201, 204, 409)
            if self.holds(profile, each, ok(told(profile, token="old")))
        ]

        assert statuses == made

    @staticmethod
    def holds(profile: str, status: int, first: Reply) -> bool:
        """Whether a registration succeeds whose write is answered with this status."""
        _, device = answering(profile, first, ok(told(profile), status))
        try:
            device.register(TOKENS[profile])
        except SdkError:
            return False
        return True

    @pytest.mark.parametrize(
        "profile, code",
        [("ios", 4), ("android", 409), ("chrome", None)],
    )
    @pytest.mark.parametrize("first", [unknown, lambda: ok(told("ios", token="old"))])
    def test_what_the_app_is_told(
        self, profile: str, code: int | None, first: Callable[[], Reply]
    ) -> None:
        """A number of its own from iOS, the status from Android, no status from the web."""
        _, device = answering(profile, first(), text(409, "exists"))
        with pytest.raises(SdkError) as error:
            device.register(TOKENS[profile])

        assert (code, "exists", 409) == (error.value.code, error.value.text, error.value.status)

    @pytest.mark.parametrize("profile, error", [("android", NoCallback), ("chrome", NoCallback)])
    def test_a_success_without_json(self, profile: str, error: type[Exception]) -> None:
        """Android needs ``deviceId`` in the reply, the web JSON, or they never call back."""
        _, device = answering(profile, unknown(), text(201, "created"))
        with pytest.raises(error):
            device.register(TOKENS[profile])

    def test_ios_hands_the_text_on(self) -> None:
        """The reply to a registration is not read by iOS."""
        _, device = answering("ios", unknown(), text(201, "created"))

        assert {} == device.register(TOKENS["ios"])

    @pytest.mark.parametrize("status", [200, 204])
    def test_of_an_unregistration(self, status: int) -> None:
        """Of 204 iOS and the web make one; Android of any 2xx."""
        outcomes = []
        for profile in PROFILES:
            try:
                Script(text(status)).device(profile).unregister()
            except SdkError:
                outcomes.append(False)
            else:
                outcomes.append(True)

        assert [status == 204, True, *[status == 204] * 3] == outcomes


class TestAndroidsSender:
    """Contract §3.3, step 1."""

    def test_it_is_asked_each_time(self) -> None:
        """Android asks who sends before every registration."""
        sender = before("android")
        script = Script(*[*sender, ok(told("android"))] * 2)
        device = script.device("android")
        device.register("T")
        device.register("T")

        assert ["GET settings/gcmConfPublic", "GET devices/D"] * 2 == script.asked

    @pytest.mark.parametrize(
        "reply, code", [(ok({}), 0), (text(200, "?"), 0), (text(404, "none"), 404), (None, 0)]
    )
    def test_it_is_needed(self, reply: Reply, code: int) -> None:
        """Without a sender nothing is registered."""
        script = Script(reply)
        with pytest.raises(SdkError) as error:
            script.device("android").register("T")

        assert code == error.value.code
        assert ["GET settings/gcmConfPublic"] == script.asked

    def test_it_is_text(self) -> None:
        """A number is cast to a string, of which Android dies."""
        with pytest.raises(Crash):
            Script(ok({"senderId": 1})).device("android").register("T")


def test_android_creates_until_it_has_succeeded() -> None:
    """Contract §2.5: a device that is there is created again when its first try had failed."""
    sender = before("android")
    script = Script(
        *[*sender, text(401), text(401)],
        *[*sender, ok(told("android", "u1")), ok(told("android"), 201)],
        *[*sender, ok(told("android", "u1")), ok(told("android"), 200)],
    )
    device = script.device("android")
    with pytest.raises(SdkError):
        device.register("T")
    device.register("T")
    device.register("T")

    assert ["POST devices", "POST devices", "PUT devices/D"] == script.asked[2::3]


@pytest.mark.parametrize("profile", ["ios", "android"])
def test_variables_are_told(profile: str) -> None:
    """Contract §3.1: Swift and Android tell their variables by POST and by PUT."""
    old = ok(told(profile, token="old"))
    for first, last in ((unknown(), 201), (old, 200)):
        script = Script(*before(profile), first, ok(told(profile), last))
        script.device(profile, variables={"name": "x"}).register(TOKENS[profile])
        body = {"deviceId": "D", "token": WIRE_TOKENS[profile], "variables": {"name": "x"}}
        if last == 201 or profile == "android":
            body["platform"] = PROFILES[profile].platform

        assert same(body, script.bodies[-1])


@pytest.mark.parametrize("profile", BROWSERS)
@pytest.mark.parametrize("has_key", [True, False])
def test_only_chrome_tells_of_its_key(profile: str, has_key: bool) -> None:
    """Contract §3.1: ``vapidRegistration`` is Chrome's, when it subscribed with the key."""
    script = Script(unknown(), ok(told(profile), 201))
    script.device(profile, has_server_key=has_key).register(TOKENS[profile])

    assert (profile == "chrome" and has_key) == ("vapidRegistration" in script.bodies[-1])
