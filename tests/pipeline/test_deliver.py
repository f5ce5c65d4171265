"""Deliver: each device of a batch gets one outcome, whatever the network does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import structlog

from builders import (
    MINUTE,
    NOW,
    SECOND,
    Reply,
    ScriptedClient,
    Workshop,
    always,
    apns_address,
    apns_certificate,
    apns_credentials,
    apns_error,
    fcm_address,
    fcm_credentials,
    in_turn,
    to_users,
    web_address,
)
from heliograph.errors import Ambiguous, EgressDenied, NotProcessed
from heliograph.gateways.contract import (
    Gone,
    Interrupted,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.instances import Instance
from heliograph.model import (
    Address,
    ApnsMessage,
    DeviceNumber,
    Environment,
    FcmMessage,
    Gateway,
    Messages,
    Platform,
    WebAddress,
    WebMessage,
    delivery_ids,
)
from heliograph.pipeline.deliver import SENDS, Deliver
from heliograph.storage.devices import ApnsRecipient, Recipient, recipient
from heliograph.storage.publishes import Publish
from heliograph.wire.http import HttpResponse

OK = HttpResponse(200)
EXPIRED = apns_error(403, "ExpiredProviderToken")
SHUTDOWN = apns_error(503, "Shutdown")
GRANTED = HttpResponse(200, (), b'{"access_token":"ya29.first","expires_in":3600}')
PRODUCTION, SANDBOX = Environment
UNAUTHENTICATED = HttpResponse(401, (), b'{"error":{"status":"UNAUTHENTICATED"}}')


class Errand:
    """A publish, and the devices that it is to be taken to."""

    def __init__(
        self, publish: Publish, instance: Instance, found: Sequence[Recipient], deliver: Deliver
    ) -> None:
        self.publish, self.instance, self.devices = publish, instance, found
        self._deliver = deliver

    async def run(self, gateway: Gateway = Gateway.APNS) -> list[Outcome]:
        """What each device was answered, in their order."""
        outcomes = await self._deliver.deliver(self.publish, self.instance, gateway, self.devices)
        assert {device.number for device in self.devices} == set(outcomes)
        return [outcomes[device.number] for device in self.devices]


async def errand(
    workshop: Workshop,
    client: ScriptedClient,
    *addresses: Address,
    instance: Instance | None = None,
    **pace: Any,
) -> Errand:
    instance = instance or await workshop.instance(fcm=fcm_credentials())
    for address in addresses or (apns_address(),):
        await workshop.log_in(instance, "alice", address)
    publish = await workshop.publish(instance, to_users("alice"))
    found = [
        recipient(device.number, device.address)
        for device in await workshop.registry.page(
            instance.number, user=None, after=DeviceNumber(0), limit=1000
        )
        if device.user == "alice"
    ]
    return Errand(
        await workshop.found(instance, publish), instance, found, workshop.deliver(client, **pace)
    )


# --- what a reply means --------------------------------------------------------------


@pytest.mark.parametrize(
    "reply, outcome",
    [
        (HttpResponse(200, (("apns-id", "an-id"),)), Sent()),
        (
            apns_error(410, "Unregistered", timestamp=int(NOW.timestamp() * 1000)),
            Gone("Unregistered", NOW),
        ),
        (apns_error(400, "DeviceTokenNotForTopic"), Suspect("DeviceTokenNotForTopic")),
        (apns_error(413, "PayloadTooLarge"), Rejected("PayloadTooLarge")),
        (apns_error(403, "InvalidProviderToken"), Refused("InvalidProviderToken")),
        (apns_error(503, "ServiceUnavailable"), Unavailable("ServiceUnavailable")),
        (NotProcessed("ConnectError"), Unavailable("ConnectError")),
        (Ambiguous("ReadTimeout"), Unavailable("ReadTimeout")),
        (EgressDenied("not public"), Suspect("EndpointNotPublic")),
    ],
    ids=str,
)
async def test_a_reply_or_its_absence_is_an_outcome(
    workshop: Workshop, reply: Reply, outcome: Outcome
) -> None:
    """Whatever comes back, or does not, is one of seven outcomes, after one request."""
    client = always(reply)
    work = await errand(workshop, client)

    assert ([outcome], 1) == (await work.run(), len(client.sent))


async def test_each_device_has_an_outcome_of_its_own(workshop: Workshop) -> None:
    """One device's fate is not another's."""
    one, two, three = apns_address("01"), apns_address("02"), apns_address("03")

    replies: dict[str, Reply] = {
        "1": OK,
        "2": apns_error(400, "DeviceTokenNotForTopic"),
        "3": NotProcessed("ConnectError"),
    }
    client = ScriptedClient(lambda request: replies[request.url[-1]])
    work = await errand(workshop, client, one, two, three)

    assert [
        Sent(),
        Suspect("DeviceTokenNotForTopic"),
        Unavailable("ConnectError"),
    ] == await work.run()


async def test_a_surprise_leaves_what_was_sent(workshop: Workshop) -> None:
    """
    A fault of ours at one destination leaves the others with the outcome they had.

    Were it to end the whole batch, all of them would be sent the message again.
    """
    good, bad = apns_address("01"), apns_address("02", topic="com.example.other")
    client = ScriptedClient(
        lambda request: OK if request.url.endswith("01") else LookupError("a bug")
    )
    work = await errand(workshop, client, good, bad)

    with structlog.testing.capture_logs() as logged:
        outcomes = await work.run()

    assert ([Sent(), Unavailable("LookupError")], ["worker_failed"]) == (
        outcomes,
        [line["event"] for line in logged],
    )


async def test_an_address_that_cannot_be_written_is_suspect(workshop: Workshop) -> None:
    """It is not sent to, and its siblings are."""
    client = always(OK)
    work = await errand(workshop, client, apns_address("é"), apns_address("01"))

    assert ([Suspect("UnusableAddress"), Sent()], 1) == (await work.run(), len(client.sent))


async def test_an_empty_batch_goes_nowhere(workshop: Workshop) -> None:
    """If nobody is addressed any more, nothing is sent."""
    client = always(OK)
    work = await errand(workshop, client)
    work.devices = []

    assert ([], []) == (await work.run(), client.sent)


# --- connections that fail -----------------------------------------------------------


async def test_what_was_not_processed_is_sent_again_at_once(workshop: Workshop) -> None:
    """When the connection was at fault and the gateway says so, sending again is free."""
    client = in_turn(SHUTDOWN, SHUTDOWN, OK)
    work = await errand(workshop, client)

    assert ([Sent()], 3) == (await work.run(), len(client.sent))


async def test_a_connection_that_always_fails_is_left_for_later(workshop: Workshop) -> None:
    """After three times it is the verdict's turn."""
    client = always(SHUTDOWN)
    work = await errand(workshop, client)

    assert ([Interrupted("Shutdown")], SENDS) == (await work.run(), len(client.sent))


