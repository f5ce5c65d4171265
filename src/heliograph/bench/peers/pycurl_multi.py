"""pycurl: libcurl's multi interface, as many handles as streams, used again and again."""

import io
from collections.abc import Iterator

import pycurl

from heliograph.bench.peers.meter import Meter, check, print_report, read_task, requests_of
from heliograph.bench.work import Report, Task


def send(task: Task) -> Report:
    """Do a task."""
    (first, *rest) = requests_of(task)
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, task.streams)
    handles = [_handle(task) for _ in range(min(task.streams, task.count))]
    check(_perform(multi, handles[:1], iter([first])))
    with Meter() as meter:
        statuses = _perform(multi, handles, iter(rest))
    check(statuses)
    return meter.report(sent=task.count, requests=task.count + 1)


def _handle(task: Task) -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    handle.setopt(pycurl.PIPEWAIT, 1)
    handle.setopt(pycurl.CAINFO, task.ca_file)
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in task.headers])
    return handle


def _perform(
    multi: pycurl.CurlMulti, handles: list[pycurl.Curl], requests: Iterator[tuple[str, bytes]]
) -> set[int]:
    """Post everything; the statuses that came."""
    statuses = set()
    under_way = 0

    def begin(handle: pycurl.Curl) -> int:
        request = next(requests, None)
        if request is None:
            return 0
        url, body = request
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.POSTFIELDS, body)
        handle.setopt(pycurl.WRITEDATA, io.BytesIO())
        multi.add_handle(handle)
        return 1

    for handle in handles:
        under_way += begin(handle)
    while under_way:
        multi.perform()
        _, done, failed = multi.info_read(len(handles))
        if failed:
            raise SystemExit(str(failed[0][2]))
        for handle in done:
            statuses.add(int(handle.getinfo(pycurl.RESPONSE_CODE)))
            multi.remove_handle(handle)
            under_way += begin(handle) - 1
        if under_way and not done:
            multi.select(1.0)
    return statuses


if __name__ == "__main__":
    print_report(send(read_task()))
