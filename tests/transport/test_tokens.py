"""Tokens that prove who we are: made once, used by all, renewed neither too early nor too late."""

import asyncio
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from builders import (
    MINUTE,
    SUBJECT,
    Clock,
    Gateways,
    Reply,
    ScriptedClient,
    always,
    apns_credentials,
    fcm_credentials,
    in_turn,
    sandbox_credentials,
)
from heliograph.errors import Ambiguous, ShelfSilent
from heliograph.gateways.contract import Outcome, Refused, Unavailable
from heliograph.model import FcmCredentials, ServiceAccount
from heliograph.transport.client import Client
from heliograph.transport.shelf import Choice, OwnShelf, Token
from heliograph.transport.tokens import AccessTokens, ProviderTokens, VapidTokens
from heliograph.wire import vapid
from heliograph.wire.http import HttpRequest, HttpResponse

SECOND = timedelta(seconds=1)


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict)


# --- Apple ---------------------------------------------------------------------------


@pytest.fixture
def provider_tokens(clock: Clock) -> ProviderTokens:
    return ProviderTokens(clock)


async def after_a_refusal(tokens: ProviderTokens) -> str:
    """What is used when Apple has refused what was used so far."""
    tokens.forget(apns_credentials(), await tokens.current(apns_credentials()))
    return await tokens.current(apns_credentials())


async def test_a_provider_token_is_used_for_fifty_minutes(
    provider_tokens: ProviderTokens, clock: Clock
) -> None:
    """Until then it is the same, from then on a new one, issued at that time."""
    first = await provider_tokens.current(apns_credentials())
    clock.advance(50 * MINUTE - SECOND)
    same = await provider_tokens.current(apns_credentials())
    clock.advance(SECOND)
    second = await provider_tokens.current(apns_credentials())

    assert (first, int(clock().timestamp())) == (same, claims_of(second)["iat"])
    assert first != second


async def test_a_provider_token_is_not_renewed_within_twenty_minutes(
    provider_tokens: ProviderTokens, clock: Clock
) -> None:
    """Apple refuses a token that replaces a younger one, so the younger one stays."""
    first = await provider_tokens.current(apns_credentials())
    clock.advance(20 * MINUTE - SECOND)
    kept = await after_a_refusal(provider_tokens)
    clock.advance(SECOND)
    renewed = await after_a_refusal(provider_tokens)

    assert (first, renewed) == (kept, await provider_tokens.current(apns_credentials()))
    assert first != renewed


async def test_many_who_renew_at_once_share_one_token(
    provider_tokens: ProviderTokens, clock: Clock
) -> None:
    """A thousand refused requests make one new token; whoever is late with it does no harm."""
    first = await provider_tokens.current(apns_credentials())
    clock.advance(30 * MINUTE)

    async def refused() -> str:
        provider_tokens.forget(apns_credentials(), first)
        return await provider_tokens.current(apns_credentials())

    assert 1 == len({first, *await asyncio.gather(*[refused() for _ in range(10)])} - {first})


async def test_each_key_has_a_token_of_its_own(provider_tokens: ProviderTokens) -> None:
    """Two teams' tokens are not mixed up."""
    issuers = [
        claims_of(await provider_tokens.current(apns_credentials(team_id=team)))["iss"]
        for team in ("DEF123GHIJ", "OTHERTEAM1", "DEF123GHIJ")
    ]

    assert ["DEF123GHIJ", "OTHERTEAM1", "DEF123GHIJ"] == issuers


async def test_apps_of_one_key_have_one_token(
    provider_tokens: ProviderTokens, clock: Clock
) -> None:
    """What Apple counts is how often the tokens of a key change, whichever app they are for."""
    first = await provider_tokens.current(apns_credentials(topic="com.example.one"))
    clock.advance(MINUTE)

    assert first == await provider_tokens.current(apns_credentials(topic="com.example.other"))


async def test_a_key_that_cannot_sign_makes_no_token(provider_tokens: ProviderTokens) -> None:
    """A key that is none is the caller's to refuse."""
    with pytest.raises(ValueError, match="not a private key"):
        await provider_tokens.current(apns_credentials(key="nonsense"))


# --- Apple, and several processes ----------------------------------------------------


