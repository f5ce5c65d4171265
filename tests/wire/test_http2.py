"""The rules of a connection, one by one."""

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from heliograph.wire.http import HttpResponse
from heliograph.wire.http2 import (
    MAX_BODY_BYTES,
    ErrorCode,
    GoAway,
    Template,
    Uncertain,
    Unprocessed,
)
from heliograph.wire.http2.frames import PREFACE, Kind, frame, settings
from wire.h2_peer import APNS, FCM, Client, connected, exchange, frames_in

ONE = (b"/3/device/ab", b"id")


def sent_by(client: Client) -> list[Frame]:
    """Every frame that a connection has to send now."""
    data = client.connection.data_to_send()
    return list(frames_in(data.removeprefix(PREFACE)))


def asked(count: int, **limits: int) -> Client:
    """A connection with requests under way; their keys are 0, 1, ... on streams 1, 3, ..."""
    client, _ = connected(shortcuts=True, **limits)
    assert count == client.connection.send(FCM, [(key, [b"{}"]) for key in range(count)])
    client.connection.data_to_send()
    return client


def reply(stream_id: int, *fields: tuple[str, str], ends: bool = True) -> bytes:
    """A HEADERS frame without references to a table."""
    made = HeadersFrame(stream_id, Encoder().encode([(*pair, True) for pair in fields]))
    made.flags.add("END_HEADERS")
    if ends:
        made.flags.add("END_STREAM")
    return made.serialize()


def data(stream_id: int, body: bytes, *, ends: bool = False) -> bytes:
    made = DataFrame(stream_id, body)
    if ends:
        made.flags.add("END_STREAM")
    return made.serialize()


class TestLimits:
    def test_one_stream_until_the_peer_has_spoken(self) -> None:
        """Before the first SETTINGS a single request goes out, as Apple wants it."""
        client = Client()

        assert 1 == client.connection.room
        assert 1 == client.connection.send(APNS, [(key, ONE) for key in range(5)])
        assert 0 == client.connection.room

    def test_the_peer_sets_the_limit(self) -> None:
        """MAX_CONCURRENT_STREAMS is how many requests may be open at once."""
        client, server = connected(max_concurrent_streams=3)

        assert 3 == client.connection.send(APNS, [(key, ONE) for key in range(5)])
        exchange(client, server)
        server.answer(1)
        exchange(client, server)
        assert 1 == client.connection.room

    def test_a_lowered_limit_waits_for_streams_to_end(self) -> None:
        """When the limit sinks below what is open, nothing is sent until enough has ended."""
        client, server = connected(max_concurrent_streams=3)
        client.connection.send(APNS, [(key, ONE) for key in range(3)])
        server.set(max_concurrent_streams=2)
        exchange(client, server)

        assert 0 == client.connection.room
        server.answer(1)
        exchange(client, server)
        assert 0 == client.connection.room
        server.answer(3)
        exchange(client, server)
        assert 1 == client.connection.room

    def test_a_body_larger_than_the_window_goes_out_in_turns(self) -> None:
        """What does not fit the windows waits for them to open, and then arrives whole."""
        client, server = connected(initial_window_size=100)
        body = bytes(range(250))
        client.connection.send(FCM, [("k", [body])])
        exchange(client, server)
        assert not server.requests[1].is_whole

        server.h2.increment_flow_control_window(100, 1)
        exchange(client, server)
        server.set(initial_window_size=200)
        exchange(client, server)

        assert body == server.requests[1].body
        assert server.requests[1].is_whole

    def test_a_stream_is_not_taken_while_too_much_waits(self) -> None:
        """Bodies that the windows hold back are bounded: then there is no room."""
        client, _ = connected(initial_window_size=0)
        body = b"x" * 600_000

        assert 2 == client.connection.send(FCM, [(key, [body]) for key in range(5)])
        assert 0 == client.connection.room

    def test_a_header_block_of_any_size_arrives(self) -> None:
        """What exceeds a frame continues in the next."""
        client, server = connected()
        path = b"/" + b"%" * 40_000
        client.connection.send(APNS, [("k", (path, b"id"))])
        exchange(client, server)

        assert (b":path", path) in server.requests[1].fields

    def test_a_template_larger_than_the_table_still_works(self) -> None:
        """Fields that do not fit the peer's table go out as they are, in every request."""
        big = (b"x-big", b"v" * 5_000)
        template = Template((*APNS.fields, big), b"{}")
        client, server = connected()
        for key in range(3):
            client.connection.send(template, [(key, ONE)])
            exchange(client, server)

        assert all(big in request.fields for request in server.requests.values())

    def test_a_request_without_a_body_ends_with_its_header_fields(self) -> None:
        """No empty DATA frame follows."""
        client, server = connected()
        client.connection.send(Template(APNS.fields, b""), [("k", ONE)])

        assert [HeadersFrame] == [type(each) for each in sent_by(client)]
        assert not server.requests

    def test_a_wrong_number_of_values_is_refused(self) -> None:
        """A caller that does not fill the holes is told so, and nothing is sent."""
        client, _ = connected()

        with pytest.raises(ValueError, match="zip"):
            client.connection.send(APNS, [("k", (b"/only-the-path",))])
        assert [] == sent_by(client)


