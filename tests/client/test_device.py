import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client.fakes import (
    INSTANCE,
    OTHER_INSTANCE,
    FakeBeams,
    FakeSleep,
    no_connection,
    no_fault,
    provider,
    reply_lost,
    status,
    subscription_of,
)
from heliograph.client import device

TOKEN = bytes.fromhex("E4CE01")
OTHER_TOKEN = "f00d"
SUBSCRIPTION = {
    "endpoint": "https://push.example/abc",
    "expirationTime": None,
    "keys": {"p256dh": "BC~?", "auth": "aa"},
}


@pytest.fixture
def beams() -> FakeBeams:
    return FakeBeams()


@pytest.fixture
def http(beams: FakeBeams) -> Iterator[httpx.Client]:
    with beams.client() as client:
        yield client


@pytest.fixture
def app(http: httpx.Client) -> device.PushNotifications:
    """A device that is started and not registered."""
    made = build(http)
    made.start(INSTANCE)
    return made


@pytest.fixture
def registered(beams: FakeBeams, app: device.PushNotifications) -> device.PushNotifications:
    """A device that is registered; what that took is forgotten."""
    app.register_device_token(TOKEN, "com.example.app")
    beams.forget_requests()
    return app


def build(
    http: httpx.Client,
    *,
    state_file: Path | None = None,
    platform: str = "apns",
    os_version: str = "17.5.1",
    sleep: FakeSleep | None = None,
) -> device.PushNotifications:
    return device.PushNotifications(
        "http://beams.example",
        state_file=state_file,
        platform=platform,
        os_version=os_version,
        http_client=http,
        sleep=sleep or FakeSleep(),
        retry=device.Retry(attempts=3, jitter=lambda: 1.0),
    )


class TestBeforeStart:
    @pytest.mark.parametrize(
        "operation",
        [
            lambda app: app.register_device_token(TOKEN),
            lambda app: app.set_user_id("user-001", provider()),
            lambda app: app.clear_all_state(),
            lambda app: app.stop(),
            lambda app: app.add_device_interest("hello"),
            lambda app: app.remove_device_interest("hello"),
            lambda app: app.set_device_interests(["hello"]),
            lambda app: app.clear_device_interests(),
            lambda app: app.get_device_interests(),
        ],
    )
    def test_every_operation_asks_for_start(
        self, beams: FakeBeams, http: httpx.Client, operation: object
    ) -> None:
        """Before start every operation raises, and sends nothing."""
        assert callable(operation)

        with pytest.raises(device.NotStarted):
            operation(build(http))
        assert [] == beams.seen

    def test_there_is_no_device_and_no_user(self, http: httpx.Client) -> None:
        """A device that was never started has neither a name nor a user."""
        app = build(http)

        assert (None, None) == (app.device_id, app.user_id)

    def test_an_empty_instance_is_refused(self, http: httpx.Client) -> None:
        """Starting with no instance id is the caller's mistake."""
        with pytest.raises(ValueError, match="instance_id"):
            build(http).start("")

    @pytest.mark.parametrize("endpoint", ["ftp://beams.example", "http://", "http://h/?a=1", ""])
    def test_an_unreadable_endpoint_is_refused(self, endpoint: str) -> None:
        """An endpoint that is neither a base URL nor a host is the caller's mistake."""
        with pytest.raises(ValueError, match="endpoint"):
            device.PushNotifications(endpoint)

    def test_an_unknown_platform_is_refused(self) -> None:
        """A platform other than the three is the caller's mistake."""
        with pytest.raises(ValueError, match="platform"):
            device.PushNotifications(platform="gcm")


