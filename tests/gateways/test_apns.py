"""APNs: the request of a delivery, and the table of what replies mean."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as judge
from joserfc.jwk import ECKey

from heliograph.gateways import apns
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
from heliograph.model import ApnsCredentials, ApnsMessage, Environment
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APNS_ID = "3f2504e0-4f89-81d3-9a0c-0305e82c3301"
TOKEN = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
DIED_AT = datetime(2026, 1, 1, tzinfo=UTC)
TIMESTAMP = 1_767_225_600_000


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(7, ec.SECP256R1())


def credentials(**changes: str) -> ApnsCredentials:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    base = ApnsCredentials(
        key=key().private_bytes(*form).decode(),
        key_id="ABC123DEFG",
        team_id="DEF123GHIJ",
        topic="com.example.app",
    )
    return replace(base, **changes)


def message(
    payload: bytes = b'{"aps":{"alert":"Hello"}}',
    *,
    push_type: str = "alert",
    priority: int = 10,
    collapse_id: str | None = None,
    expiration: int | None = None,
) -> ApnsMessage:
    return ApnsMessage(payload, push_type, priority, collapse_id, expiration)


def requested(
    message: ApnsMessage,
    *,
    topic: str | None = None,
    environment: Environment | None = None,
    **changes: str,
) -> HttpRequest:
    ours = credentials(**changes)
    origin, prefix = apns.place(ours, environment or Environment.PRODUCTION)
    template = apns.template(
        message,
        origin=origin,
        topic=apns.topic(message, topic or ours.topic),
        token="a.b.c",
    )
    (values,) = apns.values(prefix, [TOKEN], [APNS_ID.encode()])
    return http2.request(template, values)


def reply(status: int, *, retry_after: str | None = None, **body: object) -> HttpResponse:
    headers = [("apns-id", APNS_ID)]
    if retry_after is not None:
        headers.append(("retry-after", retry_after))
    return HttpResponse(status, tuple(headers), json.dumps(body).encode() if body else b"")


# --- provider tokens -----------------------------------------------------------------


def test_a_provider_token_names_key_team_and_time() -> None:
    """The token has Apple's three fields, and its ES256 signature verifies."""
    token = apns.provider_token(credentials(), now=NOW + timedelta(milliseconds=900))

    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_key = ECKey.import_key(key().public_key().public_bytes(*form))
    opened = judge.deserialize_compact(token, public_key, ["ES256"])
    assert {"alg": "ES256", "kid": "ABC123DEFG"} == opened.headers()
    assert {"iss": "DEF123GHIJ", "iat": 1767323045} == json.loads(opened.payload)


def test_a_token_from_another_kind_of_key_is_refused() -> None:
    """A key that Apple never gave says so before anything is sent."""
    with pytest.raises(ValueError):
        apns.provider_token(credentials(key="garbage"), now=NOW)


def test_a_token_lives_between_apples_two_limits() -> None:
    """Not renewed sooner than 20 minutes, and never older than an hour."""
    assert apns.MIN_TOKEN_AGE < apns.TOKEN_LIFETIME < timedelta(hours=1)


# --- requests ------------------------------------------------------------------------


def test_a_request_is_what_apple_documents() -> None:
    """Host, path, required headers and the payload as it is."""
    assert HttpRequest(
        "POST",
        f"https://api.push.apple.com/3/device/{TOKEN}",
        (
            ("authorization", "bearer a.b.c"),
            ("apns-topic", "com.example.app"),
            ("apns-push-type", "alert"),
            ("apns-id", APNS_ID),
            ("apns-priority", "10"),
        ),
        b'{"aps":{"alert":"Hello"}}',
    ) == requested(message())


def test_optional_headers_are_sent_when_set() -> None:
    """Expiration, "try once" included, and collapse id appear only if asked for."""
    headers = dict(requested(message(expiration=0, collapse_id="score")).headers)

    assert "0" == headers["apns-expiration"]
    assert "score" == headers["apns-collapse-id"]


@pytest.mark.parametrize(
    "environment, expected",
    [
        pytest.param(Environment.PRODUCTION, "https://api.push.apple.com", id="production"),
        pytest.param(Environment.SANDBOX, "https://api.sandbox.push.apple.com", id="sandbox"),
    ],
)
def test_the_environment_chooses_the_host(environment: Environment, expected: str) -> None:
    """A token minted in one of Apple's worlds is sent to that world."""
    url = requested(message(), environment=environment).url

    assert f"{expected}/3/device/{TOKEN}" == url


