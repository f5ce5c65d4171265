import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from heliograph.sandbox.devices import Device, Devices, Platform
from heliograph.sandbox.inbox import Inbox, json_list, timestamp
from sandbox.senders import NOW


@pytest.fixture
def phones() -> list[Device]:
    devices = Devices(webpush_origin="https://push.example")
    return [devices.mint(Platform.APNS, now=NOW) for _ in range(3)]


def put(inbox: Inbox, device: Device, payload: object = None) -> None:
    inbox.record(device, headers={"a": "b"}, payload=payload, now=NOW)


def ids(inbox: Inbox, device: Device | None = None, *, after: int = 0) -> list[int]:
    return [entry.id for entry in inbox.entries(device, after=after)]


def test_entry(phones: list[Device]) -> None:
    """An entry tells who received what, when, through which service, with which headers."""
    inbox = Inbox()
    put(inbox, phones[0], {"aps": {}})

    assert [
        {
            "id": 1,
            "token": phones[0].token,
            "time": "2026-03-01T12:00:00.000Z",
            "gateway": "apns",
            "headers": {"a": "b"},
            "payload": {"aps": {}},
            "environment": "production",
        }
    ] == json.loads(b"".join(json_list(inbox.entries())))


def test_note_says_why_there_is_no_payload(phones: list[Device]) -> None:
    """An entry that could not be read says so."""
    inbox = Inbox()
    inbox.record(phones[0], headers={}, payload=None, now=NOW, note="sealed")

    assert "sealed" == inbox.entries()[0].read()["note"]


def test_entries_of_one_device(phones: list[Device]) -> None:
    """Entries are listed oldest first, of all devices or of one, from a point on."""
    inbox = Inbox()
    for number in (0, 1, 0, 1, 0):
        put(inbox, phones[number])

    assert [1, 2, 3, 4, 5] == ids(inbox)
    assert [1, 3, 5] == ids(inbox, phones[0])
    assert [] == ids(inbox, phones[2])
    assert [4, 5] == ids(inbox, after=3)
    assert [5] == ids(inbox, phones[0], after=3)
    assert [] == ids(inbox, after=99)


def test_oldest_makes_room(phones: list[Device]) -> None:
    """A full inbox drops its oldest entries, of whichever device."""
    inbox = Inbox(capacity=3)
    for number in (0, 1, 0, 2, 2):
        put(inbox, phones[number])

    assert [3, 4, 5] == ids(inbox)
    assert [3] == ids(inbox, phones[0])
    assert [] == ids(inbox, phones[1])
    assert [4, 5] == ids(inbox, after=3)
    assert [3, 4, 5] == ids(inbox, after=1)
    assert 3 == len(inbox)


def test_recent_activity(phones: list[Device]) -> None:
    """Devices are ordered by their latest entry."""
    inbox = Inbox()
    for number in (0, 1, 2, 0):
        put(inbox, phones[number])

    assert [phones[0], phones[2]] == inbox.recently_active(2)
    assert [3, 4] == [entry.id for entry in inbox.latest(2)]


def test_clearing(phones: list[Device]) -> None:
    """An emptied inbox goes on counting where it was."""
    inbox = Inbox()
    put(inbox, phones[0])
    inbox.clear()
    put(inbox, phones[0])

    assert [2] == ids(inbox) == ids(inbox, phones[0])
    assert 2 == inbox.last_id


def test_listeners(phones: list[Device]) -> None:
    """A listener hears of every change until it is ignored."""
    heard: list[int] = []
    inbox = Inbox()

    def listener() -> None:
        heard.append(len(inbox))

    inbox.listen(listener)
    put(inbox, phones[0])
    inbox.clear()
    inbox.ignore(listener)
    put(inbox, phones[0])

    assert [1, 0] == heard


def test_it_holds_a_hundred_thousand(phones: list[Device]) -> None:
    """A hundred thousand entries are kept, and one more drops the first."""
    inbox = Inbox()
    for _ in range(100_001):
        put(inbox, phones[0])

    assert 100_000 == len(inbox)
    assert 100_000 == len(json.loads(b"".join(json_list(inbox.entries(phones[0])))))
    assert 2 == inbox.entries()[0].id


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_json_in_pieces(phones: list[Device], count: int) -> None:
    """However it is cut, the list is one JSON list."""
    inbox = Inbox()
    for _ in range(count):
        put(inbox, phones[0])
    pieces = list(json_list(inbox.entries(), chunk=2))

    assert count == len(json.loads(b"".join(pieces)))


def test_timestamps_are_in_utc() -> None:
    """An instant is written in UTC wherever it was taken."""
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert "2025-12-31T23:30:00.000Z" == timestamp(moment) == timestamp(moment.astimezone(UTC))