async def test_every_attempt_carries_the_same_id(workshop: Workshop) -> None:
    """A repeat is recognisable: within one delivery and from one delivery to the next."""
    client = in_turn(SHUTDOWN, OK)
    work = await errand(workshop, client)
    await work.run()
    await work.run()

    (device,) = work.devices
    assert [
        each.decode() for each in delivery_ids(work.publish.id)([device.number] * 3)
    ] == client.headers("apns-id")


async def test_a_goodbye_that_blames_our_key_is_a_refusal(workshop: Workshop) -> None:
    """Apple may say why it refuses us only when it hangs up."""
    said = b'{"reason":"InvalidProviderToken"}'
    work = await errand(workshop, always(NotProcessed("GOAWAY", said=said)))

    assert [Refused("InvalidProviderToken")] == await work.run()


@pytest.mark.parametrize("said", [b"", b"too_many_pings", b'{"reason":"Shutdown"}', b"\xff{"])
async def test_any_other_goodbye_is_a_connection_that_failed(
    workshop: Workshop, said: bytes
) -> None:
    """Most of them mean nothing more than that the connection has ended."""
    work = await errand(workshop, always(NotProcessed("GOAWAY", said=said)))

    assert [Unavailable("GOAWAY")] == await work.run()


# --- Apple's two environments --------------------------------------------------------