class MovedShelf(OwnShelf):
    """A shelf that can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent = False
        self.asked = 0

    async def find(self, digest: bytes) -> Token | None:
        self._answer()
        return await super().find(digest)

    async def agree(self, digest: bytes, choose: Choice) -> Token:
        self._answer()
        return await super().agree(digest, choose)

    def _answer(self) -> None:
        self.asked += 1
        if self.is_silent:
            raise ShelfSilent("TimeoutError")


@pytest.fixture
def shelf() -> MovedShelf:
    return MovedShelf()


async def test_processes_use_one_provider_token(clock: Clock, shelf: OwnShelf) -> None:
    """Whoever comes later uses what the first has made, and so does whoever starts anew."""
    first = await ProviderTokens(clock, shelf).current(apns_credentials())
    clock.advance(50 * MINUTE - SECOND)
    late = await ProviderTokens(clock, shelf).current(apns_credentials())
    clock.advance(SECOND)

    assert first == late
    assert first != await ProviderTokens(clock, shelf).current(apns_credentials())


async def test_processes_renew_a_refused_token_once(clock: Clock, shelf: OwnShelf) -> None:
    """Who hears of it second uses what the first one made, however young that is."""
    processes = [ProviderTokens(clock, shelf) for _ in range(2)]
    first = [await each.current(apns_credentials()) for each in processes]
    clock.advance(20 * MINUTE)
    second = await after_a_refusal(processes[0])
    clock.advance(SECOND)

    assert (1, second) == (len(set(first)), await after_a_refusal(processes[1]))
    assert second not in first


async def test_a_restart_does_not_renew_what_is_too_young(clock: Clock, shelf: OwnShelf) -> None:
    """A process that begins with a refusal keeps to the twenty minutes of the one before it."""
    first = await ProviderTokens(clock, shelf).current(apns_credentials())
    clock.advance(20 * MINUTE - SECOND)

    assert first == await after_a_refusal(ProviderTokens(clock, shelf))


async def test_a_token_of_a_clock_that_is_far_ahead_is_replaced(
    clock: Clock, shelf: OwnShelf
) -> None:
    """Apple would refuse it until that time has come; a few minutes are taken for skew."""
    clock.advance(5 * MINUTE)
    ahead = await ProviderTokens(clock, shelf).current(apns_credentials())
    clock.advance(-5 * MINUTE + SECOND)
    skewed = await ProviderTokens(clock, shelf).current(apns_credentials())
    clock.advance(-SECOND)
    replaced = await ProviderTokens(clock, shelf).current(apns_credentials())

    assert (ahead, int(clock().timestamp())) == (skewed, claims_of(replaced)["iat"])


async def test_a_database_that_is_silent_does_not_stop_who_has_a_token(
    clock: Clock, shelf: MovedShelf
) -> None:
    """What is due to be replaced still serves; and whoever does not answer is not asked at once."""
    tokens = ProviderTokens(clock, shelf)
    first = await tokens.current(apns_credentials())
    shelf.is_silent = True
    clock.advance(50 * MINUTE)
    served = [await tokens.current(apns_credentials()) for _ in range(3)]
    asked = shelf.asked
    shelf.is_silent = False
    clock.advance(10 * SECOND)
    renewed = await tokens.current(apns_credentials())

    assert ([first] * 3, 2) == (served, asked)
    assert renewed != first


async def test_a_token_that_apple_would_refuse_does_not_serve(
    clock: Clock, shelf: MovedShelf
) -> None:
    """Two minutes before its hour is over there is none; the message goes out later."""
    tokens = ProviderTokens(clock, shelf)
    await tokens.current(apns_credentials())
    shelf.is_silent = True
    clock.advance(58 * MINUTE - SECOND)
    await tokens.current(apns_credentials())
    clock.advance(SECOND)

    with pytest.raises(ShelfSilent):
        await tokens.current(apns_credentials())


async def test_who_needs_no_new_token_does_not_wait_for_one(clock: Clock) -> None:
    """While one message asks for the next token, the others go out with the one before."""
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    class Slow(OwnShelf):
        async def agree(self, digest: bytes, choose: Choice) -> Token:
            if is_due.is_set():
                is_asked.set()
                await may_answer.wait()
            return await super().agree(digest, choose)

    is_due = asyncio.Event()
    tokens = ProviderTokens(clock, Slow())
    first = await tokens.current(apns_credentials())
    clock.advance(50 * MINUTE)
    is_due.set()
    asking = asyncio.create_task(tokens.current(apns_credentials()))
    await is_asked.wait()
    meanwhile = await tokens.current(apns_credentials())
    may_answer.set()

    assert first == meanwhile
    assert first != await asking


# --- Google --------------------------------------------------------------------------


def granted(token: str = "ya29.first", *, seconds: int = 3600) -> HttpResponse:
    return HttpResponse(
        200, (), msgspec.json.encode({"access_token": token, "expires_in": seconds})
    )


def refused() -> HttpResponse:
    return HttpResponse(400, (), b'{"error":"invalid_grant"}')


@pytest.mark.parametrize(
    "reply, answer",
    [
        (granted(), "ya29.first"),
        (refused(), Refused("token endpoint: invalid_grant")),
        (Ambiguous("ReadTimeout"), Unavailable("token endpoint: ReadTimeout")),
    ],
    ids=["granted", "refused", "no reply"],
)
async def test_an_access_token_is_fetched_once_for_all_who_wait(
    clock: Clock, reply: Reply, answer: object
) -> None:
    """
    Of many who need one at once, one asks, and all get what it got.

    A failure, too: a thousand devices that ask one after another a token endpoint that
    does not answer would wait a thousand times as long as one.
    """
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(_request: HttpRequest) -> Reply:
        is_asked.set()
        await may_answer.wait()
        return reply

    client = ScriptedClient(slowly)
    tokens = AccessTokens(client, clock)
    waiting = [asyncio.create_task(tokens.current(fcm_credentials())) for _ in range(50)]
    await is_asked.wait()
    may_answer.set()

    assert ([answer] * 50, 1) == (await asyncio.gather(*waiting), len(client.sent))


async def test_after_a_failure_the_next_one_asks_again(clock: Clock) -> None:
    """A failure is not remembered: credentials get mended, endpoints come back."""
    tokens = AccessTokens(in_turn(refused(), granted()), clock)

    answers = [await tokens.current(fcm_credentials()) for _ in range(2)]

    assert [Refused("token endpoint: invalid_grant"), "ya29.first"] == answers


async def test_an_access_token_is_replaced_five_minutes_early(clock: Clock) -> None:
    """A token is used while it has more than five minutes left."""
    client = in_turn(granted("ya29.first"), granted("ya29.second"))
    tokens = AccessTokens(client, clock)
    first = await tokens.current(fcm_credentials())
    clock.advance(55 * MINUTE - SECOND)
    same = await tokens.current(fcm_credentials())
    clock.advance(SECOND)

    assert ("ya29.first", "ya29.first", "ya29.second") == (
        first,
        same,
        await tokens.current(fcm_credentials()),
    )


async def test_a_refused_access_token_is_forgotten(clock: Clock) -> None:
    """What Google refused is not used again; whoever is late with saying so does no harm."""
    client = in_turn(granted("ya29.first"), granted("ya29.second"), granted("ya29.third"))
    tokens = AccessTokens(client, clock)
    await tokens.current(fcm_credentials())
    tokens.forget(fcm_credentials(), "ya29.first")
    second = await tokens.current(fcm_credentials())
    tokens.forget(fcm_credentials(), "ya29.first")

    assert ("ya29.second", "ya29.second", 2) == (
        second,
        await tokens.current(fcm_credentials()),
        len(client.sent),
    )


async def test_forgetting_what_was_never_known_is_no_matter(clock: Clock) -> None:
    """An account without a token has none to forget."""
    tokens = AccessTokens(always(granted()), clock)

    tokens.forget(fcm_credentials(), "ya29.first")

    assert "ya29.first" == await tokens.current(fcm_credentials())


async def test_each_account_has_a_token_of_its_own(clock: Clock) -> None:
    """Two projects' tokens are not mixed up."""
    tokens = AccessTokens(in_turn(granted("ya29.one"), granted("ya29.other")), clock)

    answers = [
        await tokens.current(fcm_credentials(client_email=email))
        for email in ("one@example.com", "other@example.com", "one@example.com")
    ]

    assert ["ya29.one", "ya29.other", "ya29.one"] == answers


