"""What holds for every connection, whatever is sent over it."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import (
    Connection,
    End,
    ErrorCode,
    Template,
    Uncertain,
    Unprocessed,
)
from heliograph.wire.http2.frames import Kind, frame, rst_stream, window_update
from heliograph.wire.http2.receiving import GREETING, Receiver
from heliograph.wire.http2.sending import Sender
from wire.h2_peer import (
    ALERT,
    APNS,
    FCM,
    UNKNOWN_FRAME,
    Client,
    Judge,
    Server,
    body_of,
    connected,
    disguised,
    exchange,
    fields_of,
)

VALUES: Final = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).map(
    str.encode
)
"""Of header fields; ``%`` among them."""

NAMES: Final = st.sampled_from(
    [b"apns-topic", b"apns-id", b"x-a", b"x-b", b"authorization", b"content-type", b"ttl"]
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    return Template(
        (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"push.example.com"),
            (b":path", draw(st.none() | st.just(b"/100%"))),
            *((name, draw(st.none() | VALUES)) for name in names),
        ),
        draw(
            st.none()
            | st.binary(max_size=300)
            | st.tuples(st.binary(max_size=150), st.binary(max_size=150))
        ),
    )


@st.composite
def publishes(draw: st.DrawFn) -> list[tuple[Template, list[list[bytes]]]]:
    """A few templates, used in turn, each time for a few requests, often of equal lengths."""
    known = draw(st.lists(templates(), min_size=1, max_size=3))
    sent = []
    for template in draw(st.lists(st.sampled_from(known), min_size=1, max_size=6)):
        holes = template.holes
        value = draw(st.sampled_from([VALUES, VALUES.map(lambda text: text.ljust(9, b"%")[:9])]))
        request = st.lists(value, min_size=holes, max_size=holes)
        sent.append((template, draw(st.lists(request, min_size=1, max_size=8))))
    return sent


def written(
    sent: list[tuple[Template, list[list[bytes]]]], *, shortcuts: bool, settings: dict[str, int]
) -> tuple[bytes, Server]:
    """All that a client says to publish, and the server that has read it with the h2 library."""
    client, server = connected(shortcuts=shortcuts, **settings)
    said = b""
    for number, (template, requests) in enumerate(sent):
        keyed = [((number, at), values) for at, values in enumerate(requests)]
        assert len(keyed) == client.connection.send(template, keyed)
        data = client.connection.data_to_send()
        said += data
        server.receive(data)
        for stream_id in server.requests:
            if not server.requests[stream_id].is_whole:
                server.h2.increment_flow_control_window(1_000, stream_id)
        exchange(client, server)
    return said, server


@settings(deadline=None, max_examples=100)
@given(
    publishes(),
    st.sampled_from([0, 40, 120, 200, 4096, 65_536]),
    st.sampled_from([0, 20, 250, 65_535]),
)
def test_templates_say_what_was_meant(
    sent: list[tuple[Template, list[list[bytes]]]], table: int, window: int
) -> None:
    """An independent reader sees the requests, and short cuts write what the general path does."""
    limits = {"header_table_size": table, "initial_window_size": window}
    quick, server = written(sent, shortcuts=True, settings=limits)
    general, _ = written(sent, shortcuts=False, settings=limits)

    assert [
        (fields_of(template, values), body_of(template, values))
        for template, requests in sent
        for values in requests
    ] == [(request.fields, bytes(request.body)) for request in server.requests.values()]
    assert all(request.is_whole for request in server.requests.values())
    assert general == quick


class Script:
    """Frames that a server may answer a few requests with, as chance tells it."""

    def __init__(self, random: Random, streams: list[int], *, is_stateless: bool) -> None:
        self._random = random
        self._streams = streams
        self._held: list[bytes] = []
        self._encoder = Encoder()
        if is_stateless:
            self._encoder.header_table_size = 0

    def write(self) -> bytes:
        """Replies to most of the streams, and other words between them."""
        usual = [self.plain, self.plain, self.as_fcm, self.as_fcm, self.created, self.failure]
        rare = [self.with_trailers, self.in_pieces, self.padded, self.early_hints, self.reset]
        frames = []
        for stream_id in self._streams:
            held, self._held = self._held, []
            frames += [self._random.choice([*usual, *usual, *rare])(stream_id), *held]
        frames += self._held
        between: list[Callable[[], bytes]] = [self.settings, self.window, self.ping]
        between.append(lambda: UNKNOWN_FRAME)
        for _ in range(self._random.randrange(3)):
            frames.insert(self._random.randrange(len(frames)), self._random.choice(between)())
        return b"".join(frames)

    def block(self, status: int, *fields: tuple[str, str]) -> bytes:
        """A block with values that are Huffman-coded or not, and may be secrets."""
        is_secret = self._random.random() < 0.2
        pairs = [(":status", str(status), self._random.random() < 0.2)]
        pairs += [(*pair, is_secret) for pair in fields]
        return self._encoder.encode(pairs, huffman=self._random.random() < 0.5)

    def plain(self, stream_id: int) -> bytes:
        """As APNs accepts."""
        return frame(Kind.HEADERS, 5, stream_id, self.block(200, ("apns-id", f"{stream_id:09}")))

    def created(self, stream_id: int) -> bytes:
        """As a browser's service accepts."""
        at = ("location", "https://push.example.com/m/" + "gAAAA" * self._random.randrange(40))
        return frame(Kind.HEADERS, 5, stream_id, self.block(201, at, ("ttl", "60")))

    def as_fcm(self, stream_id: int) -> bytes:
        """As FCM answers: one frame of a body, or two, often with an empty one at the end."""
        begin = frame(Kind.HEADERS, 4, stream_id, self.block(200, ("content-type", "text/json")))
        bodies = self._random.choice([[b"{}"], [b"{}", b""], [b"", b"{}"], [b"a", b"b"], [b""]])
        if self._random.random() < 0.1:
            bodies = [*bodies, b"c", b"d"]
        if self._random.random() < 0.5:  # after the next reply
            self._held.append(self.body(stream_id, bodies))
            return begin
        return begin + self.body(stream_id, bodies)

    def body(self, stream_id: int, bodies: list[bytes]) -> bytes:
        """DATA frames, the last of which ends the stream."""
        last = len(bodies) - 1
        return b"".join(
            frame(Kind.DATA, int(at == last), stream_id, each) for at, each in enumerate(bodies)
        )

    def failure(self, stream_id: int) -> bytes:
        """With a body, small or large."""
        status = self._random.choice([400, 404, 410, 429, 503, 600])
        begin = frame(Kind.HEADERS, 4, stream_id, self.block(status, ("retry-after", "5")))
        return begin + self.body(stream_id, [b"x" * self._random.choice([3, 300, 16_384])])

    def with_trailers(self, stream_id: int) -> bytes:
        trailers = self._encoder.encode([("x-t", "1")])
        begin = frame(Kind.HEADERS, 4, stream_id, self.block(200))
        return (
            begin
            + frame(Kind.DATA, 0, stream_id, b"b")
            + frame(Kind.HEADERS, 5, stream_id, trailers)
        )

    def in_pieces(self, stream_id: int) -> bytes:
        block = self.block(self._random.choice([200, 201]), ("x-a", "b"))
        cut = self._random.randrange(len(block))
        begin = frame(Kind.HEADERS, 1, stream_id, block[:cut])
        return begin + frame(Kind.CONTINUATION, 4, stream_id, block[cut:])

    def padded(self, stream_id: int) -> bytes:
        begin = frame(Kind.HEADERS, 12, stream_id, b"\x03" + self.block(200) + bytes(3))
        return begin + frame(Kind.DATA, 9, stream_id, b"\x02{}" + bytes(2))

    def early_hints(self, stream_id: int) -> bytes:
        return frame(Kind.HEADERS, 4, stream_id, self.block(103)) + self.plain(stream_id)

    def reset(self, stream_id: int) -> bytes:
        return rst_stream(stream_id, self._random.choice(list(ErrorCode)))

    def settings(self) -> bytes:
        limit = self._random.choice([1, 50])
        return frame(Kind.SETTINGS, 0, 0, b"\0\3" + limit.to_bytes(4))

    def window(self) -> bytes:
        return window_update(0, 1 + self._random.randrange(9))

    def ping(self) -> bytes:
        return frame(Kind.PING, 0, 0, b"how r u?")


