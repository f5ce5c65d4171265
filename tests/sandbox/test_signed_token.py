import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.signed_token import BadTokenError, SignedToken, base64url
from sandbox.senders import signed

CLAIMS = {"iss": "someone", "iat": 17}


def test_es256_signature_is_recognised(credentials: Credentials) -> None:
    """A token signed with the key passes and shows its claims."""
    token = SignedToken.parse(signed(credentials.apple_key, {"alg": "ES256"}, CLAIMS))
    token.verify_es256(credentials.apple_key.public_key())

    assert CLAIMS == token.claims
    assert 17 == token.number("iat")


def test_es256_signature_of_another_key(credentials: Credentials) -> None:
    """A token signed with another key is bad."""
    token = SignedToken.parse(signed(credentials.apple_key, {"alg": "ES256"}, CLAIMS))
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()

    with pytest.raises(BadTokenError, match="does not match"):
        token.verify_es256(stranger)


def test_rs256_signature_is_recognised(credentials: Credentials) -> None:
    """An RSA signature passes as RS256 and as nothing else."""
    token = SignedToken.parse(signed(credentials.google_key, {"alg": "RS256"}, CLAIMS))
    token.verify_rs256(credentials.google_key.public_key())

    with pytest.raises(BadTokenError, match="64 bytes"):
        token.verify_es256(credentials.apple_key.public_key())


def test_algorithm_is_not_the_senders_choice(credentials: Credentials) -> None:
    """A good signature under another algorithm's name is bad."""
    token = SignedToken.parse(signed(credentials.apple_key, {"alg": "none"}, CLAIMS))

    with pytest.raises(BadTokenError, match="alg is not ES256"):
        token.verify_es256(credentials.apple_key.public_key())


@pytest.mark.parametrize("claim", ["17", True, None, [17]])
def test_numbers_only(credentials: Credentials, claim: object) -> None:
    """A claim that is no number is none."""
    token = SignedToken.parse(signed(credentials.apple_key, {}, {"iat": claim}))

    assert token.number("iat") is None


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "e30.e30.é", "e30.W10.AA", "e30.e30.A"])
def test_text_that_is_no_token(text: str) -> None:
    """Anything but three parts with two JSON objects is bad."""
    with pytest.raises(BadTokenError):
        SignedToken.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """Whatever the text, parsing fails in no other way."""
    judged: SignedToken | BadTokenError
    try:
        judged = SignedToken.parse(text)
    except BadTokenError as problem:
        judged = problem

    assert isinstance(judged, SignedToken | BadTokenError)


@pytest.mark.parametrize(
    "text,data", [("", b""), ("AA", b"\0"), ("AA==", b"\0"), ("-_-_", b"\xfb\xff\xbf")]
)
def test_base64url(text: str, data: bytes) -> None:
    """Padding may be there or not."""
    assert data == base64url(text)