async def test_a_key_that_cannot_sign_is_refused(clock: Clock) -> None:
    """A key that is none means refused credentials, and nothing goes out."""
    client = always(granted())

    answer = await AccessTokens(client, clock).current(fcm_credentials(private_key="nonsense"))

    assert (True, []) == (isinstance(answer, Refused), client.sent)


async def test_the_token_endpoint_is_trusted_like_its_gateway(clock: Clock) -> None:
    """The authority that stands in the credentials is for their token endpoint, too."""
    client = always(granted())

    await AccessTokens(client, clock).current(replace(fcm_credentials(), ca="an authority"))

    assert ([("an authority", False)], "https://oauth.example.com/token") == (
        client.trusted,
        client.sent[0].url,
    )


async def test_googles_endpoint_grants_and_refuses(gateways: Gateways, clock: Clock) -> None:
    """Over the real protocol a good account gets a token, and one with another's key does not."""
    client = Client()
    tokens = AccessTokens(client, clock)
    good = gateways.fcm
    wrong_id = replace(good.service_account, private_key_id="0" * 40)

    answers = [
        await tokens.current(each)
        for each in (good, FcmCredentials(wrong_id, good.endpoint, good.ca))
    ]
    await client.close()

    assert (str, Refused("token endpoint: invalid_grant")) == (type(answers[0]), answers[1])


async def test_a_token_endpoint_that_cannot_be_reached_is_unavailable(clock: Clock) -> None:
    """Nobody there is not the credentials' fault."""
    client = Client()
    account = ServiceAccount(
        "p", "e", sandbox_credentials().google_key_pem, "k", "https://127.0.0.1:1/token"
    )

    answer = await AccessTokens(client, clock).current(FcmCredentials(account))
    await client.close()

    assert Unavailable("token endpoint: ConnectError") == answer