def read(
    written: list[bytes], *, shortcuts: bool, count: int
) -> tuple[list[tuple[object, End]], bytes]:
    """What ends, in its order, and what a client says to frames that come in pieces."""
    client, _ = connected(shortcuts=shortcuts, max_concurrent_streams=1_000)
    connection = client.connection
    keyed = [(key, (b"/3/device/ab", b"%d" % key)) for key in range(count)]
    assert count == connection.send(APNS, keyed)
    connection.data_to_send()
    ended: list[tuple[object, End]] = []
    said = b""
    for piece in written:
        ended += connection.receive_data(piece)
        said += connection.data_to_send()
    assert connection.failure is None
    return ended, said


def without_fields(end: End) -> End:
    """A 200 without a body may have come without its fields."""
    is_plain = isinstance(end, HttpResponse) and end.status == 200 and not end.body
    return HttpResponse(200) if is_plain else end


@settings(deadline=None, max_examples=200)
@given(st.integers(), st.integers(1, 30), st.booleans(), st.sampled_from([9, 70, 3_000, 10**6]))
def test_short_cuts_read_what_the_general_path_reads(
    seed: int, count: int, is_stateless: bool, longest: int
) -> None:
    """Ends, their order, and what is said are the same by both paths, however bytes come."""
    random = Random(seed)
    script = Script(random, [2 * key + 1 for key in range(count)], is_stateless=is_stateless)
    data, pieces = script.write(), []
    while data:
        cut = random.randint(1, longest)
        pieces.append(data[:cut])
        data = data[cut:]
    expected, answer = read(pieces, shortcuts=False, count=count)
    ended, said = read(pieces, shortcuts=True, count=count)

    assert [(key, without_fields(end)) for key, end in expected] == [
        (key, without_fields(end)) for key, end in ended
    ]
    assert answer == said
    assert count == len(ended)


