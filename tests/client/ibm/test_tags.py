"""Subscribing, and reading lists, as each SDK does (contract §4)."""

import httpx
import pytest

from client.ibm.scripts import TOKENS, Reply, Script, before, ok, text, told
from heliograph.client.ibm.device import (
    Crash,
    NoCallback,
    Push,
    SdkError,
    Subscribed,
    UnexpectedReply,
)
from heliograph.client.ibm.profiles import PROFILES

BULK = {
    "tagsNotFound": {"tags": ["t3"], "message": "Not Found", "code": "FPWSE0001E"},
    "subscriptionExists": [{"tagName": "t2", "subscriptionId": "2", "deviceId": "D"}],
    "subscribed": [{"tagName": "t1", "subscriptionId": "1", "deviceId": "D"}],
}
"""Contract §4.4."""
TAGS = {"tags": [{"uri": "u", "name": "news", "createdMode": "API"}], "pageInfo": {"count": 1}}
SUBSCRIPTIONS = {
    "subscriptions": [
        {"tagName": "t1", "subscriptionId": "b0", "deviceId": "D", "href": "h"},
        {"tagName": "Push.ALL", "userId": "", "subscriptionId": "b1", "deviceId": "D"},
    ]
}
"""Contract §13.8 and §13.11."""


def registered(profile: str, *replies: Reply) -> tuple[Script, Push]:
    """A registered device, and a server that answers it so."""
    script = Script(*before(profile), ok(told(profile)), *replies)
    device = script.device(profile)
    device.register(TOKENS[profile])
    script.requests.clear()
    return script, device


@pytest.mark.parametrize("profile", ["ios", "chrome", "firefox", "safari"])
def test_the_reply_to_a_bulk(profile: str) -> None:
    """Contract §4.4: the three keys of a 207 are read; for unsubscribing, two others."""
    gone = {
        "unsubscribed": [{"tagName": "t1"}],
        "subscriptionNotExists": [{"tagName": "t2"}],
        "tagsNotFound": {"tags": ["t3"]},
        "subscribed": [],
        "subscriptionExists": [],
    }
    script, device = registered(profile, ok(BULK, 207), ok(gone, 207))
    expected = Subscribed(("t1",), ("t2",), ("t3",))

    assert expected == device.subscribe(["t1", "t2", "t3"])
    assert expected == device.unsubscribe(["t1", "t2", "t3"])
    assert ["POST subscriptions", "POST subscriptions?action=delete"] == script.asked


@pytest.mark.parametrize("status", [200, 201, 400, 404])
def test_ios_wants_207_exactly(status: int) -> None:
    """Contract §4.4: iOS reports any other answer to a subscription as its error 8."""
    _, device = registered("ios", ok(BULK, status))
    with pytest.raises(SdkError) as error:
        device.subscribe(["t1"])

    assert (8, status) == (error.value.code, error.value.status)


@pytest.mark.parametrize("status", [200, 207, 400, 500])
def test_ios_unsubscribes_whatever_is_said(status: int) -> None:
    """Contract §4.4: iOS looks at no status of an unsubscription."""
    _, device = registered("ios", ok({}, status))

    assert Subscribed() == device.unsubscribe(["t1"])


@pytest.mark.parametrize("status, holds", [(200, True), (300, True), (301, False), (404, False)])
def test_the_web_wants_200_to_300(status: int, holds: bool) -> None:
    """Contract §4.4: the web SDK takes 200 to 300, and tells the status of anything else."""
    _, device = registered("chrome", ok(BULK, status))
    if holds:
        assert ("t1",) == device.subscribe(["t1"]).done
    else:
        with pytest.raises(SdkError) as error:
            device.subscribe(["t1"])
        assert status == error.value.code


def test_android_asks_for_each() -> None:
    """Contract §4.3: Android takes any success, tag by tag."""
    script, device = registered("android", ok({}, 201), ok({}, 200), httpx.Response(204))

    assert Subscribed(("t1", "t2")) == device.subscribe(["t1", "t2"])
    assert Subscribed(("t1",)) == device.unsubscribe(["t1"])
    assert ["POST subscriptions"] * 2 == script.asked[:2]
    assert "DELETE subscriptions?deviceId=D&tagName=t1" == script.asked[2]


def test_android_stops_at_a_failure() -> None:
    """Contract §4.3: a tag that does not exist is told with status and text."""
    script, device = registered("android", text(404, "no tag"))
    with pytest.raises(SdkError) as error:
        device.subscribe(["t1", "t2"])

    assert (404, "no tag") == (error.value.code, error.value.text)
    assert 1 == len(script.asked)


def test_android_is_to_be_registered_first() -> None:
    """Contract §4.3: before a registration has succeeded, Android drops a subscription."""
    script = Script()
    with pytest.raises(NoCallback):
        script.device("android").subscribe(["t1"])

    assert [] == script.asked


@pytest.mark.parametrize("profile, code", [("ios", 2), ("chrome", 401)])
def test_no_tags(profile: str, code: int) -> None:
    """Contract §4.4: an empty list is an error of the SDK's own."""
    script, device = registered(profile)
    with pytest.raises(SdkError) as error:
        device.subscribe([])

    assert code == error.value.code
    assert [] == script.asked


def test_one_name_is_not_many() -> None:
    """A string is not taken for a list of letters."""
    _, device = registered("ios")
    with pytest.raises(TypeError):
        device.subscribe("t1")


@pytest.mark.parametrize("profile", PROFILES)
def test_lists(profile: str) -> None:
    """Contract §13.8, §13.11: the names are read, ``Push.ALL`` among them."""
    script, device = registered(profile, ok(TAGS), ok(SUBSCRIPTIONS))

    assert ["news"] == device.retrieve_available_tags()
    assert ["t1", "Push.ALL"] == device.retrieve_subscriptions()
    assert ["GET tags", "GET subscriptions?deviceId=D"] == script.asked


@pytest.mark.parametrize("value", [1, None, {"a": "b"}])
def test_ios_reads_texts_only(value: object) -> None:
    """Contract §4.1: one value that is no text, and iOS takes the whole list for empty."""
    tags = [{"name": "news"}, {"name": "other", "description": value}]
    _, device = registered("ios", ok({"tags": tags}))

    assert [] == device.retrieve_available_tags()


@pytest.mark.parametrize("body", [{}, {"tags": None}, {"tags": [{"description": "x"}]}])
def test_android_needs_names(body: object) -> None:
    """Contract §4.1: Android needs the array, and a name in each element."""
    _, device = registered("android", ok(body))
    with pytest.raises(SdkError):
        device.retrieve_available_tags()


@pytest.mark.parametrize("profile, code", [("ios", 7), ("android", 500), ("chrome", 500)])
def test_a_list_that_fails(profile: str, code: int) -> None:
    """Contract §4.1: iOS tells its own number, the others the status."""
    _, device = registered(profile, text(500))
    with pytest.raises(SdkError) as error:
        device.retrieve_available_tags()

    assert code == error.value.code


@pytest.mark.parametrize("profile, error", [("ios", Crash), ("chrome", UnexpectedReply)])
def test_a_bulk_without_json(profile: str, error: type[Exception]) -> None:
    """Contract §4.4: iOS takes the reply for JSON by force; a page gets the text as it is."""
    _, device = registered(profile, text(207, "<html>"))
    with pytest.raises(error):
        device.subscribe(["t1"])


def test_a_page_without_a_list() -> None:
    """Contract §4.1: the web SDK hands the text on, and a page finds no list in it."""
    _, device = registered("chrome", ok({}))
    with pytest.raises(UnexpectedReply):
        device.retrieve_available_tags()
