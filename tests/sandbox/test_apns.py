import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any  # parametrized keyword arguments of different types

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from heliograph.sandbox import Authority
from heliograph.sandbox.apns import STATUS_OF, STREAMS, TOPIC_SUFFIX, Apns
from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.devices import AppleEnvironment, Device, Devices, Platform
from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.provider_certificate import issue, usual_topics
from heliograph.sandbox.scenario import Fault, FaultName, Plan, Scenario
from heliograph.sandbox.session import Accepted, Connection, Refused
from heliograph.wire.http import HttpResponse
from sandbox.senders import NOW, provider_token

ALERT = b'{"aps":{"alert":"Hello"}}'
APNS_ID = "9d5a1b1c-2f3e-4a5b-8c6d-7e8f90a1b2c3"


class Apple:
    """The service with one device, and requests to it that are good unless changed."""

    def __init__(
        self,
        credentials: Credentials,
        environment: AppleEnvironment = AppleEnvironment.PRODUCTION,
    ) -> None:
        self.credentials = credentials
        self.devices = Devices(webpush_origin="https://push.example")
        self.inbox = Inbox()
        self.scenario = Scenario()
        self.device = self.devices.mint(Platform.APNS, now=NOW, environment=environment)
        self.connection = Connection()
        self.service = Apns(
            credentials.team_id,
            credentials.key_id,
            credentials.apple_key.public_key(),
            self.devices,
            self.inbox,
            self.scenario,
            environment,
        )

    def request(
        self,
        *,
        method: str = "POST",
        path: str | None = None,
        body: bytes = ALERT,
        extra: tuple[tuple[str, str], ...] = (),
        **headers: str | None,
    ) -> Request:
        """Keyword headers have underscores for dashes; None leaves one out."""
        good: dict[str, str | None] = {
            "authorization": f"bearer {provider_token(self.credentials)}",
            "apns-topic": "com.example.app",
        }
        good.update({name.replace("_", "-"): value for name, value in headers.items()})
        given = tuple((name, value) for name, value in good.items() if value is not None)
        return Request(method, path or f"/3/device/{self.device.key}", given + extra, body)

    def answer(self, request: Request) -> HttpResponse:
        verdict = self.service.check(request, self.connection, NOW)
        if isinstance(verdict, Accepted):
            verdict.deliver()
        return verdict.response

    def reason(self, request: Request) -> str:
        response = self.answer(request)
        if response.status == 200:
            return ""
        reason = str(json.loads(response.body)["reason"])
        assert STATUS_OF[reason] == response.status
        return reason


@pytest.fixture
def apple(credentials: Credentials) -> Apple:
    return Apple(credentials)


def test_good_request_is_accepted_with_an_empty_body(apple: Apple) -> None:
    """An accepted notification is answered 200, without a body, echoing its apns-id."""
    response = apple.answer(apple.request(apns_id=APNS_ID))

    assert (200, b"") == (response.status, response.body)
    assert APNS_ID == response.header("apns-id")
    assert response.header("apns-unique-id")


def test_missing_apns_id_is_made_up(apple: Apple) -> None:
    """Apple names a notification that came without an id, with a UUID in upper case."""
    given = apple.answer(apple.request()).header("apns-id")

    assert given is not None
    assert given == given.upper()
    assert 36 == len(given)


def test_accepted_notification_is_in_the_inbox(apple: Apple) -> None:
    """What was accepted is kept with its headers, of which the authorization is cut short."""
    apple.answer(apple.request(apns_priority="10"))

    (entry,) = apple.inbox.entries(apple.device)
    shown = entry.read()
    assert {"aps": {"alert": "Hello"}} == shown["payload"]
    assert {
        "authorization": "bearer",
        "apns-topic": "com.example.app",
        "apns-priority": "10",
    } == shown["headers"]


