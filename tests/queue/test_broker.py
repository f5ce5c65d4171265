"""The way to NATS: who lets us in, what we find there, and that we come back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats as client
import pytest
import trustme

import jetstream
from heliograph.config import Settings
from heliograph.errors import ConfigurationError
from heliograph.queue.broker import Address, Broker
from heliograph.queue.opening import broker
from heliograph.queue.tickets import Names
from jetstream import Nats, until

SECOND = timedelta(seconds=1)


def broker_of(url: str, name: str = "heliograph", **more: Any) -> Broker:
    return Broker(Address.parse(url), Names(name), ack_wait=SECOND, **more)


@pytest.mark.parametrize(
    "url, address",
    [
        ("nats://localhost", Address(("nats://localhost",))),
        ("nats://one:4222,two:4223", Address(("nats://one:4222", "nats://two:4223"))),
        ("nats://me:p%40ss%2Cword@host", Address(("nats://host",), "me", "p@ss,word")),
        ("tls://secret@host:1/", Address(("tls://host:1",), token="secret")),
        ("nats://[::1]:4222", Address(("nats://[::1]:4222",))),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    """Several hosts, a login or a token, which may be percent-encoded."""
    assert address == Address.parse(url)


@pytest.mark.parametrize(
    "url", ["localhost:4222", "http://host", "nats://", "nats://a,,b", "nats://host:port", "nats:"]
)
def test_a_strange_address_is_refused(url: str) -> None:
    """It is no address of NATS."""
    with pytest.raises(ValueError):
        Address.parse(url)


def test_a_password_is_never_shown() -> None:
    """An address that is logged by accident tells where, and not with what."""
    assert "secret" not in repr(Address.parse("nats://me:secret@host"))


async def test_nobody_there_is_a_mistake_in_the_settings() -> None:
    """The setting is named, the password is not."""
    with pytest.raises(ConfigurationError, match="HELIOGRAPH_QUEUE_URL: NATS cannot be") as caught:
        await broker_of("nats://me:secret@127.0.0.1:1").open()

    assert "secret" not in str(caught.value)


@pytest.fixture
def locked() -> Iterator[Nats]:
    """A server that wants a password and has no JetStream."""
    with jetstream.running("--user", "me", "--pass", "p@ss") as server:
        yield server


async def test_a_wrong_password_is_told(locked: Nats) -> None:
    """What the server says is passed on."""
    with pytest.raises(ConfigurationError, match="Authorization Violation"):
        await broker_of(f"nats://me:wrong@{locked.address}").open()


async def test_a_server_without_jetstream_is_told(locked: Nats) -> None:
    """It lets us in, and cannot do what we need."""
    with pytest.raises(ConfigurationError, match=r"HELIOGRAPH_QUEUE_URL: .*start it with -js"):
        await broker_of(f"nats://me:p%40ss@{locked.address}").open()


async def test_more_copies_than_servers_are_told(nats: Nats) -> None:
    """A server alone cannot keep three copies."""
    with pytest.raises(ConfigurationError, match="HELIOGRAPH_QUEUE_URL: NATS refuses: replicas"):
        await broker_of(nats.url, next(nats.names), replicas=3).open()


async def test_what_is_declared_is_declared_again(nats: Nats) -> None:
    """Each process declares everything; the second finds it as it should be."""
    name = next(nats.names)
    for _ in range(2):
        opened = broker_of(nats.url, name)
        await opened.open()
        await opened.ping()
        lines = {info.name for info in await opened.consumers()}
        await opened.close()

        assert set(Names(name).lines()) == lines


async def test_a_stream_on_other_terms_is_brought_to_ours(nats: Nats) -> None:
    """What another release has declared is no reason not to start."""
    names = Names(next(nats.names))
    other = await client.connect(nats.url)
    await other.jetstream().add_stream(name=names.dead_stream, subjects=[names.dead], max_msgs=5)
    opened = broker_of(nats.url, names.name)

    await opened.open()

    info = await other.jetstream().stream_info(names.dead_stream)
    await opened.close()
    await other.close()
    assert 10_000 == info.config.max_msgs


@pytest.fixture
def mortal() -> Iterator[Nats]:
    """A server that a test may kill."""
    with jetstream.running() as server:
        yield server


async def test_a_server_that_returns_is_found(mortal: Nats) -> None:
    """Though it has lost everything: what we need is declared anew."""
    opened = broker_of(mortal.url)
    await opened.open()
    mortal.stop()
    await until(lambda: _is(opened, up=False))
    mortal.wipe()
    mortal.start()

    await until(lambda: _is(opened, up=True))

    await opened.ping()
    await opened.close()


async def test_streams_that_are_taken_away_are_made_again(mortal: Nats) -> None:
    """Somebody may tidy up too much; the next to be told that there is no stream mends it."""
    names = Names("heliograph")
    opened = broker_of(mortal.url)
    await opened.open()
    other = await client.connect(mortal.url)
    await other.jetstream().delete_stream(names.stream)
    opened.renew()

    async def is_back() -> bool:
        return names.stream in [each.config.name for each in await other.jetstream().streams_info()]

    await until(is_back)
    await opened.close()
    await other.close()


async def test_what_is_asked_of_nobody_has_no_answer(mortal: Nats) -> None:
    """Nothing is kept for later, and nobody waits for longer than they said."""
    opened = broker_of(mortal.url)
    await opened.open()
    question = [("heliograph.work.small.0.1.0", b"", None)]
    (heard,) = await opened.ask(question, SECOND)
    mortal.pause()
    silence = await opened.ask(question, timedelta(seconds=0.1))
    mortal.resume()
    mortal.stop()
    await until(lambda: _is(opened, up=False))

    assert heard is not None
    assert ([None], [None]) == (silence, await opened.ask(question, SECOND))
    await opened.close()


async def test_tls_is_spoken_to_whom_we_trust(tmp_path: Path) -> None:
    """With its authority in the settings the server is let in; without, it is not."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    pem = str(tmp_path / "server.pem")
    with jetstream.running(
        "-js", "-sd", str(tmp_path / "store"), "--tls", "--tlscert", pem, "--tlskey", pem
    ) as server:
        settings: dict[str, Any] = {
            "database_url": "postgresql://localhost/heliograph",
            "queue_url": f"tls://{server.address}",
        }
        trusting = broker(Settings(**settings, queue_ca_file=tmp_path / "ca.pem"))
        await trusting.open()
        await trusting.ping()
        await trusting.close()

        with pytest.raises(ConfigurationError, match=r"HELIOGRAPH_QUEUE_URL: .*certificate"):
            await broker(Settings(**settings)).open()


def test_authorities_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """The setting is named."""
    settings = Settings(
        database_url="postgresql://localhost/heliograph",
        queue_url="tls://localhost",
        queue_ca_file=tmp_path / "none.pem",
    )

    with pytest.raises(ConfigurationError, match="HELIOGRAPH_QUEUE_CA_FILE"):
        broker(settings)


async def _is(opened: Broker, *, up: bool) -> bool:
    return opened.is_up is up
