"""How an application is put on the network, and taken off it."""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trustme
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from heliograph.app import on_the_network, outgoing
from heliograph.errors import ConfigurationError
from heliograph.serving import Tls, address_of, bind, serving, stop_signals
from support import settings_in

PATIENCE_SECONDS: Final = 60
"""How long a process may take to start on a busy machine."""

STOP_SECONDS: Final = 15
"""How long it may take to stop: a promise to operators."""


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def tls_in(folder: Path) -> tuple[Tls, ssl.SSLContext]:
    """A certificate for this machine, and what trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Tls(folder / "cert.pem", folder / "key.pem"), context


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


# --- sockets -------------------------------------------------------------------------


def test_port_zero_is_any_free_port() -> None:
    """The address tells which it became."""
    with bind("127.0.0.1", 0) as one, bind("127.0.0.1", 0) as other:
        assert address_of(one) != address_of(other)
        assert address_of(one) == f"127.0.0.1:{one.getsockname()[1]}"


def test_an_ipv6_address_stands_in_brackets() -> None:
    """As in a URL."""
    with bind("::1", 0) as listener:
        assert address_of(listener) == f"[::1]:{listener.getsockname()[1]}"


async def test_what_is_written_is_sent_at_once() -> None:
    """Nagle's algorithm would keep a body back until its header fields are acknowledged."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        accepted.put_nowait(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = bind("127.0.0.1", 0)
    async with await asyncio.start_server(note, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await accepted.get()
        writer.close()


def test_a_port_that_is_taken_names_the_settings() -> None:
    """An operator is told what to change."""
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            bind("127.0.0.1", port)

    assert (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; "
        "HELIOGRAPH_LISTEN and HELIOGRAPH_LISTEN_TLS say where"
    ) == str(caught.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "256.256.256.256"])
def test_a_host_that_is_not_ours_names_the_settings(host: str) -> None:
    """So is one that does not exist."""
    with pytest.raises(ConfigurationError, match=r"cannot listen on .*HELIOGRAPH_LISTEN"):
        bind(host, 0)


# --- http and https ------------------------------------------------------------------


async def test_an_application_is_served_and_then_not() -> None:
    """Within the block it answers; after it the port is free."""
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]

    async with serving(hello, listener), httpx.AsyncClient() as http:
        reply = await http.get(f"http://127.0.0.1:{port}/")

    assert (200, "hello") == (reply.status_code, reply.text)
    assert "server" not in reply.headers
    assert is_free(port)


async def test_https_has_the_certificate_that_was_given(tmp_path: Path) -> None:
    """Who trusts its authority is served, who does not is not."""
    tls, context = tls_in(tmp_path)
    listener = bind("127.0.0.1", 0)

    async with serving(hello, listener, tls=tls):
        async with httpx.AsyncClient(verify=context) as http:
            reply = await http.get(f"https://{address_of(listener)}/")
        async with httpx.AsyncClient() as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(f"https://{address_of(listener)}/")

    assert "hello" == reply.text


async def test_http_and_https_are_served_together(tmp_path: Path) -> None:
    """Beams' Python SDK insists on the one and its Node SDK on the other."""
    tls, context = tls_in(tmp_path)
    settings = settings_in(
        tmp_path,
        listen_tls="127.0.0.1:0",
        tls_cert_file=tls.certificate,
        tls_key_file=tls.key,
    )

    async with (
        on_the_network(hello, settings) as addresses,
        httpx.AsyncClient(verify=context) as http,
    ):
        replies = [await http.get(address) for address in addresses.values()]

    assert ["endpoint", "tls_endpoint"] == list(addresses)
    assert ["http", "https"] == [reply.url.scheme for reply in replies]
    assert [200, 200] == [reply.status_code for reply in replies]


