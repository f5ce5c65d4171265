"""
NATS, as long as it is there.

A connection is made, the streams are declared, and that lasts until the connection ends or
the streams are gone; then all of it happens anew, for ever, each time after a longer wait.
Nothing is kept for later while there is no connection: whoever speaks then is told so.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from heliograph.config import variable
from heliograph.errors import ConfigurationError
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.queue.tickets import Names

_PATIENCE_SECONDS: Final = 10
"""How long connecting and declaring may take."""

_CLOSE_SECONDS: Final = 1

_PING_SECONDS: Final = 5
"""A server that answers two of these no more is gone."""

_SHORTEST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 10.0

_DUPLICATES: Final = timedelta(minutes=2)
"""How long JetStream remembers the ids of messages."""

_DEAD_AGE: Final = timedelta(days=30)
_DEAD_COUNT: Final = 10_000
"""How long, and how many, notes about what was given up are kept."""

NO_RESPONDERS: Final = "503"
"""The status that tells that there is no such stream, or consumer, or JetStream."""

_PROBLEMS: Final = (OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error)


@dataclass(frozen=True, slots=True)
class Address:
    """Where NATS is, and who we are to it."""

    servers: tuple[str, ...]
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def is_tls(self) -> bool:
        """Whether what we say is to be secret."""
        return self.servers[0].startswith("tls:")

    @classmethod
    def parse(cls, url: str) -> "Address":
        """
        Read ``nats://[user:password@]host[:port][,host[:port]…]``, or ``tls://``.

        A name without a password is a token, as everywhere with NATS.

        Raises:
            ValueError: It is of another form; the text does not quote it.
        """
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"nats", "tls"}:
            raise ValueError("must begin with nats:// or tls://")
        login, _, hosts = rest.rpartition("@")
        servers = tuple(f"{scheme}://{host.strip().rstrip('/')}" for host in hosts.split(","))
        for server in servers:
            parts = urlsplit(server)
            if not parts.hostname or parts.path or parts.query:
                raise ValueError("must be of the form nats://user:password@host:port,host:port")
            _ = parts.port  # raises ValueError
        user, colon, password = login.partition(":")
        if not colon:
            return cls(servers, token=unquote(user) or None)
        return cls(servers, unquote(user), unquote(password))


class Listener(Protocol):
    """Whoever is told what comes in."""

    async def hear(self, message: Msg) -> None:
        """A ticket has come, or a word about a request for tickets."""

    def hear_link(self) -> None:
        """The connection has come up or gone down: what was asked for is forgotten."""


class Broker:
    """One process's way to NATS."""

    def __init__(
        self,
        address: Address,
        names: Names,
        *,
        replicas: int = 1,
        ack_wait: timedelta,
        tls: ssl.SSLContext | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """
        Prepare; nothing is opened yet.

        Args:
            address: Where.
            names: What our streams are called.
            replicas: On how many servers of a cluster each ticket is kept.
            ack_wait: After which silence a ticket is given to somebody else.
            tls: Whom to trust, for ``tls://``.
            dice: Numbers from 0 up to 1, for the jitter of reconnecting.
        """
        self._address = address
        self._names = names
        self._replicas = replicas
        self._ack_wait = ack_wait
        self._tls = tls
        self._dice = dice
        self._client: Client | None = None
        self._down = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._answers: dict[str, asyncio.Future[Msg]] = {}
        self._serial = 0
        self.inbox = ""
        """Where replies to us go: it is another one after each reconnection."""
        self.problem = ""
        """Why there is no connection."""

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._client is not None and self._client.is_connected

    async def open(self, listener: Listener | None = None) -> None:
        """
        Connect, and from then on stay connected.

        Raises:
            ConfigurationError: Naming the setting, but not its value: that holds a password.
        """
        self._listener = listener
        try:
            await self._connect()
        except _PROBLEMS as problem:
            self.problem = _sentence(problem)
            raise ConfigurationError(f"{variable('queue_url')}: {self.problem}") from None
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._disconnect()

    async def ping(self) -> None:
        """
        Raise unless the server answers and has our stream.

        Raises:
            ConnectionError: Saying why not.
        """
        if self._client is None:
            raise ConnectionError(self.problem)
        try:
            await self._context(self._client).stream_info(self._names.stream)
        except _PROBLEMS as problem:
            raise ConnectionError(_sentence(problem)) from None

    async def say(self, subject: str, payload: bytes = b"", *, reply: str = "") -> None:
        """Send one message, which may be lost."""
        if self._client is not None:
            with contextlib.suppress(*_PROBLEMS):
                await self._client.publish(subject, payload, reply)

    async def ask(
        self, messages: Sequence[tuple[str, bytes, Mapping[str, str] | None]], patience: timedelta
    ) -> list[Msg | None]:
        """Send many messages at once; the answers in their order, None where there was none."""
        client, futures = self._client, dict[str, asyncio.Future[Msg]]()
        if client is None or not messages:
            return [None] * len(messages)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                for subject, payload, headers in messages:
                    reply = self._new_reply()
                    futures[reply] = self._answers[reply] = asyncio.Future()
                    await client.publish(
                        subject, payload, reply, dict(headers) if headers else None
                    )
                await asyncio.wait(futures.values())
        except _PROBLEMS:
            pass
        finally:
            for reply in futures:
                self._answers.pop(reply, None)
        answers = [_answer(future) for future in futures.values()]
        return answers + [None] * (len(messages) - len(answers))

    async def consumers(self) -> Sequence[api.ConsumerInfo]:
        """How each line stands; nothing if that is not to be had."""
        if self._client is None:
            return ()
        try:
            return await self._context(self._client).consumers_info(self._names.stream)
        except _PROBLEMS:
            return ()

    async def bury(self, notes: Sequence[bytes]) -> None:
        """Keep notes about what was given up."""
        for note in notes:
            await self.say(self._names.dead, note)

    async def dead_letters(self) -> tuple[int, bytes | None]:
        """How much was given up, and the last note about it."""
        if self._client is None:
            return 0, None
        context = self._context(self._client)
        try:
            count = (await context.stream_info(self._names.dead_stream)).state.messages
            if not count:
                return 0, None
            last = await context.get_last_msg(self._names.dead_stream, self._names.dead)
        except _PROBLEMS:
            return 0, None
        return count, last.data

    def renew(self) -> None:
        """Begin anew, because what we declared is gone."""
        self._down.set()

    def _new_reply(self) -> str:
        self._serial += 1
        return f"{self.inbox}.answer.{self._serial}"

    async def _keep(self) -> None:
        """Whenever the connection is lost, make another."""
        while True:
            await self._down.wait()
            log().warning(Event.QUEUE_LOST, problem=self.problem)
            await self._disconnect()
            await self._reconnect()
            log().info(Event.QUEUE_FOUND)

    async def _reconnect(self) -> None:
        pause = _SHORTEST_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause * (0.5 + self._dice() / 2))
            try:
                await self._connect()
            except _PROBLEMS as problem:
                self.problem = _sentence(problem)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    async def _connect(self) -> None:
        client, down = Client(), asyncio.Event()
        self._down = down

        async def lost() -> None:
            down.set()

        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await client.connect(
                    list(self._address.servers),
                    user=self._address.user,
                    password=self._address.password,
                    token=self._address.token,
                    tls=self._tls,
                    name="heliograph",
                    error_cb=self._note,
                    closed_cb=lost,
                    allow_reconnect=False,  # we do that ourselves, streams included
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=_PING_SECONDS,
                )
                await self._declare(self._context(client))
                self.inbox = client.new_inbox()
                await client.subscribe(f"{self.inbox}.>", cb=self._hear)
        except BaseException:
            await _closed(client)
            raise
        self._client = client
        self.problem = ""
        if self._listener is not None:
            self._listener.hear_link()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        for future in self._answers.values():
            future.cancel()
        if self._listener is not None:
            self._listener.hear_link()
        if client is not None:
            await _closed(client)

    async def _declare(self, context: JetStreamContext) -> None:
        """Make what is missing, and bring to our terms what is there."""
        await _ensure(
            context,
            api.StreamConfig(
                name=self._names.stream,
                subjects=list(self._names.every),
                retention=api.RetentionPolicy.WORK_QUEUE,
                storage=api.StorageType.FILE,
                num_replicas=self._replicas,
                duplicate_window=_DUPLICATES.total_seconds(),
                # One ticket for each piece of work: another one is refused.
                discard=api.DiscardPolicy.NEW,
                max_msgs_per_subject=1,
                discard_new_per_subject=True,
            ),
        )
        await _ensure(
            context,
            api.StreamConfig(
                name=self._names.dead_stream,
                subjects=[self._names.dead],
                storage=api.StorageType.FILE,
                num_replicas=self._replicas,
                max_age=_DEAD_AGE.total_seconds(),
                max_msgs=_DEAD_COUNT,
            ),
        )
        await asyncio.gather(
            *[
                self._declare_line(context, consumer, subjects)
                for consumer, subjects in self._names.lines().items()
            ]
        )

    async def _declare_line(self, context: JetStreamContext, consumer: str, subjects: str) -> None:
        await context.add_consumer(
            self._names.stream,
            durable_name=consumer,
            filter_subject=subjects,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait.total_seconds(),
            max_ack_pending=-1,  # hands are what limits a worker
            max_waiting=4096,  # requests for tickets: some for each worker
        )

    def _context(self, client: Client) -> JetStreamContext:
        return client.jetstream(timeout=_PATIENCE_SECONDS / 2)

    async def _note(self, problem: Exception) -> None:
        self.problem = _sentence(problem)

    async def _hear(self, message: Msg) -> None:
        future = self._answers.get(message.subject)
        if future is not None:
            if not future.done():
                future.set_result(message)
        elif self._listener is not None:
            await self._listener.hear(message)


def status(message: Msg) -> str | None:
    """The status of a message that is only that; None for any other."""
    if message.headers is None:
        return None
    return message.headers.get("Status")


def _answer(future: "asyncio.Future[Msg]") -> Msg | None:
    return future.result() if future.done() and not future.cancelled() else None


async def _ensure(context: JetStreamContext, wanted: api.StreamConfig) -> None:
    """Declare a stream; one that was made on other terms is brought to these."""
    try:
        await context.add_stream(wanted)
    except nats.js.errors.BadRequestError:
        await context.update_stream(wanted)


async def _closed(client: Client) -> None:
    """Close a connection; one whose handshake failed would keep us for ever."""
    with contextlib.suppress(*_PROBLEMS):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.close()


def _sentence(problem: Exception) -> str:
    if isinstance(problem, nats.js.errors.APIError) and problem.description:
        return f"NATS refuses: {problem.description}"
    if isinstance(problem, nats.js.errors.ServiceUnavailableError):
        return "NATS is there, but its JetStream is not: start it with -js"
    return f"NATS cannot be reached: {str(problem) or type(problem).__name__}"