WRONG = apns_error(400, "BadDeviceToken")


def of_environments(production: Reply, sandbox: Reply) -> ScriptedClient:
    """Apple's two hosts, each with an answer of its own."""
    return ScriptedClient(
        lambda request: sandbox if "sandbox" in request.url.split("/")[2] else production
    )


@pytest.mark.parametrize(
    "stored, production, sandbox, expected",
    [
        pytest.param(None, OK, WRONG, Sent(), id="production"),
        pytest.param(None, WRONG, OK, Sent(environment=SANDBOX), id="sandbox, found out"),
        pytest.param(SANDBOX, WRONG, OK, Sent(), id="sandbox, known"),
        pytest.param(SANDBOX, OK, WRONG, Sent(environment=PRODUCTION), id="moved to the store"),
        pytest.param(
            None, WRONG, WRONG, Gone("BadDeviceToken in both environments", NOW), id="neither"
        ),
        pytest.param(
            None,
            WRONG,
            apns_error(403, "BadEnvironmentKeyInToken"),
            Suspect("BadDeviceToken"),
            id="a key of one environment",
        ),
        pytest.param(
            None, WRONG, NotProcessed("ConnectError"), Unavailable("ConnectError"), id="not there"
        ),
    ],
)
async def test_a_token_is_tried_in_apples_other_environment(
    workshop: Workshop,
    stored: Environment | None,
    production: Reply,
    sandbox: Reply,
    expected: Outcome,
) -> None:
    """
    BadDeviceToken is what a token of the other environment gets: it is tried there, once.

    Which one took it is news; only if both refuse it is it dead.
    """
    client = of_environments(production, sandbox)
    work = await errand(workshop, client, apns_address(environment=stored))

    assert [expected] == await work.run()


async def test_with_one_endpoint_there_is_one_environment(workshop: Workshop) -> None:
    """Where one address stands for both of Apple's hosts there is nowhere else to try."""
    client = always(WRONG)
    instance = await workshop.instance(apns=apns_credentials(endpoint="https://127.0.0.1:1"))
    work = await errand(workshop, client, instance=instance)

    assert ([Suspect("BadDeviceToken")], 1) == (await work.run(), len(client.sent))


async def test_a_certificate_of_one_environment_is_used_there(workshop: Workshop) -> None:
    """Devices are taken to be where the certificate is good, and nowhere else is tried."""
    client = of_environments(OK, OK)
    certificate = apns_certificate(environments={SANDBOX})
    instance = await workshop.instance(apns=certificate)
    unknown, store = apns_address(), apns_address(environment=PRODUCTION)
    work = await errand(workshop, client, unknown, store, instance=instance)

    outcomes = await work.run()

    assert (
        [Sent(), Refused("BadCertificateEnvironment")],
        ["https://api.sandbox.push.apple.com"],
    ) == (
        outcomes,
        [request.url.partition("/3/")[0] for request in client.sent],
    )


async def test_what_needs_a_token_is_not_sent_with_a_certificate(workshop: Workshop) -> None:
    """Apple takes Live Activities from keys only."""
    client = always(OK)
    instance = await workshop.instance(apns=apns_certificate())
    work = await errand(workshop, client, instance=instance)
    activity = ApnsMessage(b"{}", push_type="liveactivity")
    work.publish = replace(work.publish, messages=Messages(apns=activity))

    assert ([Rejected("PushTypeNeedsToken")], []) == (await work.run(), client.sent)


# --- Google's budget -----------------------------------------------------------------


def quota_exceeded(subject: str) -> HttpResponse:
    quota = "type.googleapis.com/google.rpc.QuotaFailure"
    details = [{"@type": quota, "violations": [{"subject": subject}]}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}
    return HttpResponse(429, (("retry-after", "30"),), msgspec.json.encode({"error": error}))


