"""
A small customer back end: log-in, the Beams auth endpoint, messages that push, and a site.

Everything that concerns Heliograph is in ``beams_auth`` and ``send_message``; the rest
stands for the accounts and sessions that a real back end has already.
"""

import argparse
import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from heliograph.client.publish import AsyncPushNotifications, PusherError, PushNotifications

DEMO_USERS: Final = {"user-001": "tulip-lantern-001", "user-002": "tulip-lantern-002"}
"""User names and passwords of the demonstration. A real table holds password hashes."""

MAX_TEXT_CHARS: Final = 1000
"""Longest message. A notification as a whole may have 4 KB."""

SITE: Final = Path(__file__).parent / "site"
"""The pages, as they are."""


def build_app(
    beams: AsyncPushNotifications | PushNotifications,
    users: Mapping[str, str],
    *,
    public_endpoint: str | None = None,
) -> Starlette:
    """
    Build the back end.

    Args:
        beams: The server SDK; whoever made it closes it.
        users: Passwords by user name. The user name is also the Beams user id.
        public_endpoint: Heliograph's base URL for browsers, if it is not the server SDK's.
    """
    backend = _Backend(beams, users, public_endpoint or beams.endpoint)
    return Starlette(
        routes=[
            Route("/login", backend.login, methods=["POST"]),
            Route("/logout", backend.logout, methods=["POST"]),
            Route("/pusher/beams-auth", backend.beams_auth, methods=["GET"]),
            Route("/messages", backend.send_message, methods=["POST"]),
            Route("/settings.js", backend.settings, methods=["GET"]),
            Mount("/", StaticFiles(directory=SITE, html=True)),
        ]
    )


class _Backend:
    def __init__(
        self,
        beams: AsyncPushNotifications | PushNotifications,
        users: Mapping[str, str],
        public_endpoint: str,
    ) -> None:
        self._beams = beams
        self._users = users
        self._public_endpoint = public_endpoint
        self._sessions: dict[str, str] = {}
        """User names by session token."""

    async def login(self, request: Request) -> Response:
        """Take ``username`` and ``password``, as a form or as JSON, and open a session."""
        fields = await _fields(request)
        username, password = fields.get("username", ""), fields.get("password", "")
        # An unknown name takes as long as a wrong password, and never matches.
        expected = self._users.get(username, secrets.token_urlsafe())
        if not hmac.compare_digest(password.encode(), expected.encode()):
            return JSONResponse({"error": "Wrong user name or password"}, status_code=401)
        session = secrets.token_urlsafe(32)
        self._sessions[session] = username
        return JSONResponse({"session_token": session, "user_id": username})

    async def logout(self, request: Request) -> Response:
        """End the session. The app calls the device SDK's clear_all_state as well."""
        self._sessions.pop(_bearer(request), None)
        return Response(status_code=204)

    async def beams_auth(self, request: Request) -> Response:
        """
        Give a device of the logged-in user a Beams token.

        Who the user is, the session says; the query parameter must only agree.
        """
        user_id = self._user(request)
        if user_id is None or user_id != request.query_params.get("user_id"):
            return PlainTextResponse("Inconsistent request", status_code=401)
        return JSONResponse(
            self._beams.generate_token(user_id), headers={"Cache-Control": "no-store"}
        )

    async def send_message(self, request: Request) -> Response:
        """Send ``text`` to every device on which the user ``to`` is logged in."""
        sender = self._user(request)
        if sender is None:
            return JSONResponse({"error": "Log in first"}, status_code=401)
        fields = await _fields(request)
        to, text = fields.get("to", ""), fields.get("text", "")
        if to not in self._users:
            return JSONResponse({"error": "No such user"}, status_code=404)
        if not 1 <= len(text) <= MAX_TEXT_CHARS:
            error = f"text has 1 to {MAX_TEXT_CHARS} characters"
            return JSONResponse({"error": error}, status_code=400)
        try:
            link = f"{request.base_url}?from={sender}"
            notification = _notification(f"Message from {sender}", text, link)
            answer = await self._publish(to, notification)
        except PusherError as error:
            return JSONResponse({"error": f"Not sent: {error}"}, status_code=502)
        return JSONResponse({"publishId": answer["publishId"]})

    async def settings(self, _request: Request) -> Response:
        """Tell the page and its service worker where Heliograph is."""
        settings = {"instanceId": self._beams.instance_id, "endpoint": self._public_endpoint}
        return Response(f"self.SETTINGS = {json.dumps(settings)};", media_type="text/javascript")

    async def _publish(self, to: str, body: dict[str, object]) -> dict[str, object]:
        match self._beams:
            case AsyncPushNotifications() as beams:
                return await beams.publish_to_users([to], body)
            case beams:
                return await run_in_threadpool(beams.publish_to_users, [to], body)

    def _user(self, request: Request) -> str | None:
        return self._sessions.get(_bearer(request))


def _notification(title: str, body: str, link: str) -> dict[str, object]:
    """Say the same to all three kinds of device; a click in a browser leads to the link."""
    text = {"title": title, "body": body}
    return {
        "apns": {"aps": {"alert": text}},
        "fcm": {"notification": text},
        "web": {"notification": text | {"icon": "/icon.svg", "deep_link": link}},
    }


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _fields(request: Request) -> dict[str, str]:
    """Read the body's text fields, from JSON or a form; an unreadable body has none."""
    body = await request.body()
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            document = json.loads(body)
            pairs = document.items() if isinstance(document, dict) else ()
        else:
            pairs = dict(parse_qsl(body.decode(), keep_blank_values=True)).items()
        texts = {name: value for name, value in pairs if isinstance(value, str)}
        "".join(texts.values()).encode()  # JSON can hold half a character; we cannot use it
    except (ValueError, RecursionError):
        return {}
    return texts


def main(arguments: list[str] | None = None) -> None:
    """Run the back end until interrupted."""
    options = _options(arguments)
    asyncio.run(_serve(options))


async def _serve(options: argparse.Namespace) -> None:
    async with AsyncPushNotifications(
        options.instance_id, options.secret_key, options.endpoint
    ) as beams:
        app = build_app(beams, DEMO_USERS, public_endpoint=options.public_endpoint)
        await uvicorn.Server(uvicorn.Config(app, host=options.host, port=options.port)).serve()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", help="Heliograph's base URL (default: that of --dev-json)")
    parser.add_argument("--public-endpoint", help="the same for browsers, if it is another")
    parser.add_argument("--dev-json", type=Path, help="what `heliograph dev` wrote")
    parser.add_argument("--instance-id", help="or BEAMS_INSTANCE_ID")
    parser.add_argument("--secret-key", help="or, better, BEAMS_SECRET_KEY")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8050)
    options = parser.parse_args(arguments)
    known = json.loads(options.dev_json.read_text()) if options.dev_json else {}
    options.endpoint = options.endpoint or known.get("endpoint")
    for name in ("instance_id", "secret_key"):
        given = getattr(options, name) or os.environ.get(f"BEAMS_{name.upper()}") or known.get(name)
        if not given:
            parser.error(f"no {name}: give --dev-json, --{name.replace('_', '-')} or BEAMS_…")
        setattr(options, name, given)
    return options


if __name__ == "__main__":
    main()