@pytest.mark.parametrize("environment", Environment)
def test_an_endpoint_setting_wins(environment: Environment) -> None:
    """An endpoint of our own stands for both environments."""
    url = requested(message(), environment=environment, endpoint="https://127.0.0.1:2197/").url

    assert f"https://127.0.0.1:2197/3/device/{TOKEN}" == url


@pytest.mark.parametrize(
    "push_type, expected",
    [
        ("alert", "com.example.app"),
        ("background", "com.example.app"),
        ("location", "com.example.app.location-query"),
        ("voip", "com.example.app.voip"),
        ("complication", "com.example.app.complication"),
        ("fileprovider", "com.example.app.pushkit.fileprovider"),
        ("mdm", "com.example.app"),
        ("liveactivity", "com.example.app.push-type.liveactivity"),
        ("pushtotalk", "com.example.app.voip-ptt"),
        ("widgets", "com.example.app.push-type.widgets"),
        ("controls", "com.example.app.push-type.controls"),
    ],
)
def test_the_push_type_completes_the_topic(push_type: str, expected: str) -> None:
    """Apple's suffix for each push type comes after the bundle id."""
    headers = dict(requested(message(push_type=push_type)).headers)

    assert (push_type, expected) == (headers["apns-push-type"], headers["apns-topic"])


def test_a_suffix_is_not_added_twice() -> None:
    """A device that registered with the whole topic keeps it."""
    headers = dict(requested(message(push_type="voip"), topic="com.example.app.voip").headers)

    assert "com.example.app.voip" == headers["apns-topic"]


def test_a_devices_own_topic_wins() -> None:
    """The bundle id of the registration goes before the credentials' default."""
    assert (
        "com.example.beta"
        == dict(requested(message(), topic="com.example.beta").headers)["apns-topic"]
    )


def test_a_path_before_apples_is_kept() -> None:
    """An endpoint may have a path of its own, for a relay."""
    relayed = credentials(endpoint="https://apple.example.com/relay/")

    assert ("https://apple.example.com", "/relay/3/device/") == apns.place(
        relayed, Environment.SANDBOX
    )


@pytest.mark.parametrize("odd", ["é", "a\nb", "\n", "\ud800"])
def test_a_token_that_no_path_may_have_is_refused(odd: str) -> None:
    """It cannot pass for two, or for another."""
    with pytest.raises(ValueError):
        apns.values("/3/device/", ["aa", odd], [b"1", b"2"])


def test_with_a_certificate_there_is_no_token() -> None:
    """Who we are was said in the handshake."""
    template = apns.template(message(), origin="https://a.example", topic="t", token=None)

    assert b"authorization" not in dict(template.fields)


# --- limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(message(), id="an alert"),
        pytest.param(message(bytes(4096)), id="4,096 bytes"),
        pytest.param(message(bytes(5120), push_type="voip"), id="5,120 bytes of VoIP"),
        pytest.param(message(push_type="background", priority=5), id="background at 5"),
        pytest.param(message(priority=1), id="priority 1"),
        pytest.param(message(push_type="pushtotalk", expiration=0), id="push to talk"),
        pytest.param(message(push_type="liveactivity", priority=5), id="Live Activity"),
        pytest.param(message(collapse_id="é" * 32), id="64 bytes of collapse id"),
        pytest.param(message(expiration=0), id="try once"),
        pytest.param(message(expiration=1_767_225_600), id="an instant"),
    ],
)
def test_a_message_within_the_limits_has_no_problems(fine: ApnsMessage) -> None:
    """What Apple documents as allowed is allowed."""
    assert [] == apns.problems(fine)


