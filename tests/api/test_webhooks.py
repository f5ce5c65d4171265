"""Webhooks and insights, for the operator."""

from typing import Any

import pytest
import pytest_asyncio
from httpx import Response

from api.beams.words import ALERT, Beams, problem
from support import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = [
    "v1.PublishToUsersAttempt",
    "v1.UserNotificationAcknowledgement",
    "v1.UserNotificationOpen",
]
URL = "https://hooks.example.com/x"


class Operator:
    """Whoever has the admin token, with an instance in mind."""

    def __init__(self, beams: Beams) -> None:
        self.beams = beams

    async def ask(self, method: str, rest: str, body: object = None) -> Response:
        path = f"/admin/v1/instances/{self.beams.instance.id}{rest}"
        return await self.beams.http.request(method, path, headers=ADMIN, json=body)

    async def webhook(self, **more: object) -> dict[str, Any]:
        made = await self.ask("POST", "/webhooks", {"url": URL} | more)
        assert 201 == made.status_code
        found: dict[str, Any] = made.json()
        return found

    async def report(self, event: str) -> str:
        """A publish to a person, and what a device of theirs says of it; the publish's id."""
        device = await self.beams.new_device("fcm")
        await self.beams.log_in(device, "u")
        answer = await self.beams.publish(ALERT | {"users": ["u"]}, to="/users")
        publish: str = answer.json()["publishId"]
        body = {"event": event, "publishId": publish, "deviceId": device.rpartition("/")[2]}
        path = f"/reporting_api/v2/instances/{self.beams.instance.id}/events"
        assert 200 == (await self.beams.http.post(path, json=body)).status_code
        return publish


@pytest_asyncio.fixture(loop_scope="module")
async def operator(beams: Beams) -> Operator:
    return Operator(beams)


async def test_a_webhook_is_made_with_its_secret_shown_once(operator: Operator) -> None:
    """All events unless told; afterwards nobody sees the secret again."""
    made = await operator.webhook(secret="s3cret", custom_data={"a": 1})

    listed = (await operator.ask("GET", "/webhooks")).json()
    shown = await operator.ask("GET", f"/webhooks/{made['id']}")

    secret = made.pop("secret")
    assert ("s3cret", EVENTS, {"a": 1}) == (secret, made["events"], made["custom_data"])
    assert {"webhooks": [made]} == listed
    assert made == shown.json()


async def test_a_secret_is_made_up(operator: Operator) -> None:
    """In the form that the libraries of Standard Webhooks take."""
    assert (await operator.webhook())["secret"].startswith("whsec_")


async def test_a_password_is_not_shown(operator: Operator) -> None:
    """It may stand in an address; the name before it does no harm."""
    made = await operator.webhook(url="https://me:pass-word@hooks.example.com:8443/x")

    assert "https://me:***@hooks.example.com:8443/x" == made["url"]
    assert "pass-word" not in (await operator.ask("GET", "/webhooks")).text


async def test_a_webhook_is_changed(operator: Operator) -> None:
    """What is given is changed, and the rest stays."""
    made = await operator.webhook()
    path = f"/webhooks/{made['id']}"

    changed = await operator.ask("PATCH", path, {"url": f"{URL}/y", "events": EVENTS[2:]})

    assert (200, f"{URL}/y", EVENTS[2:]) == (
        changed.status_code,
        changed.json()["url"],
        changed.json()["events"],
    )


async def test_a_webhook_is_deleted(operator: Operator) -> None:
    """Then it is not found."""
    path = f"/webhooks/{(await operator.webhook())['id']}"

    deleted = [(await operator.ask("DELETE", path)).status_code for _ in range(2)]

    assert [204, 404] == deleted


@pytest.mark.parametrize(
    "body, sentence",
    [
        ({}, "Object missing required field `url`"),
        ({"url": "nowhere"}, "url: must be an http(s) address"),
        ({"url": URL, "events": []}, f"events: must be some of {', '.join(EVENTS)}"),
        (
            {"url": URL, "events": ["v1.Unknown"]},
            f"events: must be some of {', '.join(EVENTS)}, or some of onDeviceRegister",
        ),
        ({"url": URL, "secret": ""}, "secret: must be 1 to 256 printable ASCII characters"),
    ],
)
async def test_what_cannot_be_used_is_refused(
    operator: Operator, body: dict[str, Any], sentence: str
) -> None:
    """With a sentence that says what would do."""
    answer = await operator.ask("POST", "/webhooks", body)

    assert 422 == answer.status_code
    assert sentence in answer.json()["description"]


