"""
The back end's SDK: publish, sign Beams tokens, delete users.

A drop-in for Pusher's Python server SDK 2.0.2: the same names, checks, results and
exceptions. What differs is written in ``docs/python-sdks.md``.
"""

import asyncio
import json
import re
import time
import warnings
from datetime import UTC, datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import Any, Final, Self

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from heliograph.client.endpoint import (
    LIBRARY,
    MAX_NAME_CHARS,
    base_url,
    error_texts,
    json_object,
    path_segment,
    tls_context,
)
from heliograph.client.errors import (
    PusherAuthError,
    PusherBadResponseError,
    PusherConnectionError,
    PusherError,
    PusherMissingInstanceError,
    PusherServerError,
    PusherValidationError,
)
from heliograph.client.steps import Operation, T, run, run_async

__all__ = [
    "AsyncPushNotifications",
    "PushNotifications",
    "PusherAuthError",
    "PusherBadResponseError",
    "PusherConnectionError",
    "PusherError",
    "PusherMissingInstanceError",
    "PusherServerError",
    "PusherValidationError",
]

MAX_INTERESTS: Final = 100
"""Most interests in one publish."""

MAX_USERS: Final = 1000
"""Most users in one publish."""

TOKEN_LIFETIME: Final = timedelta(days=1)
"""How long a Beams token can be used to log a device in."""

_INTEREST: Final = re.compile(r"[A-Za-z0-9_=@,.;-]*")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TIMEOUT_SECONDS: Final = 30.0


