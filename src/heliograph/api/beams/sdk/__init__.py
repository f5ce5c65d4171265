"""
What sites load from us: an SDK for their pages, and a part for their service worker.

The files are JavaScript as browsers run it, with nothing to build. Everybody may read them,
from any origin; they hold no secret and no address.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER: Final = Path(__file__).parent

_HEADERS: Final = {
    # Asked each time, and mostly answered 304: files that import each other must be of one version.
    "cache-control": "no-cache",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    # A site may serve us under its own name and register the worker for all its pages.
    "service-worker-allowed": "/",
}


def routes() -> list[Route]:
    """A path under ``/sdk`` for each file, for GET and HEAD."""
    return [
        Route(f"/sdk/{path.name}", _file(path.read_bytes()))
        for path in sorted(_FOLDER.glob("*.js"))
    ]


def _file(content: bytes) -> Callable[[Request], Awaitable[Response]]:
    headers = _HEADERS | {"etag": f'"{sha256(content).hexdigest()[:32]}"'}

    async def show(request: Request) -> Response:
        if is_known(request.headers.get("if-none-match", ""), headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="text/javascript")

    return show


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether a caller has this version already (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