async def test_a_project_that_is_told_to_wait_waits(workshop: Workshop) -> None:
    """The next batch of that project is not sent before the time, and then it is."""
    client = in_turn(GRANTED, quota_exceeded("project:tests"), OK)
    work = await errand(workshop, client, fcm_address())
    first = await work.run(Gateway.FCM)
    workshop.clock.advance(20 * SECOND)
    second = await work.run(Gateway.FCM)
    workshop.clock.advance(10 * SECOND)
    third = await work.run(Gateway.FCM)

    held = Unavailable("QUOTA_EXCEEDED", 10 * SECOND, is_for_all=True)
    told = Unavailable("RESOURCE_EXHAUSTED", 30 * SECOND, is_for_all=True)
    assert ([told], [held], [Sent()], 3) == (first, second, third, len(client.sent))


async def test_a_device_that_is_told_to_wait_waits_alone(workshop: Workshop) -> None:
    """A quota of one device is no reason to hold the project back."""
    client = in_turn(GRANTED, quota_exceeded("device"), OK)
    work = await errand(workshop, client, fcm_address())
    first = await work.run(Gateway.FCM)
    second = await work.run(Gateway.FCM)

    assert ([Unavailable("RESOURCE_EXHAUSTED", 30 * SECOND)], [Sent()]) == (first, second)


async def test_a_project_is_sent_to_at_its_pace(workshop: Workshop) -> None:
    """What is more than the budget allows waits for it; nothing is lost."""
    passed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    client = ScriptedClient(lambda request: GRANTED if request.url.endswith("token") else OK)
    work = await errand(
        workshop,
        client,
        *[fcm_address() for _ in range(30)],
        fcm_rate=600,
        monotonic=lambda: passed,
        sleep=sleep,
    )

    outcomes = await work.run(Gateway.FCM)

    assert ([Sent()] * 30, True) == (outcomes, 10 < passed < 30)


# --- what has waited here ------------------------------------------------------------


async def test_a_late_message_is_kept_for_less(workshop: Workshop) -> None:
    """Push services are told what is left of the time to live, not what it was."""
    client = ScriptedClient(
        lambda request: GRANTED if request.url.endswith("token") else HttpResponse(201)
    )
    work = await errand(workshop, client, web_address(), fcm_address())
    message = FcmMessage(b'{"android":{"ttl":"600s"}}', 600)
    work.publish = replace(
        work.publish, messages=Messages(fcm=message, web=WebMessage(b"", ttl_seconds=600))
    )
    web, android = work.devices
    workshop.clock.advance(MINUTE)
    work.devices = [web]
    await work.run(Gateway.WEB)
    work.devices = [android]
    await work.run(Gateway.FCM)

    sent = msgspec.json.decode(client.sent[-1].body)
    assert (["540"], "540s") == (client.headers("ttl"), sent["message"]["android"]["ttl"])


# --- who we are ----------------------------------------------------------------------


async def test_an_expired_provider_token_is_made_anew(workshop: Workshop) -> None:
    """A token that Apple finds too old is replaced, and the message goes out with the new one."""
    client = in_turn(OK, EXPIRED, OK)
    work = await errand(workshop, client)
    await work.run()
    workshop.clock.advance(30 * MINUTE)

    outcomes = await work.run()

    first, second, third = client.headers("authorization")
    assert ([Sent()], True, False) == (outcomes, first == second, second == third)


async def test_a_fresh_provider_token_that_is_refused_is_a_wrong_setting(
    workshop: Workshop,
) -> None:
    """If a new token does not help, the clock or the key is wrong: our credentials are refused."""
    client = always(EXPIRED)
    work = await errand(workshop, client)

    assert ([Refused("ExpiredProviderToken")], SENDS) == (await work.run(), len(client.sent))


async def test_a_thousand_refusals_make_one_new_provider_token(workshop: Workshop) -> None:
    """All devices of a batch share one token, renewed once; more would be refused by Apple."""
    client = always(EXPIRED)
    work = await errand(workshop, client, *[apns_address() for _ in range(10)])

    await work.run()

    assert 1 == len(set(client.headers("authorization")))


