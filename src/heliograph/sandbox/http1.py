"""HTTP/1.1 connections from the server's end, on the ``h11`` library."""

import asyncio
from typing import Final, assert_never, cast

import h11

from heliograph.sandbox.exchange import (
    MAX_BODY_BYTES,
    Answer,
    Disconnect,
    GoAway,
    Reaction,
    Request,
    Reset,
    Session,
    Silence,
    Stall,
)
from heliograph.wire.http import HttpResponse

_BAD_REQUEST: Final = HttpResponse(400, (("connection", "close"),))


class Http1Protocol(asyncio.Protocol):
    """One HTTP/1.1 connection: a request, its answer, the next request."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        transport = cast("asyncio.Transport", transport)  # TLS: a byte stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        self._connection.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        """The peer sends no more; the transport closes."""

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget what was under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._session.closed()

    def pause_writing(self) -> None:
        """Read no more requests while the peer does not read the answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def shut_down(self) -> None:
        """Close, answered or not."""
        self._transport.close()

    def _read(self) -> None:
        try:
            while not self._transport.is_closing():
                event = self._connection.next_event()
                if isinstance(event, h11.ConnectionClosed):
                    self._transport.close()
                elif isinstance(event, h11.Request):
                    self._begin(event)
                elif isinstance(event, h11.Data):
                    self._body += event.data[: MAX_BODY_BYTES - len(self._body)]
                elif isinstance(event, h11.EndOfMessage):
                    self._finish()
                else:  # NEED_DATA or PAUSED
                    return
        except h11.RemoteProtocolError:
            self._answer_bad_request()

    def _begin(self, request: h11.Request) -> None:
        self._request = request
        self._body.clear()
        if self._connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self._send(go_on)

    def _finish(self) -> None:
        head = self._request
        assert head is not None  # noqa: S101 - h11 gives EndOfMessage after Request only
        headers = tuple((name.decode(), value.decode("latin-1")) for name, value in head.headers)
        request = Request(
            head.method.decode(), head.target.decode("latin-1"), headers, bytes(self._body)
        )
        self._carry_out(self._session.react(request))

    def _carry_out(self, reaction: Reaction) -> None:
        match reaction:
            case Answer():
                self._later(reaction.after_seconds, reaction.response)
            case Reset():
                self._later(reaction.after_seconds, None)
            case GoAway() | Disconnect():
                self._transport.abort()
            case Silence() | Stall():
                pass
            case _:
                assert_never(reaction)

    def _later(self, seconds: float, response: HttpResponse | None) -> None:
        """Answer after this time; without a response, drop the connection then."""
        if not seconds:
            self._settle(response)
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._settle_late, response)

    def _settle_late(self, response: HttpResponse | None) -> None:
        if not self._transport.is_closing():
            self._settle(response)
            self._read()

    def _settle(self, response: HttpResponse | None) -> None:
        if response is None:
            self._transport.abort()
            return
        self._answer(response)
        if self._connection.our_state is h11.DONE:
            self._connection.start_next_cycle()
        else:
            self._transport.close()

    def _answer(self, response: HttpResponse) -> None:
        headers = [*response.headers, ("content-length", str(len(response.body)))]
        self._send(h11.Response(status_code=response.status, headers=headers))
        head_only = self._request is not None and self._request.method == b"HEAD"
        if not head_only:
            self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())

    def _answer_bad_request(self) -> None:
        if self._connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._answer(_BAD_REQUEST)
        self._transport.close()

    def _send(self, event: h11.Event) -> None:
        data = self._connection.send(event)
        if data:
            self._transport.write(data)
