"""
The community's Node.js client for APNs, unmodified, against the sandbox's APNs.

It is told where to go by its own ``address`` and ``port``, and trusts the sandbox by Node's
``NODE_EXTRA_CA_CERTS``.

After a 429, 500 or 503 it tries three times more, without waiting unless told to.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # JSON
from urllib.parse import urlsplit

import pytest

from heliograph.sandbox import Credentials
from heliograph.sandbox.devices import Platform
from heliograph.sandbox.exchange import Gateway
from heliograph.sandbox.scenario import Fault, FaultName, Plan
from judges.javascript import ask
from judges.stage import Stage

TOPIC = "com.example.app"
HELLO = {"aps": {"alert": "Hello"}}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

Send = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def send(stage: Stage, credentials: Credentials, ca_file: Path) -> Send:
    """Sends a good notification with the right credentials unless told otherwise."""
    address = urlsplit(stage.sandbox.addresses()["apns"])

    async def send(
        *devices: str, credentials: Credentials = credentials, **changes: object
    ) -> dict[str, Any]:
        token = {
            "key": credentials.apple_key_pem,
            "keyId": credentials.key_id,
            "teamId": credentials.team_id,
        }
        question = {
            "provider": {"token": token, "address": address.hostname, "port": address.port},
            "notification": {"topic": TOPIC, "pushType": "alert", "alert": "Hello"} | changes,
            "devices": devices or [stage.apns.key],
        }
        answer: dict[str, Any] = await ask("apn", question, ca_file=ca_file)
        return answer

    return send


def accepted(answer: dict[str, Any]) -> list[str]:
    """The devices whose notification was taken."""
    return [sent["device"] for sent in answer["sent"]]


def refusal(answer: dict[str, Any]) -> tuple[int, str]:
    """Status and reason of the one that failed."""
    (failed,) = answer["failed"]
    return failed["status"], failed["response"]["reason"]


async def test_notification_arrives(stage: Stage, send: Send) -> None:
    """A notification is accepted, and the device shows it."""
    answer = await send()

    assert ([stage.apns.key], []) == (accepted(answer), answer["failed"])
    assert [HELLO] == stage.payloads(stage.apns)


async def test_devices_are_judged_one_by_one(stage: Stage, send: Send) -> None:
    """
    Of several devices at once, each gets its own answer.

    The client does not wait to be told how many streams it may open, so on a new connection all
    but the first would be refused until Apple has seen a good token.
    """
    stage.sandbox.scenario.follow(Plan(apns_starts_with_one_stream=False))
    gone = stage.sandbox.devices.mint(Platform.APNS, now=NOW)
    gone.gone_since = NOW
    answer = await send(stage.apns.key, gone.key)

    assert [stage.apns.key] == accepted(answer)
    assert (410, "Unregistered") == refusal(answer)
    assert 1_772_366_400_000 == answer["failed"][0]["response"]["timestamp"]


@pytest.mark.parametrize(
    "expected, changes",
    [
        pytest.param((400, "DeviceTokenNotForTopic"), {"topic": "com.example.other"}, id="topic"),
        pytest.param((400, "BadTopic"), {"topic": "no bundle id"}, id="no bundle id"),
        pytest.param((400, "MissingTopic"), {"topic": None}, id="no topic"),
        pytest.param((400, "BadMessageId"), {"id": "7"}, id="id"),
        pytest.param((400, "BadPriority"), {"priority": 7}, id="priority"),
        pytest.param((400, "BadCollapseId"), {"collapseId": "c" * 65}, id="collapse id"),
        pytest.param((400, "InvalidPushType"), {"pushType": "shout"}, id="push type"),
        pytest.param((413, "PayloadTooLarge"), {"alert": "x" * 4096}, id="too large"),
    ],
)
async def test_wrong_notification_is_refused(
    stage: Stage, send: Send, expected: tuple[int, str], changes: dict[str, Any]
) -> None:
    """Each mistake gets Apple's status and reason for it, and nothing arrives."""
    assert (expected, []) == (refusal(await send(**changes)), stage.payloads(stage.apns))


async def test_unknown_device_is_refused(send: Send) -> None:
    """A token that was never given out is a BadDeviceToken."""
    assert (400, "BadDeviceToken") == refusal(await send("00" * 32))


async def test_strangers_are_refused(send: Send, strangers: Credentials) -> None:
    """Another team's good token is an InvalidProviderToken."""
    assert (403, "InvalidProviderToken") == refusal(await send(credentials=strangers))


@pytest.mark.parametrize(
    "expected, attempts, fault",
    [
        pytest.param((429, "TooManyRequests"), 4, FaultName.TOO_MANY_REQUESTS, id="too many"),
        pytest.param((503, "ServiceUnavailable"), 4, FaultName.UNAVAILABLE, id="unavailable"),
        pytest.param((400, "BadDeviceToken"), 1, FaultName.BAD_TOKEN, id="bad token"),
    ],
)
async def test_faults_are_understood(
    stage: Stage, send: Send, expected: tuple[int, str], attempts: int, fault: FaultName
) -> None:
    """What may pass is tried again, what may not is told at once."""
    stage.fail(Fault(fault))

    assert expected == refusal(await send())
    assert attempts == stage.sandbox.stats.of(Gateway.APNS).requests


async def test_passing_trouble_goes_unnoticed(stage: Stage, send: Send) -> None:
    """After one 503 the notification arrives once."""
    stage.fail(Fault(FaultName.UNAVAILABLE, times=1))
    answer = await send()

    assert ([], [HELLO]) == (answer["failed"], stage.payloads(stage.apns))
