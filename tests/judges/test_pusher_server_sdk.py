"""
Pusher's own server SDK for Python, unmodified, against our server.

It insists on https, so the product serves it, with a certificate of an authority that was
made for the test. The SDK blocks, so it runs in threads beside the server's loop.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pusher_push_notifications as pusher
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from judges.customer import PAYLOAD, Customer, a_customer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The SDK makes tokens with a function that Python 3.12 discourages.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    async with a_customer(tmp_path_factory.mktemp("product")) as customer:
        yield customer


async def test_publishing_to_users(customer: Customer) -> None:
    """The SDK gets a publish id, and the publish addresses the users it named."""
    published = await customer.call("publish_to_users", ["Stop!' said/Fred", "é"], PAYLOAD)

    assert ["publishId"] == list(published)
    assert {"users": ["Stop!' said/Fred", "é"]} == await customer.target_of(published)


async def test_publishing_to_interests(customer: Customer) -> None:
    """The SDK gets a publish id, and the publish addresses the interests it named."""
    published = await customer.call("publish_to_interests", ["hello", "a;b"], PAYLOAD)

    assert {"interests": ["hello", "a;b"]} == await customer.target_of(published)


async def test_publishing_as_it_used_to_be(customer: Customer) -> None:
    """The method that the SDK discourages still works."""
    with pytest.deprecated_call(match="publish_to_interests"):
        published = await customer.call("publish", ["hello"], PAYLOAD)

    assert {"interests": ["hello"]} == await customer.target_of(published)


async def test_a_thousand_users_and_a_hundred_interests(customer: Customer) -> None:
    """As many as the SDK lets through are taken."""
    users = [f"user-{number}" for number in range(1000)]
    interests = [f"interest-{number}" for number in range(100)]

    assert "publishId" in await customer.call("publish_to_users", users, PAYLOAD)
    assert "publishId" in await customer.call("publish_to_interests", interests, PAYLOAD)


@pytest.mark.parametrize("user", ["u", "Stop!' said/Fred", 'a"b', "a+b", "é%2F+ ?#", "a" * 164])
async def test_a_users_whole_way(customer: Customer, user: str) -> None:
    """The SDK's token logs the user in on a device; deleting the user takes the device away."""
    device = await customer.new_device(f"token-of-{ord(user[1:2] or user)}-{len(user)}")
    token = (await customer.call("generate_token", user))["token"]

    bound = await customer.http.put(f"{device}/user", headers={"authorization": f"Bearer {token}"})
    shown = await customer.http.get(device)
    deleted = await customer.call("delete_user", user)
    gone = await customer.http.get(device)

    assert (200, user, None, 404) == (
        bound.status_code,
        shown.json()["userId"],
        deleted,
        gone.status_code,
    )


async def test_deleting_somebody_unknown(customer: Customer) -> None:
    """The SDK sees success."""
    assert await customer.call("delete_user", "nobody") is None


async def test_a_token_of_another_key(customer: Customer) -> None:
    """A token that was signed with another instance's key logs nobody in."""
    other = await customer.instances.create("other")
    device = await customer.new_device("token-of-a-stranger")
    token = (await customer.call("generate_token", "u", key=other.secret_keys[0]))["token"]

    bound = await customer.http.put(f"{device}/user", headers={"authorization": f"Bearer {token}"})

    assert 401 == bound.status_code


CALLS: Final[list[tuple[Any, ...]]] = [
    ("publish_to_users", ["u"], PAYLOAD),
    ("publish_to_interests", ["hello"], PAYLOAD),
    ("delete_user", "u"),
]
"""Every call that goes over the network."""


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
async def test_a_wrong_key(customer: Customer, call: tuple[Any, ...]) -> None:
    """The SDK raises what it has for a wrong key, with our words."""
    with pytest.raises(pusher.PusherAuthError, match="Unauthorized: Incorrect Secret Key"):
        await customer.call(*call, key="wrong")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
