import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pusher_push_notifications as pusher
import pytest
import requests
from joserfc import jwt
from joserfc.jwk import OctKey
from requests.adapters import BaseAdapter

import heliograph
from heliograph.client import endpoint, errors, publish

INSTANCE = "1b880590-6301-4bb5-b34f-45db1c5f5644"
SECRET = "0123456789ABCDEF" * 4
PUBLISHED = (200, b'{"publishId":"pubid-1"}')
BODY: dict[str, Any] = {
    "apns": {"aps": {"alert": {"title": "Hi ü \N{SLIGHTLY SMILING FACE}", "badge": 1}}},
    "fcm": {"notification": {"title": "Hi"}, "data": {"a": None}},
    "web": {"time_to_live": 60.5, "notification": {"title": "Hi"}},
}

Reply = tuple[int, bytes]
Operation = Callable[[Any], Any]
"""Something that can be done with Pusher's client and with ours alike."""


@dataclass
class Outcome:
    """What one SDK did: its result or its exception, and the requests on the way."""

    result: object = None
    error: Exception | None = None
    requests: list[tuple[object, ...]] = field(default_factory=list)


def request_facts(
    method: str | None, url: str, authorization: str | None, content: bytes
) -> tuple[object, ...]:
    body = json.loads(content) if content else None
    return (method, unquote(urlsplit(url).path), authorization, body)


class Capture(BaseAdapter):
    """Pusher's SDK talks to this instead of a network."""

    def __init__(self, reply: Reply, seen: list[tuple[object, ...]]) -> None:
        super().__init__()
        self._reply = reply
        self._seen = seen

    def send(self, request: requests.PreparedRequest, **_options: object) -> requests.Response:  # type: ignore[override]  # the options do not matter here
        content = request.body or b""
        assert isinstance(content, bytes)
        authorization = request.headers["authorization"]
        self._seen.append(
            request_facts(request.method, str(request.url), str(authorization), content)
        )
        response = requests.Response()
        response.request = request
        response.status_code, response._content = self._reply  # noqa: SLF001  (requests' own way)
        return response

    def close(self) -> None:
        """Nothing is open."""


def theirs(operation: Operation, reply: Reply) -> Outcome:
    outcome = Outcome()
    client = pusher.PushNotifications(INSTANCE, SECRET, endpoint="beams.example")
    with client.session:
        client.session.mount("https://", Capture(reply, outcome.requests))
        return conclude(outcome, lambda: operation(client))


def ours(operation: Operation, reply: Reply) -> Outcome:
    outcome = Outcome()
    with (
        httpx.Client(transport=transport(reply, outcome.requests)) as http,
        publish.PushNotifications(INSTANCE, SECRET, "beams.example", http_client=http) as client,
    ):
        return conclude(outcome, lambda: operation(client))


def transport(reply: Reply, seen: list[tuple[object, ...]]) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        authorization = request.headers["authorization"]
        seen.append(request_facts(request.method, str(request.url), authorization, request.content))
        return httpx.Response(reply[0], content=reply[1])

    return httpx.MockTransport(handle)


def conclude(outcome: Outcome, action: Callable[[], object]) -> Outcome:
    try:
        outcome.result = action()
    except Exception as error:  # noqa: BLE001  (whatever it is, both must raise it)
        outcome.error = error
    return outcome


def same_kind(theirs_raised: Exception | None, ours_raised: Exception | None) -> None:
    """Assert that code that catches Pusher's exception by its name catches ours."""
    assert type(theirs_raised).__name__ == type(ours_raised).__name__
    for builtin in (ValueError, TypeError, KeyError):
        assert isinstance(theirs_raised, builtin) == isinstance(ours_raised, builtin)


