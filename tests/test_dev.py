"""``heliograph dev`` and ``heliograph sandbox``, as processes of their own."""

import asyncio
import signal
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from processes import heliograph
from support import ADMIN, ADMIN_TOKEN

FIELDS = {
    "endpoint",
    "tls_endpoint",
    "ca_file",
    "admin_token",
    "instance_id",
    "secret_key",
    "client_secret",
    "app_secret",
    "sandbox",
}
SANDBOX_FIELDS = {"management", "apns", "apns_sandbox", "fcm", "webpush", "webpush_ws"}


async def test_dev_writes_where_everything_is(tmp_path: Path) -> None:
    """dev.json names every address and key, and is for its owner only."""
    async with heliograph("dev", folder=tmp_path) as dev:
        note = await dev.note("dev.json")

        assert (FIELDS, SANDBOX_FIELDS) == (set(note), set(note["sandbox"]))
        assert ADMIN_TOKEN == note["admin_token"]
        assert 0o600 == (tmp_path / "dev.json").stat().st_mode & 0o777


async def test_dev_answers_on_both_of_its_ports(tmp_path: Path) -> None:
    """Both http and https answer when dev.json is there, https with the CA that it names."""
    async with heliograph("dev", folder=tmp_path) as dev:
        note = await dev.note("dev.json")
        trust = ssl.create_default_context(cafile=note["ca_file"])
        async with httpx.AsyncClient(verify=trust) as http:
            plain = await http.get(note["endpoint"] + "/readyz")
            secure = await http.get(note["tls_endpoint"] + "/readyz")
            url = f"{note['endpoint']}/admin/v1/instances/{note['instance_id']}"
            instance = await http.get(url, headers=ADMIN)

    assert [200, 200] == [plain.status_code, secure.status_code]
    assert ("dev", "com.example.app") == (
        instance.json()["name"],
        instance.json()["apns"]["topic"],
    )


async def test_two_devs_run_side_by_side(tmp_path: Path) -> None:
    """With ports given as 0, two of them share nothing."""
    async with AsyncExitStack() as stack:
        notes = []
        for name in ("one", "two"):
            dev = await stack.enter_async_context(heliograph("dev", folder=tmp_path / name))
            notes.append(await dev.note("dev.json"))

    addresses = [
        address
        for note in notes
        for address in (note["endpoint"], note["tls_endpoint"], *note["sandbox"].values())
    ]
    assert len(addresses) == len(set(addresses))
    assert notes[0]["instance_id"] != notes[1]["instance_id"]


async def test_the_instance_of_dev_stays(tmp_path: Path) -> None:
    """A second start in the same folder finds the same instance, keys and CA."""
    notes = []
    for _ in range(2):
        async with heliograph("dev", folder=tmp_path) as dev:
            note = await dev.note("dev.json")
            notes.append(
                [note["instance_id"], note["secret_key"], Path(note["ca_file"]).read_text()]
            )
            assert 0 == await dev.stop()

    assert notes[0] == notes[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_dev_stops_cleanly(tmp_path: Path, number: int) -> None:
    """Ctrl-C and SIGTERM end it with status 0, nothing on standard error but its log, no port."""
    async with heliograph("dev", folder=tmp_path) as dev:
        note = await dev.note("dev.json")
        async with httpx.AsyncClient() as http:
            await http.get(note["endpoint"] + "/healthz")
            async with http.stream("GET", note["sandbox"]["management"] + "/events") as live:
                assert 200 == live.status_code  # a browser looks at the inbox page
                status = await dev.stop(number)

    assert 0 == status
    assert "Traceback" not in dev.errors.read_text()
    assert not (tmp_path / "dev.json").exists()
    host, port = note["endpoint"].removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert 0 != probe.connect_ex((host, int(port)))


async def test_the_sandbox_runs_alone(tmp_path: Path) -> None:
    """sandbox.json tells where it is, it answers there, and it stops cleanly."""
    async with heliograph("sandbox", folder=tmp_path) as sandbox:
        note = await sandbox.note("sandbox.json")
        async with httpx.AsyncClient() as http:
            credentials = await http.get(note["management"] + "/credentials")
        status = await sandbox.stop(signal.SIGINT)

    assert SANDBOX_FIELDS == set(note)
    assert {"apns", "apns_certificate", "fcm"} == set(credentials.json())
    assert 0 == status


async def test_a_taken_port_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    """It says on one line what to change, and does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        async with heliograph("dev", folder=tmp_path, HELIOGRAPH_LISTEN=listen) as dev:
            status = await asyncio.wait_for(dev.process.wait(), 30)

    assert 1 == status
    assert "HELIOGRAPH_LISTEN" in dev.errors.read_text()
    assert "Traceback" not in dev.errors.read_text()
