"""
aioapns, as its page has it: a client, and a task for each notification.

It knows a server as a class with a host and a port, and waits for its own ``apns-id``
to come back, so it is sent to a door of the sink that echoes it.
"""

import asyncio
import json
from urllib.parse import urlsplit

import uvloop
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol

from heliograph.bench.peers.meter import Meter, check, context, print_report, read_task
from heliograph.bench.work import Report, Task


async def send(task: Task) -> Report:
    """Do a task."""
    address = urlsplit(task.origin)

    class Protocol(APNsTLSClientProtocol):
        APNS_SERVER = str(address.hostname)
        APNS_PORT = address.port or 443

    client = APNs(
        key=task.key_pem,
        key_id="ABCDE12345",
        team_id="FGHIJ67890",
        topic=task.topic,
        max_connections=1,
        ssl_context=context(task, "h2"),
    )
    client.pool.protocol_class = Protocol
    message = json.loads(task.body)
    places = asyncio.Semaphore(task.streams)

    async def push(token: str) -> int:
        async with places:
            request = NotificationRequest(token, message, priority=10, push_type=PushType.ALERT)
            return int((await client.send_notification(request)).status)

    (first, *rest) = task.tokens()
    check({await push(first)})
    with Meter() as meter:
        statuses = await asyncio.gather(*[push(each) for each in rest])
    check(set(statuses))
    return meter.report(sent=task.count, requests=task.count + 1)


if __name__ == "__main__":
    print_report(uvloop.run(send(read_task())))