class TestAgainstPushersSdk:
    @pytest.mark.parametrize(
        "operation",
        [
            lambda client: client.publish_to_users(["user-001"], BODY),
            lambda client: client.publish_to_users(user_ids=["a", "b"], publish_body={"web": {}}),
            lambda client: client.publish_to_users(["a", "a"], {}),
            lambda client: client.publish_to_users(["", "ü" * 164], {"users": ["b"]}),
            lambda client: client.publish_to_users([str(n) for n in range(1000)], {}),
            lambda client: client.publish_to_interests(["hello"], BODY),
            lambda client: client.publish_to_interests(interests=["a_-=@,.;Z9"], publish_body={}),
            lambda client: client.publish_to_interests(["", "x" * 164], {}),
            lambda client: client.publish_to_interests([str(n) for n in range(100)], {}),
            lambda client: client.delete_user("user-001"),
            lambda client: client.delete_user(user_id="Stop!' said Fred + ü % ?#"),
            lambda client: client.delete_user("a/b/c"),
        ],
    )
    def test_the_same_call_sends_the_same(self, operation: Operation) -> None:
        """Method, path, authorization, body and result equal those of Pusher's SDK."""
        their, our = theirs(operation, PUBLISHED), ours(operation, PUBLISHED)

        assert (None, None) == (their.error, our.error)
        assert 1 == len(our.requests)
        assert their.requests == our.requests
        assert their.result == our.result or our.result is None

    @pytest.mark.parametrize(
        "operation",
        [
            lambda client: client.publish_to_users("user-001", {}),
            lambda client: client.publish_to_users(("user-001",), {}),
            lambda client: client.publish_to_users(None, {}),
            lambda client: client.publish_to_users([], {}),
            lambda client: client.publish_to_users([], "body"),
            lambda client: client.publish_to_users([1], {}),
            lambda client: client.publish_to_users([b"user"], {}),
            lambda client: client.publish_to_users(["u" * 165], {}),
            lambda client: client.publish_to_users(["u"] * 1001, {}),
            lambda client: client.publish_to_users(["u"], []),
            lambda client: client.publish_to_users(["u"], {"web": object()}),
            lambda client: client.publish_to_interests("hello", {}),
            lambda client: client.publish_to_interests([], {}),
            lambda client: client.publish_to_interests([None], {}),
            lambda client: client.publish_to_interests(["i" * 165], {}),
            lambda client: client.publish_to_interests(["i"] * 101, {}),
            lambda client: client.publish_to_interests(["with space"], {}),
            lambda client: client.publish_to_interests(["a:b"], {}),
            lambda client: client.publish_to_interests(["ü"], {}),
            lambda client: client.publish_to_interests(["i"], None),
            lambda client: client.generate_token(1),
            lambda client: client.generate_token("u" * 165),
            lambda client: client.delete_user(None),
            lambda client: client.delete_user("u" * 165),
        ],
    )
    def test_the_same_mistake_raises_the_same(self, operation: Operation) -> None:
        """A wrong argument raises what Pusher's SDK raises, and nothing is sent."""
        their, our = theirs(operation, PUBLISHED), ours(operation, PUBLISHED)

        assert their.error is not None
        same_kind(their.error, our.error)
        assert [] == their.requests == our.requests

    @pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503])
    @pytest.mark.parametrize(
        "content",
        [
            b'{"error": "Title", "description": "Text"}',
            b'{"error": "Title"}',
            b"{}",
            b"",
            b"<html>",
        ],
    )
    @pytest.mark.parametrize("verb", ["publish_to_users", "publish_to_interests", "delete_user"])
    def test_the_same_reply_raises_the_same(self, verb: str, code: int, content: bytes) -> None:
        """An error reply raises the same exception with the same message."""

        def operation(client: Any) -> object:
            if verb == "delete_user":
                return client.delete_user("user-001")
            return getattr(client, verb)(["hello"], {})

        their, our = theirs(operation, (code, content)), ours(operation, (code, content))

        assert their.error is not None
        same_kind(their.error, our.error)
        assert str(their.error.args[0]) == str(our.error)
        assert isinstance(our.error, errors.PusherError)
        assert code == our.error.status

    @pytest.mark.parametrize("content", [b"", b"<html>", b"null"])
    def test_a_senseless_success_raises_the_same(self, content: bytes) -> None:
        """A publish that succeeds without JSON raises PusherBadResponseError."""

        def operation(client: Any) -> object:
            return client.publish_to_users(["user-001"], {})

        their, our = theirs(operation, (200, content)), ours(operation, (200, content))

        same_kind(their.error, our.error)
        assert isinstance(our.error, errors.PusherBadResponseError)

    @pytest.mark.parametrize(
        "arguments", [(None, SECRET), ("", SECRET), (INSTANCE, 1), (INSTANCE, ""), ("i", "s", 1)]
    )
    def test_the_same_construction_is_refused(self, arguments: tuple[Any, ...]) -> None:
        """Wrong arguments of the class raise what Pusher's raises."""
        their = conclude(Outcome(), lambda: pusher.PushNotifications(*arguments))
        our = conclude(Outcome(), lambda: publish.PushNotifications(*arguments))

        assert their.error is not None
        same_kind(their.error, our.error)

    def test_the_old_name_of_publish_is_deprecated(self) -> None:
        """``publish`` works as in Pusher's SDK, and warns."""

        def operation(client: Any) -> object:
            with pytest.warns(DeprecationWarning, match="publish_to_interests"):
                return client.publish(["hello"], {"web": {}})

        their, our = theirs(operation, PUBLISHED), ours(operation, PUBLISHED)

        assert their.result == our.result == {"publishId": "pubid-1"}
        assert their.requests == our.requests

    @pytest.mark.parametrize("user_id", ["user-001", "ü/ \N{SLIGHTLY SMILING FACE}", ""])
    def test_the_same_token_is_signed(self, user_id: str) -> None:
        """Header, issuer, subject and signature are those of Pusher's SDK."""
        their = theirs(lambda client: client.generate_token(user_id), PUBLISHED).result
        our = ours(lambda client: client.generate_token(user_id), PUBLISHED).result

        assert {"token"} == token_of(our).keys()
        mine, reference = read_token(our), read_token(their)
        assert reference.header == mine.header
        assert set(reference.claims) == set(mine.claims)
        for claim in ("iss", "sub"):
            assert reference.claims[claim] == mine.claims[claim]