@pytest.mark.parametrize(
    "headers,reason",
    [
        ({"apns_id": "not-a-uuid"}, "BadMessageId"),
        ({"apns_topic": None}, "MissingTopic"),
        ({"apns_topic": "com.example app"}, "BadTopic"),
        ({"apns_topic": "com.example.other"}, "DeviceTokenNotForTopic"),
        ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
        ({"apns_collapse_id": "é" * 33}, "BadCollapseId"),
        ({"apns_collapse_id": "é" * 32}, ""),
        ({"apns_expiration": "tomorrow"}, "BadExpirationDate"),
        ({"apns_expiration": "-1"}, "BadExpirationDate"),
        ({"apns_expiration": "9" * 13}, "BadExpirationDate"),
        ({"apns_expiration": "0"}, ""),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_priority": "1"}, ""),
        ({"apns_push_type": "background", "apns_priority": "10"}, "BadPriority"),
        ({"apns_push_type": "background", "apns_priority": "5"}, ""),
        ({"apns_push_type": "shout"}, "InvalidPushType"),
        ({"authorization": None}, "MissingProviderToken"),
        ({"authorization": "basic abc"}, "MissingProviderToken"),
        ({"authorization": "bearer abc"}, "InvalidProviderToken"),
    ],
)
def test_headers(apple: Apple, headers: dict[str, Any], reason: str) -> None:
    """A wrong header is refused with Apple's reason for it; the limits themselves are good."""
    assert reason == apple.reason(apple.request(method="POST", path=None, body=ALERT, **headers))


@pytest.mark.parametrize(
    "path,reason",
    [
        ("/3/device/", "MissingDeviceToken"),
        ("/3/device", "MissingDeviceToken"),
        ("/3/device/xyz", "BadDeviceToken"),
        ("/3/device/" + "ab" * 32, "BadDeviceToken"),
        ("/2/device/" + "ab" * 32, "BadPath"),
        ("/", "BadPath"),
    ],
)
def test_paths(apple: Apple, path: str, reason: str) -> None:
    """Only minted tokens exist, and only under /3/device/."""
    assert reason == apple.reason(apple.request(path=path))


@pytest.mark.parametrize("push_type,suffix", TOPIC_SUFFIX.items())
def test_push_type_sets_the_topic(apple: Apple, push_type: str, suffix: str) -> None:
    """Each push type wants its own suffix on the bundle id."""
    topic = f"com.example.app{suffix}"

    assert "" == apple.reason(apple.request(apns_push_type=push_type, apns_topic=topic))
    assert "DeviceTokenNotForTopic" == apple.reason(
        apple.request(apns_push_type=push_type, apns_topic=f"{topic}.more")
    )


def test_repeated_header_is_refused(apple: Apple) -> None:
    """A header of Apple's that occurs twice is refused, even with the same value."""
    request = apple.request(extra=(("apns-topic", "com.example.app"),))

    assert "DuplicateHeaders" == apple.reason(request)


def test_upper_case_token_is_the_same_device(apple: Apple) -> None:
    """Hexadecimal digits of a token may be in either case."""
    path = f"/3/device/{apple.device.key.upper()}"

    assert "" == apple.reason(apple.request(path=path))


def test_checks_come_in_order(apple: Apple) -> None:
    """Of a request wrong in every way, the reasons come out in order as it is mended."""
    wrong: dict[str, Any] = {
        "apns_id": "x",
        "apns_topic": None,
        "apns_collapse_id": "x" * 65,
        "apns_priority": "0",
        "apns_push_type": "x",
        "authorization": None,
    }
    mends: list[tuple[str, str | None]] = [
        ("apns_id", None),
        ("method", "POST"),
        ("apns_topic", "com.example.app"),
        ("apns_collapse_id", None),
        ("apns_priority", None),
        ("apns_push_type", None),
        ("path", "/3/device/00"),
        ("authorization", f"bearer {provider_token(apple.credentials)}"),
        ("path", f"/3/device/{apple.device.key}"),
    ]
    method, path = "GET", "/3/device/no-hexadecimal"
    reasons = []
    for name, value in mends:
        request = apple.request(method=method, path=path, body=b"", **wrong)
        reasons.append(apple.reason(request))
        if name == "method":
            method = "POST"
        elif name == "path":
            path = str(value)
        else:
            wrong[name] = value
    reasons.append(apple.reason(apple.request(method=method, path=path, body=b"", **wrong)))

    assert [
        "BadMessageId",
        "MethodNotAllowed",
        "MissingTopic",
        "BadCollapseId",
        "BadPriority",
        "InvalidPushType",
        "BadDeviceToken",
        "MissingProviderToken",
        "BadDeviceToken",
        "PayloadEmpty",
    ] == reasons


