"""Alive, ready, and how much of what."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from heliograph.api.problems import Problem, json_response
from heliograph.metrics import Metrics


def routes(
    metrics: Metrics,
    *,
    ping: Callable[[], Awaitable[None]],
    is_draining: Callable[[], bool] = lambda: False,
    is_queue_there: Callable[[], bool] = lambda: True,
) -> list[Route]:
    """
    What an orchestrator asks.

    Args:
        metrics: What ``/metrics`` shows.
        ping: Raises unless everything we depend on answers.
        is_draining: Whether we are about to stop, so that nothing new should come here.
        is_queue_there: Whether what hands work out answers. We are ready without: what is
            accepted is in the database, and is taken from there.
    """

    async def alive(_request: Request) -> Response:
        return json_response({"status": "alive"})

    async def ready(_request: Request) -> Response:
        if is_draining():
            raise Problem(503, "Not ready", "This server is about to stop")
        try:
            await ping()
        except Exception:  # noqa: BLE001  (whatever it is, we are not ready)
            raise Problem(503, "Not ready", "The database does not answer") from None
        queue = {} if is_queue_there() else {"queue": "disconnected"}
        return json_response({"status": "ready"} | queue)

    async def show_metrics(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", show_metrics),
    ]
