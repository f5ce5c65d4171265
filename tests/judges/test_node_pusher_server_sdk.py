"""
Pusher's own server SDK for Node.js, unmodified, against our server.

An ``endpoint`` makes it speak http, and a ``port`` leads it to ours. It ends its process
where an error has no body (contract §2.6), so that a script that answers at all has lived.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from judges.customer import PAYLOAD, Customer, a_customer
from judges.javascript import ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    async with a_customer(tmp_path_factory.mktemp("product")) as customer:
        yield customer


async def call(
    customer: Customer, *calls: tuple[object, ...], **credentials: str
) -> list[dict[str, Any]]:
    """What each call of a client with these credentials resolved to, or was rejected with."""
    address = httpx.URL(customer.addresses["endpoint"])
    options: dict[str, object] = {
        "instanceId": str(customer.instance.id),
        "secretKey": customer.instance.secret_keys[0],
        "endpoint": address.host,
        "port": address.port,
        **credentials,
    }
    question = {"options": options, "calls": calls}
    answers: list[dict[str, Any]] = await ask("pusher_server", question)
    return answers


async def test_publishing(customer: Customer) -> None:
    """Every method that publishes resolves to a publish id, and addresses whom it named."""
    answers = await call(
        customer,
        ("publishToInterests", ["hello", "a;b"], PAYLOAD),
        ("publish", ["hello"], PAYLOAD),
        ("publishToUsers", ["Stop!' said/Fred", "é"], PAYLOAD),
    )

    assert [["publishId"]] * 3 == [list(answer["value"]) for answer in answers]
    assert [
        {"interests": ["hello", "a;b"]},
        {"interests": ["hello"]},
        {"users": ["Stop!' said/Fred", "é"]},
    ] == [await customer.target_of(answer["value"]) for answer in answers]


async def test_as_many_as_the_sdk_lets_through(customer: Customer) -> None:
    """A hundred interests and a thousand users of the longest name are taken."""
    answers = await call(
        customer,
        ("publishToInterests", [f"{number:03}{'n' * 80}" for number in range(100)], PAYLOAD),
        ("publishToInterests", ["n" * 164], PAYLOAD),
        ("publishToUsers", [f"{number:04}{'u' * 160}" for number in range(1000)], PAYLOAD),
    )

    assert [["value"]] * 3 == [list(answer) for answer in answers]


USERS: Final = ("u", "Stop!' said/Fred", 'a"b', "a+b", "é%2F+ ?#", "\U0001f600", "a" * 164)


async def test_a_users_whole_way(customer: Customer) -> None:
    """The SDK's token logs each user in on a device; deleting the user takes it away."""
    tokens = await call(customer, *[("generateToken", user) for user in USERS])
    devices = [await customer.new_device(f"node-{number}") for number in range(len(USERS))]

    bound = [
        await customer.http.put(
            f"{device}/user", headers={"authorization": f"Bearer {answer['value']['token']}"}
        )
        for device, answer in zip(devices, tokens, strict=True)
    ]
    shown = [(await customer.http.get(device)).json()["userId"] for device in devices]
    deleted = await call(customer, *[("deleteUser", user) for user in USERS])
    gone = [await customer.http.get(device) for device in devices]

    assert [200] * len(USERS) == [reply.status_code for reply in bound]
    assert list(USERS) == shown
    assert [{"value": None}] * len(USERS) == deleted
    assert [404] * len(USERS) == [reply.status_code for reply in gone]


async def test_deleting_somebody_unknown(customer: Customer) -> None:
    """The promise resolves."""
    assert [{"value": None}] == await call(customer, ("deleteUser", "nobody"))


CALLS: Final[list[tuple[object, ...]]] = [
    ("publishToInterests", ["hello"], PAYLOAD),
    ("publish", ["hello"], PAYLOAD),
    ("publishToUsers", ["u"], PAYLOAD),
    ("deleteUser", "u"),
]
"""Every call that goes over the network."""


async def test_a_wrong_key(customer: Customer) -> None:
    """Every promise is rejected with status, title and description."""
    rejected = {"error": "401 Unauthorized - Incorrect Secret Key"}

    assert [rejected] * 4 == await call(customer, *CALLS, secretKey="wrong")


@pytest.mark.parametrize("instance", ["abe1212381f60", "1b880590-6301-4bb5-b34f-45db1c5f5644"])
async def test_an_unknown_instance(customer: Customer, instance: str) -> None:
    """Every promise is rejected with status, title and description."""
    rejected = {"error": "404 Instance not found - Could not find the instance"}

    assert [rejected] * 4 == await call(customer, *CALLS, instanceId=instance)


