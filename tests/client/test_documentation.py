"""The examples in the documentation run, over a real socket."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from client.fakes import FakeBeams

DOCUMENT = Path(__file__).parents[2] / "docs" / "python-sdks.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


class FakeEverything:
    """All that the examples talk to, at one address."""

    def __init__(self) -> None:
        self.device_api = FakeBeams()

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/publish_api/"):
            return httpx.Response(200, json={"publishId": "pubid-1"})
        if path.startswith("/customer_api/"):
            return httpx.Response(200)
        if path == "/pusher/beams-auth":
            return httpx.Response(200, json={"token": f"for.{request.url.params['user_id']}"})
        if path.startswith("/imfpush/"):
            return _ibm(request)
        return self.device_api.handle(request)


def _ibm(request: httpx.Request) -> httpx.Response:
    """As IBM's API answers a device that it does not know."""
    match request.method, request.url.path.rpartition("/")[2]:
        case "POST", "devices":
            return httpx.Response(201, content=request.content)
        case "GET", "tags":
            return httpx.Response(200, json={"tags": []})
        case "DELETE", _:
            return httpx.Response(204)
        case _:
            return httpx.Response(404)


@pytest.fixture
def address() -> Iterator[str]:
    fake = FakeEverything()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"http://{self.headers['host']}{self.path}"
            request = httpx.Request(self.command, url, headers=dict(self.headers), content=content)
            reply = fake.answer(request)
            self.send_response(reply.status_code)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815  (http.server's names)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_there_are_examples() -> None:
    """Every SDK, and asyncio, has an example."""
    assert 4 == len(EXAMPLES)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    number: int, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An example does what it shows, with the addresses replaced by those of a fake."""
    program = re.sub(r"http://127\.0\.0\.1:80\d\d", address, EXAMPLES[number])
    program = re.sub(r"(?<=\")[a-z-]*device\.json", str(tmp_path / "device.json"), program)
    program = program.replace("    ) as beams:", f'        endpoint="{address}",\n    ) as beams:')

    exec(compile(program, DOCUMENT.name, "exec"), {"__name__": "example"})  # noqa: S102  (ours)

    assert capsys.readouterr().out.strip()
