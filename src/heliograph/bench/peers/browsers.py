"""The subscriptions that Web Push goes to, from the file that a task names."""

from pathlib import Path

import msgspec

from heliograph.bench.work import HOLE, Task


def browsers(task: Task) -> list[tuple[str, str, str]]:
    """Endpoint, ``p256dh`` and ``auth``, the two as base64url, of each device."""
    keys = msgspec.json.decode(Path(task.browsers_file).read_bytes(), type=list[dict[str, str]])
    return [
        (task.origin + task.path.replace(HOLE, token), each["p256dh"], each["auth"])
        for token, each in zip(task.tokens(), keys, strict=False)
    ]
