"""The sandbox as a whole: three services, their management port, and one life for all."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Final, Self

import uvicorn

from heliograph.sandbox import provider_certificate
from heliograph.sandbox.apns import Apns
from heliograph.sandbox.authority import Authority
from heliograph.sandbox.credentials import DEFAULT_TOPIC, Credentials
from heliograph.sandbox.devices import AppleEnvironment, Devices
from heliograph.sandbox.fcm import TOKEN_PATH, Fcm
from heliograph.sandbox.firefox import Browsers
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.listener import Listener
from heliograph.sandbox.management import Management
from heliograph.sandbox.oauth import TokenEndpoint
from heliograph.sandbox.provider_certificate import usual_topics
from heliograph.sandbox.scenario import Scenario
from heliograph.sandbox.session import Clock, Service, ServiceSession
from heliograph.sandbox.stats import Stats
from heliograph.sandbox.webpush import WebPush

MAX_WEBSOCKET_FRAME_BYTES: Final = 65_536
GRACE_SECONDS: Final = 3
"""How long the management port waits for its last answers."""

_PORT_NAMES: Final = ("management", "apns", "apns_sandbox", "fcm", "webpush")


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class Sandbox:
    """
    Imitations of Apple's, Google's and the browsers' push services on one host.

    Everything lives in memory and ends with `stop`. A port of 0 picks a free one; the
    `addresses` tell which.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        management_port: int = 0,
        apns_port: int = 0,
        apns_sandbox_port: int = 0,
        fcm_port: int = 0,
        webpush_port: int = 0,
        clock: Clock = utc_now,
        authority: Authority | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.authority = authority or Authority()
        self.scenario = Scenario()
        self.stats = Stats()
        self.inbox = Inbox()
        self._host = host
        ports = (management_port, apns_port, apns_sandbox_port, fcm_port, webpush_port)
        self._ports = dict(zip(_PORT_NAMES, ports, strict=True))
        self._clock = clock
        self._credentials = credentials
        self._running: AsyncExitStack | None = None

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        *,
        host: str = "127.0.0.1",
        management_port: int = 0,
        apns_port: int = 0,
        apns_sandbox_port: int = 0,
        fcm_port: int = 0,
        webpush_port: int = 0,
        clock: Clock = utc_now,
        authority: Authority | None = None,
        credentials: Credentials | None = None,
    ) -> AsyncIterator[Self]:
        """A sandbox that answers within the block and is gone after it."""
        sandbox = cls(
            host=host,
            management_port=management_port,
            apns_port=apns_port,
            apns_sandbox_port=apns_sandbox_port,
            fcm_port=fcm_port,
            webpush_port=webpush_port,
            clock=clock,
            authority=authority,
            credentials=credentials,
        )
        await sandbox.start()
        try:
            yield sandbox
        finally:
            await sandbox.stop()

    async def start(self) -> None:
        """
        Listen on all five ports.

        Raises:
            OSError: if one of them is taken; none is listened on then.
        """
        async with AsyncExitStack() as stack:
            sockets = {
                name: stack.enter_context(_bound_socket(self._host, port))
                for name, port in self._ports.items()
            }
            self._addresses = _addresses(self._host, sockets)
            made_up = self._credentials
            if made_up is None:
                made_up = await asyncio.to_thread(Credentials.generate)
            self._credentials = made_up
            self._apns_certificate = provider_certificate.issue(
                self.authority, DEFAULT_TOPIC, topics=usual_topics(DEFAULT_TOPIC)
            )
            self.devices = Devices(webpush_origin=self._addresses["webpush"])
            self.browsers = Browsers(self.devices, self.inbox, self._clock)
            for name, service in self._services(made_up).items():
                await self._listen(stack, sockets[name], service)
            await self._manage(stack, sockets["management"])
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Close every port and connection; nothing is left running."""
        if self._running is not None:
            stack, self._running = self._running, None
            await stack.aclose()

    def addresses(self) -> dict[str, str]:
        """Where each service listens, as URLs; known once started."""
        return dict(self._addresses)

    def credentials(self) -> dict[str, dict[str, object]]:
        """The only credentials that are accepted, in the form the admin API takes."""
        if self._credentials is None:
            raise RuntimeError("the sandbox has not been started")
        ca = self.authority.ca_pem
        apple = {
            "endpoint": self._addresses["apns"],
            "sandbox_endpoint": self._addresses["apns_sandbox"],
            "ca": ca,
        }
        certificate, key = self._apns_certificate
        return {
            "apns": self._credentials.apns(**apple),
            "apns_certificate": {
                "certificate": certificate,
                "key": key,
                "topic": DEFAULT_TOPIC,
                **apple,
            },
            "fcm": self._credentials.fcm(endpoint=self._addresses["fcm"], ca=ca),
        }

    def _services(self, made_up: Credentials) -> dict[str, Service]:
        token_endpoint = TokenEndpoint(
            client_email=made_up.client_email,
            private_key_id=made_up.private_key_id,
            public_key=made_up.google_key.public_key(),
            token_uri=self._addresses["fcm"] + TOKEN_PATH,
        )
        return {
            "apns": self._apple(made_up, AppleEnvironment.PRODUCTION),
            "apns_sandbox": self._apple(made_up, AppleEnvironment.SANDBOX),
            "fcm": Fcm(made_up.project_id, token_endpoint, self.devices, self.inbox),
            "webpush": WebPush(self._addresses["webpush"], self.devices, self.inbox, self.browsers),
        }

    def _apple(self, made_up: Credentials, environment: AppleEnvironment) -> Apns:
        return Apns(
            team_id=made_up.team_id,
            key_id=made_up.key_id,
            public_key=made_up.apple_key.public_key(),
            devices=self.devices,
            inbox=self.inbox,
            scenario=self.scenario,
            environment=environment,
        )

    async def _listen(self, stack: AsyncExitStack, sock: socket.socket, service: Service) -> None:
        is_apple = isinstance(service, Apns)  # who speaks HTTP/2 only, and knows certificates
        host = _LOOPBACK_OF.get(self._host, self._host)
        alpn = ("h2",) if is_apple else ("h2", "http/1.1")
        context = self.authority.server_context(host, alpn=alpn)
        if is_apple:
            self.authority.ask_for_certificates(context)

        def open_session(certificate: bytes | None) -> ServiceSession:
            return ServiceSession(service, self.scenario, self.stats, self._clock, certificate)

        listener = Listener(sock, context, open_session, http1=not is_apple)
        await listener.start()
        stack.push_async_callback(listener.stop)

    async def _manage(self, stack: AsyncExitStack, sock: socket.socket) -> None:
        management = Management(
            devices=self.devices,
            inbox=self.inbox,
            browsers=self.browsers,
            scenario=self.scenario,
            stats=self.stats,
            clock=self._clock,
            ca_pem=self.authority.ca_pem,
            credentials=self.credentials(),
            addresses=self._addresses,
        )
        config = uvicorn.Config(
            management.app(bound_host=self._host),
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            date_header=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=MAX_WEBSOCKET_FRAME_BYTES,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        stack.push_async_callback(await _serve(config, sock, on_stop=management.closing.set))


class _ManagementServer(uvicorn.Server):
    """uvicorn without its signal handlers, which are the caller's, and told when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def main_loop(self) -> None:
        """Serve until the end, without looking for it ten times a second."""
        await self.on_tick(0)
        await self._ending.wait()

    def end(self) -> None:
        """Take no more requests and finish those under way."""
        self.should_exit = True
        self._ending.set()


async def _serve(
    config: uvicorn.Config, sock: socket.socket, *, on_stop: Callable[[], object]
) -> Callable[[], Awaitable[None]]:
    """Serve until what is returned is called and awaited."""
    server = _ManagementServer(config)
    config.load()
    task = asyncio.create_task(server.serve(sockets=[sock]))

    async def stop() -> None:
        on_stop()
        server.end()
        await task

    return stop


@contextmanager
def _bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to this port, closed in the end whoever used it."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen()
        yield sock


def _addresses(host: str, sockets: dict[str, socket.socket]) -> dict[str, str]:
    host = _LOOPBACK_OF.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    at = {name: f"{shown}:{sock.getsockname()[1]}" for name, sock in sockets.items()}
    return {
        "management": f"http://{at['management']}",
        "apns": f"https://{at['apns']}",
        "apns_sandbox": f"https://{at['apns_sandbox']}",
        "fcm": f"https://{at['fcm']}",
        "webpush": f"https://{at['webpush']}",
        "webpush_ws": f"ws://{at['management']}/firefox",
    }


_LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to
"""What to call a host that listens on every address."""
