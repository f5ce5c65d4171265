"""
The community's Node.js library for Web Push, unmodified, against the sandbox's push service.

It goes wherever the subscription's endpoint leads, and trusts the sandbox by Node's
``NODE_EXTRA_CA_CERTS``. It looks at options itself before it sends, so a wrong urgency or topic is
not judged.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # JSON

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.wire.ece import MAX_PLAINTEXT_BYTES, public_key_bytes
from judges.javascript import ask
from judges.stage import Stage

Push = Callable[..., Awaitable[list[dict[str, Any]]]]


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def new_sender() -> dict[str, str]:
    """A sender's key pair and contact."""
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "subject": "mailto:operator@example.com",
        "publicKey": base64url(public_key_bytes(key)),
        "privateKey": base64url(key.private_numbers().private_value.to_bytes(32)),
    }


@pytest.fixture
def push(stage: Stage, ca_file: Path) -> Push:
    """Pushes these payloads to the browser, as it should be done unless told otherwise."""
    sender = new_sender()

    async def push(
        *payloads: str | None, subscription: object = None, **changes: object
    ) -> list[dict[str, Any]]:
        question = [
            {
                "subscription": subscription or stage.web.subscription,
                "payload": payload,
                "options": {"TTL": 60, "vapidDetails": sender} | changes,
            }
            for payload in payloads
        ]
        answers: list[dict[str, Any]] = await ask("web_push", question, ca_file=ca_file)
        return answers

    return push


def refusal(answers: list[dict[str, Any]]) -> tuple[int, int]:
    """Status and Mozilla's error number of the last answer."""
    return answers[-1]["statusCode"], json.loads(answers[-1]["body"])["errno"]


async def test_messages_are_read_by_the_browser(stage: Stage, push: Push) -> None:
    """What the library encrypts, the virtual browser reads: JSON, text, the longest, and none."""
    longest = "x" * MAX_PLAINTEXT_BYTES
    answers = await push('{"title": "Grüße"}', "just words", longest, None)

    assert [201] * 4 == [answer["statusCode"] for answer in answers]
    assert [{"title": "Grüße"}, "just words", longest, None] == stage.payloads(stage.web)


async def test_headers_arrive_as_they_were_meant(stage: Stage, push: Push) -> None:
    """Urgency and topic are taken, and the answer repeats the TTL."""
    (answer,) = await push("Hello", urgency="high", topic="news")

    (entry,) = stage.sandbox.inbox.entries(stage.web)
    headers = entry.read()["headers"]
    assert isinstance(headers, dict)
    assert ("60", "high", "news") == (
        answer["headers"]["ttl"],
        headers["urgency"],
        headers["topic"],
    )


@pytest.mark.parametrize(
    "expected, changes",
    [
        pytest.param((400, 110), {"contentEncoding": "aesgcm"}, id="older encryption"),
        pytest.param((401, 109), {"vapidDetails": None}, id="no proof"),
        pytest.param((400, 112), {"TTL": 0.5}, id="half a second"),
    ],
)
async def test_wrong_push_is_refused(
    stage: Stage, push: Push, expected: tuple[int, int], changes: dict[str, Any]
) -> None:
    """Each mistake gets Mozilla's status and error number for it, and nothing arrives."""
    assert (expected, []) == (refusal(await push("Hello", **changes)), stage.payloads(stage.web))


async def test_too_long_message_is_refused(push: Push) -> None:
    """One byte more than fits: 413."""
    assert (413, 104) == refusal(await push("x" * (MAX_PLAINTEXT_BYTES + 1)))


async def test_another_sender_is_refused(stage: Stage, push: Push) -> None:
    """A subscription that is bound to one key takes nothing of another."""
    await push("one")

    assert (401, 109) == refusal(await push("two", vapidDetails=new_sender()))
    assert ["one"] == stage.payloads(stage.web)


async def test_somebody_elses_name_is_refused(push: Push) -> None:
    """A proof must be signed by the key that it shows."""
    forged = new_sender() | {"publicKey": new_sender()["publicKey"]}

    assert (401, 109) == refusal(await push("Hello", vapidDetails=forged))


async def test_ended_subscription_is_gone(stage: Stage, push: Push) -> None:
    """The user said no: 410."""
    stage.web.gone_since = datetime(2026, 3, 1, tzinfo=UTC)

    assert (410, 106) == refusal(await push("Hello"))


async def test_unknown_subscription_is_not_found(stage: Stage, push: Push) -> None:
    """An endpoint that was never given out: 404."""
    subscription = stage.web.subscription or {}
    elsewhere = subscription | {"endpoint": f"{stage.web.endpoint}x"}

    assert (404, 102) == refusal(await push("Hello", subscription=elsewhere))


@pytest.mark.parametrize(
    "expected, fault",
    [
        pytest.param((429, "7"), FaultName.TOO_MANY_REQUESTS, id="too many requests"),
        pytest.param((503, "7"), FaultName.UNAVAILABLE, id="unavailable"),
    ],
)
async def test_patience_is_asked_for(
    stage: Stage, push: Push, expected: tuple[int, str], fault: FaultName
) -> None:
    """A busy service says when to come back, where the library's callers look for it."""
    stage.fail(Fault(fault, retry_after=7))
    (answer,) = await push("Hello")

    assert expected == (answer["statusCode"], answer["headers"]["retry-after"])