class TestRegistration:
    def test_apns_sends_what_the_ios_sdk_sends(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """An APNs device registers its token in lower-case hex, its bundle and its versions."""
        app.register_device_token(TOKEN, "com.example.app")

        assert ["POST devices/apns"] == beams.seen
        assert [
            {
                "token": "e4ce01",
                "bundleIdentifier": "com.example.app",
                "metadata": {"sdkVersion": "0.1.0", "iosVersion": "17.5.1"},
            }
        ] == beams.bodies
        assert app.device_id == "apns-1"

    def test_hexadecimal_text_is_the_same_token_as_its_bytes(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """Bytes and their digits in either case are one device."""
        for form in (TOKEN, "E4CE01", "e4ce01"):
            app.register_device_token(form)

        assert ["apns-1"] == list(beams.devices)

    def test_a_missing_bundle_is_sent_as_ios_does(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """An app without a bundle identifier registers with the iOS SDK's stand-in."""
        app.register_device_token("not hexadecimal")

        body = beams.devices["apns-1"].registration
        assert ("not hexadecimal", "missing-bundle-id") == (body["token"], body["bundleIdentifier"])

    def test_the_bundle_is_remembered(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """A later registration without a bundle identifier uses the last one."""
        registered.register_device_token(TOKEN)

        assert beams.devices["apns-1"].registration["bundleIdentifier"] == "com.example.app"

    def test_fcm_sends_what_the_android_sdk_sends(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """An FCM device registers its token as it is."""
        app = build(http, platform="fcm", os_version="14")
        app.start(INSTANCE)

        app.register_device_token("FCM:Token")

        assert [
            {
                "token": "FCM:Token",
                "knownPreviousClientIds": [],
                "metadata": {"sdkVersion": "0.1.0", "androidVersion": "14"},
            }
        ] == beams.bodies

    @pytest.mark.parametrize("form", [SUBSCRIPTION, json.dumps(SUBSCRIPTION)])
    def test_web_sends_what_the_web_sdk_sends(
        self, beams: FakeBeams, http: httpx.Client, form: str | dict[str, object]
    ) -> None:
        """A browser registers the standard base64 of its subscription's JSON."""
        app = build(http, platform="web")
        app.start(INSTANCE)

        app.register_device_token(form)

        body = beams.devices["web-1"].registration
        assert SUBSCRIPTION == subscription_of(str(body["token"]))
        assert {"sdkVersion": "0.1.0"} == body["metadata"]

    @pytest.mark.parametrize(
        "platform,token,error",
        [
            ("apns", b"", ValueError),
            ("apns", {"endpoint": "x"}, TypeError),
            ("fcm", b"bytes", TypeError),
            ("fcm", "", ValueError),
            ("web", b"bytes", TypeError),
            ("web", "no JSON", ValueError),
            ("web", "[]", ValueError),
            ("web", {"keys": {}}, ValueError),
        ],
    )
    def test_a_token_of_another_platform_is_refused(
        self,
        beams: FakeBeams,
        http: httpx.Client,
        platform: str,
        token: bytes | str | dict[str, object],
        error: type[Exception],
    ) -> None:
        """A token that this platform cannot have is the caller's mistake."""
        app = build(http, platform=platform)
        app.start(INSTANCE)

        with pytest.raises(error):
            app.register_device_token(token)
        assert [] == beams.seen

    def test_only_apns_has_bundles(self, http: httpx.Client) -> None:
        """A bundle identifier on another platform is the caller's mistake."""
        app = build(http, platform="fcm")
        app.start(INSTANCE)

        with pytest.raises(ValueError, match="bundle"):
            app.register_device_token("token", "com.example.app")

    def test_the_servers_interests_become_ours(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Registering the same token again overwrites our interests with the server's."""
        beams.devices["apns-1"].interests = {"theirs"}

        registered.register_device_token(TOKEN)

        assert ["theirs"] == registered.get_device_interests()
        assert ["POST devices/apns"] == beams.seen

    def test_interests_changed_before_it_are_laid_over_the_servers(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """Changes made before registration are applied to the server's set, and sent once."""
        beams.initial_interests = {"kept", "dropped"}
        app.add_device_interest("hello")
        app.remove_device_interest("dropped")
        assert ["hello"] == app.get_device_interests()
        assert [] == beams.seen

        app.register_device_token(TOKEN)

        assert ["hello", "kept"] == app.get_device_interests()
        assert {"hello", "kept"} == beams.devices["apns-1"].interests
        assert ["POST devices/apns", "PUT devices/apns/apns-1/interests"] == beams.seen

    def test_interests_that_agree_are_not_sent(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """When the server has the wanted set already there is no second request."""
        beams.initial_interests = {"hello"}
        app.add_device_interest("hello")

        app.register_device_token(TOKEN)

        assert ["POST devices/apns"] == beams.seen

    def test_changes_wait_until_the_server_has_them(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """Interests that could not be sent after registering are sent by the next registration."""
        app.add_device_interest("hello")
        beams.faults = [no_fault, no_connection, no_connection, no_connection]
        with pytest.raises(device.Unreachable):
            app.register_device_token(TOKEN)
        assert ("apns-1", ["hello"]) == (app.device_id, app.get_device_interests())

        app.register_device_token(TOKEN)

        assert {"hello"} == beams.devices["apns-1"].interests

    def test_a_new_token_takes_interests_and_user_to_the_new_device(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """When the push service changes the token the new device is set up like the old."""
        registered.add_device_interest("hello")
        registered.set_user_id("user-001", provider())

        registered.register_device_token(OTHER_TOKEN)

        assert "apns-2" == registered.device_id
        assert {"hello"} == beams.devices["apns-2"].interests
        assert "user-001" == registered.user_id == beams.devices["apns-2"].user

    def test_a_refused_token_changes_nothing(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """A push token that the server cannot validate is reported as such."""
        text = "The device token provided could not be validated against any known credentials"
        beams.faults = [status(401, "Unauthorized", text)]

        with pytest.raises(device.BadDeviceToken) as caught:
            app.register_device_token(TOKEN)
        assert (401, "Unauthorized", text) == (
            caught.value.status,
            caught.value.error,
            caught.value.description,
        )
        assert app.device_id is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b'{"id": ""}',
            b'{"id": 1}',
            b'{"id": "x", "initialInterestSet": "a"}',
            b'{"id": "x", "initialInterestSet": [1]}',
        ],
    )
    def test_a_senseless_reply_changes_nothing(
        self, beams: FakeBeams, app: device.PushNotifications, body: bytes
    ) -> None:
        """A reply without a device id, or with interests that are none, is reported."""
        beams.faults = [lambda _answer, _request: httpx.Response(200, content=body)]

        with pytest.raises(device.UnexpectedReply):
            app.register_device_token(TOKEN)
        assert app.device_id is None

    def test_interests_may_be_left_out_of_the_reply(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """A server that tells no interests has none for us."""
        beams.faults = [lambda _answer, _request: httpx.Response(200, json={"id": "apns-9"})]

        app.register_device_token(TOKEN)

        assert ("apns-9", []) == (app.device_id, app.get_device_interests())

    def test_an_unknown_instance_is_not_found(self, http: httpx.Client) -> None:
        """A server without our instance says so."""
        app = build(http)
        app.start(OTHER_INSTANCE)

        with pytest.raises(device.NotFound, match="instance"):
            app.register_device_token(TOKEN)


class TestInterests:
    def test_one_is_added_and_removed_by_name(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """A single change is a single request with the name in its path."""
        registered.add_device_interest("a;b")
        registered.remove_device_interest("a;b")

        assert [
            "POST devices/apns/apns-1/interests/a%3Bb",
            "DELETE devices/apns/apns-1/interests/a%3Bb",
        ] == beams.seen

    def test_a_set_is_sent_as_a_whole(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Setting the interests replaces the server's, without repetitions."""
        registered.set_device_interests(["b", "a", "b"])

        assert ["a", "b"] == registered.get_device_interests()
        assert [{"interests": ["a", "b"]}] == beams.bodies

    def test_clearing_leaves_none(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Clearing leaves no interest here or at the server."""
        registered.add_device_interest("hello")

        registered.clear_device_interests()

        assert [] == registered.get_device_interests()
        assert set() == beams.devices["apns-1"].interests

    def test_what_is_so_already_is_not_sent(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """A change that changes nothing costs no request."""
        registered.remove_device_interest("absent")
        registered.clear_device_interests()

        assert [] == beams.seen

    @pytest.mark.parametrize("name", ["", "with space", "ü", "a" * 165, "a\n", "a/b"])
    def test_a_bad_name_is_refused(
        self, beams: FakeBeams, registered: device.PushNotifications, name: str
    ) -> None:
        """A name that breaks the rule is the caller's mistake, and nothing is sent."""
        for operation in (registered.add_device_interest, registered.remove_device_interest):
            with pytest.raises(ValueError, match="interest"):
                operation(name)
        with pytest.raises(ValueError, match="interest"):
            registered.set_device_interests(["good", name])
        assert [] == beams.seen

    def test_one_string_is_not_a_set(self, registered: device.PushNotifications) -> None:
        """A string in place of several is a mistake, not a set of letters."""
        with pytest.raises(TypeError):
            registered.set_device_interests("hello")

    def test_something_else_than_a_string_is_no_interest(
        self, registered: device.PushNotifications
    ) -> None:
        """A number is the caller's mistake."""
        with pytest.raises(TypeError):
            registered.add_device_interest(1)  # type: ignore[arg-type]  # the mistake

    def test_too_many_are_refused(self, registered: device.PushNotifications) -> None:
        """A device has at most 5000 interests."""
        with pytest.raises(ValueError, match="5000"):
            registered.set_device_interests(str(number) for number in range(5001))

    def test_a_lost_device_is_created_again(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """404 makes a new device with the interests and the user, and the change is repeated."""
        registered.set_user_id("user-001", provider())
        registered.add_device_interest("a")
        beams.devices.clear()
        beams.forget_requests()

        registered.add_device_interest("b")

        assert [
            "POST devices/apns/apns-1/interests/b",
            "POST devices/apns",
            "PUT devices/apns/apns-2/interests",
            "GET /pusher/beams-auth?user_id=user-001",
            "PUT devices/apns/apns-2/user",
            "POST devices/apns/apns-2/interests/b",
        ] == beams.seen
        assert ["a", "b"] == registered.get_device_interests()
        assert {"a", "b"} == beams.devices["apns-2"].interests
        assert "user-001" == registered.user_id == beams.devices["apns-2"].user

    def test_a_lost_device_forgets_a_user_that_cannot_be_proved(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """When the token provider fails for the new device, the interest is still set."""
        sessions = iter(["session", "expired"])
        fading = device.BeamsTokenProvider(
            "https://customer.example/pusher/beams-auth",
            lambda: device.AuthData({"Authorization": f"Bearer {next(sessions)}"}),
        )
        registered.set_user_id("user-001", fading)
        beams.devices.clear()

        registered.add_device_interest("a")

        assert (None, ["a"]) == (registered.user_id, registered.get_device_interests())

    def test_a_device_that_stays_lost_is_reported(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """The change is repeated once and no more."""
        lost = status(404, "Not found", "Device not found")
        beams.faults = [lost, no_fault, lost]

        with pytest.raises(device.NotFound):
            registered.add_device_interest("a")
        assert len(beams.seen) == 3
        assert [] == registered.get_device_interests()

    @pytest.mark.parametrize("code", [400, 422])
    def test_a_refusal_changes_nothing(
        self, beams: FakeBeams, registered: device.PushNotifications, code: int
    ) -> None:
        """A change that the server refuses is reported and not kept."""
        beams.faults = [status(code, "Bad request", "no")]

        with pytest.raises(device.RequestRefused, match="no"):
            registered.add_device_interest("a")
        assert [] == registered.get_device_interests()

    def test_a_lost_reply_is_made_good_by_the_next_change(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """After a change of which nobody knows whether it happened, the whole set is sent."""
        beams.faults = [reply_lost] * 3
        with pytest.raises(device.Unreachable):
            registered.add_device_interest("doubtful")
        assert {"doubtful"} == beams.devices["apns-1"].interests

        registered.add_device_interest("sure")

        assert ["sure"] == registered.get_device_interests()
        assert {"sure"} == beams.devices["apns-1"].interests


class TestUser:
    def test_the_token_comes_from_the_customers_server(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Logging in fetches a Beams token and shows it to the server."""
        registered.set_user_id("user-001", provider())

        assert [
            "GET /pusher/beams-auth?user_id=user-001",
            "PUT devices/apns/apns-1/user",
        ] == beams.seen
        assert "Bearer for.user-001" == beams.requests[-1].headers["authorization"]
        assert b"" == beams.requests[-1].content
        assert "user-001" == registered.user_id == beams.devices["apns-1"].user

    def test_the_same_user_is_proved_again(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Calling again for the same user repeats both requests."""
        registered.set_user_id("user-001", provider())
        registered.set_user_id("user-001", provider())

        assert 2 == beams.seen.count("PUT devices/apns/apns-1/user")

    def test_another_user_must_wait_for_a_log_out(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """A second user on the same device is refused here, and nothing is sent."""
        registered.set_user_id("user-001", provider())
        beams.forget_requests()

        with pytest.raises(device.UserAlreadySet) as caught:
            registered.set_user_id("user-002", provider())
        assert "user-001" == caught.value.user_id == registered.user_id
        assert [] == beams.seen

    def test_a_user_needs_a_registered_device(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """Before registration there is nothing to bind, and the app is told."""
        with pytest.raises(device.NotRegistered):
            app.set_user_id("user-001", provider())
        assert [] == beams.seen

    @pytest.mark.parametrize("user_id", ["", "u" * 165])
    def test_a_user_id_has_a_length(
        self, registered: device.PushNotifications, user_id: str
    ) -> None:
        """A user id of no or too many characters is the caller's mistake."""
        with pytest.raises(ValueError, match="user id"):
            registered.set_user_id(user_id, provider())

    def test_a_customers_refusal_is_reported(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """When the customer's server gives no token the app learns its status."""
        with pytest.raises(device.TokenProviderError) as caught:
            registered.set_user_id("user-001", provider(session="wrong"))
        assert 401 == caught.value.status
        assert registered.user_id is None
        assert ["GET /pusher/beams-auth?user_id=user-001"] == beams.seen

    @pytest.mark.parametrize(
        "code,error",
        [
            (400, device.RequestRefused),
            (401, device.BadBeamsToken),
            (403, device.BadBeamsToken),
            (404, device.NotFound),
            (422, device.RequestRefused),
            (503, device.Unreachable),
        ],
    )
    def test_a_refusal_is_reported_and_changes_nothing(
        self,
        beams: FakeBeams,
        registered: device.PushNotifications,
        code: int,
        error: type[device.DeviceError],
    ) -> None:
        """Each answer to the binding but success reaches the app, and nobody is logged in."""
        beams.faults = [no_fault, *[status(code)] * 3]

        with pytest.raises(error):
            registered.set_user_id("user-001", provider())
        assert registered.user_id is None

    def test_a_refused_user_is_not_tried_again_behind_the_apps_back(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """A log-in that failed leaves no token provider behind."""
        beams.faults = [no_fault, status(401)]
        with pytest.raises(device.BadBeamsToken):
            registered.set_user_id("user-001", provider())

        registered.register_device_token(TOKEN)

        assert "" == beams.devices["apns-1"].user


class TestLogOut:
    def test_it_makes_a_new_clean_device(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Logging out deletes the device and registers the same token anew."""
        registered.set_user_id("user-001", provider())
        registered.add_device_interest("hello")
        beams.forget_requests()

        registered.clear_all_state()

        assert ["DELETE devices/apns/apns-1", "POST devices/apns"] == beams.seen
        assert ("apns-2", None, []) == (
            registered.device_id,
            registered.user_id,
            registered.get_device_interests(),
        )
        assert ["apns-2"] == list(beams.devices)
        assert "com.example.app" == beams.devices["apns-2"].registration["bundleIdentifier"]

    def test_the_user_does_not_come_back(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """After log-out no registration binds the former user again."""
        registered.set_user_id("user-001", provider())
        registered.clear_all_state()

        registered.register_device_token(OTHER_TOKEN)
        beams.devices.clear()
        registered.add_device_interest("hello")

        assert [""] == [kept.user for kept in beams.devices.values()]

    def test_another_user_may_follow(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """After log-out the next person logs in on the same device."""
        registered.set_user_id("user-001", provider())
        registered.clear_all_state()

        registered.set_user_id("user-002", provider())

        assert ["user-002"] == [kept.user for kept in beams.devices.values()]

    def test_a_failed_deletion_changes_nothing(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """When the server cannot be told, the user is still logged in here too."""
        registered.set_user_id("user-001", provider())
        registered.add_device_interest("hello")
        beams.faults = [no_connection] * 3

        with pytest.raises(device.Unreachable):
            registered.clear_all_state()
        assert ("apns-1", "user-001", ["hello"]) == (
            registered.device_id,
            registered.user_id,
            registered.get_device_interests(),
        )

    @pytest.mark.parametrize("repair", ["register", "clear"])
    def test_a_failed_registration_is_repaired_later(
        self, beams: FakeBeams, registered: device.PushNotifications, repair: str
    ) -> None:
        """When only the second half fails the device is clean, and either call goes on."""
        registered.set_user_id("user-001", provider())
        beams.faults = [no_fault, *[no_connection] * 3]
        with pytest.raises(device.Unreachable):
            registered.clear_all_state()
        assert (None, None) == (registered.device_id, registered.user_id)

        if repair == "register":
            registered.register_device_token(TOKEN)
        else:
            registered.clear_all_state()

        assert "apns-2" == registered.device_id

    def test_a_device_that_the_server_lost_is_as_good_as_deleted(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """404 to the deletion does not stand in the way of logging out."""
        beams.faults = [status(404, "Not found", "Device not found")]
        beams.devices.clear()

        registered.clear_all_state()

        assert "apns-2" == registered.device_id

    def test_before_registration_it_only_forgets(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """With no device there is nothing to delete, and waiting changes are dropped."""
        app.add_device_interest("hello")

        app.clear_all_state()

        assert [] == beams.seen == app.get_device_interests()


class TestStop:
    def test_it_forgets_everything(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """Stopping deletes the device; another instance may then be started."""
        registered.stop()

        assert {} == beams.devices
        assert (None, None) == (registered.device_id, registered.user_id)
        registered.start(OTHER_INSTANCE)
        assert [] == registered.get_device_interests()

    def test_a_failed_deletion_changes_nothing(
        self, beams: FakeBeams, registered: device.PushNotifications
    ) -> None:
        """When the server cannot be told, the device is kept."""
        beams.faults = [status(500)] * 3

        with pytest.raises(device.Unreachable):
            registered.stop()
        assert "apns-1" == registered.device_id


class TestRestart:
    def test_the_same_device_goes_on(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """A new process with the same file has the same device, user and interests."""
        file = tmp_path / "state" / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.register_device_token(TOKEN)
        first.set_user_id("user-001", provider())
        first.add_device_interest("hello")
        beams.forget_requests()

        second = build(http, state_file=file)
        second.start(INSTANCE)

        assert ("apns-1", "user-001", ["hello"]) == (
            second.device_id,
            second.user_id,
            second.get_device_interests(),
        )
        assert [] == beams.seen

    def test_waiting_changes_survive(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """Interests changed before registration are not lost with the process."""
        file = tmp_path / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.add_device_interest("hello")

        second = build(http, state_file=file)
        second.start(INSTANCE)
        second.register_device_token(TOKEN)

        assert {"hello"} == beams.devices["apns-1"].interests

    def test_the_token_provider_is_not_stored(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """After a restart a lost device comes back without its user, until set_user_id."""
        file = tmp_path / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.register_device_token(TOKEN)
        first.set_user_id("user-001", provider())
        beams.devices.clear()

        second = build(http, state_file=file)
        second.start(INSTANCE)
        second.add_device_interest("hello")

        assert second.user_id is None
        second.set_user_id("user-001", provider())
        assert "user-001" == beams.devices["apns-2"].user

    def test_another_instance_is_refused(self, http: httpx.Client, tmp_path: Path) -> None:
        """State of one instance is not used with another."""
        file = tmp_path / "device.json"
        build(http, state_file=file).start(INSTANCE)
        second = build(http, state_file=file)

        with pytest.raises(device.OtherInstance) as caught:
            second.start(OTHER_INSTANCE)
        assert INSTANCE == caught.value.instance_id
        assert second.device_id is None

    def test_another_instance_is_refused_in_the_same_process(
        self, app: device.PushNotifications
    ) -> None:
        """A started device may be started again with its own instance only."""
        app.start(INSTANCE)

        with pytest.raises(device.OtherInstance):
            app.start(OTHER_INSTANCE)

    def test_another_platform_is_refused(self, http: httpx.Client, tmp_path: Path) -> None:
        """State of one push service is not used with another."""
        file = tmp_path / "device.json"
        build(http, state_file=file).start(INSTANCE)

        with pytest.raises(device.StateError, match="apns"):
            build(http, state_file=file, platform="web").start(INSTANCE)

    def test_changed_metadata_is_told(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """After an update of the operating system the server learns the new version, once."""
        file = tmp_path / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.register_device_token(TOKEN)
        beams.forget_requests()

        for _launch in range(2):
            build(http, state_file=file, os_version="18.0").start(INSTANCE)

        assert ["PUT devices/apns/apns-1/metadata"] == beams.seen
        assert "18.0" == beams.devices["apns-1"].metadata["iosVersion"]

    @pytest.mark.parametrize("fault", [no_connection, status(404), status(500)])
    def test_an_app_starts_without_the_server(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path, fault: object
    ) -> None:
        """What start cannot tell is tried once, and again at the next start."""
        file = tmp_path / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.register_device_token(TOKEN)
        assert callable(fault)
        beams.faults = [fault]
        beams.forget_requests()

        build(http, state_file=file, os_version="18.0").start(INSTANCE)
        assert 1 == len(beams.seen)

        build(http, state_file=file, os_version="18.0").start(INSTANCE)
        assert "18.0" == beams.devices["apns-1"].metadata["iosVersion"]

    def test_a_doubtful_change_is_settled_at_start(
        self, beams: FakeBeams, http: httpx.Client, tmp_path: Path
    ) -> None:
        """Interests whose last change got no reply are sent whole at the next start."""
        file = tmp_path / "device.json"
        first = build(http, state_file=file)
        first.start(INSTANCE)
        first.register_device_token(TOKEN)
        beams.faults = [reply_lost] * 3
        with pytest.raises(device.Unreachable):
            first.add_device_interest("doubtful")

        build(http, state_file=file).start(INSTANCE)

        assert set() == beams.devices["apns-1"].interests

    def test_stop_removes_the_file(self, http: httpx.Client, tmp_path: Path) -> None:
        """After stop nothing is left on the disk."""
        app = build(http, state_file=tmp_path / "device.json")
        app.start(INSTANCE)

        app.stop()

        assert [] == list(tmp_path.iterdir())


class TestRetry:
    @pytest.mark.parametrize("fault", [no_connection, reply_lost, status(503), status(429)])
    def test_a_passing_fault_is_not_noticed(
        self, beams: FakeBeams, http: httpx.Client, fault: object
    ) -> None:
        """A request is repeated after no reply, 5xx and 429, each wait twice the last."""
        assert callable(fault)
        sleep = FakeSleep()
        app = build(http, sleep=sleep)
        app.start(INSTANCE)
        beams.faults = [fault, fault]

        app.register_device_token(TOKEN)

        assert "apns-1" == app.device_id
        assert [0.4, 0.8] == sleep.seconds

    def test_a_lasting_fault_is_reported(
        self, beams: FakeBeams, app: device.PushNotifications
    ) -> None:
        """After the last attempt the app learns the status, and no more is sent."""
        beams.faults = [status(503)] * 9

        with pytest.raises(device.Unreachable) as caught:
            app.register_device_token(TOKEN)
        assert 503 == caught.value.status
        assert 3 == len(beams.seen)

    def test_no_reply_has_no_status(self, beams: FakeBeams, app: device.PushNotifications) -> None:
        """A connection that fails leaves its cause."""
        beams.faults = [no_connection] * 3

        with pytest.raises(device.Unreachable) as caught:
            app.register_device_token(TOKEN)
        assert caught.value.status is None
        assert isinstance(caught.value.__cause__, httpx.ConnectError)

    def test_waits_stay_below_their_maximum(self) -> None:
        """Waits double up to a maximum, and jitter takes at most half away."""
        longest = device.Retry(attempts=8, max_seconds=5, jitter=lambda: 1.0)
        shortest = device.Retry(attempts=8, max_seconds=5, jitter=lambda: 0.0)

        assert [0.4, 0.8, 1.6, 3.2, 5, 5, 5] == list(longest.waits())
        assert [0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5] == list(shortest.waits())


class TestAsync:
    async def test_it_lives_the_same_life(self, beams: FakeBeams) -> None:
        """The asynchronous class runs the same operations, one after the other."""

        async def auth_data() -> device.AuthData:
            return device.AuthData({"Authorization": "Bearer session"})

        sleep = FakeSleep()
        async with (
            beams.async_client() as http,
            device.AsyncPushNotifications(
                "http://beams.example", http_client=http, sleep=sleep.asynchronously
            ) as app,
        ):
            await app.start(INSTANCE)
            beams.faults = [no_connection]
            await app.register_device_token(TOKEN)
            await app.set_device_interests(["a", "b"])
            await app.add_device_interest("c")
            await app.remove_device_interest("b")
            beams.forget_requests()
            await app.set_user_id(
                "user-001",
                device.BeamsTokenProvider("https://customer.example/beams-auth", auth_data),
            )
            assert (["a", "c"], "user-001") == (app.get_device_interests(), app.user_id)
            await app.clear_device_interests()
            await app.clear_all_state()
            assert ("apns-2", None, []) == (app.device_id, app.user_id, app.get_device_interests())
            await app.stop()

        assert 1 == len(sleep.seconds)
        assert {} == beams.devices

    async def test_errors_reach_the_caller(self, beams: FakeBeams) -> None:
        """What an operation raises, the awaiting caller catches."""
        async with beams.async_client() as http:
            app = device.AsyncPushNotifications("http://beams.example", http_client=http)
            with pytest.raises(device.NotStarted):
                await app.stop()
            await app.start(INSTANCE)
            beams.faults = [status(400, "Bad request", "no")]
            with pytest.raises(device.RequestRefused):
                await app.register_device_token(TOKEN)

    async def test_it_closes_its_own_connections(self) -> None:
        """The asynchronous class can be opened and closed with nothing sent."""
        async with device.AsyncPushNotifications() as app:
            assert app.device_id is None


def test_the_synchronous_class_closes_its_own_connections() -> None:
    """The synchronous class can be opened and closed with nothing sent."""
    with device.PushNotifications() as app:
        assert app.device_id is None
