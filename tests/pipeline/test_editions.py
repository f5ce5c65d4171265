"""Editions: where one gateway serves several platforms, each device receives its own."""

from dataclasses import replace
from itertools import count

import pytest

from builders import (
    EVERYTHING,
    MINUTE,
    ScriptedClient,
    Workshop,
    add_device,
    always,
    apns_address,
    apns_certificate,
    apns_error,
    ends,
    fcm_address,
    fcm_credentials,
    web_address,
)
from heliograph.instances import Instance
from heliograph.model import (
    Address,
    ApnsMessage,
    DeviceNumber,
    FcmMessage,
    Gateway,
    Message,
    Messages,
    Platform,
    ToMatching,
    WebMessage,
)
from heliograph.pipeline.editions import editions
from heliograph.storage.devices import recipient
from heliograph.wire.http import HttpRequest, HttpResponse

OK = HttpResponse(200)
WEB_OK = HttpResponse(201)
EVERYBODY = ToMatching()

ADDRESSES: dict[Platform, Address] = {
    Platform.IOS: apns_address("aa" * 32),
    Platform.SAFARI: apns_address("bb" * 32, topic="web.com.example"),
    Platform.ANDROID: fcm_address("android:x"),
    Platform.CHROME_APP: fcm_address("extension:x"),
    Platform.CHROME: web_address("https://push.example.com/chrome"),
    Platform.FIREFOX: web_address("https://push.example.com/firefox"),
}

MESSAGES = Messages(
    apns=ApnsMessage(b'{"aps":{"alert":"ios"}}'),
    safari=ApnsMessage(b'{"aps":{"alert":"safari"}}'),
    fcm=FcmMessage(b'{"data":{"for":"android"}}'),
    chrome_app=FcmMessage(b'{"data":{"for":"extension"}}'),
    web=WebMessage(b"chrome", ttl_seconds=3600),
    firefox=WebMessage(b"firefox", ttl_seconds=60),
)


async def with_devices(workshop: Workshop, *platforms: Platform) -> Instance:
    """An instance with a device of each platform; all if none are named."""
    instance = await workshop.instance(fcm=fcm_credentials())
    async with workshop.database.write() as connection:
        for each in platforms or Platform:
            await add_device(connection, instance.number, ADDRESSES[each], platform=each)
    return instance


def gateway_taking() -> ScriptedClient:
    """All three gateways, in a good mood."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/token"):
            return HttpResponse(200, (), b'{"access_token": "t", "expires_in": 3600}')
        return WEB_OK if "push.example.com" in request.url else OK

    return ScriptedClient(answer)


def ttls(client: ScriptedClient) -> dict[str, str]:
    """How long each browser's message is worth keeping, by its address."""
    return {
        request.url.rpartition("/")[2]: dict(request.headers)["ttl"]
        for request in client.sent
        if "push.example.com" in request.url
    }


async def test_each_platform_receives_its_own(workshop: Workshop) -> None:
    """The body that a device is sent is its platform's, and its gateway's where there is none."""
    instance = await with_devices(workshop)
    publish = await workshop.publish(instance, EVERYBODY, MESSAGES)
    client = gateway_taking()

    await workshop.worker(client).run_until_idle()

    assert {"targeted": 6, "sent": 6} == ends(await workshop.progress(instance, publish))
    bodies = b"".join(request.body or b"" for request in client.sent)
    for words in (b'"ios"', b'"safari"', b'"android"', b'"extension"'):
        assert 1 == bodies.count(words)
    assert {"chrome": "3600", "firefox": "60"} == ttls(client)


async def test_who_did_not_say_is_a_usual_one(workshop: Workshop) -> None:
    """A device registered through a dialect that knows no platforms receives the usual edition."""
    instance = await workshop.instance()
    await workshop.log_in(instance, "alice", web_address("https://push.example.com/chrome"))
    client = gateway_taking()
    await workshop.publish(instance, EVERYBODY, MESSAGES)

    await workshop.worker(client).run_until_idle()

    assert {"chrome": "3600"} == ttls(client)


