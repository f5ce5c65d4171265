"""
An HTTP client for an application without a network, that sends exactly what it is told.

A path is bytes and is not mended, a header may be wrong, a body may come in pieces
or never end: what a proper client library refuses to send.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an application answered; a status of 0 is no answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    path: bytes,
    *,
    headers: Headers = (),
    body: bytes | Iterable[bytes] = b"",
    leave: bool = False,
) -> Reply:
    """
    One request.

    Args:
        app: Whom to ask.
        method: Its method.
        path: The path with its query, as on the wire.
        headers: Those besides ``host``; one that is given stands instead of it.
        body: Whole or in pieces.
        leave: Hang up after the last piece instead of saying that it was the last.
    """
    raw_path, _, query = path.partition(b"?")
    pieces = iter([body] if isinstance(body, bytes) else body)
    names = {name for name, _ in headers}
    replies: list[Message] = []

    async def receive() -> Message:
        piece = next(pieces, None)
        if piece is None:
            if leave:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Message) -> None:
        replies.append(message)

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [*([] if b"host" in names else [(b"host", b"product")]), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        },
        receive,
        send,
    )
    start: Message = replies[0] if replies else {"status": 0, "headers": []}
    return Reply(
        start["status"],
        {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in replies[1:]),
    )