@pytest.mark.parametrize(
    "push_type,body,reason",
    [
        ("alert", b"", "PayloadEmpty"),
        ("alert", b"[]", "PayloadEmpty"),
        ("alert", b"{", "PayloadEmpty"),
        ("alert", b'{"a":"' + b"x" * 4088 + b'"}', ""),
        ("alert", b'{"a":"' + b"x" * 4089 + b'"}', "PayloadTooLarge"),
        ("voip", b'{"a":"' + b"x" * 5112 + b'"}', ""),
        ("voip", b'{"a":"' + b"x" * 5113 + b'"}', "PayloadTooLarge"),
    ],
)
def test_bodies(apple: Apple, push_type: str, body: bytes, reason: str) -> None:
    """A body is a JSON object of at most 4096 bytes, for VoIP 5120."""
    topic = f"com.example.app{TOPIC_SUFFIX[push_type]}"
    request = apple.request(body=body, apns_push_type=push_type, apns_topic=topic)

    assert reason == apple.reason(request)


class TestProviderToken:
    def test_signature_of_another_key_is_refused(self, apple: Apple) -> None:
        """A token that says the right things and is signed by someone else is invalid."""
        token = provider_token(apple.credentials, key=ec.generate_private_key(ec.SECP256R1()))

        assert "InvalidProviderToken" == apple.reason(
            apple.request(authorization=f"bearer {token}")
        )

    @pytest.mark.parametrize("change", ["key_id", "team_id"])
    def test_other_key_or_team_is_refused(self, apple: Apple, change: str) -> None:
        """Only the sandbox's own team and key exist, so real credentials are refused."""
        token = (
            provider_token(apple.credentials, key_id="ABCDE12345")
            if change == "key_id"
            else provider_token(apple.credentials, team_id="ABCDE12345")
        )

        assert "InvalidProviderToken" == apple.reason(
            apple.request(authorization=f"bearer {token}")
        )

    def test_other_key_on_a_used_connection_is_unrelated(self, apple: Apple) -> None:
        """A connection belongs to the key of its first valid token."""
        apple.answer(apple.request())
        token = provider_token(apple.credentials, key_id="ABCDE12345")

        assert "UnrelatedKeyIdInToken" == apple.reason(
            apple.request(authorization=f"bearer {token}")
        )

    @pytest.mark.parametrize(
        "age,reason",
        [
            (timedelta(minutes=60), ""),
            (timedelta(minutes=60, seconds=1), "ExpiredProviderToken"),
            (timedelta(minutes=-1), ""),
            (timedelta(minutes=-2), "InvalidProviderToken"),
        ],
    )
    def test_age(self, apple: Apple, age: timedelta, reason: str) -> None:
        """A token lives an hour from its issue and must not come from the future."""
        token = provider_token(apple.credentials, now=NOW - age)

        assert reason == apple.reason(apple.request(authorization=f"bearer {token}"))

    def test_frequent_updates_are_refused_on_demand(self, apple: Apple) -> None:
        """With the switch on, a token may not replace one first seen 20 minutes ago or less."""
        apple.scenario.follow(Plan(apns_limits_token_updates=True))
        first = f"bearer {provider_token(apple.credentials)}"
        second = f"bearer {provider_token(apple.credentials)}"
        answers = [
            apple.reason(apple.request(authorization=authorization))
            for authorization in (first, second, first)
        ]

        assert ["", "TooManyProviderTokenUpdates", ""] == answers

    def test_valid_token_earns_more_streams(self, apple: Apple) -> None:
        """A connection starts with one stream and gets a thousand after a valid token."""
        before = apple.service.earned_streams(apple.connection)
        apple.answer(apple.request())

        assert 1 == before == apple.service.opening_streams(Connection())
        assert STREAMS == apple.service.earned_streams(apple.connection)