async def test_one_edition_may_be_over_before_the_other(workshop: Workshop) -> None:
    """Each expires by its own time; the batch lives as long as the last of them."""
    instance = await with_devices(workshop, Platform.CHROME, Platform.FIREFOX)
    publish = await workshop.publish(instance, EVERYBODY, MESSAGES)
    await workshop.worker(always(HttpResponse(503))).run_until_idle()
    workshop.clock.advance(2 * MINUTE)
    client = gateway_taking()

    await workshop.worker(client).run_until_idle()

    counts = ends(await workshop.progress(instance, publish))
    assert {"targeted": 2, "sent": 1, "expired": 1} == counts
    assert ["chrome"] == list(ttls(client))


async def test_what_there_is_nothing_for_fails_alone(workshop: Workshop) -> None:
    """A platform without a message is no fault of the lane, and is sent nothing."""
    instance = await with_devices(workshop, Platform.IOS, Platform.SAFARI)
    publish = await workshop.publish(instance, EVERYBODY, Messages(safari=MESSAGES.safari))
    client = gateway_taking()

    await workshop.worker(client).run_until_idle()

    assert {"targeted": 2, "sent": 1, "failed": 1} == ends(
        await workshop.progress(instance, publish)
    )
    assert [] == await workshop.instances.paused_lanes(instance.number)


@pytest.mark.parametrize(
    "reason, status", [("BadCertificate", 403), ("Forbidden", 403), ("InvalidProviderToken", 403)]
)
async def test_a_web_sites_certificate_is_at_fault_for_itself(
    workshop: Workshop, reason: str, status: int
) -> None:
    """Apple's refusal of it fails its messages and pauses nothing: the apps' key is good."""
    made = await with_devices(workshop, Platform.IOS, Platform.SAFARI)
    await workshop.instances.set_up(
        made.id, credentials={"website": apns_certificate("web.com.example")}
    )

    def answer(request: HttpRequest) -> HttpResponse:
        is_site = dict(request.headers).get("apns-topic") == "web.com.example"
        return apns_error(status, reason) if is_site else OK

    publish = await workshop.publish(made, EVERYBODY, MESSAGES)
    await workshop.worker(ScriptedClient(answer)).run_until_idle()

    counts = ends(await workshop.progress(made, publish))
    assert {"targeted": 2, "sent": 1, "failed": 1} == counts
    assert [] == await workshop.instances.paused_lanes(made.number)


async def test_a_web_sites_certificate_for_another_environment(workshop: Workshop) -> None:
    """What is not even sent is told in the same way."""
    made = await with_devices(workshop, Platform.SAFARI)
    certificate = apns_certificate("web.com.example", environments=["sandbox"])
    await workshop.instances.set_up(made.id, credentials={"website": certificate})
    async with workshop.database.write() as connection:
        await add_device(
            connection,
            made.number,
            replace(apns_address(), topic="web.com.example"),
            platform=Platform.SAFARI,
        )

    publish = await workshop.publish(made, EVERYBODY, MESSAGES)
    await workshop.worker(always(OK)).run_until_idle()

    assert 2 == (await workshop.progress(made, publish)).targeted
    assert [] == await workshop.instances.paused_lanes(made.number)


def test_all_receive_the_same_where_there_is_one_edition() -> None:
    """Nothing is sorted then."""
    devices = [recipient(number, web_address()) for number in range(3)]  # type: ignore[arg-type]

    parts = editions(Messages(web=MESSAGES.web), Gateway.WEB, devices)

    assert 1 == len(parts)
    assert (MESSAGES.web, devices) == parts[0]


