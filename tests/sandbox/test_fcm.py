import json
from datetime import timedelta
from typing import Any

import pytest

from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.devices import Devices, Platform
from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.fcm import Fcm
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.oauth import TokenEndpoint
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted, Connection
from heliograph.wire.http import HttpResponse
from sandbox.senders import NOW, assertion, grant_form

TOKEN_URI = "https://fcm.example/token"


class Google:
    """The service with one device and an access token."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.devices = Devices(webpush_origin="https://push.example")
        self.inbox = Inbox()
        self.device = self.devices.mint(Platform.FCM, now=NOW)
        endpoint = TokenEndpoint(
            credentials.client_email,
            credentials.private_key_id,
            credentials.google_key.public_key(),
            TOKEN_URI,
        )
        self.service = Fcm(credentials.project_id, endpoint, self.devices, self.inbox)
        self.access_token = self.grant()

    def grant(self, **changes: Any) -> str:  # claims may be anything
        text = assertion(self.credentials, token_uri=TOKEN_URI, **changes)
        response = self.answer(Request("POST", "/token", body=grant_form(text)))
        return str(json.loads(response.body)["access_token"])

    def answer(self, request: Request, *, later: timedelta = timedelta(0)) -> HttpResponse:
        verdict = self.service.check(request, Connection(), NOW + later)
        if isinstance(verdict, Accepted):
            verdict.deliver()
        return verdict.response

    def request(
        self,
        *,
        method: str = "POST",
        path: str | None = None,
        authorization: str | None = None,
        body: bytes | None = None,
        validate_only: bool = False,
        **message: object,
    ) -> Request:
        envelope: dict[str, object] = {"message": {"token": self.device.key} | message}
        if validate_only:
            envelope["validate_only"] = True
        return Request(
            method,
            path or f"/v1/projects/{self.credentials.project_id}/messages:send",
            (("authorization", authorization or f"Bearer {self.access_token}"),),
            body if body is not None else json.dumps(envelope).encode(),
        )

    def send(self, **message: Any) -> HttpResponse:  # request()'s arguments, whatever their types
        return self.answer(self.request(**message))


@pytest.fixture
def google(credentials: Credentials) -> Google:
    return Google(credentials)


def error_of(response: HttpResponse) -> tuple[int, str, str | None]:
    """HTTP status, the error's status, and FCM's own code if there is one."""
    error = json.loads(response.body)["error"]
    assert response.status == error["code"]
    codes = [
        detail["errorCode"]
        for detail in error.get("details", [])
        if detail["@type"] == "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    ]
    return response.status, error["status"], codes[0] if codes else None


def test_accepted_message_gets_a_name(google: Google) -> None:
    """A good message is answered with its name within the project."""
    response = google.send(notification={"title": "Hello"})
    name = json.loads(response.body)["name"]

    assert 200 == response.status
    assert name.startswith(f"projects/{google.credentials.project_id}/messages/0:")


def test_accepted_message_is_in_the_inbox(google: Google) -> None:
    """The message is kept as it was sent."""
    google.send(notification={"title": "Hello"})

    (entry,) = google.inbox.entries(google.device)
    shown = entry.read()
    assert {"token": google.device.key, "notification": {"title": "Hello"}} == shown["payload"]
    assert {"authorization": "Bearer"} == shown["headers"]


def test_dry_run_reaches_nobody(google: Google) -> None:
    """With validate_only the message is judged and not delivered."""
    response = google.send(validate_only=True)

    assert json.loads(response.body)["name"].endswith("/fake_message_id")
    assert [] == google.inbox.entries()


def test_topic_message_is_accepted_and_reaches_nobody(google: Google) -> None:
    """Topics are taken, and nobody has subscribed to them here."""
    body = json.dumps({"message": {"topic": "news"}}).encode()

    assert 200 == google.send(body=body).status
    assert [] == google.inbox.entries()


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer abc", "Basic abc", "key=AAAA", "Bearer ya29.real"]
)
def test_unknown_access_token(google: Google, authorization: str) -> None:
    """Only tokens of the sandbox's own endpoint are good; there is no FCM code in the answer."""
    response = google.send(authorization=authorization)

    assert (401, "UNAUTHENTICATED", None) == error_of(response)


def test_expired_access_token(google: Google) -> None:
    """An access token is good for 3599 seconds."""
    request = google.request()

    assert 200 == google.answer(request, later=timedelta(seconds=3598)).status
    assert 401 == google.answer(request, later=timedelta(seconds=3599)).status


def test_insufficient_scope(google: Google) -> None:
    """A token for another API may not send."""
    token = google.grant(scope="https://www.googleapis.com/auth/datastore")
    response = google.send(authorization=f"Bearer {token}")

    assert (403, "PERMISSION_DENIED", None) == error_of(response)


