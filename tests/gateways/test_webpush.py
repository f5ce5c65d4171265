"""Web Push: the request of a delivery, and the tables of what replies mean."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gateways import webpush
from heliograph.gateways.contract import (
    Gone,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.model import WebMessage
from heliograph.wire import http2
from heliograph.wire.http import HttpRequest, HttpResponse

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA"
MICROSOFT = "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA"


def requested(
    payload: bytes = b"Hello",
    *,
    endpoint: str = MOZILLA,
    ttl_seconds: int = 60,
    urgency: str | None = None,
    topic: str | None = None,
) -> HttpRequest:
    origin, path = http2.split(endpoint)
    template = webpush.template(
        WebMessage(payload, ttl_seconds, urgency, topic),
        origin=origin,
        authorization="vapid t=a.b.c, k=d",
    )
    return http2.request(template, webpush.values(path, payload))


def reply(status: int, body: object = b"", **headers: str) -> HttpResponse:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(
        status, named, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def mozilla(status: int, errno: int, **headers: str) -> HttpResponse:
    """A failure as autopush writes it."""
    body = {"code": status, "errno": errno, "error": "…", "message": "…", "more_info": "…"}
    return reply(status, body, **headers)


# --- requests ------------------------------------------------------------------------


def test_a_request_is_what_the_rfcs_say() -> None:
    """The endpoint as it is, the four headers that every service wants, and nothing more."""
    request = requested()

    assert ("POST", MOZILLA) == (request.method, request.url)
    assert (
        ("authorization", "vapid t=a.b.c, k=d"),
        ("ttl", "60"),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
    ) == request.headers


def test_a_message_sent_later_is_kept_for_less() -> None:
    """What a message has already waited here is taken off what it may wait there."""
    message = WebMessage(b"Hello", ttl_seconds=60)

    assert [60, 59, 0] == [
        webpush.aged(message, timedelta(seconds=seconds)).ttl_seconds for seconds in (0.9, 1.9, 99)
    ]


@pytest.mark.parametrize(
    "expected, origin",
    [
        (True, "https://updates.push.services.mozilla.com"),
        (True, "https://web.push.apple.com"),
        (True, "https://fcm.googleapis.com"),
        (True, "https://wns2-par02p.notify.windows.com"),
        (True, "https://WEB.push.apple.com"),
        (False, "https://push.example.com"),
        (False, "https://evilfcm.googleapis.com"),
        (False, "https://fcm.googleapis.com.example.com"),
        (False, "https://notify.windows.com.example.com"),
    ],
)
def test_the_browsers_own_services_are_known(expected: bool, origin: str) -> None:
    """Hosts that merely look like theirs are not."""
    assert expected == webpush.is_known(origin)


@pytest.mark.parametrize("urgency", ["very-low", "low", "normal", "high"])
def test_an_urgency_is_sent_when_set(urgency: str) -> None:
    """The header is left to its default unless the caller chose."""
    assert urgency == dict(requested(urgency=urgency).headers)["urgency"]


@pytest.mark.parametrize(
    "ttl_seconds, endpoint, expected",
    [
        pytest.param(0, MICROSOFT, "no-cache", id="Microsoft, not kept"),
        pytest.param(1, MICROSOFT, "cache", id="Microsoft, kept"),
        pytest.param(0, MICROSOFT.upper(), "no-cache", id="Microsoft in upper case"),
        pytest.param(0, MOZILLA, None, id="Mozilla"),
        pytest.param(0, "https://example.com/.notify.windows.com", None, id="only in the path"),
        pytest.param(0, "https://notify.windows.com.example.com/", None, id="only its beginning"),
        pytest.param(0, "https://evilnotify.windows.com/", None, id="only its end"),
    ],
)
def test_microsoft_is_told_whether_to_keep(
    ttl_seconds: int, endpoint: str, expected: str | None
) -> None:
    """The header that agrees with the TTL goes to Microsoft's hosts alone."""
    headers = dict(requested(ttl_seconds=ttl_seconds, endpoint=endpoint).headers)

    assert expected == headers.get("x-wns-cache-policy")


@pytest.mark.parametrize("topic", ["news", "ab-_", "a" * 32, "QQ"])
def test_a_topic_that_every_service_takes_is_kept(topic: str) -> None:
    """At most 32 characters that decode as base64url go out as they are."""
    assert topic == dict(requested(topic=topic).headers)["topic"]


@pytest.mark.parametrize(
    "topic",
    [
        pytest.param("a" * 33, id="too long"),
        pytest.param("hello world", id="space"),
        pytest.param("żółw", id="not ASCII"),
        pytest.param("a\r\nb: c", id="two lines"),
        pytest.param("a" * 29, id="1 more than a multiple of 4, which Apple refuses"),
        pytest.param("QR", id="spare bits set"),
        pytest.param("", id="empty"),
    ],
)
def test_another_topic_is_hashed(topic: str) -> None:
    """What some service would refuse becomes 32 characters, the same each time."""
    sent = dict(requested(topic=topic).headers)["topic"]

    assert re.fullmatch("[A-Za-z0-9_-]{32}", sent)
    assert sent == dict(requested(topic=topic).headers)["topic"]
    assert sent != dict(requested(topic=topic + "!").headers)["topic"]


