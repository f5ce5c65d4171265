"""What iOS and Android ask, in which order, and what they make of the answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from client.fakes import (
    INSTANCE,
    OTHER_INSTANCE,
    Enough,
    FakeBeams,
    FakeSleep,
    no_connection,
    no_fault,
    provider,
    reply_lost,
    status,
)
from client.imitations import TOKENS, imitation, registered
from heliograph.client import device
from heliograph.client.profiles import ANDROID, IOS

AUTH = "GET /pusher/beams-auth?user_id=u"
MOBILE = ["ios", "android"]
PLATFORM = {"ios": "apns", "android": "fcm"}


@pytest.fixture
def beams() -> FakeBeams:
    return FakeBeams()


@pytest.fixture
def http(beams: FakeBeams) -> Iterator[httpx.Client]:
    with beams.client() as client:
        yield client


class TestSequences:
    """Contract §4.12."""

    def test_the_first_launch_of_ios(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§4.12: register, the interests if they differ, the app's back end, the user."""
        app = imitation(http, "ios")
        app.add_device_interest("hello")
        app.register_device_token(TOKENS["ios"], "com.example.app")
        app.set_user_id("u", provider())
        app.add_device_interest("more")

        assert [
            "POST devices/apns",
            "PUT devices/apns/apns-1/interests",
            AUTH,
            "PUT devices/apns/apns-1/user",
            "POST devices/apns/apns-1/interests/more",
        ] == beams.seen
        assert {
            "token": "e4ce01",
            "bundleIdentifier": "com.example.app",
            "metadata": {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"},
        } == beams.bodies[0]

    def test_the_next_launch_of_ios(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """§4.12: metadata and interests that were never told, register, then the user again."""
        first = imitation(http, "ios", state_file=tmp_path / "state")
        first.register_device_token(TOKENS["ios"])
        first.add_device_interest("hello")
        first.set_user_id("u", provider())
        launches = []
        for _ in range(2):
            beams.forget_requests()
            again = imitation(http, "ios", state_file=tmp_path / "state")
            again.register_device_token(TOKENS["ios"])
            again.set_user_id("u", provider())
            launches.append(beams.seen)

        usual = ["POST devices/apns", AUTH, "PUT devices/apns/apns-1/user"]
        told = ["PUT devices/apns/apns-1/metadata", "PUT devices/apns/apns-1/interests"]
        assert [[*told, *usual], usual] == launches

    def test_launches_of_android(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """§4.12: it registers once; later launches tell what is new, and the same user nobody."""
        first = imitation(http, "android", state_file=tmp_path / "state")
        first.add_device_interest("hello")
        first.register_device_token("fcm-token")
        first.set_user_id("u", provider())
        launches = [beams.seen]
        for token in ("fcm-token", "fcm-token", "another-token"):
            beams.forget_requests()
            again = imitation(http, "android", state_file=tmp_path / "state")
            again.register_device_token(token)
            again.set_user_id("u", provider())
            launches.append(beams.seen)

        device_path = "PUT devices/fcm/fcm-1"
        assert [
            ["POST devices/fcm", f"{device_path}/interests", AUTH, f"{device_path}/user"],
            [f"{device_path}/metadata", f"{device_path}/interests"],
            [],
            [f"{device_path}/token"],
        ] == launches

    @pytest.mark.parametrize("profile", MOBILE)
    def test_clear_all_state(self, beams: FakeBeams, http: httpx.Client, profile: str) -> None:
        """§4.12: delete, then register the same token, with no user and no interests."""
        app = registered(http, profile)
        app.add_device_interest("hello")
        app.set_user_id("u", provider())
        beams.forget_requests()
        app.clear_all_state()

        platform = PLATFORM[profile]
        assert [f"DELETE devices/{platform}/{platform}-1", f"POST devices/{platform}"] == beams.seen
        assert (f"{platform}-2", None, []) == (
            app.device_id,
            app.user_id,
            app.get_device_interests(),
        )

    @pytest.mark.parametrize("profile", MOBILE)
    def test_stop(self, beams: FakeBeams, http: httpx.Client, profile: str) -> None:
        """§4.12: delete, and nothing else; then everything begins anew."""
        app = registered(http, profile)
        app.stop()

        assert {} == beams.devices
        with pytest.raises(device.NotStarted):
            app.add_device_interest("hello")
        app.start(OTHER_INSTANCE)

    @pytest.mark.parametrize("profile", MOBILE)
    def test_stop_before_registration(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.12: what was asked of a device that never was is forgotten, and nothing sent."""
        app = imitation(http, profile)
        app.add_device_interest("hello")
        app.stop()
        app.start(OTHER_INSTANCE)

        assert ([], []) == (app.get_device_interests(), beams.seen)

    @pytest.mark.parametrize("profile", MOBILE)
    def test_another_user_is_refused_here(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.12: changing the user without a stop is an error, and nothing is sent."""
        app = registered(http, profile)
        app.set_user_id("u", provider())
        beams.forget_requests()

        with pytest.raises(device.UserAlreadySet):
            app.set_user_id("v", provider())
        assert [] == beams.seen

    @pytest.mark.parametrize("profile", MOBILE)
    def test_a_user_may_be_set_before_registration(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.12: it waits in the queue, and the registration brings it along."""
        app = imitation(http, profile)
        app.set_user_id("u", provider())
        nothing = beams.seen
        app.register_device_token(TOKENS[profile])

        assert ([], "u") == (nothing, app.user_id)

    def test_registration_replaces_interests(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§4.3: what the server has is the base, over which the queue is laid."""
        beams.initial_interests = {"server", "unwanted"}
        app = imitation(http, "ios")
        app.add_device_interest("hello")
        app.remove_device_interest("unwanted")
        app.register_device_token(TOKENS["ios"])

        assert ["hello", "server"] == app.get_device_interests()
        assert {"interests": ["hello", "server"]} == beams.bodies[1]

    def test_unchanged_interests_are_no_news(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§4.9: what is as it was is not told again."""
        for profile in MOBILE:
            app = registered(http, profile)
            app.set_device_interests(["hello"])
            beams.forget_requests()
            app.set_device_interests(["hello"])
            app.add_device_interest("hello")
            app.remove_device_interest("other")
            app.clear_device_interests()

            assert [{"interests": []}] == beams.bodies


class TestAnswers:
    """Contract §4.9 and §4.10."""

    @pytest.mark.parametrize("profile", MOBILE)
    @pytest.mark.parametrize("code", [301, 402, 409, 410, 422, 429, 500, 503])
    def test_it_asks_until_it_is_answered(
        self, beams: FakeBeams, http: httpx.Client, profile: str, code: int
    ) -> None:
        """§4.9: every generic failure is repeated, with waits that double."""
        sleep = FakeSleep()
        app = imitation(http, profile, sleep=sleep)
        beams.faults = [status(code)] * 10
        app.register_device_token(TOKENS[profile])

        waits = iter((IOS if profile == "ios" else ANDROID).waits)
        assert 11 == len(beams.seen)
        assert [next(waits) for _ in range(10)] == sleep.seconds

    def test_a_hanging_queue_blocks_what_comes_after(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§4.9: the queue is serial; what was asked meanwhile is done once it goes on."""
        sleep = FakeSleep(most=5)
        app = registered(http, "ios", sleep=sleep)
        operations: list[Callable[[], None]] = [
            lambda: app.set_user_id("u", provider()),
            lambda: app.add_device_interest("hello"),
        ]
        for operation in operations:
            beams.faults = [no_fault, *[status(422)] * 100]  # the app's back end is well
            with pytest.raises(Enough):
                operation()
        blocked = [line for line in beams.seen if "interests" in line]
        beams.faults.clear()
        app.add_device_interest("hello")

        assert [] == blocked
        assert [("u", {"hello"})] == [
            (each.user, each.interests) for each in beams.devices.values()
        ]

    @pytest.mark.parametrize("profile", MOBILE)
    def test_it_goes_on_at_the_next_launch(
        self, beams: FakeBeams, http: httpx.Client, profile: str, tmp_path: Path
    ) -> None:
        """§4.9: the queue is on the disk; only a log-in is forgotten with its token provider."""
        app = imitation(http, profile, state_file=tmp_path / "state", sleep=FakeSleep(most=3))
        app.register_device_token(TOKENS[profile])
        operations: list[Callable[[], None]] = [
            lambda: app.set_user_id("u", provider()),
            lambda: app.add_device_interest("hello"),
        ]
        for operation in operations:
            beams.faults = [no_fault, *[no_connection] * 100]
            with pytest.raises(Enough):
                operation()
        beams.faults.clear()
        imitation(http, profile, state_file=tmp_path / "state")

        assert [("", {"hello"})] == [(each.user, each.interests) for each in beams.devices.values()]

    @pytest.mark.parametrize("code", [400, 401, 403, 404])
    def test_ios_does_not_start_when_refused(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§4.9: nothing is repeated, and the app is not told."""
        app = imitation(http, "ios")
        beams.faults = [status(code)]
        app.register_device_token(TOKENS["ios"])
        app.add_device_interest("hello")

        assert (None, 1) == (app.device_id, len(beams.seen))

    @pytest.mark.parametrize("code", [400, 401, 403, 404])
    def test_android_asks_again_when_refused(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§4.9: for Android there is no final answer to a registration, nor to a deletion."""
        app = imitation(http, "android")
        beams.faults = [status(code)] * 3
        app.register_device_token(TOKENS["android"])
        beams.faults = [status(code)] * 3
        app.stop()

        assert {} == beams.devices
        assert 8 == len(beams.seen)

    def test_android_needs_the_initial_interests(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§4.3, must-do 5: a reply without ``initialInterestSet`` is asked for again."""
        app = imitation(http, "android")
        beams.faults = [lambda _a, _r: httpx.Response(200, json={"id": "fcm-9"})] * 2
        app.register_device_token(TOKENS["android"])

        assert (3, "fcm-1") == (len(beams.seen), app.device_id)

    def test_ios_does_not_need_the_initial_interests(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§4.3: to iOS they are optional; an empty reply is repeated."""
        app = imitation(http, "ios")
        beams.faults = [
            lambda _a, _r: httpx.Response(200),
            lambda _a, _r: httpx.Response(200, json={"id": "apns-9"}),
        ]
        app.register_device_token(TOKENS["ios"])

        assert (2, "apns-9") == (len(beams.seen), app.device_id)

    def test_an_invalid_token_makes_android_hot(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§4.9: it starts again at once, without a wait, as long as it is answered so."""
        sleep = FakeSleep(most=20)
        app = imitation(http, "android", sleep=sleep)
        beams.faults = [status(400, "InvalidToken")] * 100

        with pytest.raises(Enough):
            app.register_device_token(TOKENS["android"])
        assert {0.0} == set(sleep.seconds)

    @pytest.mark.parametrize("profile", MOBILE)
    def test_a_lost_device_is_created_again(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.10: register, interests, token provider, user; then the job that failed."""
        app = registered(http, profile)
        app.add_device_interest("hello")
        app.set_user_id("u", provider())
        beams.devices.clear()
        beams.forget_requests()
        app.add_device_interest("more")

        platform = PLATFORM[profile]
        path = f"devices/{platform}/{platform}"
        assert [
            f"POST {path}-1/interests/more",
            f"POST devices/{platform}",
            f"PUT {path}-2/interests",
            AUTH,
            f"PUT {path}-2/user",
            f"POST {path}-2/interests/more",
        ] == beams.seen
        (kept,) = beams.devices.values()
        assert ("u", {"hello", "more"}) == (kept.user, kept.interests)

    @pytest.mark.parametrize("profile", MOBILE)
    def test_who_cannot_be_proved_is_forgotten(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.10: a device that is created again has no user if the token provider fails."""
        app = registered(http, profile)
        app.set_user_id("u", provider())
        beams.devices.clear()
        beams.faults = [no_fault, no_fault, no_fault, status(401)]  # job, register, PUT, auth
        app.add_device_interest("hello")

        assert (None, {"hello"}) == (app.user_id, next(iter(beams.devices.values())).interests)

    def test_the_user_call_and_a_lost_device(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§4.9: to a 404 of the user call Android creates the device again; iOS tells the app."""
        for profile in MOBILE:
            app = registered(http, profile)
            beams.devices.clear()
            if profile == "ios":
                with pytest.raises(device.NotFound):
                    app.set_user_id("u", provider())
            else:
                app.set_user_id("u", provider())

            users = [each.user for each in beams.devices.values()]
            assert ([] if profile == "ios" else ["u"]) == users

    @pytest.mark.parametrize("profile", MOBILE)
    def test_a_lost_device_is_not_noticed_at_launch(
        self, beams: FakeBeams, http: httpx.Client, profile: str, tmp_path: Path
    ) -> None:
        """§4.9: the 404 of what a launch tells is ignored."""
        app = imitation(http, profile, state_file=tmp_path / "state")
        app.register_device_token(TOKENS[profile])
        beams.devices.clear()
        imitation(http, profile, state_file=tmp_path / "state")

        assert {} == beams.devices

    @pytest.mark.parametrize(
        "profile, code",
        [("ios", 400), ("ios", 401), ("ios", 403), ("android", 400), ("android", 422)],
    )
    def test_the_app_hears_that_a_user_was_refused(
        self, beams: FakeBeams, http: httpx.Client, profile: str, code: int
    ) -> None:
        """§4.9: an error to the app, which may try the same user again."""
        app = registered(http, profile)
        beams.faults = [no_fault, status(code)]

        with pytest.raises(device.RequestRefused):
            app.set_user_id("u", provider())
        app.set_user_id("u", provider())
        assert "u" == app.user_id

    @pytest.mark.parametrize("profile", MOBILE)
    def test_the_token_provider_is_asked_once(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§6: what the app's back end answers is not asked for again."""
        app = registered(http, profile)
        beams.faults = [status(503)]
        beams.forget_requests()

        with pytest.raises(device.TokenProviderError):
            app.set_user_id("u", provider())
        assert [AUTH] == beams.seen

    @pytest.mark.parametrize("code", [400, 401, 403, 404])
    def test_ios_is_gone_though_it_was_not_deleted(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§4.9: what is answered to a deletion is ignored, and the state cleared."""
        app = registered(http, "ios")
        beams.faults = [status(code)]
        app.stop()

        assert app.device_id is None
        assert {"apns-1"} == set(beams.devices)

    @pytest.mark.parametrize("profile", MOBILE)
    def test_a_lost_reply_does_no_harm(
        self, beams: FakeBeams, http: httpx.Client, profile: str
    ) -> None:
        """§4.3: what is repeated after the server has acted comes to the same."""
        app = imitation(http, profile)
        operations: list[Callable[[], None]] = [
            lambda: app.register_device_token(TOKENS[profile]),
            lambda: app.add_device_interest("hello"),
            app.clear_all_state,
        ]
        for operation in operations:
            beams.faults = [reply_lost]
            operation()

        (kept,) = beams.devices.values()
        assert (set(), "") == (kept.interests, kept.user)

    def test_android_dies_of_a_failed_re_creation(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """§4.9: nobody catches that the interests after a registration are refused."""
        app = imitation(http, "android", state_file=tmp_path / "state")
        app.add_device_interest("hello")
        beams.faults = [no_fault, status(400)]
        with pytest.raises(device.RequestRefused):
            app.register_device_token("fcm-token")
        imitation(http, "android", state_file=tmp_path / "state")

        assert [{"hello"}] == [each.interests for each in beams.devices.values()]


class TestArguments:
    def test_ios_wants_a_uuid(self, http: httpx.Client) -> None:
        """§0: iOS does not start with an instance id that is no UUID."""
        with pytest.raises(ValueError, match="badly formed"):
            imitation(http, "ios", instance="not-a-uuid")
        imitation(http, "android", instance="not-a-uuid")

    def test_a_profile_is_of_one_platform(self) -> None:
        """A profile that contradicts the platform, or comes with a retry, is refused."""
        with pytest.raises(ValueError, match="is of platform apns"):
            device.PushNotifications(profile="ios", platform="fcm")
        with pytest.raises(ValueError, match="by itself"):
            device.PushNotifications(profile="ios", retry=device.Retry())

    @pytest.mark.parametrize("profile", ["ios", "android", "web"])
    def test_a_state_is_of_one_profile(
        self, http: httpx.Client, tmp_path: Path, profile: str
    ) -> None:
        """What one profile has kept another does not take up, nor do our own rules."""
        path = tmp_path / "state"
        imitation(http, profile, state_file=path).register_device_token(TOKENS[profile])
        other = {"ios": "android", "android": "web", "web": "ios"}[profile]

        with pytest.raises(device.StateError):
            imitation(http, other, state_file=path)
        with pytest.raises(device.StateError):
            device.PushNotifications(
                "http://beams.example", state_file=path, http_client=http
            ).start(INSTANCE)
