"""
Google's own server SDK, unmodified, against the sandbox's FCM and its token endpoint.

The token endpoint is found in the service account, as the SDK does it in production. The host that
messages go to is built in, and there is no setting and no emulator for it: it is led here by a
proxy, and trusts the sandbox, by the environment variables of ``requests``, which the SDK sends
with. In the background it also asks, at another host, in which regions the account may be used; the
answer is that there is no such page.

Not judged are ``send_each_async``, whose transport takes no proxy, and topic subscriptions, which
the sandbox does not imitate.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # the SDK has no types

import firebase_admin
import pytest
from firebase_admin import credentials as google
from firebase_admin import exceptions, messaging
from google.auth.exceptions import RefreshError

from heliograph.sandbox import Credentials
from heliograph.sandbox.devices import Platform
from heliograph.sandbox.scenario import Fault, FaultName
from judges.stage import GOOGLES_HOSTS, Stage
from judges.tunnel import Tunnel

# The SDK would rather have an installation's id; apps register with us by token.
pytestmark = pytest.mark.filterwarnings("ignore:Message.token is deprecated:DeprecationWarning")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

Connect = Callable[[Credentials], firebase_admin.App]


@pytest.fixture
async def connect(
    stage: Stage, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connect]:
    """Makes the SDK's apps, each with a service account."""
    apps: list[firebase_admin.App] = []

    def app(account: Credentials) -> firebase_admin.App:
        body: Any = account.fcm(endpoint=stage.sandbox.addresses()["fcm"], ca="")
        certificate = google.Certificate(body["service_account"])
        apps.append(firebase_admin.initialize_app(certificate, name=f"app {len(apps)}"))
        return apps[-1]

    before = set(threading.enumerate())
    ways = dict.fromkeys(GOOGLES_HOSTS, stage.sandbox.addresses()["fcm"])
    async with Tunnel.to(ways) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(ca_file))
        yield app
        for each in apps:
            await asyncio.to_thread(firebase_admin.delete_app, each)
        for thread in set(threading.enumerate()) - before:
            if thread.daemon:  # the SDK's question about the account's region
                await asyncio.to_thread(thread.join)


@pytest.fixture
def app(connect: Connect, credentials: Credentials) -> firebase_admin.App:
    """An app with the right service account."""
    return connect(credentials)


async def sent(
    app: firebase_admin.App, message: messaging.Message, *, dry_run: bool = False
) -> str:
    """The name of a message that was accepted; raises what the SDK raises."""
    name: str = await asyncio.to_thread(messaging.send, message, dry_run, app)
    return name


async def failure(answer: Awaitable[object]) -> tuple[type[Exception], int]:
    """The class that the SDK raises, and the status that it saw."""
    with pytest.raises(exceptions.FirebaseError) as raised:
        await answer
    return type(raised.value), raised.value.http_response.status_code


def hello(stage: Stage, **changes: Any) -> messaging.Message:
    return messaging.Message(**({"token": stage.fcm.key, "data": {"text": "Hello"}} | changes))


async def test_message_arrives(
    stage: Stage, app: firebase_admin.App, credentials: Credentials
) -> None:
    """A message gets its name, and the device what was in it."""
    name = await sent(app, hello(stage))

    assert name.startswith(f"projects/{credentials.project_id}/messages/0:")
    assert [{"token": stage.fcm.key, "data": {"text": "Hello"}}] == stage.payloads(stage.fcm)


async def test_every_field_is_known(stage: Stage, app: firebase_admin.App) -> None:
    """Whatever else the SDK can write into a message, the sandbox knows as a field of that type."""
    light = messaging.LightSettings("#aabbcc", 200, 300)
    everything = messaging.AndroidNotification(
        **dict.fromkeys(("title", "body", "icon", "sound", "tag", "channel_id", "ticker"), "text"),
        **dict.fromkeys(("body_loc_key", "title_loc_key", "click_action", "image"), "text"),
        body_loc_args=["text"],
        title_loc_args=["text"],
        **dict.fromkeys(("sticky", "local_only", "default_vibrate_timings"), True),
        **dict.fromkeys(("default_sound", "default_light_settings"), True),
        color="#aabbcc",
        event_timestamp=datetime(2026, 3, 1, tzinfo=UTC),
        priority="high",
        vibrate_timings_millis=[100, 50],
        light_settings=light,
        visibility="public",
        notification_count=1,
        proxy="deny",
    )
    message = hello(
        stage,
        notification=messaging.Notification("title", "body", "https://example.com/image.png"),
        fcm_options=messaging.FCMOptions("label"),
        android=messaging.AndroidConfig(
            collapse_key="key",
            priority="high",
            ttl=3600.5,
            restricted_package_name="com.example.app",
            data={"text": "Hello, Android"},
            notification=everything,
            fcm_options=messaging.AndroidFCMOptions("label"),
            direct_boot_ok=True,
            bandwidth_constrained_ok=True,
            restricted_satellite_ok=True,
        ),
        webpush=messaging.WebpushConfig(
            headers={"TTL": "60"},
            data={"text": "Hello, browser"},
            notification=messaging.WebpushNotification("title", vibrate=[100], renotify=True),
            fcm_options=messaging.WebpushFCMOptions("https://example.com/"),
        ),
        apns=messaging.APNSConfig(
            headers={"apns-priority": "5"},
            payload=messaging.APNSPayload(
                messaging.Aps(sound=messaging.CriticalSound("ping", critical=True, volume=0.5))
            ),
            fcm_options=messaging.APNSFCMOptions("label", "https://example.com/image.png"),
            live_activity_token="token",
        ),
    )
    await sent(app, message)

    assert 1 == len(stage.payloads(stage.fcm))


