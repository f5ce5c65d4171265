import asyncio
import json

import httpx
import pytest
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.settings import SettingCodes

from heliograph.sandbox import Credentials, Sandbox
from heliograph.sandbox.devices import Device, Platform
from heliograph.sandbox.exchange import Gateway
from heliograph.sandbox.scenario import Fault, FaultName, Plan
from heliograph.sandbox.server import utc_now
from sandbox.peer import PATIENCE_SECONDS, Peer
from sandbox.senders import provider_token

ALERT = b'{"aps":{"alert":"Hello"}}'


class Apple:
    """A sender with valid credentials and one phone."""

    def __init__(self, sandbox: Sandbox, credentials: Credentials) -> None:
        self.sandbox = sandbox
        self.url = sandbox.addresses()["apns"]
        self.phone = self.mint()
        token = provider_token(credentials, now=utc_now())
        self.headers = {"apns-topic": "com.example.app", "authorization": f"bearer {token}"}

    def mint(self) -> Device:
        return self.sandbox.devices.mint(Platform.APNS, now=utc_now())

    def faults(self, *faults: Fault) -> None:
        self.sandbox.scenario.follow(Plan(faults=faults))

    def push(self, peer: Peer, device: Device | None = None) -> int:
        """A notification put in the buffer."""
        return peer.ask(f"/3/device/{(device or self.phone).key}", self.headers, ALERT)


@pytest.fixture
def apple(sandbox: Sandbox, credentials: Credentials) -> Apple:
    return Apple(sandbox, credentials)


async def status_of(peer: Peer, stream_id: int) -> str:
    response = await peer.until(ResponseReceived, stream_id=stream_id)
    return dict(response.headers)[b":status"].decode()


async def streams_allowed(peer: Peer) -> int:
    settings = await peer.until(RemoteSettingsChanged)
    return settings.changed_settings[SettingCodes.MAX_CONCURRENT_STREAMS].new_value


async def test_whole_exchange(
    sandbox: Sandbox, apple: Apple, http2_client: httpx.AsyncClient
) -> None:
    """An ordinary HTTP/2 client sends a notification, and it arrives."""
    path = f"{apple.url}/3/device/{apple.phone.key}"
    response = await http2_client.post(path, content=ALERT, headers=apple.headers)

    assert ("HTTP/2", 200, b"") == (
        response.http_version,
        response.status_code,
        response.content,
    )
    assert 1 == len(sandbox.inbox.entries(apple.phone))


async def test_errors_have_a_body(apple: Apple, http2_client: httpx.AsyncClient) -> None:
    """A refusal is JSON with its length."""
    response = await http2_client.post(f"{apple.url}/3/device/00", headers=apple.headers)

    assert {"reason": "BadDeviceToken"} == response.json()
    assert "27" == response.headers["content-length"]


async def test_one_stream_until_a_valid_token(sandbox: Sandbox, apple: Apple) -> None:
    """The limit is one stream at first and a thousand after the first valid token."""
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        first_limit = await streams_allowed(peer)
        stream_id = apple.push(peer)
        peer.flush()
        second_limit = await streams_allowed(peer)

        assert (1, 1000) == (first_limit, second_limit)
        assert "200" == await status_of(peer, stream_id)


async def test_stream_above_the_limit_is_refused(sandbox: Sandbox, apple: Apple) -> None:
    """One stream too many is refused by itself; the one before it is answered."""
    apple.faults(Fault(FaultName.SLOW, delay_seconds=0.05))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        first = apple.push(peer)
        second = _flushed(peer, apple.push(peer))
        reset = await peer.until(StreamReset)

        assert (second, ErrorCodes.REFUSED_STREAM) == (reset.stream_id, reset.error_code)
        assert "200" == await status_of(peer, first)


async def test_many_streams_at_once(sandbox: Sandbox, apple: Apple) -> None:
    """Requests that come together are all answered on one connection."""
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await status_of(peer, _flushed(peer, apple.push(peer)))
        streams = [apple.push(peer) for _ in range(99)]
        peer.flush()
        statuses = {await status_of(peer, stream_id) for stream_id in streams}

        assert {"200"} == statuses
        assert 100 == len(sandbox.inbox)


async def test_refused_stream_fault(sandbox: Sandbox, apple: Apple) -> None:
    """A refused stream is reset with REFUSED_STREAM and nothing is delivered."""
    apple.faults(Fault(FaultName.REFUSED_STREAM, times=1))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        first = _flushed(peer, apple.push(peer))
        reset = await peer.until(StreamReset, stream_id=first)
        again = _flushed(peer, apple.push(peer))

        assert ErrorCodes.REFUSED_STREAM == reset.error_code
        assert "200" == await status_of(peer, again)
        assert 1 == len(sandbox.inbox)