def test_an_edition_has_its_gateway() -> None:
    """What an edition is for, the gateway has something for."""
    assert [Gateway.APNS] == Messages(safari=MESSAGES.safari).gateways()
    assert [Gateway.APNS, Gateway.FCM, Gateway.WEB] == MESSAGES.gateways()
    assert MESSAGES.firefox is MESSAGES.of(Gateway.WEB, Platform.FIREFOX)
    assert MESSAGES.web is MESSAGES.of(Gateway.WEB, Platform.CHROME)
    assert MESSAGES.web is replace(MESSAGES, firefox=None).of(Gateway.WEB, Platform.FIREFOX)


# --- which edition -------------------------------------------------------------------

SAFARI, CHROME_APP, FIREFOX = ApnsMessage(b"safari"), FcmMessage(b"app"), WebMessage(b"firefox")
EDITED = Messages(EVERYTHING.apns, EVERYTHING.fcm, EVERYTHING.web, SAFARI, CHROME_APP, FIREFOX)
ONLY = Messages(safari=SAFARI, chrome_app=CHROME_APP, firefox=FIREFOX)


@pytest.mark.parametrize(
    "messages, platform, expected",
    [
        (EDITED, Platform.IOS, EVERYTHING.apns),
        (EDITED, Platform.SAFARI, SAFARI),
        (EDITED, Platform.ANDROID, EVERYTHING.fcm),
        (EDITED, Platform.CHROME_APP, CHROME_APP),
        (EDITED, Platform.CHROME, EVERYTHING.web),
        (EDITED, Platform.FIREFOX, FIREFOX),
        (EVERYTHING, Platform.SAFARI, EVERYTHING.apns),
        (EVERYTHING, Platform.CHROME_APP, EVERYTHING.fcm),
        (EVERYTHING, Platform.FIREFOX, EVERYTHING.web),
        (ONLY, Platform.IOS, None),
        (ONLY, Platform.SAFARI, SAFARI),
        (ONLY, Platform.ANDROID, None),
        (ONLY, Platform.CHROME, None),
        (ONLY, Platform.FIREFOX, FIREFOX),
    ],
)
def test_a_platform_receives_its_own_edition_or_the_usual_one(
    messages: Messages, platform: Platform, expected: Message | None
) -> None:
    """None where there is neither; a device that did not say is of the usual platform."""
    gateway = platform.gateway
    one = recipient(DeviceNumber(1), ADDRESSES[platform], platform)
    silent = recipient(DeviceNumber(2), ADDRESSES[platform])

    found = {
        device.number: message
        for message, some in editions(messages, gateway, [one, silent])
        for device in some
    }

    assert {1: expected, 2: messages.of(gateway)} == found


def test_where_all_receive_the_same_nothing_is_sorted() -> None:
    """The very devices that came, as they came."""
    numbers = count(1)
    some = [recipient(DeviceNumber(next(numbers)), fcm_address()) for _ in range(3)]

    ((message, others),) = editions(EVERYTHING, Gateway.FCM, some)

    assert (EVERYTHING.fcm, True) == (message, others is some)


async def test_a_web_site_does_not_speak_for_the_apps(workshop: Workshop) -> None:
    """Where the apps' key is refused their lane is paused, whatever Safari's certificate does."""
    made = await with_devices(workshop, Platform.IOS, Platform.SAFARI)
    await workshop.instances.set_up(
        made.id, credentials={"website": apns_certificate("web.com.example")}
    )

    def answer(request: HttpRequest) -> HttpResponse:
        is_site = dict(request.headers).get("apns-topic") == "web.com.example"
        return OK if is_site else apns_error(403, "InvalidProviderToken")

    publish = await workshop.publish(made, EVERYBODY, MESSAGES)
    await workshop.worker(ScriptedClient(answer)).run_until_idle()

    (paused,) = await workshop.instances.paused_lanes(made.number)
    assert "InvalidProviderToken" in paused.reason
    assert {"targeted": 2, "sent": 1, "pending": 1} == ends(await workshop.progress(made, publish))
