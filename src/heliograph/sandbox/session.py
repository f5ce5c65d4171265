"""
One connection's conversation with one service: check, then fault, then accept.

A service decides by `Service.check` whether a request is good. A good one meets the scenario;
only one that gets past it is delivered.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from msgspec.structs import replace

from heliograph.sandbox.exchange import (
    Answer,
    Disconnect,
    Gateway,
    GoAway,
    Reaction,
    Request,
    Reset,
    Silence,
    Stall,
)
from heliograph.sandbox.scenario import Fault, FaultName, Scenario
from heliograph.sandbox.stats import Stats
from heliograph.wire.http import HttpResponse

Clock = Callable[[], datetime]

REDIRECT_STATUS: Final = 307

_ACCEPTED_ALL_THE_SAME: Final = frozenset(
    {
        FaultName.SLOW,
        FaultName.LOST_ANSWER,
        FaultName.FEWER_STREAMS,
        FaultName.SMALLER_WINDOWS,
        FaultName.SLOW_READS,
    }
)
"""Faults that let the message arrive."""

SMALL_WINDOW_BYTES: Final = 16
"""Less than any message, so that each is sent in pieces."""


@dataclass(slots=True)
class Connection:
    """What a service remembers about one connection."""

    key_id: str | None = None
    """The Apple key that a valid provider token came from; None before the first."""
    certificate: bytes | None = None
    """The client's certificate in DER, signed by the sandbox's authority; None without one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is not good."""

    gateway: Gateway
    response: HttpResponse
    reason: str
    """In the service's own words, for the statistics."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request is good."""

    gateway: Gateway
    response: HttpResponse
    deliver: Callable[[], None]
    """Makes it so: until this is called, nothing has changed."""
    names: tuple[str, ...] = ()
    """All the names of the device it is for; empty if it is for none."""


Verdict = Refused | Accepted


class Service(Protocol):
    """An imitated push service, apart from connections, faults and counters."""

    @property
    def gateway(self) -> Gateway:
        """Whose connections these are."""
        ...

    def check(self, request: Request, connection: Connection, now: datetime) -> Verdict:
        """Judge a request as the real service would."""
        ...

    def fault_response(
        self, gateway: Gateway, fault: Fault, request: Request, now: datetime
    ) -> HttpResponse:
        """What the real service answers when this goes wrong."""
        ...

    def opening_streams(self, connection: Connection) -> int:
        """How many streams this connection may use when it is new."""
        ...

    def earned_streams(self, connection: Connection) -> int:
        """How many streams this connection may use by now."""
        ...