def token_of(result: object) -> dict[str, str]:
    assert isinstance(result, dict)
    return result


def read_token(result: object) -> jwt.Token:
    return jwt.decode(token_of(result)["token"], OctKey.import_key(SECRET), algorithms=["HS256"])


class TestToken:
    def test_it_lasts_a_day_in_whole_seconds(self) -> None:
        """A token ends 24 hours from now, as an integer, for the instance's issuer."""
        before = int(time.time())
        with publish.PushNotifications(INSTANCE, SECRET) as client:
            token = read_token(client.generate_token("user-001"))

        expiry = token.claims["exp"]
        assert isinstance(expiry, int)
        assert before + 86400 <= expiry <= time.time() + 86400
        assert f"https://{INSTANCE}.pushnotifications.pusher.com" == token.claims["iss"]

    @pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
    def test_its_lifetime_does_not_depend_on_the_machines_time_zone(self, zone: str) -> None:
        """East or west of Greenwich a token lasts the same day (in Pusher's SDK it does not)."""
        program = (
            "import sys, time; from heliograph.client.publish import PushNotifications as P;"
            "before = time.time();"
            f"print(before, P('{INSTANCE}', '{SECRET}').generate_token('u')['token'])"
        )
        source = os.pathsep.join(sys.path)
        output = subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-c", program],
            env={**os.environ, "TZ": zone, "PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        before, token = output.split()

        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert abs(claims["exp"] - float(before) - 86400) < 60


class TestRequests:
    def test_the_body_is_left_as_it_was(self) -> None:
        """Publishing does not write the targets into the caller's dictionary."""
        body = {"web": {"notification": {"title": "Hi"}}}

        ours(lambda client: client.publish_to_users(["user-001"], body), PUBLISHED)

        assert {"web": {"notification": {"title": "Hi"}}} == body

    @pytest.mark.parametrize(
        "user_id,segment",
        [("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("a.b", "a.b"), ("+ %", "%2B%20%25")],
    )
    def test_a_user_id_is_one_segment_of_the_path(self, user_id: str, segment: str) -> None:
        """Nothing in a user id can lead to another path."""
        paths: list[bytes] = []

        def handle(request: httpx.Request) -> httpx.Response:
            paths.append(request.url.raw_path)
            return httpx.Response(200)

        with httpx.Client(transport=httpx.MockTransport(handle)) as http:
            publish.PushNotifications("i", "s", http_client=http).delete_user(user_id)

        assert [f"/customer_api/v1/instances/i/users/{segment}".encode()] == paths

    def test_headers_name_us(self) -> None:
        """A publish says who sends it, and that it is JSON."""
        seen: list[httpx.Headers] = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers)
            return httpx.Response(200, json={})

        with httpx.Client(transport=httpx.MockTransport(handle)) as http:
            publish.PushNotifications("i", "s", http_client=http).publish_to_users(["u"], {})

        [headers] = seen
        assert f"heliograph-python {heliograph.__version__}" == headers["x-pusher-library"]
        assert ("application/json", "Bearer s") == (
            headers["content-type"],
            headers["authorization"],
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
    def test_what_json_cannot_say_is_refused(self, value: object) -> None:
        """A body that is no JSON is a ValueError, and nothing is sent."""
        our = ours(lambda client: client.publish_to_users(["u"], {"web": value}), PUBLISHED)

        assert isinstance(our.error, ValueError)
        assert [] == our.requests

    def test_a_final_line_break_is_no_interest(self) -> None:
        """An interest ending in a line break is refused here (Pusher's SDK would send it)."""
        our = ours(lambda client: client.publish_to_interests(["a\n"], {}), PUBLISHED)

        assert isinstance(our.error, ValueError)

    @pytest.mark.parametrize("code", [302, 304])
    def test_a_redirection_is_not_followed(self, code: int) -> None:
        """The secret key is not carried to wherever a reply points."""
        for operation in (
            lambda client: client.publish_to_users(["u"], {}),
            lambda client: client.delete_user("u"),
        ):
            our = ours(operation, (code, b"{}"))
            assert isinstance(our.error, errors.PusherBadResponseError)

    @pytest.mark.parametrize("content", [b"", b"deleted", b"{}"])
    def test_deleting_a_user_returns_nothing(self, content: bytes) -> None:
        """Whatever a successful deletion answers, the result is None."""
        our = ours(lambda client: client.delete_user("u"), (200, content))

        assert (None, None) == (our.error, our.result)

    def test_a_connection_that_fails_is_one_of_our_errors(self) -> None:
        """No reply is a PusherError of its own kind, which keeps the cause; nothing is repeated."""
        attempts: list[str] = []

        def refuse(request: httpx.Request) -> httpx.Response:
            attempts.append(request.method)
            raise httpx.ConnectError("refused", request=request)

        with httpx.Client(transport=httpx.MockTransport(refuse)) as http:
            client = publish.PushNotifications("i", "s", http_client=http)
            with pytest.raises(errors.PusherConnectionError) as caught:
                client.publish_to_users(["u"], {})
        assert isinstance(caught.value.__cause__, httpx.ConnectError)
        assert (None, ["POST"]) == (caught.value.status, attempts)

    def test_an_error_carries_both_texts(self) -> None:
        """Status, error and description can be read without parsing a message."""
        reply = (404, b'{"error": "Instance not found", "description": "Could not find it"}')

        error = ours(lambda client: client.publish_to_users(["u"], {}), reply).error

        assert isinstance(error, errors.PusherMissingInstanceError)
        assert (404, "Instance not found", "Could not find it") == (
            error.status,
            error.error,
            error.description,
        )


class TestEndpoint:
    @pytest.mark.parametrize(
        "given,base",
        [
            (None, "http://127.0.0.1:8040"),
            ("http://127.0.0.1:8040", "http://127.0.0.1:8040"),
            ("http://127.0.0.1:8040/", "http://127.0.0.1:8040"),
            ("https://push.example/prefix/", "https://push.example/prefix"),
            ("push.example", "https://push.example"),
            ("localhost:8043", "https://localhost:8043"),
            ("[::1]:8043", "https://[::1]:8043"),
        ],
    )
    def test_a_base_url_or_a_host_is_taken(self, given: str | None, base: str) -> None:
        """A base URL is used as it is; a bare host means https, as in Pusher's SDK."""
        with publish.PushNotifications(INSTANCE, SECRET, given) as client:
            assert (base, INSTANCE) == (client.endpoint, client.instance_id)

    @pytest.mark.parametrize(
        "given",
        ["", "ftp://h", "http://", "http://user:secret@h", "http://h?a=b", "http://h#a", "h:port"],
    )
    def test_anything_else_is_refused(self, given: str) -> None:
        """An endpoint that is no base URL is the caller's mistake."""
        with pytest.raises(ValueError, match="endpoint"):
            publish.PushNotifications(INSTANCE, SECRET, given)

    def test_a_missing_file_of_authorities_is_reported_at_once(self) -> None:
        """A ca_file that is not there fails when the client is made, not when it is used."""
        with pytest.raises(FileNotFoundError):
            publish.PushNotifications(INSTANCE, SECRET, "h", ca_file="no such file.pem")

    def test_the_version_is_the_packages(self) -> None:
        """The SDKs, which import nothing of the package, name its version all the same."""
        assert heliograph.__version__ == endpoint.SDK_VERSION


class TestAsync:
    async def test_it_sends_the_same(self) -> None:
        """The asynchronous class sends and returns what the synchronous one does."""
        seen: list[tuple[object, ...]] = []
        async with (
            httpx.AsyncClient(transport=transport(PUBLISHED, seen)) as http,
            publish.AsyncPushNotifications(INSTANCE, SECRET, "h", http_client=http) as client,
        ):
            results = [
                await client.publish_to_users(["user-001"], BODY),
                await client.publish_to_interests(["hello"], BODY),
            ]
            await client.delete_user("a/b")
            token = read_token(client.generate_token("user-001"))
            assert ("https://h", INSTANCE) == (client.endpoint, client.instance_id)

        assert [{"publishId": "pubid-1"}] * 2 == results
        assert "user-001" == token.claims["sub"]
        for operation, request in zip(
            (
                lambda it: it.publish_to_users(["user-001"], BODY),
                lambda it: it.publish_to_interests(["hello"], BODY),
                lambda it: it.delete_user("a/b"),
            ),
            seen,
            strict=True,
        ):
            assert [request] == ours(operation, PUBLISHED).requests

    async def test_it_raises_the_same(self) -> None:
        """Errors of arguments and of replies reach the awaiting caller."""
        reply = (401, b'{"error": "Unauthorized", "description": "Incorrect Secret Key"}')
        async with httpx.AsyncClient(transport=transport(reply, [])) as http:
            client = publish.AsyncPushNotifications(INSTANCE, SECRET, http_client=http)
            with pytest.raises(errors.PusherAuthError, match="Incorrect Secret Key"):
                await client.publish_to_users(["u"], {})
            with pytest.raises(TypeError):
                await client.publish_to_users("u", {})  # type: ignore[arg-type]  # the mistake

    async def test_it_closes_its_own_connections(self) -> None:
        """A client of our own making is closed with the class."""
        async with publish.AsyncPushNotifications(INSTANCE, SECRET) as client:
            assert "http://127.0.0.1:8040" == client.endpoint

    async def test_a_key_goes_with_the_publish(self) -> None:
        """An idempotency key is a header of either publish, in both classes."""
        keys: list[str | None] = []

        def handle(request: httpx.Request) -> httpx.Response:
            keys.append(request.headers.get("idempotency-key"))
            return httpx.Response(200, content=PUBLISHED[1])

        both = httpx.MockTransport(handle)
        async with httpx.AsyncClient(transport=both) as http:
            client = publish.AsyncPushNotifications(INSTANCE, SECRET, http_client=http)
            await client.publish_to_users(["u"], BODY, idempotency_key="a")
            await client.publish_to_interests(["i"], BODY, idempotency_key="b")
        with httpx.Client(transport=both) as blocking:
            other = publish.PushNotifications(INSTANCE, SECRET, http_client=blocking)
            other.publish_to_users(["u"], BODY, idempotency_key="c")
            other.publish_to_interests(["i"], BODY, idempotency_key="d")
            other.publish_to_users(["u"], BODY)

        assert ["a", "b", "c", "d", None] == keys

    @pytest.mark.parametrize(
        "key,kind",
        [("", ValueError), ("x" * 256, ValueError), ("a\nb", ValueError), (7, TypeError)],
    )
    async def test_a_key_is_checked(self, key: str, kind: type[Exception]) -> None:
        """One that the server would refuse is not sent."""
        seen: list[tuple[object, ...]] = []
        async with httpx.AsyncClient(transport=transport(PUBLISHED, seen)) as http:
            client = publish.AsyncPushNotifications(INSTANCE, SECRET, http_client=http)
            with pytest.raises(kind, match="idempotency_key"):
                await client.publish_to_users(["u"], BODY, idempotency_key=key)

        assert [] == seen
