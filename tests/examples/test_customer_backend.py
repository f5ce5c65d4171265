import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from examples.customer_backend import build_app

from examples import customer_backend
from heliograph.client.publish import AsyncPushNotifications, PushNotifications

USERS = {"user-001": "sesame", "user-002": "pässword"}
INSTANCE = "1b880590-6301-4bb5-b34f-45db1c5f5644"
SECRET = "0123456789ABCDEF" * 4


class FakePublishApi:
    """Takes every publish, until told to answer something else."""

    def __init__(self) -> None:
        self.published: list[dict[str, object]] = []
        self.status = 200

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "Title", "description": "Text"})
        self.published.append(json.loads(request.content))
        return httpx.Response(200, json={"publishId": "pubid-1"})


@pytest.fixture
def api() -> FakePublishApi:
    return FakePublishApi()


@pytest.fixture(params=["async", "sync"])
async def backend(
    request: pytest.FixtureRequest, api: FakePublishApi
) -> AsyncIterator[httpx.AsyncClient]:
    """The back end, over either class of the SDK."""
    transport = httpx.MockTransport(api.handle)
    with httpx.Client(transport=transport) as http:
        async with httpx.AsyncClient(transport=transport) as async_http:
            beams: AsyncPushNotifications | PushNotifications = (
                AsyncPushNotifications(INSTANCE, SECRET, http_client=async_http)
                if request.param == "async"
                else PushNotifications(INSTANCE, SECRET, http_client=http)
            )
            app = httpx.ASGITransport(build_app(beams, USERS))
            async with httpx.AsyncClient(transport=app, base_url="http://backend") as client:
                yield client


async def session_of(backend: httpx.AsyncClient, user: str) -> dict[str, str]:
    reply = await backend.post("/login", json={"username": user, "password": USERS[user]})
    return {"Authorization": f"Bearer {reply.json()['session_token']}"}


class TestLogin:
    async def test_json_and_form_are_taken(self, backend: httpx.AsyncClient) -> None:
        """Either form of the right password opens a session, each with a token of its own."""
        fields = {"username": "user-002", "password": "pässword"}

        replies = [await backend.post("/login", json=fields)]
        replies += [await backend.post("/login", data=fields)]

        assert [200, 200] == [reply.status_code for reply in replies]
        assert ["user-002"] * 2 == [reply.json()["user_id"] for reply in replies]
        tokens = {reply.json()["session_token"] for reply in replies}
        assert 2 == len(tokens)
        assert all(len(token) >= 43 for token in tokens)

    @pytest.mark.parametrize(
        "content",
        [
            b'{"username": "user-001", "password": "wrong"}',
            b'{"username": "user-001", "password": ""}',
            b'{"username": "user-001"}',
            b'{"username": "user-001", "password": null}',
            b'{"username": "nobody", "password": "sesame"}',
            b'{"username": "nobody", "password": ""}',
            b'{"username": "user-001", "password": "\\ud800"}',
            b"{}",
            b"[]",
            b"not JSON",
            b"\xff",
            b"[" * 100_000,
        ],
    )
    async def test_anything_else_is_refused(
        self, backend: httpx.AsyncClient, content: bytes
    ) -> None:
        """A wrong, missing or unreadable password opens no session."""
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            reply = await backend.post("/login", content=content, headers={"content-type": kind})

            assert 401 == reply.status_code


class TestBeamsAuth:
    async def test_a_user_gets_their_own_token(self, backend: httpx.AsyncClient) -> None:
        """The token's JSON is what a token provider expects, and is not cached."""
        session = await session_of(backend, "user-001")

        reply = await backend.get(
            "/pusher/beams-auth", params={"user_id": "user-001"}, headers=session
        )

        assert (200, {"token"}) == (reply.status_code, reply.json().keys())
        assert "no-store" == reply.headers["cache-control"]

    @pytest.mark.parametrize("query", ["?user_id=user-002", "?user_id=", ""])
    async def test_nobody_gets_anothers(self, backend: httpx.AsyncClient, query: str) -> None:
        """A session of one user gives no token of another."""
        session = await session_of(backend, "user-001")

        reply = await backend.get(f"/pusher/beams-auth{query}", headers=session)

        assert (401, "Inconsistent request") == (reply.status_code, reply.text)

    @pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer guess", "Basic guess"])
    async def test_a_session_is_needed(
        self, backend: httpx.AsyncClient, authorization: str
    ) -> None:
        """Without a session of ours there is no token, whoever is asked for."""
        reply = await backend.get(
            "/pusher/beams-auth?user_id=user-001", headers={"Authorization": authorization}
        )

        assert 401 == reply.status_code

    async def test_a_session_ends_with_log_out(self, backend: httpx.AsyncClient) -> None:
        """After log-out the session gives no token; logging out twice is no error."""
        session = await session_of(backend, "user-001")

        ends = [await backend.post("/logout", headers=session) for _time in range(2)]
        reply = await backend.get("/pusher/beams-auth?user_id=user-001", headers=session)

        assert [204, 204] == [each.status_code for each in ends]
        assert 401 == reply.status_code


