"""
What sites load from us: an SDK for their pages, and a part for their service worker.

The files are JavaScript as browsers run it, with nothing to build. Everybody may read them,
from any origin; they hold no secret and no address.
"""

from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES: Final = {path.name: path.read_bytes() for path in Path(__file__).parent.glob("*.js")}
_ETAGS: Final = {name: f'"{sha256(file).hexdigest()[:32]}"' for name, file in _FILES.items()}

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
    """The files, for GET and HEAD."""
    return [Route("/sdk/{file}", show)]


async def show(request: Request) -> Response:
    """Answer a file, or that the caller has it."""
    name = request.path_params["file"]
    if name not in _FILES:
        raise HTTPException(404)
    headers = _HEADERS | {"etag": _ETAGS[name]}
    if is_known(request.headers.get("if-none-match", ""), _ETAGS[name]):
        return Response(status_code=304, headers=headers)
    return Response(_FILES[name], headers=headers, media_type="text/javascript")


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether a caller has this version already (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
