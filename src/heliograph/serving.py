"""
Sockets, TLS and uvicorn: how an application is put on the network, and taken off it.

Whoever serves owns the signals, so uvicorn's own handling of them is off: several
servers then stop together.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from heliograph.errors import ConfigurationError

_LARGEST_HEAD: Final = 65_536
"""Bytes of request line and headers after which a connection is hopeless."""

_GRACE_SECONDS: Final = 5
"""How long requests under way may take to end when we stop."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate chain and its key, as files: the ssl module reads nothing else."""

    certificate: Path
    key: Path


class _BoundedProtocol(HttpToolsProtocol):
    """
    HTTP/1.1 with an end to what a head may hold; httptools itself has none.

    The application refuses far smaller ones in words. This is for those who do not
    stop talking.
    """

    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name)
        self._count(value)
        super().on_header(name, value)

    def _count(self, part: bytes) -> None:
        self._head_bytes += len(part)
        if self._head_bytes > _LARGEST_HEAD:
            raise ValueError("the head of the request is too large")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not even HTTP; in the shape of every other error."""
        body = b'{"error":"Bad request","description":"The request is not valid HTTP"}\n'
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()
        del msg


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever serves."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """
    A listening socket.

    Raises:
        ConfigurationError: The address cannot be had; the message says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, UnicodeError) as problem:
        listener.close()
        why = problem.strerror if isinstance(problem, OSError) else "there is no such host"
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {why}; "
            "HELIOGRAPH_LISTEN and HELIOGRAPH_LISTEN_TLS say where"
        ) from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """``host:port`` as it stands in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, *, tls: Tls | None = None
) -> AsyncIterator[None]:
    """Serve an application on a socket; on exit let requests end, then stop."""
    server = _Server(
        uvicorn.Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=None if tls is None else tls.certificate,
            ssl_keyfile=None if tls is None else tls.key,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  (it has no event)
            await asyncio.sleep(0.005)
        if task.done():
            raise _could_not_serve(listener, task.exception())
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


def _could_not_serve(listener: socket.socket, problem: BaseException | None) -> Exception:
    if isinstance(problem, OSError):  # reading the certificate and its key is all that can fail
        return ConfigurationError(
            f"cannot serve https on {address_of(listener)}: {problem}; "
            "HELIOGRAPH_TLS_CERT_FILE and HELIOGRAPH_TLS_KEY_FILE must hold a certificate "
            "and its key, as PEM"
        )
    return ConfigurationError(f"cannot serve on {address_of(listener)}: {problem}")


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that is set by Ctrl-C or SIGTERM, instead of what they usually do."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