@pytest.mark.parametrize(
    "field, wrong",
    [
        pytest.param("payload", message(b""), id="no payload"),
        pytest.param("payload", message(bytes(4097)), id="4,097 bytes"),
        pytest.param("payload", message(bytes(5121), push_type="voip"), id="5,121 bytes of VoIP"),
        pytest.param("push_type", message(push_type="Alert"), id="unknown push type"),
        pytest.param("priority", message(priority=7), id="priority 7"),
        pytest.param("priority", message(push_type="background"), id="background at 10"),
        pytest.param("push_type", message(push_type="pushtotalk"), id="push to talk, to be kept"),
        pytest.param(
            "push_type",
            message(push_type="pushtotalk", priority=5, expiration=0),
            id="push to talk at 5",
        ),
        pytest.param("collapse_id", message(collapse_id="é" * 33), id="66 bytes of collapse id"),
        pytest.param("collapse_id", message(collapse_id=""), id="empty collapse id"),
        pytest.param(
            "collapse_id", message(collapse_id="a\r\nb: c"), id="collapse id of two lines"
        ),
        pytest.param("expiration", message(expiration=-1), id="negative expiration"),
        pytest.param("expiration", message(expiration=TIMESTAMP), id="milliseconds"),
    ],
)
def test_each_limit_is_a_problem_of_its_field(field: str, wrong: ApnsMessage) -> None:
    """What Apple would refuse on every device is found before, and named."""
    assert [field] == [problem.partition(":")[0] for problem in apns.problems(wrong)]


# --- outcomes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(Sent(), reply(200), id="200"),
        *(
            pytest.param(Rejected(reason), reply(status, reason=reason), id=f"{status} {reason}")
            for status, reason in (
                (400, "BadCollapseId"),
                (400, "BadExpirationDate"),
                (400, "BadMessageId"),
                (400, "BadPriority"),
                (400, "InvalidPushType"),
                (400, "DuplicateHeaders"),
                (400, "PayloadEmpty"),
                (400, "MissingDeviceToken"),
                (404, "BadPath"),
                (405, "MethodNotAllowed"),
                (413, "PayloadTooLarge"),
                (400, "SomethingNew"),
                (418, "SomethingNew"),
            )
        ),
        *(
            pytest.param(Suspect(reason), reply(400, reason=reason), id=f"400 {reason}")
            for reason in ("BadDeviceToken", "DeviceTokenNotForTopic")
        ),
        *(
            pytest.param(Refused(reason), reply(status, reason=reason), id=f"{status} {reason}")
            for status, reason in (
                (400, "BadTopic"),
                (400, "MissingTopic"),
                (400, "TopicDisallowed"),
                (403, "BadCertificate"),
                (403, "BadCertificateEnvironment"),
                (403, "InvalidProviderToken"),
                (403, "MissingProviderToken"),
                (403, "Forbidden"),
                (403, "BadEnvironmentKeyIdInToken"),
                (403, "BadEnvironmentKeyInToken"),
                (403, "SomethingNew"),
                (429, "TooManyProviderTokenUpdates"),
            )
        ),
        *(
            pytest.param(Interrupted(reason), reply(status, reason=reason), id=f"{status} {reason}")
            for status, reason in (
                (400, "IdleTimeout"),
                (503, "Shutdown"),
            )
        ),
        *(
            pytest.param(
                Interrupted(reason, renew_token=True), reply(403, reason=reason), id=f"403 {reason}"
            )
            for reason in ("ExpiredProviderToken", "UnrelatedKeyIdInToken")
        ),
        *(
            pytest.param(
                Gone(reason, DIED_AT),
                reply(410, reason=reason, timestamp=TIMESTAMP),
                id=f"410 {reason}",
            )
            for reason in ("Unregistered", "ExpiredToken")
        ),
        pytest.param(
            Unavailable("TooManyRequests", timedelta(minutes=1)),
            reply(429, reason="TooManyRequests"),
            id="429 TooManyRequests",
        ),
        pytest.param(
            Unavailable("TooManyRequests", timedelta(seconds=90)),
            reply(429, reason="TooManyRequests", retry_after="90"),
            id="429 TooManyRequests, Retry-After",
        ),
        pytest.param(
            Unavailable("InternalServerError"),
            reply(500, reason="InternalServerError"),
            id="500 InternalServerError",
        ),
        pytest.param(
            Unavailable("ServiceUnavailable"),
            reply(503, reason="ServiceUnavailable"),
            id="503 ServiceUnavailable",
        ),
        pytest.param(
            Unavailable("ServiceUnavailable", timedelta(minutes=15)),
            reply(503, reason="ServiceUnavailable", retry_after="900"),
            id="503 ServiceUnavailable, Retry-After",
        ),
        pytest.param(Unavailable("HTTP 502"), reply(502), id="other 5xx"),
    ],
)
def test_every_row_of_the_table(expected: Outcome, response: HttpResponse) -> None:
    """Each documented status and reason has its one meaning."""
    assert expected == apns.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, status",
    [
        pytest.param(Rejected("HTTP 400"), 400, id="400 is about the message"),
        pytest.param(Refused("HTTP 403"), 403, id="403 is about the credentials"),
        pytest.param(Suspect("HTTP 410"), 410, id="410 keeps the device"),
        pytest.param(Unavailable("HTTP 429", timedelta(minutes=1)), 429, id="429 waits"),
        pytest.param(Unavailable("HTTP 500"), 500, id="500 waits"),
        pytest.param(Refused("HTTP 302"), 302, id="a redirect is not APNs"),
        pytest.param(Refused("HTTP 204"), 204, id="another success is not APNs"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html></html>", id="HTML"),
        pytest.param(b'{"reason":"Unregist', id="truncated"),
        pytest.param(b'{"reason":["Unregistered"]}', id="reason is a list"),
        pytest.param(b'{"reason":' * 100_000, id="nested deeply"),
    ],
)
def test_an_unreadable_body_leaves_the_status(expected: Outcome, status: int, body: bytes) -> None:
    """Without a reason the status decides, and never against the device."""
    assert expected == apns.outcome(HttpResponse(status, (), body), now=NOW)


