"""
A server to which somebody has moved, and the snippets of the page that told them how.

The page's host stands for wherever the server listens.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from heliograph.app import on_the_network, product
from heliograph.instances import Instance
from heliograph.sandbox.authority import Authority
from heliograph.serving import Tls
from support import settings_in

HOST: Final = "push.example.com"


@dataclass(frozen=True, slots=True)
class Server:
    """The product under a page's instance id, by http and by https."""

    instance: Instance
    http: httpx.AsyncClient
    port: int
    tls_port: int
    ca_file: Path


@asynccontextmanager
async def a_server(folder: Path, identity: str) -> AsyncIterator[Server]:
    """A server with one instance, of this id."""
    authority = Authority()
    chain, key = authority.server_certificate()
    tls = Tls(folder / "tls.pem", folder / "tls.key")
    tls.certificate.write_text(chain)
    tls.key.write_text(key)
    (folder / "ca.pem").write_text(authority.ca_pem)
    settings = settings_in(folder, listen_tls="127.0.0.1:0")
    async with (
        product(settings, role="all") as built,
        on_the_network(built.app, settings, tls=tls) as addresses,
        httpx.AsyncClient(base_url=addresses["endpoint"]) as http,
    ):
        yield Server(
            instance=await built.instances.create("moved", identity=identity),
            http=http,
            port=urlsplit(addresses["endpoint"]).port or 0,
            tls_port=urlsplit(addresses["tls_endpoint"]).port or 0,
            ca_file=folder / "ca.pem",
        )


def snippets(page: str, title: str, language: str) -> list[str]:
    """The snippets in a language under a heading, up to the next one."""
    _, _, rest = re.split(rf"^(##+ {re.escape(title)})$", page, maxsplit=1, flags=re.MULTILINE)
    own = re.split(r"^##+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", own, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {language} under {title}"
    return found


def request_in(snippet: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """A request as it stands on a page, for a client; words for secrets have become secrets."""
    head, _, body = snippet.partition("\n\n")
    for word, secret in secrets.items():
        head = head.replace(word, secret)
    first, *fields = head.splitlines()
    method, url = first.split()
    headers = dict(line.split(": ", 1) for line in fields)
    assert HOST == urlsplit(url).hostname
    return {
        "method": method,
        "url": urlsplit(url).path,
        "content": body.strip(),
        "headers": headers,
    }


async def said_by(
    *command: str | Path, environment: Mapping[str, str], cwd: Path | None = None
) -> str:
    """What a program prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, problem = await process.communicate()
    assert 0 == process.returncode, problem.decode()
    return output.decode()