async def test_lost_answer_fault(sandbox: Sandbox, apple: Apple) -> None:
    """A lost answer is a reset although the notification arrived."""
    apple.faults(Fault(FaultName.LOST_ANSWER))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        reset = await peer.until(StreamReset, stream_id=_flushed(peer, apple.push(peer)))

        assert ErrorCodes.INTERNAL_ERROR == reset.error_code
        assert 1 == len(sandbox.inbox)


async def test_goaway_fault(sandbox: Sandbox, apple: Apple) -> None:
    """GOAWAY leaves its request unprocessed, gives Apple's reason, and the end follows."""
    apple.faults(Fault(FaultName.GOAWAY, token=apple.phone.key))
    other = apple.mint()
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        first = _flushed(peer, apple.push(peer, other))
        status = await status_of(peer, first)
        _flushed(peer, apple.push(peer))
        goaway = await peer.until(ConnectionTerminated)

        assert "200" == status
        assert (ErrorCodes.NO_ERROR, first) == (goaway.error_code, goaway.last_stream_id)
        assert {"reason": "Shutdown"} == json.loads(goaway.additional_data or b"")
        assert await peer.ended()
    assert [other] == [entry.device for entry in sandbox.inbox.entries()]


async def test_goaway_waits_for_earlier_answers(sandbox: Sandbox, apple: Apple) -> None:
    """A request that was under way is still answered after GOAWAY."""
    late = apple.mint()
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await status_of(peer, _flushed(peer, apple.push(peer)))
        apple.faults(
            Fault(FaultName.SLOW, token=late.key, delay_seconds=0.05),
            Fault(FaultName.GOAWAY),
        )
        slow = apple.push(peer, late)
        _flushed(peer, apple.push(peer))
        frames = await peer.frames_to_the_end()

        kinds = [(type(frame).__name__, frame.stream_id) for frame in frames]
        assert ("GoAwayFrame", 0) in kinds
        assert ("HeadersFrame", slow) in kinds[kinds.index(("GoAwayFrame", 0)) :]


async def test_fewer_streams_fault(sandbox: Sandbox, apple: Apple) -> None:
    """The limit is lowered for the rest of the connection."""
    apple.faults(Fault(FaultName.FEWER_STREAMS, streams=3))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await streams_allowed(peer)
        stream_id = _flushed(peer, apple.push(peer))

        assert 3 == await streams_allowed(peer)
        assert "200" == await status_of(peer, stream_id)


async def test_smaller_windows_fault(sandbox: Sandbox, apple: Apple) -> None:
    """From then on a body goes out in pieces, each once the window has opened again."""
    apple.faults(Fault(FaultName.SMALLER_WINDOWS, times=1, window_bytes=8))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        status = await status_of(peer, _flushed(peer, apple.push(peer)))
        later = peer.begin(f"/3/device/{apple.phone.key}", apple.headers)
        windows = []
        for at in range(0, len(ALERT), 8):
            windows.append(peer.connection.local_flow_control_window(later))
            peer.connection.send_data(later, ALERT[at : at + 8], end_stream=at + 8 >= len(ALERT))
            peer.flush()
            if at + 8 < len(ALERT):
                await peer.until(WindowUpdated, stream_id=later)

        assert ("200", [8] * 4) == (status, windows)
        assert "200" == await status_of(peer, later)


async def test_stall_fault(sandbox: Sandbox, apple: Apple) -> None:
    """The request is never answered; what was sent behind it is read after the stall."""
    apple.faults(Fault(FaultName.STALL, times=1, delay_seconds=0.05))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await streams_allowed(peer)
        stalled = _flushed(peer, apple.push(peer))
        peer.connection.reset_stream(stalled, ErrorCodes.CANCEL)
        later = _flushed(peer, apple.push(peer))

        assert "200" == await status_of(peer, later)
    assert 1 == len(sandbox.inbox)


@pytest.mark.parametrize("name", [FaultName.STALL, FaultName.SLOW_READS])
async def test_a_connection_that_rests_answers_no_ping(
    sandbox: Sandbox, apple: Apple, name: FaultName
) -> None:
    """While one connection reads nothing, another is answered at once."""
    apple.faults(Fault(name, times=1, delay_seconds=60))
    async with (
        Peer.connected(apple.url, sandbox.authority) as resting,
        Peer.connected(apple.url, sandbox.authority) as other,
    ):
        _flushed(resting, apple.push(resting))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not sandbox.stats.of(Gateway.APNS).faults[name]:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for peer in (resting, other):
            peer.connection.ping(bytes(8))
            peer.flush()
        await other.until(PingAckReceived)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):  # what has come already is read all the same
                await resting.until(PingAckReceived)
        resting.abort()  # it would not answer a goodbye either