@pytest.mark.parametrize(
    "timestamp",
    [
        pytest.param(None, id="absent"),
        pytest.param("1767225600000", id="text"),
        pytest.param(True, id="true"),
        pytest.param(1.5, id="fraction"),
        pytest.param(10**18, id="far out of range"),
        pytest.param(-(10**18), id="far before the epoch"),
        pytest.param(10**400, id="huge"),
    ],
)
def test_a_death_without_a_time_keeps_the_device(timestamp: object) -> None:
    """410 deletes only what died after it registered, so there must be a time."""
    response = reply(410, reason="Unregistered", timestamp=timestamp)

    assert isinstance(apns.outcome(response, now=NOW), Suspect)


def test_a_death_is_never_in_the_future() -> None:
    """A clock of Apple's that is ahead cannot delete a later registration."""
    tomorrow = TIMESTAMP + 7 * 86_400_000

    assert Gone("Unregistered", NOW) == apns.outcome(
        reply(410, reason="Unregistered", timestamp=tomorrow), now=NOW
    )


def test_a_dead_tokens_reason_needs_its_status() -> None:
    """Unregistered in a reply that is not 410 is a surprise, and keeps the device."""
    response = reply(400, reason="Unregistered", timestamp=TIMESTAMP)

    assert Rejected("Unregistered") == apns.outcome(response, now=NOW)


def test_a_bad_device_token_may_belong_to_the_other_environment() -> None:
    """The reason that asks for a try elsewhere is the one that is named for it."""
    response = reply(400, reason="BadDeviceToken")

    assert Suspect(apns.WRONG_ENVIRONMENT) == apns.outcome(response, now=NOW)


def test_a_reason_cannot_carry_a_token_into_a_log() -> None:
    """What looks like a device token is replaced by the status."""
    assert Rejected("HTTP 400") == apns.outcome(reply(400, reason=TOKEN), now=NOW)


def test_a_reply_without_an_id_is_still_sent() -> None:
    """200 is all that matters."""
    assert Sent() == apns.outcome(HttpResponse(200), now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
BODIES = st.binary() | st.fixed_dictionaries(
    {},
    optional={
        "reason": st.sampled_from(["Unregistered", "ExpiredToken", "BadDeviceToken"]) | JSON,
        "timestamp": st.integers() | JSON,
    },
).map(lambda body: json.dumps(body).encode())
HEADERS = st.lists(st.tuples(st.sampled_from(["retry-after", "apns-id"]), st.text())).map(tuple)


@given(
    st.integers(0, 999) | st.sampled_from([200, 400, 403, 410, 429, 500, 503]),
    HEADERS,
    BODIES,
)
def test_outcome_never_raises(
    status: int, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """
    Whatever the status, headers and body, there is one outcome.

    ``Gone`` only ever comes from a 410, with a time that is not in the future.
    """
    result = apns.outcome(HttpResponse(status, headers, body), now=NOW)

    assert isinstance(result, Outcome)
    if isinstance(result, Gone):
        assert 410 == status
        assert result.since is not None
        assert result.since <= NOW
