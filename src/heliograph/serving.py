"""
Sockets, TLS and uvicorn: how an application is put on the network, and taken off it.

Whoever serves owns the signals, so uvicorn's own handling of them is off: several
servers then stop together.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from heliograph.errors import ConfigurationError
from heliograph.protocol import PATIENCE, BoundedProtocol

_GRACE_SECONDS: Final = 5
"""How long requests under way may take to end when we stop."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate chain and its key, as files: the ssl module reads nothing else."""

    certificate: Path
    key: Path


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
    # With its protocol named, asyncio turns Nagle's algorithm off (uvloop always does): a body
    # that follows its header fields would wait 40 ms for the caller's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    app: ASGIApp,
    listener: socket.socket,
    *,
    tls: Tls | None = None,
    proxies: Sequence[str] = (),
    patience: timedelta = PATIENCE,
) -> AsyncIterator[None]:
    """
    Serve an application on a socket; on exit let requests end, then stop.

    Args:
        app: What to serve.
        listener: Where; closed on exit.
        tls: The certificate, if it is https.
        proxies: Addresses whose word we take for who is behind them.
        patience: How long a request's head may take to arrive, and then its body.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http=cast(Any, partial(BoundedProtocol, patience=patience)),  # anything that makes one
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
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
        for connection in list(server.server_state.connections):
            assert isinstance(connection, BoundedProtocol)  # noqa: S101  (there is no other)
            connection.hang_up()
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


def collect_rarely() -> None:
    """
    Have Python look for cycles of garbage less often; what exists now it leaves alone.

    Deliveries make small objects by the thousand, hold them for a moment and drop them, all
    without a cycle. At the usual pace (every 700 new objects) the search takes half of the
    time that sending does (``heliograph bench``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


_NEW_OBJECTS: Final = 50_000
"""Objects made, less those dropped, between two searches: a few MB."""