@dataclass(slots=True)
class ServiceSession:
    """A `heliograph.sandbox.exchange.Session` with any of the services."""

    service: Service
    scenario: Scenario
    stats: Stats
    clock: Clock
    certificate: InitVar[bytes | None] = None
    """What the client proved itself with in the handshake, in DER."""
    max_concurrent_streams: int = field(init=False)
    _connection: Connection = field(init=False)

    def __post_init__(self, certificate: bytes | None) -> None:
        self._connection = Connection(certificate=certificate)
        self.max_concurrent_streams = self.service.opening_streams(self._connection)
        counters = self.stats.of(self.service.gateway)
        counters.connections_opened += 1
        counters.connections_open += 1

    def react(self, request: Request) -> Reaction:
        """Judge the request, act out the fault it meets, or accept it."""
        now = self.clock()
        verdict = self.service.check(request, self._connection, now)
        counters = self.stats.of(verdict.gateway)
        counters.requests += 1
        if isinstance(verdict, Refused):
            counters.refusals[verdict.reason] += 1
            return Answer(verdict.response, streams=self._new_limit())
        fault = self.scenario.next_fault(verdict.gateway, verdict.names)
        if fault is None:
            counters.accepted += 1
            verdict.deliver()
            return Answer(verdict.response, streams=self._new_limit())
        counters.faults[fault.fault] += 1
        return self._act_out(fault, verdict, request, now)

    def closed(self) -> None:
        """Count the connection as ended."""
        self.stats.of(self.service.gateway).connections_open -= 1

    def _act_out(
        self, fault: Fault, accepted: Accepted, request: Request, now: datetime
    ) -> Reaction:
        if fault.fault in _ACCEPTED_ALL_THE_SAME:
            accepted.deliver()
            return self._accept(fault, accepted.response)
        delay = fault.delay_seconds
        match fault.fault:
            case FaultName.RESET | FaultName.REFUSED_STREAM:
                is_refused = fault.fault is FaultName.REFUSED_STREAM
                return Reset(refused=is_refused, after_seconds=delay)
            case FaultName.GOAWAY:
                return GoAway(fault.reason or "Shutdown")
            case FaultName.DISCONNECT:
                return Disconnect()
            case FaultName.NO_ANSWER:
                return Silence()
            case FaultName.STALL:
                return Stall(delay)
            case FaultName.TRUNCATED_ERROR:
                whole = replace(fault, fault=FaultName.INTERNAL_ERROR)
                response = self.service.fault_response(accepted.gateway, whole, request, now)
                return Answer(_advised(_cut(response), fault), delay, self._new_limit())
            case _:
                response = self.service.fault_response(accepted.gateway, fault, request, now)
                return Answer(_advised(response, fault), delay, self._new_limit())

    def _accept(self, fault: Fault, response: HttpResponse) -> Reaction:
        """What becomes of the answer to a request that was delivered."""
        delay = fault.delay_seconds
        match fault.fault:
            case FaultName.LOST_ANSWER:
                return Reset(refused=False, after_seconds=delay)
            case FaultName.FEWER_STREAMS:
                self.max_concurrent_streams = 1 if fault.streams is None else fault.streams
                return Answer(response, delay, self.max_concurrent_streams)
            case FaultName.SMALLER_WINDOWS:
                window = SMALL_WINDOW_BYTES if fault.window_bytes is None else fault.window_bytes
                return Answer(response, delay, self._new_limit(), window)
            case FaultName.SLOW_READS:
                limit = self._new_limit()
                return Answer(response, streams=limit, reads_every_seconds=delay)
            case _:  # slow
                return Answer(response, delay, self._new_limit())

    def _new_limit(self) -> int | None:
        """The stream limit to announce; None if it is the one in force."""
        if self.max_concurrent_streams != self.service.opening_streams(self._connection):
            return None  # changed before, by merit or by a fault
        earned = self.service.earned_streams(self._connection)
        if earned == self.max_concurrent_streams:
            return None
        self.max_concurrent_streams = earned
        return earned


def plain_fault(fault: Fault) -> HttpResponse | None:
    """The answer to a fault that looks the same at every service; None for the others."""
    match fault.fault:
        case FaultName.EMPTY_ERROR:
            return HttpResponse(fault.status or 500)
        case FaultName.REDIRECT:
            return HttpResponse(REDIRECT_STATUS, (("location", fault.location or "/"),))
        case FaultName.BAD_GATEWAY:
            return HttpResponse(502, (("content-type", "text/html; charset=UTF-8"),), _HTML_502)
        case _:
            return None


def milliseconds(moment: datetime, *, ago_seconds: int = 0) -> int:
    """Milliseconds from the epoch to this many seconds before the moment."""
    return int((moment - timedelta(seconds=ago_seconds)).timestamp() * 1000)


def _cut(response: HttpResponse) -> HttpResponse:
    """The response with half of its body; its length says that this is all."""
    half = response.body[: len(response.body) // 2]
    return HttpResponse(response.status, response.headers, half)


def _advised(response: HttpResponse, fault: Fault) -> HttpResponse:
    if fault.retry_after is None:
        return response
    advice = ("retry-after", str(fault.retry_after))
    return HttpResponse(response.status, (*response.headers, advice), response.body)


_HTML_502: Final = (
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 502 (Server Error)!!1</title>\n"
    b"<p><b>502.</b> The server encountered a temporary error and could not complete your "
    b"request.<p>Please try again in 30 seconds.\n"
)
"""What a load balancer in front of Google says; no JSON, although the service speaks JSON."""