class TestReplies:
    def test_a_plain_200_is_not_looked_into(self) -> None:
        """A 200 without a body is known as such from its first byte."""
        client = asked(1)
        client.receive(reply(1, (":status", "200"), ("apns-id", "x")))

        assert {0: HttpResponse(200, (("apns-id", "x"),))} == client.ends

    def test_short_cuts_begin_when_the_peer_empties_its_table(self) -> None:
        """Before it has, every block is read: it may change what later ones mean."""
        client, server = connected()
        client.connection.send(APNS, [(key, ONE) for key in range(2)])
        exchange(client, server)
        server.answer(1, 200, ("apns-id", "first"))
        server.answer(3, 200, ("apns-id", "second"))
        exchange(client, server)

        assert HttpResponse(200, (("apns-id", "first"),)) == client.ends[0]
        assert HttpResponse(200) == client.ends[1]

    @pytest.mark.parametrize(
        "broken",
        [
            data(3, b"x" * 16_385, ends=True),
            data(7, b"of no stream", ends=True),
            frame(Kind.DATA, 9, 3, b"\x09padding"),
        ],
    )
    def test_short_cuts_take_nothing_that_breaks_a_rule(self, broken: bytes) -> None:
        """A body that the general path would not take costs the connection here as well."""
        client = asked(2)
        client.receive(frame(Kind.HEADERS, 5, 1, b"\x20\x88"))
        client.receive(frame(Kind.HEADERS, 4, 3, b"\x88") + broken)

        assert client.connection.failure is not None
        assert isinstance(client.ends[1], Uncertain)

    def test_a_failure_keeps_its_fields_and_body(self) -> None:
        """What the gateway has to say arrives as it was said."""
        client, server = connected()
        client.connection.send(APNS, [("k", ONE)])
        exchange(client, server)
        server.answer(1, 410, ("apns-id", "x"), body=b'{"reason":"Unregistered"}', padding=7)
        exchange(client, server)

        assert (
            HttpResponse(410, (("apns-id", "x"),), b'{"reason":"Unregistered"}')
            == (client.ends["k"])
        )

    def test_informational_replies_and_trailers_add_nothing(self) -> None:
        """A reply may be preceded by 1xx and followed by trailers."""
        client = asked(1)
        client.receive(reply(1, (":status", "103"), ends=False))
        client.receive(reply(1, (":status", "200"), ends=False))
        client.receive(data(1, b"body"))
        client.receive(reply(1, ("x-trailer", "1")))

        assert {0: HttpResponse(200, (), b"body")} == client.ends

    def test_an_endless_body_is_cut_off(self) -> None:
        """The reply counts with what we take of its body, and the stream is reset."""
        client = asked(1)
        client.receive(reply(1, (":status", "200"), ends=False))
        for _ in range(5):
            client.receive(data(1, b"x" * 16_000))

        assert {0: HttpResponse(200, (), b"x" * MAX_BODY_BYTES)} == client.ends
        assert [(1, ErrorCode.CANCEL)] == [
            (each.stream_id, each.error_code)
            for each in sent_by(client)
            if isinstance(each, RstStreamFrame)
        ]

    def test_windows_are_opened_in_large_steps(self) -> None:
        """Many replies with bodies cost few WINDOW_UPDATE frames, and never stall."""
        client, server = connected()
        updates = 0
        for key in range(400):
            client.connection.send(FCM, [(key, [b"{}"])])
            exchange(client, server)
            server.answer(2 * key + 1, body=b"x" * 30_000)
            client.receive(server.data())
            out = client.connection.data_to_send()
            updates += sum(isinstance(each, WindowUpdateFrame) for each in frames_in(out))
            server.receive(out)

        assert 400 == len(client.ends)
        assert 0 < updates < 12

    def test_an_early_reply_ends_the_request(self) -> None:
        """A reply that does not wait for the body counts, and the rest is not sent."""
        client, server = connected(initial_window_size=10)
        client.connection.send(FCM, [("k", [b"x" * 100])])
        exchange(client, server)
        server.answer(1, 413)
        client.receive(server.data())

        assert 413 == getattr(client.ends["k"], "status", None)
        assert [RstStreamFrame] == [type(each) for each in sent_by(client)]

    @pytest.mark.parametrize(
        "malformed",
        [
            reply(1, (":status", "20")),
            reply(1, (":status", "2000")),
            reply(1, (":status", "101")),
            reply(1, (":status", "100")),
            reply(1, ("x-a", "b")),
            reply(1, ("x-a", "b"), (":status", "200")),
            reply(1, (":status", "200"), (":status", "200")),
            reply(1, (":status", "200"), (":path", "/")),
            data(1, b"no fields before me"),
            reply(1, (":status", "200"), ends=False) + reply(1, ("x-a", "b"), ends=False),
        ],
    )
    def test_a_malformed_reply_costs_its_stream(self, malformed: bytes) -> None:
        """The request is uncertain, the stream is reset, the connection goes on."""
        client = asked(1)
        client.receive(malformed)

        assert isinstance(client.ends[0], Uncertain)
        assert RstStreamFrame in [type(each) for each in sent_by(client)]
        assert client.connection.is_usable