# --- limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(WebMessage(b"Hello"), id="defaults"),
        pytest.param(WebMessage(bytes(3993)), id="3,993 bytes"),
        pytest.param(WebMessage(b""), id="no payload"),
        pytest.param(WebMessage(b"Hello", 0, "high", "any topic, it is hashed"), id="all set"),
    ],
)
def test_a_message_within_the_limits_has_no_problems(fine: WebMessage) -> None:
    """What every service takes is allowed."""
    assert [] == webpush.problems(fine)


@pytest.mark.parametrize(
    "field, wrong",
    [
        pytest.param("payload", WebMessage(bytes(3994)), id="3,994 bytes"),
        pytest.param("ttl_seconds", WebMessage(b"", -1), id="negative ttl"),
        pytest.param("ttl_seconds", WebMessage(b"", 2_419_201), id="more than four weeks"),
        pytest.param("urgency", WebMessage(b"", 0, "urgent"), id="unknown urgency"),
        pytest.param("topic", WebMessage(b"", 0, None, ""), id="empty topic"),
    ],
)
def test_each_limit_is_a_problem_of_its_field(field: str, wrong: WebMessage) -> None:
    """What services would refuse for every browser is found before, and named."""
    assert [field] == [problem.partition(":")[0] for problem in webpush.problems(wrong)]