@pytest.mark.parametrize(
    "method, path, what",
    [
        ("GET", "/webhooks/none", "webhook"),
        ("PATCH", "/webhooks/none", "webhook"),
        ("DELETE", "/webhooks/none", "webhook"),
        ("POST", "/webhooks/none/resend", "webhook"),
        ("GET", "/calls/none", "call"),
        ("POST", "/calls/none/resend", "call"),
        ("GET", "/calls?webhook=none", "webhook"),
        ("GET", "/calls?publish=none", "publish"),
    ],
)
async def test_what_there_is_not(operator: Operator, method: str, path: str, what: str) -> None:
    """404, with what was not found."""
    answer = await operator.ask(method, path, {} if method == "PATCH" else None)

    expected = problem("Not found", f"There is no such {what}")
    assert (404, expected) == (answer.status_code, answer.json())


async def test_calls_are_listed_and_sent_again(operator: Operator) -> None:
    """Each with its event in the webhook's own words; one under way stays under way."""
    webhook = await operator.webhook(events=EVENTS[2:])
    publish = await operator.report("Open")

    listed = (await operator.ask("GET", f"/calls?webhook={webhook['id']}&state=pending")).json()
    (call,) = listed["calls"]
    again = await operator.ask("POST", f"/calls/{call['id']}/resend")
    dead = await operator.ask("POST", f"/webhooks/{webhook['id']}/resend")

    assert (webhook["id"], publish, EVENTS[2], "pending", []) == (
        call["webhook_id"],
        call["publish_id"],
        call["event"],
        call["state"],
        call["attempts"],
    )
    assert (call, {"resent": 0}) == (again.json(), dead.json())
    assert call == (await operator.ask("GET", f"/calls/{call['id']}")).json()


async def test_calls_come_page_by_page(operator: Operator) -> None:
    """The latest first; the cursor leads on to the older ones."""
    await operator.webhook(events=EVENTS[1:])
    for event in ("Delivery", "Open", "Open"):
        await operator.report(event)

    first = (await operator.ask("GET", "/calls?limit=2")).json()
    rest = (await operator.ask("GET", f"/calls?limit=2&cursor={first['next_cursor']}")).json()

    names = [each["event"] for each in (*first["calls"], *rest["calls"])]
    assert [EVENTS[2], EVENTS[2], EVENTS[1]] == names
    assert "next_cursor" not in rest


@pytest.mark.parametrize(
    "query, sentence",
    [
        ("/calls?state=lost", "state: must be one of pending, delivered, dead"),
        ("/calls?limit=0", "limit: must be a whole number from 1 to 100"),
        ("/insights?days=367", "days: must be a whole number from 1 to 366"),
        ("/publishes?limit=x", "limit: must be a whole number from 1 to 100"),
    ],
)
async def test_a_question_that_makes_no_sense(
    operator: Operator, query: str, sentence: str
) -> None:
    """422, with what would."""
    answer = await operator.ask("GET", query)

    assert (422, sentence) == (answer.status_code, answer.json()["description"])


async def test_insights_of_days_and_publishes(operator: Operator) -> None:
    """Who is reached, what today's publishes came to, and each of them."""
    opened = await operator.report("Open")
    await operator.report("Delivery")

    insights = (await operator.ask("GET", "/insights")).json()
    latest = (await operator.ask("GET", "/publishes?limit=1")).json()
    rest = (await operator.ask("GET", f"/publishes?cursor={latest['next_cursor']}")).json()

    (today,) = insights["days"]
    assert {"apns": 0, "fcm": 2, "web": 0, "all": 2} == insights["active_devices"]
    assert (1, 2, 0, 1, 1) == (
        insights["active_users"],
        today["publishes"],
        today["sent"],
        today["delivered"],
        today["opened"],
    )
    assert {"fcm": {"sent": 0, "delivered": 1, "opened": 1}} == today["gateways"]
    assert [(opened, 0, 1)] == [
        (each["publish_id"], each["delivered"], each["opened"]) for each in rest["publishes"]
    ]
