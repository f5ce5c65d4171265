"""FCM: access tokens, the request of a delivery, and the table of what replies mean."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as judge
from joserfc.jwk import RSAKey

from heliograph.gateways import fcm
from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.model import FcmCredentials, FcmMessage, ServiceAccount
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = "projects/demo/messages/0:1500415314455276%31bd1c9631bd1c96"
NOT_FOUND = "Requested entity was not found."
BAD_TOKEN = "The registration token is not a valid FCM registration token"
QUOTA = timedelta(seconds=60)


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def account(**changes: str) -> ServiceAccount:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    base = ServiceAccount(
        project_id="demo",
        client_email="push@demo.iam.gserviceaccount.com",
        private_key=key().private_bytes(*form).decode(),
        private_key_id="0123abcd",
    )
    return replace(base, **changes)


def requested(
    message: bytes, token: str = "device:token", *, endpoint: str | None = None
) -> HttpRequest:
    credentials = FcmCredentials(account(), endpoint)
    template = fcm.template(FcmMessage(message), credentials=credentials, token="ya29.access")
    (values,) = fcm.values([token])
    return http2.request(template, values)


def reply(status: int, body: object = None, *, retry_after: str | None = None) -> HttpResponse:
    headers = () if retry_after is None else (("retry-after", retry_after),)
    return HttpResponse(status, headers, b"" if body is None else json.dumps(body).encode())


def error(
    http: int,
    status: str,
    *details: dict[str, object],
    message: str = "",
    retry_after: str | None = None,
) -> HttpResponse:
    """A failure in the shape of google.rpc.Status."""
    content = {"code": http, "message": message, "status": status, "details": list(details)}
    return reply(http, {"error": content}, retry_after=retry_after)


def fcm_error(code: str) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def apns_error(status: int, reason: str) -> dict[str, object]:
    kind = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
    return {"@type": kind, "statusCode": status, "reason": reason}


def bad_request(*fields: str) -> dict[str, object]:
    violations = [{"field": field, "description": "Invalid"} for field in fields]
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}


QUOTA_FAILURE: dict[str, object] = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"subject": "project:demo"}],
}


# --- access tokens -------------------------------------------------------------------


def test_an_assertion_is_what_google_documents() -> None:
    """Issuer, scope, audience and one hour, signed by the account's key."""
    token = fcm.assertion(account(), now=NOW)

    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_key = RSAKey.import_key(key().public_key().public_bytes(*form))
    opened = judge.deserialize_compact(token, public_key, ["RS256"])
    assert {"alg": "RS256", "typ": "JWT", "kid": "0123abcd"} == opened.headers()
    assert {
        "iss": "push@demo.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1767323045,
        "exp": 1767326645,
    } == json.loads(opened.payload)


def test_an_account_with_another_kind_of_key_is_refused() -> None:
    """A private key that is not RSA says so before anything is sent."""
    with pytest.raises(ValueError):
        fcm.assertion(account(private_key="garbage"), now=NOW)


def test_a_token_is_asked_for_where_the_account_says() -> None:
    """The account's own token_uri is both the address and the audience."""
    address = "https://127.0.0.1:9443/token"

    request = fcm.token_request(account(token_uri=address), now=NOW)

    form = parse_qs(request.body.decode(), strict_parsing=True)
    assert ("POST", address) == (request.method, request.url)
    assert (("content-type", "application/x-www-form-urlencoded"),) == request.headers
    assert ["urn:ietf:params:oauth:grant-type:jwt-bearer"] == form["grant_type"]
    assert [fcm.assertion(account(token_uri=address), now=NOW)] == form["assertion"]


