"""
What accepting a publish costs in each dialect, side by side.

Requests go straight to the application of one process, over SQLite, twenty at once and in turns,
so that the rounds of both meet the same machine; CPU is this process's, commits and all.

    PYTHONPATH=.:tests python -m benchmarks.dialects --rounds 5
"""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import structlog

from api.asgi import ask
from support import Served, in_process

_AT_ONCE: Final = 20
_UNLIMITED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """A publish to one person, as a dialect asks for it."""

    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: dict[str, Any]


def requests(served: Served) -> dict[str, Request]:
    """The same message to the same person, with a device there is, in each dialect."""
    instance = served.instance
    kind = (b"content-type", b"application/json")
    bearer = f"Bearer {instance.secret_keys[0]}".encode()
    beams = {
        "users": ["u"],
        "apns": {"aps": {"alert": "hi", "badge": 1}},
        "fcm": {"notification": {"body": "hi"}},
        "web": {"notification": {"body": "hi"}},
    }
    ibm = {
        "message": {"alert": "hi"},
        "target": {"userIds": ["u"]},
        "settings": {"apns": {"badge": 1}},
    }
    return {
        "Beams": Request(
            f"/publish_api/v1/instances/{instance.id}/publishes/users",
            (kind, (b"authorization", bearer)),
            beams,
        ),
        "IBM": Request(
            f"/imfpush/v1/apps/{instance.id}/messages",
            (kind, (b"appsecret", instance.app_secret.encode())),
            ibm,
        ),
    }


async def turn(served: Served, request: Request, count: int) -> float:
    """CPU of one turn, in microseconds a publish."""
    body = json.dumps(request.body).encode()
    path = request.path.encode()
    began = time.process_time()
    for _ in range(count // _AT_ONCE):
        replies = await asyncio.gather(
            *[
                ask(served.product.app, "POST", path, headers=request.headers, body=body)
                for _ in range(_AT_ONCE)
            ]
        )
        if not {each.status for each in replies} <= {200, 202}:
            raise SystemExit(f"refused: {replies[0]}")
    return (time.process_time() - began) / count * 1e6


async def measure(rounds: int, count: int) -> dict[str, list[float]]:
    """Some turns of each dialect, alternating; the first of each only warms up."""
    folder = Path(tempfile.mkdtemp(prefix="heliograph-dialects-"))
    async with in_process(folder, publish_rate=_UNLIMITED, device_rate=_UNLIMITED) as served:
        client = {"clientSecret": served.instance.client_secret}
        device = {"deviceId": "d", "token": "00ff", "platform": "A", "userId": "u"}
        made = await served.http.post(
            f"/imfpush/v1/apps/{served.instance.id}/devices", json=device, headers=client
        )
        made.raise_for_status()
        every = requests(served)
        took: dict[str, list[float]] = {name: [] for name in every}
        for _ in range(rounds + 1):
            for name, request in every.items():
                took[name].append(await turn(served, request, count))
    return {name: turns[1:] for name, turns in took.items()}


def main() -> None:
    """Print the median of each, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    took = asyncio.run(measure(options.rounds, options.count))
    for name, turns in took.items():
        print(f"{name:6} {median(turns):6.0f} µs  ({min(turns):.0f} to {max(turns):.0f})")
    print(f"IBM / Beams: {median(took['IBM']) / median(took['Beams']):.2f}")


if __name__ == "__main__":
    main()
