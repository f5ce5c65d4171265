"""
A client of IBM's service for Python, unmodified, against our server.

``base_path`` leads it to ours, and ``_auth_base_url``, which is its only setting for that, to
our tokens. It blocks, so it runs in threads beside the server's loop.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import requests
from cloudpush.Client import Client
from structlog.testing import capture_logs

from judges.customer import Customer, a_customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Call = Callable[..., Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    async with a_customer(tmp_path_factory.mktemp("product")) as customer:
        yield customer


def client(
    customer: Customer, *, key: str | None = None, secret: str | None = None, app: str | None = None
) -> Client:
    made = Client(
        key or customer.instance.app_secret,
        app or str(customer.instance.id),
        secret or customer.instance.client_secret,
        base_path=f"{customer.addresses['endpoint']}/imfpush/v1/apps",
    )
    made._auth_base_url = f"{customer.addresses['endpoint']}/identity/token"  # noqa: SLF001
    return made


async def call(customer: Customer, name: str, *arguments: Any, **named: Any) -> Any:
    """What a method of a new client returns or raises."""
    return await asyncio.to_thread(getattr(client(customer), name), *arguments, **named)


async def refused(one: Client, name: str, *arguments: Any, **named: Any) -> tuple[int, Any]:
    """Status and body of what a method of a client raises."""
    with pytest.raises(requests.HTTPError) as caught:
        await asyncio.to_thread(getattr(one, name), *arguments, **named)
    response = caught.value.response
    assert response is not None
    return response.status_code, response.json()


async def problem(customer: Customer, name: str, *arguments: Any, **named: Any) -> tuple[int, str]:
    """Status and code of what a method raises."""
    status, body = await refused(client(customer), name, *arguments, **named)
    return status, body["code"]


def made_up(token: str) -> str:
    """The device id that the client makes of a token."""
    return hashlib.md5(token.encode()).hexdigest()  # noqa: S324  (as it does)


async def test_a_devices_whole_way(customer: Customer) -> None:
    """Contract §3.2: registered, again with another token, found, listed, and gone."""
    made = await call(customer, "register_device", "token-1", "G")
    named = await call(customer, "register_device", "00ff", "A", device_id="D-1")
    again = await call(customer, "register_device", "00fe", "A", device_id="D-1")

    assert (made_up("token-1"), "G", "anonymous") == (
        made["deviceId"],
        made["platform"],
        made["userId"],
    )
    assert ("00ff", "00fe") == (named["token"], again["token"])
    shown = await call(customer, "get_device", device_id="D-1")
    assert ("00fe", "anonymous") == (shown["token"], shown["userId"])
    assert made_up("token-1") == (await call(customer, "get_device", token="token-1"))["deviceId"]
    assert (204, 204) == (
        await call(customer, "delete_device", "token-1"),
        await call(customer, "delete_device", device_id="D-1"),
    )
    assert (404, "FPWSE0001E") == await problem(customer, "get_device", device_id="D-1")
    assert (404, "FPWSE0001E") == await problem(customer, "delete_device", device_id="D-1")


async def test_lists(customer: Customer) -> None:
    """Contract §3.2: pages, with their count as a number; ``expand=True`` has everything."""
    for number in range(3):
        await call(customer, "register_device", f"token-{number}", "G", device_id=f"list-{number}")

    everything = await call(customer, "get_devices", expand=True)
    page = await call(customer, "get_devices", offset=1, size=1)

    assert {"deviceId", "token", "platform", "userId"} <= set(everything["devices"][0])
    assert len(everything["devices"]) == everything["pageInfo"]["totalCount"] >= 3
    assert (1, True) == (len(page["devices"]), "offset=2" in page["pageInfo"]["next"])
    for number in range(3):
        assert 204 == await call(customer, "delete_device", device_id=f"list-{number}")


async def test_tags_and_subscriptions(customer: Customer) -> None:
    """Contract §4: a tag is declared, subscribed to, listed each way, and goes with what it had."""
    await call(customer, "register_device", "token-t", "G", device_id="T-1")
    tag = await call(customer, "register_topic", "two words", "Of them")
    plain = await call(customer, "register_topic", "news")

    subscribed = await call(customer, "subscribe", "two words", device_id="T-1")
    await call(customer, "subscribe", "news", device_id="T-1")
    of_device = await call(customer, "get_subscriptions", device_id="T-1")
    of_tag = await call(customer, "get_subscriptions", topic="two words", expand=True)
    everything = await call(customer, "get_subscriptions")
    left = await call(customer, "unsubscribe", "two words", device_id="T-1")
    deleted = await call(customer, "delete_topic", "news")

    assert ("two words", "Of them", "news") == (tag["name"], tag["description"], plain["name"])
    assert ("two words", "T-1") == (subscribed["tagName"], subscribed["deviceId"])
    tags = [{each["tagName"] for each in found["subscriptions"]} for found in (of_device, of_tag)]
    assert [{"news", "two words", "Push.ALL"}, {"two words"}] == tags
    assert len(everything["subscriptions"]) >= 2
    assert (204, 204) == (left, deleted)
    rest = await call(customer, "get_subscriptions", device_id="T-1")
    assert {"Push.ALL"} == {each["tagName"] for each in rest["subscriptions"]}


async def test_what_is_refused(customer: Customer) -> None:
    """Contract §2.8: each with its status and code, which the client raises."""
    await call(customer, "register_device", "token-r", "G", device_id="R-1")
    await call(customer, "register_topic", "known")
    await call(customer, "subscribe", "known", device_id="R-1")

    assert (409, "FPWSE0002E") == await problem(customer, "register_topic", "known")
    assert (404, "FPWSE0001E") == await problem(customer, "delete_topic", "unknown")
    assert (409, "FPWSE0011E") == await problem(customer, "subscribe", "known", device_id="R-1")
    assert (404, "FPWSE0001E") == await problem(customer, "subscribe", "unknown", device_id="R-1")
    assert (404, "FPWSE0001E") == await problem(customer, "subscribe", "known", device_id="R-9")
    assert (404, "FPWSE0012E") == await problem(customer, "unsubscribe", "unknown", device_id="R-1")
    assert (400, "FPWSE0005E") == await problem(customer, "register_device", "x y", "G")
    assert (400, "FPWSE0005E") == await problem(customer, "register_device", "00ff", "W")
    assert (400, "FPWSE1079E") == await problem(customer, "get_devices", offset=-1)
    assert (400, "FPWSE1080E") == await problem(customer, "get_devices", size=0)
    assert (404, "FPWSE0001E") == await problem(customer, "get_message", "unknown1")
    assert (400, "FPWSE0005E") == await problem(customer, "send_message", "")


async def test_messages(customer: Customer) -> None:
    """Contract §5: sent with each target, and read back each way; what it misspells is ignored."""
    await call(customer, "register_device", "token-m", "G", device_id="M-1")
    await call(customer, "register_topic", "messages")
    await call(customer, "subscribe", "messages", device_id="M-1")

    everybody = await call(customer, "send_message", "One", payload={"key": "value"})
    one = await call(
        customer,
        "send_message",
        "Two",
        url="https://www.example.com",
        platforms=["G"],
        payload='{"key": "value"}',
        device_ids=["M-1"],
        badge=2,
        ttl=60,
        title="Title",
        subtitle="Subtitle",
    )
    some = await call(customer, "send_message", "Three", topics=["messages"], type="SILENT")

    for sent, alert in ((everybody, "One"), (one, "Two"), (some, "Three")):
        name = sent["messageId"]
        assert (8, alert) == (len(name), sent["message"]["message"]["alert"])
        read = await call(customer, "get_message", name)
        assert (name, alert) == (read["messageId"], read["message"]["alert"])
        status = await call(customer, "get_message_status", name)
        assert name == status["messageId"]
        delivered = await call(customer, "get_message_delivery_status", name)
        of_one = await call(customer, "get_message_delivery_status", name, device_id="M-1")
        assert isinstance(delivered, dict)
        assert isinstance(of_one, dict)
    listed = await call(customer, "get_messages")
    assert {"One", "Two", "Three"} <= {each["alert"] for each in listed["messages"]}
    assert isinstance(await call(customer, "get_messages", offset=1), dict)


async def test_whoever_is_not_there(customer: Customer) -> None:
    """Contract §5.2: it asks for targets to be validated, unless it is told not to."""
    await call(customer, "register_device", "token-v", "G", device_id="V-1")

    assert 404 == (await problem(customer, "send_message", "Hi", device_ids=["nobody"]))[0]
    assert 404 == (await problem(customer, "send_message", "Hi", topics=["nothing"]))[0]
    sent = await call(customer, "send_message", "Hi", device_ids=["nobody"], validate=False)
    assert 8 == len(sent["messageId"])


async def test_statistics(customer: Customer) -> None:
    """Contract §8: both reports are there, for as many days as are asked for."""
    assert isinstance(await call(customer, "get_device_stats", 7), dict | list)
    assert isinstance(await call(customer, "get_push_stats", 7), dict | list)


async def test_tokens_are_renewed(customer: Customer) -> None:
    """Contract §1.4: it asks for another with each call, by the refresh token that it was given."""
    one = client(customer)

    first, second, third = [await asyncio.to_thread(one.get_auth_header) for _ in range(3)]

    assert {"Bearer"} == {each.split()[0] for each in (first, second, third)}
    assert "devices" in await asyncio.to_thread(one.get_devices)


CALLS: Final[list[tuple[Any, ...]]] = [
    ("register_device", "token", "G"),
    ("get_devices",),
    ("register_topic", "topic"),
    ("send_message", "Hi"),
]


@pytest.mark.parametrize("name, arguments", [(each[0], each[1:]) for each in CALLS])
async def test_an_unknown_app(customer: Customer, name: str, arguments: tuple[Any, ...]) -> None:
    """404 for every call, with JSON."""
    stranger = client(customer, app="1b880590-6301-4bb5-b34f-45db1c5f5644")

    status, body = await refused(stranger, name, *arguments)

    assert (404, "FPWSE0001E") == (status, body["code"])


async def test_wrong_credentials(customer: Customer) -> None:
    """A wrong key buys no token; a wrong client secret registers nobody."""
    keyless = await refused(client(customer, key="wrong"), "get_devices")
    secretless = await refused(client(customer, secret="wrong"), "register_device", "token", "G")

    assert ({400, 401} & {keyless[0]}, 401) == ({keyless[0]}, secretless[0])
    assert ["code", "message"] == sorted(secretless[1])


async def test_a_fault_of_ours(tmp_path: Path) -> None:
    """A server that is broken says so in JSON: 500 FPWSE0010E."""
    async with a_customer(tmp_path) as customer:
        await call(customer, "register_device", "token", "G")
        customer.lose_tables()
        with capture_logs():
            answer = await problem(customer, "send_message", "Hi", validate=False)

    assert (500, "FPWSE0010E") == answer