class TestEndsWithoutReply:
    def test_a_refused_stream_was_not_processed(self) -> None:
        """REFUSED_STREAM promises it (RFC 9113 §8.7)."""
        client = asked(1)
        client.receive(RstStreamFrame(1, error_code=ErrorCodes.REFUSED_STREAM).serialize())

        assert {0: Unprocessed("RST_STREAM REFUSED_STREAM")} == client.ends

    @pytest.mark.parametrize("code", [ErrorCodes.INTERNAL_ERROR, ErrorCodes.NO_ERROR, 4711])
    def test_any_other_reset_is_uncertain(self, code: int) -> None:
        """Nobody knows how far the request had come."""
        client = asked(1)
        client.receive(RstStreamFrame(1, error_code=code).serialize())

        assert isinstance(client.ends[0], Uncertain)

    def test_a_reset_after_a_whole_reply_is_nothing(self) -> None:
        """Servers say NO_ERROR to a request that they answered without reading it all."""
        client = asked(2, max_concurrent_streams=2)
        client.receive(reply(1, (":status", "200")))
        client.receive(RstStreamFrame(1, error_code=ErrorCodes.NO_ERROR).serialize())

        assert [0] == list(client.ends)
        assert 1 == client.connection.room

    def test_goaway_spares_what_is_above_its_last_stream(self) -> None:
        """What is above was not processed, and is told why; what is below may still be answered."""
        client = asked(3)
        client.receive(GoAwayFrame(0, 3, 0, b'{"reason":"Shutdown"}').serialize())
        client.receive(reply(3, (":status", "200")))

        last_word = b'{"reason":"Shutdown"}'
        assert {2: Unprocessed("GOAWAY", last_word), 1: HttpResponse(200)} == client.ends
        assert GoAway(3, 0, last_word) == client.connection.goaway
        assert 0 == client.connection.room
        assert not client.connection.is_usable

    def test_a_second_goaway_may_only_lower_the_last_stream(self) -> None:
        """A graceful shutdown begins with the highest number there is (RFC 9113 §6.8)."""
        client = asked(3)
        client.receive(GoAwayFrame(0, 2**31 - 1).serialize())
        assert {} == client.ends
        client.receive(GoAwayFrame(0, 1).serialize())
        client.receive(GoAwayFrame(0, 5).serialize())

        assert {1, 2} == client.ends.keys()

    def test_what_was_never_written_is_unprocessed(self) -> None:
        """A request that has not left us when the connection ends is free to be sent again."""
        client = asked(1)
        client.connection.send(FCM, [("late", [b"{}"])])
        client.close()

        assert {0: Uncertain("closed"), "late": Unprocessed("closed")} == client.ends

    def test_giving_up_resets_the_oldest(self) -> None:
        """Requests up to a stream are uncertain, and the peer is told; later ones go on."""
        client = asked(3)
        client.give_up(3)

        assert {0: Uncertain("no reply in time"), 1: Uncertain("no reply in time")} == client.ends
        assert [(1, ErrorCode.CANCEL), (3, ErrorCode.CANCEL)] == [
            (each.stream_id, each.error_code)
            for each in sent_by(client)
            if isinstance(each, RstStreamFrame)
        ]
        client.receive(reply(1, (":status", "200")) + reply(5, (":status", "200")))
        assert HttpResponse(200) == client.ends[2]

    def test_closing_twice_is_closing_once(self) -> None:
        """Nothing ends a second time, and bytes that still come are ignored."""
        client = asked(1)
        client.close()
        client.close()
        client.receive(reply(1, (":status", "200")))

        assert {0: Uncertain("closed")} == client.ends


