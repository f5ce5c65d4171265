"""A Beams server and a customer's back end, in memory, behind an httpx transport."""

import base64
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx

from heliograph.client import device

INSTANCE = "1b880590-6301-4bb5-b34f-45db1c5f5644"
OTHER_INSTANCE = "8b0b5b5e-32a0-4c39-9d0c-5a6a9c9d6d7b"
AUTH_URL = "https://customer.example/pusher/beams-auth"

Fault = Callable[[Callable[[httpx.Request], httpx.Response], httpx.Request], httpx.Response]
"""Something that goes wrong with one request; it may let the server act before."""


def no_fault(
    answer: Callable[[httpx.Request], httpx.Response], request: httpx.Request
) -> httpx.Response:
    """All is well: fills the place before a fault that is to come later."""
    return answer(request)


def no_connection(
    _answer: Callable[[httpx.Request], httpx.Response], request: httpx.Request
) -> httpx.Response:
    """The server never sees the request."""
    raise httpx.ConnectError("connection refused", request=request)


def reply_lost(
    answer: Callable[[httpx.Request], httpx.Response], request: httpx.Request
) -> httpx.Response:
    """The server acts, and the connection breaks before its reply arrives."""
    answer(request)
    raise httpx.ReadError("connection reset", request=request)


def status(
    code: int, error: str = "Something went wrong", description: str = "on purpose"
) -> Fault:
    """The server does nothing and answers this."""

    def fault(
        _answer: Callable[[httpx.Request], httpx.Response], _request: httpx.Request
    ) -> httpx.Response:
        return httpx.Response(code, json={"error": error, "description": description})

    return fault


@dataclass
class FakeDevice:
    token: str
    interests: set[str] = field(default_factory=set)
    user: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    registration: dict[str, object] = field(default_factory=dict)