# --- Google, and several processes ---------------------------------------------------


async def test_processes_share_an_access_token(clock: Clock, shelf: OwnShelf) -> None:
    """One fetches it, the others find it."""
    client = in_turn(granted("ya29.first"), granted("ya29.second"))

    answers = [
        await AccessTokens(client, clock, shelf).current(fcm_credentials()) for _ in range(3)
    ]

    assert (["ya29.first"] * 3, 1) == (answers, len(client.sent))


async def test_processes_replace_a_refused_access_token_once(clock: Clock, shelf: OwnShelf) -> None:
    """Who hears of it second finds what the first one fetched."""
    client = in_turn(granted("ya29.first"), granted("ya29.second"), granted("ya29.third"))
    processes = [AccessTokens(client, clock, shelf) for _ in range(2)]
    answers: list[str | Outcome] = [await each.current(fcm_credentials()) for each in processes]
    for each in processes:
        each.forget(fcm_credentials(), "ya29.first")
        answers.append(await each.current(fcm_credentials()))

    assert ["ya29.first"] * 2 + ["ya29.second"] * 2 == answers


async def test_an_access_token_that_ends_soon_is_of_no_use_to_others(
    clock: Clock, shelf: OwnShelf
) -> None:
    """Five minutes before its end the next one is fetched."""
    client = in_turn(granted("ya29.first"), granted("ya29.second"))
    await AccessTokens(client, clock, shelf).current(fcm_credentials())
    clock.advance(55 * MINUTE)

    assert "ya29.second" == await AccessTokens(client, clock, shelf).current(fcm_credentials())


async def test_a_failure_is_not_put_on_the_shelf(clock: Clock, shelf: OwnShelf) -> None:
    """Another process asks for itself."""
    client = in_turn(refused(), granted("ya29.second"))
    await AccessTokens(client, clock, shelf).current(fcm_credentials())

    assert "ya29.second" == await AccessTokens(client, clock, shelf).current(fcm_credentials())


async def test_google_is_asked_when_the_database_is_silent(clock: Clock, shelf: MovedShelf) -> None:
    """Sharing saves a request; it is not needed."""
    shelf.is_silent = True
    tokens = AccessTokens(always(granted("ya29.first")), clock, shelf)

    assert "ya29.first" == await tokens.current(fcm_credentials())


# --- browsers ------------------------------------------------------------------------

KEYS = vapid.key_pair(bytes(31) + b"\x01")
OTHER_KEYS = vapid.key_pair(bytes(31) + b"\x02")
ENDPOINT = "https://push.example.com/1"


@pytest.fixture
def vapid_tokens(clock: Clock) -> VapidTokens:
    return VapidTokens(SUBJECT, clock)


def test_a_vapid_signature_is_made_once_per_origin(vapid_tokens: VapidTokens) -> None:
    """Every browser at one push service is sent to with one signature, made for its origin."""
    first = vapid_tokens.current(KEYS, ENDPOINT)
    same = vapid_tokens.current(KEYS, "https://PUSH.example.com:443/2?x=y")
    elsewhere = vapid_tokens.current(KEYS, "https://push.example.com:8443/1")

    assert (first, "https://push.example.com", "https://push.example.com:8443", SUBJECT) == (
        same,
        claims_of(first)["aud"],
        claims_of(elsewhere)["aud"],
        claims_of(first)["sub"],
    )


def test_a_vapid_signature_is_renewed_at_half_of_its_life(
    vapid_tokens: VapidTokens, clock: Clock
) -> None:
    """It is used for six hours of its twelve, so that it is always good for a while."""
    first = vapid_tokens.current(KEYS, ENDPOINT)
    clock.advance(timedelta(hours=6) - SECOND)
    same = vapid_tokens.current(KEYS, ENDPOINT)
    clock.advance(SECOND)
    second = vapid_tokens.current(KEYS, ENDPOINT)

    expires = int((clock() + timedelta(hours=12)).timestamp())
    assert (first, expires) == (same, claims_of(second)["exp"])


def test_each_instance_signs_with_its_own_keys(vapid_tokens: VapidTokens) -> None:
    """Two instances' signatures for one push service are not mixed up."""
    assert vapid_tokens.current(KEYS, ENDPOINT) != vapid_tokens.current(OTHER_KEYS, ENDPOINT)


@pytest.mark.parametrize("endpoint", ["", "push.example.com", "ftp://a", "https://a:port/"])
def test_an_endpoint_that_is_none_has_no_signature(
    vapid_tokens: VapidTokens, endpoint: str
) -> None:
    """What is no address of a push service is the caller's to refuse."""
    with pytest.raises(ValueError, match=r"."):
        vapid_tokens.current(KEYS, endpoint)