async def test_rehearsal_reaches_nobody(
    stage: Stage, app: firebase_admin.App, credentials: Credentials
) -> None:
    """A dry run is checked, gets Google's made-up name, and is not delivered."""
    name = await sent(app, hello(stage), dry_run=True)

    assert f"projects/{credentials.project_id}/messages/fake_message_id" == name
    assert [] == stage.payloads(stage.fcm)


async def test_several_are_judged_one_by_one(stage: Stage, app: firebase_admin.App) -> None:
    """Of a list, the good ones arrive and each bad one has its own error."""
    gone = stage.sandbox.devices.mint(Platform.FCM, now=NOW)
    gone.gone_since = NOW
    messages = [hello(stage), hello(stage, token=gone.key), hello(stage)]
    batch = await asyncio.to_thread(messaging.send_each, messages, app=app)

    assert (2, 1) == (batch.success_count, batch.failure_count)
    assert [type(None), messaging.UnregisteredError, type(None)] == [
        type(response.exception) for response in batch.responses
    ]


@pytest.mark.parametrize(
    "expected, changes",
    [
        pytest.param(
            (messaging.UnregisteredError, 404), {"token": f"{'a' * 22}:{'b' * 140}"}, id="unknown"
        ),
        pytest.param(
            (exceptions.InvalidArgumentError, 400), {"token": "no token"}, id="malformed token"
        ),
        pytest.param(
            (exceptions.InvalidArgumentError, 400), {"data": {"text": "x" * 4096}}, id="too large"
        ),
        pytest.param(
            (exceptions.InvalidArgumentError, 400), {"data": {"from": "me"}}, id="reserved name"
        ),
        pytest.param(
            (exceptions.InvalidArgumentError, 400),
            {"android": messaging.AndroidConfig(ttl=2_419_201)},
            id="TTL of more than four weeks",
        ),
    ],
)
async def test_wrong_message_is_refused(
    stage: Stage,
    app: firebase_admin.App,
    expected: tuple[type[Exception], int],
    changes: dict[str, Any],
) -> None:
    """Each mistake in a message becomes the SDK's exception for it, and nothing arrives."""
    assert expected == await failure(sent(app, hello(stage, **changes)))
    assert [] == stage.payloads(stage.fcm)


async def test_uninstalled_app_is_unregistered(stage: Stage, app: firebase_admin.App) -> None:
    """A token whose app is gone is the SDK's UnregisteredError."""
    stage.fcm.gone_since = NOW

    assert (messaging.UnregisteredError, 404) == await failure(sent(app, hello(stage)))


@pytest.mark.parametrize(
    "expected, fault",
    [
        pytest.param(
            (messaging.SenderIdMismatchError, 403), Fault(FaultName.WRONG_SENDER), id="sender"
        ),
        pytest.param(
            (messaging.QuotaExceededError, 429), Fault(FaultName.TOO_MANY_REQUESTS), id="quota"
        ),
        pytest.param(
            (messaging.ThirdPartyAuthError, 401), Fault(FaultName.INVALID_CREDENTIALS), id="Apple"
        ),
        pytest.param(
            (exceptions.UnauthenticatedError, 401), Fault(FaultName.EXPIRED_CREDENTIALS), id="token"
        ),
        pytest.param(
            (exceptions.UnavailableError, 503),
            Fault(FaultName.UNAVAILABLE, retry_after=1),
            id="unavailable, five times",
        ),
        pytest.param(
            (exceptions.UnknownError, 502), Fault(FaultName.BAD_GATEWAY), id="bad gateway, in HTML"
        ),
    ],
)
async def test_faults_become_exceptions(
    stage: Stage, app: firebase_admin.App, expected: tuple[type[Exception], int], fault: Fault
) -> None:
    """What a scenario lets go wrong is raised as the SDK's own class for it."""
    stage.fail(fault)

    assert expected == await failure(sent(app, hello(stage)))


@pytest.mark.parametrize("fault", [FaultName.UNAVAILABLE, FaultName.INTERNAL_ERROR])
async def test_passing_trouble_goes_unnoticed(
    stage: Stage, app: firebase_admin.App, fault: FaultName
) -> None:
    """After a 503 or 500 the SDK comes back by itself, and the message arrives once."""
    stage.fail(Fault(fault, times=1))
    await sent(app, hello(stage))

    assert 1 == len(stage.payloads(stage.fcm))


async def test_strangers_get_no_token(
    stage: Stage, connect: Connect, credentials: Credentials, strangers: Credentials
) -> None:
    """A key that is not the account's is refused where access tokens are given out."""
    impostor = connect(replace(credentials, google_key=strangers.google_key))
    with pytest.raises(RefreshError, match="invalid_grant: Invalid JWT Signature"):
        await sent(impostor, hello(stage))