# --- outcomes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(
            Sent("https://p.example/m/1"), reply(201, location="https://p.example/m/1"), id="201"
        ),
        pytest.param(Sent(), reply(200), id="200"),
        pytest.param(Sent(), reply(202), id="202"),
        pytest.param(Sent(), reply(204), id="any 2xx"),
        *(
            pytest.param(
                Refused(f"HTTP {status}"),
                reply(status, location="http://127.0.0.1/"),
                id=f"{status}",
            )
            for status in (301, 302, 307, 308)
        ),
        pytest.param(Rejected("HTTP 400"), reply(400), id="400"),
        pytest.param(Refused("HTTP 401"), reply(401), id="401"),
        pytest.param(Refused("HTTP 403"), reply(403), id="403"),
        pytest.param(Gone("HTTP 404"), reply(404), id="404"),
        pytest.param(Gone("HTTP 410"), reply(410), id="410"),
        pytest.param(Unavailable("HTTP 406"), reply(406), id="406"),
        pytest.param(Rejected("HTTP 413"), reply(413), id="413"),
        pytest.param(Unavailable("HTTP 429"), reply(429), id="429"),
        pytest.param(
            Unavailable("HTTP 429", timedelta(seconds=30)),
            reply(429, retry_after="30"),
            id="429, Retry-After",
        ),
        pytest.param(Unavailable("HTTP 500"), reply(500), id="500"),
        pytest.param(
            Unavailable("HTTP 503", timedelta(0)), reply(503, retry_after="0"), id="503, at once"
        ),
        pytest.param(Rejected("HTTP 418"), reply(418), id="other 4xx"),
    ],
)
def test_every_row_of_the_table(expected: Outcome, response: HttpResponse) -> None:
    """Each status has its one meaning where the service adds nothing."""
    assert expected == webpush.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, response",
    [
        *(
            pytest.param(Rejected(f"errno {errno}"), mozilla(status, errno), id=f"{status} {errno}")
            for status, errno in (
                (400, 101),
                (400, 108),
                (400, 110),
                (400, 111),
                (400, 112),
                (400, 113),
                (413, 104),
            )
        ),
        pytest.param(Refused("errno 109"), mozilla(401, 109), id="401 109"),
        *(
            pytest.param(Gone(f"errno {errno}"), mozilla(status, errno), id=f"{status} {errno}")
            for status, errno in ((404, 102), (410, 103), (410, 105), (410, 106))
        ),
        *(
            pytest.param(
                Unavailable(f"errno {errno}"), mozilla(status, errno), id=f"{status} {errno}"
            )
            for status, errno in (
                (500, 999),
                (502, 900),
                (502, 901),
                (502, 902),
                (502, 903),
                (503, 201),
            )
        ),
        pytest.param(
            Unavailable("errno 202", timedelta(0)), mozilla(503, 202), id="503 202, at once"
        ),
        pytest.param(
            Unavailable("errno 202", timedelta(seconds=9)),
            mozilla(503, 202, retry_after="9"),
            id="503 202, Retry-After",
        ),
    ],
)
def test_every_word_of_mozilla(expected: Outcome, response: HttpResponse) -> None:
    """Mozilla's errno is the reason; its status has the usual meaning."""
    assert expected == webpush.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, response",
    [
        *(
            pytest.param(Rejected(reason), reply(400, {"reason": reason}), id=f"400 {reason}")
            for reason in ("BadTtl", "BadUrgency", "BadWebPushTopic", "BadWebPushRequest")
        ),
        *(
            pytest.param(Refused(reason), reply(403, {"reason": reason}), id=f"403 {reason}")
            for reason in ("BadJwtToken", "BadVapidPublicKey")
        ),
        *(
            pytest.param(
                Suspect("VapidPkHashMismatch"),
                reply(status, {"reason": "VapidPkHashMismatch"}),
                id=f"{status} VapidPkHashMismatch",
            )
            for status in (403, 400)
        ),
        pytest.param(Gone("Unregistered"), reply(410, {"reason": "Unregistered"}), id="410"),
        pytest.param(Sent("F00D"), reply(201, apns_id="F00D"), id="201, apns-id"),
    ],
)
def test_every_word_of_apple(expected: Outcome, response: HttpResponse) -> None:
    """Apple's reason tells our key, this subscription and the message apart."""
    assert expected == webpush.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(
            Suspect("VAPID key mismatch"),
            reply(
                403,
                b"the VAPID credentials in the authorization header do not correspond to the "
                b"credentials used to create the subscriptions.\n",
            ),
            id="403 VAPID credentials do not match",
        ),
        pytest.param(Refused("HTTP 403"), reply(403, b"permission denied"), id="403 anything else"),
        pytest.param(
            Refused("UnauthorizedRegistration"),
            reply(400, b"<HTML><TITLE>UnauthorizedRegistration</TITLE></HTML>"),
            id="400 UnauthorizedRegistration",
        ),
    ],
)
def test_every_word_of_google(expected: Outcome, response: HttpResponse) -> None:
    """Google's plain text tells a key that was rotated from one that is wrong."""
    assert expected == webpush.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "expected, response",
    [
        pytest.param(
            Rejected("Ttl value conflicts with X-WNS-Cache-Policy."),
            reply(
                400,
                x_wns_error_description="Ttl value conflicts with X-WNS-Cache-Policy.",
                x_wns_status="dropped",
                x_wns_notificationstatus="dropped",
            ),
            id="400 with a description",
        ),
        pytest.param(
            Rejected("dropped"), reply(400, x_wns_status="dropped"), id="400 with a status"
        ),
        pytest.param(
            Rejected("channelthrottled"),
            reply(400, x_wns_notificationstatus="channelthrottled", x_wns_status="dropped"),
            id="400 with a notification status",
        ),
        pytest.param(Sent(), reply(200, x_wns_status="received"), id="200"),
        pytest.param(Refused("HTTP 401"), reply(401), id="401"),
        pytest.param(Refused("dropped"), reply(403, x_wns_status="dropped"), id="403"),
        pytest.param(Gone("dropped"), reply(404, x_wns_status="dropped"), id="404"),
        pytest.param(Gone("dropped"), reply(410, x_wns_status="dropped"), id="410"),
        pytest.param(Rejected("HTTP 405"), reply(405), id="405"),
        pytest.param(Unavailable("HTTP 406"), reply(406), id="406"),
        pytest.param(Rejected("HTTP 413"), reply(413), id="413"),
        pytest.param(Unavailable("HTTP 500"), reply(500), id="500"),
        pytest.param(Unavailable("HTTP 503"), reply(503), id="503"),
    ],
)
def test_every_word_of_microsoft(expected: Outcome, response: HttpResponse) -> None:
    """Microsoft's cause stands in headers; its status has the usual meaning."""
    assert expected == webpush.outcome(response, now=NOW)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"reason": MOZILLA}, id="an address"),
        pytest.param({"errno": 10**12}, id="a long number"),
        pytest.param({"errno": "109"}, id="a text for a number"),
        pytest.param(b'{"reason":' * 100_000, id="nested deeply"),
        pytest.param(b'{"errno":1', id="truncated"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_an_unreadable_body_leaves_the_status(body: object) -> None:
    """What is no code of a service's stays out of the reason, and the status decides."""
    assert Rejected("HTTP 400") == webpush.outcome(reply(400, body), now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
BODIES = st.binary() | st.fixed_dictionaries(
    {},
    optional={
        "reason": st.sampled_from(["VapidPkHashMismatch", "Unregistered"]) | JSON,
        "errno": st.sampled_from([103, 202]) | JSON,
    },
).map(lambda body: json.dumps(body).encode())
HEADERS = st.lists(
    st.tuples(st.sampled_from(["retry-after", "location", "x-wns-status"]), st.text())
).map(tuple)


@given(
    st.integers(0, 999) | st.sampled_from([201, 302, 400, 403, 404, 410, 429, 503]),
    HEADERS,
    BODIES,
)
def test_outcome_never_raises(
    status: int, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """
    Whatever the status, headers and body, there is one outcome.

    ``Gone`` only ever comes from 404 and 410.
    """
    result = webpush.outcome(HttpResponse(status, headers, body), now=NOW)

    assert isinstance(result, Outcome)
    assert isinstance(result, Gone) == (status in {404, 410})
