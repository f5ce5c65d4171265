"""What holds for every connection, whatever is sent over it."""

from random import Random
from typing import Final

import pytest
from h2.errors import ErrorCodes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import Connection, Template, Uncertain, Unprocessed
from wire.h2_peer import (
    ALERT,
    APNS,
    FCM,
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
        draw(st.none() | st.binary(max_size=300)),
    )


@st.composite
def publishes(draw: st.DrawFn) -> list[tuple[Template, list[list[bytes]]]]:
    """A few templates, used in turn, each time for a few requests."""
    known = draw(st.lists(templates(), min_size=1, max_size=3))
    sent = []
    for template in draw(st.lists(st.sampled_from(known), min_size=1, max_size=6)):
        request = st.lists(VALUES, min_size=template.holes, max_size=template.holes)
        sent.append((template, draw(st.lists(request, min_size=1, max_size=4))))
    return sent


def received_by_a_server(
    sent: list[tuple[Template, list[list[bytes]]]], *, shortcuts: bool, table: int
) -> list[tuple[list[tuple[bytes, bytes]], bytes]]:
    """What the h2 library makes of publishes."""
    client, server = connected(shortcuts=shortcuts, header_table_size=table)
    for number, (template, requests) in enumerate(sent):
        keyed = [((number, at), values) for at, values in enumerate(requests)]
        assert len(keyed) == client.connection.send(template, keyed)
        exchange(client, server)
    assert all(request.is_whole for request in server.requests.values())
    return [(request.fields, bytes(request.body)) for request in server.requests.values()]


@settings(deadline=None, max_examples=60)
@given(publishes(), st.sampled_from([0, 40, 120, 200, 4096, 65_536]))
def test_templates_say_what_was_meant(
    sent: list[tuple[Template, list[list[bytes]]]], table: int
) -> None:
    """An independent reader sees the same requests from short cuts and from the general path."""
    expected = [
        (fields_of(template, values), body_of(template, values))
        for template, requests in sent
        for values in requests
    ]

    assert expected == received_by_a_server(sent, shortcuts=True, table=table)
    assert expected == received_by_a_server(sent, shortcuts=False, table=table)


REPLIES: Final = st.lists(
    st.tuples(
        st.sampled_from([200, 200, 200, 201, 400, 410, 503]),
        st.lists(st.tuples(st.sampled_from(["apns-id", "x-a"]), st.sampled_from("abc"))),
        st.binary(max_size=50),
    ),
    min_size=1,
    max_size=12,
)


def ends_of(
    replies: list[tuple[int, list[tuple[str, str]], bytes]], random: Random, *, shortcuts: bool
) -> dict[object, tuple[int, bytes]]:
    """What becomes of requests answered in disguise, and in pieces."""
    client, server = connected(shortcuts=shortcuts)
    keyed = [(key, (b"/3/device/ab", b"%d" % key)) for key in range(len(replies))]
    assert len(keyed) == client.connection.send(APNS, keyed)
    server.receive(client.connection.data_to_send())
    for stream_id, (status, fields, body) in zip(server.requests, replies, strict=True):
        server.answer(stream_id, status, *fields, body=body)
    data = disguised(server.data(), random)
    while data:
        cut = random.randint(1, 60)
        client.receive(data[:cut])
        data = data[cut:]
    assert client.connection.failure is None
    return {
        key: (end.status, end.body)
        for key, end in client.ends.items()
        if isinstance(end, HttpResponse)
    }


@given(REPLIES, st.integers())
def test_short_cuts_read_what_the_general_path_reads(
    replies: list[tuple[int, list[tuple[str, str]], bytes]], seed: int
) -> None:
    """Status and body of every reply are the same by both paths, however its bytes come."""
    expected = {key: (status, body) for key, (status, _, body) in enumerate(replies)}

    assert expected == ends_of(replies, Random(seed), shortcuts=True)
    assert expected == ends_of(replies, Random(seed), shortcuts=False)


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


class Cheat(Connection):
    """A client that believes it may do anything."""

    def _apply(self, setting: int, value: int) -> None:
        """Take no notice."""

    def _receive_settings(self, flags: int, payload: bytes) -> None:
        super()._receive_settings(flags, payload)
        self._window = self._initial_window = 2**30


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