@pytest.mark.parametrize(
    "seconds, lifetime",
    [
        pytest.param(3599, timedelta(seconds=3599), id="as Google gives it"),
        pytest.param(None, timedelta(minutes=5), id="absent"),
        pytest.param(0, timedelta(minutes=5), id="zero"),
        pytest.param(10**30, timedelta(minutes=5), id="absurd"),
        pytest.param("3599", timedelta(minutes=5), id="text"),
    ],
)
def test_an_access_token_says_when_it_expires(seconds: object, lifetime: timedelta) -> None:
    """The lifetime counts from the reply; one that cannot be read is taken to be short."""
    body = {"access_token": "ya29.access", "expires_in": seconds, "token_type": "Bearer"}

    token = fcm.read_token(reply(200, body), now=NOW)

    assert fcm.AccessToken("ya29.access", NOW + lifetime) == token


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(
            Refused("token endpoint: invalid_grant"),
            reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
            id="400 invalid_grant",
        ),
        pytest.param(
            Refused("token endpoint: invalid_client"),
            reply(401, {"error": "invalid_client"}),
            id="401 invalid_client",
        ),
        pytest.param(Refused("token endpoint: HTTP 404"), reply(404), id="404"),
        pytest.param(Refused("token endpoint: HTTP 302"), reply(302), id="redirect"),
        pytest.param(
            Unavailable("token endpoint: HTTP 429", timedelta(seconds=5)),
            reply(429, retry_after="5"),
            id="429",
        ),
        pytest.param(
            Unavailable("token endpoint: internal_failure"),
            reply(500, {"error": "internal_failure"}),
            id="500",
        ),
        pytest.param(
            Unavailable("token endpoint: HTTP 503", timedelta(seconds=7)),
            reply(503, retry_after="7"),
            id="503",
        ),
        pytest.param(Unavailable("unreadable token reply"), reply(200), id="200, empty"),
        pytest.param(
            Unavailable("unreadable token reply"),
            reply(200, {"access_token": "a\r\nb: c"}),
            id="200, a token that is none",
        ),
    ],
)
def test_a_token_that_is_not_given_is_an_outcome(expected: Outcome, response: HttpResponse) -> None:
    """The account or the clock is at fault, or Google is; never a device or a message."""
    assert expected == fcm.read_token(response, now=NOW)


def test_an_access_token_is_not_shown() -> None:
    """Its representation, which may be logged, leaves the value out."""
    assert "ya29" not in repr(fcm.AccessToken("ya29.access", NOW))


@given(st.integers(0, 999), st.text(), st.binary())
def test_reading_a_token_never_raises(status: int, retry_after: str, body: bytes) -> None:
    """Whatever the reply, there is a token or an outcome."""
    response = HttpResponse(status, (("retry-after", retry_after),), body)

    assert isinstance(fcm.read_token(response, now=NOW), fcm.AccessToken | Refused | Unavailable)


# --- requests ------------------------------------------------------------------------


def test_a_request_is_what_google_documents() -> None:
    """The project's address, a bearer token, and the device first in the message."""
    assert HttpRequest(
        "POST",
        "https://fcm.googleapis.com/v1/projects/demo/messages:send",
        (("authorization", "Bearer ya29.access"), ("content-type", "application/json")),
        b'{"message":{"token":"device:token","data":{"a":"b"}}}',
    ) == requested(b'{"data":{"a":"b"}}')


def test_an_endpoint_setting_wins() -> None:
    """An endpoint of our own stands for Google's."""
    url = requested(b"{}", endpoint="http://127.0.0.1:8181/").url

    assert "http://127.0.0.1:8181/v1/projects/demo/messages:send" == url