class PushNotifications:
    """
    One instance's client for synchronous code; may be shared by threads.

    Use it as a context manager, or call ``close`` when done.
    """

    def __init__(
        self,
        instance_id: str,
        secret_key: str,
        endpoint: str | None = None,
        *,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        http_client: httpx.Client | None = None,
    ) -> None:
        """
        Prepare a client; nothing is sent.

        Args:
            instance_id: The instance.
            secret_key: Its secret key, as text.
            endpoint: A base URL (``http://…`` or ``https://…``), or ``host[:port]``,
                which means https; ``http://127.0.0.1:8040`` unless told.
            ca_file: A PEM file of authorities to trust besides the usual ones.
            timeout: Seconds that each of connecting, sending and receiving may take.
            http_client: Your own client, which replaces ``ca_file`` and ``timeout``
                and which we do not close.

        Raises:
            TypeError: An argument is not a string.
            ValueError: An argument is empty, or the endpoint cannot be read.
        """
        self._instance = _Instance(instance_id, secret_key, endpoint)
        self._owns_http = http_client is None
        self._http = http_client or httpx.Client(verify=tls_context(ca_file), timeout=timeout)

    @property
    def instance_id(self) -> str:
        """The instance."""
        return self._instance.instance_id

    @property
    def endpoint(self) -> str:
        """The server's base URL."""
        return self._instance.base_url

    def publish_to_users(
        self,
        user_ids: list[str],
        publish_body: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """
        Publish to every device of these users.

        Args:
            user_ids: 1 to 1000 user ids of at most 164 characters.
            publish_body: ``apns``, ``fcm`` and ``web``, at least one; left unchanged.
            idempotency_key: 1 to 255 visible ASCII characters that name this publish: the
                same call with the same key is the same publish for 24 hours.

        Returns:
            ``{"publishId": …}``, once the server has stored the publish.

        Raises:
            TypeError: An argument, or one of the ids, has the wrong type.
            ValueError: There are no ids, too many, or one that is too long.
            PusherError: The server refused, failed, or could not be reached.
        """
        return self._run(self._instance.publish_to_users(user_ids, publish_body, idempotency_key))

    def publish_to_interests(
        self,
        interests: list[str],
        publish_body: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """
        Publish to every device subscribed to one of these interests.

        Args:
            interests: 1 to 100 interests of at most 164 characters out of
                ``A-Z a-z 0-9 _ - = @ , . ;``.
            publish_body: ``apns``, ``fcm`` and ``web``, at least one; left unchanged.
            idempotency_key: As for ``publish_to_users``.

        Returns:
            ``{"publishId": …}``, once the server has stored the publish.

        Raises:
            TypeError: An argument, or one of the interests, has the wrong type.
            ValueError: There are no interests, too many, or one that breaks the rule.
            PusherError: The server refused, failed, or could not be reached.
        """
        return self._run(
            self._instance.publish_to_interests(interests, publish_body, idempotency_key)
        )

    def publish(self, interests: list[str], publish_body: dict[str, Any]) -> dict[str, Any]:
        """Do as ``publish_to_interests``, under its old, deprecated name."""
        warnings.warn(
            "publish is deprecated; use publish_to_interests", DeprecationWarning, stacklevel=2
        )
        return self.publish_to_interests(interests, publish_body)

    def generate_token(self, user_id: str) -> dict[str, str]:
        """
        Sign a Beams token, with which a device proves whose it is; valid for a day.

        Check first that the caller is this user: whoever holds the token receives
        the user's notifications.

        Returns:
            ``{"token": …}``, to be answered as JSON to the app's token provider.

        Raises:
            TypeError: The user id is not a string.
            ValueError: It is longer than 164 characters.
        """
        return self._instance.generate_token(user_id, now=datetime.now(UTC))

    def delete_user(self, user_id: str) -> None:
        """
        Forget a user and every device where they are logged in.

        A user that is not known is no error.

        Raises:
            TypeError: The user id is not a string.
            ValueError: It is longer than 164 characters.
            PusherError: The server refused, failed, or could not be reached.
        """
        self._run(self._instance.delete_user(user_id))

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's own."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, operation: Operation[T]) -> T:
        return run(operation, send=self._http.send, sleep=time.sleep)


class AsyncPushNotifications:
    """
    One instance's client for asyncio: ``PushNotifications`` with ``await``.

    ``generate_token`` does no I/O and is not awaited. Use it as an asynchronous context
    manager, or await ``aclose`` when done.
    """

    def __init__(
        self,
        instance_id: str,
        secret_key: str,
        endpoint: str | None = None,
        *,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        """Prepare a client; nothing is sent. The arguments are ``PushNotifications``'s."""
        self._instance = _Instance(instance_id, secret_key, endpoint)
        self._owns_http = http_client is None
        self._http = http_client or httpx.AsyncClient(verify=tls_context(ca_file), timeout=timeout)

    @property
    def instance_id(self) -> str:
        """The instance."""
        return self._instance.instance_id

    @property
    def endpoint(self) -> str:
        """The server's base URL."""
        return self._instance.base_url

    async def publish_to_users(
        self,
        user_ids: list[str],
        publish_body: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Publish to every device of these users; as ``PushNotifications`` does."""
        return await self._run(
            self._instance.publish_to_users(user_ids, publish_body, idempotency_key)
        )

    async def publish_to_interests(
        self,
        interests: list[str],
        publish_body: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Publish to every device with one of the interests; as ``PushNotifications`` does."""
        return await self._run(
            self._instance.publish_to_interests(interests, publish_body, idempotency_key)
        )

    def generate_token(self, user_id: str) -> dict[str, str]:
        """Sign a Beams token; as ``PushNotifications`` does."""
        return self._instance.generate_token(user_id, now=datetime.now(UTC))

    async def delete_user(self, user_id: str) -> None:
        """Forget a user and all their devices; as ``PushNotifications`` does."""
        await self._run(self._instance.delete_user(user_id))

    async def aclose(self) -> None:
        """Close the connections, unless the HTTP client is the caller's own."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, operation: Operation[T]) -> T:
        return await run_async(operation, send=self._http.send, sleep=asyncio.sleep)


class _Instance:
    """The core of both classes: what to send, and what the replies mean."""

    def __init__(self, instance_id: str, secret_key: str, endpoint: str | None) -> None:
        for name, value in (("instance_id", instance_id), ("secret_key", secret_key)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string")
            if not value:
                raise ValueError(f"{name} cannot be the empty string")
        self.instance_id = instance_id
        self.base_url = base_url(endpoint)
        self._secret_key = secret_key

    def publish_to_users(
        self, user_ids: list[str], publish_body: dict[str, Any], key: str | None
    ) -> Operation[dict[str, Any]]:
        _check_targets("user_ids", user_ids, publish_body, limit=MAX_USERS)
        for user_id in user_ids:
            _check_user_id(user_id)
        return self._publish("users", user_ids, publish_body, key)

    def publish_to_interests(
        self, interests: list[str], publish_body: dict[str, Any], key: str | None
    ) -> Operation[dict[str, Any]]:
        _check_targets("interests", interests, publish_body, limit=MAX_INTERESTS)
        for interest in interests:
            _check_interest(interest)
        return self._publish("interests", interests, publish_body, key)

    def generate_token(self, user_id: str, *, now: datetime) -> dict[str, str]:
        """
        Sign what a device shows to be bound to the user.

        The issuer is Pusher's name for the instance, whatever server is used; the time
        is whole seconds, and the key is the text of the secret, not what its hexadecimal
        digits stand for: all this is how Beams reads a token.
        """
        _check_user_id(user_id)
        claims: dict[str, Any] = {
            "iss": f"https://{self.instance_id}.pushnotifications.pusher.com",
            "sub": user_id,
            "exp": int((now + TOKEN_LIFETIME).timestamp()),
        }
        key = OctKey.import_key(self._secret_key)
        return {"token": jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, key)}

    def delete_user(self, user_id: str) -> Operation[None]:
        _check_user_id(user_id)
        return self._delete(path_segment(user_id))

    def _publish(
        self, kind: str, names: list[str], publish_body: dict[str, Any], key: str | None
    ) -> Operation[dict[str, Any]]:
        _check_key(key)
        content = json.dumps(
            {**publish_body, kind: names},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        request = self._request("POST", "publish_api", f"publishes/{kind}", content.encode())
        if key is not None:
            request.headers["idempotency-key"] = key
        reply = yield from _exchange(request)
        answer = json_object(reply)
        if answer is None:
            raise PusherBadResponseError(
                "The server returned a malformed response", status=reply.status_code
            )
        return answer

    def _delete(self, user: str) -> Operation[None]:
        yield from _exchange(self._request("DELETE", "customer_api", f"users/{user}"))

    def _request(
        self, method: str, api: str, path: str, content: bytes | None = None
    ) -> httpx.Request:
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self._secret_key}",
            "x-pusher-library": LIBRARY,
        }
        if content is not None:
            headers["content-type"] = "application/json"
        instance = path_segment(self.instance_id)
        url = f"{self.base_url}/{api}/v1/instances/{instance}/{path}"
        return httpx.Request(method, url, headers=headers, content=content)


def _exchange(request: httpx.Request) -> Operation[httpx.Response]:
    """
    Send once, and turn every reply that is no success into its exception.

    Nothing is repeated: a publish whose reply was lost may already be on its way. A
    caller that gave it an idempotency key may well repeat it.
    """
    try:
        reply: httpx.Response = yield request
    except httpx.RequestError as error:
        raise PusherConnectionError(f"{type(error).__name__}: {error}") from error
    if not reply.is_success:
        raise _failure(reply)
    return reply


def _failure(reply: httpx.Response) -> PusherError:
    status = reply.status_code
    error, description = error_texts(reply)
    match status:
        case 401:
            kind: type[PusherError] = PusherAuthError
        case 404:
            kind = PusherMissingInstanceError
        case _ if reply.is_client_error:
            kind = PusherValidationError
        case _ if reply.is_server_error:
            kind = PusherServerError
        case _:
            kind = PusherBadResponseError
    return kind(f"{error}: {description}", status=status, error=error, description=description)


def _check_targets(name: str, targets: object, publish_body: object, *, limit: int) -> None:
    if not isinstance(targets, list):
        raise TypeError(f"{name} must be a list")
    if not isinstance(publish_body, dict):
        raise TypeError("publish_body must be a dictionary")
    if not targets:
        raise ValueError(f"{name} must name at least one")
    if len(targets) > limit:
        raise ValueError(f"{name} names {len(targets)}, more than the maximum of {limit}")


def _check_user_id(user_id: object) -> None:
    if not isinstance(user_id, str):
        raise TypeError(f"user id {user_id!r} is not a string")
    if len(user_id) > MAX_NAME_CHARS:
        raise ValueError(f"user id {user_id!r} is longer than {MAX_NAME_CHARS} characters")


def _check_key(key: object) -> None:
    if key is None:
        return
    if not isinstance(key, str):
        raise TypeError("idempotency_key must be a string")
    if _KEY.fullmatch(key) is None:
        raise ValueError("idempotency_key must be 1 to 255 visible ASCII characters")


def _check_interest(interest: object) -> None:
    if not isinstance(interest, str):
        raise TypeError(f"interest {interest!r} is not a string")
    if len(interest) > MAX_NAME_CHARS:
        raise ValueError(f"interest {interest!r} is longer than {MAX_NAME_CHARS} characters")
    if not _INTEREST.fullmatch(interest):
        raise ValueError(
            f"interest {interest!r} has a character other than A-Z a-z 0-9 _ - = @ , . ;"
        )
