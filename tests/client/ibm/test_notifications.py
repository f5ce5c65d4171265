"""What each SDK makes of a message, and what it reports (contract §5.3 to §5.5, §5.8)."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ibm.scripts import Script, ok, text
from heliograph.client.ibm.device import AppState, Crash, Handled
from heliograph.client.ibm.notifications import DISMISS, handle
from heliograph.client.ibm.profiles import PROFILES
from heliograph.client.ibm.templates import filled

PAYLOAD = json.dumps({"nid": "AbC12345", "order": 7})
VARIABLES = {"name": "Ada"}


def seen(profile: str, message: dict[str, Any], state: AppState = AppState.BACKGROUND) -> Handled:
    return handle(PROFILES[profile], message, state, VARIABLES)


def fcm(**data: str) -> dict[str, Any]:
    """A message to Android, with its id."""
    return {"data": {"payload": PAYLOAD, "alert": "Hello"} | data}


class TestIos:
    """Contract §5.3."""

    def test_what_it_says(self) -> None:
        """Words are in ``aps``; url, attachment and the sender's own are beside it."""
        handled = seen(
            "ios",
            {
                "aps": {
                    "alert": {"body": "Hello", "title": "T", "subtitle": "S"},
                    "badge": 3,
                    "sound": "ping",
                    "category": "cat",
                },
                "url": "https://x",
                "attachment-url": "https://y",
                "payload": PAYLOAD,
            },
        )

        assert handled == Handled(
            nid="AbC12345",
            is_shown=True,
            report="SEEN",
            alert="Hello",
            title="T",
            subtitle="S",
            url="https://x",
            sound="ping",
            badge=3,
            category="cat",
            attachment_url="https://y",
            payload={"nid": "AbC12345", "order": 7},
        )

    def test_silent(self) -> None:
        """A silent one shows nothing, and is reported all the same."""
        handled = seen("ios", {"aps": {"content-available": 1}, "payload": PAYLOAD})

        assert handled.is_silent
        assert (False, "SEEN") == (handled.is_shown, handled.report)

    def test_a_template(self) -> None:
        """With ``has-template`` the SDK makes the notification, with the app's variables."""
        message = {
            "aps": {"content-available": 1},
            "has-template": 1,
            "template": {
                "alert": {"body": "Hi {{ name }}", "title": "T", "subTitle": "S", "sound": "ping"},
                "badge": 2,
                "category": "cat",
            },
            "payload": {"nid": "AbC12345"},
        }
        handled = seen("ios", message)

        assert ("Hi Ada", "T", "S", "ping") == (
            handled.alert,
            handled.title,
            handled.subtitle,
            handled.sound,
        )
        assert ("AbC12345", 2, "cat", True) == (
            handled.nid,
            handled.badge,
            handled.category,
            handled.is_shown,
        )

    @pytest.mark.parametrize(
        "state, report",
        [("background", "SEEN"), ("active", "OPEN"), ("inactive", "OPEN")],
    )
    def test_reports(self, state: str, report: str) -> None:
        """Contract §5.8: seen in the background, else opened."""
        message = {"aps": {"alert": {"body": "Hello"}}, "payload": PAYLOAD}

        assert report == seen("ios", message, AppState(state)).report

    def test_an_alert_of_text(self) -> None:
        """A publish of another dialect is shown, and not reported: it has no ``nid``."""
        handled = seen("ios", {"aps": {"alert": "Hello"}, "data": {}})

        assert ("Hello", None, None) == (handled.alert, handled.nid, handled.report)


class TestAndroid:
    """Contract §5.4."""

    def test_what_it_says(self) -> None:
        """All is text in ``data``; style, lights and channel are JSON in it."""
        handled = seen(
            "android",
            fcm(
                androidTitle="T",
                url="https://x",
                icon="i",
                sound="s",
                interactiveCategory="cat",
                style='{"type":"inbox_notification","title":"T","lines":["a","b, c"]}',
                lights='{"ledARGB":"RED","ledOnMS":1,"ledOffMS":2}',
                channel='{"channelId":"c","importance":3}',
            ),
        )

        assert ("Hello", "T", "https://x", "i", "s", "cat") == (
            handled.alert,
            handled.title,
            handled.url,
            handled.icon,
            handled.sound,
            handled.category,
        )
        assert handled.style is not None
        assert ['"a"', '"b', ' c"'] == handled.style["lines"]
        assert {"ledARGB": "RED", "ledOnMS": 1, "ledOffMS": 2} == handled.lights
        assert {"channelId": "c", "importance": 3} == handled.channel
        assert {"nid": "AbC12345", "order": 7} == handled.payload

    @pytest.mark.parametrize(
        "state, is_shown, report",
        [("background", True, "SEEN"), ("active", False, "OPEN"), ("inactive", False, "OPEN")],
    )
    def test_reports(self, state: str, is_shown: bool, report: str) -> None:
        """Contract §5.8: in the tray it is seen; given to the app, or tapped, it is opened."""
        handled = seen("android", fcm(), AppState(state))

        assert (is_shown, report) == (handled.is_shown, handled.report)

    @pytest.mark.parametrize("kind", ["silent", "SILENT"])
    def test_silent(self, kind: str) -> None:
        """``type`` keeps it out of the tray; it is reported all the same."""
        handled = seen("android", fcm(type=kind))

        assert (False, "SEEN") == (handled.is_shown, handled.report)

    def test_dismissal(self) -> None:
        """A dismissal clears another message from the tray, and is not reported."""
        message = {"data": {"action": DISMISS, "nid": "AbC12345"}}

        assert Handled(dismisses="AbC12345") == seen("android", message)

    def test_of_another_dialect(self) -> None:
        """A ``notification`` is shown by Android itself while the app is not in front."""
        message = {"notification": {"title": "T", "body": "Hello"}, "data": {"pusher": "{}"}}

        assert Handled(is_shown=True, title="T", alert="Hello") == seen("android", message)
        assert not seen("android", message, AppState.ACTIVE).is_shown

    @pytest.mark.parametrize("flag, alert", [("1", "Hi Ada"), ("0", "Hi {{name}}")])
    def test_a_template(self, flag: str, alert: str) -> None:
        """Only ``has-template`` of 1 fills in the variables."""
        assert alert == seen("android", fcm(alert="Hi {{name}}", **{"has-template": flag})).alert

    def test_a_flag_that_is_no_number(self) -> None:
        """``has-template`` that is no number ends the app."""
        with pytest.raises(Crash):
            seen("android", fcm(**{"has-template": "true"}))

    @pytest.mark.parametrize("payload", ["not json", "[]", "{}", '{"nid": 7}'])
    def test_without_an_id(self, payload: str) -> None:
        """Contract §5.4: ``nid`` is needed; without it nothing is reported."""
        assert seen("android", fcm(payload=payload)).report is None


