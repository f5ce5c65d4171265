"""Beams tokens: those that hold, and those that do not."""

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pusher_push_notifications import PushNotifications

from builders import NOW
from heliograph.api.beams.tokens import TokenRefused, user_of_token
from heliograph.model import InstanceId
from heliograph.wire import jws

INSTANCE = InstanceId("018cc1d5-0000-7000-8000-000000000000")
OTHER_INSTANCE = "018cc1d5-0000-7000-8000-000000000001"
CURRENT = "A" * 64
PREVIOUS = "B" * 64
SECONDS = int(NOW.timestamp())
HOUR = 3600


def claims(**changes: object) -> dict[str, object]:
    """Good claims; a change to ``...`` leaves one out."""
    base: dict[str, object] = {
        "iss": f"https://{INSTANCE}.pushnotifications.pusher.com",
        "sub": "alice",
        "exp": SECONDS + 24 * HOUR,
    }
    return {name: value for name, value in (base | changes).items() if value is not ...}


def token(secret: str = CURRENT, /, **changes: object) -> str:
    return jws.sign_hs256({"typ": "JWT"}, claims(**changes), secret)


def raw_token(header: dict[str, Any], body: str, secret: str = CURRENT) -> str:
    """A token of any header and any text, signed with HMAC whatever the header says."""

    def part(text: str) -> str:
        return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    text = f"{part(json.dumps(header))}.{part(body)}"
    signature = hmac.digest(secret.encode(), text.encode(), "sha256")
    return f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def bearer_of(text: str, *keys: str) -> str:
    return user_of_token(text, instance=INSTANCE, secret_keys=keys or (CURRENT, PREVIOUS), now=NOW)


def refusal(text: str) -> str:
    """Why a token is refused, in one word."""
    with pytest.raises(TokenRefused) as caught:
        bearer_of(text)
    return caught.value.why


# --- tokens that hold ----------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer",
    [
        f"https://{INSTANCE}.pushnotifications.pusher.com",
        f"{INSTANCE}.pushnotifications.pusher.com",
        f"https://{INSTANCE.upper()}.pushnotifications.pusher.com",
    ],
)
def test_both_forms_of_issuer_name_the_instance(issuer: str) -> None:
    """A token is for the instance in its issuer, with the scheme or, from Swift, without."""
    assert "alice" == bearer_of(token(iss=issuer))


@pytest.mark.parametrize("secret", [CURRENT, PREVIOUS])
def test_both_live_keys_vouch(secret: str) -> None:
    """While a key is being rolled out, tokens signed with the one before still hold."""
    assert "alice" == bearer_of(token(secret))


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": SECONDS},
        {"iat": SECONDS + 299},
        {"iat": SECONDS - 365 * 24 * HOUR},
        {"iat": None},
        {"nbf": SECONDS + 299.5},
        {"exp": SECONDS + 1},
        {"exp": SECONDS + 0.5},
        {"sub": "x" * 164},
        {"sub": "用" * 164},
        {"sub": "a/b c"},
        {"aud": "anybody"},
    ],
    ids=str,
)
def test_a_token_within_the_rules_holds(changes: dict[str, object]) -> None:
    """A token holds until the second it expires, by a clock up to five minutes ahead of ours."""
    assert changes.get("sub", "alice") == bearer_of(token(**changes))


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("user", ["alice", "用户 42", "a/b?c=d&e", "x" * 164])
def test_pushers_own_sdk_vouches(user: str) -> None:
    """A token of Pusher's own server SDK holds until it says that it expires, and not then."""
    sdk = PushNotifications(instance_id=str(INSTANCE), secret_key=CURRENT)
    made = sdk.generate_token(user)["token"]
    expires = jws.verify_hs256(made, CURRENT)["exp"]
    assert isinstance(expires, int)

    def vouched(seconds: int) -> str:
        at = NOW.fromtimestamp(seconds, NOW.tzinfo)
        return user_of_token(made, instance=INSTANCE, secret_keys=[CURRENT], now=at)

    assert user == vouched(expires - 1)
    with pytest.raises(TokenRefused, match="expired"):
        vouched(expires)


# --- tokens that do not --------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "a.b.c",
        f"{token()}.",
        token()[:-2],
        token()[1:],
        token() + "=",
        token().replace(".", " "),
        token("C" * 64),
        token(""),
        raw_token({"alg": "none"}, json.dumps(claims())),
        raw_token({"alg": "none"}, json.dumps(claims())).rpartition(".")[0] + ".",
        raw_token({"alg": "RS256"}, json.dumps(claims())),
        raw_token({"alg": "hs256"}, json.dumps(claims())),
        raw_token({"alg": ["HS256"]}, json.dumps(claims())),
        raw_token({}, json.dumps(claims())),
        raw_token({"alg": "HS256", "crit": ["exp"]}, json.dumps(claims())),
        raw_token({"alg": "HS256"}, "[]"),
        raw_token({"alg": "HS256"}, "null"),
        raw_token({"alg": "HS256"}, json.dumps(claims()).replace(str(claims()["exp"]), "NaN")),
        raw_token({"alg": "HS256"}, '{"exp":' + "[" * 5000 + "]" * 5000 + "}"),
    ],
)
def test_what_our_keys_did_not_sign_is_forged(text: str) -> None:
    """Nothing is believed that was not signed with HS256 and a live key of this instance."""
    assert "forged" == refusal(text)