class FakeBeams:
    """
    The device API of one instance, and the back end that hands out Beams tokens.

    ``faults`` are used up by the next requests, one each; ``seen`` tells what was asked.
    """

    def __init__(self, instance_id: str = INSTANCE) -> None:
        self.instance_id = instance_id
        self.devices: dict[str, FakeDevice] = {}
        self.faults: list[Fault] = []
        self.requests: list[httpx.Request] = []
        self.reports: list[dict[str, object]] = []
        self.initial_interests: set[str] = set()
        """What a new device has at once, as one migrated from elsewhere would."""
        self._numbers = itertools.count(1)

    @property
    def seen(self) -> list[str]:
        """What was asked so far, as ``METHOD path`` below the instance."""
        return [self._line(request) for request in self.requests]

    @property
    def bodies(self) -> list[object]:
        """The JSON of each request so far; None where there was none."""
        return [json.loads(each.content) if each.content else None for each in self.requests]

    def forget_requests(self) -> None:
        self.requests.clear()

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults:
            return self.faults.pop(0)(self._answer, request)
        return self._answer(request)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.handle))

    def async_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    def _line(self, request: httpx.Request) -> str:
        path = request.url.raw_path.decode()
        prefix = f"/device_api/v1/instances/{self.instance_id}/"
        return f"{request.method} {path.removeprefix(prefix)}"

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "customer.example":
            return self._authenticate(request)
        rules: list[tuple[str, Callable[..., httpx.Response]]] = [
            (r"POST devices/(\w+)", self._register),
            (r"DELETE devices/\w+/([^/]+)", self._delete),
            (r"PUT devices/\w+/([^/]+)/user", self._set_user),
            (r"GET web-vapid-public-key", self._vapid_key),
            (rf"POST /reporting_api/v2/instances/{self.instance_id}/events", self._report),
            (r"PUT devices/fcm/([^/]+)/token", self._set_token),
            (r"PUT devices/\w+/([^/]+)/metadata", self._set_metadata),
            (r"PUT devices/\w+/([^/]+)/interests", self._set_interests),
            (r"POST devices/\w+/([^/]+)/interests/([^/]+)", self._add_interest),
            (r"DELETE devices/\w+/([^/]+)/interests/([^/]+)", self._remove_interest),
        ]
        for pattern, handler in rules:
            if match := re.fullmatch(pattern, self._line(request)):
                return handler(request, *(unquote(group) for group in match.groups()))
        return _error(404, "Instance not found", "Could not find the instance")

    def _authenticate(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != "Bearer session":
            return httpx.Response(401, text="Inconsistent request")
        return httpx.Response(200, json={"token": f"for.{request.url.params['user_id']}"})

    def _register(self, request: httpx.Request, platform: str) -> httpx.Response:
        body = json.loads(request.content)
        known = next((i for i, d in self.devices.items() if d.token == body["token"]), None)
        device_id = known or f"{platform}-{next(self._numbers)}"
        if known is None:
            self.devices[device_id] = FakeDevice(body["token"], set(self.initial_interests))
        self.devices[device_id].metadata = body["metadata"]
        self.devices[device_id].registration = body
        interests = sorted(self.devices[device_id].interests)
        return httpx.Response(200, json={"id": device_id, "initialInterestSet": interests})

    def _delete(self, _request: httpx.Request, device_id: str) -> httpx.Response:
        self.devices.pop(device_id, None)
        return httpx.Response(200)

    def _set_user(self, request: httpx.Request, device_id: str) -> httpx.Response:
        kept = self.devices.get(device_id)
        if kept is None:
            return _no_device()
        user = request.headers["authorization"].removeprefix("Bearer for.")
        if kept.user not in {"", user}:
            return _error(400, "Bad request", "A User Id is already associated with this device")
        kept.user = user
        return httpx.Response(200)

    def _vapid_key(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"vapidPublicKey": "BPublicKey"})

    def _report(self, request: httpx.Request) -> httpx.Response:
        self.reports.append(json.loads(request.content))
        return httpx.Response(200)

    def _set_token(self, request: httpx.Request, device_id: str) -> httpx.Response:
        def move(kept: FakeDevice) -> None:
            kept.token = json.loads(request.content)["token"]

        return self._edit(device_id, move)

    def _set_metadata(self, request: httpx.Request, device_id: str) -> httpx.Response:
        return self._edit(device_id, lambda kept: kept.metadata.update(json.loads(request.content)))

    def _set_interests(self, request: httpx.Request, device_id: str) -> httpx.Response:
        names = set(json.loads(request.content)["interests"])

        def replace(kept: FakeDevice) -> None:
            kept.interests = names

        return self._edit(device_id, replace)

    def _add_interest(self, _request: httpx.Request, device_id: str, name: str) -> httpx.Response:
        return self._edit(device_id, lambda kept: kept.interests.add(name))

    def _remove_interest(
        self, _request: httpx.Request, device_id: str, name: str
    ) -> httpx.Response:
        return self._edit(device_id, lambda kept: kept.interests.discard(name))

    def _edit(self, device_id: str, change: Callable[[FakeDevice], None]) -> httpx.Response:
        kept = self.devices.get(device_id)
        if kept is None:
            return _no_device()
        change(kept)
        return httpx.Response(200)


class Enough(Exception):  # noqa: N818  (it is no error, but the end of a test's patience)
    """Raised in place of a sleep, by one who does not want to wait any longer."""


class FakeSleep:
    """Notes how long one was asked to sleep, and returns at once; sooner or later, not at all."""

    def __init__(self, most: float = float("inf")) -> None:
        self.seconds: list[float] = []
        self.most = most
        """Sleeps, before one is refused."""

    def __call__(self, seconds: float) -> None:
        if len(self.seconds) >= self.most:
            raise Enough
        self.seconds.append(seconds)

    async def asynchronously(self, seconds: float) -> None:
        self(seconds)


def provider(session: str = "session") -> device.BeamsTokenProvider:
    """A token provider of an app whose user has this session at the customer's."""
    return device.BeamsTokenProvider(
        AUTH_URL, lambda: device.AuthData(headers={"Authorization": f"Bearer {session}"})
    )


def subscription_of(token: str) -> object:
    """What a web token says."""
    return json.loads(base64.b64decode(token, validate=True))


def _no_device() -> httpx.Response:
    return _error(404, "Not found", "Device not found")


def _error(code: int, error: str, description: str) -> httpx.Response:
    return httpx.Response(code, json={"error": error, "description": description})
