"""A message in each platform's form: which editions there are, and what is too much."""

import dataclasses
from typing import Any, Final

import msgspec
import pytest

from api.ibm.sendings import EVERY_SETTING, body
from heliograph.api.ibm import payloads
from heliograph.api.ibm.schema import read_sending
from heliograph.api.problems import Problem
from heliograph.model import Gateway, Messages, Platform

ID: Final = "AbC12345"


def build(request: dict[str, Any], *platforms: str) -> Messages:
    return payloads.build(
        read_sending(request | {"target": {"platforms": list(platforms)}}),
        ID,
        channels={"offers": {"channelName": "Offers"}},
    )


def refused(request: dict[str, Any], *platforms: str) -> str:
    with pytest.raises(Problem) as caught:
        build(request, *platforms)
    assert (400, "FPWSE0005E") == (caught.value.status, caught.value.error)
    return caught.value.description.removeprefix("Invalid value was provided. Check the ")


def test_a_plain_message_goes_to_every_platform() -> None:
    """Contract §5.1: without any settings, each platform gets the text in its own form."""
    built = build(body())

    assert list(Gateway) == built.gateways()
    for platform in Platform:
        assert built.of(platform.gateway, platform) is not None
    assert (True, True, False) == tuple(built.has_editions(gateway) for gateway in Gateway)


def test_firefox_has_an_edition_if_its_settings_differ() -> None:
    """Contract §5.5: ``firefoxWeb`` is for Firefox alone, ``chromeWeb`` for other browsers."""
    built = build(body(firefoxWeb={"title": "F"}))

    firefox, chrome = (
        built.of(Gateway.WEB, platform) for platform in (Platform.FIREFOX, Platform.CHROME)
    )
    assert firefox != chrome
    assert None not in (firefox, chrome)


@pytest.mark.parametrize(
    "words,fields",
    [
        (["A"], {"apns"}),
        (["G"], {"fcm"}),
        (["WEB_CHROME"], {"web"}),
        (["WEB_FIREFOX"], {"firefox"}),
        (["WEB_SAFARI"], {"safari"}),
        (["APPEXT_CHROME"], {"chrome_app"}),
        (["A", "WEB_FIREFOX"], {"apns", "firefox"}),
    ],
)
def test_only_the_platforms_that_are_meant(words: list[str], fields: set[str]) -> None:
    """Contract §5.2: a target of platforms needs no edition for another."""
    built = build(body(**EVERY_SETTING), *words)

    assert fields == {
        field.name for field in dataclasses.fields(built) if getattr(built, field.name) is not None
    }


def test_messages_survive_storage() -> None:
    """What is built can be read back as it was, whatever the settings hold."""
    built = build(body(url="https://x", **EVERY_SETTING))

    assert built == msgspec.msgpack.decode(msgspec.msgpack.encode(built), type=Messages)


LONG: Final = "x" * 5000


APNS: Final = "payload: {} bytes is more than the 4096 that APNs takes"
FCM: Final = "message: {} bytes is more than the 4096 FCM takes"
WEB: Final = "payload: {} bytes is more than the 3993 that fit one push"
SAFARI: Final = {"title": LONG, "urlArgs": [], "action": "View"}


@pytest.mark.parametrize(
    "request_body,platform,place,complaint",
    [
        (body(LONG), "A", "message", APNS.format(5082)),
        (body(apns={"payload": {"a": LONG}}), "A", "settings.apns", APNS.format(5108)),
        (body(gcm={"payload": {"a": LONG}}), "G", "settings.gcm", FCM.format(5088)),
        (body(chromeWeb={"title": LONG}), "WEB_CHROME", "settings.chromeWeb", WEB.format(5073)),
        (body(firefoxWeb={"title": LONG}), "WEB_FIREFOX", "settings.firefoxWeb", WEB.format(5073)),
        (
            body(chromeAppExt={"title": LONG}),
            "APPEXT_CHROME",
            "settings.chromeAppExt",
            FCM.format(5050),
        ),
        (body(safariWeb=SAFARI), "WEB_SAFARI", "settings.safariWeb", APNS.format(5085)),
        (
            body(apns={"apnsCollapseId": "c" * 65}),
            "A",
            "settings.apns",
            "collapse_id: must be 1 to 64 bytes without control characters",
        ),
    ],
)
def test_what_no_gateway_takes_is_refused(
    request_body: dict[str, Any], platform: str, place: str, complaint: str
) -> None:
    """Contract §9: payloads have limits; the answer has both sizes, and what to make smaller."""
    assert f"'{place}' parameter value: {complaint}." == refused(request_body, platform)


def test_what_is_too_much_for_others_does_not_matter() -> None:
    """Contract §5.2, §9: a message for some platforms is held to their limits alone."""
    too_much = body(gcm={"payload": {"a": LONG}})

    assert build(too_much, "A").apns is not None
    assert "'settings.gcm'" in refused(too_much)
