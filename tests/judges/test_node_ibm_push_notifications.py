"""
IBM's own server SDK for Node.js, unmodified, against our server.

``overrideServerHost`` leads it to ours. Its client for API keys asks for its token at a host
that is built in (contract §1.4), to which a tunnel leads; that is the network to it.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from judges.customer import Customer, a_customer
from judges.javascript import ask
from judges.tunnel import Tunnel

pytestmark = pytest.mark.asyncio(loop_scope="module")

IAM: Final = "iam.cloud.ibm.com"
HELLO: Final = {"message": {"alert": "Hello"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    async with a_customer(tmp_path_factory.mktemp("product"), hosts=[IAM]) as customer:
        await register(customer)
        yield customer


async def register(customer: Customer) -> None:
    """A device: to an app that has none, nothing is sent."""
    answer = await customer.http.post(
        f"/imfpush/v1/apps/{customer.instance.id}/devices",
        json={"deviceId": "D-1", "token": "token", "platform": "G"},
        headers={"clientSecret": customer.instance.client_secret},
    )
    assert 201 == answer.status_code


async def call(
    customer: Customer, *calls: tuple[object, ...], has_key: bool = False, **changes: str
) -> list[dict[str, Any]]:
    """What the callback of each call of a client was given."""
    question = {
        "host": customer.addresses["endpoint"],
        "guid": str(customer.instance.id),
        "secret": customer.instance.app_secret,
        "hasKey": has_key,
        "calls": calls,
        **changes,
    }
    async with Tunnel.to({IAM: customer.addresses["tls_endpoint"]}) as tunnel:
        answers: list[dict[str, Any]] = await ask(
            "ibm_push",
            question,
            ca_file=Path(customer.ca_file),
            proxy=tunnel.url,
            home=customer.folder,  # the SDK does not start without one
        )
    return answers


async def message(customer: Customer, answer: dict[str, Any]) -> Any:
    """A message as it is read back."""
    base = f"/imfpush/v1/apps/{customer.instance.id}/messages"
    reply = await customer.http.get(
        f"{base}/{answer['body']['messageId']}",
        headers={"appSecret": customer.instance.app_secret},
    )
    return reply.json()


EVERYTHING: Final[dict[str, Any]] = {
    "message": {"alert": "Hello é", "url": "https://www.example.com"},
    "target": {
        "deviceIds": ["D-1"],
        "userIds": ["alice", 'a"b'],
        "platforms": ["A", "G", "WEB_CHROME", "WEB_FIREFOX", "WEB_SAFARI", "APPEXT_CHROME"],
        "tagNames": ["news"],
    },
    "settings": {
        "apns": {
            "badge": 1,
            "interactiveCategory": "category",
            "sound": "ping.aiff",
            "iosActionKey": "KEY",
            "payload": {"key": "value"},
            "type": "MIXED",
            "titleLocKey": "TITLE",
            "locKey": "BODY",
            "launchImage": "launch.png",
            "titleLocArgs": ["a"],
            "locArgs": ["b"],
            "subtitle": "Subtitle",
            "title": "Title",
            "attachmentUrl": "https://www.example.com/a.png",
            "apnsCollapseId": "collapse",
            "apnsThreadId": "thread",
            "apnsGroupSummaryArg": "arg",
            "apnsGroupSummaryArgCount": 2,
        },
        "fcm": {
            "delayWhileIdle": True,
            "timeToLive": 60,
            "collapseKey": "collapse",
            "payload": {"key": "value"},
            "sync": True,
            "sound": "ping",
            "interactiveCategory": "category",
            "priority": "HIGH",
            "style": {
                "type": "INBOX_NOTIFICATION",
                "url": "https://www.example.com/a.png",
                "title": "Title",
                "text": "Text",
                "lines": ["one", "two"],
            },
            "visibility": "PRIVATE",
            "icon": "icon",
            "lights": {"ledArgb": "RED", "ledOnMs": 1, "ledOffMs": 2},
            "type": "DEFAULT",
            "androidTitle": "Title",
            "groupId": "group",
        },
        "chromeWeb": {
            "title": "Title",
            "iconUrl": "https://www.example.com/i.png",
            "timeToLive": 60,
            "payload": {"key": "value"},
        },
        "firefoxWeb": {
            "title": "Title",
            "iconUrl": "https://www.example.com/i.png",
            "timeToLive": 60,
            "payload": {"key": "value"},
        },
        "safariWeb": {"title": "Title", "urlArgs": ["a"], "action": "View"},
        "chromeAppExt": {
            "collapseKey": "collapse",
            "delayWhileIdle": False,
            "title": "Title",
            "iconUrl": "https://www.example.com/i.png",
            "timeToLive": 60,
            "payload": {"key": "value"},
        },
    },
}
"""Every method of every builder."""

SENT: Final[dict[str, Any]] = EVERYTHING | {
    "settings": {
        "gcm" if name == "fcm" else name: block for name, block in EVERYTHING["settings"].items()
    }
}
"""What the SDK makes of it: its builder for FCM writes ``gcm`` (contract §5.4)."""


async def test_sending(customer: Customer) -> None:
    """Contract §5.1: 202 with the request as it was, and a message id under which it is kept."""
    (answer,) = await call(customer, ("send", EVERYTHING))

    assert (202, SENT) == (answer["status"], answer["body"]["message"])
    kept = await message(customer, answer)
    assert {name: SENT[name] for name in ("message", "settings", "target")} == {
        name: kept[name] for name in ("message", "settings", "target")
    }


LEFT_OUT: Final[list[dict[str, Any]]] = [
    {},
    {"target": {}},
    {"target": {"userIds": ["alice"], "tagNames": None}},
    {
        "settings": {
            "apns": {"badge": None, "payload": None},
            "fcm": {"style": {"type": "BIGTEXT_NOTIFICATION", "url": None}},
        }
    },
    {"settings": {"fcm": {"timeToLive": 1.0}}},
]
"""What callers may say, or not."""


async def test_what_callers_leave_out(customer: Customer) -> None:
    """Contract §5.2: no target is everybody; what is null was not said, at whatever depth."""
    answers = await call(customer, *[("send", HELLO | changes) for changes in LEFT_OUT])

    assert [(202, 8)] * len(LEFT_OUT) == [
        (answer["status"], len(answer["body"].get("messageId", ""))) for answer in answers
    ]


async def test_sending_many(customer: Customer) -> None:
    """Contract §5.6: each has a message of its own, in the order they were sent."""
    sketches = [{"message": {"alert": alert}} for alert in ("one", "two")]

    (answer,) = await call(customer, ("sendBulk", sketches))

    found = answer["body"]["messages"]
    assert (202, ["one", "two"]) == (answer["status"], [each["alert"] for each in found])
    for each in found:
        assert each["href"].endswith(f"/apps/{customer.instance.id}/messages/{each['messageId']}")
        assert each["createdTime"].endswith("Z")
    assert ["one", "two"] == [
        (await message(customer, {"body": each}))["message"]["alert"] for each in found
    ]


REFUSED: Final[list[tuple[dict[str, Any], str]]] = [
    ({"message": {}}, "FPWSE0005E"),
    ({"message": {"alert": 1}}, "FPWSE0005E"),
    (HELLO | {"target": {"userIds": "alice"}}, "FPWSE0005E"),
    (HELLO | {"target": {"userIds": ["anonymous"]}}, "FPWSE0005E"),
    (HELLO | {"target": {"platforms": ["W"]}}, "FPWSE0005E"),
    (HELLO | {"target": {"userIds": [f"u{each}" for each in range(1001)]}}, "FPWSE0005E"),
    (HELLO | {"settings": {"apns": {"badge": "one"}}}, "FPWSE0005E"),
    (HELLO | {"settings": {"apns": {"payload": "[1]"}}}, "FPWSE0013E"),
    (HELLO | {"settings": {"fcm": {"timeToLive": 2_419_201}}}, "FPWSE0005E"),
]
"""What the SDK lets through and we do not, with its code."""


async def test_what_the_sdk_lets_through_and_we_do_not(customer: Customer) -> None:
    """Contract §2.8: 400 with a code and a sentence, alone or among others."""
    alone = await call(customer, *[("send", sketch) for sketch, _ in REFUSED])
    among = await call(customer, *[("sendBulk", [sketch, HELLO]) for sketch, _ in REFUSED])

    expected = [(400, code, ["code", "message"]) for _, code in REFUSED]
    for answers in (alone, among):
        assert expected == [
            (answer["status"], answer["body"].get("code"), sorted(answer["body"]))
            for answer in answers
        ]


CALLS: Final[list[tuple[object, ...]]] = [("send", HELLO), ("sendBulk", [HELLO])]
"""Every call that goes to our API."""


async def test_an_app_without_devices(tmp_path: Path) -> None:
    """Contract §2.8: FPWSE0009E, for there is nobody to send to."""
    async with a_customer(tmp_path) as customer:
        answers = await call(customer, *CALLS)

    assert [(404, "FPWSE0009E")] * 2 == [
        (answer["status"], answer["body"]["code"]) for answer in answers
    ]


async def test_a_wrong_secret(customer: Customer) -> None:
    """Contract §2.4: 401, always JSON."""
    answers = await call(customer, *CALLS, secret="wrong")

    assert [(401, ["code", "message"])] * 2 == [
        (answer["status"], sorted(answer["body"])) for answer in answers
    ]


async def test_an_unknown_app(customer: Customer) -> None:
    """Contract §2.4: 404, always JSON."""
    answers = await call(customer, *CALLS, guid="1b880590-6301-4bb5-b34f-45db1c5f5644")

    assert [(404, "FPWSE0001E")] * 2 == [
        (answer["status"], answer["body"]["code"]) for answer in answers
    ]


async def test_an_api_key(customer: Customer) -> None:
    """Contract §1.4: the app secret buys a token; without one, nothing is sent."""
    before, token, sent, many = await call(
        customer, CALLS[0], ("getAuthToken",), *CALLS, has_key=True
    )

    assert (401, True) == (before["status"], token["has"])
    assert (202, 202) == (sent["status"], many["status"])


async def test_a_wrong_api_key(customer: Customer) -> None:
    """The callback is told that there is no token."""
    assert [{"has": False, "token": ""}] == await call(
        customer, ("getAuthToken",), has_key=True, secret="wrong"
    )


async def test_what_is_asked_too_often(tmp_path: Path) -> None:
    """Beyond its rate: FPWSE0025E, which is IBM's word for that (contract §2.8)."""
    async with a_customer(tmp_path, publish_rate=1) as customer:
        await register(customer)
        answers = await call(customer, *[CALLS[0]] * 20)

    assert 202 == answers[0]["status"]
    assert {"FPWSE0025E"} == {each["body"].get("code", "FPWSE0025E") for each in answers}
    assert len({each["status"] for each in answers}) == 2


async def test_a_fault_of_ours(tmp_path: Path) -> None:
    """A server that is broken says so in JSON, too: 500 FPWSE0010E."""
    async with a_customer(tmp_path) as customer:
        await register(customer)
        customer.lose_tables()

        with capture_logs():
            answers = await call(customer, *CALLS)

    assert [(500, "FPWSE0010E")] * 2 == [
        (answer["status"], answer["body"]["code"]) for answer in answers
    ]
