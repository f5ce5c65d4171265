import msgspec
import pytest

from heliograph.sandbox.devices import Devices, Platform
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.screens import MAX_DEVICES, Card, card, news, snapshot
from sandbox.senders import NOW


@pytest.mark.parametrize(
    "gateway,headers,payload,expected",
    [
        (
            Platform.APNS,
            {"apns-collapse-id": "chat"},
            {"aps": {"alert": {"title": "T", "subtitle": "S", "body": "B"}, "badge": 2}},
            Card(title="T", subtitle="S", body="B", badge=2, replaces="chat"),
        ),
        (Platform.APNS, {}, {"aps": {"alert": "words"}}, Card(body="words")),
        (Platform.APNS, {}, {"aps": {"alert": {"title-loc-key": "K"}}}, Card(title="K")),
        (Platform.APNS, {}, {"aps": {"content-available": 1}}, Card(silent=True)),
        (Platform.APNS, {}, {"aps": "nonsense"}, Card(silent=True)),
        (
            Platform.FCM,
            {},
            {
                "notification": {"title": "T", "body": "B"},
                "android": {"notification": {"body": "A", "tag": "x", "notification_count": 3}},
            },
            Card(title="T", body="A", badge=3, replaces="x"),
        ),
        (Platform.FCM, {}, {"data": {"k": "v"}}, Card(silent=True)),
        (
            Platform.FCM,
            {},
            {"data": {"alert": "A", "androidTitle": "T"}},
            Card(title="T", body="A"),
        ),
        (Platform.FCM, {}, {"data": {"alert": "A", "type": "silent"}}, Card(silent=True)),
        (Platform.WEB, {}, {"title": "T", "alert": "A"}, Card(title="T", body="A")),
        (
            Platform.WEB,
            {},
            {"notification": {"title": "T", "body": "B", "tag": "x"}, "data": {}},
            Card(title="T", body="B", replaces="x"),
        ),
        (Platform.WEB, {}, {"title": "T"}, Card(title="T")),
        (Platform.WEB, {}, {"data": {}}, Card(silent=True)),
        (Platform.WEB, {}, "words", Card(body="words")),
        (Platform.WEB, {}, [1], Card(silent=True)),
        (Platform.WEB, {}, None, Card(sealed=True)),
    ],
)
def test_cards(
    gateway: Platform, headers: dict[str, object], payload: object, expected: Card
) -> None:
    """Each platform shows its own fields; what shows nothing is silent."""
    assert expected == card(gateway, headers, payload)


class Page:
    """Some devices and their inbox, as the page sees them."""

    def __init__(self, count: int) -> None:
        self.devices = Devices(webpush_origin="https://push.example")
        self.inbox = Inbox()
        self.phones = [self.devices.mint(Platform.APNS, now=NOW) for _ in range(count)]

    def put(self, index: int) -> None:
        self.inbox.record(self.phones[index], headers={}, payload={"n": index}, now=NOW)


def numbers(view: dict[str, object]) -> list[int]:
    found = msgspec.convert(view["devices"], list[dict[str, object]])
    return [int(str(device["number"])) for device in found]


def test_snapshot_shows_the_busiest_then_the_youngest() -> None:
    """Devices that received something lead, the latest first; idle ones follow, youngest first."""
    page = Page(4)
    page.put(0)
    page.put(2)
    view = snapshot(page.devices, page.inbox)

    assert [3, 1, 4, 2] == numbers(view)
    assert (4, 2, 2) == (view["total_devices"], view["total_entries"], view["last_id"])


def test_snapshot_is_bounded() -> None:
    """However many devices there are, the page is given sixty."""
    page = Page(MAX_DEVICES + 10)
    page.put(0)

    assert [1, *range(MAX_DEVICES + 10, 11, -1)] == numbers(snapshot(page.devices, page.inbox))


def test_news_ends_with_the_latest() -> None:
    """News hold new devices, then those that received something, the latest last."""
    page = Page(3)
    for index in (0, 1, 0):
        page.put(index)
    view = news(page.devices, page.inbox, after=1, minted=2)

    assert [3, 2, 1] == numbers(view)
    assert [2, 3] == [
        entry["id"] for entry in msgspec.convert(view["entries"], list[dict[str, object]])
    ]
