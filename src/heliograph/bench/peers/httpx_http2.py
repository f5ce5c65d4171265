"""httpx with HTTP/2: a task for each request, a hundred at a time as its pool has it."""

import asyncio

import httpx

from heliograph.bench.peers.meter import (
    Meter,
    check,
    context,
    print_report,
    read_task,
    requests_of,
)
from heliograph.bench.work import Report, Task


async def send(task: Task) -> Report:
    """Do a task."""
    (first, *rest) = requests_of(task)
    verify = context(task, "h2")
    headers = list(task.headers)
    places = asyncio.Semaphore(100)
    async with httpx.AsyncClient(http1=False, http2=True, verify=verify, timeout=60) as client:

        async def post(url: str, body: bytes) -> int:
            async with places:
                return (await client.post(url, headers=headers, content=body)).status_code

        check({await post(*first)})
        with Meter() as meter:
            statuses = await asyncio.gather(*[post(*each) for each in rest])
        check(set(statuses))
    return meter.report(sent=task.count, requests=task.count + 1)


if __name__ == "__main__":
    print_report(asyncio.run(send(read_task())))