class TestMessages:
    async def test_a_message_is_published_to_its_user(
        self, backend: httpx.AsyncClient, api: FakePublishApi
    ) -> None:
        """A message goes to one user, for all three kinds of device."""
        session = await session_of(backend, "user-001")

        reply = await backend.post(
            "/messages", json={"to": "user-002", "text": "Hello"}, headers=session
        )

        text = {"title": "Message from user-001", "body": "Hello"}
        assert (200, {"publishId": "pubid-1"}) == (reply.status_code, reply.json())
        assert [
            {
                "users": ["user-002"],
                "apns": {"aps": {"alert": text}},
                "fcm": {"notification": text},
                "web": {
                    "notification": text
                    | {"icon": "/icon.svg", "deep_link": "http://backend/?from=user-001"}
                },
            }
        ] == api.published

    @pytest.mark.parametrize(
        "message,status",
        [
            ({"to": "nobody", "text": "Hello"}, 404),
            ({"text": "Hello"}, 404),
            ({"to": "user-002", "text": ""}, 400),
            ({"to": "user-002"}, 400),
            ({"to": "user-002", "text": "x" * 1001}, 400),
        ],
    )
    async def test_a_bad_message_is_refused(
        self,
        backend: httpx.AsyncClient,
        api: FakePublishApi,
        message: dict[str, str],
        status: int,
    ) -> None:
        """A message without a known user or without text is not published."""
        session = await session_of(backend, "user-001")

        reply = await backend.post("/messages", json=message, headers=session)

        assert status == reply.status_code
        assert [] == api.published

    async def test_a_session_is_needed(
        self, backend: httpx.AsyncClient, api: FakePublishApi
    ) -> None:
        """Who is not logged in sends nothing."""
        reply = await backend.post("/messages", json={"to": "user-002", "text": "Hello"})

        assert (401, []) == (reply.status_code, api.published)

    @pytest.mark.parametrize("status", [401, 404, 422, 500])
    async def test_a_failed_publish_is_told(
        self, backend: httpx.AsyncClient, api: FakePublishApi, status: int
    ) -> None:
        """When Heliograph does not take the publish, the sender learns that it was not sent."""
        session = await session_of(backend, "user-001")
        api.status = status

        reply = await backend.post(
            "/messages", json={"to": "user-002", "text": "Hello"}, headers=session
        )

        assert (502, {"error": "Not sent: Title: Text"}) == (reply.status_code, reply.json())


class TestSite:
    @pytest.mark.parametrize(
        "path,kind",
        [
            ("/", "text/html"),
            ("/site.js", "text/javascript"),
            ("/site.css", "text/css"),
            ("/service-worker.js", "text/javascript"),
            ("/icon.svg", "image/svg+xml"),
        ],
    )
    async def test_the_pages_are_served(
        self, backend: httpx.AsyncClient, path: str, kind: str
    ) -> None:
        """Each file of the site, as browsers want it, is there for who is not logged in."""
        reply = await backend.get(path)

        assert (200, kind) == (reply.status_code, reply.headers["content-type"].split(";")[0])

    async def test_the_page_is_told_where_heliograph_is(self, backend: httpx.AsyncClient) -> None:
        """Page and worker read instance and server from a script, which has no secret."""
        reply = await backend.get("/settings.js")

        settings = {"instanceId": INSTANCE, "endpoint": "http://127.0.0.1:8040"}
        assert f"self.SETTINGS = {json.dumps(settings)};" == reply.text
        assert SECRET not in reply.text

    async def test_browsers_may_know_heliograph_by_another_name(self) -> None:
        """The page's address of Heliograph is the public one where there is one."""
        with PushNotifications(INSTANCE, SECRET) as beams:
            app = build_app(beams, USERS, public_endpoint="https://push.example.com")
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://backend") as http:
                reply = await http.get("/settings.js")

        assert "https://push.example.com" in reply.text


class TestCommandLine:
    def test_a_missing_instance_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without an instance the program says what to give, and ends."""
        with pytest.raises(SystemExit):
            customer_backend.main([])
        assert "instance_id" in capsys.readouterr().err

    def test_a_missing_secret_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the file of `heliograph dev` lacks is asked for by name."""
        file = tmp_path / "dev.json"
        file.write_text(json.dumps({"endpoint": "http://127.0.0.1:1", "instance_id": INSTANCE}))

        with pytest.raises(SystemExit):
            customer_backend.main(["--dev-json", str(file)])
        assert "secret_key" in capsys.readouterr().err