def test_short_cuts_open_windows_when_the_general_path_does() -> None:
    """Bodies that come in one read count as if they had come one by one."""
    script = Script(Random(1), [], is_stateless=True)
    streams = range(1, 1_000, 2)
    large = [script.body(each, [b"x" * 10_000]) for each in streams]
    begun = [frame(Kind.HEADERS, 4, each, script.block(200)) for each in streams]
    data = b"".join(part for reply in zip(begun, large, strict=True) for part in reply)

    expected = read([data], shortcuts=False, count=len(streams))
    assert 2 == expected[1].count(window_update(0, 0)[:9])
    assert expected == read([data], shortcuts=True, count=len(streams))


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans(), st.booleans())
@example([b"\x00\x00\x00\x01\x05\x00\x00\x00\x01"], True, True)
@example([b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"], False, True)
def test_any_bytes_are_survived(pieces: list[bytes], is_greeted: bool, shortcuts: bool) -> None:
    """Whatever a peer sends, nothing is raised and every request ends exactly once."""
    client = Client(shortcuts=shortcuts)
    if is_greeted:
        client, _ = connected(shortcuts=shortcuts)
    taken = client.connection.send(FCM, [(key, [b"{}"]) for key in range(3)])
    client.connection.data_to_send()
    for piece in pieces:
        client.receive(piece)
        client.connection.data_to_send()
    client.close()

    assert set(range(taken)) == client.ends.keys()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 11),
            st.integers(0, 255),
            st.sampled_from([0, 1, 2, 3, 5, 99]),
            st.binary(max_size=30),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_frames_are_survived(
    strange: list[tuple[int, int, int, bytes]], shortcuts: bool
) -> None:
    """Well-formed frames without sense raise nothing either, and end every request once."""
    client, _ = connected(shortcuts=shortcuts)
    client.connection.send(FCM, [(key, [b"{}"]) for key in range(3)])
    client.connection.data_to_send()
    for kind, flags, stream_id, payload in strange:
        head = len(payload).to_bytes(3) + bytes([kind, flags]) + stream_id.to_bytes(4)
        client.receive(head + payload)
    client.close()

    assert {0, 1, 2} == client.ends.keys()


# --- a server that does everything a server may do -----------------------------------


class Life:
    """A client with more requests than room, and a server that does as a seed tells it."""

    def __init__(self, random: Random, client: Client, count: int) -> None:
        self.random = random
        self.client = client
        self.server = Server(
            max_concurrent_streams=random.choice([1, 3, 10]),
            initial_window_size=random.choice([0, 10, 300, 65_535]),
        )
        self.judge = Judge()
        self.waiting = [
            (key, (b"x" * random.choice([2, 200, 5_000, 40_000]),)) for key in range(count)
        ]
        self.sent: list[int] = []
        self.answered: dict[int, tuple[int, bytes]] = {}
        """What the server said to each key."""
        self.refused: set[int] = set()

    def key_of(self, stream_id: int) -> int:
        return self.sent[(stream_id - 1) // 2]

    def step(self) -> None:
        """Send what there is room for, let the server act, carry bytes both ways."""
        taken = self.client.connection.send(FCM, self.waiting)
        self.sent += [key for key, _ in self.waiting[:taken]]
        del self.waiting[:taken]
        out = self.client.connection.data_to_send()
        self.judge.client_sent(out)
        self.server.receive(out)
        self.act()
        back = self.server.data()
        self.judge.server_sent(back)
        self.client.receive(disguised(back, self.random))

    def act(self) -> None:
        action = self.random.choice(
            [self.answer, self.answer, self.answer, self.open_windows, self.reset, self.change]
        )
        action()

    def open_streams(self) -> list[int]:
        return [
            stream_id
            for stream_id in self.server.requests
            if self.key_of(stream_id) not in self.answered.keys() | self.refused
            and stream_id not in self.server.reset
        ]

    def answer(self) -> None:
        for stream_id in self.open_streams():
            if self.random.random() < 0.5:
                continue
            status = self.random.choice([200, 200, 400, 410])
            body = self.random.choice([b"", b"{}", b"z" * 20_000])
            if self.random.random() < 0.2:
                self.server.h2.send_headers(stream_id, [(":status", "103")])
            self.server.answer(
                stream_id,
                status,
                ("apns-id", str(stream_id)),
                body=body,
                trailers=self.random.choice([(), (), [("x-t", "1")]]),
                padding=self.random.choice([None, 0, 100]),
            )
            self.answered[self.key_of(stream_id)] = status, body
            if not self.server.requests[stream_id].is_whole or self.random.random() < 0.2:
                # an early reply, or a needless word after a complete one
                self.server.needlessly_reset(stream_id)

    def open_windows(self) -> None:
        self.server.h2.increment_flow_control_window(self.random.choice([1, 1_000, 100_000]))
        for stream_id in self.open_streams():
            if not self.server.requests[stream_id].is_whole:
                self.server.h2.increment_flow_control_window(
                    self.random.choice([1, 5_000, 50_000]), stream_id
                )

    def reset(self) -> None:
        for stream_id in self.open_streams()[:1]:
            code = self.random.choice([ErrorCodes.REFUSED_STREAM, ErrorCodes.INTERNAL_ERROR])
            self.server.h2.reset_stream(stream_id, code)
            self.refused.add(self.key_of(stream_id))

    def change(self) -> None:
        self.server.h2.ping(b"how r u?")
        self.server.set(
            max_concurrent_streams=self.random.choice([0, 1, 2, 20]),
            initial_window_size=self.random.choice([0, 5, 100, 70_000]),
            max_frame_size=self.random.choice([16_384, 40_000]),
            header_table_size=self.random.choice([0, 4096]),
        )


@pytest.mark.parametrize("shortcuts", [True, False])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(), steps=st.integers(1, 30), goes_away=st.booleans())
def test_a_life_in_full(seed: int, steps: int, goes_away: bool, shortcuts: bool) -> None:
    """
    However a server behaves, each request ends once, and as the server meant it.

    Replies come whole, what was answered is never called unprocessed, and no limit on
    streams and windows is ever exceeded.
    """
    life = Life(Random(seed), Client(shortcuts=shortcuts), count=30)
    for _ in range(steps):
        life.step()
    if goes_away:
        life.server.h2.close_connection(last_stream_id=(2 * len(life.sent)) // 2 | 1)
        life.client.receive(life.server.data())
    life.client.close()

    assert [] == life.judge.violations
    assert life.client.connection.failure is None
    assert set(life.sent) == life.client.ends.keys()
    for key, end in life.client.ends.items():
        match end:
            case HttpResponse():
                assert life.answered[int(str(key))] == (end.status, end.body)
            case Unprocessed() | Uncertain():
                assert key not in life.answered


class Greedy(Sender):
    """A sending half that believes it may do anything."""

    def obey(self, settings: Sequence[tuple[int, int]]) -> None:  # noqa: ARG002
        super().obey([])
        self._window = self._initial_window = 2**30


class Cheat(Connection):
    """A client with such a half."""

    def __init__(self) -> None:
        super().__init__()
        self._sender = Greedy(self._streams, shortcuts=True)
        self._receiver = Receiver(self._streams, self._sender, shortcuts=True)
        self._sender.control(GREETING)


def test_the_judge_sees_a_client_that_cheats() -> None:
    """The limits above are really watched: a client that ignores them is found out in both."""
    client, server, judge = Client(connection=Cheat()), Server(), Judge()
    server.set(max_concurrent_streams=2, initial_window_size=100)
    judge.client_sent(client.connection.data_to_send())
    for _ in range(2):
        back = server.data()
        judge.server_sent(back)
        client.receive(back)
        client.connection.send(FCM, [(key, [b"x" * 101]) for key in range(5)])
        judge.client_sent(client.connection.data_to_send())

    assert any("streams" in violation for violation in judge.violations)
    assert any("window" in violation for violation in judge.violations)


def test_a_request_is_what_apple_asks_for() -> None:
    """The path and the authorization stay out of every table, the lasting fields go in."""
    client, server = connected()
    client.connection.send(APNS, [(key, (b"/3/device/ab", b"id")) for key in range(3)])
    data = client.connection.data_to_send()
    server.receive(data)

    table = server.h2.decoder.header_table.dynamic_entries
    assert {b":authority", b"apns-topic", b"apns-push-type", b"apns-priority"} == {
        name for name, _ in table
    }
    assert 3 == data.count(b"/3/device/ab")
    assert 3 == data.count(ALERT)