def test_other_project(google: Google) -> None:
    """The service account has no rights in another project."""
    response = google.send(path="/v1/projects/other/messages:send")

    assert (403, "PERMISSION_DENIED", None) == error_of(response)


@pytest.mark.parametrize("path", ["/", "/v1/projects/x/messages", "/fcm/send", "/batch"])
def test_other_paths(google: Google, path: str) -> None:
    """Anything else is not found, with a page of HTML as Google gives."""
    response = google.send(path=path)

    assert 404 == response.status
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_other_methods(google: Google) -> None:
    """Messages are sent with POST only."""
    assert 404 == google.send(method="GET").status


def test_malformed_token(google: Google) -> None:
    """A token that cannot be one is an invalid argument of the field message.token."""
    response = google.send(token="short")
    details = json.loads(response.body)["error"]["details"]

    assert (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT") == error_of(response)
    assert {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": "message.token", "description": "Invalid registration token"}
        ],
    } in details


def test_unknown_token(google: Google) -> None:
    """A well-formed token that nobody has is unregistered."""
    response = google.send(token=google.device.key[:-4] + "____")

    assert (404, "NOT_FOUND", "UNREGISTERED") == error_of(response)


def test_uninstalled_app(google: Google) -> None:
    """The token of an app that was uninstalled is unregistered."""
    google.device.gone_since = NOW

    assert (404, "NOT_FOUND", "UNREGISTERED") == error_of(google.send())


def test_wrong_message(google: Google) -> None:
    """A violation of the schema names its field and comes with FCM's code."""
    response = google.send(data={"n": 1})
    details = json.loads(response.body)["error"]["details"]

    assert (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT") == error_of(response)
    assert ["message.data[0].value"] == [
        violation["field"] for detail in details for violation in detail.get("fieldViolations", [])
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b"[]"])
def test_body_that_is_no_request(google: Google, body: bytes) -> None:
    """What is not a JSON object of the right kind is an invalid argument."""
    assert (400, "INVALID_ARGUMENT") == error_of(google.send(body=body))[:2]


def test_payload_limit(google: Google) -> None:
    """4096 bytes of data are good; one more is an invalid argument without a cause."""
    assert 200 == google.send(data={"k": "x" * 4095}).status
    assert (400, "INVALID_ARGUMENT", None) == error_of(google.send(data={"k": "x" * 4096}))


@pytest.mark.parametrize(
    "fault,expected",
    [
        (Fault(FaultName.UNREGISTERED), (404, "NOT_FOUND", "UNREGISTERED")),
        (Fault(FaultName.BAD_TOKEN), (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")),
        (Fault(FaultName.WRONG_SENDER), (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")),
        (Fault(FaultName.TOO_MANY_REQUESTS), (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")),
        (Fault(FaultName.UNAVAILABLE), (503, "UNAVAILABLE", "UNAVAILABLE")),
        (Fault(FaultName.INTERNAL_ERROR), (500, "INTERNAL", "INTERNAL")),
        (Fault(FaultName.EXPIRED_CREDENTIALS), (401, "UNAUTHENTICATED", None)),
        (
            Fault(FaultName.INVALID_CREDENTIALS),
            (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        ),
        (Fault(FaultName.PAYLOAD_TOO_LARGE), (400, "INVALID_ARGUMENT", None)),
        (Fault(FaultName.ANSWER, status=404), (404, "NOT_FOUND", None)),
        (
            Fault(FaultName.ANSWER, status=400, reason="UNREGISTERED"),
            (400, "INVALID_ARGUMENT", "UNREGISTERED"),
        ),
    ],
)
def test_faults(google: Google, fault: Fault, expected: tuple[int, str, str | None]) -> None:
    """A fault is answered in Google's error shape, with the code that decides."""
    response = google.service.fault_response(Gateway.FCM, fault, google.request(), NOW)

    assert expected == error_of(response)


def test_bad_gateway_is_html(google: Google) -> None:
    """A load balancer's error is HTML."""
    fault = Fault(FaultName.BAD_GATEWAY)
    response = google.service.fault_response(Gateway.FCM, fault, google.request(), NOW)

    assert (502, "text/html; charset=UTF-8") == (response.status, response.header("content-type"))


def test_token_faults_are_oauth_errors(google: Google) -> None:
    """A fault at the token endpoint is answered in OAuth's shape."""
    fault = Fault(FaultName.INVALID_CREDENTIALS, gateway="oauth")
    response = google.service.fault_response(Gateway.OAUTH, fault, google.request(), NOW)

    assert "invalid_grant" == json.loads(response.body)["error"]
