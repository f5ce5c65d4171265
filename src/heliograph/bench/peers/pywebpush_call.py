"""
pywebpush, as its page has it: one call for each message, which encrypts, signs and sends.

Variants: ``""`` is that call, which connects anew for each; ``session`` gives it a
``requests`` session to keep the connection in.
"""

import os

import requests
from pywebpush import webpush

from heliograph.bench.peers.browsers import browsers
from heliograph.bench.peers.meter import Meter, check, print_report, read_task
from heliograph.bench.work import Report, Task


def send(task: Task) -> Report:
    """Do a task."""
    os.environ["REQUESTS_CA_BUNDLE"] = task.ca_file
    session = requests.Session() if task.variant == "session" else None
    subscriptions: list[dict[str, object]] = [
        {"endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}}
        for endpoint, p256dh, auth in browsers(task)
    ]

    def push(subscription: dict[str, object]) -> int:
        answer = webpush(
            subscription,
            task.body,
            vapid_private_key=task.vapid_private,
            vapid_claims={"sub": task.subject},
            ttl=2_419_200,
            requests_session=session,
        )
        return int(answer.status_code)

    check({push(subscriptions[0])})
    with Meter() as meter:
        statuses = {push(each) for each in subscriptions[1:]}
    check(statuses)
    return meter.report(sent=task.count, requests=task.count + 1)


if __name__ == "__main__":
    print_report(send(read_task()))