async def test_a_refused_access_token_is_fetched_anew(workshop: Workshop) -> None:
    """A token that Google does not take is forgotten, and the message goes out with another."""
    second = HttpResponse(200, (), b'{"access_token":"ya29.second","expires_in":3600}')
    client = in_turn(GRANTED, UNAUTHENTICATED, second, OK)
    work = await errand(workshop, client, fcm_address())

    outcomes = await work.run(Gateway.FCM)

    assert ([Sent()], ["Bearer ya29.first", "Bearer ya29.second"]) == (
        outcomes,
        client.headers("authorization"),
    )


async def test_an_account_that_gets_no_token_is_refused(workshop: Workshop) -> None:
    """Nothing is sent for an account that Google does not know."""
    client = always(HttpResponse(400, (), b'{"error":"invalid_grant"}'))
    work = await errand(workshop, client, fcm_address())

    assert ([Refused("token endpoint: invalid_grant")], 1) == (
        await work.run(Gateway.FCM),
        len(client.sent),
    )


@pytest.mark.parametrize(
    "gateway, address, reason",
    [
        (Gateway.APNS, apns_address(), "NoApnsCredentials"),
        (Gateway.FCM, fcm_address(), "NoFcmCredentials"),
    ],
    ids=["apns", "fcm"],
)
async def test_without_credentials_nothing_is_sent(
    workshop: Workshop, gateway: Gateway, address: Address, reason: str
) -> None:
    """Credentials that are not there may come: that is a refusal, not a failure."""
    client = always(OK)
    bare = await workshop.instances.create("bare")
    work = await errand(workshop, client, address, instance=bare)

    assert ([Refused(reason)], []) == (await work.run(gateway), client.sent)


async def test_each_gateway_is_trusted_as_its_credentials_say(workshop: Workshop) -> None:
    """An instance's authority is for its own Apple and Google; browsers' services are guarded."""
    client = ScriptedClient(lambda request: GRANTED if request.url.endswith("token") else OK)
    instance = await workshop.instance()
    apns, fcm = instance.apns, fcm_credentials()
    assert apns is not None
    work = await errand(
        workshop, client, apns_address(), fcm_address(), web_address(), instance=instance
    )
    work.instance = replace(
        instance, apns=replace(apns, ca="for apple"), fcm=replace(fcm, ca="for google")
    )
    every = work.devices

    for device, gateway in zip(every, Gateway, strict=True):
        work.devices = [device]
        await work.run(gateway)

    assert [
        ("for apple", False),
        ("for google", False),
        ("for google", False),
        (None, True),
    ] == client.trusted


# --- browsers ------------------------------------------------------------------------


async def test_each_browser_is_sent_a_message_of_its_own(workshop: Workshop) -> None:
    """The same words to the same browser are never the same bytes: key and salt are fresh."""
    client = always(HttpResponse(201))
    work = await errand(workshop, client, web_address(), web_address())

    outcomes = await work.run(Gateway.WEB)

    bodies = [request.body for request in client.sent]
    assert ([Sent(), Sent()], 2, 2, 2) == (
        outcomes,
        len({body[:16] for body in bodies}),
        len({body[21:86] for body in bodies}),
        len(set(bodies)),
    )


@pytest.mark.parametrize(
    "address",
    [
        replace(web_address(), p256dh=b"not a key"),
        replace(web_address(), auth=b"short"),
        WebAddress("nonsense", web_address().p256dh, bytes(16)),
        WebAddress("https://push.example.com:port/1", web_address().p256dh, bytes(16)),
    ],
    ids=["key", "secret", "endpoint", "port"],
)
async def test_a_subscription_that_cannot_be_used_is_suspect(
    workshop: Workshop, address: WebAddress
) -> None:
    """What cannot be encrypted to or addressed is not sent to, and its siblings are."""
    client = always(HttpResponse(201))
    work = await errand(workshop, client, address, web_address())

    assert ([Suspect("UnusableSubscription"), Sent()], 1) == (
        await work.run(Gateway.WEB),
        len(client.sent),
    )


