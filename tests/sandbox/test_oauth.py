import json
from datetime import timedelta
from typing import Any  # parametrized keyword arguments of different types

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.exchange import Request
from heliograph.sandbox.oauth import GOOGLES_TOKEN_URI, TokenEndpoint, fault_response
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted
from heliograph.wire.http import HttpResponse
from sandbox.senders import NOW, assertion, grant_form

TOKEN_URI = "https://oauth.example/token"


@pytest.fixture
def endpoint(credentials: Credentials) -> TokenEndpoint:
    return TokenEndpoint(
        client_email=credentials.client_email,
        private_key_id=credentials.private_key_id,
        public_key=credentials.google_key.public_key(),
        token_uri=TOKEN_URI,
    )


def ask(endpoint: TokenEndpoint, body: bytes, *, method: str = "POST") -> HttpResponse:
    verdict = endpoint.check(Request(method, "/token", body=body), NOW)
    if isinstance(verdict, Accepted):
        verdict.deliver()
    return verdict.response


def test_good_assertion_earns_an_access_token(
    endpoint: TokenEndpoint, credentials: Credentials
) -> None:
    """A service account gets a bearer token that lets it send for an hour."""
    response = ask(endpoint, grant_form(assertion(credentials, token_uri=TOKEN_URI)))
    body = json.loads(response.body)
    grant = endpoint.grant_of(body["access_token"], NOW)

    assert 200 == response.status
    assert (3599, "Bearer") == (body["expires_in"], body["token_type"])
    assert grant is not None
    assert grant.may_send
    assert endpoint.grant_of(body["access_token"], NOW + timedelta(hours=1)) is None


def test_googles_libraries_are_understood(
    endpoint: TokenEndpoint, credentials: Credentials
) -> None:
    """Google's libraries ask whomever the account names, but always in the name of Google."""
    body = grant_form(assertion(credentials, token_uri=GOOGLES_TOKEN_URI))

    assert 200 == ask(endpoint, body).status


def test_other_scopes_do_not_let_send(endpoint: TokenEndpoint, credentials: Credentials) -> None:
    """A token for another Google API is given, and is not good for messaging."""
    scope = "https://www.googleapis.com/auth/datastore"
    text = assertion(credentials, token_uri=TOKEN_URI, scope=scope)
    token = json.loads(ask(endpoint, grant_form(text)).body)["access_token"]
    grant = endpoint.grant_of(token, NOW)

    assert grant is not None
    assert not grant.may_send


@pytest.mark.parametrize(
    "changes,error",
    [
        ({"iss": "someone@else.example"}, "invalid_grant"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"exp": int(NOW.timestamp()) + 3601}, "invalid_grant"),
        ({"iat": int(NOW.timestamp()) - 9000, "exp": int(NOW.timestamp()) - 5400}, "invalid_grant"),
        ({"iat": int(NOW.timestamp()) + 600}, "invalid_grant"),
        ({"iat": "now"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_wrong_claims(
    endpoint: TokenEndpoint, credentials: Credentials, changes: dict[str, Any], error: str
) -> None:
    """A claim that is not as Google wants it is refused with Google's error."""
    text = assertion(credentials, token_uri=TOKEN_URI, **changes)
    response = ask(endpoint, grant_form(text))

    assert (400, error) == (response.status, json.loads(response.body)["error"])


def test_signature_of_another_key(endpoint: TokenEndpoint, credentials: Credentials) -> None:
    """An assertion signed by someone else is an invalid grant."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = assertion(credentials, token_uri=TOKEN_URI, key=stranger)
    body = json.loads(ask(endpoint, grant_form(text)).body)

    assert {
        "error": "invalid_grant",
        "error_description": "Invalid JWT Signature.",
    } == body


@pytest.mark.parametrize(
    "body,error",
    [
        (b"", "unsupported_grant_type"),
        (b"grant_type=password", "unsupported_grant_type"),
        (b"\xff\xfe", "unsupported_grant_type"),
        (grant_form("abc"), "invalid_request"),
        (grant_form("a.b.c"), "invalid_request"),
    ],
)
def test_wrong_forms(endpoint: TokenEndpoint, body: bytes, error: str) -> None:
    """What is no grant request at all is refused too."""
    assert error == json.loads(ask(endpoint, body).body)["error"]


def test_only_post(endpoint: TokenEndpoint) -> None:
    """Tokens are given for POST only."""
    assert 405 == ask(endpoint, b"", method="GET").status


@pytest.mark.parametrize(
    "fault,status,error",
    [
        (Fault(FaultName.TOO_MANY_REQUESTS), 429, "rate_limit_exceeded"),
        (Fault(FaultName.UNAVAILABLE), 503, "temporarily_unavailable"),
        (Fault(FaultName.INTERNAL_ERROR), 500, "internal_failure"),
        (Fault(FaultName.INVALID_CREDENTIALS), 400, "invalid_grant"),
        (Fault(FaultName.ANSWER, status=401, reason="invalid_client"), 401, "invalid_client"),
    ],
)
def test_faults(fault: Fault, status: int, error: str) -> None:
    """A fault is answered in OAuth's error shape."""
    response = fault_response(fault)

    assert (status, error) == (response.status, json.loads(response.body)["error"])


def test_faults_without_json() -> None:
    """An empty error is empty here as well."""
    assert b"" == fault_response(Fault(FaultName.EMPTY_ERROR)).body
