"""
The community's asyncio client for APNs, unmodified, against the sandbox's APNs.

It knows a server as a class with a host and a port, one for production and one for development;
the sandbox is a third. Trust is its own ``ssl_context``. Its ``proxy_host`` would do as well, but
takes a socket from under asyncio and fails on Python 3.11.

Not judged are replies without a body, and to an ``apns-id`` that is no UUID: this client waits for
them forever.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any  # keyword arguments of different types
from urllib.parse import urlsplit

import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol

from heliograph.sandbox import Authority, Credentials
from heliograph.sandbox.scenario import Fault, FaultName
from judges.stage import Stage

TOPIC = "com.example.app"
HELLO = {"aps": {"alert": "Hello"}}

Connect = Callable[..., APNs]


@pytest.fixture
def connect(authority: Authority, credentials: Credentials, stage: Stage) -> Iterator[Connect]:
    """Makes clients with the right credentials unless told otherwise."""
    address = urlsplit(stage.sandbox.addresses()["apns"])

    class SandboxProtocol(APNsTLSClientProtocol):
        APNS_SERVER = str(address.hostname)
        APNS_PORT = address.port or 443

    with ExitStack() as stack:

        def client(**changes: Any) -> APNs:
            right: dict[str, Any] = {
                "key": credentials.apple_key_pem,
                "key_id": credentials.key_id,
                "team_id": credentials.team_id,
                "topic": TOPIC,
            }
            made = APNs(**(right | changes), ssl_context=authority.client_context())
            made.pool.protocol_class = SandboxProtocol
            stack.callback(made.pool.close)
            return made

        yield client


async def test_notification_arrives(stage: Stage, connect: Connect) -> None:
    """A notification is accepted, and the device shows it."""
    result = await connect().send_notification(NotificationRequest(stage.apns.key, HELLO))

    assert ("200", [HELLO]) == (result.status, stage.payloads(stage.apns))


async def test_connection_widens_after_a_good_token(stage: Stage, connect: Connect) -> None:
    """Once one request was good, a hundred go at the same time."""
    client = connect()
    request = [NotificationRequest(stage.apns.key, HELLO) for _ in range(101)]
    first = await client.send_notification(request[0])
    rest = await asyncio.gather(*(client.send_notification(each) for each in request[1:]))

    assert {"200"} == {result.status for result in (first, *rest)}
    assert [HELLO] * 101 == stage.payloads(stage.apns)


@pytest.mark.parametrize(
    "expected, changes",
    [
        pytest.param(("400", "BadDeviceToken"), {"device_token": "00" * 32}, id="unknown token"),
        pytest.param(("400", "BadDeviceToken"), {"device_token": "phone"}, id="not hexadecimal"),
        pytest.param(("400", "MissingDeviceToken"), {"device_token": ""}, id="no token"),
        pytest.param(
            ("400", "DeviceTokenNotForTopic"), {"apns_topic": "com.example.other"}, id="other app"
        ),
        pytest.param(("400", "BadTopic"), {"apns_topic": "no bundle id"}, id="no bundle id"),
        pytest.param(
            ("413", "PayloadTooLarge"), {"message": {"aps": {}, "text": "x" * 4096}}, id="too large"
        ),
        pytest.param(("400", "BadCollapseId"), {"collapse_key": "c" * 65}, id="collapse id"),
        pytest.param(("400", "BadExpirationDate"), {"time_to_live": -(10**12)}, id="expiration"),
        pytest.param(
            ("400", "BadPriority"), {"priority": 10, "push_type": PushType.BACKGROUND}, id="silent"
        ),
        pytest.param(
            ("400", "DeviceTokenNotForTopic"), {"push_type": PushType.VOIP}, id="topic of a call"
        ),
    ],
)
async def test_wrong_request_is_refused(
    stage: Stage, connect: Connect, expected: tuple[str, str], changes: dict[str, Any]
) -> None:
    """Each mistake in a request gets Apple's status and reason for it, and nothing arrives."""
    request = {"device_token": stage.apns.key, "message": HELLO} | changes
    result = await connect().send_notification(NotificationRequest(**request))

    assert (expected, []) == ((result.status, result.description), stage.payloads(stage.apns))


async def test_uninstalled_app_is_told_with_its_time(stage: Stage, connect: Connect) -> None:
    """A dead token is Unregistered, since an instant in milliseconds."""
    stage.apns.gone_since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    result = await connect().send_notification(NotificationRequest(stage.apns.key, HELLO))

    assert ("410", "Unregistered", 1_772_366_400_000) == (
        result.status,
        result.description,
        result.timestamp,
    )


@pytest.mark.parametrize("wrong", ["key", "key_id", "team_id"])
async def test_strangers_are_refused(
    stage: Stage, connect: Connect, strangers: Credentials, wrong: str
) -> None:
    """Another key, key id or team makes an InvalidProviderToken."""
    theirs = {
        "key": strangers.apple_key_pem,
        "key_id": strangers.key_id,
        "team_id": strangers.team_id,
    }
    client = connect(**{wrong: theirs[wrong]})
    result = await client.send_notification(NotificationRequest(stage.apns.key, HELLO))

    assert ("403", "InvalidProviderToken") == (result.status, result.description)


@pytest.mark.parametrize(
    "expected, fault",
    [
        pytest.param(("403", "ExpiredProviderToken"), FaultName.EXPIRED_CREDENTIALS, id="expired"),
        pytest.param(("429", "TooManyRequests"), FaultName.TOO_MANY_REQUESTS, id="too many"),
        pytest.param(("500", "InternalServerError"), FaultName.INTERNAL_ERROR, id="internal"),
        pytest.param(("503", "ServiceUnavailable"), FaultName.UNAVAILABLE, id="unavailable"),
    ],
)
async def test_faults_are_understood(
    stage: Stage, connect: Connect, expected: tuple[str, str], fault: FaultName
) -> None:
    """What a scenario lets go wrong reaches the sender as Apple would say it."""
    stage.fail(Fault(fault))
    result = await connect().send_notification(NotificationRequest(stage.apns.key, HELLO))

    assert expected == (result.status, result.description)
