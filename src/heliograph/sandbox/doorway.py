"""
Who may use the management port: programs on this machine and its own pages.

Any web page may make a browser talk to loopback. A foreign host name (DNS rebinding) and a
foreign origin (forged requests, WebSockets) are both refused, and no CORS header is ever sent.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


class Doorway:
    """ASGI middleware that lets in requests for this host from this host's own pages."""

    def __init__(self, app: ASGIApp, *, bound_host: str) -> None:
        self._app = app
        self._bound_host = bound_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403."""
        if scope["type"] in {"http", "websocket"}:
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if not is_ours(host, self._bound_host):
                await _refuse("this host name is not served here", scope, receive, send)
                return
            origin = headers.get("origin")
            if origin is not None and not is_same_origin(origin, host):
                await _refuse("requests of other origins are refused", scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_ours(host: str, bound_host: str) -> bool:
    """
    Whether a Host header names this server.

    Args:
        host: The header, with or without a port.
        bound_host: The address listened on. When that is every address, any IP address
            is ours: a rebinding attack needs a name.
    """
    name = _host_name(host)
    if name in {"localhost", bound_host.lower()}:
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bound_host in _EVERYWHERE


def is_same_origin(origin: str, host: str) -> bool:
    """
    Whether a page of this origin may call the server it reached as this host.

    Firefox's push client gives the WebSocket's own address as its origin.
    """
    return urlsplit(origin).netloc.lower() == host.lower()


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _refuse(description: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": description})
        return
    body = {"error": "forbidden", "description": description}
    await JSONResponse(body, status_code=403)(scope, receive, send)
