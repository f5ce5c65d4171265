"""What was accepted survives ``kill -9``: the server as a process, the sandbox beside it."""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from processes import PATIENCE_SECONDS, Running, heliograph
from support import ADMIN

DEVICES = 20


@dataclass(slots=True)
class Scene:
    """A sandbox with devices, and an instance that knows them."""

    http: httpx.AsyncClient
    management: str
    folder: Path
    tokens: list[str]
    instance: dict[str, str]

    @asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[Running, str]]:
        async with heliograph("serve", folder=self.folder) as server:
            yield server, (await server.ready())["endpoint"]

    async def publish(self, endpoint: str) -> str:
        answer = await self.http.post(
            f"{endpoint}/publish_api/v1/instances/{self.instance['instance_id']}/publishes/interests",
            json={"interests": ["all"], "apns": {"aps": {"alert": "Hello"}}},
            headers={"authorization": f"Bearer {self.instance['secret_key']}"},
        )
        assert 200 == answer.status_code
        return str(answer.json()["publishId"])

    async def finished(self, endpoint: str, publish: str) -> dict[str, Any]:
        url = f"{endpoint}/admin/v1/instances/{self.instance['instance_id']}/publishes/{publish}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                counts: dict[str, Any] = (await self.http.get(url, headers=ADMIN)).json()
                ends = ("sent", "failed", "expired", "cancelled", "pending")
                assert counts["targeted"] == sum(counts[end] for end in ends)
                if counts["state"] == "finished":
                    return counts
                await asyncio.sleep(0.02)

    async def arrivals(self, token: str) -> list[dict[str, Any]]:
        answer = await self.http.get(f"{self.management}/inbox", params={"token": token})
        received: list[dict[str, Any]] = answer.json()
        return received


@asynccontextmanager
async def prepared(folder: Path) -> AsyncIterator[Scene]:
    """A sandbox under way, and a server's folder with an instance and registered devices."""
    async with (
        heliograph("sandbox", folder=folder / "sandbox") as sandbox,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http,
    ):
        management = (await sandbox.note("sandbox.json"))["management"]
        credentials = (await http.get(f"{management}/credentials")).json()
        minted = await http.post(
            f"{management}/devices", json={"platform": "apns", "count": DEVICES}
        )
        tokens = [device["token"] for device in minted.json()["devices"]]
        async with heliograph("serve", folder=folder / "server") as server:
            endpoint = (await server.ready())["endpoint"]
            created = await http.post(
                f"{endpoint}/admin/v1/instances", json={"name": "crash"}, headers=ADMIN
            )
            instance = created.json()
            base = f"{endpoint}/admin/v1/instances/{instance['instance_id']}"
            await http.put(f"{base}/credentials/apns", json=credentials["apns"], headers=ADMIN)
            devices = f"{endpoint}/device_api/v1/instances/{instance['instance_id']}/devices/apns"
            for token in tokens:
                made = await http.post(devices, json={"token": token})
                await http.post(f"{devices}/{made.json()['id']}/interests/all")
            await server.stop()
        yield Scene(http, management, folder / "server", tokens, instance)


async def test_a_publish_accepted_by_a_server_that_dies_is_delivered_by_the_next(
    tmp_path: Path,
) -> None:
    """Killed while every gateway is slow, nothing was sent; started again, every device has it."""
    async with prepared(tmp_path) as scene:
        await scene.http.put(
            f"{scene.management}/scenario",
            json={"faults": [{"gateway": "apns", "fault": "slow", "delay_seconds": 60}]},
        )
        async with scene.server() as (server, endpoint):
            publish = await scene.publish(endpoint)
            await server.stop(signal.SIGKILL)
        await scene.http.delete(f"{scene.management}/scenario")

        async with scene.server() as (_, endpoint):
            counts = await scene.finished(endpoint, publish)

        assert (DEVICES, DEVICES) == (counts["targeted"], counts["sent"])
        received = [await scene.arrivals(token) for token in scene.tokens]
    assert all(received)
    # A repeat after a crash is allowed, and recognisable: it has the same id.
    assert all(len({each["headers"]["apns-id"] for each in mine}) == 1 for mine in received)


async def test_nothing_that_was_answered_is_missing_after_a_kill(tmp_path: Path) -> None:
    """Killed while many publish at once, each publish that was answered is kept, and goes on."""
    answered: list[str] = []
    async with (
        heliograph("serve", folder=tmp_path, HELIOGRAPH_PUBLISH_RATE="10000") as s,
        httpx.AsyncClient(base_url=(await s.ready())["endpoint"], timeout=PATIENCE_SECONDS) as http,
    ):
        made = await http.post("/admin/v1/instances", json={"name": "crash"}, headers=ADMIN)
        instance = made.json()

        async def caller(name: str) -> None:
            while True:
                answer = await http.post(
                    f"/publish_api/v1/instances/{instance['instance_id']}/publishes/users",
                    json={"users": [name], "apns": {"aps": {"alert": "Hello"}}},
                    headers={"authorization": f"Bearer {instance['secret_key']}"},
                )
                answered.append(answer.json()["publishId"])
                if len(answered) == 100:
                    s.process.kill()

        callers = [caller(f"user-{number}") for number in range(20)]
        ends = await asyncio.gather(*callers, return_exceptions=True)
        await s.process.wait()

    with contextlib.closing(sqlite3.connect(tmp_path / "heliograph.db")) as kept:
        rows = kept.execute(
            "SELECT publishes.id, count(work.number) + (expanded_at IS NOT NULL) FROM publishes"
            " LEFT JOIN work ON work.publish_number = publishes.number GROUP BY publishes.number"
        ).fetchall()
    assert all(isinstance(each, httpx.TransportError) for each in ends)
    assert len(answered) >= 100
    assert set() == set(answered) - {identity for identity, _ in rows}
    assert {1} == {count for _, count in rows}


async def test_a_clean_stop_repeats_nothing(tmp_path: Path) -> None:
    """Stopped politely in the midst of a publish and started again, each device has it once."""
    async with prepared(tmp_path) as scene:
        async with scene.server() as (server, endpoint):
            publish = await scene.publish(endpoint)
            assert 0 == await server.stop()
        async with scene.server() as (_, endpoint):
            counts = await scene.finished(endpoint, publish)

        received = [await scene.arrivals(token) for token in scene.tokens]
    assert DEVICES == counts["sent"]
    assert [1] * DEVICES == [len(mine) for mine in received]