def test_a_token_cannot_choose_a_public_key() -> None:
    """A token that names RS256, with whatever signature, is not judged by RS256."""
    assert "forged" == refusal(raw_token({"alg": "RS256", "jwk": {}}, json.dumps(claims())))


def test_without_live_keys_nothing_holds() -> None:
    """An instance without a key vouches for nobody."""
    with pytest.raises(TokenRefused):
        user_of_token(token(), instance=INSTANCE, secret_keys=(), now=NOW)


@pytest.mark.parametrize(
    "changes, why",
    [
        # how long it holds
        ({"exp": ...}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": str(SECONDS + HOUR)}, "claims"),
        ({"exp": [SECONDS + HOUR]}, "claims"),
        ({"exp": 2**53}, "claims"),
        ({"exp": 10**18}, "claims"),
        ({"exp": -(2**60)}, "claims"),
        ({"exp": 1.7e308}, "claims"),
        ({"exp": SECONDS}, "expired"),
        ({"exp": SECONDS - 1}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1.5}, "expired"),
        # since when
        ({"iat": SECONDS + 301}, "early"),
        ({"nbf": SECONDS + 301}, "early"),
        ({"iat": 2**60}, "early"),
        # for whom
        ({"sub": ...}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 42}, "claims"),
        ({"sub": ["alice"]}, "claims"),
        ({"sub": "x" * 165}, "claims"),
        ({"sub": "a\x00b"}, "claims"),
        # at which instance
        ({"iss": ...}, "claims"),
        ({"iss": 42}, "claims"),
        ({"iss": ""}, "issuer"),
        ({"iss": f"https://{OTHER_INSTANCE}.pushnotifications.pusher.com"}, "issuer"),
        ({"iss": f"http://{INSTANCE}.pushnotifications.pusher.com"}, "issuer"),
        ({"iss": f"https://https://{INSTANCE}.pushnotifications.pusher.com"}, "issuer"),
        ({"iss": f"https://{INSTANCE}.pushnotifications.pusher.com/"}, "issuer"),
        ({"iss": f"https://{INSTANCE}.pushnotifications.pusher.com.example.com"}, "issuer"),
        ({"iss": str(INSTANCE)}, "issuer"),
    ],
    ids=str,
)
def test_claims_that_break_a_rule_are_refused(changes: dict[str, object], why: str) -> None:
    """A token that our own key signed is refused for what it says, and the word says for what."""
    assert why == refusal(token(**changes))


def test_another_instances_token_is_forged_here() -> None:
    """A token that another instance's key signed does not hold, whatever issuer it names."""
    assert "forged" == refusal(token("D" * 64))


def test_a_refusal_tells_the_bearer_why() -> None:
    """The detail of a refusal is a sentence for the bearer, without the key in it."""
    with pytest.raises(TokenRefused, match="Token is expired") as caught:
        bearer_of(token(exp=0))

    assert CURRENT not in str(caught.value)


@given(st.one_of(st.text(), st.from_regex(r"[\w-]{0,20}\.[\w-]{0,20}\.[\w-]{0,20}")))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    """Whatever stands where a token should, nothing but a refusal comes of it."""
    with pytest.raises(TokenRefused):
        bearer_of(text)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(
    st.dictionaries(
        st.sampled_from(["exp", "iat", "nbf", "sub", "iss", "aud"]), anything, max_size=6
    )
)
def test_any_signed_claims_are_accepted_or_refused(changes: dict[str, object]) -> None:
    """Whatever our own key signed, it names a user or is refused; nothing else happens."""
    made = raw_token({"alg": "HS256"}, json.dumps(claims(**changes)))

    try:
        user = bearer_of(made)
    except TokenRefused:
        return
    assert claims(**changes)["sub"] == user


# --- secrets, bearers, user ids ------------------------------------------------------


@pytest.mark.parametrize("user, why", [("x" * 164, ""), ("😀" * 164, ""), ("x" * 165, "claims")])
def test_a_user_id_is_text_of_1_to_164_characters(user: str, why: str) -> None:
    """Beams counts characters; a longer one is told what it may be."""
    signed = token(sub=user)

    assert (user, "") == (bearer_of(signed), why) if not why else refusal(signed) == why