class TestSignsOfLife:
    def test_a_ping_is_answered(self) -> None:
        """With the same eight bytes (RFC 9113 §6.7)."""
        client = asked(0)
        client.receive(PingFrame(0, b"12345678").serialize())

        (answer,) = sent_by(client)
        assert isinstance(answer, PingFrame)
        assert (b"12345678", {"ACK"}) == (answer.opaque_data, set(answer.flags))

    def test_our_ping_waits_for_its_answer(self) -> None:
        """Until then the connection may be dead."""
        client, server = connected()
        client.connection.ping()
        assert client.connection.is_ping_unanswered
        exchange(client, server)

        assert not client.connection.is_ping_unanswered


IN_A_BLOCK = frame(Kind.HEADERS, 0, 1, b"\x88")


@pytest.mark.parametrize(
    "code,broken",
    [
        ("PROTOCOL_ERROR", reply(7, (":status", "200"))),
        ("PROTOCOL_ERROR", reply(2, (":status", "200"))),
        ("PROTOCOL_ERROR", data(7, b"x")),
        ("PROTOCOL_ERROR", RstStreamFrame(7, error_code=0).serialize()),
        ("PROTOCOL_ERROR", WindowUpdateFrame(7, window_increment=1).serialize()),
        ("PROTOCOL_ERROR", PushPromiseFrame(1, 2, b"\x88").serialize()),
        ("PROTOCOL_ERROR", frame(Kind.CONTINUATION, 4, 1, b"\x88")),
        ("PROTOCOL_ERROR", IN_A_BLOCK + PingFrame(0, bytes(8)).serialize()),
        ("PROTOCOL_ERROR", IN_A_BLOCK + frame(Kind.CONTINUATION, 4, 3, b"")),
        ("PROTOCOL_ERROR", frame(Kind.DATA, 8, 1, b"\x05abc")),
        ("PROTOCOL_ERROR", frame(Kind.DATA, 0, 0)),
        ("PROTOCOL_ERROR", frame(Kind.PING, 0, 1, bytes(8))),
        ("PROTOCOL_ERROR", frame(Kind.WINDOW_UPDATE, 0, 0, bytes(4))),
        ("PROTOCOL_ERROR", settings({2: 1})),  # type: ignore[dict-item]
        ("PROTOCOL_ERROR", settings({5: 100})),  # type: ignore[dict-item]
        ("FLOW_CONTROL_ERROR", settings({4: 2**31})),  # type: ignore[dict-item]
        ("FLOW_CONTROL_ERROR", frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")),
        ("FRAME_SIZE_ERROR", frame(Kind.PING, 0, 0, b"short")),
        ("FRAME_SIZE_ERROR", frame(Kind.SETTINGS, 0, 0, b"12345")),
        ("FRAME_SIZE_ERROR", frame(Kind.SETTINGS, 1, 0, bytes(6))),
        ("FRAME_SIZE_ERROR", frame(Kind.GOAWAY, 0, 0, b"1234567")),
        ("FRAME_SIZE_ERROR", frame(Kind.RST_STREAM, 0, 1, b"123")),
        ("FRAME_SIZE_ERROR", frame(Kind.DATA, 8, 1, b"")),
        ("FRAME_SIZE_ERROR", b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"),
        ("FRAME_SIZE_ERROR", frame(Kind.DATA, 0, 1, bytes(16_385))),
        ("COMPRESSION_ERROR", frame(Kind.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff")),
        ("COMPRESSION_ERROR", frame(Kind.HEADERS, 5, 1, b"\xc6")),
        ("ENHANCE_YOUR_CALM", IN_A_BLOCK + frame(Kind.CONTINUATION, 0, 1, bytes(16_384)) * 3),
        ("ENHANCE_YOUR_CALM", PingFrame(0, bytes(8)).serialize() * 20_000),
    ],
)
def test_a_peer_that_breaks_the_rules_loses_the_connection(code: str, broken: bytes) -> None:
    """It is told which rule, and what was under way is uncertain."""
    client = asked(1)
    client.receive(broken)

    assert client.connection.failure is not None
    assert ErrorCode[code] == client.connection.failure.code
    assert isinstance(client.ends[0], Uncertain)
    (last,) = sent_by(client)
    assert isinstance(last, GoAwayFrame)
    assert ErrorCode[code] == last.error_code


@pytest.mark.parametrize(
    "first", [PingFrame(0, bytes(8)).serialize(), SettingsFrame(0, flags=["ACK"]).serialize()]
)
def test_a_peer_must_greet_with_settings(first: bytes) -> None:
    """Anything else means that it does not speak HTTP/2 (RFC 9113 §3.4)."""
    client = Client()
    client.receive(first)

    assert client.connection.failure is not None


def test_what_means_nothing_is_ignored() -> None:
    """Unknown frames and settings, PRIORITY, and frames of streams that have ended."""
    client = asked(1)
    client.receive(reply(1, (":status", "200")))
    client.receive(frame(Kind.PRIORITY, 0, 1, bytes(5)))
    client.receive(b"\x00\x00\x01\xfe\xff\x00\x00\x00\x05x")
    client.receive(settings({99: 1}))  # type: ignore[dict-item]
    client.receive(data(1, b"late") + reply(1, (":status", "200")))
    client.receive(WindowUpdateFrame(1, window_increment=5).serialize())

    assert client.connection.is_usable
    assert [0] == list(client.ends)


def test_the_connection_ends_with_its_stream_numbers() -> None:
    """There are 2**30 of them; then a new connection is needed (RFC 9113 §5.1.1)."""
    client, _ = connected()
    client.connection._streams.next_id = 2**31 - 3  # noqa: SLF001  (a thousand million requests later)

    assert 2 == client.connection.send(FCM, [(key, [b"{}"]) for key in range(5)])
    assert 0 == client.connection.room
    assert not client.connection.is_usable
