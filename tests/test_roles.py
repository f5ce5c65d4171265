"""Roles: processes that only answer and processes that only deliver, over one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from builders import MASTER_KEY
from heliograph import __version__
from heliograph.app import check_role
from heliograph.errors import ConfigurationError
from postgres import Postgres
from processes import PATIENCE_SECONDS, Running, heliograph
from support import ADMIN, in_process, settings_in

DEVICES: Final = 60
BATCH: Final = 5


@dataclass(slots=True)
class Server:
    """A process of ours, and where it answers."""

    process: Running
    endpoint: str


@dataclass(slots=True)
class Cluster:
    """A sandbox, one process that answers, and some that deliver."""

    http: httpx.AsyncClient
    management: str
    api: Server
    workers: list[Server]

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.api.endpoint}/admin/v1{path}"
        answer = await self.http.request(method, url, json=body, headers=ADMIN)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def instance(self) -> dict[str, str]:
        """A new one, with the sandbox's credentials, and devices that have an interest."""
        made: dict[str, str] = await self.admin("POST", "/instances", {"name": "cluster"})
        credentials = (await self.http.get(f"{self.management}/credentials")).json()
        path = f"/instances/{made['instance_id']}/credentials/apns"
        await self.admin("PUT", path, credentials["apns"])
        return made

    async def register(self, instance: dict[str, str]) -> list[str]:
        """Devices that have an interest; their tokens."""
        minted = await self.http.post(
            f"{self.management}/devices", json={"platform": "apns", "count": DEVICES}
        )
        tokens = [device["token"] for device in minted.json()["devices"]]
        url = f"{self.api.endpoint}/device_api/v1/instances/{instance['instance_id']}/devices/apns"
        for token in tokens:
            made = await self.http.post(url, json={"token": token})
            await self.http.post(f"{url}/{made.json()['id']}/interests/all")
        return tokens

    async def publish(self, instance: dict[str, str]) -> str:
        answer = await self.http.post(
            f"{self.api.endpoint}/publish_api/v1/instances/{instance['instance_id']}"
            "/publishes/interests",
            json={"interests": ["all"], "apns": {"aps": {"alert": "Hello"}}},
            headers={"authorization": f"Bearer {instance['secret_key']}"},
        )
        assert 200 == answer.status_code, answer.text
        return str(answer.json()["publishId"])

    async def progress(self, instance: dict[str, str], publish: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.admin(
            "GET", f"/instances/{instance['instance_id']}/publishes/{publish}"
        )
        ends = ("sent", "failed", "expired", "cancelled", "pending")
        assert found["targeted"] == sum(found[end] for end in ends)
        return found

    async def finished(self, instance: dict[str, str], publish: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.progress(instance, publish)
                if found["state"] == "finished":
                    return found
                await asyncio.sleep(0.02)

    async def sent_by(self, worker: Server) -> int:
        """How many messages a worker says that it has sent."""
        text = (await self.http.get(f"{worker.endpoint}/metrics")).text
        sent = 'heliograph_deliveries_total{end="sent",gateway="apns"} '
        return next((int(float(each.split()[-1])) for each in text.splitlines() if sent in each), 0)

    async def has_sent(self, worker: Server) -> None:
        """Return when a worker has sent something."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self.sent_by(worker):  # noqa: ASYNC110  (another process has no event)
                await asyncio.sleep(0.01)

    async def arrivals(self) -> list[dict[str, Any]]:
        received: list[dict[str, Any]] = (await self.http.get(f"{self.management}/inbox")).json()
        return received


@asynccontextmanager
async def cluster(folder: Path, url: str, *, workers: int) -> AsyncIterator[Cluster]:
    """Everything started at once, over a database that is empty at first."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=PATIENCE_SECONDS))
        sandbox = await stack.enter_async_context(heliograph("sandbox", folder=folder / "sandbox"))
        started = [
            await stack.enter_async_context(server(folder, url, role, number))
            for number, role in enumerate(["api"] + ["worker"] * workers)
        ]
        answering = [Server(each, (await each.ready())["endpoint"]) for each in started]
        management = (await sandbox.note("sandbox.json"))["management"]
        yield Cluster(http, management, answering[0], answering[1:])


def server(
    folder: Path, url: str, role: str, number: int = 0, **settings: str
) -> AbstractAsyncContextManager[Running]:
    """A process with a folder of its own, as if it were on another machine."""
    return heliograph(
        "serve",
        "--role",
        role,
        folder=folder / f"{role}-{number}",
        HELIOGRAPH_DATABASE_URL=url,
        HELIOGRAPH_MASTER_KEY=MASTER_KEY,
        HELIOGRAPH_BATCH_SIZE=str(BATCH),
        HELIOGRAPH_WORKER_CONCURRENCY="2",
        **settings,
    )


async def test_a_worker_that_stops_in_the_midst_of_a_broadcast_loses_and_repeats_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    """
    What it has in hand it finishes, the rest the other one takes.

    All processes start at once on an empty database. What one has been told of credentials
    the others know, and both workers use one provider token: the sandbox refuses a second
    one, as Apple would.
    """
    async with postgres.empty() as url, cluster(tmp_path, url, workers=2) as ours:
        instance = await ours.instance()
        tokens = await ours.register(instance)
        slow = {"gateway": "apns", "fault": "slow", "delay_seconds": 0.3}
        scenario = {"faults": [slow], "apns_limits_token_updates": True}
        await ours.http.put(f"{ours.management}/scenario", json=scenario)
        publish = await ours.publish(instance)
        leaver, stayer = ours.workers
        for each in ours.workers:
            await ours.has_sent(each)
        before = await ours.progress(instance, publish)

        status = await leaver.process.stop()
        counts = await ours.finished(instance, publish)

        received = await ours.arrivals()
        listed = (await ours.admin("GET", "/workers"))["workers"]
        assert (0, DEVICES, DEVICES) == (status, counts["targeted"], counts["sent"])
        assert before["sent"] < DEVICES
        assert sorted(tokens) == sorted(each["token"] for each in received)
        assert 1 == len(listed)
        assert await ours.sent_by(stayer) < DEVICES


async def test_workers_are_listed_while_they_live(tmp_path: Path, postgres: Postgres) -> None:
    """Processes that only answer are not; a worker that has stopped is gone at once."""
    async with postgres.empty() as url, cluster(tmp_path, url, workers=1) as ours:
        during = (await ours.admin("GET", "/workers"))["workers"]
        await ours.workers[0].process.stop()
        after = (await ours.admin("GET", "/workers"))["workers"]

    assert ([{"id", "host", "version", "started_at", "seen_at"}], []) == (
        [set(each) for each in during],
        after,
    )


async def test_a_worker_answers_orchestrators_and_nobody_else(
    tmp_path: Path, postgres: Postgres
) -> None:
    """It is alive, ready and measured; the APIs are not there."""
    async with (
        postgres.empty() as url,
        server(tmp_path, url, "worker") as worker,
        httpx.AsyncClient(base_url=(await worker.ready())["endpoint"]) as http,
    ):
        statuses = {
            path: (await http.get(path, headers=ADMIN)).status_code
            for path in ("/healthz", "/readyz", "/metrics", "/admin/v1/instances")
        }

    assert {
        "/healthz": 200,
        "/readyz": 200,
        "/metrics": 200,
        "/admin/v1/instances": 404,
    } == statuses


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_who_is_asked_to_stop_says_so_before_it_does(
    tmp_path: Path, postgres: Postgres, role: str
) -> None:
    """Load balancers are given time to turn away, and meanwhile every request is answered."""
    async with (
        postgres.empty() as url,
        server(tmp_path, url, role, HELIOGRAPH_DRAIN_SECONDS="2") as process,
        httpx.AsyncClient(base_url=(await process.ready())["endpoint"]) as http,
    ):
        stopping = asyncio.create_task(process.stop())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (ready := await http.get("/readyz")).is_success:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        alive = await http.get("/healthz")

        assert (503, 200, 0) == (ready.status_code, alive.status_code, await stopping)


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_of_its_own_needs_a_database_that_is_shared(tmp_path: Path, role: Any) -> None:
    """A worker of a file that another process serves would find it locked, or empty."""
    with pytest.raises(ConfigurationError, match=rf"--role {role}.*HELIOGRAPH_DATABASE_URL"):
        check_role(settings_in(tmp_path), role)


async def test_a_process_that_is_alone_is_the_worker(tmp_path: Path) -> None:
    """Over SQLite there is one, which need not show itself to anybody."""
    async with in_process(tmp_path) as served:
        listed = (await served.http.get("/admin/v1/workers", headers=ADMIN)).json()["workers"]

    assert [__version__] == [each["version"] for each in listed]


async def test_who_only_answers_sends_nothing(tmp_path: Path, shared_url: str) -> None:
    """A process of role api is built without a worker."""
    settings = {"database_url": shared_url, "master_key": MASTER_KEY}
    async with in_process(tmp_path, role="api", **settings) as served:
        assert None is served.product.worker


async def test_a_process_with_another_master_key_is_refused(
    tmp_path: Path, shared_url: str
) -> None:
    """Also while there is no instance yet: credentials of the one would be unreadable there."""
    async with in_process(tmp_path / "one", database_url=shared_url, master_key=MASTER_KEY):
        with pytest.raises(ConfigurationError, match="HELIOGRAPH_MASTER_KEY is not the key"):
            async with in_process(
                tmp_path / "other", database_url=shared_url, master_key="a-key-of-another"
            ):
                pass