class TestCertificate:
    @pytest.fixture
    def show(self, apple: Apple, authority: Authority) -> Callable[..., None]:
        """Go on over a connection whose client has shown such a certificate."""

        def shown(topic: str | None = "com.example.app", **form: Any) -> None:
            pem, _ = issue(authority, topic, **form)
            der = load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
            apple.connection = Connection(certificate=der)

        return shown

    @pytest.mark.parametrize("authorization", [None, "bearer nonsense", "basic x"])
    def test_authorization_is_ignored(
        self, apple: Apple, show: Callable[..., None], authorization: str | None
    ) -> None:
        """Who has shown a certificate needs no provider token, and a bad one does no harm."""
        show()

        assert "" == apple.reason(apple.request(authorization=authorization))

    def test_all_streams_are_open_at_once(self, apple: Apple, show: Callable[..., None]) -> None:
        """The limit of one stream is for connections that have proved nothing yet."""
        show()

        assert (STREAMS, STREAMS) == (
            apple.service.opening_streams(apple.connection),
            apple.service.earned_streams(apple.connection),
        )

    def test_topic_of_the_only_app_goes_without_saying(
        self, apple: Apple, show: Callable[..., None]
    ) -> None:
        """A certificate for one topic stands in for the header; the inbox shows what was sent."""
        show()

        assert "" == apple.reason(apple.request(apns_topic=None, authorization=None))
        (entry,) = apple.inbox.entries()
        assert {} == entry.read()["headers"]

    def test_topic_has_to_be_said_where_there_are_several(
        self, apple: Apple, show: Callable[..., None]
    ) -> None:
        """A certificate that lists its topics leaves none to be guessed."""
        show(topics=usual_topics("com.example.app"))

        assert "MissingTopic" == apple.reason(apple.request(apns_topic=None))
        assert "" == apple.reason(apple.request())

    @pytest.mark.parametrize(
        "push_type,reason",
        [
            ("alert", ""),
            ("voip", ""),
            ("complication", ""),
            ("location", "TopicDisallowed"),
            ("liveactivity", "TopicDisallowed"),
            ("pushtotalk", "TopicDisallowed"),
        ],
    )
    def test_push_types_of_other_topics_are_disallowed(
        self, apple: Apple, show: Callable[..., None], push_type: str, reason: str
    ) -> None:
        """A certificate is good for what it lists; the topics of token-only types it never does."""
        show(topics=usual_topics("com.example.app"))
        topic = f"com.example.app{TOPIC_SUFFIX[push_type]}"

        assert reason == apple.reason(apple.request(apns_push_type=push_type, apns_topic=topic))

    def test_certificate_of_another_app_is_disallowed(
        self, apple: Apple, show: Callable[..., None]
    ) -> None:
        """Each app has a certificate of its own."""
        show("com.example.other")

        assert "TopicDisallowed" == apple.reason(apple.request())

    def test_certificate_without_an_app_is_bad(
        self, apple: Apple, show: Callable[..., None]
    ) -> None:
        """One that the authority made for something else proves nothing here."""
        show(None)

        assert "BadCertificate" == apple.reason(apple.request())

    @pytest.mark.parametrize(
        "environments,reason",
        [
            (frozenset({AppleEnvironment.PRODUCTION}), ""),
            (frozenset({AppleEnvironment.SANDBOX}), "BadCertificateEnvironment"),
        ],
    )
    def test_certificate_of_the_other_environment(
        self,
        apple: Apple,
        show: Callable[..., None],
        environments: frozenset[AppleEnvironment],
        reason: str,
    ) -> None:
        """One for development cannot send to production."""
        show(environments=environments)

        assert reason == apple.reason(apple.request())