@pytest.mark.parametrize("instance", ["abe1212381f60", "1b880590-6301-4bb5-b34f-45db1c5f5644"])
async def test_an_unknown_instance(
    customer: Customer, call: tuple[Any, ...], instance: str
) -> None:
    """The SDK raises what it has for a missing instance, with our words."""
    with pytest.raises(
        pusher.PusherMissingInstanceError,
        match="Instance not found: Could not find the instance",
    ):
        await customer.call(*call, instance=instance)


@pytest.mark.parametrize(
    "call,sentence",
    [
        (("publish_to_users", ["a", "a"], PAYLOAD), "`users`: array items must be unique"),
        (("publish_to_users", [""], PAYLOAD), "String length must be greater than or equal to 1"),
        (("publish_to_interests", [""], PAYLOAD), "`interests.0`: Does not match pattern"),
        (("publish_to_interests", ["a"], {}), "at least one of `apns`, `fcm` and `web`"),
        (("publish_to_interests", ["a"], {"apns": {"aps": 1}}), "`apns.aps`: Invalid type"),
        (
            ("publish_to_interests", ["a"], {"web": {"data": {"k": "x" * 5000}}}),
            "bytes is more than the 3993 that fit one push",
        ),
        (
            ("publish_to_interests", ["a"], PAYLOAD | {"padding": "x" * 10_240}),
            "Bad request: The body is too large",
        ),
        (("delete_user", "\x00"), "'User id' must be Unicode text without control characters"),
    ],
)
async def test_what_the_sdk_lets_through_and_we_do_not(
    customer: Customer, call: tuple[Any, ...], sentence: str
) -> None:
    """The SDK raises what it has for a bad request, with our words."""
    with pytest.raises(pusher.PusherValidationError) as caught:
        await customer.call(*call)

    assert sentence in str(caught.value)


async def test_what_is_asked_too_often(tmp_path: Path) -> None:
    """§10: beyond its rate the SDK raises what it has for a bad request, with our words."""
    async with a_customer(tmp_path, publish_rate=1) as customer:
        for call in CALLS:
            answers = await asyncio.gather(
                *[customer.call(*call) for _ in range(8)], return_exceptions=True
            )
            faults = [answer for answer in answers if isinstance(answer, Exception)]

            assert {"PusherValidationError"} == {type(fault).__name__ for fault in faults}
            assert {"Rate Limited: Too many requests for this instance"} == set(map(str, faults))


async def test_a_fault_of_ours(tmp_path: Path) -> None:
    """The SDK raises what it has for a broken server, with the words that it can read."""
    async with a_customer(tmp_path) as customer:
        customer.lose_tables()
        for call in CALLS:
            with (
                capture_logs(),
                pytest.raises(
                    pusher.PusherServerError, match="Something went wrong: Internal server error"
                ),
            ):
                await customer.call(*call)


async def test_a_body_that_the_sdk_would_not_write(customer: Customer) -> None:
    """Its own low-level call raises the same for a body of nobody's making."""
    client = customer.sdk()

    with pytest.raises(pusher.PusherValidationError, match="`interests`: interests is required"):
        await asyncio.to_thread(
            client._make_request,  # noqa: SLF001  (nothing else sends an arbitrary body)
            "POST",
            "/publish_api/v1/instances/{instance_id}/publishes",
            {"instance_id": str(customer.instance.id)},
            {"invalid": "payload"},
        )
    client.session.close()


async def test_too_many_names_are_refused_when_the_sdk_does_not_count(customer: Customer) -> None:
    """The limits are ours, too: 101 interests are refused over the same connection."""
    client = customer.sdk()
    names = [f"interest-{number}" for number in range(101)]

    with pytest.raises(pusher.PusherValidationError, match="Array must have at most 100 items"):
        await asyncio.to_thread(
            client._make_request,  # noqa: SLF001  (the public methods count themselves)
            "POST",
            "/publish_api/v1/instances/{instance_id}/publishes/interests",
            {"instance_id": str(customer.instance.id)},
            PAYLOAD | {"interests": names},
        )
    client.session.close()
