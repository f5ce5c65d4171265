import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from heliograph.client.publish import PusherConnectionError, PushNotifications


class Publishes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", "23")
        self.end_headers()
        self.wfile.write(b'{"publishId":"pubid-1"}')

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def private() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def address(private: trustme.CA) -> Iterator[str]:
    """A server whose certificate only the private authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    private.issue_cert("localhost").configure_cert(context)
    with (
        HTTPServer(("127.0.0.1", 0), Publishes) as server,
        context.wrap_socket(server.socket, server_side=True) as server.socket,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_private_authority_is_trusted_when_named(
    address: str, private: trustme.CA, tmp_path: Path
) -> None:
    """With ca_file a bare host is reached over https with a private certificate."""
    file = tmp_path / "ca.pem"
    private.cert_pem.write_to_path(str(file))

    with PushNotifications("i", "s", address, ca_file=file) as client:
        assert {"publishId": "pubid-1"} == client.publish_to_users(["user-001"], {})


def test_a_private_authority_is_not_trusted_otherwise(address: str) -> None:
    """Without ca_file the private certificate is refused, and nothing is sent."""
    with (
        PushNotifications("i", "s", address) as client,
        pytest.raises(PusherConnectionError, match="certificate"),
    ):
        client.publish_to_users(["user-001"], {})
