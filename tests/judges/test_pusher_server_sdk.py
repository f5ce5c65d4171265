"""
Pusher's own server SDK for Python, unmodified, against our server.

It insists on https, so the product serves it, with a certificate of an authority that was
made for the test. The SDK blocks, so it runs in threads beside the server's loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pusher_push_notifications as pusher
import pytest
import pytest_asyncio
import trustme

from heliograph.app import on_the_network, product
from heliograph.instances import Instance, Instances
from support import ADMIN, settings_in

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The SDK makes tokens with a function that Python 3.12 discourages.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

PAYLOAD: Final[dict[str, Any]] = {
    "apns": {"aps": {"alert": "Hello"}},
    "fcm": {"notification": {"title": "Hello"}},
    "web": {"notification": {"title": "Hello"}},
}


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of ours: the SDK as they use it, and what else there is to look at."""

    instances: Instances
    instance: Instance
    address: str
    ca_file: str
    http: httpx.AsyncClient

    def sdk(
        self, *, instance: str | None = None, key: str | None = None
    ) -> pusher.PushNotifications:
        """A client of theirs, with other credentials if some are given."""
        client = pusher.PushNotifications(
            instance or str(self.instance.id),
            key or self.instance.secret_keys[0],
            endpoint=self.address,
        )
        client.session.verify = self.ca_file
        return client

    async def call(self, name: str, *arguments: object, **credentials: str) -> Any:
        """What a method of the SDK returns or raises."""
        client = self.sdk(**credentials)
        method: Callable[..., Any] = getattr(client, name)
        try:
            return await asyncio.to_thread(method, *arguments)
        finally:
            client.session.close()

    async def target_of(self, published: dict[str, str]) -> Any:
        """Whom a publish addressed, as the operator sees it."""
        reply = await self.http.get(
            f"/admin/v1/instances/{self.instance.id}/publishes/{published['publishId']}",
            headers=ADMIN,
        )
        return reply.json()["target"]

    async def new_device(self, token: str) -> str:
        """The path of a device that has just registered."""
        base = f"/device_api/v1/instances/{self.instance.id}/devices/fcm"
        reply = await self.http.post(base, json={"token": token})
        return f"{base}/{reply.json()['id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    folder: Path = tmp_path_factory.mktemp("product")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    for name, blob in (
        ("ca.pem", authority.cert_pem),
        ("cert.pem", certificate.cert_chain_pems[0]),
        ("key.pem", certificate.private_key_pem),
    ):
        blob.write_to_path(folder / name)
    settings = settings_in(
        folder,
        listen_tls="127.0.0.1:0",
        tls_cert_file=folder / "cert.pem",
        tls_key_file=folder / "key.pem",
    )
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(product(settings))
        addresses = await stack.enter_async_context(on_the_network(built.app, settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=addresses["endpoint"]))
        yield Customer(
            built.instances,
            await built.instances.create("customer"),
            addresses["tls_endpoint"].removeprefix("https://"),
            str(folder / "ca.pem"),
            http,
        )


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


@pytest.mark.parametrize("user", ["u", "Stop!' said/Fred", "é%2F+ ?#", "a" * 164])
async def test_a_users_whole_way(customer: Customer, user: str) -> None:
    """The SDK's token logs the user in on a device; deleting the user takes the device away."""
    device = await customer.new_device(f"token-of-{len(user)}")
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


CALLS: Final = [
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
