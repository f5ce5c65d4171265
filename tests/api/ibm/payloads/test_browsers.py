"""What browsers receive of an IBM message."""

import json
from typing import Any, Final

import pytest

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm.payloads import browsers
from heliograph.api.ibm.schema import read_sending

ID: Final = "AbC12345"
FULL: Final = read_sending(body("B", url="https://x", **EVERY_SETTING))
PLAIN: Final = read_sending(body("A"))


def content(message: bytes) -> dict[str, Any]:
    """The body of a push, with its ``payload`` read as the page does."""
    read: dict[str, Any] = json.loads(message)
    return read | {"payload": json.loads(read["payload"])}


def test_chrome_with_every_setting() -> None:
    """Contract §5.5: title, alert, iconUrl, and ``payload``, the JSON of an object with the id."""
    message = browsers.chrome(FULL, ID)

    assert {
        "title": "For Chrome",
        "alert": "B",
        "iconUrl": "https://pictures.example/chrome.png",
        "payload": {"browser": "chrome", "nid": ID},
    } == content(message.payload)
    assert 1 == message.ttl_seconds


def test_firefox_with_every_setting() -> None:
    """Contract §5.5: Firefox has settings of its own, in the same form."""
    message = browsers.firefox(FULL, ID)

    assert {
        "title": "For Firefox",
        "alert": "B",
        "iconUrl": "https://pictures.example/firefox.png",
        "payload": {"browser": "firefox", "nid": ID},
    } == content(message.payload)
    assert 2 == message.ttl_seconds


def test_an_app_of_chrome_with_every_setting() -> None:
    """Contract §5.5: FCM data with title, alert, iconUrl, url and ``payload``."""
    message = browsers.chrome_app(FULL, ID)

    read = json.loads(message.message)
    assert {
        "title": "For an app of Chrome",
        "alert": "B",
        "iconUrl": "https://pictures.example/app.png",
        "url": "https://x",
        "payload": '{"browser":"app","nid":"AbC12345"}',
    } == read["data"]
    assert {"collapse_key": "ping", "ttl": "3s"} == read["android"]
    assert 3 == message.ttl_seconds


def test_browsers_without_settings() -> None:
    """Contract §5.5: the worker has defaults for all but the text and ``payload``; four weeks."""
    chrome, firefox = browsers.chrome(PLAIN, ID), browsers.firefox(PLAIN, ID)

    assert chrome == firefox
    assert {"alert": "A", "payload": {"nid": ID}} == content(chrome.payload)
    assert 2_419_200 == chrome.ttl_seconds
    assert {"data": {"alert": "A", "payload": '{"nid":"AbC12345"}'}} == json.loads(
        browsers.chrome_app(PLAIN, ID).message
    )


@pytest.mark.parametrize("build", [browsers.chrome, browsers.firefox])
def test_the_worker_puts_the_values_in(build: Any) -> None:
    """Contract §5.5, §8: browsers replace variables themselves, so the text goes as it is."""
    message = build(read_sending(body("Hi {{ name }}")), ID)

    assert {"alert": "Hi {{ name }}", "payload": {"nid": ID}} == content(message.payload)