async def test_slow_reads_fault(sandbox: Sandbox, apple: Apple) -> None:
    """However slowly the connection reads, everything on it is answered."""
    apple.faults(Fault(FaultName.SLOW_READS, times=1, delay_seconds=0.02))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        statuses = [await status_of(peer, _flushed(peer, apple.push(peer))) for _ in range(3)]

        assert ["200"] * 3 == statuses
    assert 3 == len(sandbox.inbox)


async def test_disconnect_fault(sandbox: Sandbox, apple: Apple) -> None:
    """The connection ends without a word."""
    apple.faults(Fault(FaultName.DISCONNECT))
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        _flushed(peer, apple.push(peer))

        assert await peer.ended()
    assert 0 == len(sandbox.inbox)


async def test_slow_fault(sandbox: Sandbox, apple: Apple) -> None:
    """A slow answer lets later ones pass."""
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await status_of(peer, _flushed(peer, apple.push(peer)))
        apple.faults(Fault(FaultName.SLOW, times=1, delay_seconds=0.05))
        slow = apple.push(peer)
        quick = _flushed(peer, apple.push(peer))
        first = await peer.until(ResponseReceived)
        second = await peer.until(ResponseReceived)

        assert [quick, slow] == [first.stream_id, second.stream_id]


async def test_reset_by_the_peer_cancels_a_late_answer(sandbox: Sandbox, apple: Apple) -> None:
    """A sender that gives up on a stream gets nothing more on it, and the connection lives."""
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        await status_of(peer, _flushed(peer, apple.push(peer)))
        apple.faults(Fault(FaultName.NO_ANSWER, times=1))
        silent = _flushed(peer, apple.push(peer))
        peer.connection.reset_stream(silent, ErrorCodes.CANCEL)

        assert "200" == await status_of(peer, _flushed(peer, apple.push(peer)))


async def test_answer_waits_for_the_peers_window(sandbox: Sandbox, apple: Apple) -> None:
    """A body longer than the peer's window comes in pieces, as the window opens."""
    async with Peer.connected(apple.url, sandbox.authority) as peer:
        peer.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        peer.flush()
        stream_id = _flushed(peer, peer.ask("/3/device/00", apple.headers, ALERT))
        first = await peer.until(DataReceived, stream_id=stream_id)
        peer.connection.increment_flow_control_window(100, stream_id)
        peer.flush()
        rest = await peer.until(DataReceived, stream_id=stream_id)
        await peer.until(StreamEnded, stream_id=stream_id)

        assert 10 == len(first.data)
        assert b'{"reason":"BadDeviceToken"}' == first.data + rest.data


async def test_huge_body_is_read_and_refused(apple: Apple, http2_client: httpx.AsyncClient) -> None:
    """A body far above every limit and window is taken in and answered."""
    path = f"{apple.url}/3/device/{apple.phone.key}"
    response = await http2_client.post(path, content=b"x" * 1_000_000, headers=apple.headers)

    assert (413, {"reason": "PayloadTooLarge"}) == (response.status_code, response.json())


async def test_headers_may_hold_any_bytes(apple: Apple, http2_client: httpx.AsyncClient) -> None:
    """A header that is not UTF-8 is judged like any other."""
    headers = [(name.encode(), value.encode()) for name, value in apple.headers.items()]
    path = f"{apple.url}/3/device/{apple.phone.key}"
    response = await http2_client.post(
        path, content=ALERT, headers=[*headers, (b"apns-id", b"\xff\xfe")]
    )

    assert {"reason": "BadMessageId"} == response.json()


async def test_nonsense_ends_the_connection(sandbox: Sandbox) -> None:
    """Bytes that are no HTTP/2 are answered with GOAWAY and the end."""
    async with Peer.connected(sandbox.addresses()["apns"], sandbox.authority) as peer:
        peer.connection.clear_outbound_data_buffer()
        peer.write(b"\x00\x00\x01\x06\x00\x00\x00\x00\x00x")
        goaway = await peer.until(ConnectionTerminated)

        assert ErrorCodes.FRAME_SIZE_ERROR == goaway.error_code
        assert await peer.ended()


def _flushed(peer: Peer, stream_id: int) -> int:
    peer.flush()
    return stream_id