def test_token_of_the_other_environment_belongs_to_none(credentials: Credentials) -> None:
    """Either environment calls the other's tokens bad, whoever asks, and delivers to its own."""
    reasons = []
    for environment in AppleEnvironment:
        apple = Apple(credentials, environment)
        other = next(each for each in AppleEnvironment if each is not environment)
        stranger = apple.devices.mint(Platform.APNS, now=NOW, environment=other)
        reasons += [
            apple.reason(apple.request()),
            apple.reason(apple.request(path=f"/3/device/{stranger.key}")),
        ]

    assert ["", "BadDeviceToken"] * 2 == reasons


def test_uninstalled_app_is_unregistered(apple: Apple) -> None:
    """A dead token is answered 410, with the instant of its death in milliseconds."""
    apple.device.gone_since = NOW
    response = apple.answer(apple.request())

    assert 410 == response.status
    assert {"reason": "Unregistered", "timestamp": int(NOW.timestamp() * 1000)} == json.loads(
        response.body
    )


def test_token_of_another_platform_is_unknown(apple: Apple) -> None:
    """An address at Google is no address at Apple."""
    other = apple.devices.mint(Platform.FCM, now=NOW)

    assert "BadDeviceToken" == apple.reason(apple.request(path=f"/3/device/{other.key}"))


@pytest.mark.parametrize(
    "fault,status,body",
    [
        (
            Fault(FaultName.UNREGISTERED, age_seconds=10),
            410,
            {"reason": "Unregistered", "timestamp": int(NOW.timestamp() - 10) * 1000},
        ),
        (Fault(FaultName.BAD_TOKEN), 400, {"reason": "BadDeviceToken"}),
        (Fault(FaultName.WRONG_SENDER), 400, {"reason": "DeviceTokenNotForTopic"}),
        (Fault(FaultName.TOO_MANY_REQUESTS), 429, {"reason": "TooManyRequests"}),
        (Fault(FaultName.UNAVAILABLE), 503, {"reason": "ServiceUnavailable"}),
        (Fault(FaultName.UNAVAILABLE, reason="Shutdown"), 503, {"reason": "Shutdown"}),
        (Fault(FaultName.INTERNAL_ERROR), 500, {"reason": "InternalServerError"}),
        (Fault(FaultName.EXPIRED_CREDENTIALS), 403, {"reason": "ExpiredProviderToken"}),
        (Fault(FaultName.INVALID_CREDENTIALS), 403, {"reason": "InvalidProviderToken"}),
        (Fault(FaultName.PAYLOAD_TOO_LARGE), 413, {"reason": "PayloadTooLarge"}),
        (
            Fault(FaultName.ANSWER, status=403, reason="BadEnvironmentKeyInToken"),
            403,
            {"reason": "BadEnvironmentKeyInToken"},
        ),
        (Fault(FaultName.ANSWER, status=418), 418, None),
        (Fault(FaultName.EMPTY_ERROR), 500, None),
        (Fault(FaultName.EMPTY_ERROR, status=410), 410, None),
    ],
)
def test_faults(apple: Apple, fault: Fault, status: int, body: dict[str, object] | None) -> None:
    """A fault is answered as Apple answers it; None is an empty body."""
    response = apple.service.fault_response(Gateway.APNS, fault, apple.request(), NOW)

    assert status == response.status
    assert body == (json.loads(response.body) if response.body else None)


def test_refusal_leaves_no_trace(apple: Apple) -> None:
    """A refused notification is not in the inbox."""
    verdict = apple.service.check(apple.request(body=b""), apple.connection, NOW)

    assert isinstance(verdict, Refused)
    assert [] == apple.inbox.entries()


def test_devices_have_names_for_scenarios(apple: Apple) -> None:
    """An accepted request tells whom it is for."""
    verdict = apple.service.check(apple.request(), apple.connection, NOW)

    assert isinstance(verdict, Accepted)
    assert _names(apple.device) == verdict.names


def _names(device: Device) -> tuple[str, ...]:
    return (device.key,)