@pytest.mark.parametrize(
    "endpoint, expected",
    [
        ("https://web.push.apple.com/1", Refused("BadJwtToken")),
        ("https://push.example.com/1", Unavailable("BadJwtToken")),
    ],
)
async def test_a_strangers_refusal_is_about_the_stranger(
    workshop: Workshop, endpoint: str, expected: Outcome
) -> None:
    """
    Only the browsers' own services say something of our key.

    A refusal holds messages back until somebody mends what is wrong; anybody may
    register an endpoint that refuses everything.
    """
    work = await errand(workshop, always(apns_error(403, "BadJwtToken")), web_address(endpoint))

    assert [expected] == await work.run(Gateway.WEB)


async def test_a_gateway_without_a_message_rejects(workshop: Workshop) -> None:
    """A batch whose publish has nothing for its gateway sends nothing."""
    client = always(OK)
    work = await errand(workshop, client)
    work.publish = replace(work.publish, messages=Messages())

    for gateway in Gateway:
        assert [Rejected] == [type(each) for each in await work.run(gateway)]
    assert [] == client.sent


# --- platforms -----------------------------------------------------------------------

SITE = apns_certificate("web.com.example")
EDITIONS = Messages(apns=ApnsMessage(b"{}"), safari=ApnsMessage(b'{"site":1}'))


async def with_site(workshop: Workshop, client: ScriptedClient, *platforms: Platform) -> Errand:
    """A publish of two editions, and a device of each of some platforms."""
    instance = await workshop.instance()
    await workshop.instances.set_up(instance.id, credentials={"website": SITE})
    found = await workshop.instances.find(instance.id)
    assert found is not None
    work = await errand(workshop, client, *[apns_address() for _ in platforms], instance=found)
    work.publish = replace(work.publish, messages=EDITIONS)
    work.devices = [
        device._replace(platform=str(platform))
        for device, platform in zip(work.devices, platforms, strict=True)
    ]
    return work


async def test_a_web_site_is_sent_to_with_its_own_certificate(workshop: Workshop) -> None:
    """Its edition, under its own topic; apps are sent theirs with what Apple knows them by."""
    client = always(OK)
    work = await with_site(workshop, client, Platform.IOS, Platform.SAFARI)

    outcomes = await work.run()

    assert [Sent, Sent] == [type(each) for each in outcomes]
    assert {b"{}", b'{"site":1}'} == {request.body for request in client.sent}
    assert {"com.example.app", "web.com.example"} == set(client.headers("apns-topic"))
    assert 1 == len(client.headers("authorization"))


@pytest.mark.parametrize(
    "refusal", [apns_error(403, "BadCertificate"), apns_error(403, "BadCertificateEnvironment")]
)
async def test_a_web_sites_certificate_that_is_refused_pauses_no_app(
    workshop: Workshop, refusal: Reply
) -> None:
    """The message is over for the site's devices; the lane's own credentials may be good."""
    work = await with_site(workshop, always(refusal), Platform.SAFARI)

    (outcome,) = await work.run()

    assert isinstance(outcome, Rejected)


async def test_a_web_site_whose_certificate_is_for_another_environment(
    workshop: Workshop,
) -> None:
    """Said before anything is sent; it is the message's end as well."""
    client = always(OK)
    work = await with_site(workshop, client, Platform.SAFARI)
    elsewhere = apns_certificate("web.com.example", environments={SANDBOX})
    work.instance = replace(work.instance, website=elsewhere)
    work.devices = [
        device._replace(environment=str(PRODUCTION))
        for device in work.devices
        if isinstance(device, ApnsRecipient)
    ]

    (outcome,) = await work.run()

    assert (Rejected, []) == (type(outcome), client.sent)


async def test_a_platform_for_which_there_is_nothing_is_not_sent_to(workshop: Workshop) -> None:
    """Its siblings at the gateway are."""
    client = always(OK)
    work = await with_site(workshop, client, Platform.SAFARI, Platform.IOS)
    work.publish = replace(work.publish, messages=replace(EDITIONS, apns=None))

    assert [Sent(), Rejected("NothingForPlatform")] == await work.run()
    assert 1 == len(client.sent)