REFUSED: Final[list[tuple[tuple[object, ...], str]]] = [
    (
        ("publishToUsers", ["a", "a"], PAYLOAD),
        "422 Unprocessable Entity - `users`: array items must be unique",
    ),
    (
        ("publishToUsers", [""], PAYLOAD),
        ("422 Unprocessable Entity - `users.0`: String length must be greater than or equal to 1"),
    ),
    (
        ("publishToInterests", [""], PAYLOAD),
        (
            "422 Unprocessable Entity - "
            r"`interests.0`: Does not match pattern '^[a-zA-Z0-9_\\-=@,.;]+$'"
        ),
    ),
    (
        ("publishToInterests", ["a"], {}),
        "422 Unprocessable Entity - at least one of `apns`, `fcm` and `web` is required",
    ),
    (
        ("publishToInterests", ["a"], {"apns": {"aps": 1}}),
        ("422 Unprocessable Entity - `apns.aps`: Invalid type. Expected: object, given: integer"),
    ),
    (
        ("publishToInterests", ["a"], PAYLOAD | {"padding": "x" * 10_240}),
        "400 Bad request - The body is too large: at most 10240 bytes",
    ),
    (
        ("publishToUsers", ["a"], PAYLOAD | {"padding": "x" * 1_000_000}),
        "400 Bad request - The body is too large: at most 204800 bytes",
    ),
    (("deleteUser", ""), "404 Not found - The path must end with a user id"),
    (
        ("deleteUser", "\x00"),
        "400 Bad request - 'User id' must be Unicode text without control characters",
    ),
    (
        (
            "_doRequest",
            {"method": "DELETE", "path": "/user_api/v1/instances/{instance}/users/" + "a" * 165},
        ),
        "400 Bad request - 'User id' is too long, max length is 164",
    ),
    (
        (
            "_doRequest",
            {
                "method": "POST",
                "path": "/publish_api/v1/instances/{instance}/publishes",
                "body": {"invalid": "payload"},
            },
        ),
        "422 Unprocessable Entity - `interests`: interests is required",
    ),
]
"""What the SDK lets through and we do not; its own low-level call lets everything through."""


def addressed(customer: Customer, arguments: tuple[object, ...]) -> tuple[object, ...]:
    """A call with the instance filled in where it names one."""
    return tuple(
        {**each, "path": each["path"].replace("{instance}", str(customer.instance.id))}
        if isinstance(each, dict) and "path" in each
        else each
        for each in arguments
    )


async def test_what_the_sdk_lets_through_and_we_do_not(customer: Customer) -> None:
    """Each promise is rejected with our words, and one process lives through all of them."""
    answers = await call(customer, *[addressed(customer, each) for each, _ in REFUSED])

    assert [{"error": text} for _, text in REFUSED] == answers


async def test_what_the_sdk_does_not_let_through(customer: Customer) -> None:
    """A name that is too long is the SDK's own to refuse; its promise is rejected as well."""
    answers = await call(
        customer,
        ("deleteUser", "a" * 165),
        ("publishToUsers", ["a" * 165], PAYLOAD),
        ("generateToken", "a" * 165),
    )

    assert [True] * 3 == [
        "too long" in each["error"] or "longer" in each["error"] for each in answers
    ]


async def test_what_is_asked_too_often(tmp_path: Path) -> None:
    """§10: beyond its rate each promise is rejected; publishing and deleting are counted apart."""
    limited = "429 Rate Limited - Too many requests for this instance"
    async with a_customer(tmp_path, publish_rate=1) as customer:
        published = await call(customer, *[CALLS[0]] * 30)
        deleted = await call(customer, *[CALLS[3]] * 30)

    for answers in (published, deleted):
        assert "value" in answers[0]
        assert {limited} == {each["error"] for each in answers if "error" in each}


async def test_a_fault_of_ours(tmp_path: Path) -> None:
    """A server that is broken rejects promises, too, and ends no process."""
    async with a_customer(tmp_path) as customer:
        customer.lose_tables()

        with capture_logs() as logs:
            answers = await call(customer, *CALLS)

    assert [{"error": "500 Something went wrong - Internal server error"}] * 4 == answers
    assert ["request_failed"] * 4 == [log["event"] for log in logs]
