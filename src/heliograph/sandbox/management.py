"""The management port: mints devices, shows what arrived, sets faults, and speaks to Firefox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from heliograph.sandbox import screens
from heliograph.sandbox.devices import AppleEnvironment, Device, Devices, Platform
from heliograph.sandbox.doorway import Doorway
from heliograph.sandbox.firefox import (
    SUBPROTOCOL,
    Browsers,
    Frame,
    ProtocolViolationError,
)
from heliograph.sandbox.inbox import Inbox, json_list
from heliograph.sandbox.scenario import Scenario, ScenarioError, parse_plan
from heliograph.sandbox.session import Clock
from heliograph.sandbox.stats import Stats

MAX_COUNT: Final = 100_000
"""How many devices one request may mint."""

MAX_REQUEST_BYTES: Final = 1_048_576

MINT_CHUNK: Final = 200
"""Devices minted before other work gets its turn: a browser's keys cost tens of microseconds."""

NEWS_INTERVAL_SECONDS: Final = 0.15
"""The page is told at most this often, however fast notifications come in."""

KEEP_ALIVE_SECONDS: Final = 15.0

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STATIC: Final = Path(__file__).parent / "static"
_PAGE_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class NewDevices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /devices``."""

    platform: Literal["apns", "fcm", "web"]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)] | None = None
    topic: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.-]{1,255}$")] | None = None
    environment: Literal["production", "sandbox"] | None = None
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""


@dataclass(slots=True)
class Management:
    """What the routes of the management port work on."""

    devices: Devices
    inbox: Inbox
    browsers: Browsers
    scenario: Scenario
    stats: Stats
    clock: Clock
    ca_pem: str
    credentials: dict[str, dict[str, object]]
    addresses: dict[str, str]
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the port closes, so that no stream outlives it."""

    def app(self, *, bound_host: str) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.front_door),
                Route("/screens", self.show_screens),
                Route("/events", self.stream_events),
                Route("/devices", self.list_devices, methods=["GET"]),
                Route("/devices", self.mint_devices, methods=["POST"]),
                Route("/devices", self.uninstall, methods=["DELETE"]),
                Route("/inbox", self.read_inbox, methods=["GET"]),
                Route("/inbox", self.clear_inbox, methods=["DELETE"]),
                Route("/scenario", self.show_scenario, methods=["GET"]),
                Route("/scenario", self.set_scenario, methods=["PUT"]),
                Route("/scenario", self.clear_scenario, methods=["DELETE"]),
                Route("/stats", self.show_stats),
                Route("/credentials", self.show_credentials),
                Route("/addresses", self.show_addresses),
                Route("/ca.pem", self.show_ca),
                WebSocketRoute("/firefox", self.talk_to_firefox),
                Mount("/static", StaticFiles(directory=_STATIC)),
            ],
            middleware=[Middleware(Doorway, bound_host=bound_host)],
            exception_handlers={HTTPException: _refusal},
        )

    async def front_door(self, _request: Request) -> Response:
        """Lead a person to the page."""
        return RedirectResponse("/screens", status_code=307)

    async def show_screens(self, _request: Request) -> Response:
        """Show the page with the virtual devices."""
        page = _PAGES.get_template("screens.html").render(
            addresses=self.addresses, max_devices=screens.MAX_DEVICES
        )
        return Response(page, media_type="text/html", headers=_PAGE_HEADERS)

    async def stream_events(self, _request: Request) -> Response:
        """Server-sent events: ``snapshot`` first and after a clearing, then ``news``."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def mint_devices(self, request: Request) -> Response:
        """Mint one device, or with ``count`` many."""
        order = _decode(await _body(request), NewDevices)
        platform = Platform(order.platform)
        for name in ("topic", "environment"):
            if getattr(order, name) is not None and platform is not Platform.APNS:
                raise HTTPException(400, f"`{name}` means something for `apns` only")
        if order.count is not None:
            return StreamingResponse(
                self._mint_many(order, order.count), media_type="application/json"
            )
        device = self._mint(order)
        self.inbox.announce()
        return _json(device.as_json())

    async def list_devices(self, request: Request) -> Response:
        """List devices, the youngest first."""
        limit = _number(request, "limit", default=1000)
        listed = [
            {
                **device.as_json(),
                "platform": device.platform.value,
                "name": device.name,
                "gone": device.gone_since is not None,
            }
            for device in self.devices.newest(limit)
        ]
        return _json({"devices": listed, "total": len(self.devices)})

    async def uninstall(self, request: Request) -> Response:
        """Take the app off a device: its token is dead from now on."""
        device = self._device_named(request.query_params.get("token") or "")
        if device is None:
            raise HTTPException(404, "no device has this token")
        device.gone_since = device.gone_since or self.clock()
        return Response(status_code=204)

    async def read_inbox(self, request: Request) -> Response:
        """Show what one device received, or all of them."""
        after = _number(request, "after", default=0)
        token = request.query_params.get("token")
        if token is None:
            entries = self.inbox.entries(after=after)
        else:
            device = self._device_named(token)
            if device is None:
                raise HTTPException(404, "no device has this token")
            entries = self.inbox.entries(device, after=after)
        return StreamingResponse(json_list(entries), media_type="application/json")

    async def clear_inbox(self, _request: Request) -> Response:
        """Empty the inbox."""
        self.inbox.clear()
        return Response(status_code=204)

    async def show_scenario(self, _request: Request) -> Response:
        """Show the faults now in force."""
        return _json(self.scenario.as_json())

    async def set_scenario(self, request: Request) -> Response:
        """Put faults in force in place of those before."""
        try:
            self.scenario.follow(parse_plan(await _body(request)))
        except ScenarioError as error:
            raise HTTPException(400, str(error)) from error
        return _json(self.scenario.as_json())

    async def clear_scenario(self, _request: Request) -> Response:
        """Let everything go well again."""
        self.scenario.follow(parse_plan(b""))
        return _json(self.scenario.as_json())

    async def show_stats(self, _request: Request) -> Response:
        """Show the counters."""
        return _json(self.stats.as_json())

    async def show_credentials(self, _request: Request) -> Response:
        """Show the made-up credentials, in the form the admin API takes."""
        return _json(self.credentials)

    async def show_addresses(self, _request: Request) -> Response:
        """Show where each service listens."""
        return _json(self.addresses)

    async def show_ca(self, _request: Request) -> Response:
        """Show the certificate to trust."""
        return Response(self.ca_pem, media_type="application/x-pem-file")

    async def talk_to_firefox(self, websocket: WebSocket) -> None:
        """Hold the conversation with one Firefox until either side ends it."""
        offered = SUBPROTOCOL in websocket.scope.get("subprotocols", [])
        await websocket.accept(subprotocol=SUBPROTOCOL if offered else None)
        frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        link = self.browsers.connect(frames.put_nowait, lambda: frames.put_nowait(None))
        writer = asyncio.create_task(_write_frames(websocket, frames))
        try:
            while True:
                link.receive(await websocket.receive_text())
        except WebSocketDisconnect:
            pass
        except (ProtocolViolationError, KeyError) as error:  # KeyError: a binary frame
            with suppress(RuntimeError):  # it closed meanwhile
                await websocket.close(1002, str(error)[:100])
        finally:
            link.closed()
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer

    def _mint(self, order: NewDevices, number: int | None = None) -> Device:
        name = f"{order.name} {number}" if order.name and number else order.name
        return self.devices.mint(
            Platform(order.platform),
            now=self.clock(),
            name=name,
            topic=order.topic,
            environment=AppleEnvironment(order.environment) if order.environment else None,
        )

    async def _mint_many(self, order: NewDevices, count: int) -> AsyncIterator[bytes]:
        """The answer piece by piece, minting as it is sent."""
        lead = b'{"devices":['
        for start in range(1, count + 1, MINT_CHUNK):
            numbers = range(start, min(start + MINT_CHUNK, count + 1))
            minted = [self._mint(order, number).as_json() for number in numbers]
            yield lead + msgspec.json.encode(minted)[1:-1]
            lead = b","
            await asyncio.sleep(0)
        self.inbox.announce()
        yield b"]}"

    def _device_named(self, token: str) -> Device | None:
        """The device; a plus sign that a query made a space is put back."""
        return self.devices.find(token.replace(" ", "+"))

    async def _events(self) -> AsyncIterator[bytes]:
        changed = asyncio.Event()
        self.inbox.listen(changed.set)
        try:
            view = screens.snapshot(self.devices, self.inbox)
            yield _event("snapshot", view)
            seen, minted = self.inbox.last_id, len(self.devices)
            while not self.closing.is_set():
                if not await _any_set(changed, self.closing, seconds=KEEP_ALIVE_SECONDS):
                    yield b": still here\n\n"
                    continue
                await _any_set(self.closing, seconds=NEWS_INTERVAL_SECONDS)
                changed.clear()
                name, view = (
                    "news",
                    screens.news(self.devices, self.inbox, after=seen, minted=minted),
                )
                if not len(self.inbox) and seen:
                    name, view = "snapshot", screens.snapshot(self.devices, self.inbox)
                yield _event(name, view)
                seen, minted = self.inbox.last_id, len(self.devices)
        finally:
            self.inbox.ignore(changed.set)


_PAGES: Final = Environment(
    loader=PackageLoader("heliograph.sandbox"), autoescape=True, trim_blocks=True
)


async def _write_frames(websocket: WebSocket, frames: "asyncio.Queue[Frame | None]") -> None:
    """Send frames as they are put in; None ends the connection."""
    with suppress(WebSocketDisconnect, RuntimeError):  # the other side may be gone already
        while (frame := await frames.get()) is not None:
            await websocket.send_text(msgspec.json.encode(frame).decode())
        await websocket.close(1000)


async def _any_set(*events: asyncio.Event, seconds: float) -> bool:
    """Whether one of the events is set within this time."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_REQUEST_BYTES:
            raise HTTPException(413, f"at most {MAX_REQUEST_BYTES} bytes")
    return bytes(body)


def _decode(body: bytes, kind: type[NewDevices]) -> NewDevices:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise HTTPException(400, str(error)) from error


def _number(request: Request, name: str, *, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise HTTPException(400, f"`{name}` must be a number, zero or more")
    return int(text[:18])


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _event(name: str, value: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(value))


_ERROR_NAME: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


async def _refusal(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    body = {"error": _ERROR_NAME.get(status, "error"), "description": detail}
    return Response(msgspec.json.encode(body), status, media_type="application/json")