def test_a_project_cannot_change_the_path() -> None:
    """What is odd in a project's name stays within its part of the path."""
    credentials = FcmCredentials(account(project_id="a/../b?c"))

    template = fcm.template(FcmMessage(b"{}"), credentials=credentials, token="t")

    assert b"/v1/projects/a%2F..%2Fb%3Fc/messages:send" == dict(template.fields)[b":path"]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"{}", id="empty object"),
        pytest.param(b" { } ", id="empty object with spaces"),
        pytest.param(b'{"data":{}}', id="one member"),
        pytest.param(b' \n{ "data" : { } } \n', id="spaces"),
        pytest.param('{"notification":{"title":"żółw","body":"}"}}'.encode(), id="text"),
    ],
)
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("abc:APA91b-_", id="a token"),
        pytest.param('"}],\\', id="characters that JSON escapes"),
        pytest.param('a","b', id="what could pass for two"),
    ],
)
def test_the_device_is_spliced_into_any_message(message: bytes, token: str) -> None:
    """The body is JSON whatever the message, and differs only in having a token."""
    body = json.loads(requested(message, token).body)

    assert {"message": {"token": token, **json.loads(message)}} == body


@pytest.mark.parametrize(
    "message, age, expected",
    [
        pytest.param(
            FcmMessage(b'{"android":{"priority":"HIGH","ttl":"60s"}}', 60),
            timedelta(seconds=25.9),
            FcmMessage(b'{"android":{"priority":"HIGH","ttl":"35s"}}', 35),
            id="later",
        ),
        pytest.param(
            FcmMessage(b'{"android":{"ttl":"60s"}}', 60),
            timedelta(hours=1),
            FcmMessage(b'{"android":{"ttl":"0s"}}', 0),
            id="too late",
        ),
        pytest.param(
            FcmMessage(b'{ "android":{"ttl":"60s"}}', 60),
            timedelta(milliseconds=999),
            FcmMessage(b'{ "android":{"ttl":"60s"}}', 60),
            id="at once",
        ),
        pytest.param(FcmMessage(b"{}"), timedelta(days=1), FcmMessage(b"{}"), id="no TTL"),
    ],
)
def test_a_message_sent_later_is_kept_for_less(
    message: FcmMessage, age: timedelta, expected: FcmMessage
) -> None:
    """What a message has already waited here is taken off what it may wait there."""
    assert expected == fcm.aged(message, age)


# --- limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(FcmMessage(b"{}"), id="empty"),
        pytest.param(FcmMessage(b'{"data":{"a":"b"}}', 0), id="not kept"),
        pytest.param(FcmMessage(b'{"data":{"a":"b"}}', 2_419_200), id="four weeks"),
        pytest.param(FcmMessage(b'{"data":{"a":"%b"}}' % (b"x" * 4095)), id="4,096 bytes"),
        pytest.param(FcmMessage(b'{"data":{"fromage":"b"}}'), id="begins like a reserved key"),
    ],
)
def test_a_message_within_the_limits_has_no_problems(fine: FcmMessage) -> None:
    """What Google documents as allowed is allowed."""
    assert [] == fcm.problems(fine)


@pytest.mark.parametrize(
    "field, wrong",
    [
        pytest.param("message", FcmMessage(b"[]"), id="not an object"),
        pytest.param("message", FcmMessage(b"{"), id="not JSON"),
        pytest.param("message", FcmMessage(b'{"a":' * 100_000), id="nested deeply"),
        pytest.param("message", FcmMessage(b'{"token":"t"}'), id="has a token"),
        pytest.param("message", FcmMessage(b'{"topic":"t"}'), id="has a topic"),
        pytest.param("message", FcmMessage(b'{"condition":"c"}'), id="has a condition"),
        pytest.param("message.data", FcmMessage(b'{"data":[]}'), id="data is a list"),
        pytest.param("message.data", FcmMessage(b'{"data":{"a":1}}'), id="data has a number"),
        pytest.param("message.data", FcmMessage(b'{"data":{"from":"b"}}'), id="data has from"),
        pytest.param(
            "message.data",
            FcmMessage(b'{"data":{"message_type":"b"}}'),
            id="data has message_type",
        ),
        pytest.param("message.data", FcmMessage(b'{"data":{"gcm.n":"b"}}'), id="data has gcm"),
        pytest.param("message.data", FcmMessage(b'{"data":{"google.":""}}'), id="data has google"),
        pytest.param(
            "message", FcmMessage(b'{"data":{"a":"%b"}}' % (b"x" * 4096)), id="4,097 bytes of data"
        ),
        pytest.param(
            "message",
            FcmMessage(b'{"android":{"notification":{"body":"%b"}}}' % (b"x" * 4093)),
            id="4,097 bytes of notification",
        ),
        pytest.param("ttl_seconds", FcmMessage(b"{}", -1), id="negative ttl"),
        pytest.param("ttl_seconds", FcmMessage(b"{}", 2_419_201), id="more than four weeks"),
    ],
)
def test_each_limit_is_a_problem_of_its_field(field: str, wrong: FcmMessage) -> None:
    """What Google would refuse on every device is found before, and named."""
    assert [field] == [problem.partition(":")[0] for problem in fcm.problems(wrong)]


