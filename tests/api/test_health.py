"""Alive, ready, and how much of what."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from api.beams.words import ALERT, Beams, problem
from heliograph.api import health
from heliograph.api.problems import Problem, answer_problem
from heliograph.metrics import Metrics

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path,status", [("/healthz", "alive"), ("/readyz", "ready")])
async def test_a_product_that_works_is_alive_and_ready(
    beams: Beams, path: str, status: str
) -> None:
    """Nobody needs a credential to ask."""
    reply = await beams.http.get(path)

    assert (200, {"status": status}) == (reply.status_code, reply.json())


async def test_a_product_whose_database_is_silent_is_alive_but_not_ready() -> None:
    """Readiness asks the database, liveness does not; the reason stays inside."""

    async def ping() -> None:
        raise OSError("/var/lib/secret.db is gone")

    app = Starlette(
        routes=health.routes(Metrics(), ping=ping), exception_handlers={Problem: answer_problem}
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://product") as http:
        alive, ready = await http.get("/healthz"), await http.get("/readyz")

    assert 200 == alive.status_code
    assert (503, problem("Not ready", "The database does not answer")) == (
        ready.status_code,
        ready.json(),
    )


async def test_a_product_that_is_about_to_stop_is_alive_but_not_ready() -> None:
    """Load balancers turn away; whoever asks whether to restart it is told not to."""
    is_draining = False

    async def ping() -> None:
        """Answer."""

    app = Starlette(
        routes=health.routes(Metrics(), ping=ping, is_draining=lambda: is_draining),
        exception_handlers={Problem: answer_problem},
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://product"
    ) as http:
        before = await http.get("/readyz")
        is_draining = True
        alive, ready = await http.get("/healthz"), await http.get("/readyz")

    assert (200, 200) == (before.status_code, alive.status_code)
    assert (503, problem("Not ready", "This server is about to stop")) == (
        ready.status_code,
        ready.json(),
    )


async def test_metrics_are_exposed_from_the_first_scrape_on(beams: Beams) -> None:
    """Every metric has its help text, in the format that Prometheus reads."""
    reply = await beams.http.get("/metrics")

    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (
        reply.status_code,
        reply.headers["content-type"],
    )
    assert {
        "heliograph_publishes_total",
        "heliograph_deliveries_total",
        "heliograph_attempts_total",
        "heliograph_devices_pruned_total",
        "heliograph_batch_seconds",
        "heliograph_batches_in_hand",
        "heliograph_http_requests_total",
    } <= {line.split()[2] for line in reply.text.splitlines() if line.startswith("# HELP")}


async def test_what_happens_is_counted(beams: Beams) -> None:
    """Publishes by what they address, requests by API and class of status."""
    await beams.publish(ALERT | {"users": ["u"]}, to="/users")
    await beams.publish({}, to="/users")
    await beams.http.get("/nowhere")

    counted = (await beams.http.get("/metrics")).text.splitlines()

    assert 'heliograph_publishes_total{target="users"} 1.0' in counted
    assert 'heliograph_http_requests_total{api="publish_api",status="2xx"} 1.0' in counted
    assert 'heliograph_http_requests_total{api="publish_api",status="4xx"} 1.0' in counted
    assert 'heliograph_http_requests_total{api="other",status="4xx"} 1.0' in counted


async def test_nothing_of_a_path_becomes_a_label(beams: Beams, folder: Path) -> None:
    """What strangers write in paths cannot make the metrics grow."""
    await beams.http.get(f"/{folder.name}/x")

    assert folder.name not in (await beams.http.get("/metrics")).text