class TestBrowsers:
    """Contract §5.5."""

    def test_what_it_says(self) -> None:
        """The worker shows title, alert and icon."""
        message = {"title": "T", "alert": "Hello", "iconUrl": "i", "payload": PAYLOAD}
        handled = seen("chrome", message)

        assert ("T", "Hello", "i", "AbC12345", True) == (
            handled.title,
            handled.alert,
            handled.icon,
            handled.nid,
            handled.is_shown,
        )

    def test_defaults(self) -> None:
        """What is missing has a text of the worker's own."""
        handled = seen("firefox", {"payload": PAYLOAD})

        assert ("New message", "Example message", "images/icon.png") == (
            handled.title,
            handled.alert,
            handled.icon,
        )

    def test_without_a_payload(self) -> None:
        """A missing payload throws in the worker."""
        with pytest.raises(Crash):
            seen("firefox", {"alert": "Hello"})

    @pytest.mark.parametrize(
        "state, is_shown, report",
        [("background", True, None), ("active", True, "SEEN"), ("inactive", False, "OPEN")],
    )
    def test_reports(self, state: str, is_shown: bool, report: str | None) -> None:
        """Contract §5.8: seen if a page is open to tell, opened at a click."""
        handled = seen("chrome", {"alert": "Hello", "payload": PAYLOAD}, AppState(state))

        assert (is_shown, report) == (handled.is_shown, handled.report)

    def test_safari(self) -> None:
        """Safari shows by itself what its own format says; no SDK hears of it."""
        message = {"aps": {"alert": {"title": "T", "body": "Hello", "action": "View"}}}

        assert Handled(is_shown=True, alert="Hello", title="T", category="View") == (
            seen("safari", message)
        )


@pytest.mark.parametrize(
    "kind, text, expected",
    [
        ("ios", "{{name}} {{ name }} {{na me}} {{other}}", "Ada Ada Ada {{other}}"),
        ("android", "{{name}} {{ name }} {{other}}", "Ada {{ name }} {{other}}"),
        ("web", "{{name}} {{  name}} {{ name }} {{other}}", "Ada Ada {{ name }} {{other}}"),
    ],
)
def test_templates(kind: Any, text: str, expected: str) -> None:
    """Contract §5.3, §5.5: each SDK has its own mind about spaces inside the braces."""
    assert expected == filled(kind, text, VARIABLES)


@pytest.mark.parametrize(
    "profile, message",
    [
        ("ios", {"aps": {"alert": {"body": "Hello"}}, "payload": PAYLOAD}),
        ("android", fcm()),
        ("chrome", {"alert": "Hello", "payload": PAYLOAD}),
    ],
)
@pytest.mark.parametrize("reply", [ok({}), text(404), text(500), None])
def test_a_report_that_fails_is_nobodys(profile: str, message: Any, reply: Any) -> None:
    """Contract §5.8: whatever is said of a report, the app does not hear of it."""
    script = Script(reply)
    script.device(profile).handle_notification(message, "active")

    assert ["PUT messages/AbC12345"] == script.asked


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["aps", "alert", "body", "payload", "nid", "data", "template", "lines"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    message=st.dictionaries(
        st.sampled_from(
            ["aps", "alert", "payload", "data", "template", "has-template", "title", "url"]
        ),
        _JSON,
    ),
    profile=st.sampled_from(list(PROFILES)),
    state=st.sampled_from(AppState),
)
def test_no_message_is_too_strange(message: dict[str, Any], profile: str, state: AppState) -> None:
    """A message of any shape is read, or ends the SDK in a way that is known."""
    with suppress(Crash):
        assert isinstance(seen(profile, message, state), Handled)