# --- outcomes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(Sent(), reply(200, {"name": NAME}), id="200"),
        pytest.param(
            Gone("UNREGISTERED"),
            error(404, "NOT_FOUND", fcm_error("UNREGISTERED"), message=NOT_FOUND),
            id="404 UNREGISTERED",
        ),
        pytest.param(
            Gone("UNREGISTERED"),
            error(400, "INVALID_ARGUMENT", fcm_error("UNREGISTERED")),
            id="UNREGISTERED under another status",
        ),
        pytest.param(
            Refused("NOT_FOUND"), error(404, "NOT_FOUND", message=NOT_FOUND), id="404 (none)"
        ),
        pytest.param(
            Refused("HTTP 404"), HttpResponse(404, (), b"<html>404</html>"), id="404 HTML"
        ),
        pytest.param(
            Gone("INVALID_ARGUMENT (message.token)"),
            error(
                400,
                "INVALID_ARGUMENT",
                bad_request("message.token"),
                fcm_error("INVALID_ARGUMENT"),
            ),
            id="400 INVALID_ARGUMENT, message.token",
        ),
        pytest.param(
            Gone("INVALID_ARGUMENT (message.token)"),
            error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), message=BAD_TOKEN),
            id="400 INVALID_ARGUMENT, not a valid FCM registration token",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT (message.data[0].value)"),
            error(
                400,
                "INVALID_ARGUMENT",
                fcm_error("INVALID_ARGUMENT"),
                bad_request("message.data[0].value"),
            ),
            id="400 INVALID_ARGUMENT, message.data[0].value",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT (message)"),
            error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), bad_request("message")),
            id="400 INVALID_ARGUMENT, message",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT (message.token)"),
            error(
                400,
                "INVALID_ARGUMENT",
                fcm_error("INVALID_ARGUMENT"),
                bad_request("message.token", "message.android.ttl"),
            ),
            id="400 INVALID_ARGUMENT, the token and more",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT"),
            error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT")),
            id="400 INVALID_ARGUMENT, no violations",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT"),
            error(400, "INVALID_ARGUMENT", message="Message too big"),
            id="400 (none), oversize payload",
        ),
        pytest.param(
            Gone("ApnsError Unregistered"),
            error(
                400,
                "INVALID_ARGUMENT",
                fcm_error("INVALID_ARGUMENT"),
                apns_error(410, "Unregistered"),
                message="APNs device token is disabled.",
            ),
            id="400 APNs device token is disabled",
        ),
        *(
            pytest.param(
                Refused(code),
                error(401, "UNAUTHENTICATED", fcm_error(code), apns_error(403, reason)),
                id=f"401 {code}, {reason}",
            )
            for code, reason in (
                ("THIRD_PARTY_AUTH_ERROR", "InvalidProviderToken"),
                ("THIRD_PARTY_AUTH_ERROR", "BadEnvironmentKeyInToken"),
                ("APNS_AUTH_ERROR", "InvalidProviderToken"),
            )
        ),
        pytest.param(
            Refused("THIRD_PARTY_AUTH_ERROR"),
            error(401, "UNAUTHENTICATED", fcm_error("THIRD_PARTY_AUTH_ERROR")),
            id="401 THIRD_PARTY_AUTH_ERROR, web VAPID",
        ),
        pytest.param(
            Interrupted("UNAUTHENTICATED", renew_token=True),
            error(401, "UNAUTHENTICATED"),
            id="401 (none)",
        ),
        pytest.param(
            Suspect("SENDER_ID_MISMATCH"),
            error(403, "PERMISSION_DENIED", fcm_error("SENDER_ID_MISMATCH")),
            id="403 SENDER_ID_MISMATCH",
        ),
        pytest.param(
            Refused("PERMISSION_DENIED"),
            error(
                403,
                "PERMISSION_DENIED",
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "SERVICE_DISABLED",
                },
            ),
            id="403 (none), SERVICE_DISABLED",
        ),
        pytest.param(
            Unavailable("QUOTA_EXCEEDED", QUOTA, is_for_all=True),
            error(429, "RESOURCE_EXHAUSTED", QUOTA_FAILURE, fcm_error("QUOTA_EXCEEDED")),
            id="429 QUOTA_EXCEEDED",
        ),
        pytest.param(
            Unavailable("QUOTA_EXCEEDED", timedelta(seconds=5)),
            error(429, "RESOURCE_EXHAUSTED", fcm_error("QUOTA_EXCEEDED"), retry_after="5"),
            id="429 QUOTA_EXCEEDED, Retry-After",
        ),
        pytest.param(
            Unavailable("INTERNAL", timedelta(seconds=10)),
            error(500, "INTERNAL", fcm_error("INTERNAL")),
            id="500 INTERNAL",
        ),
        pytest.param(
            Unavailable("HTTP 502", timedelta(seconds=30)),
            HttpResponse(502, (), b"<html>try again in 30 seconds</html>"),
            id="502 HTML",
        ),
        pytest.param(Unavailable("HTTP 504", timedelta(seconds=30)), reply(504), id="504"),
        pytest.param(
            Unavailable("UNAVAILABLE", timedelta(seconds=7)),
            error(503, "UNAVAILABLE", fcm_error("UNAVAILABLE"), retry_after="7"),
            id="503 UNAVAILABLE, Retry-After",
        ),
        pytest.param(
            Unavailable("UNAVAILABLE", timedelta(seconds=10)),
            error(503, "UNAVAILABLE", fcm_error("UNAVAILABLE")),
            id="503 UNAVAILABLE",
        ),
        pytest.param(
            Rejected("UNSPECIFIED_ERROR"),
            error(400, "", fcm_error("UNSPECIFIED_ERROR")),
            id="UNSPECIFIED_ERROR under 400",
        ),
        pytest.param(
            Refused("UNSPECIFIED_ERROR"),
            error(403, "", fcm_error("UNSPECIFIED_ERROR")),
            id="UNSPECIFIED_ERROR under 403",
        ),
        pytest.param(
            Unavailable("UNSPECIFIED_ERROR", timedelta(seconds=10)),
            error(500, "", fcm_error("UNSPECIFIED_ERROR")),
            id="UNSPECIFIED_ERROR under 500",
        ),
    ],
)
def test_every_row_of_the_table(expected: Outcome, response: HttpResponse) -> None:
    """Each documented status and code has its one meaning."""
    assert expected == fcm.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(
            Suspect("INVALID_ARGUMENT"),
            error(400, "INVALID_ARGUMENT", message=BAD_TOKEN),
            id="a bad token without the detail",
        ),
        pytest.param(
            Unavailable("UNREGISTERED", timedelta(seconds=10)),
            error(500, "INTERNAL", fcm_error("UNREGISTERED")),
            id="UNREGISTERED from a server in trouble",
        ),
        pytest.param(
            Refused("UNREGISTERED"),
            error(302, "", fcm_error("UNREGISTERED")),
            id="UNREGISTERED in a redirect",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT"),
            error(
                400,
                "INVALID_ARGUMENT",
                {"@type": "type.example.com/FcmError", "errorCode": "UNREGISTERED"},
            ),
            id="UNREGISTERED in a detail of another type",
        ),
        pytest.param(
            Rejected("INVALID_ARGUMENT"),
            error(400, "INVALID_ARGUMENT", apns_error(400, "BadDeviceToken")),
            id="another word of APNs",
        ),
        pytest.param(Rejected("HTTP 400"), reply(400, {"error": "UNREGISTERED"}), id="no object"),
        pytest.param(
            Rejected("HTTP 400"), reply(400, {"error": {"details": {"a": 1}}}), id="no details"
        ),
        pytest.param(
            Rejected("HTTP 400"),
            reply(400, {"error": {"details": [1, None, bad_request(), "x"], "status": 5}}),
            id="odd details",
        ),
    ],
)
def test_a_surprise_keeps_the_device(expected: Outcome, response: HttpResponse) -> None:
    """Only the documented combinations say that a device is dead."""
    assert expected == fcm.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, status",
    [
        pytest.param(Rejected("HTTP 400"), 400, id="400"),
        pytest.param(Interrupted("HTTP 401", renew_token=True), 401, id="401"),
        pytest.param(Refused("HTTP 403"), 403, id="403"),
        pytest.param(Refused("HTTP 404"), 404, id="404"),
        pytest.param(Rejected("HTTP 413"), 413, id="413"),
        pytest.param(Unavailable("HTTP 429", QUOTA), 429, id="429"),
        pytest.param(Unavailable("HTTP 500", timedelta(seconds=10)), 500, id="500"),
        pytest.param(Refused("HTTP 301"), 301, id="a redirect is not FCM"),
        pytest.param(Refused("HTTP 204"), 204, id="another success is not FCM"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"error":{"status":"NOT_F', id="truncated"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b'{"error":' * 100_000, id="nested deeply"),
    ],
)
def test_an_unreadable_body_leaves_the_status(expected: Outcome, status: int, body: bytes) -> None:
    """Without a code the HTTP status decides, and never against the device."""
    assert expected == fcm.outcome(HttpResponse(status, (), body), now=NOW)


def test_a_field_cannot_carry_a_token_into_a_log() -> None:
    """A field's path is named only in the form that FCM documents."""
    response = error(
        400,
        "INVALID_ARGUMENT",
        fcm_error("INVALID_ARGUMENT"),
        bad_request("message.abc:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"),
    )

    assert Rejected("INVALID_ARGUMENT") == fcm.outcome(response, now=NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"name":5}'])
def test_a_success_is_sent_whatever_it_says(body: bytes) -> None:
    """200 is all that matters; the name is for the support desk."""
    assert Sent() == fcm.outcome(HttpResponse(200, (), body), now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "@type": st.sampled_from([fcm_error("")["@type"], bad_request()["@type"]]) | JSON,
        "errorCode": st.sampled_from(["UNREGISTERED", "INVALID_ARGUMENT"]) | JSON,
        "fieldViolations": st.lists(JSON) | JSON,
        "statusCode": JSON,
    },
)
BODIES = st.binary() | st.fixed_dictionaries(
    {},
    optional={
        "name": JSON,
        "error": JSON
        | st.fixed_dictionaries(
            {}, optional={"status": JSON, "message": JSON, "details": st.lists(DETAILS) | JSON}
        ),
    },
).map(lambda body: json.dumps(body).encode())


@given(
    st.integers(0, 999) | st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]),
    st.text(),
    BODIES,
)
def test_outcome_never_raises(status: int, retry_after: str, body: bytes) -> None:
    """
    Whatever the status, header and body, there is one outcome.

    ``Gone`` only ever comes from a 4xx.
    """
    result = fcm.outcome(HttpResponse(status, (("retry-after", retry_after),), body), now=NOW)

    assert isinstance(result, Outcome)
    assert not isinstance(result, Gone) or 400 <= status < 500
