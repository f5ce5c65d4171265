"""Replies of the sink, read by a library that is not ours."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded

from heliograph.bench.replies import REPLIES, Reply, echo
from heliograph.model import Gateway
from heliograph.wire.http2.frames import settings


def read_by_h2(reply: Reply, count: int) -> list[Event]:
    """What a client understands that has asked so many times."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    request = [(":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/")]
    ids = []
    for _ in range(count):
        ids.append(client.get_next_available_stream_id())
        client.send_headers(ids[-1], request, end_stream=True)
    first, *rest = [each.to_bytes(4) for each in ids]
    return client.receive_data(b"".join([settings({}), reply.first(first), *reply.to(rest)]))


@pytest.mark.parametrize(
    "gateway, status, field",
    [
        (Gateway.APNS, b"200", (b"apns-id", b"01234567-89ab-4def-8123-456789abcdef")),
        (Gateway.FCM, b"200", (b"content-type", b"application/json; charset=UTF-8")),
        (Gateway.WEB, b"201", (b"location", b"https://127.0.0.1/m/0123456789abcdef")),
    ],
)
def test_a_reply_is_that_of_its_service(
    gateway: Gateway, status: bytes, field: tuple[bytes, bytes]
) -> None:
    """Status and header fields of every reply are what the service would say."""
    events = read_by_h2(REPLIES[gateway], 3)
    headers = [each.headers for each in events if isinstance(each, ResponseReceived)]

    assert [True] * 3 == [
        (b":status", status) in (each or []) and field in (each or []) for each in headers
    ]
    assert [1, 3, 5] == [each.stream_id for each in events if isinstance(each, StreamEnded)]


def test_fcm_names_the_message() -> None:
    """FCM's reply has a body, in JSON."""
    events = read_by_h2(REPLIES[Gateway.FCM], 2)

    assert [True, True] == [
        b'"name": "projects/' in each.data for each in events if isinstance(each, DataReceived)
    ]


def test_an_echo_carries_the_id_that_came() -> None:
    """The reply to aioapns has the ``apns-id`` of its request."""
    (event, *_) = [
        each for each in read_by_h2(echo(b"mine"), 1) if isinstance(each, ResponseReceived)
    ]

    assert (b"apns-id", b"mine") in (event.headers or [])
