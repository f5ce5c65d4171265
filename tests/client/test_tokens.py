from typing import get_args

import httpx
import pytest

from client.fakes import FakeSleep
from heliograph.client.errors import TokenProviderError
from heliograph.client.profiles import Query
from heliograph.client.retry import Retry
from heliograph.client.steps import run
from heliograph.client.tokens import AuthData, BeamsTokenProvider

GOOD = httpx.Response(200, json={"token": "a.b.c"})


def fetch(
    provider: BeamsTokenProvider,
    reply: httpx.Response | Exception = GOOD,
    query: Query | None = None,
) -> tuple[str, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def send(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    retry = Retry(attempts=2)
    token = run(
        provider.fetch_token("user-001", retry=retry, query=query), send=send, sleep=FakeSleep()
    )
    return token, requests


def test_the_request_carries_user_headers_and_query() -> None:
    """The customer's server sees the user id and what the app's callback supplied."""
    provider = BeamsTokenProvider(
        "https://customer.example/auth",
        lambda: AuthData({"Authorization": "Bearer s"}, {"device": "a b"}),
    )

    token, [request] = fetch(provider)

    assert "a.b.c" == token
    assert "GET" == request.method
    assert {"device": "a b", "user_id": "user-001"} == dict(request.url.params)
    assert "Bearer s" == request.headers["authorization"]


def test_a_query_in_the_url_is_kept() -> None:
    """What the URL already asks stays, repetitions included."""
    _, [request] = fetch(BeamsTokenProvider("https://customer.example/auth?v=1&v=2"))

    assert [("v", "1"), ("v", "2"), ("user_id", "user-001")] == request.url.params.multi_items()


def test_nothing_replaces_the_user_id() -> None:
    """Neither the URL nor the callback can ask for another user."""
    provider = BeamsTokenProvider(
        "https://customer.example/auth?user_id=x", lambda: AuthData(query_params={"user_id": "y"})
    )

    _, [request] = fetch(provider)

    assert ["user-001"] == request.url.params.get_list("user_id")


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, text="a.b.c"),
        httpx.Response(200, json=["a.b.c"]),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"token": ""}),
        httpx.Response(200, json={"token": 7}),
        httpx.Response(200, json={"token": "a\nb"}),
        httpx.Response(200, json={"token": "ü"}),
        httpx.Response(302, headers={"location": "/login"}),
        httpx.Response(401, text="Inconsistent request"),
    ],
)
def test_anything_but_a_token_is_an_error(reply: httpx.Response) -> None:
    """Only 2xx with a token that can stand in a header is taken, and the status is kept."""
    with pytest.raises(TokenProviderError) as caught:
        fetch(BeamsTokenProvider("https://customer.example/auth"), reply)
    assert reply.status_code == caught.value.status


@pytest.mark.parametrize(
    "reply,status", [(httpx.ConnectError("refused"), None), (httpx.Response(500), 500)]
)
def test_a_server_that_is_down_is_an_error(
    reply: httpx.Response | Exception, status: int | None
) -> None:
    """The customer's server is tried as often as ours, then given up."""
    with pytest.raises(TokenProviderError) as caught:
        fetch(BeamsTokenProvider("https://customer.example/auth"), reply)
    assert status == caught.value.status


def test_the_callbacks_own_error_reaches_the_app() -> None:
    """What the app's callback raises comes out as it is."""

    def broken() -> AuthData:
        raise LookupError("no session")

    with pytest.raises(LookupError, match="no session"):
        fetch(BeamsTokenProvider("https://customer.example/auth", broken))


def test_an_asynchronous_callback_needs_the_asynchronous_class() -> None:
    """A coroutine function given to the synchronous class is the caller's mistake."""

    async def auth_data() -> AuthData:
        return AuthData()

    with pytest.raises(TypeError, match="asynchronous"):
        fetch(BeamsTokenProvider("https://customer.example/auth", auth_data))


@pytest.mark.parametrize(
    "query, url",
    [
        ("replaced", "https://customer.example/auth?device=1&user_id=user-001"),
        ("kept", "https://customer.example/auth?v=1&device=1&user_id=user-001"),
        ("appended", "https://customer.example/auth?v=1?user_id=user-001&device=1"),
    ],
)
def test_official_sdks_differ_about_a_query(query: Query, url: str) -> None:
    """Contract §6: iOS drops what the URL asks already, Android keeps it, the web breaks it."""
    provider = BeamsTokenProvider(
        "https://customer.example/auth?v=1", lambda: AuthData(query_params={"device": "1"})
    )

    _, [request] = fetch(provider, query=query)

    assert url == str(request.url)


def test_on_the_web_the_callback_may_ask_for_another_user() -> None:
    """Contract §6: the web's query parameters override the user id, the others' do not."""
    provider = BeamsTokenProvider(
        "https://customer.example/auth", lambda: AuthData(query_params={"user_id": "y"})
    )
    asked: dict[Query, str] = {}
    for query in get_args(Query):
        _, [request] = fetch(provider, query=query)
        asked[query] = request.url.params["user_id"]

    assert {"replaced": "user-001", "kept": "user-001", "appended": "y"} == asked
