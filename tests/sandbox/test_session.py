from datetime import datetime

import pytest

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
from heliograph.sandbox.scenario import Fault, FaultName, Plan, Scenario
from heliograph.sandbox.session import (
    Accepted,
    Connection,
    Refused,
    ServiceSession,
    Verdict,
    milliseconds,
)
from heliograph.sandbox.stats import Stats
from heliograph.wire.http import HttpResponse
from sandbox.senders import NOW

GOOD = HttpResponse(200)
FAULTY = HttpResponse(503, body=b'{"reason":1}')


class Parrot:
    """A service that takes every request for /good and remembers that it did."""

    gateway = Gateway.APNS

    def __init__(self) -> None:
        self.delivered: list[str] = []

    def check(self, request: Request, connection: Connection, now: datetime) -> Verdict:
        assert NOW == now
        if request.path != "/good":
            return Refused(Gateway.APNS, HttpResponse(404), "BadPath")
        connection.key_id = "seen"
        return Accepted(Gateway.APNS, GOOD, lambda: self.delivered.append("it"), ("phone",))

    def fault_response(
        self, gateway: Gateway, fault: Fault, request: Request, now: datetime
    ) -> HttpResponse:
        del gateway, fault, request, now
        return FAULTY

    def opening_streams(self, connection: Connection) -> int:
        return 1 if connection.certificate is None else 100

    def earned_streams(self, connection: Connection) -> int:
        return 1 if connection.key_id is None else 100


class Visit:
    """A session with the parrot under a scenario of one fault."""

    def __init__(self, *faults: Fault) -> None:
        self.service = Parrot()
        self.stats = Stats()
        scenario = Scenario(Plan(faults=faults))
        self.session = ServiceSession(self.service, scenario, self.stats, lambda: NOW)

    def react(self, path: str = "/good") -> Reaction:
        return self.session.react(Request("POST", path))


def test_good_request_is_delivered() -> None:
    """A good request is accepted and raises the stream limit once."""
    visit = Visit()

    assert Answer(GOOD, streams=100) == visit.react()
    assert Answer(GOOD) == visit.react()
    assert ["it", "it"] == visit.service.delivered
    assert 100 == visit.session.max_concurrent_streams


def test_certificate_opens_all_streams_at_once() -> None:
    """What the handshake has proved need not be proved again by a first request."""
    session = ServiceSession(Parrot(), Scenario(), Stats(), lambda: NOW, certificate=b"DER")

    assert 100 == session.max_concurrent_streams
    assert Answer(GOOD) == session.react(Request("POST", "/good"))


def test_refused_request_meets_no_fault() -> None:
    """What is wrong is refused as always, and uses up no fault."""
    visit = Visit(Fault(FaultName.UNAVAILABLE, times=1))

    assert Answer(HttpResponse(404)) == visit.react("/bad")
    assert Answer(FAULTY, streams=100) == visit.react()
    assert Answer(GOOD) == visit.react()


@pytest.mark.parametrize(
    "fault,reaction,delivered",
    [
        (Fault(FaultName.UNAVAILABLE), Answer(FAULTY, streams=100), False),
        (Fault(FaultName.UNREGISTERED, delay_seconds=2), Answer(FAULTY, 2, 100), False),
        (
            Fault(FaultName.UNAVAILABLE, retry_after=9),
            Answer(HttpResponse(503, (("retry-after", "9"),), FAULTY.body), streams=100),
            False,
        ),
        (Fault(FaultName.SLOW, delay_seconds=2), Answer(GOOD, 2, 100), True),
        (Fault(FaultName.FEWER_STREAMS), Answer(GOOD, streams=1), True),
        (Fault(FaultName.FEWER_STREAMS, streams=3), Answer(GOOD, streams=3), True),
        (Fault(FaultName.LOST_ANSWER), Reset(refused=False), True),
        (Fault(FaultName.RESET), Reset(refused=False), False),
        (Fault(FaultName.REFUSED_STREAM), Reset(refused=True), False),
        (Fault(FaultName.GOAWAY), GoAway("Shutdown"), False),
        (Fault(FaultName.GOAWAY, reason="BadCertificate"), GoAway("BadCertificate"), False),
        (Fault(FaultName.DISCONNECT), Disconnect(), False),
        (Fault(FaultName.NO_ANSWER), Silence(), False),
        (Fault(FaultName.STALL, delay_seconds=2), Stall(2), False),
        (
            Fault(FaultName.SLOW_READS, delay_seconds=2),
            Answer(GOOD, streams=100, reads_every_seconds=2),
            True,
        ),
        (Fault(FaultName.SMALLER_WINDOWS), Answer(GOOD, 0, 100, 16), True),
        (Fault(FaultName.SMALLER_WINDOWS, window_bytes=0), Answer(GOOD, 0, 100, 0), True),
        (
            Fault(FaultName.TRUNCATED_ERROR),
            Answer(HttpResponse(503, body=b'{"reas'), streams=100),
            False,
        ),
    ],
)
def test_faults(fault: Fault, reaction: Reaction, delivered: bool) -> None:
    """A fault is acted out; only some of them deliver the message all the same."""
    visit = Visit(fault)

    assert reaction == visit.react()
    assert delivered == bool(visit.service.delivered)


def test_stats() -> None:
    """Connections, requests, refusals and faults are counted."""
    visit = Visit(Fault(FaultName.RESET, times=1))
    for path in ("/good", "/good", "/bad"):
        visit.react(path)
    visit.session.closed()

    assert {
        "connections": {"opened": 1, "open": 0},
        "requests": 3,
        "accepted": 1,
        "refusals": {"BadPath": 1},
        "faults": {"reset": 1},
    } == visit.stats.as_json()["apns"]


def test_milliseconds() -> None:
    """Apple counts milliseconds from the epoch."""
    assert 1772366400000 == milliseconds(NOW)
    assert 1772366390000 == milliseconds(NOW, ago_seconds=10)
