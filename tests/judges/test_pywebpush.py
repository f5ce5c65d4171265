"""
The community's Python library for Web Push, unmodified, against the sandbox's push service.

It goes wherever the subscription's endpoint leads. Trust is the ``requests`` session, which is one
of its arguments. It has a TTL of its own for whoever gives none, so a missing one is not judged.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # keyword arguments and JSON of an untyped library

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid
from pywebpush import WebPushException, webpush

from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.wire.ece import MAX_PLAINTEXT_BYTES
from judges.stage import Stage

Push = Callable[..., Awaitable[requests.Response]]


def new_key() -> Vapid:
    """A sender's key."""
    return Vapid(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def session(ca_file: Path) -> Iterator[requests.Session]:
    """HTTP that trusts the sandbox, whatever the environment says about certificates."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(ca_file)
        yield session


@pytest.fixture
def push(stage: Stage, session: requests.Session) -> Push:
    """Pushes to the browser, as it should be done unless told otherwise."""
    key = new_key()

    async def push(**changes: Any) -> requests.Response:
        arguments: dict[str, Any] = {
            "subscription_info": stage.web.subscription,
            "data": "Hello",
            "vapid_private_key": key,
            "vapid_claims": {"sub": "mailto:operator@example.com"},
            "ttl": 60,
            "timeout": 10,
            "requests_session": session,
        }
        given = arguments | changes
        response: requests.Response = await asyncio.to_thread(webpush, **given)
        return response

    return push


async def refusal(answer: Awaitable[requests.Response]) -> tuple[int, int]:
    """Status and Mozilla's number of the error that the library raises."""
    with pytest.raises(WebPushException) as raised:
        await answer
    assert raised.value.response is not None
    return raised.value.response.status_code, raised.value.response.json()["errno"]


@pytest.mark.parametrize(
    "expected, data",
    [
        pytest.param({"title": "Grüße"}, json.dumps({"title": "Grüße"}), id="JSON"),
        pytest.param("just words", "just words", id="text"),
        pytest.param("x" * MAX_PLAINTEXT_BYTES, "x" * MAX_PLAINTEXT_BYTES, id="longest"),
        pytest.param(None, None, id="no payload"),
    ],
)
async def test_message_is_read_by_the_browser(
    stage: Stage, push: Push, expected: object, data: str | None
) -> None:
    """What the library encrypts, the virtual browser reads."""
    response = await push(data=data)

    assert (201, [expected]) == (response.status_code, stage.payloads(stage.web))


async def test_sender_may_push_again(stage: Stage, push: Push) -> None:
    """A subscription is bound to the first sender, who may come back."""
    await push(data="one")
    await push(data="two")

    assert ["one", "two"] == stage.payloads(stage.web)


@pytest.mark.parametrize(
    "expected, changes",
    [
        pytest.param((413, 104), {"data": "x" * (MAX_PLAINTEXT_BYTES + 1)}, id="too large"),
        pytest.param((400, 110), {"content_encoding": "aesgcm"}, id="older encryption"),
        pytest.param((400, 112), {"ttl": -1}, id="negative TTL"),
        pytest.param((400, 111), {"headers": {"urgency": "now"}}, id="urgency"),
        pytest.param((400, 113), {"headers": {"topic": "t" * 33}}, id="topic"),
        pytest.param((401, 109), {"vapid_claims": None}, id="no proof"),
        pytest.param(
            (401, 109),
            {"vapid_claims": {"sub": "mailto:a@example.com", "aud": "https://elsewhere.example"}},
            id="other audience",
        ),
        pytest.param(
            (401, 109),
            {"vapid_claims": {"sub": "mailto:a@example.com", "exp": 4_102_444_800}},
            id="expiry far ahead",
        ),
    ],
)
async def test_wrong_push_is_refused(
    stage: Stage, push: Push, expected: tuple[int, int], changes: dict[str, Any]
) -> None:
    """Each mistake gets Mozilla's status and error number for it, and nothing arrives."""
    assert (expected, []) == (await refusal(push(**changes)), stage.payloads(stage.web))


async def test_another_sender_is_refused(stage: Stage, push: Push) -> None:
    """A subscription that is bound to one key takes nothing of another."""
    await push(data="one")

    assert (401, 109) == await refusal(push(data="two", vapid_private_key=new_key()))
    assert ["one"] == stage.payloads(stage.web)


async def test_ended_subscription_is_gone(stage: Stage, push: Push) -> None:
    """The user said no: 410."""
    stage.web.gone_since = datetime(2026, 3, 1, tzinfo=UTC)

    assert (410, 106) == await refusal(push())


async def test_unknown_subscription_is_not_found(stage: Stage, push: Push) -> None:
    """An endpoint that was never given out: 404."""
    subscription = stage.web.subscription or {}
    elsewhere = subscription | {"endpoint": f"{stage.web.endpoint}x"}

    assert (404, 102) == await refusal(push(subscription_info=elsewhere))


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
    """A busy service says when to come back, where the library looks for it."""
    stage.fail(Fault(fault, retry_after=7))
    with pytest.raises(WebPushException) as raised:
        await push()

    assert expected == (raised.value.status_code, raised.value.retry_after)