@pytest.mark.parametrize("content", ["", "not a certificate", None], ids=["empty", "text", "none"])
async def test_authorities_that_are_none_are_noticed_at_once(
    tmp_path: Path, content: str | None
) -> None:
    """Before the first push fails: the setting is named."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match="HELIOGRAPH_EXTRA_CA_FILE"):
        async with outgoing(settings_in(tmp_path, extra_ca_file=path)):
            pass


async def test_https_needs_a_certificate(tmp_path: Path) -> None:
    """The settings that are missing are named."""
    settings = settings_in(tmp_path, listen_tls="127.0.0.1:0")

    with pytest.raises(
        ConfigurationError,
        match="HELIOGRAPH_LISTEN_TLS needs HELIOGRAPH_TLS_CERT_FILE and HELIOGRAPH_TLS_KEY_FILE",
    ):
        async with on_the_network(hello, settings):
            pass


@pytest.mark.parametrize("fault", ["missing", "empty", "another key"])
async def test_a_certificate_that_cannot_be_used_names_the_settings(
    tmp_path: Path, fault: str
) -> None:
    """A file that is not there, holds nothing, or belongs to another key is told as such."""
    tls, _ = tls_in(tmp_path)
    match fault:
        case "missing":
            tls.certificate.unlink()
        case "empty":
            tls.certificate.write_text("")
        case _:
            trustme.CA().issue_cert("127.0.0.1").private_key_pem.write_to_path(tls.key)
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]

    with pytest.raises(
        ConfigurationError, match=r"HELIOGRAPH_TLS_CERT_FILE and HELIOGRAPH_TLS_KEY_FILE"
    ):
        async with serving(hello, listener, tls=tls):
            pass

    assert is_free(port)


async def test_a_request_under_way_may_end(tmp_path: Path) -> None:
    """Who is being served when the server stops still gets an answer."""
    del tmp_path
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await hello(scope, receive, send)

    listener = bind("127.0.0.1", 0)
    async with httpx.AsyncClient() as http:
        async with serving(slow, listener):
            asked = asyncio.create_task(http.get(f"http://{address_of(listener)}/"))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        reply = await asked

    assert "hello" == reply.text


async def test_an_idle_client_does_not_hold_up_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over TLS a goodbye wants an answer, and a client who keeps a connection gives none."""
    tls, context = tls_in(tmp_path)
    listener = bind("127.0.0.1", 0)
    host, port = listener.getsockname()

    def connect() -> ssl.SSLSocket:
        client = context.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        client.recv(1)
        return client

    async with serving(hello, listener, tls=tls):
        client = await asyncio.to_thread(connect)
    client.close()

    assert [] == [record.message for record in caplog.records if record.levelname == "ERROR"]


async def test_an_operator_decides_how_long_a_request_may_take(tmp_path: Path) -> None:
    """The setting holds for http, as for https, which is served by the same."""
    settings = settings_in(tmp_path, request_seconds=1)

    async with on_the_network(hello, settings) as addresses:
        address = httpx.URL(addresses["endpoint"])
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HT")
        async with asyncio.timeout(PATIENCE_SECONDS):
            said = await reader.read()
        writer.close()

    assert said.startswith(b"HTTP/1.1 408 ")


# --- signals -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_ask_to_stop(number: signal.Signals) -> None:
    """Within the block they set an event instead of ending the process; after it, no more."""
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), PATIENCE_SECONDS)

    assert stop.is_set()
    assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}


# --- the whole process ---------------------------------------------------------------


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """What a process needs to know, and nothing that this one was told."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return ours | {
        "HELIOGRAPH_DATA_DIR": str(folder),
        "HELIOGRAPH_LISTEN": "127.0.0.1:0",
        "HELIOGRAPH_LOG_FORMAT": "json",
        **settings,
    }


async def start(folder: Path, *arguments: str, **settings: str) -> Process:
    """A process that serves a data directory."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "heliograph",
        "serve",
        *arguments,
        env=environment(folder, **settings),
        stdout=PIPE,
        stderr=PIPE,
    )


@asynccontextmanager
async def served(folder: Path, *arguments: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """A process that is ready, and the line in which it said so."""
    process = await start(folder, *arguments)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            ready: dict[str, Any] = {}
            while ready.get("event") != "ready":
                line = await process.stderr.readline()
                assert line, "it ended before it was ready"
                ready = json.loads(line)
        yield process, ready
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """On SIGTERM and Ctrl-C it ends in time with status 0, and leaves its port and no complaint."""
    async with served(tmp_path) as (process, ready), httpx.AsyncClient() as http:
        # A connection that is kept alive must not keep the process alive, too.
        alive = await http.get(f"{ready['endpoint']}/healthz")
        process.send_signal(number)
        _, complaints = await asyncio.wait_for(process.communicate(), STOP_SECONDS)

    lines = [json.loads(line) for line in complaints.splitlines()]
    assert (200, 0, ["stopped"]) == (
        alive.status_code,
        process.returncode,
        [line["event"] for line in lines],
    )
    assert is_free(httpx.URL(ready["endpoint"]).port or 0)


async def test_a_data_directory_is_served_once(tmp_path: Path) -> None:
    """A second process on the same one is refused in one clear line; the first serves on."""
    async with served(tmp_path) as (_, ready), httpx.AsyncClient() as http:
        second = await start(tmp_path)
        _, complaints = await asyncio.wait_for(second.communicate(), PATIENCE_SECONDS)
        alive = await http.get(f"{ready['endpoint']}/readyz")

    said = " ".join(complaints.decode().split())
    assert (1, 200) == (second.returncode, alive.status_code)
    assert said.startswith("heliograph: another process serves ")
    assert said.endswith("give this one a HELIOGRAPH_DATA_DIR of its own")
    assert "Traceback" not in said


async def test_a_process_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """One line names the settings, and the exit status is 1."""
    with bind("127.0.0.1", 0) as taken:
        address = address_of(taken)
        process = await start(tmp_path, "--listen", address)
        _, complaints = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)

    said = " ".join(complaints.decode().split())
    assert 1 == process.returncode
    assert f"heliograph: cannot listen on {address}: Address already in use" in said
    assert "HELIOGRAPH_LISTEN" in said
    assert "Traceback" not in said
