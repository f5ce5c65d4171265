"""What each SDK makes of a notification, and what it reports (contract §3 and §7)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.fakes import (
    INSTANCE,
    OTHER_INSTANCE,
    Enough,
    FakeBeams,
    FakeSleep,
    no_connection,
    no_fault,
    provider,
    status,
)
from client.imitations import TOKENS, imitation, registered
from heliograph.client import device
from heliograph.client.notifications import AppState, handle
from heliograph.client.state import PLATFORMS, Platform, State

PUSHER = {"instanceId": INSTANCE, "publishId": "pubid-1"}
DEVICE = {"deviceId": "apns-1", "timestampSecs": 1_700_000_000}
IGNORED = PUSHER | {"userShouldIgnore": True}


def apns(pusher: object = PUSHER, *, alert: bool = True, **data: object) -> dict[str, Any]:
    """What an app on iOS is given."""
    aps = {"content-available": 1} | ({"alert": "Hello"} if alert else {})
    return {"aps": aps, "data": data | ({} if pusher is None else {"pusher": pusher})}


def fcm(**more: object) -> dict[str, Any]:
    """What an app on Android is given: all data is text."""
    pusher = PUSHER | {"hasDisplayableContent": True, "hasData": True} | more
    return {"notification": {"title": "Hello"}, "data": {"pusher": json.dumps(pusher), "a": "1"}}


def web(**notification: object) -> dict[str, Any]:
    """What a browser decrypts."""
    pusher = PUSHER | {"hasDisplayableContent": True, "hasData": False}
    return {"notification": {"title": "Hello"} | notification, "data": {"pusher": pusher}}


@pytest.fixture
def beams() -> FakeBeams:
    return FakeBeams()


@pytest.fixture
def http(beams: FakeBeams) -> Iterator[httpx.Client]:
    with beams.client() as client:
        yield client


class TestIos:
    @pytest.mark.parametrize(
        "payload, app_state, should_process",
        [
            (apns(), "background", True),
            (apns(IGNORED), "background", False),
            (apns(IGNORED), "active", False),
            (apns(IGNORED), "inactive", False),
            (apns(IGNORED, order="1"), "background", False),
            (apns(IGNORED, order="1"), "active", True),
            (apns(IGNORED, order="1"), "inactive", True),
            (apns(IGNORED | {"userShouldIgnore": False}), "active", False),
            (apns(None), "background", True),
            (apns(IGNORED | {"instanceId": OTHER_INSTANCE}), "background", True),
            (apns({"userShouldIgnore": True}), "background", True),
        ],
    )
    def test_its_verdict(
        self, http: httpx.Client, payload: dict[str, Any], app_state: str, should_process: bool
    ) -> None:
        """§3.1: ShouldIgnore needs userShouldIgnore, no news for the app, and a known device."""
        app = registered(http, "ios")

        assert should_process == app.handle_notification(payload, app_state).should_process

    def test_deliveries_and_openings(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§7: a delivery has its circumstances, an opening has not; a user is named."""
        app = registered(http, "ios")
        app.handle_notification(apns(), "active")
        app.handle_notification(apns(alert=False, order="1"), "background")
        app.set_user_id("u", provider())
        app.handle_notification(apns(), "inactive")

        delivery = PUSHER | DEVICE | {"event": "Delivery"}
        assert [
            delivery | {"appInBackground": False, "hasDisplayableContent": True, "hasData": False},
            delivery | {"appInBackground": True, "hasDisplayableContent": False, "hasData": True},
            PUSHER | DEVICE | {"event": "Open", "userId": "u"},
        ] == beams.reports

    @pytest.mark.parametrize(
        "payload", [apns(None), apns({"publishId": "p"}), apns({"instanceId": INSTANCE}), {}]
    )
    def test_what_is_not_ours_is_not_reported(
        self, beams: FakeBeams, http: httpx.Client, payload: dict[str, Any]
    ) -> None:
        """§3.1: without instance and publish there is no report."""
        registered(http, "ios").handle_notification(payload)

        assert [] == beams.reports

    def test_an_unregistered_device_reports_nothing(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§3.1: nor without a device."""
        assert imitation(http, "ios").handle_notification(apns(IGNORED)).should_process
        assert [] == beams.seen

    def test_a_report_that_is_not_found_creates_the_device_again(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§7, must-do 7: 404 makes iOS register and report again, at once and for ever."""
        sleep = FakeSleep(most=30)
        app = registered(http, "ios", sleep=sleep)
        beams.forget_requests()
        beams.faults = [status(404), no_fault] * 100
        with pytest.raises(Enough):
            app.handle_notification(apns())

        assert {0.0} == set(sleep.seconds)
        report = f"POST /reporting_api/v2/instances/{INSTANCE}/events"
        assert [report, "POST devices/apns"] * 2 == beams.seen[:4]

    @pytest.mark.parametrize("code", [409, 410, 422, 429, 500, 503])
    def test_a_report_is_repeated_in_the_queue(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§4.9: it blocks what comes after it, and is repeated as all else is."""
        sleep = FakeSleep()
        app = registered(http, "ios", sleep=sleep)
        beams.faults = [status(code)] * 3
        app.handle_notification(apns())

        assert (1, [0.4, 0.8, 1.6]) == (len(beams.reports), sleep.seconds)

    @pytest.mark.parametrize("code", [400, 401, 403])
    def test_a_refused_report_is_dropped(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§4.9: the app does not hear of it."""
        app = registered(http, "ios")
        beams.forget_requests()
        beams.faults = [status(code)]
        app.handle_notification(apns())

        assert 1 == len(beams.seen)


class TestAndroid:
    def test_deliveries_and_openings(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§7: as on iOS; what a payload holds says the string that the server added."""
        app = registered(http, "android")
        app.set_user_id("u", provider())
        app.handle_notification(fcm(), "active")
        app.handle_notification({"data": {"pusher": json.dumps(PUSHER)}}, "background")
        app.handle_notification(fcm(), "inactive")

        known = PUSHER | DEVICE | {"deviceId": "fcm-1", "userId": "u"}
        delivery = known | {"event": "Delivery"}
        assert [
            delivery | {"appInBackground": False, "hasDisplayableContent": True, "hasData": True},
            delivery | {"appInBackground": True, "hasDisplayableContent": False, "hasData": False},
            known | {"event": "Open"},
        ] == beams.reports

    def test_an_opening_does_what_was_asked(self, http: httpx.Client) -> None:
        """§3.2: the customer's click action is started, or else the app."""
        app = registered(http, "android")
        opened = [
            app.handle_notification(payload, app_state).opens
            for payload, app_state in [
                (fcm(clickAction="ORDER"), "inactive"),
                (fcm(), "inactive"),
                (fcm(clickAction="ORDER"), "background"),
            ]
        ]

        assert ["ORDER", None, None] == opened

    def test_a_validation_is_swallowed(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§3.2: the app does not hear of a message that only validates the token."""
        app = registered(http, "android")

        message = {"data": {"pusherTokenValidation": "true"}}
        assert not app.handle_notification(message).should_process
        assert app.handle_notification(fcm()).should_process
        assert 1 == len(beams.reports)

    @pytest.mark.parametrize("extra", ["{", "[]", '{"publishId": "p"}', {"publishId": "p"}, None])
    def test_an_extra_that_cannot_be_read_is_not_reported(
        self, beams: FakeBeams, http: httpx.Client, extra: object
    ) -> None:
        """§3.2: the extra is a string of JSON, and names instance and publish."""
        handled = registered(http, "android").handle_notification({"data": {"pusher": extra}})

        assert handled.should_process
        assert [] == beams.reports

    def test_a_failed_report_blocks_nothing(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§7: WorkManager repeats after 5xx, beside the queue, and once for each publish."""
        sleep = FakeSleep(most=2)
        app = registered(http, "android", sleep=sleep)
        beams.faults = [status(503)] * 9
        with pytest.raises(Enough):
            app.handle_notification(fcm())
        app.handle_notification(fcm())
        beams.faults = []
        beams.forget_requests()
        app.add_device_interest("hello")

        assert [30.0, 60.0] == sleep.seconds
        assert "POST devices/fcm/fcm-1/interests/hello" == beams.seen[0]
        assert 1 == len(beams.reports)

    @pytest.mark.parametrize("code", [400, 404, 422, 429])
    def test_a_refused_report_is_dropped(
        self, beams: FakeBeams, http: httpx.Client, code: int
    ) -> None:
        """§7: any 4xx drops the event, 404 and 429 as well."""
        app = registered(http, "android")
        beams.forget_requests()
        beams.faults = [status(code)]
        app.handle_notification(fcm())

        assert 1 == len(beams.seen)


class TestWeb:
    def test_deliveries_and_openings(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§7: both events have the same fields, in lower case, and no instance."""
        app = registered(http, "web")
        app.handle_notification(web(), "active")
        app.set_user_id("u", provider())
        app.handle_notification(web(), "inactive")

        both = {
            "publishId": "pubid-1",
            "deviceId": "web-1",
            "timestampSecs": 1_700_000_000,
            "hasDisplayableContent": True,
            "hasData": False,
        }
        assert [
            both | {"event": "delivery", "userId": None, "appInBackground": False},
            both | {"event": "open", "userId": "u", "appInBackground": True},
        ] == beams.reports

    def test_a_device_that_is_not_registered_reports_too(
        self, beams: FakeBeams, http: httpx.Client
    ) -> None:
        """§7: its id may be null."""
        imitation(http, "web").handle_notification(web())

        assert [None] == [each["deviceId"] for each in beams.reports]

    @pytest.mark.parametrize(
        "notification, app_state, is_shown",
        [
            ({}, "background", True),
            ({}, "active", True),
            ({"hide_notification_if_site_has_focus": True}, "active", False),
            ({"hide_notification_if_site_has_focus": True}, "background", True),
            ({"hide_notification_if_site_has_focus": False}, "active", True),
            ({}, "inactive", False),
        ],
    )
    def test_what_it_shows(
        self,
        http: httpx.Client,
        notification: dict[str, Any],
        app_state: str,
        is_shown: bool,
    ) -> None:
        """§3.3: all but what is to be hidden from a site that has the focus."""
        handled = imitation(http, "web").handle_notification(web(**notification), app_state)

        shown = {"title": "Hello", "body": "", "icon": None}
        assert (shown if is_shown else None) == handled.shown

    def test_data_alone_shows_an_empty_notification(self, http: httpx.Client) -> None:
        """§3.3: the product sends an empty notification along, and this is what comes of it."""
        payload = web() | {"notification": {}}
        handled = imitation(http, "web").handle_notification(payload)

        assert {"title": "", "body": "", "icon": None} == handled.shown

    def test_an_opening_follows_the_link(self, http: httpx.Client) -> None:
        """§3.3: a deep link is opened by a click, and by nothing else."""
        app = imitation(http, "web")
        payload = web(deep_link="https://site.example/order")

        assert "https://site.example/order" == app.handle_notification(payload, "inactive").opens
        assert app.handle_notification(payload, "active").opens is None

    def test_a_strangers_push_is_ignored(self, beams: FakeBeams, http: httpx.Client) -> None:
        """§3.3: without ``data.pusher`` the worker does nothing at all."""
        handled = imitation(http, "web").handle_notification({"notification": {"title": "Hi"}})

        assert device.Handled(should_process=False) == handled
        assert [] == beams.seen

    @pytest.mark.parametrize("fault", [no_connection, status(404), status(503)])
    def test_what_becomes_of_a_report_does_not_matter(
        self, beams: FakeBeams, http: httpx.Client, fault: Any
    ) -> None:
        """§7: one request, whatever is answered."""
        app = imitation(http, "web")
        beams.faults = [fault]
        app.handle_notification(web())

        assert 1 == len(beams.seen)


def test_our_own_rules_report_too(beams: FakeBeams, http: httpx.Client) -> None:
    """Without a profile the platform's SDK is followed, and a refusal raised."""
    app = device.PushNotifications("http://beams.example", http_client=http, clock=lambda: 5.0)
    app.start(INSTANCE)
    app.register_device_token(TOKENS["ios"])
    handled = app.handle_notification(apns(IGNORED), "inactive")

    event = PUSHER | {"event": "Open", "deviceId": "apns-1", "timestampSecs": 5}
    assert [event] == beams.reports
    assert device.Handled(should_process=False, event=event) == handled
    beams.faults = [status(400)]
    with pytest.raises(device.RequestRefused):
        app.handle_notification(apns())


def test_there_are_three_states_of_an_app(http: httpx.Client) -> None:
    """Another one is an error."""
    with pytest.raises(ValueError, match="'asleep' is not a valid AppState"):
        registered(http, "ios").handle_notification(apns(), "asleep")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["aps", "data", "pusher", "notification", "publishId", "instanceId"]), inner
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(PLATFORMS),
    st.dictionaries(st.sampled_from(["aps", "data", "notification"]), json_values),
    st.sampled_from(AppState),
)
def test_no_payload_is_too_strange(
    platform: Platform, payload: dict[str, Any], app_state: AppState
) -> None:
    """Whatever arrives has a verdict."""
    state = State(INSTANCE, platform, device_id="d-1")

    assert handle(platform, payload, app_state, state, seconds=0).should_process in {True, False}
